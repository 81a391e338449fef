//! The faults of the transport and of the answer's truth.
use std::time::Duration;

use rocket::http::ContentType;
use serde_json::Value;

use super::reply::{Body, Reply};
use crate::simulator::faults::Action;
use crate::simulator::shared::Shared;

/// How long a request is left without an answer.
const SILENCE: Duration = Duration::from_secs(60);

const AMOUNTS: [&str; 6] = [
    "amount",
    "amount_total",
    "amount_subtotal",
    "amount_received",
    "amount_capturable",
    "amount_captured",
];

/// Sends the answer as the fault wants it.
pub async fn send(shared: &Shared, mut reply: Reply, action: Option<Action>) -> Reply {
    let whole = match &mut reply.body {
        Body::Whole(bytes) => std::mem::take(bytes),
        Body::Broken(_) | Body::Dripping(_) => return reply,
    };
    let half = || whole[..whole.len() / 2].to_vec();
    reply.body = match action {
        Some(Action::TimeoutAfterCommit | Action::TimeoutBefore) => {
            // Rocket can't tell that the client left, hence the limit.
            tokio::select! {
                () = tokio::time::sleep(SILENCE) => {}
                () = shared.stop.cancelled() => {}
            }
            return Reply {
                status: 504,
                body: Body::Broken(vec![]),
                ..reply
            };
        }
        Some(Action::ResetMidResponse) => Body::Broken(half()),
        Some(Action::Truncate) => Body::Whole(half()),
        Some(Action::SlowDrip) => Body::Dripping(whole),
        Some(Action::Garbage) => {
            let text = "<html><body><h1>It works!</h1></body></html>".to_owned();
            return Reply::text(200, ContentType::HTML, text);
        }
        Some(Action::Redirect) => {
            let target = shared.with(|world| format!("{}/_simulator/redirected", world.base_url));
            return Reply {
                status: 307,
                ..reply
            }
            .with("Location", target);
        }
        Some(action @ (Action::WrongAmount | Action::WrongCurrency)) if reply.status == 200 => {
            Body::Whole(falsified(whole, action))
        }
        _ => Body::Whole(whole),
    };
    reply
}

fn falsified(body: Vec<u8>, action: Action) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut value) => {
            falsify(&mut value, action);
            value.to_string().into_bytes()
        }
        Err(_) => body,
    }
}

/// Replaces every amount by one more, or every currency by another.
pub fn falsify(value: &mut Value, action: Action) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| falsify(item, action)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match (action, field.as_i64(), field.as_str()) {
                    (Action::WrongAmount, Some(amount), _) if AMOUNTS.contains(&name.as_str()) => {
                        *field = (amount + 1).into();
                    }
                    (Action::WrongCurrency, _, Some(currency)) if name == "currency" => {
                        *field = if currency == "eur" {
                            "usd".into()
                        } else {
                            "eur".into()
                        };
                    }
                    _ => falsify(field, action),
                }
            }
        }
        _ => {}
    }
}
