//! Events of the provider.

use std::borrow::Borrow;

use crate::domain::inbox::EventVerdict;
use crate::service::files::ReplayCount;
use crate::service::replay::ReplayOutcome;

words! {
    TITLE = "Webhooks";
    EVENT = "Webhook";
    EMPTY = "No webhooks yet";
    EMPTY_TEXT = "What the provider reports is here, whatever became of it. Nothing is here until the provider knows your webhook address; `till doctor` says whether it does.";
    VERDICT = "Outcome";
    TYPE = "Type";
    EVENT_ID = "Event at the provider";
    RECEIVED = "Arrived";
    SETTLED = "Recorded";
    ATTEMPTS = "Tries";
    NEXT = "Tried again";
    NO_NEXT = "not by itself";
    SIGNATURE = "Signature made at";
    SECRET = "Signed with";
    API_VERSION = "API version";
    LIVE = "Real money";
    YES = "yes";
    NO = "no";
    OBJECT = "About";
    INTENT = "Its payment";
    CHARGE = "Its charge";
    CHANGED = "What it was the first to tell";
    CHANGED_NOTHING = "Nothing: its facts were known already, or it has none.";
    TRANSACTION = "Ledger transaction";
    BODY = "What it said";
    BODY_NOTE = "Texts that may name people are hidden.";
    BODY_GONE = "Its bytes are no longer kept.";
    REPLAY = "Replay this webhook";
    REPLAY_TEXT = "It is read again by this version of Till and settled like a new one. What is known already changes nothing, so replaying twice does no harm.";
    PREVIEW = "See first what it would do";
    PREVIEW_TITLE = "What a replay would do";
    PREVIEW_NOTHING = "Nothing was changed by looking.";
    BEFORE = "The order is now";
    AFTER = "It would be";
    REPLAY_ALL = "Replay what this list shows";
    ORDER_UNKNOWN = "No order is known for it";
    NOBODYS = "No order of this database is known for it.";
    GO_ON = "Go on with later ones";
    TRANSACTIONS = "Ledger transactions";
}

/// Which of the configured secrets an event was signed with.
#[must_use]
pub fn secret(index: &i64) -> String {
    format!(
        "webhook secret number {} of those configured",
        index.saturating_add(1)
    )
}

/// How an order is labelled, by the words it is stored as.
#[must_use]
pub fn labels(status: &str, payment: &str) -> String {
    let status = status
        .parse()
        .map_or(status, |known| super::orders::status(known));
    let payment = payment
        .parse()
        .map_or(payment, |known| super::orders::payment(known));
    format!("{status}, {payment}")
}

/// What replaying a list does.
#[must_use]
pub fn replay_all_text(most: u64) -> String {
    format!(
        "Replays the webhooks that pass this filter, the oldest first, at most {most} at once. What is known already \
         changes nothing."
    )
}

/// What became of an event, as people say it.
#[must_use]
pub fn verdict(verdict: impl Borrow<EventVerdict>) -> &'static str {
    match verdict.borrow() {
        EventVerdict::Applied => "Applied",
        EventVerdict::Pending => "Waiting",
        EventVerdict::Quarantined => "Not believed",
        EventVerdict::Foreign => "Not ours",
        EventVerdict::Ignored => "Not needed",
        EventVerdict::Dead => "Given up",
    }
}

/// What an outcome of a replay means.
#[must_use]
pub fn replayed(outcome: impl Borrow<ReplayOutcome>) -> &'static str {
    match outcome.borrow() {
        ReplayOutcome::Applied => "It would be applied.",
        ReplayOutcome::Quarantined => "It would not be believed, and its object fetched.",
        ReplayOutcome::Unchanged => "Nothing would change.",
        ReplayOutcome::Failed => "It could not be tried.",
    }
}

/// What came of a replay, by its code in the address, and whether that is good.
#[must_use]
pub fn result(code: &str) -> Option<(bool, &'static str)> {
    Some(match code {
        "applied" => (true, "Replayed: it is applied now."),
        "unchanged" => (true, "Replayed: nothing had to change."),
        "quarantined" => (
            false,
            "Replayed: it still is not believed. What the provider shows is recorded, and the question about it stays open.",
        ),
        "failed" => (
            false,
            "It could not be replayed. Nothing was changed; see below what would happen, and try again in a moment.",
        ),
        _ => return None,
    })
}

/// What came of replaying a list.
#[must_use]
pub fn replayed_all(count: &ReplayCount) -> String {
    let ReplayCount {
        applied,
        unchanged,
        quarantined,
        failed,
        ..
    } = count;
    format!(
        "Replayed: {applied} applied, {unchanged} unchanged, {quarantined} still not believed, {failed} could not be \
         tried."
    )
}
