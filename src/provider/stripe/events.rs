//! Webhook bodies: Stripe's event envelope and the objects in it.
//!
//! The event types Till acts on are read strictly. Of every other event only the ids are taken, so that it can
//! be kept and found again when the payment it names becomes known.

use serde::Deserialize;
use serde_json::Value;

use super::wire::{self, Malformed};
use crate::domain::observed::Observed;
use crate::provider::{MalformedEvent, Notice, Unreadable};

/// The longest event type that is taken for one.
const MAX_TYPE_BYTES: usize = 200;

#[derive(Debug, Deserialize)]
struct Envelope<T> {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    api_version: Option<String>,
    livemode: bool,
    account: Option<String>,
    created: Option<i64>,
    data: Data<T>,
}

#[derive(Debug, Deserialize)]
struct Data<T> {
    object: T,
}

/// What is taken from an object of any kind; other shapes of these fields are ignored.
#[derive(Debug, Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    payment_intent: Value,
    #[serde(default)]
    charge: Value,
    #[serde(default)]
    latest_charge: Value,
    #[serde(default)]
    metadata: Value,
}

/// What an event type says about its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    Session { delayed_payment_failed: bool },
    Intent,
    Refund,
    Dispute,
    Lapsed,
}

impl Handled {
    fn of(kind: &str) -> Option<Handled> {
        match kind {
            "checkout.session.completed"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.expired" => Some(Handled::Session {
                delayed_payment_failed: false,
            }),
            "checkout.session.async_payment_failed" => Some(Handled::Session {
                delayed_payment_failed: true,
            }),
            "payment_intent.succeeded"
            | "payment_intent.payment_failed"
            | "payment_intent.processing"
            | "payment_intent.amount_capturable_updated"
            | "payment_intent.canceled" => Some(Handled::Intent),
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                Some(Handled::Refund)
            }
            "charge.dispute.created"
            | "charge.dispute.updated"
            | "charge.dispute.closed"
            | "charge.dispute.funds_withdrawn"
            | "charge.dispute.funds_reinstated" => Some(Handled::Dispute),
            "charge.expired" => Some(Handled::Lapsed),
            _ => None,
        }
    }

    /// Whether only its payment says whose such an object is.
    fn is_of_a_payment(self) -> bool {
        match self {
            Handled::Session { .. } | Handled::Intent => false,
            Handled::Refund | Handled::Dispute | Handled::Lapsed => true,
        }
    }

    /// Reads the event's object; none for a session that is not for one payment, which Till never makes.
    fn read(self, body: &[u8]) -> Result<Option<Observed>, Malformed> {
        match self {
            Handled::Session {
                delayed_payment_failed,
            } => {
                let event: Envelope<wire::Session> = wire::read(body)?;
                let session = event.data.object;
                if !session.is_payment() {
                    return Ok(None);
                }
                let mut session = session.observe()?;
                session.delayed_payment_failed = delayed_payment_failed;
                Ok(Some(Observed::Session(session)))
            }
            Handled::Intent => {
                let event: Envelope<wire::Intent> = wire::read(body)?;
                let intent = event.data.object.observe()?;
                Ok(Some(Observed::Intent(intent)))
            }
            Handled::Refund => {
                let event: Envelope<wire::Refund> = wire::read(body)?;
                Ok(Some(Observed::Refund(event.data.object.observe()?)))
            }
            Handled::Dispute => {
                let event: Envelope<wire::Dispute> = wire::read(body)?;
                Ok(Some(Observed::Dispute(event.data.object.observe()?)))
            }
            Handled::Lapsed => {
                let event: Envelope<wire::ChargeOfIntent> = wire::read(body)?;
                Ok(Some(Observed::Lapsed(event.data.object.observe()?)))
            }
        }
    }
}

/// Reads a verified webhook body.
///
/// # Errors
/// [`MalformedEvent`] when it is no event, or one about an object of ours that says what no such object says.
pub fn parse(body: &[u8]) -> Result<Notice, MalformedEvent> {
    let refuse = |why: String| Err(MalformedEvent(why));
    let event: Envelope<Head> = match wire::read(body) {
        Ok(event) => event,
        Err(why) => return refuse(why.to_string()),
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"._".contains(&byte);
    let kind_is_plain = (1..=MAX_TYPE_BYTES).contains(&event.kind.len());
    if event.object != "event" || !wire::is_id(&event.id) {
        return refuse("no event object with an id".to_owned());
    }
    if !kind_is_plain || !event.kind.bytes().all(word) {
        return refuse("an event type no event has".to_owned());
    }
    let account_is_plain = event.account.as_deref().is_none_or(wire::is_id);
    if !account_is_plain {
        return refuse("an account id no account has".to_owned());
    }
    let head = &event.data.object;
    let (intent_id, charge_id) = head.ids();
    let handled = Handled::of(&event.kind);
    let (observed, unreadable) = match handled.map(|handled| (handled, handled.read(body))) {
        None => (None, None),
        Some((_, Ok(observed))) => (observed, None),
        Some((handled, Err(why))) => {
            let ours = head.is_ours();
            let names_payment = intent_id.is_some() || charge_id.is_some();
            // Somebody else's objects on a shared account may be of any shape or currency.
            let maybe = ours || (handled.is_of_a_payment() && names_payment);
            let why = why.to_string();
            (None, maybe.then_some(Unreadable { why, ours }))
        }
    };
    Ok(Notice {
        event_id: event.id,
        event_type: event.kind,
        api_version: event.api_version,
        live: event.livemode,
        external_account: event.account,
        created: event.created.and_then(wire::timestamp),
        object_id: id_of(&head.id),
        intent_id,
        charge_id,
        observed,
        unreadable,
    })
}

impl Head {
    fn is_ours(&self) -> bool {
        self.metadata.get("till_deployment").is_some()
    }

    /// The intent and the charge that the object is or belongs to.
    fn ids(&self) -> (Option<String>, Option<String>) {
        match self.object.as_str() {
            Some("payment_intent") => (id_of(&self.id), id_of(&self.latest_charge)),
            Some("charge") => (id_of(&self.payment_intent), id_of(&self.id)),
            _ => (id_of(&self.payment_intent), id_of(&self.charge)),
        }
    }
}

/// The id in a field that holds an id or an object.
fn id_of(value: &Value) -> Option<String> {
    let inner = value.get("id").unwrap_or(value);
    let id = inner.as_str()?;
    wire::is_id(id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests;
