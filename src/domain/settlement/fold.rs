//! The fold: a whole fact set to one state. Total, pure and independent of the order of facts.

use std::collections::BTreeMap;

use super::belonging::{self, Life};
use super::facts::{Fact, FactKind};
use super::labels;
use super::reviews::{self, ReviewKey};
use super::{PaymentTerms, RefundTerms, SessionTerms, Terms};
use crate::domain::checkout::SessionStatus;
use crate::domain::ids::{CheckoutSessionId, PaymentId, RefundId};
use crate::domain::money::Money;
use crate::domain::order::{OrderStatus, PaymentStatus};
use crate::domain::refund::RefundStatus;

/// Everything that follows from an order's facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    /// Where the order stands.
    pub status: OrderStatus,
    /// Where its money stands.
    pub payment_status: PaymentStatus,
    /// Reserved, not yet captured or released.
    pub authorized: Money,
    /// Captured and the order's, not lowered by refunds.
    pub paid: Money,
    /// Of it, given back.
    pub refunded: Money,
    /// Of it, taken by disputes and not given back.
    pub disputed: Money,
    /// Whether, by now, shops may ship on it: everything is captured and not all of it is gone again.
    pub counts_as_paid: bool,
    /// Every session's status.
    pub sessions: BTreeMap<CheckoutSessionId, SessionStatus>,
    /// Every payment's state, in the order of the terms.
    pub payments: Vec<PaymentState>,
    /// Every refund's state, in the order of the terms.
    pub refunds: Vec<RefundState>,
    /// The questions that are open by now.
    pub reviews: Vec<ReviewKey>,
}

/// Everything that follows from the facts about one refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundState {
    /// Our refund.
    pub id: RefundId,
    /// The payment it goes back from.
    pub payment: PaymentId,
    /// Whether we asked for it.
    pub ours: bool,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why it failed, as a short code.
    pub failure_reason: Option<String>,
    /// How much of the payment it takes or may still take, in minor units: nothing once it failed.
    pub taken_minor: i64,
}

/// Everything that follows from the facts about one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentState {
    /// Our payment.
    pub id: PaymentId,
    /// The currency of its amounts.
    pub requested: Money,
    /// The strongest thing known; none while nothing is.
    pub rank: Option<FactKind>,
    /// Why a try was refused, while nothing stronger is known.
    pub failure_code: Option<String>,
    /// Its intent asks for exactly what its session was made to charge.
    pub valid: bool,
    /// Staff said it is the order's.
    pub accepted: bool,
    /// Its captured money is the order's.
    pub belongs: bool,
    /// Reserved and still capturable, in minor units.
    pub authorized_minor: i64,
    /// Captured in all, in minor units.
    pub captured_minor: i64,
    /// Given back by refunds that succeeded, in minor units.
    pub refunded_minor: i64,
    /// Asked to be given back and not yet decided, in minor units.
    pub refund_pending_minor: i64,
    /// Kept by the provider, in minor units.
    pub fee_minor: i64,
    /// Its disputes.
    pub disputes: Vec<DisputeState>,
}

/// Everything that follows from the facts about one dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeState {
    /// The provider's id.
    pub object: String,
    /// The strongest thing known.
    pub rank: FactKind,
    /// Taken in all, in minor units.
    pub withdrawn_minor: i64,
    /// Given back in all, in minor units.
    pub reinstated_minor: i64,
    /// Taken and not given back, in minor units.
    pub net_withdrawn_minor: i64,
}

impl DisputeState {
    /// Whether nothing is decided yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rank == FactKind::DisputeOpened
    }

    /// Whether something is still to come: the decision, or the money back that was won.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.is_open() || (!self.is_lost() && self.net_withdrawn_minor > 0)
    }

    /// Whether the money is gone for good.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.rank == FactKind::DisputeLost
    }
}

