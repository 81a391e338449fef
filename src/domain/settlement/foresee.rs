//! What would follow if something came true: the fold and the books, with facts that nobody has recorded.
//!
//! People see this before they act. It is the very fold that will judge afterwards, so a preview cannot promise
//! what settlement would not do.

use uuid::Uuid;

use super::facts::{Fact, FactDraft};
use super::fold::{OrderState, fold};
use super::{RefundTerms, Terms};
use crate::domain::ids::{FactId, Id as _};
use crate::domain::ledger::{Posting, difference, targets};

/// What is supposed to come true.
#[derive(Debug, Clone, Default)]
pub struct Supposed {
    /// A refund that does not exist yet, and whether its payment is the order's.
    pub refund: Option<(RefundTerms, bool)>,
    /// What would be said.
    pub facts: Vec<FactDraft>,
}

/// What would follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// How things are.
    pub before: OrderState,
    /// How they would be.
    pub after: OrderState,
    /// What the ledger would post.
    pub postings: Vec<Posting>,
}

/// Folds an order with what is supposed.
#[must_use]
pub fn foresee(terms: &Terms, facts: &[Fact], supposed: &Supposed) -> Foreseen {
    let before = fold(terms, facts);
    let mut terms = terms.clone();
    if let Some((refund, belonged)) = &supposed.refund {
        if !belonged {
            terms.suspense_refunds.push(refund.id);
        }
        terms.refunds.push(refund.clone());
    }
    let more = supposed.facts.iter().map(|said| Fact {
        id: FactId::from_uuid(Uuid::nil()),
        said: said.clone(),
    });
    let facts: Vec<Fact> = facts.iter().cloned().chain(more).collect();
    let after = fold(&terms, &facts);
    Foreseen {
        postings: difference(&targets(&after), &targets(&before)),
        before,
        after,
    }
}
