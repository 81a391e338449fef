//! The tables of the specification, row by row: ranks, session status, payment status, order status.

use super::histories::{
    BY_POLICY, BY_STAFF, OUTSIDE, Object, eur, id, money, numbered, order_of, simple_order,
};
use super::model;
use crate::domain::checkout::{Capture, SessionStatus};
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use crate::domain::refund::RefundStatus;
use crate::domain::settlement::fold::{DisputeState, session_status};
use crate::domain::settlement::{
    FactDraft, FactKind, OrderState, Reason, RefundTerms, Terms, fold, labels,
};

const PAYMENT_RANKS: [FactKind; 7] = [
    FactKind::Declined,
    FactKind::Processing,
    FactKind::Authorized,
    FactKind::Failed,
    FactKind::Voided,
    FactKind::Expired,
    FactKind::Captured,
];

/// The state of an order once these drafts are known.
fn after(terms: &Terms, drafts: impl IntoIterator<Item = FactDraft>) -> OrderState {
    fold(terms, &numbered(0, drafts))
}

fn captured(terms: &Terms, at: usize, minor: i64) -> FactDraft {
    Object::Intent(at)
        .said(terms, FactKind::Captured)
        .of(eur(minor))
}

fn refund(terms: &Terms, which: usize, kind: FactKind, minor: i64) -> FactDraft {
    Object::Refund(0, which).said(terms, kind).of(eur(minor))
}

fn dispute(terms: &Terms, kind: FactKind) -> FactDraft {
    Object::Dispute(0, 0).said(terms, kind)
}

#[test]
fn of_two_facts_about_a_payment_the_higher_rank_wins() {
    let terms = simple_order(100);
    for (low, weaker) in PAYMENT_RANKS.iter().enumerate() {
        for (high, stronger) in PAYMENT_RANKS.iter().enumerate() {
            let said = |kind| Object::Intent(0).said(&terms, kind).of(eur(100));
            let state = after(&terms, [said(*weaker), said(*stronger)]);
            let wins = PAYMENT_RANKS[low.max(high)];
            assert_eq!(
                state.payments[0].rank,
                Some(wins),
                "{weaker} and {stronger}"
            );
            let reserved = if wins == FactKind::Authorized { 100 } else { 0 };
            assert_eq!(state.authorized, eur(reserved), "{weaker} and {stronger}");
        }
    }
    for kind in FactKind::ALL
        .iter()
        .filter(|kind| !PAYMENT_RANKS.contains(kind))
    {
        assert_eq!(kind.payment_rank(), None, "{kind}");
    }
}

#[test]
fn of_two_facts_about_a_refund_the_higher_rank_wins() {
    use FactKind::{RefundCancelled, RefundFailed, RefundPending, RefundSucceeded};
    let terms = simple_order(100);
    for (facts, refunded, pending) in [
        (vec![RefundPending], 0, 40),
        (vec![RefundSucceeded], 40, 0),
        (vec![RefundFailed], 0, 0),
        (vec![RefundCancelled], 0, 0),
        (vec![RefundSucceeded, RefundPending], 40, 0),
        (vec![RefundFailed, RefundSucceeded], 0, 0),
        (vec![RefundCancelled, RefundSucceeded], 0, 0),
        (vec![RefundFailed, RefundPending], 0, 0),
    ] {
        let said = facts.iter().map(|kind| refund(&terms, BY_STAFF, *kind, 40));
        let state = after(&terms, said.chain([captured(&terms, 0, 100)]));
        let payment = &state.payments[0];
        assert_eq!(payment.refunded_minor, refunded, "{facts:?}");
        assert_eq!(payment.refund_pending_minor, pending, "{facts:?}");
        assert_eq!(state.refunded, eur(refunded), "{facts:?}");
    }
    assert!(RefundCancelled.refund_rank() > RefundFailed.refund_rank());
}

