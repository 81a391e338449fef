//! Events: what happened, for other programs and for the order's own story.

use serde::Serialize;

use super::access::words;
use super::checkout::SessionStatus;
use super::ids::{CheckoutSessionId, EventId, OrderId, PaymentId};
use super::order::{OrderStatus, PaymentStatus};
use super::payment::{PaymentWord, word_of};
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
    #[schema(value_type = String, example = "evt_01kq8rm5ahf2aaemq4p7v9w0xg")]
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
    #[schema(value_type = String)]
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
