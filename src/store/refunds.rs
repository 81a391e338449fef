//! Refunds: reserved by one conditional update, so that no two of them together give back more than came.

use std::collections::HashMap;

use entity::{line_item, payment, refund as row, refund_line};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Value,
};

use super::paging::{of_shop, page_of};
use super::rows::{money, parse, parse_opt, sql};
use super::{ShopStore, ShopTx, Store, StoreError, Tx};
use crate::domain::access::Trace;
use crate::domain::ids::{AccountId, LineItemId, OrderId, PaymentId, RefundId, ShopId};
use crate::domain::money::Money;
use crate::domain::page::Page;
use crate::domain::refund::{Refund, RefundLine, RefundOrigin, RefundReason, ReturnableLine};
use crate::domain::time::Timestamp;

/// A refund to be inserted as `pending`.
#[derive(Debug, Clone)]
pub struct NewRefundRow {
    /// Its id.
    pub id: RefundId,
    /// Its shop.
    pub shop: ShopId,
    /// Its order.
    pub order: OrderId,
    /// The payment it goes back from.
    pub payment: PaymentId,
    /// The provider account.
    pub account: AccountId,
    /// The provider's id, for a refund that was made there.
    pub provider_refund_id: Option<String>,
    /// How much goes back.
    pub amount: Money,
    /// Why.
    pub reason: Option<RefundReason>,
    /// Who wanted it.
    pub origin: RefundOrigin,
    /// Whether somebody asked for it while its payment was the order's.
    pub payment_belonged: bool,
    /// The refund that failed and that it is sent for again.
    pub repeats: Option<RefundId>,
    /// Who caused it.
    pub trace: Trace,
}

/// A refund as the use cases need it.
#[derive(Debug, Clone)]
pub struct RefundRecord {
    /// The refund as callers see it.
    pub public: Refund,
    /// Its shop.
    pub shop: ShopId,
    /// The provider's intent it goes back from.
    pub intent: String,
}

/// A payment whose money can go back.
#[derive(Debug, Clone)]
pub struct RefundablePayment {
    /// Our payment.
    pub id: PaymentId,
    /// The provider's intent.
    pub intent: String,
    /// The account it was made with.
    pub account: AccountId,
    /// What was captured.
    pub captured: Money,
    /// What of it nobody has taken back or is about to.
    pub left: Money,
    /// What an undecided or lost dispute has taken.
    pub disputed: Money,
    /// Whether its captured money is the order's.
    pub belongs: bool,
}

/// Builds the public refund from its rows.
pub(super) fn public(row: &row::Model, lines: &[refund_line::Model]) -> Result<Refund, StoreError> {
    let line = |line: &refund_line::Model| {
        let quantity = u32::try_from(line.quantity);
        Ok(RefundLine {
            line_item: parse("refund_line.line_item_id", &line.line_item_id)?,
            quantity: quantity
                .map_err(|_| StoreError::Corrupt("refund_line.quantity".to_owned()))?,
            amount: money(line.amount_minor, &row.currency)?,
        })
    };
    let lines = lines.iter().filter(|line| line.refund_id == row.id);
    Ok(Refund {
        id: parse("refund.id", &row.id)?,
        object: "refund",
        order_id: parse("refund.order_id", &row.order_id)?,
        payment_id: parse("refund.payment_id", &row.payment_id)?,
        amount: money(row.amount_minor, &row.currency)?,
        currency: parse("refund.currency", &row.currency)?,
        reason: parse_opt("refund.reason", row.reason.as_deref())?,
        status: parse("refund.status", &row.status)?,
        provider_refund_id: row.provider_refund_id.clone(),
        failure_reason: row.failure_reason.clone(),
        line_items: lines.map(line).collect::<Result<_, StoreError>>()?,
        created_at: Timestamp::from_ms(row.created_at),
    })
}

/// The lines of some refunds.
pub(super) async fn lines_of<C: ConnectionTrait>(
    connection: &C,
    refunds: &[String],
) -> Result<Vec<refund_line::Model>, StoreError> {
    if refunds.is_empty() {
        return Ok(Vec::new());
    }
    Ok(refund_line::Entity::find()
        .filter(refund_line::Column::RefundId.is_in(refunds.iter().cloned()))
        .order_by_asc(refund_line::Column::LineItemId)
        .all(connection)
        .await?)
}

