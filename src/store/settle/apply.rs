//! From what was observed to what changes: the pure part, under the lock.
//!
//! New facts are added one at a time, so that each posts its own ledger transaction.

use std::collections::HashSet;

use super::load::Books;
use super::{Match, Settle, Source, Tx};
use crate::domain::call::CallKind;
use crate::domain::checkout::Capture;
use crate::domain::closing::{Closing, closing};
use crate::domain::event::{EventType, Shown, happened};
use crate::domain::ids::{FactId, PaymentId, RefundId};
use crate::domain::ledger::{Posting, difference, is_balanced, targets};
use crate::domain::money::Money;
use crate::domain::observed::{Observed, ObservedRefund};
use crate::domain::order::PaymentStatus;
use crate::domain::settlement::{
    Fact, FactDraft, FactKind, OrderState, PaymentTerms, RefundTerms, drafts_of, fold,
};

/// What a settlement changes.
pub(super) struct Changes {
    pub after: OrderState,
    pub new_facts: Vec<Fact>,
    pub new_payments: Vec<PaymentTerms>,
    /// Refunds somebody made at the provider, seen for the first time.
    pub new_refunds: Vec<(RefundTerms, ObservedRefund)>,
    pub postings: Vec<(FactId, Vec<Posting>)>,
    pub events: Vec<(EventType, Shown)>,
    /// What has ended of the order's closing.
    pub over: Over,
}

/// What has ended of the closing of an order, either way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Over {
    /// Somebody's wish to cancel it.
    pub cancel: bool,
    /// Its end by time.
    pub expiry: bool,
}

/// What follows when nothing was learned but a question was raised or taken back.
pub(super) fn nothing_new(books: &mut Books) -> Changes {
    let mut adding = Adding::begin(books);
    adding.add(books, Vec::new());
    adding.end(books, Vec::new(), Vec::new(), Over::default())
}

/// Adds what was observed to what was known.
pub(super) fn add_facts(tx: &Tx, command: &Settle, found: &Match, books: &mut Books) -> Changes {
    let session = found.session;
    let capture = session.and_then(|session| books.session(session));
    let capture = capture.map_or(Capture::Automatic, |session| session.capture);
    let mut new_payments: Vec<PaymentTerms> = Vec::new();
    let mut new_refunds: Vec<(RefundTerms, ObservedRefund)> = Vec::new();
    let mut drafts: Vec<FactDraft> = Vec::new();
    for object in &command.observed {
        let object = completed(command, books, object);
        let Some(session) = session else { continue };
        let said = drafts_of(&object, session, capture);
        let known = [books.terms.payments.as_slice(), new_payments.as_slice()];
        let known = known.concat();
        if said.iter().any(|draft| draft.intent.is_some()) {
            new_payments.extend(first_seen(tx, found, &known, &object));
        }
        if let Observed::Refund(refund) = &object {
            let seen = new_refunds
                .iter()
                .any(|(_, other)| other.provider_id == refund.provider_id);
            let made = made_elsewhere(tx, &known, books, refund).filter(|_| !seen);
            new_refunds.extend(made.map(|terms| (terms, refund.clone())));
        }
        drafts.extend(said);
    }
    drafts.extend(command.drafts.iter().cloned());
    let mut adding = Adding::begin(books);
    books.terms.payments.extend(new_payments.iter().cloned());
    let refunds = new_refunds.iter().map(|(terms, _)| terms.clone());
    books.terms.refunds.extend(refunds);
    learn_refund_ids(command, books);
    learn_session_id(command, found, books);
    let facts = new_facts(tx, books, drafts);
    adding.add(books, facts);
    let over = match wanted_end(books) {
        None => Over::default(),
        Some(end) => {
            let far = closing(&adding.state);
            if far == Closing::Clear {
                let decision = FactDraft::decision(end, found.order);
                let facts = new_facts(tx, books, vec![decision]);
                adding.add(books, facts);
            }
            over_by(far, &adding.state)
        }
    };
    adding.end(books, new_payments, new_refunds, over)
}