impl PaymentState {
    /// Taken by disputes and not given back, in minor units.
    #[must_use]
    pub fn net_withdrawn_minor(&self) -> i64 {
        self.disputes.iter().fold(0, |sum, dispute| {
            sum.saturating_add(dispute.net_withdrawn_minor)
        })
    }

    /// Lost in disputes, in minor units.
    #[must_use]
    pub fn lost_minor(&self) -> i64 {
        let lost = self.disputes.iter().filter(|dispute| dispute.is_lost());
        lost.fold(0, |sum, dispute| {
            sum.saturating_add(dispute.net_withdrawn_minor)
        })
    }

    /// What of the captured money is not gone for good, in minor units: a dispute that is not decided may give
    /// back what it took.
    #[must_use]
    pub fn unsettled_minor(&self) -> i64 {
        self.captured_minor
            .saturating_sub(self.refunded_minor)
            .saturating_sub(self.lost_minor())
    }

    /// What of the captured money is still here, in minor units.
    #[must_use]
    pub fn kept_minor(&self) -> i64 {
        self.captured_minor
            .saturating_sub(self.refunded_minor)
            .saturating_sub(self.net_withdrawn_minor())
    }
}

/// Folds an order's whole fact set.
#[must_use]
pub fn fold(terms: &Terms, facts: &[Fact]) -> OrderState {
    let has = |kind| facts.iter().any(|fact| fact.said.kind == kind);
    let mut payments: Vec<PaymentState> = terms
        .payments
        .iter()
        .map(|payment| payment_state(terms, payment, facts))
        .collect();
    let ended = has(FactKind::OrderCancelled) || has(FactKind::OrderExpired);
    let life = match (ended, belonging::reopens(terms, facts, &payments)) {
        (false, _) => Life::Open,
        (true, true) => Life::Reopened,
        (true, false) => Life::Closed,
    };
    let closed = life == Life::Closed;
    belonging::mark(terms, facts, life, &mut payments);

    let paid = belonging::sum_of(terms.total, &payments, |payment| payment.captured_minor);
    let refunded = belonging::sum_of(terms.total, &payments, |payment| payment.refunded_minor);
    let lost = belonging::sum_of(terms.total, &payments, PaymentState::lost_minor);
    let disputed = belonging::sum_of(terms.total, &payments, PaymentState::net_withdrawn_minor);
    let authorized = payments
        .iter()
        .filter(|payment| payment.valid)
        .fold(0_i64, |sum, payment| {
            sum.saturating_add(payment.authorized_minor)
        });
    let sessions = terms
        .sessions
        .iter()
        .map(|session| (session.id, session_status(terms, session, facts)))
        .collect();
    let gone = refunded.minor().saturating_add(lost.minor());
    let refunds: Vec<RefundState> = terms
        .refunds
        .iter()
        .map(|refund| refund_state(refund, facts))
        .collect();
    OrderState {
        status: labels::order_status(terms, facts, closed, &payments, (paid, refunded)),
        payment_status: labels::payment_status(
            terms.total.minor(),
            paid.minor(),
            refunded.minor(),
            lost.minor(),
            &payments,
        ),
        authorized: Money::new(authorized, terms.total.currency()),
        paid,
        refunded,
        disputed,
        counts_as_paid: terms.total.is_zero() && !closed
            || paid.minor() >= terms.total.minor() && gone < paid.minor(),
        sessions,
        reviews: reviews::open_questions(terms, facts, closed, &payments, &refunds),
        payments,
        refunds,
    }
}

