//! Provider calls: operations that change something at a provider, and when they are tried again.

use super::access::words;

use super::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};

words! {
    /// What a call does.
    CallKind {
        /// Makes a hosted checkout session.
        SessionCreate = "session_create",
        /// Makes a session unpayable.
        SessionExpire = "session_expire",
        /// Takes reserved money, or some of it; the rest is released.
        Capture = "payment_capture",
        /// Releases reserved money.
        Void = "payment_void",
        /// Gives money back.
        Refund = "refund_create",
    }
}

words! {
    /// What is known of a call.
    CallStatus {
        /// Being sent, or about to be.
        Sending = "sending",
        /// Done.
        Succeeded = "succeeded",
        /// Refused for good.
        Declined = "declined",
        /// Sent, and nobody knows whether it was done.
        Unknown = "unknown",
    }
}

/// A request that changes something at a provider, as the bytes that will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// The HTTP method.
    pub method: String,
    /// Path and query below the provider's base URL.
    pub path: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The provider API version the body was written for.
    pub api_version: String,
}

/// How long the same key may be sent again, in milliseconds: a provider forgets keys after a day, and then the
/// same bytes would be carried out a second time.
pub const RESEND_LIMIT_MS: i64 = 23 * HOUR_MS;

/// How long to wait before trying again, in milliseconds, after `tries` tries without an answer.
#[must_use]
pub fn retry_delay_ms(tries: u32) -> i64 {
    const DELAYS: [i64; 11] = [
        2_000,
        5_000,
        15_000,
        MINUTE_MS,
        5 * MINUTE_MS,
        15 * MINUTE_MS,
        HOUR_MS,
        3 * HOUR_MS,
        6 * HOUR_MS,
        12 * HOUR_MS,
        24 * HOUR_MS,
    ];
    let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    DELAYS.get(at).copied().unwrap_or(DAY_MS)
}

/// Whether the same bytes may still be sent under the same key.
#[must_use]
pub fn may_resend(created_at: Timestamp, now: Timestamp) -> bool {
    now.since(created_at) < RESEND_LIMIT_MS
}

/// How long after the last moment at which it may have been sent a call that moves money is left alone, in
/// milliseconds: a request may still be on its way, and what it did may not be shown yet.
const SETTLING_MS: i64 = HOUR_MS;

/// How long after a look that did not find a refund the second one is taken, in milliseconds.
pub const SECOND_LOOK_MS: i64 = HOUR_MS;

/// How long to wait before it is looked up whether a call was carried out, in milliseconds; none once that is
/// time. What is believed of a session is put right by its marks, so nobody waits for that.
#[must_use]
pub fn settling_wait_ms(kind: CallKind, created_at: Timestamp, now: Timestamp) -> Option<i64> {
    let look_from = RESEND_LIMIT_MS.saturating_add(SETTLING_MS);
    let wait = look_from.saturating_sub(now.since(created_at));
    match kind {
        CallKind::SessionCreate | CallKind::SessionExpire => None,
        CallKind::Capture | CallKind::Void | CallKind::Refund => {
            Some(wait).filter(|wait| *wait > 0)
        }
    }
}

/// How long to wait before a call without an outcome is taken up again, in milliseconds, `age_ms` after it was
/// written and after `tries` tries: never past the moment from which it is looked up instead.
#[must_use]
pub fn resend_wait_ms(tries: u32, age_ms: i64) -> i64 {
    let left = RESEND_LIMIT_MS.saturating_sub(age_ms).max(0);
    retry_delay_ms(tries).min(left)
}

/// How long to wait before a session is looked up again, in milliseconds, `age_ms` after the call about it was
/// written; none once people have to be told. A customer may be able to pay it for its first day; after the
/// second nobody gains anything by waiting on.
#[must_use]
pub fn look_up_wait_ms(age_ms: i64) -> Option<i64> {
    if age_ms < DAY_MS {
        Some(10 * MINUTE_MS)
    } else if age_ms < 2 * DAY_MS {
        Some(HOUR_MS)
    } else {
        None
    }
}

/// How far a provider's clock may be from ours, in milliseconds, and how late a request may have reached it.
const WINDOW_SLACK_MS: i64 = HOUR_MS;

/// When a provider can have carried out a call that was written at `created_at`, by its clock: it was never sent
/// before, nor after its key could have been forgotten.
#[must_use]
pub fn execution_window(created_at: Timestamp) -> (Timestamp, Timestamp) {
    let from = created_at.plus_ms(-WINDOW_SLACK_MS);
    let until = created_at.plus_ms(RESEND_LIMIT_MS.saturating_add(WINDOW_SLACK_MS));
    (from, until)
}

/// How long to wait before a payment with something open is asked about again, in milliseconds, after `polls`
/// questions: webhooks come within minutes, and what they missed is not urgent.
#[must_use]
pub fn payment_poll_gap_ms(polls: u32) -> i64 {
    const GAPS: [i64; 4] = [MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS];
    let at = usize::try_from(polls).unwrap_or(usize::MAX);
    GAPS.get(at).copied().unwrap_or(6 * HOUR_MS)
}

/// How long an event that could not be applied waits before it is tried again, in milliseconds.
#[must_use]
pub fn inbox_delay_ms(tries: u32) -> i64 {
    const DELAYS: [i64; 7] = [
        1_000,
        5_000,
        30_000,
        2 * MINUTE_MS,
        10 * MINUTE_MS,
        30 * MINUTE_MS,
        HOUR_MS,
    ];
    let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    DELAYS.get(at).copied().unwrap_or(HOUR_MS)
}

/// How long an event may wait for its order to become known, in milliseconds, before it is given up as dead.
pub const PENDING_LIMIT_MS: i64 = DAY_MS;
