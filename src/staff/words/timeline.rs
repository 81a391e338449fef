//! What happened to an order.

use crate::domain::call::{CallKind, CallStatus};
use crate::domain::checkout::SessionStatus;
use crate::domain::inbox::EventVerdict;
use crate::domain::refund::{RefundReason, RefundStatus};
use crate::domain::resolution::Resolution;
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::domain::timeline::TimelineEntry;

words! {
    REQUEST = "request";
    BY = "by";
    SYSTEM = "Till itself";
    KEY = "API key";
    RAW_BODY = "What was sent or received, without personal data";
    RAW_ENTRY = "The entry";
    FAILED = "Failed";
    LOOK = "Needs a look";
    TRY = "Try";
    ANSWERED = "The answer:";
    DEBIT = "debit";
    CREDIT = "credit";
}

/// What a chapter of the timeline is about, by what it begins with.
#[must_use]
pub fn chapter(head: &TimelineEntry) -> String {
    let text = match (head.object, head.kind.as_str()) {
        ("order", _) => "The order was placed",
        ("checkout_session", _) => "A checkout was started",
        ("refund", "seen") => "A refund was made at the provider",
        ("refund", _) => "A refund was asked for",
        ("provider_call", kind) => call(kind),
        ("provider_event", _) => "The provider told something",
        ("review", _) => "A question came up",
        ("decision", _) => "Staff answered a question",
        ("note", _) => "A note was written",
        ("fact", _) => match head.details.source.as_deref() {
            Some("poll") => "Till asked the provider",
            Some("reconcile") => "The provider was compared with the books",
            Some("decision") => "Something was decided",
            _ => "Something was learned",
        },
        ("ledger_transaction", _) => "The books were changed",
        ("event", _) => "Told in the shop's feed of events",
        _ => "Something happened",
    };
    text.to_owned()
}

fn call(kind: &str) -> &'static str {
    kind.parse::<CallKind>()
        .map_or("A call to the provider", super::calls::kind)
}

/// A fact, as people say it.
#[must_use]
pub fn fact(kind: &str) -> &'static str {
    match kind {
        "opened" => "The checkout can be paid",
        "completed" => "The customer is done with the checkout",
        "session_expired" => "The checkout can no longer be paid",
        "rejected" => "The checkout is of no use",
        "declined" => "A try to pay was refused",
        "processing" => "The money is under way",
        "authorized" => "The money is reserved",
        "failed" => "The payment failed for good",
        "voided" => "The reservation was released",
        "expired" => "The reservation lapsed",
        "captured" => "The money was captured",
        "refund_pending" => "A refund is on its way",
        "refund_succeeded" => "The money was refunded",
        "refund_failed" => "The refund failed",
        "refund_cancelled" => "The refund was called off",
        "dispute_opened" => "The customer's bank asks for the money",
        "dispute_warning_closed" => "The bank's question was closed",
        "dispute_won" => "The dispute was won",
        "dispute_lost" => "The dispute was lost",
        "dispute_withdrawn" => "The bank has taken the money",
        "dispute_reinstated" => "The bank gave the money back",
        "fee" => "The provider kept its fee",
        "order_cancelled" => "The order is cancelled",
        "order_expired" => "The order ran out of time",
        "payment_accepted" => "Staff said that the payment is the order's",
        _ => "Something was learned",
    }
}

