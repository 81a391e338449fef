//! Random orders and what can become known of them, for every law about the fold, the ledger and the events.
//!
//! A *plausible* history is a random part of what a provider and a shop can truly say: amounts agree, nothing
//! more goes back than was captured, and every refund has its row. A *wild* one has statements beside it that make no sense: any kind about
//! any object, of any amount. An object decides the intent, session and refund its facts carry, as in life.

use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use crate::domain::checkout::{Capture, Disagreement};
use crate::domain::currency::Currency;
use crate::domain::ids::{FactId, Id, OrderId, PaymentId, RefundId};
use crate::domain::money::Money;
use crate::domain::order::FulfilmentStatus;
use crate::domain::settlement::{
    Fact, FactDraft, FactKind, PaymentTerms, RefundTerms, SessionTerms, Terms,
};

/// An order and what is known of it.
#[derive(Debug, Clone)]
pub struct History {
    pub terms: Terms,
    pub facts: Vec<Fact>,
}

/// Refunds of one payment: staff's own, a policy's, and one made outside Till.
pub const BY_STAFF: usize = 0;
pub const BY_POLICY: usize = 1;
pub const OUTSIDE: usize = 2;

pub fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, Currency::from_code(code).expect("a known code"))
}

pub fn eur(minor: i64) -> Money {
    money(minor, "EUR")
}

/// An id that sorts by `n`.
pub fn id<T: Id>(n: usize) -> T {
    let n = u128::try_from(n).expect("small");
    T::from_uuid(Uuid::from_u128(n))
}

fn refund_id(payment: usize, which: usize) -> RefundId {
    id(payment.saturating_mul(10).saturating_add(which))
}

/// The provider's id of a refund.
fn refund_object(payment: usize, which: usize) -> String {
    format!("re_{payment}_{which}")
}

/// What a fact can be about.
#[derive(Debug, Clone, Copy)]
pub enum Object {
    Order,
    Session(usize),
    Intent(usize),
    Charge(usize, usize),
    Refund(usize, usize),
    /// A refund of ours the provider never made, as far as we believe.
    Unmade(usize, usize),
    Dispute(usize, usize),
    /// An intent that has no payment.
    Stranger,
}

impl Object {
    /// A fact about the object.
    pub fn said(self, terms: &Terms, kind: FactKind) -> FactDraft {
        let payment = |at: usize| terms.payments.get(at);
        let (object, about, session) = match self {
            Object::Order => (terms.order.to_string(), None, None),
            Object::Session(at) => {
                let session = terms.sessions.get(at).map(|session| session.id);
                (format!("cs_test_{at}"), None, session)
            }
            Object::Intent(at) => (format!("pi_{at}"), Some(at), None),
            Object::Charge(at, which) => (format!("ch_{at}_{which}"), Some(at), None),
            Object::Refund(at, which) => (refund_object(at, which), Some(at), None),
            Object::Unmade(at, which) => (refund_id(at, which).to_string(), Some(at), None),
            Object::Dispute(at, which) => (format!("dp_{at}_{which}"), Some(at), None),
            Object::Stranger => ("pi_stranger".to_owned(), None, None),
        };
        let intent = match self {
            Object::Stranger => Some(object.clone()),
            _ => about
                .and_then(payment)
                .map(|payment| payment.intent.clone()),
        };
        FactDraft {
            kind,
            object,
            intent,
            session: session.or(about.and_then(payment).and_then(|payment| payment.session)),
            refund: match self {
                Object::Refund(at, which) | Object::Unmade(at, which) if which != OUTSIDE => {
                    Some(refund_id(at, which))
                }
                _ => None,
            },
            amount: None,
            code: None,
        }
    }
}

/// A code is part of what an object is: two reports of one fact never differ in it.
fn with_code(object: Object, mut draft: FactDraft) -> FactDraft {
    draft.code = match (draft.kind, object) {
        (FactKind::Declined, Object::Charge(_, 0)) => Some("card_declined"),
        (FactKind::Declined, _) => Some("an_earlier_code"),
        (FactKind::Failed, _) => Some("bank_refused"),
        (FactKind::RefundFailed, Object::Unmade(..)) => Some("not_executed"),
        (FactKind::RefundFailed, _) => Some("lost_or_stolen_card"),
        (FactKind::Rejected, Object::Session(at)) => {
            let code = Disagreement::ALL.get(at);
            Some(code.map_or("declined", |code| code.as_str()))
        }
        _ => None,
    }
    .map(str::to_owned);
    draft
}

/// Facts of drafts, numbered from `first`.
pub fn numbered(first: usize, drafts: impl IntoIterator<Item = FactDraft>) -> Vec<Fact> {
    let drafts = drafts.into_iter().enumerate();
    let facts = drafts.map(|(at, said)| Fact {
        id: id::<FactId>(first.saturating_add(at)),
        said,
    });
    facts.collect()
}

