//! Open questions follow the facts: opened, closed when their cause is gone, opened again when it returns.
//!
//! What people have acknowledged stays closed while its cause is still there: it is asked again only when the cause
//! went away and came back, and then it is a new opening, of which nothing is decided yet.

use entity::{review as row, review_decision};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::super::{StoreError, Tx};
use super::apply::Changes;
use super::load::Books;
use super::{Match, Settle};
use crate::domain::ids::ReviewId;
use crate::domain::observed::Observed;
use crate::domain::settlement::{Reason, ReviewKey};

/// Brings the stored questions to those of the fold; returns the oldest open reason.
pub(super) async fn follow(
    tx: &Tx,
    command: &Settle,
    found: &Match,
    books: &Books,
    changes: &Changes,
) -> Result<Option<String>, StoreError> {
    let wanted = &changes.after.reviews;
    // What was acknowledged shows at no order, and yet its cause may have gone just now.
    if wanted.is_empty() && !books.acknowledged && books.order.review.is_none() {
        return Ok(None);
    }
    let order_id = found.order.to_string();
    let stored = row::Entity::find()
        .filter(row::Column::OrderId.eq(&order_id))
        .all(tx.conn())
        .await?;
    let now = tx.clock.now().ms();
    let mut open: Vec<(i64, String)> = Vec::new();
    for key in wanted {
        let reason = key.reason.as_str();
        let due_at = due_at(command, key);
        let known = stored
            .iter()
            .find(|row| row.reason == reason && row.subject_id == key.subject);
        let opened_at = match known {
            Some(row) => {
                if due_at.is_some() && row.due_at != due_at {
                    set_due(tx, &row.id, due_at).await?;
                }
                if row.status == "open" {
                    row.opened_at
                } else if row.acknowledged {
                    continue;
                } else {
                    reopen(tx, &row.id, now).await?;
                    now
                }
            }
            None => {
                insert(tx, found, key, due_at, now).await?;
                now
            }
        };
        open.push((opened_at, reason.to_owned()));
    }
    for row in &stored {
        let still = wanted
            .iter()
            .any(|key| key.reason.as_str() == row.reason && key.subject == row.subject_id);
        if still {
            continue;
        }
        if row.status == "open" {
            close(tx, row, now).await?;
        } else if row.acknowledged {
            forget_acknowledged(tx, &row.id).await?;
        }
    }
    Ok(open.into_iter().min().map(|(_, reason)| reason))
}

/// Until when a dispute can be answered, if that was said just now.
fn due_at(command: &Settle, key: &ReviewKey) -> Option<i64> {
    if key.reason != Reason::Dispute {
        return None;
    }
    command.observed.iter().find_map(|object| match object {
        Observed::Dispute(dispute) if dispute.provider_id == key.subject => {
            dispute.due_at.map(|at| at.ms())
        }
        _ => None,
    })
}

async fn insert(
    tx: &Tx,
    found: &Match,
    key: &ReviewKey,
    due_at: Option<i64>,
    now: i64,
) -> Result<(), StoreError> {
    let new = row::ActiveModel {
        id: Set(tx.clock.id::<ReviewId>().to_string()),
        shop_id: Set(found.shop.to_string()),
        order_id: Set(Some(found.order.to_string())),
        reason: Set(key.reason.to_string()),
        subject_id: Set(key.subject.clone()),
        status: Set("open".to_owned()),
        opened_at: Set(now),
        resolved_at: Set(None),
        resolved_by: Set(None),
        opening: Set(1),
        acknowledged: Set(false),
        resolution: Set(None),
        due_at: Set(due_at),
    };
    row::Entity::insert(new)
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

async fn reopen(tx: &Tx, id: &str, now: i64) -> Result<(), StoreError> {
    let next = Expr::col(row::Column::Opening).add(1_i64);
    row::Entity::update_many()
        .col_expr(row::Column::Status, Expr::value("open"))
        .col_expr(row::Column::OpenedAt, Expr::value(now))
        .col_expr(row::Column::Opening, next)
        .col_expr(row::Column::Resolution, Expr::value(None::<String>))
        .col_expr(row::Column::ResolvedAt, Expr::value(None::<i64>))
        .col_expr(row::Column::ResolvedBy, Expr::value(None::<String>))
        .filter(row::Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Its cause is gone: by what somebody decided of this opening, or by itself.
async fn close(tx: &Tx, row: &row::Model, now: i64) -> Result<(), StoreError> {
    let decided = match &row.resolution {
        None => None,
        Some(_) => {
            // The newest of a few. Asked for as one, in the order of their ids, all there are might be gone through.
            let decisions = review_decision::Entity::find()
                .filter(review_decision::Column::ReviewId.eq(&row.id))
                .filter(review_decision::Column::Opening.eq(row.opening))
                .all(tx.conn())
                .await?;
            decisions.into_iter().max_by(|a, b| a.id.cmp(&b.id))
        }
    };
    let by = decided.map_or_else(|| "system".to_owned(), |decision| decision.actor);
    row::Entity::update_many()
        .col_expr(row::Column::Status, Expr::value("resolved"))
        .col_expr(row::Column::ResolvedAt, Expr::value(now))
        .col_expr(row::Column::ResolvedBy, Expr::value(by))
        .filter(row::Column::Id.eq(&row.id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

async fn forget_acknowledged(tx: &Tx, id: &str) -> Result<(), StoreError> {
    row::Entity::update_many()
        .col_expr(row::Column::Acknowledged, Expr::value(false))
        .filter(row::Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

async fn set_due(tx: &Tx, id: &str, due_at: Option<i64>) -> Result<(), StoreError> {
    row::Entity::update_many()
        .col_expr(row::Column::DueAt, Expr::value(due_at))
        .filter(row::Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}
