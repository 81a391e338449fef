//! Open questions follow the facts: opened, closed by `system`, opened again.

use entity::review as row;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::super::{StoreError, Tx};
use super::Match;
use super::apply::Changes;
use super::load::Books;
use crate::domain::ids::ReviewId;

/// Brings the stored questions to those of the fold; returns the oldest open reason.
pub(super) async fn follow(
    tx: &Tx,
    found: &Match,
    books: &Books,
    changes: &Changes,
) -> Result<Option<String>, StoreError> {
    let wanted = &changes.after.reviews;
    if wanted.is_empty() && books.order.review.is_none() {
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
        let known = stored
            .iter()
            .find(|row| row.reason == reason && row.subject_id == key.subject);
        let opened_at = match known {
            Some(row) if row.status == "open" => row.opened_at,
            Some(row) => {
                reopen(tx, &row.id, now).await?;
                now
            }
            None => {
                insert(tx, found, reason, &key.subject, now).await?;
                now
            }
        };
        open.push((opened_at, reason.to_owned()));
    }
    for row in stored.iter().filter(|row| row.status == "open") {
        let still = wanted
            .iter()
            .any(|key| key.reason.as_str() == row.reason && key.subject == row.subject_id);
        if !still {
            close(tx, &row.id, now).await?;
        }
    }
    Ok(open.into_iter().min().map(|(_, reason)| reason))
}

async fn insert(
    tx: &Tx,
    found: &Match,
    reason: &str,
    subject: &str,
    now: i64,
) -> Result<(), StoreError> {
    let new = row::ActiveModel {
        id: Set(tx.clock.id::<ReviewId>().to_string()),
        shop_id: Set(found.shop.to_string()),
        order_id: Set(Some(found.order.to_string())),
        reason: Set(reason.to_owned()),
        subject_id: Set(subject.to_owned()),
        status: Set("open".to_owned()),
        opened_at: Set(now),
        resolved_at: Set(None),
        resolved_by: Set(None),
    };
    row::Entity::insert(new)
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

async fn reopen(tx: &Tx, id: &str, now: i64) -> Result<(), StoreError> {
    set(tx, id, "open", Some(now), None, None).await
}

async fn close(tx: &Tx, id: &str, now: i64) -> Result<(), StoreError> {
    set(tx, id, "resolved", None, Some(now), Some("system")).await
}

async fn set(
    tx: &Tx,
    id: &str,
    status: &str,
    opened_at: Option<i64>,
    resolved_at: Option<i64>,
    resolved_by: Option<&str>,
) -> Result<(), StoreError> {
    let mut update = row::Entity::update_many()
        .col_expr(row::Column::Status, Expr::value(status))
        .col_expr(row::Column::ResolvedAt, Expr::value(resolved_at))
        .col_expr(
            row::Column::ResolvedBy,
            Expr::value(resolved_by.map(str::to_owned)),
        );
    if let Some(opened_at) = opened_at {
        update = update.col_expr(row::Column::OpenedAt, Expr::value(opened_at));
    }
    update
        .filter(row::Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}
