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