#[test]
fn of_two_facts_about_a_dispute_the_higher_rank_wins() {
    use FactKind::{DisputeLost, DisputeOpened, DisputeWarningClosed, DisputeWon};
    let terms = simple_order(100);
    let ranks = [DisputeOpened, DisputeWarningClosed, DisputeWon, DisputeLost];
    for (low, weaker) in ranks.iter().enumerate() {
        for (high, stronger) in ranks.iter().enumerate() {
            let taken = dispute(&terms, FactKind::DisputeWithdrawn).of(eur(60));
            let said = [dispute(&terms, *stronger), taken, dispute(&terms, *weaker)];
            let state = after(&terms, said.into_iter().chain([captured(&terms, 0, 100)]));
            let rank = ranks[low.max(high)];
            let expected = DisputeState {
                object: "dp_0_0".to_owned(),
                rank,
                withdrawn_minor: 60,
                reinstated_minor: 0,
                net_withdrawn_minor: 60,
            };
            assert_eq!(
                state.payments[0].disputes,
                [expected],
                "{weaker} and {stronger}"
            );
            let lost = if rank == DisputeLost { 60 } else { 0 };
            assert_eq!(
                state.payments[0].lost_minor(),
                lost,
                "{weaker} and {stronger}"
            );
        }
    }
}

#[test]
fn captures_and_withdrawals_are_running_totals() {
    let terms = simple_order(100);
    let state = after(
        &terms,
        [
            captured(&terms, 0, 100),
            captured(&terms, 0, 30),
            dispute(&terms, FactKind::DisputeWithdrawn).of(eur(10)),
            dispute(&terms, FactKind::DisputeWithdrawn).of(eur(50)),
            dispute(&terms, FactKind::DisputeReinstated).of(eur(20)),
            dispute(&terms, FactKind::DisputeReinstated).of(eur(5)),
        ],
    );
    assert_eq!(state.payments[0].captured_minor, 100);
    assert_eq!(state.payments[0].net_withdrawn_minor(), 30);
    assert_eq!(state.disputed, eur(30));
}

#[test]
fn money_given_back_before_it_is_known_to_be_taken_counts_as_nothing() {
    let terms = simple_order(100);
    let back = dispute(&terms, FactKind::DisputeReinstated).of(eur(60));
    let state = after(&terms, [captured(&terms, 0, 100), back]);
    assert_eq!(state.disputed, eur(0));
    assert_eq!(state.payments[0].kept_minor(), 100);
}

#[test]
fn why_a_try_failed_is_said_while_nothing_stronger_is_known() {
    let terms = simple_order(100);
    let declined = |which, code| {
        Object::Charge(0, which)
            .said(&terms, FactKind::Declined)
            .because(code)
    };
    let tries = [declined(0, "card_declined"), declined(1, "a_first_code")];
    let state = after(&terms, tries.clone());
    assert_eq!(
        state.payments[0].failure_code.as_deref(),
        Some("a_first_code")
    );
    let state = after(&terms, tries.into_iter().chain([captured(&terms, 0, 100)]));
    assert_eq!(state.payments[0].failure_code, None);
}

/// All 128 sets of the facts a session's status is told from.
#[test]
fn a_session_has_the_first_status_that_matches() {
    use FactKind as K;
    let terms = simple_order(100);
    let intent = |kind| Object::Intent(0).said(&terms, kind).of(eur(100));
    let session = |kind| Object::Session(0).said(&terms, kind);
    let by_strength = [
        (intent(K::Captured), SessionStatus::Complete),
        (intent(K::Authorized), SessionStatus::Complete),
        (session(K::Rejected), SessionStatus::Failed),
        (session(K::SessionExpired), SessionStatus::Expired),
        (intent(K::Failed), SessionStatus::Failed),
        (session(K::Completed), SessionStatus::Processing),
        (session(K::Opened), SessionStatus::Open),
    ];
    for set in 0_u32..1 << by_strength.len() {
        let known = by_strength.iter().enumerate();
        let known = known
            .filter(|(at, _)| set & (1 << at) != 0)
            .map(|(_, row)| row);
        let known: Vec<&(FactDraft, SessionStatus)> = known.collect();
        let facts = numbered(0, known.iter().map(|(draft, _)| draft.clone()));
        let expected = known
            .first()
            .map_or(SessionStatus::Creating, |(_, status)| *status);
        assert_eq!(
            session_status(&terms, &terms.sessions[0], &facts),
            expected,
            "{facts:?}"
        );
    }
    let weak = [K::Declined, K::Processing, K::Voided, K::Expired].map(intent);
    let facts = numbered(0, weak.into_iter().chain([session(K::Opened)]));
    assert_eq!(
        session_status(&terms, &terms.sessions[0], &facts),
        SessionStatus::Open
    );
}

