//! What the fold must say, written a second time: straight down, from the specification and the raw facts,
//! without a look at how the fold does it.

use std::collections::BTreeSet;

use crate::domain::checkout::Capture;
use crate::domain::money::Money;
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use crate::domain::refund::RefundStatus;
use crate::domain::settlement::{Fact, FactKind, PaymentTerms, RefundTerms, Terms};

/// What follows for an order.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub belonging: BTreeSet<String>,
    pub captured: i64,
    pub refunded: i64,
    pub lost: i64,
    pub payment_status: PaymentStatus,
    pub status: OrderStatus,
    pub counts_as_paid: bool,
    /// The status of every refund with a row, and what it takes.
    pub refunds: Vec<(RefundStatus, i64)>,
    /// Refunds of ours that people are asked about.
    pub unreturned: BTreeSet<String>,
}

/// The facts about one intent, with a look-up of amounts in the intent's currency.
struct About<'a> {
    payment: &'a PaymentTerms,
    facts: Vec<&'a Fact>,
}

impl<'a> About<'a> {
    fn new(payment: &'a PaymentTerms, facts: &'a [Fact]) -> Self {
        let facts = facts.iter();
        let facts = facts.filter(|fact| fact.said.intent.as_ref() == Some(&payment.intent));
        About {
            payment,
            facts: facts.collect(),
        }
    }

    fn has(&self, kind: FactKind) -> bool {
        self.facts.iter().any(|fact| fact.said.kind == kind)
    }

    fn most(&self, object: Option<&str>, kind: FactKind) -> i64 {
        let mut most = 0;
        for fact in &self.facts {
            let meant = object.is_none_or(|object| fact.said.object == object);
            if meant && fact.said.kind == kind {
                let amount = fact.said.amount.map_or(0, |amount| {
                    let same = amount.currency() == self.payment.requested.currency();
                    if same { Money::minor(amount) } else { 0 }
                });
                most = most.max(amount);
            }
        }
        most
    }

    fn objects_with(&self, kind: FactKind) -> BTreeSet<&str> {
        let facts = self.facts.iter().filter(|fact| fact.said.kind == kind);
        facts.map(|fact| fact.said.object.as_str()).collect()
    }

    fn captured(&self) -> i64 {
        self.most(None, FactKind::Captured)
    }

    fn refunded(&self) -> i64 {
        let failed = self.objects_with(FactKind::RefundFailed);
        let cancelled = self.objects_with(FactKind::RefundCancelled);
        let mut sum = 0;
        for refund in self.objects_with(FactKind::RefundSucceeded) {
            if !failed.contains(refund) && !cancelled.contains(refund) {
                sum += self.most(Some(refund), FactKind::RefundSucceeded);
            }
        }
        sum
    }

    fn gone_to(&self, dispute: &str) -> i64 {
        let withdrawn = self.most(Some(dispute), FactKind::DisputeWithdrawn);
        let reinstated = self.most(Some(dispute), FactKind::DisputeReinstated);
        (withdrawn - reinstated).max(0)
    }

    fn lost(&self) -> i64 {
        let lost = self.objects_with(FactKind::DisputeLost);
        lost.into_iter().map(|dispute| self.gone_to(dispute)).sum()
    }

    fn is_disputed(&self) -> bool {
        let warned = self.objects_with(FactKind::DisputeWarningClosed);
        let won = self.objects_with(FactKind::DisputeWon);
        let lost = self.objects_with(FactKind::DisputeLost);
        let taken = self.objects_with(FactKind::DisputeWithdrawn);
        taken.into_iter().any(|dispute| {
            let decided =
                warned.contains(dispute) || won.contains(dispute) || lost.contains(dispute);
            !decided && self.gone_to(dispute) > 0
        })
    }

    /// Authorized or processing and nothing stronger.
    fn is_at(&self, kind: FactKind) -> bool {
        let stronger: &[FactKind] = match kind {
            FactKind::Processing => &[
                FactKind::Authorized,
                FactKind::Failed,
                FactKind::Voided,
                FactKind::Expired,
                FactKind::Captured,
            ],
            _ => &[
                FactKind::Failed,
                FactKind::Voided,
                FactKind::Expired,
                FactKind::Captured,
            ],
        };
        self.has(kind) && !stronger.iter().any(|kind| self.has(*kind))
    }
}

