//! The laws of the fold, tried on random histories; single cases stand in `examples`, `questions` and `reports`.
//!
//! They are what the specification promises: one state for every order of arrival, no fact that changes what
//! another object proved, and the same answer as a plain model written beside it.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, which is what it is for"
)]

mod examples;
pub(crate) mod histories;
mod model;
mod questions;
mod reports;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use self::histories::{
    BY_POLICY, Object, id, numbered, plausible, plausible_whole, wild, wild_and_one_more,
};
use super::{Fact, FactKind, OrderState, PaymentState, RefundState, ReviewKey, fold};
use crate::domain::checkout::SessionStatus;
use crate::domain::ids::PaymentId;
use crate::domain::ledger::{LedgerAccountName, difference, is_balanced, targets};
use crate::domain::order::{OrderStatus, PaymentStatus};
use crate::domain::refund::RefundStatus;
use crate::domain::settlement::Reason;

/// The states after each fact, the one before any fact first.
pub(crate) fn path(history: &histories::History) -> Vec<OrderState> {
    let lengths = 0..=history.facts.len();
    lengths
        .map(|known| fold(&history.terms, &history.facts[..known]))
        .collect()
}

/// What facts about one payment prove; whether it belongs depends on the others too.
fn proved(state: &PaymentState) -> PaymentState {
    PaymentState {
        belongs: false,
        ..state.clone()
    }
}

fn moves_money_back_or_decides(kind: FactKind) -> bool {
    match kind {
        FactKind::Opened
        | FactKind::Completed
        | FactKind::SessionExpired
        | FactKind::Rejected
        | FactKind::Declined
        | FactKind::Processing
        | FactKind::Authorized
        | FactKind::Failed
        | FactKind::Voided
        | FactKind::Expired
        | FactKind::Captured
        | FactKind::Fee => false,
        FactKind::RefundPending
        | FactKind::RefundSucceeded
        | FactKind::RefundFailed
        | FactKind::RefundCancelled
        | FactKind::DisputeOpened
        | FactKind::DisputeWarningClosed
        | FactKind::DisputeWon
        | FactKind::DisputeLost
        | FactKind::DisputeWithdrawn
        | FactKind::DisputeReinstated
        | FactKind::OrderCancelled
        | FactKind::OrderExpired
        | FactKind::PaymentAccepted => true,
    }
}

