//! Which captured money is the order's.
//!
//! A payment is valid when its intent asks for exactly what its session was made to charge. Valid captured
//! payments belong to the order while their sum stays within its total; the rest is in suspense until people or
//! a policy decide. A cancelled or expired order has a total of nothing, unless staff accepted a payment.

use std::collections::BTreeSet;

use super::facts::{Fact, FactKind};
use super::fold::PaymentState;
use super::{PaymentTerms, Terms};
use crate::domain::money::Money;

/// Marks the payments whose captured money is the order's.
pub(super) fn mark(terms: &Terms, facts: &[Fact], closed: bool, payments: &mut [PaymentState]) {
    let accepted = accepted(facts);
    let wanted_refund = wanted_by_refund(terms, facts);
    let mut order: Vec<usize> = (0..payments.len()).collect();
    let rank = |at: &usize| {
        let payment = terms.payments.get(*at);
        let intent = payment.map_or("", |payment| payment.intent.as_str());
        let named = accepted.contains(intent) || wanted_refund.contains(intent);
        let session = payment.and_then(|payment| payment.session);
        // The intent, not our id of it, which depends on which was seen first.
        (!named, session.is_none(), session, intent)
    };
    order.sort_by_key(rank);
    let total = if closed { 0 } else { terms.total.minor() };
    let mut sum: i64 = 0;
    for at in order {
        let (Some(payment), Some(state)) = (terms.payments.get(at), payments.get_mut(at)) else {
            continue;
        };
        state.accepted =
            accepted.contains(payment.intent.as_str()) && same_currency(terms, payment);
        if state.captured_minor == 0 {
            continue;
        }
        let reached = sum.saturating_add(state.captured_minor);
        state.belongs = state.accepted || (state.valid && reached <= total);
        if state.belongs {
            sum = reached;
        }
    }
}

/// A wrong currency cannot be accepted, only refunded.
fn same_currency(terms: &Terms, payment: &PaymentTerms) -> bool {
    payment.requested.currency() == terms.total.currency()
}

fn accepted(facts: &[Fact]) -> BTreeSet<&str> {
    facts
        .iter()
        .filter(|fact| fact.said.kind == FactKind::PaymentAccepted)
        .map(|fact| fact.said.object.as_str())
        .collect()
}

/// Intents refunded through our API on somebody's wish: they took the payment for the order's.
fn wanted_by_refund<'a>(terms: &Terms, facts: &'a [Fact]) -> BTreeSet<&'a str> {
    facts
        .iter()
        .filter(|fact| fact.said.kind.refund_rank().is_some())
        .filter(|fact| {
            let ours = fact.said.refund;
            ours.is_some_and(|refund| !terms.policy_refunds.contains(&refund))
        })
        .filter_map(|fact| fact.said.intent.as_deref())
        .collect()
}

/// What of a list of payments belongs, summed by a chosen amount.
pub(super) fn sum_of(
    currency_of: Money,
    payments: &[PaymentState],
    amount: impl Fn(&PaymentState) -> i64,
) -> Money {
    let sum = payments
        .iter()
        .filter(|payment| payment.belongs)
        .fold(0_i64, |sum, payment| sum.saturating_add(amount(payment)));
    Money::new(sum, currency_of.currency())
}
