//! What people can do about an open question, and what follows from it. Pure, so that what is offered, what is
//! foretold and what is done are one.
//!
//! | question | money captured, in suspense | money reserved | no money |
//! |---|---|---|---|
//! | amount_mismatch | accept, refund, ask | release, ask | ask, acknowledge |
//! | currency_mismatch | refund, ask | release, ask | ask, acknowledge |
//! | paid_after_cancel, duplicate_payment | accept, refund, ask | release, ask | ask, acknowledge |
//! | outcome_unknown, dispute | ask, acknowledge | | |
//! | provider_declined_refund | refund_again (if any is left), ask, acknowledge | | |
//! | unmatched_payment | acknowledge | | |
//!
//! Money in suspense is never only acknowledged: it would stay nobody's, and nobody would be asked any more. While
//! it is on its way back, or a bank has it, it cannot be given back a second time.

use super::access::words;
use super::ids::ReviewId;
use super::settlement::{FactDraft, FactKind, Reason};
use super::standing::{PaymentStanding, ReviewStanding, Standing};

words! {
    /// What people can do about an open question.
    Resolution {
        /// The money becomes the order's.
        Accept = "accept",
        /// The money goes back, all that is left of it.
        Refund = "refund",
        /// The reserved money is released.
        Release = "release",
        /// What the provider refused to give back is asked for again.
        RefundAgain = "refund_again",
        /// The provider is asked now.
        Ask = "ask",
        /// Somebody has seen it and there is nothing to do here; it is asked again when its cause returns.
        Acknowledge = "acknowledge",
    }
}

/// What a question is about, as far as it decides what can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Why people have to look.
    pub reason: Reason,
    /// The money that is asked about.
    pub money: Option<CaseMoney>,
}

/// The money a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseMoney {
    /// It is in the order's currency.
    pub same_currency: bool,
    /// Captured and not gone for good.
    pub here: bool,
    /// Reserved.
    pub reserved: bool,
    /// Under way.
    pub processing: bool,
    /// Some of it can go back now.
    pub returnable: bool,
    /// Some of it is on its way back, or a bank has taken it.
    pub leaving: bool,
}

/// What can be done about a question, the surest first.
#[must_use]
pub fn possible(case: Case) -> Vec<Resolution> {
    use Resolution::{Accept, Acknowledge, Ask, Refund, RefundAgain, Release};
    let returnable = case
        .money
        .is_some_and(|money| money.returnable && !money.leaving);
    match case.reason {
        Reason::AmountMismatch
        | Reason::CurrencyMismatch
        | Reason::PaidAfterCancel
        | Reason::DuplicatePayment => match case.money {
            Some(money) if money.here => {
                let wrong = case.reason == Reason::CurrencyMismatch || !money.same_currency;
                let accept = !wrong && !money.leaving;
                let offered = [(Accept, accept), (Refund, returnable), (Ask, true)];
                chosen(&offered)
            }
            Some(money) if money.reserved => vec![Release, Ask],
            Some(money) if money.processing => vec![Ask],
            Some(_) | None => vec![Ask, Acknowledge],
        },
        Reason::OutcomeUnknown | Reason::Dispute => vec![Ask, Acknowledge],
        Reason::ProviderDeclinedRefund => {
            chosen(&[(RefundAgain, returnable), (Ask, true), (Acknowledge, true)])
        }
        Reason::UnmatchedPayment => vec![Acknowledge],
    }
}

fn chosen(offered: &[(Resolution, bool)]) -> Vec<Resolution> {
    let offered = offered.iter().filter(|(_, holds)| *holds);
    offered.map(|(resolution, _)| *resolution).collect()
}

/// Whether whoever decides this must say why: what is left open at the provider is explained nowhere else.
#[must_use]
pub fn needs_note(reason: Reason, resolution: Resolution) -> bool {
    resolution == Resolution::Acknowledge && reason == Reason::ProviderDeclinedRefund
}

/// Why a decision cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// The order has no such question.
    Unknown,
    /// It is no longer open, or is open for another time; who closed it, and how.
    Decided {
        /// Who.
        by: String,
        /// What they decided; none when the facts closed it.
        how: Option<Resolution>,
    },
    /// What it was decided on is not so any more.
    Changed,
    /// Nothing of the kind can be done about it now.
    NotPossible,
}

impl Objection {
    /// Its word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Objection::Unknown => "unknown_question",
            Objection::Decided { .. } => "decided",
            Objection::Changed => "changed",
            Objection::NotPossible => "not_possible",
        }
    }
}

/// A question that is open for the time somebody saw it open, and can be answered so.
///
/// # Errors
/// [`Objection`].
pub fn may_decide(
    standing: &Standing,
    review: ReviewId,
    opening: i64,
    resolution: Resolution,
) -> Result<&ReviewStanding, Objection> {
    let found = standing.reviews.iter().find(|known| known.id == review);
    let found = found.ok_or(Objection::Unknown)?;
    if !found.open || found.opening != opening {
        return Err(Objection::Decided {
            by: found.resolved_by.clone().unwrap_or_default(),
            how: found.resolution,
        });
    }
    if possible(standing.case(found)).contains(&resolution) {
        Ok(found)
    } else {
        Err(Objection::NotPossible)
    }
}