/// What a closing that is this far has ended. A payment under way refuses a cancellation; an expiry waits for its
/// outcome, or its order would be found overdue again at once. Money reserved in time keeps its order open until
/// somebody decides; only a cancellation releases it.
fn over_by(far: Closing, state: &OrderState) -> Over {
    match far {
        Closing::Wait => Over {
            cancel: false,
            expiry: state.payment_status == PaymentStatus::Authorized,
        },
        Closing::Processing => Over {
            cancel: true,
            expiry: false,
        },
        Closing::Clear | Closing::Paid | Closing::Closed => Over {
            cancel: true,
            expiry: true,
        },
    }
}

/// The decision that is to end the order, once nothing can bring it money any more.
fn wanted_end(books: &Books) -> Option<FactKind> {
    if books.order.cancel_requested_at.is_some() {
        Some(FactKind::OrderCancelled)
    } else if books.order.close_next_at.is_some() {
        // Noted only once its time was up, by the database's clock.
        Some(FactKind::OrderExpired)
    } else {
        None
    }
}

/// An object with the intent its charge belongs to, and without marks that are not ours.
fn completed(command: &Settle, books: &Books, object: &Observed) -> Observed {
    let mut object = object.clone();
    let intent = object.charge_id().and_then(|charge| {
        let mut rows = books.payments.iter();
        let row = rows.find(|row| row.provider_charge_id.as_deref() == Some(charge))?;
        Some(row.provider_payment_id.clone())
    });
    match &mut object {
        Observed::Session(_) | Observed::Intent(_) => {}
        Observed::Refund(refund) => {
            refund.intent = refund.intent.take().or(intent);
            if let Source::Call { call, .. } = &command.source
                && call.kind == CallKind::Refund
            {
                // What a call of ours is answered with is what it asked for, whether the marks came back or not.
                refund.marks.refund = Some(call.subject_id.clone());
                return object;
            }
            let ours = refund.marks.deployment.as_deref() == Some(command.deployment.as_str());
            let named = refund.marks.refund.as_deref();
            let known = books
                .refunds
                .iter()
                .any(|row| Some(row.id.as_str()) == named);
            if !(ours && known) {
                refund.marks.refund = None;
            }
        }
        Observed::Dispute(dispute) => dispute.intent = dispute.intent.take().or(intent),
        Observed::Lapsed(lapse) => lapse.intent = lapse.intent.take().or(intent),
    }
    object
}

/// A session gets the id the provider gave it. A webhook may be about another session with its marks, and is taken at
/// its word only when the amount is ours.
fn learn_session_id(command: &Settle, found: &Match, books: &mut Books) {
    let mut terms = books.terms.sessions.iter_mut();
    let Some(terms) = terms.find(|terms| Some(terms.id) == found.session) else {
        return;
    };
    let hearsay = matches!(
        command.source,
        Source::Webhook(_) | Source::Retry(_) | Source::Refetch(_)
    );
    let shown = command.observed.iter().find_map(|object| match object {
        Observed::Session(shown) if !hearsay || shown.amount == terms.amount => Some(shown),
        _ => None,
    });
    if let (None, Some(shown)) = (&terms.object, shown) {
        terms.object = Some(shown.provider_id.clone());
    }
}

/// Refunds of ours get the id the provider gave them.
fn learn_refund_ids(command: &Settle, books: &mut Books) {
    for object in &command.observed {
        let Observed::Refund(refund) = completed(command, books, object) else {
            continue;
        };
        let ours = refund
            .marks
            .refund
            .and_then(|id| id.parse::<RefundId>().ok());
        let mut terms = books.terms.refunds.iter_mut();
        if let Some(terms) = terms.find(|terms| Some(terms.id) == ours) {
            terms.object.get_or_insert(refund.provider_id);
        }
    }
}

