//! `/v1/refunds`
use serde_json::Value;

use super::page_json;
use crate::simulator::acts::refund::{Request, refund};
use crate::simulator::failure::Failure;
use crate::simulator::params::Params;
use crate::simulator::table::Window;
use crate::simulator::world::World;

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// Gives money back.
pub fn create(world: &mut World, mut params: Params) -> Result<Value, Failure> {
    let intent = params.text("payment_intent")?;
    let charge = params.text("charge")?;
    let amount = params.integer("amount")?;
    if amount.is_some_and(|amount| amount < 1) {
        let message = "Invalid positive integer";
        return Err(Failure::parameter("amount", message).code("parameter_invalid_integer"));
    }
    let reason = params.choice("reason", &REASONS)?;
    let metadata = params.metadata("metadata")?;
    params.ignore(&[
        "instructions_email",
        "refund_application_fee",
        "reverse_transfer",
    ]);
    params.finish()?;
    let charge = match (intent, charge) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: charge, payment_intent.";
            return Err(Failure::parameter("charge", message));
        }
        (None, Some(charge)) => charge,
        (Some(intent), None) => charge_of(world, &intent)?,
        (None, None) => {
            let message = "One of the following params should be provided for this request: \
                 payment_intent or charge.";
            return Err(Failure::parameter("payment_intent", message).code("parameter_missing"));
        }
    };
    let made = refund(
        world,
        &charge,
        Request {
            amount,
            reason,
            metadata,
        },
    )?;
    Ok(made.json())
}

/// The charge of an intent, which must be captured.
pub fn charge_of(world: &World, intent: &str) -> Result<String, Failure> {
    let intent = world.intents.find(intent, "payment_intent")?;
    let charge = intent
        .latest_charge
        .as_deref()
        .and_then(|id| world.charges.get(id));
    let paid = charge.filter(|charge| charge.status == "succeeded");
    paid.map(|charge| charge.id.clone()).ok_or_else(|| {
        let message = format!(
            "This PaymentIntent ({}) does not have a successful charge to refund.",
            intent.id
        );
        Failure::state(message).at("payment_intent")
    })
}

/// Lists refunds.
pub fn list(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    let charge = params.text("charge")?.map(|id| format!("charge={id}"));
    let intent = params
        .text("payment_intent")?
        .map(|id| format!("payment_intent={id}"));
    params.finish()?;
    let link = charge.or(intent).map(|link| vec![link]);
    let (rows, more) = world.refunds.page(&window, link.as_deref())?;
    Ok(page_json(
        "/v1/refunds",
        (rows.into_iter().map(|row| row.json()).collect(), more),
    ))
}

/// Shows a refund.
pub fn retrieve(world: &World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(world.refunds.find(id, "refund")?.json())
}
