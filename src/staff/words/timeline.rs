//! What happened to an order.

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::domain::timeline::TimelineEntry;

words! {
    REQUEST = "request";
    BY = "by";
    SYSTEM = "Till itself";
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
        ("event", _) => "Other programs were told",
        _ => "Something happened",
    };
    text.to_owned()
}

fn call(kind: &str) -> &'static str {
    match kind {
        "session_create" => "Make a checkout session",
        "session_expire" => "End a checkout session",
        "payment_capture" => "Take reserved money",
        "payment_void" => "Release reserved money",
        "refund_create" => "Give money back",
        _ => "A call to the provider",
    }
}

fn fact(kind: &str) -> &'static str {
    match kind {
        "opened" => "The session can be paid",
        "completed" => "The customer is done with the session",
        "session_expired" => "The session can no longer be paid",
        "rejected" => "The session is of no use",
        "declined" => "A try to pay was refused",
        "processing" => "The money is under way",
        "authorized" => "The money is reserved",
        "failed" => "The payment failed for good",
        "voided" => "The reservation was released",
        "expired" => "The reservation lapsed",
        "captured" => "The money was taken",
        "refund_pending" => "A refund is on its way",
        "refund_succeeded" => "The money went back",
        "refund_failed" => "The money did not go back",
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
        "checkout_session" => "A checkout session was asked for".to_owned(),
        "refund" if kind == "seen" => "A refund made at the provider was seen".to_owned(),
        "refund" => "A refund was asked for".to_owned(),
        "provider_call" => format!("To the provider: {}", call(kind).to_lowercase()),
        "provider_attempt" => {
            let number = entry.details.number.unwrap_or(1);
            format!("{TRY} {number}: {}", kind.replace('_', " "))
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
        "event" => format!("Other programs were told: {kind}"),
        _ => kind.to_owned(),
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

/// Who did it.
#[must_use]
pub fn actor(actor: &str) -> String {
    match actor {
        "system" => SYSTEM.to_owned(),
        key if key.starts_with("key_") => format!("API key {key}"),
        other => other.to_owned(),
    }
}
