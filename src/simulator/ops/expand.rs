//! `expand[]`: identifiers replaced by their objects, in the answer only.
use serde_json::{Value, json};

use super::Operation;
use crate::simulator::failure::Failure;
use crate::simulator::params::Params;
use crate::simulator::world::World;

const DEPTH_LIMIT: usize = 4;

/// What a request wants expanded.
#[derive(Debug)]
pub struct Wishes(Vec<Vec<String>>);

impl Wishes {
    /// Takes `expand[]`; a path that leads nowhere is refused before anything is executed.
    pub fn take(operation: Operation, params: &mut Params) -> Result<Wishes, Failure> {
        let mut wishes = Vec::new();
        for text in params.texts("expand")? {
            let path: Vec<String> = text.split('.').map(str::to_owned).collect();
            let (noun, is_list) = noun_of(operation);
            let fields = match (is_list, path.split_first()) {
                (true, Some((first, rest))) if first == "data" => rest,
                (true, _) => &[][..],
                (false, _) => &path[..],
            };
            if fields.is_empty() || path.len() > DEPTH_LIMIT || !leads_somewhere(noun, fields) {
                let message = format!("This property cannot be expanded ({text}).");
                return Err(Failure::parameter("expand", message));
            }
            wishes.push(path);
        }
        Ok(Wishes(wishes))
    }

    /// Replaces identifiers in the answer.
    pub fn fulfil(&self, world: &World, answer: &mut Value) {
        for path in &self.0 {
            expand(world, answer, path);
        }
    }
}

fn noun_of(operation: Operation) -> (&'static str, bool) {
    use Operation::*;
    match operation {
        SessionCreate | SessionRetrieve | SessionExpire => ("session", false),
        SessionList => ("session", true),
        IntentRetrieve | IntentCapture | IntentCancel => ("intent", false),
        IntentList => ("intent", true),
        RefundCreate | RefundRetrieve => ("refund", false),
        RefundList => ("refund", true),
        ChargeRetrieve => ("charge", false),
        ChargeList => ("charge", true),
        DisputeRetrieve => ("dispute", false),
        DisputeList => ("dispute", true),
        TransactionRetrieve => ("transaction", false),
        TransactionList => ("transaction", true),
        SessionLines | EventRetrieve | EventList | Balance | Account => ("nothing", false),
    }
}

fn leads_somewhere(noun: &str, path: &[String]) -> bool {
    let Some((field, rest)) = path.split_first() else {
        return true;
    };
    match (noun, field.as_str()) {
        ("session" | "charge" | "refund" | "dispute", "payment_intent") => {
            leads_somewhere("intent", rest)
        }
        ("intent", "latest_charge") | ("refund" | "dispute", "charge") => {
            leads_somewhere("charge", rest)
        }
        ("charge" | "refund", "balance_transaction")
        | ("refund", "failure_balance_transaction") => leads_somewhere("transaction", rest),
        ("session", "line_items") | ("charge", "refunds") | ("transaction", "source") => {
            rest.is_empty()
        }
        ("session" | "intent" | "charge", "customer") | ("intent", "payment_method") => {
            rest.is_empty()
        }
        _ => false,
    }
}

fn expand(world: &World, value: &mut Value, path: &[String]) {
    let Some((field, rest)) = path.split_first() else {
        return;
    };
    if field == "data" {
        let items = value.get_mut("data").and_then(Value::as_array_mut);
        items
            .into_iter()
            .flatten()
            .for_each(|item| expand(world, item, rest));
        return;
    }
    let id = value["id"].as_str().unwrap_or_default();
    let found = match field.as_str() {
        "line_items" => world
            .sessions
            .get(id)
            .map(|session| session.lines_json(10, 0)),
        "refunds" => Some(refunds_of(world, id)),
        _ => value[field].as_str().and_then(|id| lookup(world, id)),
    };
    if let Some(found) = found {
        value[field] = found;
    }
    if value[field].is_object() {
        expand(world, &mut value[field], rest);
    }
}

fn refunds_of(world: &World, charge: &str) -> Value {
    let refunds = world
        .refunds
        .linked(&format!("charge={charge}"))
        .rev()
        .take(10);
    let data: Vec<Value> = refunds.map(|refund| refund.json()).collect();
    json!({
        "object": "list", "data": data, "has_more": false, "url": format!("/v1/charges/{charge}/refunds")
    })
}

fn lookup(world: &World, id: &str) -> Option<Value> {
    match id.split_once('_')?.0 {
        "pi" => world.intents.get(id).map(|row| row.json()),
        "ch" => world.charges.get(id).map(|row| row.json()),
        "re" => world.refunds.get(id).map(|row| row.json()),
        "dp" => world.disputes.get(id).map(|row| row.json()),
        "txn" => world
            .transactions
            .get(id)
            .map(|row| row.json(world.clock.now())),
        _ => None,
    }
}
