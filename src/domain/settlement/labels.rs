//! The two words an order is filed under: its status and its payment status.

use super::Terms;
use super::facts::{Fact, FactKind};
use super::fold::PaymentState;
use crate::domain::checkout::Capture;
use crate::domain::money::Money;
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus};

/// The payment status, the first that matches. C: captured and the order's; R: of it refunded; L: of it lost
/// in disputes.
///
/// | when | status |
/// |---|---|
/// | an open dispute has taken money | disputed |
/// | L > 0 and C − R − L ≤ 0 | charged_back |
/// | C > 0 and R ≥ C | refunded |
/// | R + L > 0 | partially_refunded |
/// | C ≥ total | paid |
/// | C > 0 | partially_paid |
/// | a valid payment is authorized | authorized |
/// | a valid payment is processing | pending |
/// | otherwise | unpaid |
pub(super) fn payment_status(
    total: i64,
    captured: i64,
    refunded: i64,
    lost: i64,
    payments: &[PaymentState],
) -> PaymentStatus {
    let under_dispute = payments
        .iter()
        .filter(|payment| payment.belongs)
        .flat_map(|payment| &payment.disputes)
        .any(|dispute| dispute.is_open() && dispute.net_withdrawn_minor > 0);
    let gone = refunded.saturating_add(lost);
    let any_valid = |kind| {
        payments
            .iter()
            .any(|payment| payment.valid && payment.rank == Some(kind))
    };
    if under_dispute {
        PaymentStatus::Disputed
    } else if lost > 0 && captured <= gone {
        PaymentStatus::ChargedBack
    } else if captured > 0 && refunded >= captured {
        PaymentStatus::Refunded
    } else if gone > 0 {
        PaymentStatus::PartiallyRefunded
    } else if captured >= total {
        PaymentStatus::Paid
    } else if captured > 0 {
        PaymentStatus::PartiallyPaid
    } else if any_valid(FactKind::Authorized) {
        PaymentStatus::Authorized
    } else if any_valid(FactKind::Processing) {
        PaymentStatus::Pending
    } else {
        PaymentStatus::Unpaid
    }
}

/// The order's status: cancelled and expired are decisions, which an accepted late payment takes back; a full
/// refund of goods that were not shipped cancels; goods that were shipped and paid complete.
pub(super) fn order_status(
    terms: &Terms,
    facts: &[Fact],
    closed: bool,
    payments: &[PaymentState],
    (captured, refunded): (Money, Money),
) -> OrderStatus {
    let (captured, refunded) = (captured.minor(), refunded.minor());
    let cancels = |fact: &Fact| fact.said.kind == FactKind::OrderCancelled;
    if closed && facts.iter().any(cancels) {
        return OrderStatus::Cancelled;
    }
    if closed {
        return OrderStatus::Expired;
    }
    match terms.fulfilment {
        FulfilmentStatus::Fulfilled if settled(terms, payments, captured) => OrderStatus::Completed,
        FulfilmentStatus::Unfulfilled if captured > 0 && refunded >= captured => {
            OrderStatus::Cancelled
        }
        FulfilmentStatus::Fulfilled
        | FulfilmentStatus::PartiallyFulfilled
        | FulfilmentStatus::Unfulfilled => OrderStatus::Open,
    }
}

/// Nothing more will be captured: everything was, or a manual capture, which is final, took its part.
fn settled(terms: &Terms, payments: &[PaymentState], captured: i64) -> bool {
    let manual = terms.payments.iter().zip(payments).any(|(payment, state)| {
        let session = terms.session_of(payment);
        state.belongs && session.is_some_and(|session| session.capture == Capture::Manual)
    });
    captured >= terms.total.minor() || manual
}
