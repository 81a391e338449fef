//! Events: what happened, for other programs and for the order's own story.

use serde::Serialize;

use super::access::words;
use super::checkout::SessionStatus;
use super::ids::{CheckoutSessionId, EventId, OrderId, PaymentId, RefundId};
use super::order::{OrderStatus, PaymentStatus};
use super::payment::{PaymentWord, word_of};
use super::refund::RefundStatus;
use super::settlement::OrderState;
use super::time::Timestamp;

words! {
    /// What an event reports.
    EventType {
        /// An order was placed.
        OrderCreated = "order.created",
        /// Its money is under way.
        OrderPaymentPending = "order.payment_pending",
        /// Its money is reserved.
        OrderAuthorized = "order.authorized",
        /// It is paid: ship it. Once per order for ever.
        OrderPaid = "order.paid",
        /// Some of its money was given back or lost.
        OrderPartiallyRefunded = "order.partially_refunded",
        /// All of its money was given back.
        OrderRefunded = "order.refunded",
        /// It was called off.
        OrderCancelled = "order.cancelled",
        /// It was not paid in time.
        OrderExpired = "order.expired",
        /// All of it was shipped.
        OrderFulfilled = "order.fulfilled",
        /// It is paid and shipped.
        OrderCompleted = "order.completed",
        /// People have to look at it.
        OrderReview = "order.review",
        /// A checkout session brought money.
        CheckoutSessionCompleted = "checkout_session.completed",
        /// A checkout session can no longer be paid.
        CheckoutSessionExpired = "checkout_session.expired",
        /// A try to pay was refused.
        PaymentFailed = "payment.failed",
        /// Money was captured.
        PaymentCaptured = "payment.captured",
        /// Reserved money was released.
        PaymentVoided = "payment.voided",
        /// Money went back.
        RefundSucceeded = "refund.succeeded",
        /// Money did not go back.
        RefundFailed = "refund.failed",
        /// The customer's bank asks for the money.
        DisputeOpened = "dispute.opened",
        /// A dispute was decided.
        DisputeClosed = "dispute.closed",
    }
}

/// The object an event shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// The order.
    Order,
    /// One of its sessions.
    Session(CheckoutSessionId),
    /// One of its payments.
    Payment(PaymentId),
    /// One of its refunds.
    Refund(RefundId),
}

/// What happened between two states, in the order it is told. `paid_before`: whether `order.paid` has ever
/// been written for this order.
#[must_use]
pub fn happened(
    before: &OrderState,
    after: &OrderState,
    paid_before: bool,
) -> Vec<(EventType, Shown)> {
    let mut events = Vec::new();
    for payment in &after.payments {
        let old = before.payments.iter().find(|old| old.id == payment.id);
        let old_word = old.filter(|old| old.rank.is_some()).map(word_of);
        let word = word_of(payment);
        if payment.rank.is_none() || old_word == Some(word) {
            continue;
        }
        let shown = Shown::Payment(payment.id);
        match word {
            PaymentWord::Captured => events.push((EventType::PaymentCaptured, shown)),
            PaymentWord::Voided | PaymentWord::Expired => {
                events.push((EventType::PaymentVoided, shown));
            }
            PaymentWord::Failed => events.push((EventType::PaymentFailed, shown)),
            PaymentWord::Processing | PaymentWord::Authorized => {}
        }
    }
    for (session, status) in &after.sessions {
        if before.sessions.get(session) == Some(status) {
            continue;
        }
        let shown = Shown::Session(*session);
        match status {
            SessionStatus::Complete => events.push((EventType::CheckoutSessionCompleted, shown)),
            SessionStatus::Expired => events.push((EventType::CheckoutSessionExpired, shown)),
            SessionStatus::Creating
            | SessionStatus::Open
            | SessionStatus::Processing
            | SessionStatus::Failed => {}
        }
    }
    for refund in &after.refunds {
        let old = before.refunds.iter().find(|old| old.id == refund.id);
        if old.map_or(RefundStatus::Pending, |old| old.status) == refund.status {
            continue;
        }
        let shown = Shown::Refund(refund.id);
        match refund.status {
            RefundStatus::Succeeded => events.push((EventType::RefundSucceeded, shown)),
            RefundStatus::Failed => events.push((EventType::RefundFailed, shown)),
            RefundStatus::Pending => {}
        }
    }
    events.extend(dispute_events(before, after));
    if after.counts_as_paid && !paid_before {
        events.push((EventType::OrderPaid, Shown::Order));
    }
    if after.payment_status != before.payment_status {
        events.extend(payment_event(after.payment_status).map(|event| (event, Shown::Order)));
    }
    if after.status != before.status {
        events.extend(status_event(after.status).map(|event| (event, Shown::Order)));
    }
    let asked = after
        .reviews
        .iter()
        .any(|key| !before.reviews.contains(key));
    if asked {
        events.push((EventType::OrderReview, Shown::Order));
    }
    events
}