#[test]
fn another_session_with_our_marks_says_nothing_of_ours() {
    use FactKind as K;
    let mut terms = simple_order(100);
    terms.sessions[0].object = Some("cs_ours".to_owned());
    let session = terms.sessions[0].id;
    let status = |facts: Vec<FactDraft>, terms: &Terms| {
        session_status(terms, &terms.sessions[0], &numbered(0, facts))
    };
    let told = |kind, object| FactDraft::session(kind, object, session);
    let opened = || told(K::Opened, "cs_ours");
    for kind in [K::Completed, K::SessionExpired] {
        let facts = vec![opened(), told(kind, "cs_other")];
        assert_eq!(status(facts, &terms), SessionStatus::Open);
    }
    // Money in another amount may have come through the other one; once ours is done, it is ours.
    terms.payments[0].requested = eur(99);
    let paid = || FactDraft::payment(K::Captured, &terms.payments[0].intent, session).of(eur(99));
    assert_eq!(status(vec![opened(), paid()], &terms), SessionStatus::Open);
    let done = vec![opened(), paid(), told(K::Completed, "cs_ours")];
    assert_eq!(status(done, &terms), SessionStatus::Complete);
}

#[test]
fn a_refund_is_not_proved_by_what_is_said_of_other_money() {
    let usd = money(100, "USD");
    let mut terms = simple_order(100);
    let refund = RefundTerms {
        id: id(7),
        object: Some("re_1".to_owned()),
        payment: terms.payments[0].id,
        amount: eur(100),
        ours: true,
        repeats: None,
    };
    terms.refunds.push(refund);
    let mut said = FactDraft::payment(
        FactKind::RefundSucceeded,
        &terms.payments[0].intent,
        terms.sessions[0].id,
    );
    said.object = "re_1".to_owned();
    let known = |amount| after(&terms, [captured(&terms, 0, 100), said.clone().of(amount)]);
    assert_eq!(known(usd).refunds[0].status, RefundStatus::Pending);
    assert_eq!(known(eur(100)).refunds[0].status, RefundStatus::Succeeded);
}

#[test]
fn facts_of_one_session_say_nothing_of_another() {
    let terms = order_of(100, &[(100, Capture::Automatic); 2]);
    let state = after(
        &terms,
        [
            captured(&terms, 0, 100),
            Object::Session(1).said(&terms, FactKind::Opened),
        ],
    );
    let statuses: Vec<SessionStatus> = state.sessions.into_values().collect();
    assert_eq!(statuses, [SessionStatus::Complete, SessionStatus::Open]);
}

/// Every combination of small amounts and of what else is known, against the model.
#[test]
fn the_payment_status_is_total_and_the_first_that_matches() {
    let terms = simple_order(100);
    let blank = after(&terms, []).payments.remove(0);
    let mut seen = std::collections::BTreeSet::new();
    for bits in 0_u32..8 {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let mut payments = vec![blank.clone(); 3];
        payments[0].belongs = true;
        if has(0) {
            payments[0].disputes.push(DisputeState {
                object: "dp_0_0".to_owned(),
                rank: FactKind::DisputeOpened,
                withdrawn_minor: 1,
                reinstated_minor: 0,
                net_withdrawn_minor: 1,
            });
        }
        payments[1].rank = has(1).then_some(FactKind::Authorized);
        payments[2].rank = has(2).then_some(FactKind::Processing);
        for number in 0_i64..256 {
            let digit = |place: u32| (number >> (2 * place)) & 3;
            let amounts = model::Amounts {
                total: digit(0),
                captured: digit(1),
                refunded: digit(2),
                lost: digit(3),
                disputed: has(0),
                authorized: has(1),
                pending: has(2),
            };
            let (total, lost) = (amounts.total, amounts.lost);
            let said =
                labels::payment_status(total, amounts.captured, amounts.refunded, lost, &payments);
            assert_eq!(said, model::label(&amounts), "{amounts:?}");
            seen.insert(said);
        }
    }
    assert_eq!(
        seen.len(),
        PaymentStatus::ALL.len(),
        "every word was reached"
    );
}