/// Inserts a refund.
pub(super) async fn insert(tx: &Tx, new: &NewRefundRow) -> Result<row::Model, StoreError> {
    let now = tx.clock.now().ms();
    let row = row::Model {
        id: new.id.to_string(),
        shop_id: new.shop.to_string(),
        order_id: new.order.to_string(),
        payment_id: new.payment.to_string(),
        provider_account_id: new.account.to_string(),
        provider_refund_id: new.provider_refund_id.clone(),
        amount_minor: new.amount.minor(),
        currency: new.amount.currency().code().to_owned(),
        reason: new.reason.map(|reason| reason.to_string()),
        status: "pending".to_owned(),
        failure_reason: None,
        origin: new.origin.to_string(),
        payment_belonged: new.payment_belonged,
        repeats_id: new.repeats.map(|refund| refund.to_string()),
        request_id: new.trace.request_id.clone(),
        actor: new.trace.actor.clone(),
        created_at: now,
        updated_at: now,
    };
    row::Entity::insert(row::ActiveModel::from(row.clone()))
        .exec_without_returning(tx.conn())
        .await?;
    Ok(row)
}

/// Reserves an amount of a payment; false when that is more than is left. The condition is in the update
/// itself: a reader that checked before would not see the refund beside it.
pub(super) async fn reserve(
    tx: &Tx,
    payment_id: &str,
    amount_minor: i64,
) -> Result<bool, StoreError> {
    let text = "UPDATE payment SET refund_reserved_minor = refund_reserved_minor + ?, \
                next_poll_at = COALESCE(next_poll_at, ?), updated_at = ? WHERE id = ? \
                AND refund_reserved_minor + refunded_external_minor + dispute_withdrawn_minor \
                - dispute_reinstated_minor + ? <= captured_minor";
    let now = tx.clock.now();
    let values: [Value; 5] = [
        amount_minor.into(),
        now.plus_ms(crate::domain::call::payment_poll_gap_ms(0))
            .ms()
            .into(),
        now.ms().into(),
        payment_id.into(),
        amount_minor.into(),
    ];
    let done = tx.conn().execute_raw(sql(tx.engine, text, values)).await?;
    Ok(done.rows_affected() == 1)
}

impl ShopTx {
    /// The order's payments whose money was captured, oldest first. The order must be locked.
    ///
    /// # Errors
    /// The database's.
    pub async fn captured_payments(
        &self,
        order: OrderId,
    ) -> Result<Vec<RefundablePayment>, StoreError> {
        let rows = payment::Entity::find()
            .filter(of_shop(
                (payment::Column::ShopId, self.shop),
                (payment::Column::OrderId, Some(order)),
            ))
            .filter(payment::Column::CapturedMinor.gt(0))
            .order_by_asc(payment::Column::Id)
            .all(self.tx.conn())
            .await?;
        rows.into_iter()
            .map(|row| {
                let disputed = row
                    .dispute_withdrawn_minor
                    .saturating_sub(row.dispute_reinstated_minor);
                let left = row
                    .captured_minor
                    .saturating_sub(row.refund_reserved_minor)
                    .saturating_sub(row.refunded_external_minor)
                    .saturating_sub(disputed)
                    .max(0);
                Ok(RefundablePayment {
                    id: parse("payment.id", &row.id)?,
                    intent: row.provider_payment_id,
                    account: parse("payment.account", &row.provider_account_id)?,
                    captured: money(row.captured_minor, &row.currency)?,
                    left: money(left, &row.currency)?,
                    disputed: money(disputed, &row.currency)?,
                    belongs: row.belongs,
                })
            })
            .collect()
    }

