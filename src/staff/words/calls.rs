//! Calls to the provider, and how the provider does.

use std::borrow::Borrow;

use crate::domain::call::{CallKind, CallStatus};
use crate::domain::health::{Ending, GateState, ending_of};

words! {
    TITLE = "Provider calls";
    CALL = "Provider call";
    EMPTY = "No calls yet";
    EMPTY_TEXT = "Whatever changes something at the provider is here: checkouts, captures, releases and refunds, with every try.";
    KIND = "Does";
    SUBJECT = "To";
    ATTEMPTS = "Tries";
    FAILING = "Three and more, without an outcome";
    NEXT = "Tried again";
    MADE = "Made";
    NO_NEXT = "not any more: its outcome is known";
    HELD = "Somebody is at it until";
    IN_REVIEW = "In review since";
    FINISHED = "Known since";
    CAUSE = "Because of";
    SENT = "Sent as";
    KEY = "Idempotency key at the provider";
    API_VERSION = "API version";
    BODY_KEPT = "What is sent, kept until the outcome is known. Texts that may name people are hidden.";
    TRIES = "Every try";
    NO_TRIES = "It was not tried yet.";
    NUMBER = "Try";
    STARTED = "Began";
    DURATION = "Took";
    HTTP = "HTTP status";
    OUTCOME = "Outcome";
    REQUEST_ID = "Request at the provider";
    RETRY = "Try now";
    RETRY_TEXT = "Sends the same bytes under the same key again while that is safe; after that the provider is asked whether it was carried out. Either way it is done once.";
    HEALTH = "Provider health";
    HEALTH_TEXT = "From the tries of this shop's calls. An answer counts as an answer, also when it says no.";
    LAST_HOUR = "Last hour";
    LAST_DAY = "Last 24 hours";
    ANSWERED = "Answered";
    SAID_NO = "of these with a no";
    FAILED = "Without an answer";
    TURNED_AWAY = "Not sent, because the provider did not answer";
    RATE = "Answered of those sent";
    MEDIAN = "Half took at most";
    P95 = "95 of 100 took at most";
    P99 = "99 of 100 took at most";
    LAST_FAILURE = "Last one without an answer";
    NO_FAILURE = "none in 24 hours";
    GATE = "Circuit breaker of this process";
    NO_GATE = "Calls are not made with this account now.";
    LAG = "Webhook lag";
    LAG_TEXT = "From an event at the provider to its facts being recorded here; the provider tells whole seconds. Of the newest 500.";
    NO_EVENTS = "No webhook was applied in this time.";
    REFRESH = "Refresh";
    EVENTS = "Webhooks counted";
}

/// What a call does, as people say it.
#[must_use]
pub fn kind(kind: impl Borrow<CallKind>) -> &'static str {
    match kind.borrow() {
        CallKind::SessionCreate => "Open a checkout",
        CallKind::SessionExpire => "Close a checkout",
        CallKind::Capture => "Capture",
        CallKind::Void => "Release",
        CallKind::Refund => "Refund",
    }
}

/// What is known of a call, as people say it.
#[must_use]
pub fn status(status: impl Borrow<CallStatus>) -> &'static str {
    match status.borrow() {
        CallStatus::Sending => "Being sent",
        CallStatus::Succeeded => "Done",
        CallStatus::Declined => "Declined",
        CallStatus::Unknown => "Outcome unknown",
    }
}

/// What came of a try, as people say it.
#[must_use]
pub fn outcome(word: &str) -> &'static str {
    match (ending_of(word), word) {
        (Ending::Done, _) => "done",
        (Ending::Declined, _) => "declined",
        (Ending::TurnedAway, _) => "not sent: the provider did not answer before",
        (_, "sending") => "under way",
        (_, "found_done") => "looked up: it was done",
        (_, "found_not_done") => "looked up: it was not done",
        (_, "not_found_yet") => "looked up: not there yet",
        (_, "not_looked_up") => "left alone: it is looked up later",
        (_, "outcome_unknown") => "nobody can say",
        (_, "abandoned") => "given up",
        (_, "not_sent") => "could not be sent",
        (_, "timeout") => "no answer in time",
        (_, "connection") => "the connection broke",
        (_, "server_error" | "stored_error") => "the provider failed",
        (_, "rate_limited") => "too many requests",
        (_, "in_use") => "the same request was under way",
        (_, "key_mismatch") => "the key was used for something else",
        (_, "redirect") => "sent elsewhere",
        _ => "an answer that cannot be used",
    }
}

/// What stands before the provider.
#[must_use]
pub fn gate(state: &GateState) -> String {
    match state {
        GateState::Open => "Calls pass.".to_owned(),
        GateState::Paused(wait) => format!(
            "The provider did not answer; nothing is sent for {}. What waits is sent after that.",
            super::figures::duration(wait)
        ),
        GateState::Probing => "The provider did not answer; the next call tries it.".to_owned(),
    }
}

/// What came of trying now, by its code in the address, and whether that is good.
#[must_use]
pub fn result(code: &str) -> Option<(bool, &'static str)> {
    Some(match code {
        "known" => (true, "Tried: its outcome is known now."),
        "unknown" => (
            false,
            "Tried: there still is no outcome. It is tried again by itself.",
        ),
        "not_due" => (
            true,
            "Nothing was sent: its outcome is known, or it is being tried right now.",
        ),
        "paused" => (
            false,
            "Nothing was sent: the provider does not answer at the moment. It is tried again by itself.",
        ),
        _ => return None,
    })
}