/// An order of `total` cents with one automatic session for all of it, and one payment through each session
/// that asks for exactly what its session charges.
pub fn simple_order(total: i64) -> Terms {
    order_of(total, &[(total, Capture::Automatic)])
}

/// As [`simple_order`], with these sessions.
pub fn order_of(total: i64, sessions: &[(i64, Capture)]) -> Terms {
    let sessions: Vec<SessionTerms> = sessions
        .iter()
        .enumerate()
        .map(|(at, (amount, capture))| SessionTerms {
            id: id(at),
            object: None,
            amount: eur(*amount),
            capture: *capture,
        })
        .collect();
    let payments = sessions.iter().enumerate();
    let payments = payments.map(|(at, session)| PaymentTerms {
        id: id(at),
        intent: format!("pi_{at}"),
        session: Some(session.id),
        requested: session.amount,
    });
    Terms {
        order: id::<OrderId>(1),
        total: eur(total),
        fulfilment: FulfilmentStatus::Unfulfilled,
        payments: payments.collect(),
        sessions,
        refunds: Vec::new(),
        suspense_refunds: (0..8)
            .map(|payment| refund_id(payment, BY_POLICY))
            .collect(),
        flags: Vec::new(),
    }
}

#[derive(Debug, Clone)]
struct PaymentPlan {
    session: Option<Index>,
    asks: Asks,
    /// Of a manual session's amount, in percent.
    captured_percent: i64,
    /// What becomes of the captured money: three refunds, two disputes, the rest.
    split: Vec<u64>,
    reinstated_percent: i64,
    /// Whether the rows of our two refunds know the provider's id.
    known_refunds: [bool; 2],
}

#[derive(Debug, Clone, Copy)]
enum Asks {
    TheSame,
    More(i64),
    OtherCurrency,
}

fn payment_plan() -> impl Strategy<Value = PaymentPlan> {
    let session = prop_oneof![
        1 => Just(None),
        19 => any::<Index>().prop_map(Some),
    ];
    let asks = prop_oneof![
        8 => Just(Asks::TheSame),
        1 => (1_i64..50).prop_map(Asks::More),
        1 => Just(Asks::OtherCurrency),
    ];
    // All of it going one way is the rare case that matters; most of all to one dispute.
    let one = proptest::sample::select(vec![0_usize, 1, 2, 3, 3, 3, 4]);
    let all_to_one = one.prop_map(|at| {
        let mut split = vec![0; 6];
        split[at] = 1;
        split
    });
    let split = prop_oneof![all_to_one, proptest::collection::vec(0_u64..4, 6)];
    let percent = || prop_oneof![Just(100_i64), 1_i64..=100];
    let known = any::<[bool; 2]>();
    (session, asks, percent(), split, percent(), known).prop_map(
        |(session, asks, captured_percent, split, reinstated_percent, known_refunds)| PaymentPlan {
            session,
            asks,
            captured_percent,
            split,
            reinstated_percent,
            known_refunds,
        },
    )
}

fn part(amount: i64, percent: i64) -> i64 {
    let part = amount.saturating_mul(percent).checked_div(100);
    part.unwrap_or(0).max(1)
}

/// How likely a fact of a kind is to be known, in percent.
fn likelihood(kind: FactKind) -> u8 {
    match kind {
        FactKind::Captured => 55,
        FactKind::DisputeWithdrawn | FactKind::DisputeLost => 35,
        FactKind::RefundSucceeded => 30,
        FactKind::Opened | FactKind::Completed | FactKind::Authorized => 40,
        FactKind::Processing | FactKind::DisputeOpened => 20,
        FactKind::Declined
        | FactKind::Failed
        | FactKind::Voided
        | FactKind::Expired
        | FactKind::SessionExpired
        | FactKind::RefundPending
        | FactKind::DisputeReinstated
        | FactKind::Fee => 15,
        FactKind::RefundFailed
        | FactKind::RefundCancelled
        | FactKind::DisputeWarningClosed
        | FactKind::DisputeWon
        | FactKind::Rejected
        | FactKind::PaymentAccepted => 8,
        FactKind::OrderCancelled | FactKind::OrderExpired => 6,
    }
}

/// What is taken of a payment, if it is captured.
fn captured_of(terms: &Terms, at: usize, plan: &PaymentPlan) -> Money {
    let payment = &terms.payments[at];
    let asked = payment.requested;
    let manual = terms
        .session_of(payment)
        .is_some_and(|session| session.capture == Capture::Manual);
    let captured = match manual {
        true => part(asked.minor(), plan.captured_percent),
        false => asked.minor(),
    };
    Money::new(captured, asked.currency())
}

