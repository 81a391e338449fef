//! Open questions for people. They follow the facts: opened when the cause appears, closed when it is gone.

use std::collections::BTreeSet;

use super::facts::{Fact, FactKind};
use super::fold::{PaymentState, RefundState};
use super::{PaymentTerms, RefundTerms, Terms};
use crate::domain::access::words;
use crate::domain::checkout::Disagreement;
use crate::domain::ids::RefundId;
use crate::domain::refund::RefundStatus;

words! {
    /// Why people have to look.
    Reason {
        /// The provider's amount is not ours.
        AmountMismatch = "amount_mismatch",
        /// The provider's currency is not ours.
        CurrencyMismatch = "currency_mismatch",
        /// Money arrived for a cancelled or expired order.
        PaidAfterCancel = "paid_after_cancel",
        /// Money arrived twice.
        DuplicatePayment = "duplicate_payment",
        /// Nobody can say whether a call was carried out.
        OutcomeUnknown = "outcome_unknown",
        /// Money arrived that no order is known for.
        UnmatchedPayment = "unmatched_payment",
        /// The customer's bank asks for the money.
        Dispute = "dispute",
        /// The provider refused to give money back.
        ProviderDeclinedRefund = "provider_declined_refund",
    }
}

/// One question: why, and about what. There is never more than one of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReviewKey {
    /// Why.
    pub reason: Reason,
    /// About what: our id of a session, payment, call or refund, or the provider's of a dispute.
    pub subject: String,
}

/// The questions that are open by the facts, sorted, each once.
pub(super) fn open_questions(
    terms: &Terms,
    facts: &[Fact],
    closed: bool,
    payments: &[PaymentState],
    refunds: &[RefundState],
) -> Vec<ReviewKey> {
    let mut open: Vec<ReviewKey> = terms.flags.clone();
    open.extend(unreturned(terms, payments, refunds));
    for (payment, state) in terms.payments.iter().zip(payments) {
        open.extend(money_question(terms, payment, state, closed));
        let disputes = state.disputes.iter().filter(|dispute| dispute.is_open());
        open.extend(disputes.map(|dispute| ReviewKey {
            reason: Reason::Dispute,
            subject: dispute.object.clone(),
        }));
    }
    open.extend(facts.iter().filter_map(|fact| wrong_answer(facts, fact)));
    open.sort();
    open.dedup();
    open
}

/// Refunds of ours that did not go back, and that no newer one of ours took the place of.
///
/// One that was sent again is asked about no more: the newer one is, should it fail, too. A newer one that was not
/// sent for any other takes the place of one of the same amount at most, the oldest, while it is under way or went
/// back. So of two people who wait for their money, one is never forgotten because the other has theirs. Nobody waits
/// any more once all that a payment brought is gone again.
fn unreturned(terms: &Terms, payments: &[PaymentState], refunds: &[RefundState]) -> Vec<ReviewKey> {
    let all_gone = |id| {
        let payment = payments.iter().find(|payment| payment.id == id);
        payment.is_some_and(|payment| payment.captured_minor > 0 && payment.unsettled_minor() <= 0)
    };
    let ours = terms.refunds.iter().zip(refunds);
    let mut ours: Vec<(&RefundTerms, &RefundState)> =
        ours.filter(|(refund, _)| refund.ours).collect();
    ours.sort_by_key(|(refund, _)| refund.id);
    let sent_again: BTreeSet<RefundId> = ours
        .iter()
        .filter_map(|(refund, _)| refund.repeats)
        .collect();
    let mut asked: Vec<&RefundTerms> = Vec::new();
    for (refund, state) in ours {
        if state.status == RefundStatus::Failed {
            if !sent_again.contains(&refund.id) {
                asked.push(refund);
            }
        } else if refund.repeats.is_none() {
            let alike = |known: &&RefundTerms| {
                known.payment == refund.payment && known.amount == refund.amount
            };
            if let Some(at) = asked.iter().position(alike) {
                asked.remove(at);
            }
        }
    }
    asked.retain(|refund| !all_gone(refund.payment));
    let asked = asked.into_iter().map(|refund| ReviewKey {
        reason: Reason::ProviderDeclinedRefund,
        subject: refund.id.to_string(),
    });
    asked.collect()
}

/// Captured or reserved money that is not the order's, until none of it is in suspense.
fn money_question(
    terms: &Terms,
    payment: &PaymentTerms,
    state: &PaymentState,
    closed: bool,
) -> Option<ReviewKey> {
    if state.belongs {
        return None;
    }
    let in_suspense = state.unsettled_minor() > 0;
    let here =
        in_suspense || state.authorized_minor > 0 || state.rank == Some(FactKind::Processing);
    if !state.valid {
        let session = terms.session_of(payment);
        let wanted = session.map_or(terms.total, |session| session.amount);
        let right_currency = wanted.currency() == payment.requested.currency();
        let reason = if right_currency {
            Reason::AmountMismatch
        } else {
            Reason::CurrencyMismatch
        };
        let subject = payment
            .session
            .map_or_else(|| payment.id.to_string(), |session| session.to_string());
        return here.then_some(ReviewKey { reason, subject });
    }
    let reason = if closed {
        Reason::PaidAfterCancel
    } else {
        Reason::DuplicatePayment
    };
    in_suspense.then(|| ReviewKey {
        reason,
        subject: payment.id.to_string(),
    })
}

/// A session the provider made otherwise than we asked, until it can no longer be paid.
fn wrong_answer(facts: &[Fact], fact: &Fact) -> Option<ReviewKey> {
    let session = fact.said.session?;
    if fact.said.kind != FactKind::Rejected {
        return None;
    }
    let reason = match fact.said.code.as_deref()?.parse().ok()? {
        Disagreement::Currency => Reason::CurrencyMismatch,
        Disagreement::Amount => Reason::AmountMismatch,
        Disagreement::NotOurs => Reason::OutcomeUnknown,
    };
    // Once it is paid, its money is the question.
    let gone = facts.iter().any(|other| {
        let kind = other.said.kind;
        other.said.session == Some(session)
            && matches!(
                kind,
                FactKind::SessionExpired
                    | FactKind::Completed
                    | FactKind::Authorized
                    | FactKind::Captured
            )
    });
    (!gone).then(|| ReviewKey {
        reason,
        subject: session.to_string(),
    })
}