/// One entry in a few words.
#[must_use]
pub fn entry(entry: &TimelineEntry) -> String {
    let kind = entry.kind.as_str();
    match entry.object {
        "order" => "The order was placed".to_owned(),
        "checkout_session" => "A checkout was asked for".to_owned(),
        "refund" if kind == "seen" => "A refund made at the provider was seen".to_owned(),
        "refund" => "A refund was asked for".to_owned(),
        "provider_call" => format!("To the provider: {}", call(kind).to_lowercase()),
        "provider_attempt" => {
            let number = entry.details.number.unwrap_or(1);
            format!("{TRY} {number}: {}", super::calls::outcome(kind))
        }
        "provider_event" => format!("The provider told: {kind}"),
        "fact" => fact(kind).to_owned(),
        "review" => kind.parse().map_or_else(
            |_| kind.to_owned(),
            |reason| super::order_state::review(reason).to_owned(),
        ),
        "decision" => kind.parse().map_or_else(
            |_| kind.to_owned(),
            |answer| format!("{ANSWERED} {}", super::reviews::resolution(answer)),
        ),
        "note" => "A note was written".to_owned(),
        "ledger_transaction" => "The books were changed".to_owned(),
        "event" => format!("Told in the shop's feed of events: {kind}"),
        _ => kind.to_owned(),
    }
}

/// Where an entry's object stands, and why, each in a few words. Codes without words of ours stay as they are.
#[must_use]
pub fn states(entry: &TimelineEntry) -> Vec<String> {
    let details = &entry.details;
    let text = |code: &Option<String>, words: &dyn Fn(&str) -> Option<&'static str>| {
        let code = code.as_deref()?;
        Some(words(code).map_or_else(|| code.replace('_', " "), str::to_owned))
    };
    let status = |code: &str| match entry.object {
        "checkout_session" => code
            .parse::<SessionStatus>()
            .ok()
            .map(super::order::session),
        "refund" => code.parse::<RefundStatus>().ok().map(super::order::refund),
        "provider_call" => code.parse::<CallStatus>().ok().map(super::calls::status),
        _ => None,
    };
    let verdict = |code: &str| {
        code.parse::<EventVerdict>()
            .ok()
            .map(super::webhooks::verdict)
    };
    let reason = |code: &str| match entry.object {
        "refund" => code
            .parse::<RefundReason>()
            .ok()
            .map(super::order::refund_reason),
        _ => super::codes::webhook(code),
    };
    // A question says itself how it was closed.
    let stands = text(&details.status, &status).filter(|_| entry.object != "review");
    let states = [
        stands,
        text(&details.verdict, &verdict),
        text(&details.reason, &reason),
        text(&details.code, &super::codes::failure),
    ];
    states.into_iter().flatten().collect()
}

/// How a question was closed: by what somebody answered, or because its cause is gone.
#[must_use]
pub fn closed(by: &str, answer: Option<Resolution>) -> String {
    match answer {
        Some(answer) => format!("closed: {by} {}", super::reviews::decided(answer)),
        None => format!("closed by {by}: its cause is gone"),
    }
}

/// How long something took.
#[must_use]
pub fn took(ms: i64) -> String {
    format!("{ms} ms")
}

/// How much later than the beginning something happened; nothing when it was at once.
#[must_use]
pub fn later(ms: i64) -> Option<String> {
    let (count, unit) = [
        (DAY_MS, "d"),
        (HOUR_MS, "h"),
        (MINUTE_MS, "min"),
        (SECOND_MS, "s"),
    ]
    .into_iter()
    .find_map(|(unit_ms, unit)| {
        let count = ms.checked_div(unit_ms)?;
        (count > 0).then_some((count, unit))
    })?;
    Some(format!("{count} {unit} later"))
}

/// Who did it, where the id is shown beside it.
#[must_use]
pub fn person(actor: &str, name: Option<String>) -> String {
    match (name, actor) {
        (Some(name), _) => name,
        (None, "system") => SYSTEM.to_owned(),
        (None, key) if key.starts_with("key_") => KEY.to_owned(),
        (None, _) => super::reviews::SOMEBODY.to_owned(),
    }
}

/// Who did it.
#[must_use]
pub fn actor(actor: &str) -> String {
    match actor {
        "system" => SYSTEM.to_owned(),
        key if key.starts_with("key_") => format!("{KEY} {key}"),
        other => other.to_owned(),
    }
}