/// Disputes that are new, and those that were decided; told with their payment.
fn dispute_events(before: &OrderState, after: &OrderState) -> Vec<(EventType, Shown)> {
    let mut events = Vec::new();
    for payment in &after.payments {
        let shown = Shown::Payment(payment.id);
        let known = before.payments.iter().find(|old| old.id == payment.id);
        for dispute in &payment.disputes {
            let old = known.and_then(|known| {
                let mut same = known.disputes.iter();
                same.find(|old| old.object == dispute.object)
            });
            if old.is_none() {
                events.push((EventType::DisputeOpened, shown));
            }
            if !dispute.is_open() && old.is_none_or(|old| old.rank != dispute.rank) {
                events.push((EventType::DisputeClosed, shown));
            }
        }
    }
    events
}

fn payment_event(status: PaymentStatus) -> Option<EventType> {
    match status {
        PaymentStatus::Pending => Some(EventType::OrderPaymentPending),
        PaymentStatus::Authorized => Some(EventType::OrderAuthorized),
        PaymentStatus::PartiallyRefunded => Some(EventType::OrderPartiallyRefunded),
        PaymentStatus::Refunded => Some(EventType::OrderRefunded),
        // `order.paid` is told once for ever, whatever the label does.
        PaymentStatus::Unpaid
        | PaymentStatus::PartiallyPaid
        | PaymentStatus::Paid
        | PaymentStatus::Disputed
        | PaymentStatus::ChargedBack => None,
    }
}

fn status_event(status: OrderStatus) -> Option<EventType> {
    match status {
        OrderStatus::Completed => Some(EventType::OrderCompleted),
        OrderStatus::Cancelled => Some(EventType::OrderCancelled),
        OrderStatus::Expired => Some(EventType::OrderExpired),
        OrderStatus::Open => None,
    }
}

/// An event as callers see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// Always `event`.
    #[schema(example = "event")]
    pub object: &'static str,
    /// What it reports.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The same, under the name Standard Webhooks gives it.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// Its place among the order's events, from 1.
    pub sequence: i64,
    /// The order.
    pub order_id: OrderId,
    /// Whether real money moved.
    pub livemode: bool,
    /// What it is about, as it was then.
    pub data: EventData,
}

/// What an event carries.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EventData {
    /// The object as it was when the event was written.
    #[schema(value_type = Object)]
    pub object: serde_json::Value,
}

