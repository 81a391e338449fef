//! Checkout sessions: the hosted page a customer pays on.

use serde::Serialize;

use super::access::{Mode, words};
use super::ids::{CheckoutSessionId, OrderId};
use super::money::Money;
use super::observed::ObservedSession;
use super::order::CheckoutRefusal;
use super::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

words! {
    /// When the money of a session is taken.
    Capture {
        /// As soon as the customer pays.
        Automatic = "automatic",
        /// Reserved first; captured by a call of ours.
        Manual = "manual",
    }
}

words! {
    /// Where a checkout session stands.
    SessionStatus {
        /// The provider has not answered yet.
        Creating = "creating",
        /// The customer can pay.
        Open = "open",
        /// The customer is done and the money is under way.
        Processing = "processing",
        /// The money is reserved or captured.
        Complete = "complete",
        /// It can no longer be paid.
        Expired = "expired",
        /// It could not be created, or its delayed payment failed.
        Failed = "failed",
    }
}

impl SessionStatus {
    /// Whether the session can still bring money: an order has at most one such session.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            SessionStatus::Creating | SessionStatus::Open | SessionStatus::Processing => true,
            SessionStatus::Complete | SessionStatus::Expired | SessionStatus::Failed => false,
        }
    }
}

/// The shortest a session may be payable for, in milliseconds.
const MIN_LIFE_MS: i64 = HOUR_MS;
/// The longest a session may be payable for, in milliseconds: a minute under the provider's own limit, so that
/// clocks that disagree a little do not make a valid request invalid.
const MAX_LIFE_MS: i64 = 24 * HOUR_MS - MINUTE_MS;

/// When a session built at `now` ends: with its order, within what a provider accepts.
#[must_use]
pub fn session_expiry(order_expires_at: Timestamp, now: Timestamp) -> Timestamp {
    let earliest = now.plus_ms(MIN_LIFE_MS);
    let latest = now.plus_ms(MAX_LIFE_MS);
    order_expires_at.clamp(earliest, latest)
}

/// Why a checkout cannot be started now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unstartable {
    /// The order cannot be paid.
    Order(CheckoutRefusal),
    /// It has a live session that takes the money at another time.
    OtherCapture,
    /// It has a session that is to be ended as soon as it is known at the provider.
    Ending,
    /// It had its sessions for now.
    TooMany {
        /// When the next one may be made, in seconds.
        retry_after_s: u64,
    },
    /// The provider cannot charge the amount exactly; why.
    NotChargeable(String),
}

/// Within how many seconds an order's new sessions are counted.
pub const SESSION_WINDOW_S: u32 = 600;

/// How many seconds an order that may have `limit` sessions in the window must wait for its next one, if at all.
/// `recent`: when its newest sessions were created, newest first.
#[must_use]
pub fn wait_for_session(recent: &[Timestamp], limit: u32, now: Timestamp) -> Option<u64> {
    let last = usize::try_from(limit).ok()?.checked_sub(1)?;
    let window_ms = i64::from(SESSION_WINDOW_S).saturating_mul(SECOND_MS);
    let free_at = recent.get(last)?.plus_ms(window_ms);
    // Another process's clock may be ahead; nobody waits longer than a window for that.
    let wait_ms = free_at.since(now).min(window_ms);
    let wait_ms = u64::try_from(wait_ms).ok().filter(|wait| *wait > 0)?;
    Some(wait_ms.div_ceil(1_000))
}

/// What a created session was asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Our session.
    pub session: CheckoutSessionId,
    /// This database.
    pub deployment: &'a str,
    /// What was to be charged.
    pub amount: Money,
    /// The mode of the account.
    pub mode: Mode,
}

words! {
    /// How an answer differs from what was asked for.
    Disagreement {
        /// Another currency.
        Currency = "currency_mismatch",
        /// Another amount.
        Amount = "amount_mismatch",
        /// Another mode, or not our marks: somebody else's object.
        NotOurs = "answer_not_ours",
    }
}

