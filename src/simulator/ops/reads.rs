//! Endpoints that only read: charges, disputes, events, the balance and the account.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::page_json;
use crate::simulator::failure::Failure;
use crate::simulator::params::Params;
use crate::simulator::table::Window;
use crate::simulator::world::World;

const EVENT_TYPE_LIMIT: usize = 20;

/// Shows a charge.
pub fn charge(world: &World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(world.charges.find(id, "charge")?.json())
}

/// Lists charges.
pub fn charges(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    let link = link(&mut params, "payment_intent")?;
    params.finish()?;
    let (rows, more) = world.charges.page(&window, link.as_deref())?;
    Ok(page_json(
        "/v1/charges",
        (rows.into_iter().map(|row| row.json()).collect(), more),
    ))
}

/// Shows a dispute.
pub fn dispute(world: &World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(world.disputes.find(id, "dispute")?.json())
}

/// Lists disputes.
pub fn disputes(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    let charge = link(&mut params, "charge")?;
    let link = charge.or(link(&mut params, "payment_intent")?);
    params.finish()?;
    let (rows, more) = world.disputes.page(&window, link.as_deref())?;
    Ok(page_json(
        "/v1/disputes",
        (rows.into_iter().map(|row| row.json()).collect(), more),
    ))
}

/// Shows an event.
pub fn event(world: &World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(world.events.find(id, "id")?.json())
}

/// Lists events.
pub fn events(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    let types = params.texts("types")?;
    if types.len() > EVENT_TYPE_LIMIT {
        return Err(Failure::parameter(
            "types",
            "At most 20 types can be given.",
        ));
    }
    let types: Vec<_> = types
        .into_iter()
        .map(|kind| format!("type={kind}"))
        .collect();
    let links = link(&mut params, "type")?.or((!types.is_empty()).then_some(types));
    params.finish()?;
    let (rows, more) = world.events.page(&window, links.as_deref())?;
    Ok(page_json(
        "/v1/events",
        (rows.into_iter().map(|row| row.json()).collect(), more),
    ))
}

/// Shows a balance transaction.
pub fn transaction(world: &World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(world.transactions.find(id, "id")?.json(world.clock.now()))
}

/// Lists balance transactions.
pub fn transactions(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    let source = link(&mut params, "source")?;
    let link = source.or(link(&mut params, "type")?);
    params.finish()?;
    let (rows, more) = world.transactions.page(&window, link.as_deref())?;
    let now = world.clock.now();
    let data = rows.into_iter().map(|row| row.json(now)).collect();
    Ok(page_json("/v1/balance_transactions", (data, more)))
}

/// Shows the balance, by currency.
pub fn balance(world: &World, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    let now = world.clock.now();
    let mut sums: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    for row in world.transactions.all() {
        let available = row.json(now)["status"] == "available";
        let sum = sums.entry(&row.currency).or_default();
        sum[usize::from(available)] += row.amount - row.fee;
    }
    let side = |at: usize| -> Vec<Value> {
        let amount = |(currency, sum): (&&str, &[i64; 2])| json!({ "amount": sum[at], "currency": currency, "source_types": { "card": sum[at] } });
        sums.iter().map(amount).collect()
    };
    Ok(json!({ "object": "balance", "available": side(1), "livemode": false, "pending": side(0) }))
}

/// Shows the one account.
pub fn account(_world: &World, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(json!({
        "id": "acct_1TillSimulator00",
        "object": "account",
        "business_profile": { "name": "Till simulator", "url": null },
        "business_type": "company",
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": true,
        "country": "US",
        "created": 1_234_567_890,
        "default_currency": "usd",
        "details_submitted": true,
        "email": "simulator@example.com",
        "metadata": {},
        "payouts_enabled": true,
        "settings": { "dashboard": { "display_name": "Till simulator", "timezone": "Etc/UTC" } },
        "type": "standard"
    }))
}

fn link(params: &mut Params, name: &str) -> Result<Option<Vec<String>>, Failure> {
    Ok(params
        .text(name)?
        .map(|value| vec![format!("{name}={value}")]))
}
