//! From what was observed to what changes: the pure part, under the lock.
//!
//! New facts are added one at a time, so that each posts its own ledger transaction.

use std::collections::HashSet;

use super::load::Books;
use super::{Match, Settle, Tx, requested_of};
use crate::domain::event::{EventType, Shown, happened};
use crate::domain::ids::{FactId, PaymentId};
use crate::domain::ledger::{Posting, difference, is_balanced, targets};
use crate::domain::money::Money;
use crate::domain::observed::Observed;
use crate::domain::settlement::{Fact, FactDraft, OrderState, PaymentTerms, drafts_of, fold};

/// What a settlement changes.
pub(super) struct Changes {
    pub after: OrderState,
    pub new_facts: Vec<Fact>,
    pub new_payments: Vec<PaymentTerms>,
    pub postings: Vec<(FactId, Vec<Posting>)>,
    pub events: Vec<(EventType, Shown)>,
}

/// What follows when nothing was learned but a question was raised or taken back.
pub(super) fn nothing_new(books: &mut Books) -> Changes {
    add(books, Vec::new(), Vec::new())
}

/// Adds what was observed to what was known.
pub(super) fn add_facts(tx: &Tx, command: &Settle, found: &Match, books: &mut Books) -> Changes {
    let capture = books
        .session(found.session)
        .map_or(crate::domain::checkout::Capture::Automatic, |s| s.capture);
    let mut new_payments: Vec<PaymentTerms> = Vec::new();
    let mut drafts: Vec<FactDraft> = Vec::new();
    for object in &command.observed {
        let said = drafts_of(object, found.session, capture);
        if said.iter().any(|draft| draft.intent.is_some()) {
            new_payments.extend(first_seen(tx, found, books, object));
        }
        drafts.extend(said);
    }
    drafts.extend(command.drafts.iter().cloned());
    let mut seen: HashSet<_> = books
        .facts
        .iter()
        .map(|fact| owned(fact.said.identity()))
        .collect();
    let new_facts = drafts
        .into_iter()
        .filter(|draft| seen.insert(owned(draft.identity())))
        .map(|said| Fact {
            id: tx.clock.id(),
            said,
        })
        .collect();
    add(books, new_facts, new_payments)
}

fn owned<'a>(
    identity: (&str, crate::domain::settlement::FactKind, i64, &'a str),
) -> (String, crate::domain::settlement::FactKind, i64, &'a str) {
    (identity.0.to_owned(), identity.1, identity.2, identity.3)
}

/// The payment an object names, if it has no row yet.
fn first_seen(tx: &Tx, found: &Match, books: &Books, object: &Observed) -> Option<PaymentTerms> {
    let intent = object.intent_id()?;
    let known = books
        .terms
        .payments
        .iter()
        .any(|payment| payment.intent == intent);
    let requested = match object {
        Observed::Session(session) => session
            .intent_object
            .as_ref()
            .map_or(session.amount, |intent| intent.amount),
        Observed::Intent(_) => requested_of(object),
    };
    (!known).then(|| PaymentTerms {
        id: tx.clock.id::<PaymentId>(),
        intent: intent.to_owned(),
        session: Some(found.session),
        requested,
    })
}

fn add(books: &mut Books, new_facts: Vec<Fact>, new_payments: Vec<PaymentTerms>) -> Changes {
    let new_flags = std::mem::replace(&mut books.terms.flags, books.old_flags.clone());
    let before = fold(&books.terms, &books.facts);
    books.terms.flags = new_flags;
    books.terms.payments.extend(new_payments.iter().cloned());
    let mut posted = books.posted.clone();
    let mut postings = Vec::new();
    let mut state = fold(&books.terms, &books.facts);
    for fact in &new_facts {
        books.facts.push(fact.clone());
        state = fold(&books.terms, &books.facts);
        let wanted = targets(&state);
        let moved = difference(&wanted, &posted);
        if !moved.is_empty() {
            assert!(
                is_balanced(&moved),
                "debits equal credits in every currency"
            );
            postings.push((fact.id, moved));
            posted = wanted;
        }
    }
    // A new row that nothing is known of yet is no payment for anybody.
    let events = happened(&before, &state, books.order.paid_at.is_some());
    Changes {
        after: state,
        new_facts,
        new_payments,
        postings,
        events,
    }
}

/// An amount's currency code, as facts store it.
pub(super) fn stored_amount(amount: Option<Money>) -> (i64, String) {
    amount.map_or((0, String::new()), |amount| {
        (amount.minor(), amount.currency().code().to_owned())
    })
}
