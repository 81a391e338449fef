//! Decisions of the staff about open questions: who decided what, of which opening, and why.

use entity::{review, review_decision as row};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::idempotency::{KeyClaim, StoredAnswer};
use super::rows::parse;
use super::{ShopStore, ShopTx, StoreError};
use crate::domain::access::Trace;
use crate::domain::ids::{DecisionId, OrderId, ReviewId, ShopId};
use crate::domain::resolution::Resolution;
use crate::domain::time::Timestamp;

/// A decision to be settled: it ends its question at once.
#[derive(Debug, Clone)]
pub struct NewDecision {
    /// Its id.
    pub id: DecisionId,
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// The question, for the time somebody saw it open.
    pub review: ReviewId,
    /// Which time that was.
    pub opening: i64,
    /// What is decided.
    pub resolution: Resolution,
    /// Why.
    pub note: Option<String>,
    /// The version of the order it was decided on.
    pub seen: String,
    /// The caller's key.
    pub claim: KeyClaim,
    /// The answer kept with the key.
    pub answer: StoredAnswer,
    /// Who decided.
    pub trace: Trace,
}

/// A decision that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Its id.
    pub id: DecisionId,
    /// The question.
    pub review: ReviewId,
    /// Which time of being open it was.
    pub opening: i64,
    /// What was decided.
    pub resolution: Resolution,
    /// Why; none when nothing was said, or erased.
    pub note: Option<String>,
    /// Who.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
}

impl TryFrom<row::Model> for DecisionRecord {
    type Error = StoreError;
    fn try_from(row: row::Model) -> Result<Self, StoreError> {
        Ok(DecisionRecord {
            id: parse("review_decision.id", &row.id)?,
            review: parse("review_decision.review_id", &row.review_id)?,
            opening: row.opening,
            resolution: parse("review_decision.resolution", &row.resolution)?,
            note: row.note,
            actor: row.actor,
            created_at: Timestamp::from_ms(row.created_at),
        })
    }
}

/// What is written of a decision.
#[derive(Debug, Clone)]
pub struct DecisionRow<'a> {
    /// Its id.
    pub id: DecisionId,
    /// The order.
    pub order: OrderId,
    /// The question.
    pub review: ReviewId,
    /// Which time of being open it is.
    pub opening: i64,
    /// What is decided.
    pub resolution: Resolution,
    /// Why.
    pub note: Option<&'a str>,
    /// Who.
    pub trace: &'a Trace,
}

impl ShopTx {
    /// Notes a decision, and what was decided of its question; the order must be locked. False when the question is
    /// not open for that time any more: then the whole transaction must be given up.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_decision(&self, new: &DecisionRow<'_>) -> Result<bool, StoreError> {
        let now = self.tx.clock.now().ms();
        let row = row::Model {
            id: new.id.to_string(),
            shop_id: self.shop.to_string(),
            order_id: new.order.to_string(),
            review_id: new.review.to_string(),
            opening: new.opening,
            resolution: new.resolution.to_string(),
            note: new.note.map(str::to_owned),
            actor: new.trace.actor.clone(),
            request_id: new.trace.request_id.clone(),
            created_at: now,
        };
        let mut update = review::Entity::update_many()
            .col_expr(
                review::Column::Resolution,
                Expr::value(new.resolution.as_str()),
            )
            .filter(review::Column::Id.eq(new.review.to_string()))
            .filter(review::Column::ShopId.eq(self.shop.to_string()))
            .filter(review::Column::OrderId.eq(new.order.to_string()))
            .filter(review::Column::Status.eq("open"))
            .filter(review::Column::Opening.eq(new.opening));
        let acknowledged = new.resolution == Resolution::Acknowledge;
        if acknowledged || new.resolution == Resolution::Accept {
            update = update
                .col_expr(review::Column::Status, Expr::value("resolved"))
                .col_expr(review::Column::Acknowledged, Expr::value(acknowledged))
                .col_expr(review::Column::ResolvedAt, Expr::value(now))
                .col_expr(
                    review::Column::ResolvedBy,
                    Expr::value(new.trace.actor.clone()),
                );
        }
        if update.exec(self.tx.conn()).await?.rows_affected != 1 {
            return Ok(false);
        }
        row::Entity::insert(row::ActiveModel::from(row))
            .exec_without_returning(self.tx.conn())
            .await?;
        Ok(true)
    }
}

impl ShopStore<'_> {
    /// What was decided about an order's questions, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn decisions(&self, order: OrderId) -> Result<Vec<DecisionRecord>, StoreError> {
        let rows = row::Entity::find()
            .filter(row::Column::OrderId.eq(order.to_string()))
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .order_by_asc(row::Column::Id)
            .all(&self.store.reader)
            .await?;
        rows.into_iter().map(DecisionRecord::try_from).collect()
    }
}