#[test]
fn only_an_open_dispute_that_took_money_of_the_order_disputes_it() {
    let terms = simple_order(100);
    let opened = dispute(&terms, FactKind::DisputeOpened);
    let taken = dispute(&terms, FactKind::DisputeWithdrawn).of(eur(100));
    let back = dispute(&terms, FactKind::DisputeReinstated).of(eur(100));
    let won = dispute(&terms, FactKind::DisputeWon);
    let lost = dispute(&terms, FactKind::DisputeLost);
    for (more, expected) in [
        (vec![&opened], PaymentStatus::Paid),
        (vec![&opened, &taken], PaymentStatus::Disputed),
        (vec![&opened, &taken, &back], PaymentStatus::Paid),
        (vec![&opened, &taken, &won], PaymentStatus::Paid),
        (vec![&opened, &taken, &lost], PaymentStatus::ChargedBack),
    ] {
        let facts = more.iter().map(|draft| (*draft).clone());
        let state = after(&terms, facts.chain([captured(&terms, 0, 100)]));
        assert_eq!(state.payment_status, expected, "{more:?}");
    }
}

#[test]
fn authorized_money_that_is_not_what_was_asked_for_reserves_nothing() {
    let mut terms = simple_order(100);
    terms.payments[0].requested = eur(99);
    for kind in [FactKind::Authorized, FactKind::Processing] {
        let state = after(&terms, [Object::Intent(0).said(&terms, kind).of(eur(99))]);
        assert_eq!(state.payment_status, PaymentStatus::Unpaid);
        assert_eq!(state.authorized, eur(0));
    }
}

#[test]
fn a_later_session_brings_only_a_duplicate() {
    let terms = order_of(100, &[(100, Capture::Automatic); 2]);
    let both = [captured(&terms, 1, 100), captured(&terms, 0, 100)];
    let belong = |drafts: Vec<FactDraft>| {
        let state = after(&terms, drafts);
        [state.payments[0].belongs, state.payments[1].belongs]
    };
    assert_eq!(belong(both.to_vec()), [true, false]);
    let accepted = Object::Intent(1).said(&terms, FactKind::PaymentAccepted);
    let facts = [both.to_vec(), vec![accepted]].concat();
    assert_eq!(
        belong(facts),
        [false, true],
        "the decision names the other one"
    );
    for (which, expected) in [
        (BY_STAFF, [false, true]),
        (BY_POLICY, [true, false]),
        (OUTSIDE, [true, false]),
    ] {
        let back = Object::Refund(1, which)
            .said(&terms, FactKind::RefundPending)
            .of(eur(10));
        let facts = [both.to_vec(), vec![back]].concat();
        assert_eq!(belong(facts), expected, "refund {which}");
    }
}

#[test]
fn two_parts_belong_together_when_they_make_the_whole() {
    let terms = order_of(100, &[(100, Capture::Manual), (40, Capture::Automatic)]);
    let state = after(&terms, [captured(&terms, 0, 60)]);
    assert_eq!(
        (state.payment_status, state.counts_as_paid),
        (PaymentStatus::PartiallyPaid, false)
    );
    let state = after(&terms, [captured(&terms, 0, 60), captured(&terms, 1, 40)]);
    assert_eq!(
        (state.payment_status, state.counts_as_paid),
        (PaymentStatus::Paid, true)
    );
    assert_eq!(state.paid, eur(100));
}

/// Part of a reservation was taken, and two more sessions can each charge the rest; the older of them is captured
/// last, and less than whole.
#[test]
fn a_late_and_small_capture_does_not_push_out_what_made_the_order_whole() {
    let manual = Capture::Manual;
    let terms = order_of(
        100,
        &[(100, manual), (40, manual), (40, Capture::Automatic)],
    );
    let facts = |late: i64| {
        [
            captured(&terms, 0, 60),
            captured(&terms, 2, 40),
            captured(&terms, 1, late),
        ]
    };
    let belong = |state: &OrderState| {
        let belong = state.payments.iter().map(|payment| payment.belongs);
        belong.collect::<Vec<bool>>()
    };
    for (late, belonging) in [
        (1, [true, false, true]),
        (39, [true, false, true]),
        (40, [true, true, false]),
    ] {
        for turn in 0..3 {
            let mut facts = facts(late);
            facts.rotate_left(turn);
            let state = after(&terms, facts);
            assert_eq!(belong(&state), belonging, "{late}, turned by {turn}");
            assert_eq!(state.paid, eur(100));
            assert!(state.counts_as_paid);
            let extra = belonging.iter().position(|belongs| !belongs).expect("one");
            let reviews: Vec<_> = state
                .reviews
                .iter()
                .map(|r| (r.reason, r.subject.clone()))
                .collect();
            let subject = terms.payments[extra].id.to_string();
            assert_eq!(reviews, [(Reason::DuplicatePayment, subject)]);
        }
    }
}

