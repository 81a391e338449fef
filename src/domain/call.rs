//! Provider calls: operations that change something at a provider, and when they are tried again.

use super::access::words;
use super::ids::{AccountId, CallId, OrderId, PaymentId};
use super::page::Span;
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

impl CallStatus {
    /// Whether its outcome is still to be found out.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            CallStatus::Sending | CallStatus::Unknown => true,
            CallStatus::Succeeded | CallStatus::Declined => false,
        }
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

/// Which calls staff look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// What is known of them.
    pub status: Option<CallStatus>,
    /// What they do.
    pub kind: Option<CallKind>,
    /// Our id of what they are done to.
    pub subject: Option<String>,
    /// Those about one payment or its refunds.
    pub payment: Option<PaymentId>,
    /// Those about one order.
    pub order: Option<OrderId>,
    /// Those without an outcome that were tried so often or more.
    pub open_after: Option<i64>,
    /// When they were first meant to be sent.
    pub made: Span,
}

/// After how many tries without an outcome a call counts as failing.
pub const FAILING_TRIES: i64 = 3;

/// A call as staff see it.
#[derive(Debug, Clone)]
pub struct CallFile {
    /// Its id.
    pub id: CallId,
    /// The order it is about.
    pub order: OrderId,
    /// The number of that order.
    pub order_number: String,
    /// The provider account it is made with.
    pub account: AccountId,
    /// What it does.
    pub kind: CallKind,
    /// Our id of what it is done to.
    pub subject_id: String,
    /// What is known of it.
    pub status: CallStatus,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried again, while it is open.
    pub next_at: Option<Timestamp>,
    /// Until when somebody is at it.
    pub leased_until: Option<Timestamp>,
    /// Since when people have to look at it.
    pub review_at: Option<Timestamp>,
    /// Why it was made: the id of a request, fact or event.
    pub cause: String,
    /// The request it was made in.
    pub request_id: Option<String>,
    /// Who caused it.
    pub actor: String,
    /// When it was first meant to be sent.
    pub created_at: Timestamp,
    /// When its outcome was known.
    pub finished_at: Option<Timestamp>,
}

/// A call with all there is to know of it.
#[derive(Debug, Clone)]
pub struct CallStory {
    /// The call.
    pub call: CallFile,
    /// The HTTP method it is sent with.
    pub method: String,
    /// Where it is sent, below the provider's base URL.
    pub path: String,
    /// The provider API version it was written for.
    pub api_version: String,
    /// The key it is sent under, at every try.
    pub idempotency_key: String,
    /// What is sent, byte for byte; it is kept until the outcome is known, and may name people.
    pub body: Option<Vec<u8>>,
    /// Every try, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One try of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, from 1.
    pub number: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds; none while it is under way.
    pub duration_ms: Option<i64>,
    /// The HTTP status, when there was one.
    pub http_status: Option<i64>,
    /// A word for what came of it.
    pub outcome: String,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// In which words the provider refused.
    pub message: Option<String>,
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
pub fn may_resend(age_ms: i64) -> bool {
    age_ms < RESEND_LIMIT_MS
}

/// How long after the last moment at which it may have been sent a call that moves money is left alone, in
/// milliseconds: a request may still be on its way, and what it did may not be shown yet.
const SETTLING_MS: i64 = HOUR_MS;

/// How long after a look that did not find a refund the second one is taken, in milliseconds.
pub const SECOND_LOOK_MS: i64 = HOUR_MS;

/// How long to wait before it is looked up whether a call was carried out, in milliseconds; none once that is
/// time. What is believed of a session is put right by its marks, so nobody waits for that.
#[must_use]
pub fn settling_wait_ms(kind: CallKind, age_ms: i64) -> Option<i64> {
    let look_from = RESEND_LIMIT_MS.saturating_add(SETTLING_MS);
    let wait = look_from.saturating_sub(age_ms);
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
