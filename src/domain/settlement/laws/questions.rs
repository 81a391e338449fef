//! Open questions, one cause at a time: what opens each, what it is about, and what closes it.

use super::histories::{BY_POLICY, Object, eur, id, money, numbered, order_of, simple_order};
use crate::domain::checkout::{Capture, Disagreement};
use crate::domain::settlement::{FactDraft, FactKind, Reason, RefundTerms, ReviewKey, Terms, fold};

/// What is asked once these drafts are known, as reasons and subjects.
fn asked(terms: &Terms, drafts: &[FactDraft]) -> Vec<(Reason, String)> {
    let state = fold(terms, &numbered(0, drafts.iter().cloned()));
    let asked = state.reviews.into_iter();
    asked.map(|key| (key.reason, key.subject)).collect()
}

fn intent(terms: &Terms, at: usize, kind: FactKind) -> FactDraft {
    let amount = terms.payments[at].requested;
    Object::Intent(at).said(terms, kind).of(amount)
}

fn session_of(terms: &Terms) -> String {
    terms.sessions[0].id.to_string()
}

/// One dispute of payment 0 that takes all it has, the refund that gives all of it back, and what follows.
struct Back {
    opened: FactDraft,
    taken: FactDraft,
    lost: FactDraft,
    refunded: FactDraft,
    refund_failed: FactDraft,
}

fn back(terms: &Terms) -> Back {
    let all = terms.payments[0].requested;
    let dispute = |kind| Object::Dispute(0, 0).said(terms, kind);
    let refund = |kind| Object::Refund(0, BY_POLICY).said(terms, kind).of(all);
    Back {
        opened: dispute(FactKind::DisputeOpened),
        taken: dispute(FactKind::DisputeWithdrawn).of(all),
        lost: dispute(FactKind::DisputeLost),
        refunded: refund(FactKind::RefundSucceeded),
        refund_failed: refund(FactKind::RefundFailed),
    }
}

/// The question is open while money is in suspense, whatever it is called.
fn follows_the_suspense(terms: &Terms, facts: &[FactDraft], question: (Reason, String)) {
    let back = back(terms);
    let with = |more: &[&FactDraft]| {
        let more = more.iter().map(|draft| (*draft).clone());
        let known: Vec<FactDraft> = facts.iter().cloned().chain(more).collect();
        let mut open = asked(terms, &known);
        open.retain(|(reason, _)| *reason != Reason::Dispute);
        open
    };
    let open = vec![question];
    assert_eq!(with(&[]), open);
    assert_eq!(with(&[&back.refunded]), []);
    assert_eq!(with(&[&back.refunded, &back.refund_failed]), open);
    // A dispute that is not decided may give back what it took.
    assert_eq!(with(&[&back.opened, &back.taken]), open);
    assert_eq!(with(&[&back.taken, &back.lost]), []);
}

#[test]
fn another_amount_is_asked_about_until_it_is_gone() {
    let mut terms = simple_order(100);
    terms.payments[0].requested = eur(99);
    let captured = intent(&terms, 0, FactKind::Captured);
    let question = (Reason::AmountMismatch, session_of(&terms));
    follows_the_suspense(&terms, &[captured], question.clone());
    for kind in [FactKind::Processing, FactKind::Authorized] {
        let under_way = intent(&terms, 0, kind);
        let asked_now = asked(&terms, std::slice::from_ref(&under_way));
        assert_eq!(asked_now.first(), Some(&question), "{kind}");
        assert_eq!(asked_now.len(), 1, "{kind}");
        let voided = intent(&terms, 0, FactKind::Voided);
        assert_eq!(asked(&terms, &[under_way, voided]), [], "{kind}");
    }
    let declined = intent(&terms, 0, FactKind::Declined);
    assert_eq!(asked(&terms, &[declined]), [], "no money, no question");
    let accepted = intent(&terms, 0, FactKind::PaymentAccepted);
    let captured = intent(&terms, 0, FactKind::Captured);
    assert_eq!(asked(&terms, &[captured, accepted]), [], "accepted");
}

#[test]
fn another_currency_is_asked_about_and_cannot_be_accepted() {
    let mut terms = simple_order(100);
    terms.payments[0].requested = money(100, "USD");
    let captured = intent(&terms, 0, FactKind::Captured);
    let accepted = intent(&terms, 0, FactKind::PaymentAccepted);
    let question = (Reason::CurrencyMismatch, session_of(&terms));
    follows_the_suspense(&terms, &[captured, accepted], question);
}