#[test]
fn what_a_policy_gave_back_is_not_taken_in_again() {
    let terms = order_of(
        100,
        &[
            (50, Capture::Automatic),
            (60, Capture::Automatic),
            (50, Capture::Automatic),
        ],
    );
    let back = Object::Refund(0, BY_POLICY).said(&terms, FactKind::RefundSucceeded);
    let facts = vec![
        captured(&terms, 0, 50),
        captured(&terms, 1, 60),
        back.of(eur(50)),
    ];
    let state = after(&terms, facts.clone());
    assert_eq!((state.paid, state.refunded), (eur(60), eur(0)));
    let more = [facts, vec![captured(&terms, 2, 50)]].concat();
    let state = after(&terms, more);
    assert_eq!(
        (state.paid, state.refunded),
        (eur(60), eur(0)),
        "with it, all of 100 would seem paid"
    );
}

/// However many there are, it is decided at once, and never beyond the total.
#[test]
fn many_captures_are_weighed_within_bounds() {
    let sessions: Vec<(i64, Capture)> = (0..40)
        .map(|at| (1_000 + at * at, Capture::Automatic))
        .collect();
    let terms = order_of(30_000, &sessions);
    let drafts: Vec<FactDraft> = (0..40)
        .map(|at| captured(&terms, at, sessions[at].0))
        .collect();
    let state = after(&terms, drafts);
    assert!(state.paid.minor() <= 30_000);
    assert!(state.paid.minor() >= 28_000, "{:?}", state.paid);
}

#[test]
fn accepted_money_belongs_unless_its_currency_is_wrong() {
    let mut terms = simple_order(100);
    terms.payments[0].requested = eur(70);
    let accepted = Object::Intent(0).said(&terms, FactKind::PaymentAccepted);
    let paid = captured(&terms, 0, 70);
    assert_eq!(after(&terms, [paid.clone()]).paid, eur(0));
    assert_eq!(after(&terms, [paid, accepted.clone()]).paid, eur(70));
    terms.payments[0].requested = money(100, "USD");
    let dollars = Object::Intent(0)
        .said(&terms, FactKind::Captured)
        .of(money(100, "USD"));
    let state = after(&terms, [dollars, accepted]);
    assert_eq!((state.paid, state.payments[0].accepted), (eur(0), false));
    assert_eq!(
        state.payments[0].captured_minor, 100,
        "the money is there all the same"
    );
}

#[test]
fn an_order_is_paid_once_all_is_captured_and_not_all_is_gone() {
    let terms = simple_order(100);
    let paid = |drafts: Vec<FactDraft>| after(&terms, drafts).counts_as_paid;
    let all = || captured(&terms, 0, 100);
    assert!(!paid(vec![]));
    assert!(!paid(vec![captured(&terms, 0, 99)]));
    assert!(paid(vec![all()]));
    assert!(paid(vec![
        all(),
        refund(&terms, OUTSIDE, FactKind::RefundSucceeded, 99)
    ]));
    assert!(!paid(vec![
        all(),
        refund(&terms, OUTSIDE, FactKind::RefundSucceeded, 100)
    ]));
    let taken = || dispute(&terms, FactKind::DisputeWithdrawn).of(eur(1));
    let lost = || dispute(&terms, FactKind::DisputeLost);
    let back = || refund(&terms, OUTSIDE, FactKind::RefundSucceeded, 99);
    assert!(
        paid(vec![all(), taken(), back()]),
        "it is only disputed yet"
    );
    assert!(!paid(vec![all(), taken(), back(), lost()]));
    let free = simple_order(0);
    assert!(after(&free, []).counts_as_paid);
    assert_eq!(after(&free, []).payment_status, PaymentStatus::Paid);
}