/// The rows of a payment's refunds. Ours are there before the provider hears of them, and learn its id later; the
/// row of another is made when it is seen.
fn refund_rows(terms: &Terms, at: usize, plan: &PaymentPlan) -> Vec<RefundTerms> {
    let shares = captured_of(terms, at, plan).allocate(&plan.split);
    let rows = [BY_STAFF, BY_POLICY, OUTSIDE].into_iter();
    let rows = rows.filter(|which| !shares[*which].is_zero());
    // Whether the second one was sent for the first again: chance enough is in the plan.
    let again = plan.reinstated_percent & 1 == 1;
    let rows = rows.map(|which| {
        let known = plan.known_refunds.get(which).copied().unwrap_or(true);
        RefundTerms {
            id: refund_id(at, which),
            object: known.then(|| refund_object(at, which)),
            payment: terms.payments[at].id,
            amount: shares[which],
            ours: which != OUTSIDE,
            repeats: (again && which == BY_POLICY).then(|| refund_id(at, BY_STAFF)),
        }
    });
    rows.collect()
}

/// Everything that could be said truly about one payment.
fn sayable(terms: &Terms, at: usize, plan: &PaymentPlan) -> Vec<FactDraft> {
    let payment = &terms.payments[at];
    let asked = payment.requested;
    let captured = captured_of(terms, at, plan);
    let about = |object: Object, kind| with_code(object, object.said(terms, kind));
    let intent = |kind| about(Object::Intent(at), kind);
    let mut drafts = vec![
        about(Object::Charge(at, 0), FactKind::Declined),
        about(Object::Charge(at, 1), FactKind::Declined),
        intent(FactKind::Processing),
        intent(FactKind::Authorized).of(asked),
        intent(FactKind::Failed),
        intent(FactKind::Voided),
        intent(FactKind::Expired),
        intent(FactKind::Captured).of(captured),
        intent(FactKind::Fee).of(Money::new(1, asked.currency())),
        intent(FactKind::Fee).of(Money::new(2, asked.currency())),
        intent(FactKind::PaymentAccepted),
    ];
    let shares = captured.allocate(&plan.split);
    for which in [BY_STAFF, BY_POLICY, OUTSIDE] {
        for kind in FactKind::ALL
            .iter()
            .filter(|kind| kind.refund_rank().is_some())
        {
            drafts.push(about(Object::Refund(at, which), *kind).of(shares[which]));
        }
        if which != OUTSIDE {
            drafts.push(about(Object::Unmade(at, which), FactKind::RefundFailed).of(shares[which]));
        }
    }
    for which in 0..2 {
        let dispute = Object::Dispute(at, which);
        let taken = shares[which.saturating_add(3)];
        for kind in FactKind::ALL
            .iter()
            .filter(|kind| kind.dispute_rank().is_some())
        {
            drafts.push(about(dispute, *kind));
        }
        if taken.is_zero() {
            continue;
        }
        let some = |percent| Money::new(part(taken.minor(), percent), taken.currency());
        drafts.push(about(dispute, FactKind::DisputeWithdrawn).of(some(60)));
        drafts.push(about(dispute, FactKind::DisputeWithdrawn).of(taken));
        drafts.push(about(dispute, FactKind::DisputeReinstated).of(some(plan.reinstated_percent)));
    }
    drafts
}

fn sayable_of_order(terms: &Terms, plans: &[PaymentPlan]) -> Vec<FactDraft> {
    let mut drafts = vec![
        Object::Order.said(terms, FactKind::OrderCancelled),
        Object::Order.said(terms, FactKind::OrderExpired),
    ];
    for at in 0..terms.sessions.len() {
        let object = Object::Session(at);
        let about = |kind| with_code(object, object.said(terms, kind));
        drafts.extend([
            about(FactKind::Opened),
            about(FactKind::Completed),
            about(FactKind::SessionExpired),
            about(FactKind::Rejected),
        ]);
    }
    for (at, plan) in plans.iter().enumerate() {
        drafts.extend(sayable(terms, at, plan));
    }
    drafts
}