pub fn expected(terms: &Terms, facts: &[Fact]) -> Expected {
    let has = |kind| facts.iter().any(|fact| fact.said.kind == kind);
    let abouts: Vec<About> = terms
        .payments
        .iter()
        .map(|p| About::new(p, facts))
        .collect();
    let accepted = accepted(terms, facts);
    let reopened = abouts
        .iter()
        .any(|about| about.captured() > 0 && accepted.contains(&about.payment.intent));
    let ended = has(FactKind::OrderCancelled) || has(FactKind::OrderExpired);
    let closed = ended && !reopened;
    let belonging = belonging(terms, facts, (ended, closed), &accepted, &abouts);
    let ours: Vec<&About> = abouts
        .iter()
        .filter(|about| belonging.contains(&about.payment.intent))
        .collect();
    let captured: i64 = ours.iter().map(|about| about.captured()).sum();
    let refunded: i64 = ours.iter().map(|about| about.refunded()).sum();
    let lost: i64 = ours.iter().map(|about| about.lost()).sum();
    let valid_at = |kind| {
        let mut valid = abouts.iter().filter(|about| is_valid(terms, about.payment));
        valid.any(|about| about.is_at(kind))
    };
    let total = terms.total.minor();
    let payment_status = label(&Amounts {
        total,
        captured,
        refunded,
        lost,
        disputed: ours.iter().any(|about| about.is_disputed()),
        authorized: valid_at(FactKind::Authorized),
        pending: valid_at(FactKind::Processing),
    });
    let by_hand = ours.iter().any(|about| {
        let session = about.payment.session;
        let mut sessions = terms.sessions.iter().filter(|s| Some(s.id) == session);
        sessions.any(|session| session.capture == Capture::Manual)
    });
    let status = if closed && has(FactKind::OrderCancelled) {
        OrderStatus::Cancelled
    } else if closed {
        OrderStatus::Expired
    } else if terms.fulfilment == FulfilmentStatus::Fulfilled && (captured >= total || by_hand) {
        OrderStatus::Completed
    } else if terms.fulfilment == FulfilmentStatus::Unfulfilled
        && captured > 0
        && refunded >= captured
    {
        OrderStatus::Cancelled
    } else {
        OrderStatus::Open
    };
    let free = total == 0 && !closed;
    let refunds: Vec<(RefundStatus, i64)> = terms
        .refunds
        .iter()
        .map(|refund| match refund_status(refund, facts) {
            RefundStatus::Failed => (RefundStatus::Failed, 0),
            status => (status, most_of(refund, facts)),
        })
        .collect();
    Expected {
        unreturned: unreturned(terms, &refunds, &abouts),
        refunds,
        belonging,
        captured,
        refunded,
        lost,
        payment_status,
        status,
        counts_as_paid: free || (captured >= total && refunded + lost < captured),
    }
}

/// The largest amount that was asked for or said of a refund.
fn most_of(refund: &RefundTerms, facts: &[Fact]) -> i64 {
    let mut most = refund.amount.minor();
    for fact in facts {
        let named = fact.said.refund == Some(refund.id)
            || Some(&fact.said.object) == refund.object.as_ref();
        let about = matches!(
            fact.said.kind,
            FactKind::RefundPending
                | FactKind::RefundSucceeded
                | FactKind::RefundFailed
                | FactKind::RefundCancelled
        );
        if let Some(amount) = fact.said.amount
            && named
            && about
            && amount.currency() == refund.amount.currency()
        {
            most = most.max(amount.minor());
        }
    }
    most
}

/// The provider's last word on a refund; ours where it said none.
fn refund_status(refund: &RefundTerms, facts: &[Fact]) -> RefundStatus {
    for by_provider in [true, false] {
        let said = |kind| {
            facts.iter().any(|fact| {
                let named = fact.said.refund == Some(refund.id)
                    || Some(&fact.said.object) == refund.object.as_ref();
                let ours = fact.said.object == refund.id.to_string();
                let currency = fact.said.amount.map(|amount| amount.currency());
                let same = currency.is_none_or(|code| code == refund.amount.currency());
                named && same && ours != by_provider && fact.said.kind == kind
            })
        };
        if said(FactKind::RefundFailed) || said(FactKind::RefundCancelled) {
            return RefundStatus::Failed;
        }
        if said(FactKind::RefundSucceeded) {
            return RefundStatus::Succeeded;
        }
        if said(FactKind::RefundPending) {
            return RefundStatus::Pending;
        }
    }
    RefundStatus::Pending
}

/// Refunds of ours that failed, each without a later one in its place: the one sent for it again, or the first of its
/// amount that nobody else has.
/// Nobody is asked about a payment all of whose money is gone.
fn unreturned(
    terms: &Terms,
    refunds: &[(RefundStatus, i64)],
    abouts: &[About<'_>],
) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut rows: Vec<(&RefundTerms, bool)> = Vec::new();
    for (refund, (status, _)) in terms.refunds.iter().zip(refunds) {
        if refund.ours {
            rows.push((refund, *status == RefundStatus::Failed));
        }
    }
    rows.sort_by_key(|(refund, _)| refund.id);
    for (refund, failed) in &rows {
        let again = rows
            .iter()
            .any(|(other, _)| other.repeats == Some(refund.id));
        if !failed || again {
            continue;
        }
        let mut heir = None;
        for (other, failed) in &rows {
            let like = other.payment == refund.payment && other.amount == refund.amount;
            let free = other.repeats.is_none() && !taken.contains(&other.id);
            if heir.is_none() && other.id > refund.id && like && free && !failed {
                heir = Some(other.id);
            }
        }
        let mut gone = false;
        for about in abouts {
            let captured = about.captured();
            let all = captured > 0 && about.refunded() + about.lost() >= captured;
            gone |= about.payment.id == refund.payment && all;
        }
        if !heir.is_some_and(|heir| taken.insert(heir)) && !gone {
            asked.insert(refund.id.to_string());
        }
    }
    asked
}

