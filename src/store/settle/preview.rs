//! What a settlement would change, found out without changing it: the same pure part under the same lock.

use entity::payment;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::apply::{Changes, add_facts};
use super::load::Books;
use super::{
    Match, Settle, Source, Store, StoreError, Tx, answers, books_of, doubt, intents_of, matching,
};
use crate::domain::ids::OrderId;
use crate::domain::inbox::PAYMENT_OF_ANOTHER;
use crate::domain::settlement::FactDraft;

/// What a command would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// No session or payment of ours is known for it.
    Unmatched,
    /// It would not be believed; the object behind it would be fetched.
    Doubted {
        /// The order.
        order: OrderId,
        /// Why.
        reason: &'static str,
    },
    /// It would be applied.
    Applied(Effect),
}

/// What applying changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The order.
    pub order: OrderId,
    /// What is not known yet.
    pub facts: Vec<FactDraft>,
    /// How many ledger transactions would be posted.
    pub postings: usize,
    /// How the order is labelled.
    pub before: Labels,
    /// How it would be.
    pub after: Labels,
}

/// The words an order is filed under.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Labels {
    /// Where it stands.
    pub status: String,
    /// Where its money stands.
    pub payment_status: String,
    /// Its open question.
    pub review: Option<String>,
}

impl Store {
    /// What settling this would change. Nothing is written.
    ///
    /// # Errors
    /// The database's.
    pub async fn preview(&self, command: &Settle) -> Result<Preview, StoreError> {
        self.write(|tx| async move { preview(&tx, command).await })
            .await
    }
}

async fn preview(tx: &Tx, command: &Settle) -> Result<Preview, StoreError> {
    let Some(matched) = matching::lock_one(tx, command).await? else {
        return Ok(Preview::Unmatched);
    };
    let found = matched.found;
    let Some(mut books) = books_of(tx, vec![(command, matched)]).await?.pop() else {
        return Ok(Preview::Unmatched);
    };
    if let Some(reason) = doubt(&books, &found, command) {
        return Ok(Preview::Doubted {
            order: found.order,
            reason,
        });
    }
    if names_payment_of_another(tx, command, &found).await? {
        return Ok(Preview::Doubted {
            order: found.order,
            reason: PAYMENT_OF_ANOTHER,
        });
    }
    if let Source::Refetch(event) = &command.source
        && answers(&books, &found, &command.observed)
    {
        books.unflag(event);
    }
    let changes = add_facts(tx, command, &found, &mut books);
    Ok(Preview::Applied(Effect {
        order: found.order,
        before: Labels {
            status: books.order.status.clone(),
            payment_status: books.order.payment_status.clone(),
            review: books.order.review.clone(),
        },
        after: labels(&books, &changes),
        facts: changes
            .new_facts
            .into_iter()
            .map(|fact| fact.said)
            .collect(),
        postings: changes.postings.len(),
    }))
}

/// Whether a payment is named that another order was paid with. Settling finds that out by an index that refuses it.
async fn names_payment_of_another(
    tx: &Tx,
    command: &Settle,
    found: &Match,
) -> Result<bool, StoreError> {
    for intent in intents_of(command) {
        let other = payment::Entity::find()
            .filter(payment::Column::ProviderAccountId.eq(command.account.id.to_string()))
            .filter(payment::Column::ProviderPaymentId.eq(intent))
            .filter(payment::Column::OrderId.ne(found.order.to_string()));
        if other.one(tx.conn()).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn labels(books: &Books, changes: &Changes) -> Labels {
    let state = &changes.after;
    let reasons = || state.reviews.iter().map(|key| key.reason.to_string());
    // The oldest question stays the one that is shown.
    let kept = books.order.review.clone();
    let kept = kept.filter(|kept| reasons().any(|reason| reason == *kept));
    Labels {
        status: state.status.to_string(),
        payment_status: state.payment_status.to_string(),
        review: kept.or_else(|| reasons().next()),
    }
}