#[test]
fn money_without_a_session_is_judged_by_the_order() {
    let mut terms = simple_order(100);
    terms.payments[0].session = None;
    let payment = terms.payments[0].id.to_string();
    let captured = intent(&terms, 0, FactKind::Captured);
    assert_eq!(
        asked(&terms, &[captured]),
        [(Reason::AmountMismatch, payment.clone())]
    );
    terms.payments[0].requested = money(100, "USD");
    let captured = intent(&terms, 0, FactKind::Captured);
    assert_eq!(
        asked(&terms, &[captured]),
        [(Reason::CurrencyMismatch, payment)]
    );
}

#[test]
fn money_that_came_twice_is_asked_about_until_it_is_gone() {
    let mut terms = order_of(100, &[(100, Capture::Automatic); 2]);
    // The first payment is the later session's: it is the duplicate.
    terms.payments.reverse();
    terms.payments[0].intent = "pi_0".to_owned();
    terms.payments[1].intent = "pi_1".to_owned();
    let both = [
        intent(&terms, 0, FactKind::Captured),
        intent(&terms, 1, FactKind::Captured),
    ];
    let question = (Reason::DuplicatePayment, terms.payments[0].id.to_string());
    follows_the_suspense(&terms, &both, question);
    let reserved = [
        intent(&terms, 0, FactKind::Authorized),
        intent(&terms, 1, FactKind::Captured),
    ];
    assert_eq!(
        asked(&terms, &reserved),
        [],
        "a reservation is not yet money"
    );
}

#[test]
fn money_for_a_closed_order_is_asked_about_until_it_is_gone() {
    let terms = simple_order(100);
    let payment = terms.payments[0].id.to_string();
    for decision in [FactKind::OrderCancelled, FactKind::OrderExpired] {
        let closed = Object::Order.said(&terms, decision);
        let captured = intent(&terms, 0, FactKind::Captured);
        let facts = [closed.clone(), captured.clone()];
        follows_the_suspense(&terms, &facts, (Reason::PaidAfterCancel, payment.clone()));
        let reserved = intent(&terms, 0, FactKind::Authorized);
        assert_eq!(
            asked(&terms, &[closed.clone(), reserved]),
            [],
            "it is voided, not asked about"
        );
        let accepted = intent(&terms, 0, FactKind::PaymentAccepted);
        assert_eq!(asked(&terms, &[closed, captured, accepted]), []);
    }
}

#[test]
fn a_dispute_is_asked_about_until_it_is_closed() {
    let terms = simple_order(100);
    let captured = intent(&terms, 0, FactKind::Captured);
    let back = back(&terms);
    let question = (Reason::Dispute, "dp_0_0".to_owned());
    let open = [captured, back.opened];
    assert_eq!(asked(&terms, &open), [question]);
    for kind in [
        FactKind::DisputeWarningClosed,
        FactKind::DisputeWon,
        FactKind::DisputeLost,
    ] {
        let closed = Object::Dispute(0, 0).said(&terms, kind);
        assert_eq!(
            asked(&terms, &[open.to_vec(), vec![closed]].concat()),
            [],
            "{kind}"
        );
    }
}

#[test]
fn a_session_made_otherwise_is_asked_about_while_it_can_be_paid() {
    let terms = simple_order(100);
    let session = |kind| Object::Session(0).said(&terms, kind);
    for (code, reason) in [
        (
            Disagreement::Currency.as_str(),
            Some(Reason::CurrencyMismatch),
        ),
        (Disagreement::Amount.as_str(), Some(Reason::AmountMismatch)),
        (Disagreement::NotOurs.as_str(), Some(Reason::OutcomeUnknown)),
        ("the_providers_own_refusal", None),
    ] {
        let rejected = session(FactKind::Rejected).because(code);
        let question: Vec<_> = reason
            .map(|reason| (reason, session_of(&terms)))
            .into_iter()
            .collect();
        let opened = session(FactKind::Opened);
        assert_eq!(
            asked(&terms, &[opened, rejected.clone()]),
            question,
            "{code}"
        );
        for kind in [FactKind::SessionExpired, FactKind::Completed] {
            let over = session(kind);
            assert_eq!(
                asked(&terms, &[rejected.clone(), over]),
                [],
                "{code}, {kind}"
            );
        }
        for kind in [FactKind::Authorized, FactKind::Captured] {
            let paid = intent(&terms, 0, kind);
            assert_eq!(
                asked(&terms, &[rejected.clone(), paid]),
                [],
                "{code}, {kind}"
            );
        }
    }
}