/// A refund's state: the strongest thing known of it; pending while nothing is.
fn refund_state(refund: &RefundTerms, facts: &[Fact]) -> RefundState {
    let about: Vec<&Fact> = facts
        .iter()
        .filter(|fact| fact.said.kind.refund_rank().is_some())
        .filter(|fact| {
            let named = refund.object.as_deref() == Some(fact.said.object.as_str());
            named || fact.said.refund == Some(refund.id)
        })
        // What is said of other money than goes back proves nothing of it.
        .filter(|fact| {
            let amount = fact.said.amount;
            amount.is_none_or(|said| said.currency() == refund.amount.currency())
        })
        .collect();
    // What the provider says of the refund itself outweighs our belief that it never made it.
    let ours = refund.id.to_string();
    let seen = about.iter().filter(|fact| fact.said.object != ours);
    let seen = seen.map(|fact| fact.said.kind);
    let believed = about.iter().map(|fact| fact.said.kind);
    let strongest = seen
        .max_by_key(|kind| kind.refund_rank())
        .or_else(|| believed.max_by_key(|kind| kind.refund_rank()));
    let status = match strongest {
        Some(FactKind::RefundSucceeded) => RefundStatus::Succeeded,
        Some(FactKind::RefundFailed | FactKind::RefundCancelled) => RefundStatus::Failed,
        _ => RefundStatus::Pending,
    };
    let code = about.iter().filter_map(|fact| fact.said.code.clone()).min();
    let failed = status == RefundStatus::Failed;
    // More may go back than was asked for: it is gone all the same, and must not be promised again.
    let amounts = about.iter().filter_map(|fact| fact.said.amount);
    let said = amounts.map(Money::minor).max();
    let taken = refund.amount.minor().max(said.unwrap_or(0));
    RefundState {
        id: refund.id,
        payment: refund.payment,
        ours: refund.ours,
        status,
        failure_reason: code.filter(|_| failed),
        taken_minor: if failed { 0 } else { taken },
    }
}

fn payment_state(terms: &Terms, payment: &PaymentTerms, facts: &[Fact]) -> PaymentState {
    let about: Vec<&Fact> = facts
        .iter()
        .filter(|fact| fact.said.intent.as_deref() == Some(payment.intent.as_str()))
        .collect();
    let strongest = about
        .iter()
        .filter(|fact| fact.said.kind.payment_rank().is_some())
        .map(|fact| fact.said.kind)
        .max_by_key(|kind| kind.payment_rank());
    let in_currency = |fact: &Fact| {
        let amount = fact.said.amount;
        let amount = amount.filter(|a| a.currency() == payment.requested.currency());
        amount.map_or(0, Money::minor)
    };
    let largest = |kind: FactKind| {
        let amounts = about.iter().filter(|fact| fact.said.kind == kind);
        amounts.map(|fact| in_currency(fact)).max().unwrap_or(0)
    };
    let (refunded_minor, refund_pending_minor) = refunds(&about, in_currency);
    // The alphabetically first code: any rule would do that does not depend on the order of arrival.
    let failure_code = about
        .iter()
        .filter(|fact| matches!(fact.said.kind, FactKind::Declined | FactKind::Failed))
        .filter_map(|fact| fact.said.code.clone())
        .min();
    let failing = matches!(strongest, Some(FactKind::Declined | FactKind::Failed));
    PaymentState {
        id: payment.id,
        requested: payment.requested,
        rank: strongest,
        failure_code: failure_code.filter(|_| failing),
        valid: terms.is_valid(payment),
        accepted: false,
        belongs: false,
        authorized_minor: if strongest == Some(FactKind::Authorized) {
            largest(FactKind::Authorized)
        } else {
            0
        },
        captured_minor: largest(FactKind::Captured),
        refunded_minor,
        refund_pending_minor,
        fee_minor: largest(FactKind::Fee),
        disputes: disputes(&about, in_currency),
    }
}

/// Refunds that succeeded, and refunds nobody has decided yet.
fn refunds(about: &[&Fact], amount_of: impl Fn(&Fact) -> i64) -> (i64, i64) {
    let mut strongest: BTreeMap<&str, (u8, i64)> = BTreeMap::new();
    for fact in about {
        if let Some(rank) = fact.said.kind.refund_rank() {
            let known = strongest.entry(&fact.said.object).or_default();
            *known = (*known).max((rank, amount_of(fact)));
        }
    }
    let sum_at = |wanted: u8| {
        strongest
            .values()
            .filter(|(rank, _)| *rank == wanted)
            .fold(0_i64, |sum, (_, amount)| sum.saturating_add(*amount))
    };
    (sum_at(2), sum_at(1))
}