proptest! {
    #[test]
    fn every_permutation_with_duplicates_folds_to_one_state(
        (history, mixed) in wild().prop_flat_map(|history| {
            let again = proptest::sample::subsequence(history.facts.clone(), 0..=history.facts.len());
            let mixed = again.prop_flat_map({
                let facts = history.facts.clone();
                move |again| Just([facts.clone(), again].concat()).prop_shuffle()
            });
            (Just(history), mixed)
        })
    ) {
        let renamed = mixed.into_iter().enumerate().map(|(at, fact)| Fact {
            id: id(5_000 + at),
            said: fact.said,
        });
        let renamed: Vec<Fact> = renamed.collect();
        prop_assert_eq!(fold(&history.terms, &renamed), fold(&history.terms, &history.facts));
    }

    #[test]
    fn a_second_report_of_a_fact_adds_nothing(history in wild()) {
        let mut seen = HashSet::new();
        let mut once = history.facts.clone();
        once.retain(|fact| {
            let (object, kind, minor, currency) = fact.said.identity();
            seen.insert((object.to_owned(), kind, minor, currency))
        });
        prop_assert_eq!(fold(&history.terms, &once), fold(&history.terms, &history.facts));
    }

    #[test]
    fn it_does_not_matter_which_payment_was_seen_first(
        (history, order) in wild().prop_flat_map(|history| {
            let order: Vec<usize> = (0..history.terms.payments.len()).collect();
            (Just(history), Just(order).prop_shuffle())
        })
    ) {
        let before = fold(&history.terms, &history.facts);
        let mut terms = history.terms.clone();
        terms.payments = order.iter().map(|at| history.terms.payments[*at].clone()).collect();
        for (at, payment) in terms.payments.iter_mut().enumerate() {
            payment.id = id(at);
        }
        let place = |payment: PaymentId| {
            let mut old = order.iter().map(|at| history.terms.payments[*at].id);
            old.position(|old| old == payment).expect("a payment of the order")
        };
        for refund in &mut terms.refunds {
            refund.payment = id(place(refund.payment));
        }
        let after = fold(&terms, &history.facts);
        for (refund, was) in after.refunds.iter().zip(&before.refunds) {
            let renamed = RefundState { payment: was.payment, ..refund.clone() };
            prop_assert_eq!(&renamed, was);
        }
        for (at, state) in order.into_iter().zip(&after.payments) {
            let renamed = PaymentState { id: before.payments[at].id, ..state.clone() };
            prop_assert_eq!(&renamed, &before.payments[at]);
        }
        prop_assert_eq!((after.paid, after.payment_status), (before.paid, before.payment_status));
        prop_assert_eq!((after.sessions, after.status), (before.sessions, before.status));
    }

    #[test]
    fn a_fact_about_one_object_leaves_what_others_proved((history, more) in wild_and_one_more()) {
        let before = fold(&history.terms, &history.facts);
        let facts = [history.facts, vec![more.clone()]].concat();
        let after = fold(&history.terms, &facts);
        for (at, payment) in history.terms.payments.iter().enumerate() {
            if more.said.intent.as_ref() != Some(&payment.intent) {
                prop_assert_eq!(proved(&after.payments[at]), proved(&before.payments[at]));
            }
        }
        for (at, refund) in history.terms.refunds.iter().enumerate() {
            if more.said.refund != Some(refund.id) && refund.object.as_ref() != Some(&more.said.object) {
                prop_assert_eq!(&after.refunds[at], &before.refunds[at]);
            }
        }
        for (session, status) in &after.sessions {
            if more.said.session != Some(*session) {
                prop_assert_eq!(status, &before.sessions[session]);
            }
        }
    }

    #[test]
    fn bad_news_about_a_try_never_touches_money_that_came(
        (history, mut more) in wild_and_one_more(),
        kind in proptest::sample::select(vec![
            FactKind::SessionExpired, FactKind::Rejected, FactKind::Declined, FactKind::Processing,
            FactKind::Authorized, FactKind::Failed, FactKind::Voided, FactKind::Expired,
        ]),
    ) {
        more.said.kind = kind;
        let before = fold(&history.terms, &history.facts);
        let facts = [history.facts, vec![more]].concat();
        let after = fold(&history.terms, &facts);
        let money = |state: &OrderState| (state.paid, state.refunded, state.disputed);
        prop_assert_eq!(money(&after), money(&before));
        prop_assert_eq!(after.counts_as_paid, before.counts_as_paid);
        prop_assert_eq!(after.status, before.status);
        let waits = matches!(
            before.payment_status,
            PaymentStatus::Unpaid | PaymentStatus::Pending | PaymentStatus::Authorized
        );
        if !waits {
            prop_assert_eq!(after.payment_status, before.payment_status);
        }
    }

    #[test]
    fn captured_money_never_grows_less(history in wild()) {
        for (before, after) in path(&history).iter().zip(path(&history).iter().skip(1)) {
            for (old, new) in before.payments.iter().zip(&after.payments) {
                prop_assert!(old.captured_minor <= new.captured_minor);
                prop_assert!(old.fee_minor <= new.fee_minor);
            }
        }
    }

    #[test]
    fn a_paid_order_stays_paid_until_money_goes_back_or_people_decide(
        mut history in plausible_whole()
    ) {
        history.facts.retain(|fact| !moves_money_back_or_decides(fact.said.kind));
        let states = path(&history);
        for (before, after) in states.iter().zip(&states[1..]) {
            prop_assert!(after.counts_as_paid || !before.counts_as_paid);
        }
    }

    /// Whatever comes, late or through whichever session: it never makes less of the order paid.
    #[test]
    fn a_capture_never_lowers_what_is_paid(mut history in plausible()) {
        history.facts.retain(|fact| !moves_money_back_or_decides(fact.said.kind));
        let states = path(&history);
        for (before, after) in states.iter().zip(&states[1..]) {
            prop_assert!(after.paid.minor() >= before.paid.minor());
            prop_assert!(after.counts_as_paid || !before.counts_as_paid);
            for (payment, was) in after.payments.iter().zip(&before.payments) {
                // What had belonged and does no longer is not lost from sight.
                let displaced = was.belongs && !payment.belongs;
                let asked = ReviewKey {
                    reason: Reason::DuplicatePayment,
                    subject: payment.id.to_string(),
                };
                prop_assert!(!displaced || after.reviews.contains(&asked));
            }
        }
    }

    /// That a policy gives something back does not change whose anything is.
    #[test]
    fn giving_back_what_is_nobodys_moves_nothing_else(
        history in plausible(),
        at in any::<Index>(),
    ) {
        let state = fold(&history.terms, &history.facts);
        let suspense = state.payments.iter().enumerate();
        let suspense = suspense.filter(|(_, p)| !p.belongs && p.captured_minor > 0);
        let suspense: Vec<usize> = suspense.map(|(at, _)| at).collect();
        if !suspense.is_empty() {
            let given_back = Object::Refund(*at.get(&suspense), BY_POLICY)
                .said(&history.terms, FactKind::RefundPending);
            let facts = [history.facts, numbered(9_000, [given_back])].concat();
            let after = fold(&history.terms, &facts);
            prop_assert_eq!(after.paid, state.paid);
            for (payment, was) in after.payments.iter().zip(&state.payments) {
                prop_assert_eq!(payment.belongs, was.belongs);
            }
        }
    }

    /// What people take for the order's is the order's, whatever else came, and nobody is asked about it any more.
    #[test]
    fn accepted_money_is_the_orders_and_no_longer_asked_about(
        history in plausible(),
        at in any::<Index>(),
    ) {
        let state = fold(&history.terms, &history.facts);
        let total = history.terms.total.currency();
        let suspense = state.payments.iter().enumerate();
        let suspense = suspense.filter(|(_, p)| !p.belongs && p.captured_minor > 0);
        let suspense = suspense.filter(|(_, p)| p.requested.currency() == total);
        let suspense: Vec<usize> = suspense.map(|(at, _)| at).collect();
        if !suspense.is_empty() {
            let at = *at.get(&suspense);
            let accepted = Object::Intent(at).said(&history.terms, FactKind::PaymentAccepted);
            let facts = [history.facts, numbered(9_000, [accepted])].concat();
            let after = fold(&history.terms, &facts);
            let payment = &after.payments[at];
            prop_assert!(payment.accepted && payment.belongs);
            let subject = payment.id.to_string();
            let late = [Reason::PaidAfterCancel, Reason::DuplicatePayment];
            let asked = after.reviews.iter();
            let mut asked = asked.filter(|key| late.contains(&key.reason));
            prop_assert!(!asked.any(|key| key.subject == subject));
            // No money moves at the provider.
            let moved = difference(&targets(&after), &targets(&state));
            prop_assert!(is_balanced(&moved));
            let clearing = LedgerAccountName::ProviderClearing;
            prop_assert!(!moved.iter().any(|posting| posting.account == clearing));
        }
    }

    #[test]
    fn only_captures_refunds_disputes_and_decisions_move_the_money_of_an_order(history in plausible()) {
        let states = path(&history);
        for ((before, after), fact) in states.iter().zip(&states[1..]).zip(&history.facts) {
            let kind = fact.said.kind;
            if kind != FactKind::Captured && !moves_money_back_or_decides(kind) {
                prop_assert_eq!(before.counts_as_paid, after.counts_as_paid, "after {:?}", kind);
                prop_assert_eq!(before.paid, after.paid, "after {:?}", kind);
            }
        }
    }

    #[test]
    fn an_order_takes_no_more_than_its_total_unless_people_accept_more(history in wild()) {
        let state = fold(&history.terms, &history.facts);
        let has = |kind| history.facts.iter().any(|fact| fact.said.kind == kind);
        let closed = has(FactKind::OrderCancelled) || has(FactKind::OrderExpired);
        let total = if closed { 0 } else { history.terms.total.minor() };
        let accepted = state.payments.iter().any(|payment| payment.accepted);
        prop_assert!(accepted || state.paid.minor() <= total);
        for payment in state.payments.iter().filter(|payment| payment.belongs) {
            prop_assert!(payment.valid || payment.accepted);
            prop_assert!(payment.captured_minor > 0);
            prop_assert_eq!(payment.requested.currency(), state.paid.currency());
        }
    }

    #[test]
    fn no_amount_is_ever_negative(history in plausible()) {
        for state in path(&history) {
            for amount in [state.authorized, state.paid, state.refunded, state.disputed] {
                prop_assert!(amount.minor() >= 0, "{:?}", amount);
            }
            for payment in state.payments {
                prop_assert!(payment.net_withdrawn_minor() >= payment.lost_minor());
                prop_assert!(payment.lost_minor() >= 0);
                // A refund can be known before the capture it takes back.
                let seen = payment.captured_minor > 0;
                prop_assert!(!seen || payment.kept_minor() >= 0, "{:?}", payment);
            }
        }
    }

    /// The rows and the payment tell one story: what went back, what may still go, and never more than came.
    #[test]
    fn the_refunds_of_a_payment_add_up(history in plausible()) {
        for state in path(&history) {
            for payment in &state.payments {
                let rows = || state.refunds.iter().filter(|refund| refund.payment == payment.id);
                let taken_at = |status| {
                    let rows = rows().filter(|refund| refund.status == status);
                    rows.map(|refund| refund.taken_minor).sum::<i64>()
                };
                prop_assert_eq!(taken_at(RefundStatus::Succeeded), payment.refunded_minor);
                prop_assert!(taken_at(RefundStatus::Pending) >= payment.refund_pending_minor);
                prop_assert_eq!(taken_at(RefundStatus::Failed), 0);
                let reserved: i64 = rows().map(|refund| refund.taken_minor).sum();
                let seen = payment.captured_minor > 0;
                prop_assert!(!seen || reserved <= payment.captured_minor, "{:?}", payment);
            }
        }
    }

    /// Only a failure takes back what went out, and only the provider's word takes back a failure we believed in.
    #[test]
    fn a_refund_steps_back_only_for_a_reason(history in plausible()) {
        let states = path(&history);
        for (at, (before, after)) in states.iter().zip(&states[1..]).enumerate() {
            for (refund, was) in after.refunds.iter().zip(&before.refunds) {
                let kind = history.facts[at].said.kind;
                let by_provider = history.facts[at].said.object != refund.id.to_string();
                let allowed = match (was.status, refund.status) {
                    (RefundStatus::Pending, RefundStatus::Succeeded) => {
                        by_provider && kind == FactKind::RefundSucceeded
                    }
                    (RefundStatus::Pending | RefundStatus::Succeeded, RefundStatus::Failed) => {
                        matches!(kind, FactKind::RefundFailed | FactKind::RefundCancelled)
                    }
                    (RefundStatus::Succeeded, RefundStatus::Pending) => false,
                    (RefundStatus::Failed, RefundStatus::Pending | RefundStatus::Succeeded) => {
                        let known = history.facts[..at].iter();
                        let failed = known.filter(|fact| fact.said.intent == history.facts[at].said.intent)
                            .filter(|fact| fact.said.object == history.facts[at].said.object)
                            .any(|fact| matches!(fact.said.kind, FactKind::RefundFailed | FactKind::RefundCancelled));
                        by_provider && !failed
                    }
                    (RefundStatus::Pending, RefundStatus::Pending)
                    | (RefundStatus::Succeeded, RefundStatus::Succeeded)
                    | (RefundStatus::Failed, RefundStatus::Failed) => true,
                };
                prop_assert!(allowed, "{:?} to {:?} by {:?}", was.status, refund.status, history.facts[at]);
            }
        }
    }

    #[test]
    fn the_fold_agrees_with_a_plain_model(history in wild()) {
        let state = fold(&history.terms, &history.facts);
        let belonging = history.terms.payments.iter().zip(&state.payments);
        let belonging = belonging.filter(|(_, state)| state.belongs);
        let lost = state.payments.iter().filter(|payment| payment.belongs);
        let said = model::Expected {
            belonging: belonging.map(|(payment, _)| payment.intent.clone()).collect(),
            captured: state.paid.minor(),
            refunded: state.refunded.minor(),
            lost: lost.map(PaymentState::lost_minor).sum(),
            payment_status: state.payment_status,
            status: state.status,
            counts_as_paid: state.counts_as_paid,
            refunds: state.refunds.iter().map(|refund| (refund.status, refund.taken_minor)).collect(),
            unreturned: state
                .reviews
                .iter()
                .filter(|asked| asked.reason == Reason::ProviderDeclinedRefund)
                .map(|asked| asked.subject.clone())
                .collect(),
        };
        prop_assert_eq!(said, model::expected(&history.terms, &history.facts));
    }

    #[test]
    fn questions_are_sorted_and_asked_once(history in wild(), at in any::<Index>()) {
        let states = path(&history);
        let state = at.get(&states);
        prop_assert!(state.reviews.is_sorted_by(|a, b| a < b));
    }
}