/// How a provider's answer differs from what was sent; its URL is given to nobody when it does.
#[must_use]
pub fn disagreement(wanted: Wanted<'_>, answer: &ObservedSession) -> Option<Disagreement> {
    let marks = &answer.marks;
    let session = wanted.session.to_string();
    if answer.amount.currency() != wanted.amount.currency() {
        Some(Disagreement::Currency)
    } else if answer.amount != wanted.amount {
        Some(Disagreement::Amount)
    } else if answer.live != (wanted.mode == Mode::Live)
        || marks.session.as_deref() != Some(session.as_str())
        || marks.deployment.as_deref() != Some(wanted.deployment)
    {
        Some(Disagreement::NotOurs)
    } else {
        None
    }
}

/// When an open session is next asked about, in milliseconds after its creation, by how often it was asked.
///
/// Early and often while the customer is likely to be paying, half-hourly later.
#[must_use]
pub fn open_poll_age_ms(poll_count: u32) -> i64 {
    const EARLY: [i64; 6] = [
        10_000,
        30_000,
        MINUTE_MS,
        2 * MINUTE_MS,
        5 * MINUTE_MS,
        15 * MINUTE_MS,
    ];
    let at = usize::try_from(poll_count).unwrap_or(usize::MAX);
    match EARLY.get(at) {
        Some(age) => *age,
        None => {
            let half_hours = i64::from(poll_count).saturating_sub(5);
            half_hours.saturating_mul(30 * MINUTE_MS)
        }
    }
}

/// How long a session whose money is under way waits between questions, in milliseconds.
#[must_use]
pub fn processing_poll_gap_ms(age_ms: i64) -> i64 {
    if age_ms < 24 * HOUR_MS {
        HOUR_MS
    } else {
        6 * HOUR_MS
    }
}

/// When a session is next asked about: after `poll_count` questions, the last one at `now`.
#[must_use]
pub fn next_poll(
    status: SessionStatus,
    created_at: Timestamp,
    expires_at: Timestamp,
    poll_count: u32,
    now: Timestamp,
) -> Option<Timestamp> {
    match status {
        SessionStatus::Open => {
            let mut count = poll_count;
            let mut at = created_at.plus_ms(open_poll_age_ms(count));
            // After a long pause the points that were missed are one question, not many.
            while at <= now && count < 100 {
                count = count.saturating_add(1);
                at = created_at.plus_ms(open_poll_age_ms(count));
            }
            // Around its expiry: a little later than the provider's own end, and then again and again.
            let after_end = expires_at.plus_ms(10_000);
            if now < after_end && after_end < at {
                at = after_end;
            }
            Some(at.max(now.plus_ms(1_000)))
        }
        SessionStatus::Processing => {
            Some(now.plus_ms(processing_poll_gap_ms(now.since(created_at))))
        }
        SessionStatus::Creating
        | SessionStatus::Complete
        | SessionStatus::Expired
        | SessionStatus::Failed => None,
    }
}

/// Replaces the placeholders a shop may write in its URLs by our ids.
#[must_use]
pub fn fill_url(url: &str, order: OrderId, session: CheckoutSessionId) -> String {
    url.replace("{ORDER_ID}", &order.to_string())
        .replace("{CHECKOUT_SESSION_ID}", &session.to_string())
}