#[test]
fn an_order_stands_where_decisions_money_and_parcels_put_it() {
    use FulfilmentStatus::{Fulfilled, PartiallyFulfilled, Unfulfilled};
    use OrderStatus::{Cancelled, Completed, Expired, Open};
    let terms = order_of(100, &[(100, Capture::Automatic), (100, Capture::Manual)]);
    let cancelled = Object::Order.said(&terms, FactKind::OrderCancelled);
    let expired = Object::Order.said(&terms, FactKind::OrderExpired);
    let accepted = Object::Intent(0).said(&terms, FactKind::PaymentAccepted);
    let paid = captured(&terms, 0, 100);
    let back = refund(&terms, BY_STAFF, FactKind::RefundSucceeded, 100);
    let some_back = refund(&terms, BY_STAFF, FactKind::RefundSucceeded, 99);
    let failed = refund(&terms, BY_STAFF, FactKind::RefundFailed, 100);
    let (part, manual_part) = (captured(&terms, 0, 60), captured(&terms, 1, 60));
    for (facts, statuses) in [
        (vec![], [Open, Open, Open]),
        (vec![&part], [Open, Open, Open]),
        (vec![&manual_part], [Open, Open, Completed]),
        (vec![&paid], [Open, Open, Completed]),
        (vec![&paid, &some_back], [Open, Open, Completed]),
        (vec![&paid, &back], [Cancelled, Open, Completed]),
        (vec![&paid, &back, &failed], [Open, Open, Completed]),
        (vec![&cancelled], [Cancelled; 3]),
        (vec![&expired], [Expired; 3]),
        (vec![&expired, &cancelled], [Cancelled; 3]),
        (vec![&cancelled, &paid], [Cancelled; 3]),
        (vec![&cancelled, &accepted], [Cancelled; 3]),
        (vec![&cancelled, &paid, &accepted], [Open, Open, Completed]),
        (vec![&expired, &paid, &accepted], [Open, Open, Completed]),
        (
            vec![&expired, &paid, &accepted, &back],
            [Cancelled, Open, Completed],
        ),
    ] {
        for (fulfilment, expected) in [Unfulfilled, PartiallyFulfilled, Fulfilled]
            .into_iter()
            .zip(statuses)
        {
            let terms = Terms {
                fulfilment,
                ..terms.clone()
            };
            let state = after(&terms, facts.iter().map(|draft| (*draft).clone()));
            assert_eq!(state.status, expected, "{fulfilment}, {facts:?}");
        }
    }
}

#[test]
fn a_closed_order_takes_no_money_by_itself() {
    let terms = simple_order(100);
    for decision in [FactKind::OrderCancelled, FactKind::OrderExpired] {
        let closed = Object::Order.said(&terms, decision);
        let state = after(&terms, [captured(&terms, 0, 100), closed.clone()]);
        assert_eq!(state.payment_status, PaymentStatus::Unpaid);
        assert_eq!((state.paid, state.counts_as_paid), (eur(0), false));
        let accepted = Object::Intent(0).said(&terms, FactKind::PaymentAccepted);
        let state = after(&terms, [captured(&terms, 0, 100), closed, accepted]);
        assert_eq!(state.payment_status, PaymentStatus::Paid);
        assert!(state.counts_as_paid);
    }
}

#[test]
fn an_order_that_was_opened_again_takes_what_it_still_lacks() {
    // Its first payment came late and short, the second pays the rest, the third is too much.
    let sessions = [100, 60, 60].map(|amount| (amount, Capture::Automatic));
    let mut terms = order_of(100, &sessions);
    terms.payments[0].requested = eur(40);
    for decision in [FactKind::OrderCancelled, FactKind::OrderExpired] {
        let closed = Object::Order.said(&terms, decision);
        let accepted = Object::Intent(0).said(&terms, FactKind::PaymentAccepted);
        let mut facts = vec![captured(&terms, 0, 40), closed, accepted];
        let state = after(&terms, facts.clone());
        assert_eq!(state.payment_status, PaymentStatus::PartiallyPaid);
        facts.push(captured(&terms, 1, 60));
        let state = after(&terms, facts.clone());
        assert_eq!(state.payment_status, PaymentStatus::Paid, "{decision}");
        assert_eq!((state.status, state.paid), (OrderStatus::Open, eur(100)));
        assert!(
            state.counts_as_paid && state.reviews.is_empty(),
            "{decision}"
        );
        facts.push(captured(&terms, 2, 60));
        let state = after(&terms, facts);
        assert_eq!(state.paid, eur(100), "{decision}");
        let reasons = state.reviews.iter().map(|key| key.reason);
        assert_eq!(reasons.collect::<Vec<_>>(), [Reason::DuplicatePayment]);
    }
}