/// A refund nobody asked Till for, if it has no row yet.
fn made_elsewhere(
    tx: &Tx,
    payments: &[PaymentTerms],
    books: &Books,
    refund: &ObservedRefund,
) -> Option<RefundTerms> {
    let object = Some(refund.provider_id.as_str());
    let mut known = books.terms.refunds.iter();
    if refund.marks.refund.is_some() || known.any(|terms| terms.object.as_deref() == object) {
        return None;
    }
    let payment = payments
        .iter()
        .find(|payment| Some(payment.intent.as_str()) == refund.intent.as_deref())?;
    Some(RefundTerms {
        id: tx.clock.id(),
        object: Some(refund.provider_id.clone()),
        payment: payment.id,
        amount: refund.amount,
        ours: false,
        repeats: None,
    })
}

fn new_facts(tx: &Tx, books: &Books, drafts: Vec<FactDraft>) -> Vec<Fact> {
    let mut seen: HashSet<_> = books
        .facts
        .iter()
        .map(|fact| owned(fact.said.identity()))
        .collect();
    drafts
        .into_iter()
        .filter(|draft| seen.insert(owned(draft.identity())))
        .map(|said| Fact {
            id: tx.clock.id(),
            said,
        })
        .collect()
}

fn owned<'a>(identity: (&str, FactKind, i64, &'a str)) -> (String, FactKind, i64, &'a str) {
    (identity.0.to_owned(), identity.1, identity.2, identity.3)
}

/// The payment an object names, if it has no row yet.
fn first_seen(
    tx: &Tx,
    found: &Match,
    known: &[PaymentTerms],
    object: &Observed,
) -> Option<PaymentTerms> {
    let intent = object.intent_id()?;
    let known = known.iter().any(|payment| payment.intent == intent);
    let requested = match object {
        Observed::Session(session) => session
            .intent_object
            .as_ref()
            .map_or(session.amount, |intent| intent.amount),
        _ => object.requested()?,
    };
    (!known).then(|| PaymentTerms {
        id: tx.clock.id::<PaymentId>(),
        intent: intent.to_owned(),
        session: found.session,
        requested,
    })
}

/// Facts being added to an order's books.
struct Adding {
    before: OrderState,
    state: OrderState,
    facts: Vec<Fact>,
    postings: Vec<(FactId, Vec<Posting>)>,
    posted: crate::domain::ledger::Balances,
}

impl Adding {
    fn begin(books: &mut Books) -> Adding {
        let new_flags = std::mem::replace(&mut books.terms.flags, books.old_flags.clone());
        let before = fold(&books.terms, &books.facts);
        books.terms.flags = new_flags;
        Adding {
            state: before.clone(),
            before,
            facts: Vec::new(),
            postings: Vec::new(),
            posted: books.posted.clone(),
        }
    }

    fn add(&mut self, books: &mut Books, facts: Vec<Fact>) {
        self.state = fold(&books.terms, &books.facts);
        for fact in facts {
            books.facts.push(fact.clone());
            self.state = fold(&books.terms, &books.facts);
            let wanted = targets(&self.state);
            let moved = difference(&wanted, &self.posted);
            if !moved.is_empty() {
                assert!(
                    is_balanced(&moved),
                    "debits equal credits in every currency"
                );
                self.postings.push((fact.id, moved));
                self.posted = wanted;
            }
            self.facts.push(fact);
        }
    }

    fn end(
        self,
        books: &Books,
        new_payments: Vec<PaymentTerms>,
        new_refunds: Vec<(RefundTerms, ObservedRefund)>,
        over: Over,
    ) -> Changes {
        // A new row that nothing is known of yet is no payment for anybody.
        let events = happened(&self.before, &self.state, books.order.paid_at.is_some());
        Changes {
            after: self.state,
            new_facts: self.facts,
            new_payments,
            new_refunds,
            postings: self.postings,
            events,
            over,
        }
    }
}

/// An amount's currency code, as facts store it.
pub(super) fn stored_amount(amount: Option<Money>) -> (i64, String) {
    amount.map_or((0, String::new()), |amount| {
        (amount.minor(), amount.currency().code().to_owned())
    })
}