#[cfg(test)]
mod tests {
    //! What is told along random histories, and the events of a few whole ones.
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, which is what it is for"
    )]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::EventType as E;
    use super::*;
    use crate::domain::checkout::Capture;
    use crate::domain::order::FulfilmentStatus;
    use crate::domain::settlement::laws::histories::{
        History, OUTSIDE, Object, eur, id, numbered, order_of, simple_order, wild,
    };
    use crate::domain::settlement::laws::path;
    use crate::domain::settlement::{FactDraft, FactKind, Terms, fold};

    /// What is told after each fact; `order.paid` is remembered as the order row remembers it.
    fn told(history: &History) -> Vec<Vec<(EventType, Shown)>> {
        let states = path(history);
        let mut paid = states[0].counts_as_paid;
        let steps = states.iter().zip(&states[1..]);
        steps
            .map(|(before, after)| {
                let events = happened(before, after, paid);
                paid |= after.counts_as_paid;
                events
            })
            .collect()
    }

    proptest! {
        #[test]
        fn order_paid_is_told_once_and_as_soon_as_it_is_true(history in wild()) {
            let states = path(&history);
            let told = told(&history);
            let paid = |events: &Vec<(EventType, Shown)>| {
                events.iter().filter(|event| event.0 == E::OrderPaid).count()
            };
            let first = states.iter().position(|state| state.counts_as_paid);
            for (step, events) in told.iter().enumerate() {
                prop_assert_eq!(paid(events), usize::from(first == Some(step + 1)));
            }
        }

        #[test]
        fn nothing_is_told_when_nothing_changed(history in wild()) {
            for state in path(&history) {
                prop_assert_eq!(happened(&state, &state, state.counts_as_paid), []);
                prop_assert_eq!(happened(&state, &state, true), []);
            }
        }

        #[test]
        fn a_second_report_tells_nothing(history in wild()) {
            let mut again = history.clone();
            again.facts.extend(history.facts.clone());
            let told = told(&again);
            prop_assert!(told[history.facts.len()..].iter().all(Vec::is_empty));
        }

        #[test]
        fn a_payment_is_captured_and_a_session_completed_at_most_once(history in wild()) {
            let mut counts: BTreeMap<(EventType, Shown), u32> = BTreeMap::new();
            for event in told(&history).into_iter().flatten() {
                *counts.entry(event).or_default() += 1;
            }
            let once = [E::PaymentCaptured, E::CheckoutSessionCompleted, E::CheckoutSessionExpired];
            for ((kind, shown), count) in counts {
                prop_assert!(count == 1 || !once.contains(&kind), "{} about {:?}", kind, shown);
                let about = match kind {
                    E::PaymentCaptured
                    | E::PaymentVoided
                    | E::PaymentFailed
                    | E::DisputeOpened
                    | E::DisputeClosed => {
                        matches!(shown, Shown::Payment(_))
                    }
                    E::CheckoutSessionCompleted | E::CheckoutSessionExpired => {
                        matches!(shown, Shown::Session(_))
                    }
                    E::RefundSucceeded | E::RefundFailed => matches!(shown, Shown::Refund(_)),
                    _ => shown == Shown::Order,
                };
                prop_assert!(about, "{} about {:?}", kind, shown);
            }
        }

        #[test]
        fn what_is_told_of_a_refund_is_what_it_became(history in wild()) {
            let states = path(&history);
            for (step, events) in told(&history).into_iter().enumerate() {
                let refunds = states[step].refunds.iter().zip(&states[step + 1].refunds);
                for (before, after) in refunds {
                    let shown = Shown::Refund(after.id);
                    let about = events.iter().filter(|event| event.1 == shown);
                    let about: Vec<EventType> = about.map(|event| event.0).collect();
                    let became = match after.status {
                        status if status == before.status => vec![],
                        RefundStatus::Pending => vec![],
                        RefundStatus::Succeeded => vec![E::RefundSucceeded],
                        RefundStatus::Failed => vec![E::RefundFailed],
                    };
                    prop_assert_eq!(about, became);
                }
            }
        }

        #[test]
        fn what_is_told_of_the_order_is_what_it_became(history in wild()) {
            let states = path(&history);
            for (step, events) in told(&history).into_iter().enumerate() {
                let (before, after) = (&states[step], &states[step + 1]);
                let has = |kind| events.iter().any(|event| event.0 == kind);
                for (kind, status) in [
                    (E::OrderPaymentPending, PaymentStatus::Pending),
                    (E::OrderAuthorized, PaymentStatus::Authorized),
                    (E::OrderPartiallyRefunded, PaymentStatus::PartiallyRefunded),
                    (E::OrderRefunded, PaymentStatus::Refunded),
                ] {
                    let became = after.payment_status == status && before.payment_status != status;
                    prop_assert_eq!(has(kind), became, "{}", kind);
                }
                for (kind, status) in [
                    (E::OrderCancelled, OrderStatus::Cancelled),
                    (E::OrderExpired, OrderStatus::Expired),
                    (E::OrderCompleted, OrderStatus::Completed),
                ] {
                    let became = after.status == status && before.status != status;
                    prop_assert_eq!(has(kind), became, "{}", kind);
                }
                let asked = after.reviews.iter().any(|key| !before.reviews.contains(key));
                prop_assert_eq!(has(E::OrderReview), asked);
            }
        }
    }

    /// The kinds told by each of these drafts, one after the other.
    fn story(terms: &Terms, drafts: Vec<FactDraft>) -> Vec<Vec<EventType>> {
        let facts = numbered(0, drafts);
        let terms = terms.clone();
        let steps = told(&History { terms, facts }).into_iter();
        steps
            .map(|events| events.into_iter().map(|event| event.0).collect())
            .collect()
    }

    #[test]
    fn an_order_that_is_paid_at_once() {
        let terms = simple_order(100);
        let session = |kind| Object::Session(0).said(&terms, kind);
        let captured = Object::Intent(0)
            .said(&terms, FactKind::Captured)
            .of(eur(100));
        let refund = |kind, minor| Object::Refund(0, OUTSIDE).said(&terms, kind).of(eur(minor));
        let told = story(
            &terms,
            vec![
                session(FactKind::Opened),
                Object::Charge(0, 0).said(&terms, FactKind::Declined),
                session(FactKind::Completed),
                captured,
                refund(FactKind::RefundSucceeded, 100),
                refund(FactKind::RefundFailed, 100),
            ],
        );
        let expected = [
            vec![],
            vec![E::PaymentFailed],
            vec![],
            vec![
                E::PaymentCaptured,
                E::CheckoutSessionCompleted,
                E::OrderPaid,
            ],
            vec![E::OrderRefunded, E::OrderCancelled],
            vec![],
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_order_whose_money_is_reserved_first() {
        let mut terms = order_of(100, &[(100, Capture::Manual)]);
        terms.fulfilment = FulfilmentStatus::Fulfilled;
        let intent = |kind, minor| Object::Intent(0).said(&terms, kind).of(eur(minor));
        let told = story(
            &terms,
            vec![
                intent(FactKind::Processing, 100),
                intent(FactKind::Authorized, 100),
                intent(FactKind::Captured, 60),
                intent(FactKind::Voided, 0),
            ],
        );
        let expected = [
            vec![E::OrderPaymentPending],
            vec![E::CheckoutSessionCompleted, E::OrderAuthorized],
            vec![E::PaymentCaptured, E::OrderCompleted],
            vec![],
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn money_for_an_expired_order_is_for_people_and_accepting_it_pays() {
        let terms = simple_order(100);
        let intent = |kind| Object::Intent(0).said(&terms, kind);
        let told = story(
            &terms,
            vec![
                Object::Session(0).said(&terms, FactKind::SessionExpired),
                Object::Order.said(&terms, FactKind::OrderExpired),
                intent(FactKind::Captured).of(eur(100)),
                intent(FactKind::PaymentAccepted),
            ],
        );
        let expected = [
            vec![E::CheckoutSessionExpired],
            vec![E::OrderExpired],
            vec![
                E::PaymentCaptured,
                E::CheckoutSessionCompleted,
                E::OrderReview,
            ],
            vec![E::OrderPaid],
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_reservation_that_ends_is_voided() {
        let terms = order_of(100, &[(100, Capture::Manual)]);
        for kind in [FactKind::Voided, FactKind::Expired] {
            let reserved = Object::Intent(0)
                .said(&terms, FactKind::Authorized)
                .of(eur(100));
            let told = story(&terms, vec![reserved, Object::Intent(0).said(&terms, kind)]);
            assert_eq!(told[1], [E::PaymentVoided], "{kind}");
        }
    }

    #[test]
    fn a_payment_row_nothing_is_known_of_is_no_news() {
        let terms = simple_order(100);
        let without = fold(
            &Terms {
                payments: Vec::new(),
                ..terms.clone()
            },
            &[],
        );
        assert_eq!(happened(&without, &fold(&terms, &[]), false), []);
        let captured = Object::Intent(0)
            .said(&terms, FactKind::Captured)
            .of(eur(100));
        let paid = fold(&terms, &numbered(0, [captured]));
        let first = (E::PaymentCaptured, Shown::Payment(id(0)));
        assert_eq!(happened(&without, &paid, false).first(), Some(&first));
    }
}