/// The fact that a payment is the order's, by somebody's decision.
#[must_use]
pub fn accepted(payment: &PaymentStanding) -> FactDraft {
    FactDraft {
        kind: FactKind::PaymentAccepted,
        object: payment.intent.clone(),
        intent: Some(payment.intent.clone()),
        session: payment.session,
        refund: None,
        amount: None,
        code: None,
    }
}

#[cfg(test)]
mod tests {
    //! Every question with every state of its money, and what must hold of what is offered.

    use super::*;

    fn monies() -> Vec<CaseMoney> {
        let bit = |n: u32, at: u32| n >> at & 1 == 1;
        (0..64)
            .map(|n| CaseMoney {
                same_currency: bit(n, 0),
                here: bit(n, 1),
                reserved: bit(n, 2),
                processing: bit(n, 3),
                returnable: bit(n, 4),
                leaving: bit(n, 5),
            })
            .collect()
    }

    fn cases() -> Vec<Case> {
        let monies = || monies().into_iter().map(Some).chain([None]);
        let all = Reason::ALL.iter().flat_map(|reason| {
            monies().map(|money| Case {
                reason: *reason,
                money,
            })
        });
        all.collect()
    }

    #[test]
    fn every_question_can_be_answered_somehow() {
        for case in cases() {
            let offered = possible(case);
            assert!(!offered.is_empty(), "{case:?}");
            let mut once = offered.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), offered.len(), "{case:?}");
        }
    }

    #[test]
    fn only_captured_money_of_the_right_currency_can_be_accepted() {
        for case in cases() {
            let offered = possible(case).contains(&Resolution::Accept);
            let money = case.money;
            let right =
                money.is_some_and(|money| money.here && money.same_currency && !money.leaving);
            let about_money = matches!(
                case.reason,
                Reason::AmountMismatch | Reason::PaidAfterCancel | Reason::DuplicatePayment
            );
            assert_eq!(offered, right && about_money, "{case:?}");
        }
    }

    #[test]
    fn what_is_leaving_is_never_given_back_again() {
        for case in cases() {
            let offered = possible(case);
            let back =
                offered.contains(&Resolution::Refund) || offered.contains(&Resolution::RefundAgain);
            let may = case
                .money
                .is_some_and(|money| money.returnable && !money.leaving);
            assert!(may || !back, "{case:?}");
        }
    }

    #[test]
    fn money_in_suspense_is_never_only_acknowledged() {
        for case in cases() {
            let of_suspense = !matches!(
                case.reason,
                Reason::OutcomeUnknown
                    | Reason::Dispute
                    | Reason::ProviderDeclinedRefund
                    | Reason::UnmatchedPayment
            );
            let here = case
                .money
                .is_some_and(|money| money.here || money.reserved || money.processing);
            let offered = possible(case).contains(&Resolution::Acknowledge);
            assert_eq!(offered, !(of_suspense && here), "{case:?}");
        }
    }

    #[test]
    fn the_table_of_the_module() {
        use Resolution::{Accept, Acknowledge, Ask, Refund, RefundAgain, Release};
        let nothing = CaseMoney {
            same_currency: true,
            here: false,
            reserved: false,
            processing: false,
            returnable: false,
            leaving: false,
        };
        let here = CaseMoney {
            here: true,
            returnable: true,
            ..nothing
        };
        let reserved = CaseMoney {
            reserved: true,
            ..nothing
        };
        let usual: &[Resolution] = &[Accept, Refund, Ask];
        let none: &[Resolution] = &[Ask, Acknowledge];
        let again: &[Resolution] = &[RefundAgain, Ask, Acknowledge];
        for (reason, with_money, when_reserved, without) in [
            (Reason::AmountMismatch, usual, &[Release, Ask][..], none),
            (
                Reason::CurrencyMismatch,
                &[Refund, Ask],
                &[Release, Ask],
                none,
            ),
            (Reason::PaidAfterCancel, usual, &[Release, Ask], none),
            (Reason::DuplicatePayment, usual, &[Release, Ask], none),
            (Reason::OutcomeUnknown, none, none, none),
            (Reason::Dispute, none, none, none),
            (Reason::ProviderDeclinedRefund, again, none, none),
            (
                Reason::UnmatchedPayment,
                &[Acknowledge],
                &[Acknowledge],
                &[Acknowledge],
            ),
        ] {
            let offered = |money| possible(Case { reason, money });
            assert_eq!(offered(Some(here)), with_money, "{reason}");
            assert_eq!(offered(Some(reserved)), when_reserved, "{reason}");
            assert_eq!(offered(Some(nothing)), without, "{reason}");
            assert_eq!(offered(None), without, "{reason}");
        }
    }

    #[test]
    fn only_what_is_left_open_elsewhere_must_be_explained() {
        for reason in Reason::ALL {
            for resolution in Resolution::ALL {
                let must = (*reason, *resolution)
                    == (Reason::ProviderDeclinedRefund, Resolution::Acknowledge);
                assert_eq!(needs_note(*reason, *resolution), must);
            }
        }
    }
}