#[test]
fn what_was_given_back_of_a_closed_order_does_not_come_back_with_it() {
    let sessions = [100, 60].map(|amount| (amount, Capture::Automatic));
    let mut terms = order_of(100, &sessions);
    terms.payments[0].requested = eur(40);
    let back = Object::Refund(1, BY_POLICY).said(&terms, FactKind::RefundSucceeded);
    let back = back.of(eur(60));
    let id = back.refund.expect("a refund of ours");
    terms.refunds.push(RefundTerms {
        id,
        object: None,
        payment: terms.payments[1].id,
        amount: eur(60),
        ours: true,
        repeats: None,
    });
    if !terms.suspense_refunds.contains(&id) {
        terms.suspense_refunds.push(id);
    }
    let closed = Object::Order.said(&terms, FactKind::OrderExpired);
    let accepted = Object::Intent(0).said(&terms, FactKind::PaymentAccepted);
    let facts = [
        captured(&terms, 0, 40),
        captured(&terms, 1, 60),
        closed,
        accepted,
    ];
    // The money is on its way, and then it is gone.
    for told in [None, Some(back)] {
        let state = after(&terms, facts.iter().cloned().chain(told));
        assert_eq!(state.paid, eur(40));
        assert_eq!(state.payment_status, PaymentStatus::PartiallyPaid);
        assert!(!state.counts_as_paid);
    }
}

/// A refund with a row, and everything that can be said of it, in every order.
#[test]
fn a_refund_is_what_the_provider_says_of_it_in_whatever_order() {
    use crate::domain::ids::RefundId;
    use crate::domain::refund::RefundStatus as S;
    use crate::domain::settlement::{Reason, RefundTerms};
    use FactKind::{RefundFailed, RefundPending, RefundSucceeded};
    let mut terms = simple_order(100);
    let pending = refund(&terms, BY_STAFF, RefundPending, 40);
    let id: RefundId = pending.refund.expect("a refund of ours");
    terms.refunds.push(RefundTerms {
        id,
        object: None,
        payment: terms.payments[0].id,
        amount: eur(40),
        ours: true,
        repeats: None,
    });
    let intent = terms.payments[0].intent.clone();
    let refused = FactDraft::refused_refund(id, &intent, eur(40), "not_executed");
    let succeeded = refund(&terms, BY_STAFF, RefundSucceeded, 40);
    let failed = refund(&terms, BY_STAFF, RefundFailed, 40);
    let cases: [(&[&FactDraft], S, i64); 6] = [
        (&[], S::Pending, 40),
        (&[&pending], S::Pending, 40),
        (&[&pending, &succeeded], S::Succeeded, 40),
        (&[&pending, &succeeded, &failed], S::Failed, 0),
        (&[&refused], S::Failed, 0),
        // We gave up on it, and it was made after all.
        (&[&refused, &pending, &succeeded], S::Succeeded, 40),
    ];
    for (said, status, taken) in cases {
        for turn in 0..said.len().max(1) {
            let turned = said.iter().cycle().skip(turn).take(said.len());
            let facts = turned
                .map(|fact| (*fact).clone())
                .chain([captured(&terms, 0, 100)]);
            let state = after(&terms, facts);
            let refund = &state.refunds[0];
            assert_eq!(
                (refund.status, refund.taken_minor),
                (status, taken),
                "{said:?}"
            );
            let asked = state
                .reviews
                .iter()
                .any(|key| key.reason == Reason::ProviderDeclinedRefund);
            assert_eq!(asked, status == S::Failed, "{said:?}");
        }
    }
}