#[test]
fn a_question_with_two_causes_is_asked_once() {
    let mut terms = simple_order(100);
    terms.payments[0].requested = eur(99);
    let subject = session_of(&terms);
    let flag = ReviewKey {
        reason: Reason::AmountMismatch,
        subject: subject.clone(),
    };
    terms.flags = vec![flag];
    assert_eq!(
        asked(&terms, &[]),
        [(Reason::AmountMismatch, subject.clone())]
    );
    let under_way = intent(&terms, 0, FactKind::Processing);
    let wrong = Object::Session(0).said(&terms, FactKind::Rejected);
    let wrong = wrong.because(Disagreement::Amount.as_str());
    assert_eq!(
        asked(&terms, &[under_way, wrong]),
        [(Reason::AmountMismatch, subject)]
    );
}

/// How much a refund takes, whether it failed, and the one it was sent for again.
type Row = (i64, bool, Option<usize>);

/// Refunds of one payment, ours, in the order of their ids.
fn refunded(rows: &[Row]) -> (Terms, Vec<FactDraft>) {
    let mut terms = simple_order(100);
    let mut said = vec![intent(&terms, 0, FactKind::Captured)];
    for (at, (amount, failed, repeats)) in rows.iter().enumerate() {
        let refund = RefundTerms {
            id: id(700 + at),
            object: Some(format!("re_row_{at}")),
            payment: terms.payments[0].id,
            amount: eur(*amount),
            ours: true,
            repeats: repeats.map(|at| id(700 + at)),
        };
        let mut fact = Object::Refund(0, BY_POLICY).said(&terms, FactKind::RefundPending);
        fact.object = format!("re_row_{at}");
        fact.refund = Some(refund.id);
        fact.amount = Some(refund.amount);
        if *failed {
            fact.kind = FactKind::RefundFailed;
        }
        said.push(fact);
        terms.refunds.push(refund);
    }
    (terms, said)
}

#[test]
fn nobody_waits_once_all_of_a_payment_is_gone() {
    let (terms, mut said) = refunded(&[(60, true, None), (30, true, None), (100, false, None)]);
    let pending = said.len() - 1;
    assert_eq!(asked(&terms, &said).len(), 2, "it is on its way");
    said[pending].kind = FactKind::RefundSucceeded;
    assert_eq!(asked(&terms, &said), []);
    let (terms, mut said) = refunded(&[(60, true, None)]);
    assert_eq!(asked(&terms, &said).len(), 1);
    let back = back(&terms);
    said.extend([back.taken, back.lost]);
    assert_eq!(asked(&terms, &said), [], "the bank gave it back");
}

#[test]
fn a_newer_refund_answers_one_question_about_an_older_one_and_its_own_first() {
    let cases: [(&[Row], &[usize]); 9] = [
        (&[(5, true, None), (5, true, None)], &[0, 1]),
        // Sent for the younger one: the older one still waits.
        (
            &[(5, true, None), (5, true, None), (5, false, Some(1))],
            &[0],
        ),
        // Sent for none: the oldest of its amount.
        (&[(5, true, None), (5, true, None), (5, false, None)], &[1]),
        (&[(5, true, None), (7, true, None), (7, false, None)], &[0]),
        (
            &[(5, true, None), (7, true, None), (12, false, None)],
            &[0, 1],
        ),
        // It is asked about in the place of the one it was sent for, and so on.
        (&[(5, true, None), (5, true, Some(0))], &[1]),
        (
            &[(5, true, None), (5, true, Some(0)), (5, false, Some(1))],
            &[],
        ),
        // Of less than was to go back, as there was no more.
        (&[(5, true, None), (3, false, Some(0))], &[]),
        // What went back before is in nobody's place.
        (&[(5, false, None), (5, true, None)], &[1]),
    ];
    for (rows, open) in cases {
        let (mut terms, said) = refunded(rows);
        let wanted: Vec<_> = open
            .iter()
            .map(|at| {
                (
                    Reason::ProviderDeclinedRefund,
                    terms.refunds[*at].id.to_string(),
                )
            })
            .collect();
        assert_eq!(asked(&terms, &said), wanted, "{rows:?}");
        terms.refunds.reverse();
        assert_eq!(asked(&terms, &said), wanted, "{rows:?}, read otherwise");
    }
}
