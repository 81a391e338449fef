//! Refund rows follow the facts: their status, the provider's id of them, and rows for refunds made elsewhere. What
//! is refunded of each line is counted again whenever a refund fails or turns out not to have failed.

use std::collections::BTreeMap;

use entity::{line_item, refund as row};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::refunds::{NewRefundRow, insert, lines_of};
use super::super::{StoreError, Tx};
use super::apply::Changes;
use super::later::Later;
use super::load::Books;
use super::{Match, Settle};
use crate::domain::access::Trace;
use crate::domain::refund::{RefundOrigin, RefundStatus};
use crate::domain::settlement::PaymentState;

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
        let mut payments = changes.after.payments.iter();
        let of = payments.find(|payment| payment.id == terms.payment);
        // What a payment is before its money is known to have come says nothing of it: that may be learned later.
        let closed = changes.after.status.is_closed();
        let belonged =
            |payment: &PaymentState| payment.belongs || (payment.captured_minor == 0 && !closed);
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
            payment_belonged: of.is_some_and(belonged),
            repeats: None,
            trace: Trace {
                request_id: command.trace.request_id.clone(),
                actor: "provider".to_owned(),
            },
        };
        rows.push(insert(tx, &new).await?);
    }
    let now = tx.clock.now().ms();
    let mut recount = false;
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
        recount |= has_failed(&wanted) != has_failed(row);
        *row = row::Model {
            updated_at: now,
            ..wanted
        };
        update(tx, row).await?;
    }
    if recount {
        count_lines(tx, books, &rows).await?;
    }
    Ok(rows)
}

fn has_failed(row: &row::Model) -> bool {
    row.status == RefundStatus::Failed.as_str()
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

/// The lines of a refund that failed may be refunded again, and those of one that went through after all may not.
/// They are counted, not added to: a refund may turn either way more than once.
async fn count_lines(tx: &Tx, books: &Books, rows: &[row::Model]) -> Result<(), StoreError> {
    let held = rows.iter().filter(|row| !has_failed(row));
    let held: Vec<String> = held.map(|row| row.id.clone()).collect();
    let mut pieces: BTreeMap<String, i64> = BTreeMap::new();
    for line in lines_of(tx.conn(), &held).await? {
        let sum = pieces.entry(line.line_item_id).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    for line in &books.lines {
        let refunded = pieces.get(&line.id).copied().unwrap_or(0);
        if refunded > line.quantity {
            // Its pieces were given to another refund while it counted as failed.
            tracing::warn!(
                line_item.id = %line.id,
                "more of line `{}` was refunded than was sold: a refund that had failed went through after all",
                line.id
            );
        }
        let refunded = refunded.min(line.quantity);
        if refunded == line.refunded_quantity {
            continue;
        }
        line_item::Entity::update_many()
            .col_expr(line_item::Column::RefundedQuantity, Expr::value(refunded))
            .filter(line_item::Column::Id.eq(&line.id))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}
