//! `/v1/payment_intents`
use serde_json::Value;

use super::page_json;
use crate::simulator::acts;
use crate::simulator::failure::Failure;
use crate::simulator::params::Params;
use crate::simulator::table::Window;
use crate::simulator::world::World;

const CANCEL_REASONS: [&str; 4] = [
    "duplicate",
    "fraudulent",
    "requested_by_customer",
    "abandoned",
];

/// Shows an intent.
pub fn retrieve(world: &World, id: &str, mut params: Params) -> Result<Value, Failure> {
    params.ignore(&["client_secret"]);
    params.finish()?;
    Ok(world.intents.find(id, "intent")?.json())
}

/// Lists intents.
pub fn list(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    params.finish()?;
    let (rows, more) = world.intents.page(&window, None)?;
    Ok(page_json(
        "/v1/payment_intents",
        (rows.into_iter().map(|row| row.json()).collect(), more),
    ))
}

/// Captures an authorisation.
pub fn capture(world: &mut World, id: &str, mut params: Params) -> Result<Value, Failure> {
    let amount = params.integer("amount_to_capture")?;
    if amount.is_some_and(|amount| amount < 1) {
        let message = "This value must be greater than or equal to 1.";
        let failure = Failure::parameter("amount_to_capture", message);
        return Err(failure.code("parameter_invalid_integer"));
    }
    let metadata = params.metadata("metadata")?;
    params.ignore(&[
        "final_capture",
        "statement_descriptor",
        "statement_descriptor_suffix",
    ]);
    params.finish()?;
    acts::capture::capture(world, id, amount)?;
    if !metadata.is_empty()
        && let Some(intent) = world.intents.edit(id)
    {
        intent.metadata.extend(metadata);
    }
    Ok(world.intents.find(id, "intent")?.json())
}

/// Cancels an intent.
pub fn cancel(world: &mut World, id: &str, mut params: Params) -> Result<Value, Failure> {
    let reason = params.choice("cancellation_reason", &CANCEL_REASONS)?;
    params.finish()?;
    acts::capture::cancel(world, id, reason)?;
    Ok(world.intents.find(id, "intent")?.json())
}
