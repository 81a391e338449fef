//! Which captured money is the order's.
//!
//! A payment is valid when its intent asks for exactly what its session was made to charge. Valid captured
//! payments belong to the order while their sum stays within its total; the rest is in suspense until people or
//! a policy decide. A cancelled or expired order has a total of nothing. Once staff accepted a payment of it, it is open
//! again, and what its total still lacks may be paid like before: were it taken for nobody's, each try would be given back.
//! What somebody began to give back while it was closed stays out of it.
//!
//! Where not all of them fit, those a decision names come first, by the age of their sessions. Of the others as
//! much as can be belongs, and of two choices of one sum the one with the older session. Last come those that a
//! policy or people give back out of suspense: they do so because the money is nobody's, and it must not push out
//! what was kept instead.
//!
//! *As much as can be* is what keeps a paid order paid. Captures can arrive in any order and all orders must end in
//! one state, so a late capture through an older session may take the place of money that had belonged: after a
//! partial capture two more sessions can each charge the rest. If age alone decided, a late and small one would
//! push out the one that made the order whole, and the order would owe again for goods that have left. By the
//! sum, a late capture can only keep or raise what is paid; what it displaces was paid twice, and is asked about
//! and given back like any other duplicate.

use std::collections::BTreeSet;

use super::facts::{Fact, FactKind};
use super::fold::PaymentState;
use super::{PaymentTerms, Terms};
use crate::domain::ids::RefundId;
use crate::domain::money::Money;

/// Whether a decision of ours to close an order was taken back, by accepting money that came after it.
pub(super) fn reopens(terms: &Terms, facts: &[Fact], payments: &[PaymentState]) -> bool {
    let accepted = accepted(facts);
    let mut captured = terms.payments.iter().zip(payments);
    captured.any(|(payment, state)| {
        let accepted = accepted.contains(payment.intent.as_str());
        accepted && same_currency(terms, payment) && state.captured_minor > 0
    })
}

/// Whether an order takes money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It does.
    Open,
    /// It was cancelled, or has expired.
    Closed,
    /// It had been closed, and staff accepted money that came after that.
    Reopened,
}

/// Marks the payments whose captured money is the order's.
pub(super) fn mark(terms: &Terms, facts: &[Fact], life: Life, payments: &mut [PaymentState]) {
    let accepted = accepted(facts);
    let wanted_refund = wanted_by_refund(terms, facts);
    let given_back = given_back_from_suspense(terms, facts);
    let mut order: Vec<usize> = (0..payments.len()).collect();
    let rank = |at: &usize| {
        let payment = terms.payments.get(*at);
        let intent = payment.map_or("", |payment| payment.intent.as_str());
        let session = payment.and_then(|payment| payment.session);
        // The intent, not our id of it, which depends on which was seen first.
        (session.is_none(), session, intent)
    };
    order.sort_by_key(rank);
    let mut sum: i64 = 0;
    let total = match life {
        Life::Closed => 0,
        Life::Open | Life::Reopened => terms.total.minor(),
    };
    let (mut others, mut last) = (Vec::new(), Vec::new());
    for at in order {
        let (Some(payment), Some(state)) = (terms.payments.get(at), payments.get_mut(at)) else {
            continue;
        };
        let intent = payment.intent.as_str();
        state.accepted = accepted.contains(intent) && same_currency(terms, payment);
        if state.captured_minor == 0 {
            continue;
        }
        let reached = sum.saturating_add(state.captured_minor);
        if accepted.contains(intent) || wanted_refund.contains(intent) {
            state.belongs = state.accepted || (state.valid && reached <= total);
            if state.belongs {
                sum = reached;
            }
        } else if life == Life::Reopened && is_being_returned(terms, payment, &given_back) {
            // It was nobody's when somebody began to give it back, and goods must not leave for it now.
        } else if state.valid {
            let rest = if given_back.contains(intent) {
                &mut last
            } else {
                &mut others
            };
            rest.push((at, state.captured_minor));
        }
    }
    for rest in [others, last] {
        for at in fullest(&rest, total.saturating_sub(sum)) {
            if let Some(state) = payments.get_mut(at) {
                state.belongs = true;
                sum = sum.saturating_add(state.captured_minor);
            }
        }
    }
}

/// Whether a payment's money is given back out of suspense, or is about to be.
fn is_being_returned(terms: &Terms, payment: &PaymentTerms, given_back: &BTreeSet<&str>) -> bool {
    let begun = terms
        .refunds
        .iter()
        .any(|refund| refund.payment == payment.id && terms.suspense_refunds.contains(&refund.id));
    begun || given_back.contains(payment.intent.as_str())
}

/// How many payments are weighed against each other: the number of possible sums may double with each. An order
/// takes a further session only while something is missing, so it has a few; beyond this only what still fits counts.
const WEIGHED: usize = 16;

/// Of amounts, oldest first, those whose sum comes closest to `room` without going beyond it; of two such choices
/// the one that has the older.
fn fullest(amounts: &[(usize, i64)], room: i64) -> Vec<usize> {
    let (weighed, more) = amounts.split_at(amounts.len().min(WEIGHED));
    // What each amount and those after it can sum to.
    let mut sums = vec![BTreeSet::from([0])];
    for (_, amount) in weighed.iter().rev() {
        let without = sums.last().cloned().unwrap_or_default();
        let with = without.iter().map(|sum: &i64| sum.saturating_add(*amount));
        let with: Vec<i64> = with.filter(|sum| *sum <= room).collect();
        sums.push(without.into_iter().chain(with).collect());
    }
    let best = sums.pop().and_then(|sums| sums.last().copied());
    let mut missing = best.unwrap_or(0);
    let mut left = room.saturating_sub(missing);
    let mut chosen = Vec::new();
    for (at, amount) in weighed {
        let after = missing.saturating_sub(*amount);
        if sums.pop().is_some_and(|sums| sums.contains(&after)) {
            chosen.push(*at);
            missing = after;
        }
    }
    for (at, amount) in more {
        if *amount <= left {
            chosen.push(*at);
            left = left.saturating_sub(*amount);
        }
    }
    chosen
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

/// Intents refunded through our API while they were the order's: whoever wished it took them for that.
fn wanted_by_refund<'a>(terms: &Terms, facts: &'a [Fact]) -> BTreeSet<&'a str> {
    refunded(facts, |refund| !terms.suspense_refunds.contains(&refund))
}

/// Intents given back while they were nobody's.
fn given_back_from_suspense<'a>(terms: &Terms, facts: &'a [Fact]) -> BTreeSet<&'a str> {
    refunded(facts, |refund| terms.suspense_refunds.contains(&refund))
}

/// Intents with facts about chosen refunds of ours.
fn refunded(facts: &[Fact], chosen: impl Fn(RefundId) -> bool) -> BTreeSet<&str> {
    facts
        .iter()
        .filter(|fact| fact.said.kind.refund_rank().is_some())
        .filter(|fact| fact.said.refund.is_some_and(&chosen))
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