fn is_valid(terms: &Terms, payment: &PaymentTerms) -> bool {
    let mut sessions = terms.sessions.iter();
    sessions.any(|session| {
        Some(session.id) == payment.session
            && session.amount.minor() == payment.requested.minor()
            && session.amount.currency() == payment.requested.currency()
    })
}

fn accepted(terms: &Terms, facts: &[Fact]) -> BTreeSet<String> {
    let mut accepted = BTreeSet::new();
    for fact in facts {
        if fact.said.kind == FactKind::PaymentAccepted {
            accepted.insert(fact.said.object.clone());
        }
    }
    for payment in &terms.payments {
        if payment.requested.currency() != terms.total.currency() {
            accepted.remove(&payment.intent);
        }
    }
    accepted
}

fn belonging(
    terms: &Terms,
    facts: &[Fact],
    (ended, closed): (bool, bool),
    accepted: &BTreeSet<String>,
    abouts: &[About],
) -> BTreeSet<String> {
    let given_back = |intent: &str, from_suspense: bool| {
        facts.iter().any(|fact| {
            let refund = matches!(
                fact.said.kind,
                FactKind::RefundPending
                    | FactKind::RefundSucceeded
                    | FactKind::RefundFailed
                    | FactKind::RefundCancelled
            );
            let wanted = fact
                .said
                .refund
                .is_some_and(|id| terms.suspense_refunds.contains(&id) == from_suspense);
            refund && wanted && fact.said.intent.as_deref() == Some(intent)
        })
    };
    let place = |intent: &str| {
        if accepted.contains(intent) || given_back(intent, false) {
            0
        } else if given_back(intent, true) {
            2
        } else {
            1
        }
    };
    let by_age = |wanted: u8| {
        let chosen = abouts
            .iter()
            .filter(|about| place(&about.payment.intent) == wanted);
        let mut chosen: Vec<&About> = chosen.filter(|about| about.captured() > 0).collect();
        chosen.sort_by_key(|about| {
            let session = about.payment.session;
            (session.is_none(), session, about.payment.intent.clone())
        });
        chosen
    };
    let total = if closed { 0 } else { terms.total.minor() };
    let mut sum = 0;
    let mut belonging = BTreeSet::new();
    for about in by_age(0) {
        let fits = is_valid(terms, about.payment) && sum + about.captured() <= total;
        if fits || accepted.contains(&about.payment.intent) {
            sum += about.captured();
            belonging.insert(about.payment.intent.clone());
        }
    }
    for wanted in [1, 2] {
        let mut rest = by_age(wanted);
        rest.retain(|about| is_valid(terms, about.payment));
        // What somebody gives back of a closed order's does not come back with it.
        let returned = |about: &About| {
            let mut refunds = terms.refunds.iter();
            given_back(&about.payment.intent, true)
                || refunds.any(|refund| {
                    refund.payment == about.payment.id
                        && terms.suspense_refunds.contains(&refund.id)
                })
        };
        rest.retain(|about| !ended || !returned(about));
        // Every choice there is, each a row of yes and no; the largest is compared by its sum, then its oldest.
        let mut best: (i64, Vec<bool>) = (0, vec![false; rest.len()]);
        for choice in 0..1_usize << rest.len() {
            let taken: Vec<bool> = (0..rest.len()).map(|at| choice >> at & 1 == 1).collect();
            let chosen = rest.iter().zip(&taken).filter(|(_, taken)| **taken);
            let reached: i64 = chosen.map(|(about, _)| about.captured()).sum();
            if sum + reached <= total {
                best = best.max((reached, taken));
            }
        }
        sum += best.0;
        let chosen = rest.iter().zip(best.1).filter(|(_, taken)| *taken);
        belonging.extend(chosen.map(|(about, _)| about.payment.intent.clone()));
    }
    belonging
}

/// What the payment status is told from.
#[derive(Debug, Clone, Copy)]
pub struct Amounts {
    pub total: i64,
    pub captured: i64,
    pub refunded: i64,
    pub lost: i64,
    pub disputed: bool,
    pub authorized: bool,
    pub pending: bool,
}

/// The payment status, line by line.
pub fn label(seen: &Amounts) -> PaymentStatus {
    if seen.disputed {
        return PaymentStatus::Disputed;
    }
    if seen.lost > 0 && seen.captured - seen.refunded - seen.lost <= 0 {
        return PaymentStatus::ChargedBack;
    }
    if seen.captured > 0 && seen.refunded >= seen.captured {
        return PaymentStatus::Refunded;
    }
    if seen.refunded + seen.lost > 0 {
        return PaymentStatus::PartiallyRefunded;
    }
    if seen.captured >= seen.total {
        return PaymentStatus::Paid;
    }
    if seen.captured > 0 {
        return PaymentStatus::PartiallyPaid;
    }
    if seen.authorized {
        return PaymentStatus::Authorized;
    }
    if seen.pending {
        return PaymentStatus::Pending;
    }
    PaymentStatus::Unpaid
}
