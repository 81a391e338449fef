//! From what a provider showed to facts: each kind of object, each state.

use super::histories::{eur, id};
use crate::domain::checkout::Capture;
use crate::domain::ids::CheckoutSessionId;
use crate::domain::observed::{
    Marks, Observed, ObservedFailure, ObservedIntent, ObservedIntentStatus as I, ObservedSession,
    ObservedSessionPayment as P, ObservedSessionStatus as S,
};
use crate::domain::settlement::{FactDraft, FactKind, drafts_of};

fn intent(status: I) -> ObservedIntent {
    ObservedIntent {
        provider_id: "pi_0".to_owned(),
        marks: Marks::default(),
        status,
        amount: eur(100),
        captured: eur(if status == I::Captured { 60 } else { 0 }),
        charge: None,
        failure: None,
        live: false,
    }
}

fn session(status: S, payment: P, intent_object: Option<ObservedIntent>) -> ObservedSession {
    ObservedSession {
        provider_id: "cs_test_0".to_owned(),
        marks: Marks::default(),
        status,
        payment,
        amount: eur(100),
        intent: Some("pi_0".to_owned()),
        intent_object,
        delayed_payment_failed: false,
        url: None,
        expires_at: None,
        live: false,
    }
}

/// Kind, object and amount of what an object proves.
fn proved(observed: Observed, capture: Capture) -> Vec<(FactKind, String, i64)> {
    let ours: CheckoutSessionId = id(0);
    let drafts = drafts_of(&observed, ours, capture).into_iter();
    let shown = drafts.map(|draft: FactDraft| {
        assert_eq!(draft.session, Some(ours), "every fact knows its session");
        let of_intent = draft.kind.payment_rank().is_some();
        assert_eq!(
            draft.intent.is_some(),
            of_intent,
            "and payments their intent"
        );
        (
            draft.kind,
            draft.object,
            draft.amount.map_or(0, |amount| amount.minor()),
        )
    });
    shown.collect()
}

fn kinds(object: ObservedSession, capture: Capture) -> Vec<FactKind> {
    let proved = proved(Observed::Session(object), capture).into_iter();
    proved.map(|(kind, _, _)| kind).collect()
}

#[test]
fn an_intent_proves_its_state() {
    for (status, expected) in [
        (I::Waiting, None),
        (I::NeedsPaymentMethod, None),
        (I::Processing, Some((FactKind::Processing, 0))),
        (I::Authorized, Some((FactKind::Authorized, 100))),
        (I::Captured, Some((FactKind::Captured, 60))),
        (I::Canceled, Some((FactKind::Voided, 0))),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(kind, amount)| (kind, "pi_0".to_owned(), amount))
            .collect();
        let seen = proved(Observed::Intent(intent(status)), Capture::Automatic);
        assert_eq!(seen, expected, "{status:?}");
    }
}

#[test]
fn a_refused_try_is_its_charges_fact_and_leaves_the_intent_payable() {
    let code = "card_declined".to_owned();
    let mut object = intent(I::NeedsPaymentMethod);
    object.failure = Some(ObservedFailure {
        code: code.clone(),
        charge: None,
    });
    let seen = proved(Observed::Intent(object.clone()), Capture::Automatic);
    assert_eq!(seen, [(FactKind::Declined, "pi_0".to_owned(), 0)]);
    object.failure = Some(ObservedFailure {
        code,
        charge: Some("ch_1".to_owned()),
    });
    let drafts = drafts_of(&Observed::Intent(object), id(0), Capture::Automatic);
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0].object, "ch_1");
    assert_eq!(drafts[0].intent.as_deref(), Some("pi_0"));
    assert_eq!(drafts[0].code.as_deref(), Some("card_declined"));
}

#[test]
fn a_session_proves_its_own_state_first() {
    let of = |status| kinds(session(status, P::Unpaid, None), Capture::Automatic);
    assert_eq!(of(S::Open), [FactKind::Opened]);
    assert_eq!(of(S::Complete), [FactKind::Opened, FactKind::Completed]);
    assert_eq!(of(S::Expired), [FactKind::Opened, FactKind::SessionExpired]);
}

#[test]
fn a_paid_session_proves_a_capture_only_when_capture_is_automatic() {
    let paid = || Observed::Session(session(S::Complete, P::Paid, None));
    let captured = (FactKind::Captured, "pi_0".to_owned(), 100);
    assert!(proved(paid(), Capture::Automatic).contains(&captured));
    assert_eq!(
        proved(paid(), Capture::Manual).len(),
        2,
        "opened and completed"
    );
    let with_intent = session(S::Complete, P::Paid, Some(intent(I::Captured)));
    let seen = proved(Observed::Session(with_intent), Capture::Manual);
    let captured = (FactKind::Captured, "pi_0".to_owned(), 60);
    assert_eq!(
        seen.into_iter()
            .filter(|fact| fact.0 == FactKind::Captured)
            .collect::<Vec<_>>(),
        [captured]
    );
}

#[test]
fn only_a_delayed_method_fails_for_good() {
    let failed =
        |object: ObservedSession| kinds(object, Capture::Automatic).contains(&FactKind::Failed);
    let mut told = session(S::Complete, P::Unpaid, None);
    assert!(!failed(told.clone()), "it may still arrive");
    told.delayed_payment_failed = true;
    assert!(failed(told));
    for (status, payment, state, expected) in [
        (S::Complete, P::Unpaid, I::NeedsPaymentMethod, true),
        (S::Complete, P::Unpaid, I::Canceled, true),
        (S::Complete, P::Unpaid, I::Processing, false),
        (S::Complete, P::Unpaid, I::Authorized, false),
        (S::Complete, P::Paid, I::Captured, false),
        (S::Open, P::Unpaid, I::NeedsPaymentMethod, false),
        (S::Expired, P::Unpaid, I::Canceled, false),
    ] {
        let object = session(status, payment, Some(intent(state)));
        assert_eq!(
            failed(object),
            expected,
            "{status:?}, {payment:?}, {state:?}"
        );
    }
}

#[test]
fn a_webhook_a_poll_and_an_answer_about_one_capture_are_one_fact() {
    let by_session = session(S::Complete, P::Paid, None);
    let mut whole = intent(I::Captured);
    whole.captured = eur(100);
    let by_both = session(S::Complete, P::Paid, Some(whole.clone()));
    let reports = [
        Observed::Session(by_session),
        Observed::Session(by_both),
        Observed::Intent(whole),
    ];
    let captures: Vec<FactDraft> = reports
        .iter()
        .flat_map(|report| drafts_of(report, id(0), Capture::Automatic))
        .filter(|draft| draft.kind == FactKind::Captured)
        .collect();
    assert_eq!(captures.len(), 3);
    assert!(
        captures
            .windows(2)
            .all(|two| two[0].identity() == two[1].identity())
    );
}