/// A checkout session as callers see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CheckoutSession {
    /// The session's id.
    pub id: CheckoutSessionId,
    /// Always `checkout_session`.
    #[schema(example = "checkout_session")]
    pub object: &'static str,
    /// The order it pays.
    pub order_id: OrderId,
    /// Where it stands.
    pub status: SessionStatus,
    /// The page to send the customer to; null while `creating` and once it can no longer be paid.
    #[schema(
        required = true,
        example = "https://checkout.stripe.com/c/pay/cs_test_a1b2c3"
    )]
    pub url: Option<String>,
    /// What it charges.
    #[schema(value_type = super::forms::Amount)]
    pub amount: Money,
    /// The currency of the amount.
    pub currency: super::currency::Currency,
    /// When the money is taken.
    pub capture: Capture,
    /// The provider.
    #[schema(example = "stripe")]
    pub provider: String,
    /// The provider's own id of the session.
    #[schema(required = true, example = "cs_test_a1b2c3")]
    pub provider_session_id: Option<String>,
    /// When it stops being payable.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::currency::Currency;
    use crate::domain::ids::Id;
    use crate::domain::observed::{Marks, ObservedSessionPayment, ObservedSessionStatus};

    #[test]
    fn polls_follow_the_schedule() {
        let created = Timestamp::from_ms(0);
        let end = Timestamp::from_ms(24 * HOUR_MS);
        let mut now = created;
        let mut seen = Vec::new();
        for count in 0..9 {
            let next = next_poll(SessionStatus::Open, created, end, count, now);
            now = next.expect("open sessions are always asked about again");
            seen.push(now.ms() / 1_000);
        }
        assert_eq!(seen, [10, 30, 60, 120, 300, 900, 1_800, 3_600, 5_400]);
    }

    #[test]
    fn asks_just_after_the_expiry() {
        let created = Timestamp::from_ms(0);
        let end = Timestamp::from_ms(45 * MINUTE_MS);
        let now = Timestamp::from_ms(31 * MINUTE_MS);
        let next = |now| next_poll(SessionStatus::Open, created, end, 7, now);
        assert_eq!(
            next(now),
            Some(end.plus_ms(10_000)),
            "before the next half-hour"
        );
        let half_hour = Timestamp::from_ms(HOUR_MS);
        assert_eq!(
            next(end.plus_ms(10_000)),
            Some(half_hour),
            "and on with the schedule"
        );
    }

    #[test]
    fn what_was_missed_is_one_question() {
        let created = Timestamp::from_ms(0);
        let end = Timestamp::from_ms(24 * HOUR_MS);
        let now = Timestamp::from_ms(3 * HOUR_MS + MINUTE_MS);
        let next = next_poll(SessionStatus::Open, created, end, 0, now);
        assert_eq!(next, Some(Timestamp::from_ms(3 * HOUR_MS + 30 * MINUTE_MS)));
    }

    #[test]
    fn money_under_way_is_asked_about_hourly_for_a_day_and_then_six_hourly() {
        let created = Timestamp::from_ms(0);
        for (age, gap) in [
            (0, 1),
            (24 * HOUR_MS - 1, 1),
            (24 * HOUR_MS, 6),
            (90 * HOUR_MS, 6),
        ] {
            let now = created.plus_ms(age);
            let next = next_poll(SessionStatus::Processing, created, created, 3, now);
            assert_eq!(next, Some(now.plus_ms(gap * HOUR_MS)), "at {age}");
        }
    }

    #[test]
    fn only_live_sessions_are_asked_about() {
        let now = Timestamp::from_ms(0);
        for (status, live) in [
            (SessionStatus::Creating, true),
            (SessionStatus::Open, true),
            (SessionStatus::Processing, true),
            (SessionStatus::Complete, false),
            (SessionStatus::Expired, false),
            (SessionStatus::Failed, false),
        ] {
            assert_eq!(status.is_live(), live, "{status}");
            let asked = next_poll(status, now, now, 0, now).is_some();
            // Before the provider has answered there is nothing to ask about: its call is repeated.
            assert_eq!(asked, live && status != SessionStatus::Creating, "{status}");
        }
    }

    proptest! {
        #[test]
        fn the_next_question_is_always_later(
            age in 0_i64..100 * HOUR_MS,
            life in HOUR_MS..24 * HOUR_MS,
            count in 0_u32..400,
        ) {
            let created = Timestamp::from_ms(0);
            let (end, now) = (created.plus_ms(life), created.plus_ms(age));
            let next = next_poll(SessionStatus::Open, created, end, count, now);
            let next = next.expect("open sessions are always asked about again");
            prop_assert!(next > now);
            let after_end = end.plus_ms(10_000);
            prop_assert!(now >= after_end || next <= after_end, "never past the expiry unasked");
        }

        #[test]
        fn a_session_can_be_paid_for_at_least_an_hour_and_less_than_a_day(
            order_end in -100 * HOUR_MS..100 * HOUR_MS,
        ) {
            let now = Timestamp::from_ms(0);
            let end = session_expiry(now.plus_ms(order_end), now).since(now);
            prop_assert!((HOUR_MS..24 * HOUR_MS).contains(&end));
            let fits = (HOUR_MS..=24 * HOUR_MS - MINUTE_MS).contains(&order_end);
            prop_assert!(!fits || end == order_end);
        }
    }

    #[test]
    fn an_answer_must_be_what_was_asked_for() {
        let session = CheckoutSessionId::from_uuid(uuid::Uuid::from_u128(1));
        let currency = |code| Currency::from_code(code).expect("a known code");
        let amount = Money::new(100, currency("EUR"));
        let wanted = Wanted {
            session,
            deployment: "here",
            amount,
            mode: Mode::Test,
        };
        let right = ObservedSession {
            provider_id: "cs_test_0".to_owned(),
            marks: Marks {
                deployment: Some("here".to_owned()),
                session: Some(session.to_string()),
                ..Marks::default()
            },
            status: ObservedSessionStatus::Open,
            payment: ObservedSessionPayment::Unpaid,
            amount,
            intent: None,
            intent_object: None,
            delayed_payment_failed: false,
            url: Some("https://pay.example/0".to_owned()),
            expires_at: None,
            live: false,
        };
        let with = |change: fn(&mut ObservedSession)| {
            let mut answer = right.clone();
            change(&mut answer);
            disagreement(wanted, &answer)
        };
        assert_eq!(with(|_| ()), None);
        let dollars = |answer: &mut ObservedSession| {
            answer.amount = Money::new(100, Currency::from_code("USD").expect("USD"));
        };
        assert_eq!(with(dollars), Some(Disagreement::Currency));
        let more = |answer: &mut ObservedSession| {
            answer.amount = Money::new(101, answer.amount.currency());
        };
        assert_eq!(with(more), Some(Disagreement::Amount));
        let not_ours = Some(Disagreement::NotOurs);
        assert_eq!(with(|answer| answer.live = true), not_ours);
        assert_eq!(with(|answer| answer.marks.session = None), not_ours);
        assert_eq!(
            with(|answer| answer.marks.session = Some("cs_1".to_owned())),
            not_ours
        );
        assert_eq!(
            with(|answer| answer.marks.deployment = Some("there".to_owned())),
            not_ours
        );
        let live = Wanted {
            mode: Mode::Live,
            ..wanted
        };
        assert_eq!(disagreement(live, &right), not_ours);
    }

    #[test]
    fn placeholders_in_urls_become_ids() {
        let order = OrderId::from_uuid(uuid::Uuid::from_u128(2));
        let session = CheckoutSessionId::from_uuid(uuid::Uuid::from_u128(1));
        let url = "https://shop.example/{ORDER_ID}?s={CHECKOUT_SESSION_ID}&o={ORDER_ID}&x={OTHER}";
        let filled = format!("https://shop.example/{order}?s={session}&o={order}&x={{OTHER}}");
        assert_eq!(fill_url(url, order, session), filled);
    }

    #[test]
    fn the_session_too_many_waits_until_the_oldest_that_counts_leaves_the_window() {
        let at = |seconds: i64| Timestamp::from_ms(seconds * SECOND_MS);
        let recent = [at(400), at(300), at(100)];
        assert_eq!(wait_for_session(&recent, 4, at(500)), None);
        assert_eq!(wait_for_session(&recent, 3, at(500)), Some(200));
        assert_eq!(
            wait_for_session(&recent, 3, at(699).plus_ms(999)),
            Some(1),
            "a part of a second is a second to wait"
        );
        assert_eq!(wait_for_session(&recent, 3, at(700)), None);
        assert_eq!(wait_for_session(&recent, 1, at(-9_000)), Some(600));
    }

    #[test]
    fn a_session_ends_with_its_order_within_the_limits() {
        let now = Timestamp::from_ms(1_000_000);
        let soon = session_expiry(now.plus_ms(5), now);
        assert_eq!(soon, now.plus_ms(HOUR_MS));
        let late = session_expiry(now.plus_ms(90 * HOUR_MS), now);
        assert_eq!(late, now.plus_ms(24 * HOUR_MS - MINUTE_MS));
    }
}
