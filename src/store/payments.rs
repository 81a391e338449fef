//! Payments, as callers see them and as use cases need them.

use entity::payment as row;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::paging::{of_shop, page_of};
use super::rows::{money, parse, parse_opt};
use super::{ShopStore, ShopTx, Store, StoreError};
use crate::domain::ids::{AccountId, OrderId, PaymentId, ShopId};
use crate::domain::money::Money;
use crate::domain::page::Page;
use crate::domain::payment::Payment;
use crate::domain::time::Timestamp;

/// The provider of every account so far.
pub(super) const PROVIDER: &str = "stripe";

/// A payment as the use cases need it.
#[derive(Debug, Clone)]
pub struct PaymentRecord {
    /// The payment as callers see it.
    pub public: Payment,
    /// Its id.
    pub id: PaymentId,
    /// Its shop.
    pub shop: ShopId,
    /// Its order.
    pub order: OrderId,
    /// The account it was made with.
    pub account: AccountId,
    /// The provider's intent.
    pub intent: String,
    /// What the intent asks for.
    pub requested: Money,
}

impl TryFrom<row::Model> for PaymentRecord {
    type Error = StoreError;
    fn try_from(row: row::Model) -> Result<Self, StoreError> {
        Ok(PaymentRecord {
            public: public(&row)?,
            id: parse("payment.id", &row.id)?,
            shop: parse("payment.shop_id", &row.shop_id)?,
            order: parse("payment.order_id", &row.order_id)?,
            account: parse("payment.account", &row.provider_account_id)?,
            requested: money(row.amount_minor, &row.currency)?,
            intent: row.provider_payment_id,
        })
    }
}

/// Builds the public payment from its row.
pub(super) fn public(row: &row::Model) -> Result<Payment, StoreError> {
    let amount = |minor| money(minor, &row.currency);
    Ok(Payment {
        id: parse("payment.id", &row.id)?,
        object: "payment",
        order_id: parse("payment.order_id", &row.order_id)?,
        checkout_session_id: parse_opt("payment.session", row.checkout_session_id.as_deref())?,
        provider: PROVIDER.to_owned(),
        provider_payment_id: row.provider_payment_id.clone(),
        status: parse("payment.status", &row.status)?,
        amount: amount(row.amount_minor)?,
        amount_captured: amount(row.captured_minor)?,
        amount_refunded: amount(row.refunded_minor)?,
        currency: parse("payment.currency", &row.currency)?,
        failure_code: row.failure_code.clone(),
        created_at: Timestamp::from_ms(row.created_at),
    })
}

impl ShopTx {
    /// A payment of this shop as it is now; its order must be locked.
    ///
    /// # Errors
    /// The database's.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRecord>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(self.tx.conn())
            .await?;
        row.map(PaymentRecord::try_from).transpose()
    }

    /// The order's payments as they are now; the order must be locked.
    ///
    /// # Errors
    /// The database's.
    pub async fn payments_of(&self, order: OrderId) -> Result<Vec<PaymentRecord>, StoreError> {
        let rows = row::Entity::find()
            .filter(of_shop(
                (row::Column::ShopId, self.shop),
                (row::Column::OrderId, Some(order)),
            ))
            .order_by_asc(row::Column::Id)
            .all(self.tx.conn())
            .await?;
        rows.into_iter().map(PaymentRecord::try_from).collect()
    }
}

impl ShopStore<'_> {
    /// A payment of this shop.
    ///
    /// # Errors
    /// The database's.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<PaymentRecord>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        row.map(PaymentRecord::try_from).transpose()
    }

    /// A page of this shop's payments, of one order if given, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn payments(
        &self,
        order: Option<OrderId>,
        page: &Page<PaymentId>,
    ) -> Result<(Vec<Payment>, bool), StoreError> {
        let of_shop = of_shop(
            (row::Column::ShopId, self.shop),
            (row::Column::OrderId, order),
        );
        let query = row::Entity::find().filter(of_shop);
        let (rows, has_more) = page_of(&self.store.reader, query, row::Column::Id, page).await?;
        let payments = rows.iter().map(public).collect::<Result<_, _>>()?;
        Ok((payments, has_more))
    }
}

/// Any payment, for what works for all shops.
pub(super) async fn find<C: ConnectionTrait>(
    connection: &C,
    id: &str,
) -> Result<Option<PaymentRecord>, StoreError> {
    let row = row::Entity::find_by_id(id).one(connection).await?;
    row.map(PaymentRecord::try_from).transpose()
}

impl Store {
    /// Any payment, for what works for all shops.
    ///
    /// # Errors
    /// The database's.
    pub async fn any_payment(&self, id: PaymentId) -> Result<Option<PaymentRecord>, StoreError> {
        find(&self.reader, &id.to_string()).await
    }

    /// The disputes a payment is known to have, by the provider's ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn disputes_of(&self, payment: &PaymentRecord) -> Result<Vec<String>, StoreError> {
        use entity::provider_fact as fact;
        Ok(fact::Entity::find()
            .filter(fact::Column::OrderId.eq(payment.order.to_string()))
            .filter(fact::Column::IntentId.eq(&payment.intent))
            .filter(fact::Column::Kind.eq("dispute_opened"))
            .select_only()
            .column(fact::Column::ObjectId)
            .into_tuple()
            .all(&self.reader)
            .await?)
    }
}