    /// The order's lines, as far as refunds need them.
    ///
    /// # Errors
    /// The database's.
    pub async fn returnable_lines(
        &self,
        order: OrderId,
    ) -> Result<Vec<ReturnableLine>, StoreError> {
        let corrupt = |_| StoreError::Corrupt("line_item.quantity".to_owned());
        let rows = super::orders::lines_of(self.tx.conn(), &order.to_string()).await?;
        rows.into_iter()
            .map(|line| {
                Ok(ReturnableLine {
                    id: parse("line_item.id", &line.id)?,
                    total_minor: line.total_minor,
                    quantity: u32::try_from(line.quantity).map_err(corrupt)?,
                    refunded: u32::try_from(line.refunded_quantity).map_err(corrupt)?,
                })
            })
            .collect()
    }

    /// Inserts a refund with its lines and reserves its money and pieces; false when there is not so much left
    /// of either, and then the whole transaction must be given up.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_refund(
        &self,
        new: &NewRefundRow,
        lines: &[RefundLine],
    ) -> Result<bool, StoreError> {
        if !reserve(&self.tx, &new.payment.to_string(), new.amount.minor()).await? {
            return Ok(false);
        }
        insert(&self.tx, new).await?;
        for line in lines {
            if !self.reserve_pieces(line.line_item, line.quantity).await? {
                return Ok(false);
            }
            let row = refund_line::ActiveModel {
                refund_id: Set(new.id.to_string()),
                line_item_id: Set(line.line_item.to_string()),
                shop_id: Set(self.shop.to_string()),
                quantity: Set(i64::from(line.quantity)),
                amount_minor: Set(line.amount.minor()),
            };
            refund_line::Entity::insert(row)
                .exec_without_returning(self.tx.conn())
                .await?;
        }
        Ok(true)
    }

    async fn reserve_pieces(&self, line: LineItemId, quantity: u32) -> Result<bool, StoreError> {
        use sea_orm::sea_query::{Expr, ExprTrait};
        let quantity = i64::from(quantity);
        let more = Expr::col(line_item::Column::RefundedQuantity).add(quantity);
        let done = line_item::Entity::update_many()
            .col_expr(line_item::Column::RefundedQuantity, more.clone())
            .filter(line_item::Column::Id.eq(line.to_string()))
            .filter(line_item::Column::ShopId.eq(self.shop.to_string()))
            .filter(more.lte(Expr::col(line_item::Column::Quantity)))
            .exec(self.tx.conn())
            .await?;
        Ok(done.rows_affected == 1)
    }
}

impl ShopStore<'_> {
    /// A refund of this shop.
    ///
    /// # Errors
    /// The database's.
    pub async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let lines = lines_of(&self.store.reader, std::slice::from_ref(&row.id)).await?;
        public(&row, &lines).map(Some)
    }

    /// A page of this shop's refunds, of one order if given, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn refunds(
        &self,
        order: Option<OrderId>,
        page: &Page<RefundId>,
    ) -> Result<(Vec<Refund>, bool), StoreError> {
        let of_shop = of_shop(
            (row::Column::ShopId, self.shop),
            (row::Column::OrderId, order),
        );
        let query = row::Entity::find().filter(of_shop);
        let (rows, has_more) = page_of(&self.store.reader, query, row::Column::Id, page).await?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let mut lines: HashMap<String, Vec<refund_line::Model>> = HashMap::new();
        for line in lines_of(&self.store.reader, &ids).await? {
            lines.entry(line.refund_id.clone()).or_default().push(line);
        }
        let none = Vec::new();
        let refunds = rows
            .iter()
            .map(|row| public(row, lines.get(&row.id).unwrap_or(&none)))
            .collect::<Result<_, _>>()?;
        Ok((refunds, has_more))
    }
}

impl Store {
    /// Any refund, for what works for all shops.
    ///
    /// # Errors
    /// The database's.
    pub async fn any_refund(&self, id: RefundId) -> Result<Option<RefundRecord>, StoreError> {
        let found = row::Entity::find_by_id(id.to_string())
            .one(&self.reader)
            .await?;
        let Some(row) = found else { return Ok(None) };
        let paid = payment::Entity::find_by_id(&row.payment_id)
            .one(&self.reader)
            .await?;
        let gone = || StoreError::Corrupt("a refund whose payment is gone".to_owned());
        Ok(Some(RefundRecord {
            public: public(&row, &[])?,
            shop: parse("refund.shop_id", &row.shop_id)?,
            intent: paid.ok_or_else(gone)?.provider_payment_id,
        }))
    }
}