/// A generator that never reaches a state proves nothing about it.
#[test]
fn the_histories_reach_every_state() {
    let mut runner = TestRunner::deterministic();
    let mut payment: BTreeMap<PaymentStatus, u32> = BTreeMap::new();
    let mut order: BTreeSet<OrderStatus> = BTreeSet::new();
    let mut session: BTreeSet<SessionStatus> = BTreeSet::new();
    let mut reasons: BTreeSet<Reason> = BTreeSet::new();
    let mut ranks: BTreeSet<Option<FactKind>> = BTreeSet::new();
    let mut refunds: BTreeMap<(bool, RefundStatus), u32> = BTreeMap::new();
    let (mut reversed, mut believed) = (0, 0);
    let (mut sent_again, mut replaced) = (0, 0);
    for _ in 0..1_000 {
        let history = plausible()
            .new_tree(&mut runner)
            .expect("histories have no conditions");
        let state = fold(&history.current().terms, &history.current().facts);
        *payment.entry(state.payment_status).or_default() += 1;
        order.insert(state.status);
        session.extend(state.sessions.values());
        reasons.extend(state.reviews.iter().map(|key| key.reason));
        for refund in &state.refunds {
            *refunds.entry((refund.ours, refund.status)).or_default() += 1;
            let said = |kind| {
                let facts = history.current().facts.into_iter();
                let about = facts.filter(|fact| fact.said.refund == Some(refund.id));
                about.filter(|fact| fact.said.kind == kind).count()
            };
            let succeeded = said(FactKind::RefundSucceeded) > 0;
            reversed += u32::from(succeeded && refund.status == RefundStatus::Failed);
            let failed = said(FactKind::RefundFailed) > 0;
            believed += u32::from(failed && refund.status == RefundStatus::Succeeded);
            let terms = history.current().terms;
            let again = terms
                .refunds
                .iter()
                .any(|row| row.repeats == Some(refund.id));
            let id = refund.id.to_string();
            let asked = state.reviews.iter().any(|key| key.subject == id);
            let closed = refund.ours && refund.status == RefundStatus::Failed && !asked;
            sent_again += u32::from(closed && again);
            replaced += u32::from(closed && !again);
        }
        ranks.extend(state.payments.iter().map(|payment| payment.rank));
    }
    for status in PaymentStatus::ALL {
        let seen = payment.get(status).copied().unwrap_or(0);
        assert!(seen >= 8, "{status} was reached {seen} times of 1000");
    }
    assert_eq!(order, OrderStatus::ALL.iter().copied().collect());
    assert_eq!(session, SessionStatus::ALL.iter().copied().collect());
    assert_eq!(ranks.len(), 8, "nothing, and each of the seven ranks");
    for status in RefundStatus::ALL {
        for ours in [true, false] {
            let seen = refunds.get(&(ours, *status)).copied().unwrap_or(0);
            assert!(seen >= 8, "{status}, ours {ours}, was reached {seen} times");
        }
    }
    assert!(reversed >= 8, "failed after success {reversed} times");
    assert!(
        believed >= 8,
        "believed to have failed, and succeeded {believed} times"
    );
    assert!(
        sent_again >= 8 && replaced >= 8,
        "sent again {sent_again} times, replaced {replaced} times"
    );
    let askable = Reason::ALL
        .iter()
        .filter(|reason| **reason != Reason::UnmatchedPayment);
    assert_eq!(reasons, askable.copied().collect());
}