fn disputes(about: &[&Fact], amount_of: impl Fn(&Fact) -> i64) -> Vec<DisputeState> {
    let mut known: BTreeMap<&str, (FactKind, i64, i64)> = BTreeMap::new();
    for fact in about {
        let kind = fact.said.kind;
        let moves = matches!(
            kind,
            FactKind::DisputeWithdrawn | FactKind::DisputeReinstated
        );
        if kind.dispute_rank().is_none() && !moves {
            continue;
        }
        let entry = known
            .entry(&fact.said.object)
            .or_insert((FactKind::DisputeOpened, 0, 0));
        match kind {
            FactKind::DisputeWithdrawn => entry.1 = entry.1.max(amount_of(fact)),
            FactKind::DisputeReinstated => entry.2 = entry.2.max(amount_of(fact)),
            _ if kind.dispute_rank() > entry.0.dispute_rank() => entry.0 = kind,
            _ => {}
        }
    }
    known
        .into_iter()
        .map(|(object, (rank, withdrawn, reinstated))| DisputeState {
            object: object.to_owned(),
            rank,
            // Money given back had been taken, even if nobody has said so yet.
            withdrawn_minor: withdrawn.max(reinstated),
            reinstated_minor: reinstated,
            net_withdrawn_minor: withdrawn.saturating_sub(reinstated).max(0),
        })
        .collect()
}

/// A session's status, the first that matches: its intent was authorized or captured → complete; rejected →
/// failed; expired; its intent failed → failed; completed → processing; opened → open; else creating.
///
/// A rejected session is expired at the provider afterwards, and stays failed: whoever asked for it and repeats
/// the request is told that it was refused, however late.
///
/// What became of another session with our marks says nothing of ours. Nor does money that is not what ours charges,
/// until ours is known to be done: it may have come another way, and ours may still be paid.
#[must_use]
pub fn session_status(terms: &Terms, session: &SessionTerms, facts: &[Fact]) -> SessionStatus {
    let about: Vec<&Fact> = facts
        .iter()
        .filter(|fact| fact.said.session == Some(session.id) && is_about(session, fact))
        .collect();
    let has = |kinds: &[FactKind]| about.iter().any(|fact| kinds.contains(&fact.said.kind));
    let done = has(&[FactKind::Completed]);
    let moved = about.iter().any(|fact| {
        let payment = terms.payments.iter().find(|payment| {
            Some(payment.intent.as_str()) == fact.said.intent.as_deref() && !terms.is_valid(payment)
        });
        let moves = matches!(fact.said.kind, FactKind::Authorized | FactKind::Captured);
        moves && (done || payment.is_none())
    });
    if moved {
        SessionStatus::Complete
    } else if has(&[FactKind::Rejected]) {
        SessionStatus::Failed
    } else if has(&[FactKind::SessionExpired]) {
        SessionStatus::Expired
    } else if has(&[FactKind::Failed]) {
        SessionStatus::Failed
    } else if done {
        SessionStatus::Processing
    } else if has(&[FactKind::Opened]) {
        SessionStatus::Open
    } else {
        SessionStatus::Creating
    }
}

/// Whether a fact about a session is about this one, and not about another with its marks.
fn is_about(session: &SessionTerms, fact: &Fact) -> bool {
    match fact.said.kind {
        FactKind::Opened | FactKind::Completed | FactKind::SessionExpired => {
            let object = fact.said.object.as_str();
            let named = session.object.as_deref();
            // What we foresee of a session carries our own id.
            named.is_none_or(|named| named == object) || object == session.id.to_string()
        }
        _ => true,
    }
}
