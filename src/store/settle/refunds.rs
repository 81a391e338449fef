//! Refund rows follow the facts: their status, the provider's id of them, and rows for refunds made elsewhere.

use entity::{line_item, refund as row, refund_line};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::refunds::{NewRefundRow, insert};
use super::super::{StoreError, Tx};
use super::apply::Changes;
use super::later::Later;
use super::load::Books;
use super::{Match, Settle};
use crate::domain::access::Trace;
use crate::domain::refund::{RefundOrigin, RefundStatus};

/// Brings the stored refunds to those of the fold; returns all as they are now.
pub(super) async fn follow(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    books: &Books,
    changes: &Changes,
) -> Result<Vec<row::Model>, StoreError> {
    let mut rows = books.refunds.clone();
    if !changes.new_refunds.is_empty() {
        // They refer to payments that may be new themselves.
        later.flush(tx).await?;
    }
    for (terms, seen) in &changes.new_refunds {
        let new = NewRefundRow {
            id: terms.id,
            shop: found.shop,
            order: found.order,
            payment: terms.payment,
            account: command.account.id,
            provider_refund_id: Some(seen.provider_id.clone()),
            amount: terms.amount,
            reason: None,
            origin: RefundOrigin::Provider,
            trace: Trace {
                request_id: command.trace.request_id.clone(),
                actor: "provider".to_owned(),
            payment_belonged: false,
            },
        };
        rows.push(insert(tx, &new).await?);
    }
    let now = tx.clock.now().ms();
    for row in &mut rows {
        let state = changes
            .after
            .refunds
            .iter()
            .find(|r| r.id.to_string() == row.id);
        let terms = books
            .terms
            .refunds
            .iter()
            .find(|r| r.id.to_string() == row.id);
        let (Some(state), Some(terms)) = (state, terms) else {
            continue;
        };
        let wanted = row::Model {
            status: state.status.to_string(),
            failure_reason: state.failure_reason.clone(),
            provider_refund_id: terms.object.clone(),
            ..row.clone()
        };
        if wanted == *row {
            continue;
        }
        let fails = wanted.status == RefundStatus::Failed.as_str() && wanted.status != row.status;
        *row = row::Model {
            updated_at: now,
            ..wanted
        };
        update(tx, row).await?;
        if fails {
            return_lines(tx, &row.id).await?;
        }
    }
    Ok(rows)
}

async fn update(tx: &Tx, row: &row::Model) -> Result<(), StoreError> {
    row::Entity::update_many()
        .col_expr(row::Column::Status, Expr::value(row.status.clone()))
        .col_expr(
            row::Column::FailureReason,
            Expr::value(row.failure_reason.clone()),
        )
        .col_expr(
            row::Column::ProviderRefundId,
            Expr::value(row.provider_refund_id.clone()),
        )
        .col_expr(row::Column::UpdatedAt, Expr::value(row.updated_at))
        .filter(row::Column::Id.eq(&row.id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The lines of a refund that failed may be refunded again.
async fn return_lines(tx: &Tx, refund_id: &str) -> Result<(), StoreError> {
    let lines = refund_line::Entity::find()
        .filter(refund_line::Column::RefundId.eq(refund_id))
        .all(tx.conn())
        .await?;
    for line in lines {
        line_item::Entity::update_many()
            .col_expr(
                line_item::Column::RefundedQuantity,
                Expr::col(line_item::Column::RefundedQuantity).sub(line.quantity),
            )
            .filter(line_item::Column::Id.eq(&line.line_item_id))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}