/// Orders: whole ones charge all of the total, at once, in every session.
fn orders(whole: bool) -> impl Strategy<Value = (Terms, Vec<PaymentPlan>)> {
    let total = prop_oneof![1 => Just(0_i64), 12 => 1_i64..400];
    let percent = prop_oneof![3 => Just(100_i64), 2 => 1_i64..=100];
    let capture = prop_oneof![3 => Just(Capture::Automatic), 1 => Just(Capture::Manual)];
    let sessions = proptest::collection::vec((percent, capture), 1..=4);
    let payments = proptest::collection::vec(payment_plan(), 0..=4);
    let fulfilment = proptest::sample::select(FulfilmentStatus::ALL);
    (total, sessions, payments, fulfilment).prop_map(move |(total, sessions, plans, fulfilment)| {
        let sessions: Vec<(i64, Capture)> = sessions
            .into_iter()
            .map(|(percent, capture)| match whole {
                true => (total.max(1), Capture::Automatic),
                false => (part(total, percent), capture),
            })
            .collect();
        let mut terms = order_of(total, &sessions);
        terms.fulfilment = fulfilment;
        let payments = plans.iter().enumerate().map(|(at, plan)| {
            let session = plan.session.map(|index| index.get(&terms.sessions));
            let asked = session.map_or(eur(total), |session| session.amount).minor();
            PaymentTerms {
                id: id::<PaymentId>(at),
                intent: format!("pi_{at}"),
                session: session.map(|session| session.id),
                requested: match plan.asks {
                    Asks::TheSame => eur(asked),
                    Asks::More(more) => eur(asked.saturating_add(more)),
                    Asks::OtherCurrency => money(asked, "USD"),
                },
            }
        });
        terms.payments = payments.collect();
        let refunds = plans.iter().enumerate();
        let refunds = refunds.flat_map(|(at, plan)| refund_rows(&terms, at, plan));
        terms.refunds = refunds.collect();
        (terms, plans)
    })
}

fn known_part(whole: bool) -> impl Strategy<Value = (Terms, Vec<FactDraft>)> {
    // One roll for each thing that can be said; high rolls are said, so that shrinking takes facts away.
    let rolls = proptest::collection::vec(0_u8..100, 200);
    (orders(whole), rolls).prop_map(|((terms, plans), rolls)| {
        let sayable = sayable_of_order(&terms, &plans);
        assert!(sayable.len() <= rolls.len(), "a roll for everything");
        let said = sayable.into_iter().zip(rolls);
        let said = said.filter(|(draft, roll)| roll.saturating_add(likelihood(draft.kind)) >= 100);
        let said = said.map(|(draft, _)| draft).collect();
        (terms, said)
    })
}

fn shuffled(
    known: impl Strategy<Value = (Terms, Vec<FactDraft>)>,
) -> impl Strategy<Value = History> {
    known.prop_flat_map(|(terms, drafts)| {
        Just(numbered(0, drafts))
            .prop_shuffle()
            .prop_map(move |facts| History {
                terms: terms.clone(),
                facts,
            })
    })
}

/// What a provider and a shop can truly say, in any order of arrival.
pub fn plausible() -> impl Strategy<Value = History> {
    shuffled(known_part(false))
}

/// As [`plausible`], for orders whose sessions all charge the whole total at once.
pub fn plausible_whole() -> impl Strategy<Value = History> {
    shuffled(known_part(true))
}

/// Which object, kind and amount a senseless statement has.
type Noise = (usize, usize, usize, FactKind, Option<(i64, bool)>);

fn noise() -> impl Strategy<Value = Noise> {
    let amount = proptest::option::of((0_i64..500, proptest::bool::weighted(0.1)));
    let kind = proptest::sample::select(FactKind::ALL);
    (0_usize..8, 0_usize..4, 0_usize..3, kind, amount)
}

fn senseless(terms: &Terms, (object, at, which, kind, amount): Noise) -> FactDraft {
    let object = match object {
        0 => Object::Order,
        1 => Object::Session(at),
        2 => Object::Intent(at),
        3 => Object::Charge(at, which),
        4 => Object::Refund(at, which),
        5 => Object::Dispute(at, which),
        6 => Object::Unmade(at, which),
        _ => Object::Stranger,
    };
    let mut draft = object.said(terms, kind);
    draft.amount = amount.map(|(minor, other)| money(minor, if other { "USD" } else { "EUR" }));
    with_code(object, draft)
}

/// Anything at all about an order that could be.
pub fn any_fact(terms: &Terms) -> impl Strategy<Value = Fact> + use<> {
    let terms = terms.clone();
    noise().prop_map(move |noise| Fact {
        id: id(9_000),
        said: senseless(&terms, noise),
    })
}

/// A plausible history among senseless statements.
pub fn wild() -> impl Strategy<Value = History> {
    let noise = proptest::collection::vec(noise(), 0..8);
    shuffled(
        (known_part(false), noise).prop_map(|((terms, mut drafts), noise)| {
            drafts.extend(noise.into_iter().map(|noise| senseless(&terms, noise)));
            (terms, drafts)
        }),
    )
}

/// A wild history and one more fact about its order.
pub fn wild_and_one_more() -> impl Strategy<Value = (History, Fact)> {
    wild().prop_flat_map(|history| {
        let more = any_fact(&history.terms);
        (Just(history), more)
    })
}
