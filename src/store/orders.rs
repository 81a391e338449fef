//! Orders and their lines, as callers see them and as use cases need them.

use std::collections::HashMap;

use entity::{line_item, order};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, LoaderTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::order_views::Leads;
use super::paging::page_of;
use super::rows::{json, money, parse};
use super::{ShopStore, ShopTx, StoreError};
use crate::domain::access::Mode;
use crate::domain::ids::{Id as _, LineItemId, OrderId};
use crate::domain::money::Money;
use crate::domain::order::{Customer, LineItem, Order, OrderFilter, OrderStatus, PaymentStatus};
use crate::domain::page::{Cursor, Page, cut};
use crate::domain::time::Timestamp;

/// How much later an order may have been placed than its id says, in milliseconds. Nothing places one so now; older
/// databases hold orders whose time was taken again when their turn came.
const PLACING_MS: i64 = 60_000;

/// An order as the use cases need it.
#[derive(Debug, Clone)]
pub struct OrderRecord {
    /// Its id.
    pub id: OrderId,
    /// The number people use.
    pub number: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Where its money stands.
    pub payment_status: PaymentStatus,
    /// What it costs.
    pub total: Money,
    /// Captured and belonging to it.
    pub paid: Money,
    /// Whether a cancellation is under way.
    pub cancel_requested: bool,
    /// The customer's address.
    pub customer_email: Option<String>,
    /// What each line says, and its total.
    pub lines: Vec<(String, u32, Money)>,
    /// The key its client token was derived with.
    pub token_key: i64,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Builds the public order from its rows.
pub(super) fn public(
    row: &order::Model,
    lines: &[line_item::Model],
    mode: Mode,
) -> Result<Order, StoreError> {
    let amount = |minor| money(minor, &row.currency).map(|money| money.to_string());
    let address = |column, text: &Option<String>| match text {
        Some(text) => json(column, text).map(Some),
        None => Ok(None),
    };
    Ok(Order {
        id: parse("order.id", &row.id)?,
        object: "order".to_owned(),
        number: row.number.to_string(),
        reference: row.reference.clone(),
        status: parse("order.status", &row.status)?,
        payment_status: parse("order.payment_status", &row.payment_status)?,
        fulfilment_status: parse("order.fulfilment_status", &row.fulfilment_status)?,
        review: row.review.clone(),
        currency: parse("order.currency", &row.currency)?,
        tax_included: row.tax_included,
        subtotal: amount(row.subtotal_minor)?,
        discount_total: amount(row.discount_minor)?,
        shipping_total: amount(row.shipping_minor)?,
        tax_total: amount(row.tax_minor)?,
        total: amount(row.total_minor)?,
        amount_authorized: amount(row.authorized_minor)?,
        amount_paid: amount(row.paid_minor)?,
        amount_refunded: amount(row.refunded_minor)?,
        amount_disputed: amount(row.disputed_minor)?,
        customer: Customer {
            email: row.customer_email.clone(),
            name: row.customer_name.clone(),
        },
        line_items: lines
            .iter()
            .map(|line| public_line(line, &row.currency))
            .collect::<Result<_, _>>()?,
        shipping_address: address("order.shipping_address", &row.shipping_address)?,
        billing_address: address("order.billing_address", &row.billing_address)?,
        metadata: json("order.metadata", &row.metadata)?,
        livemode: mode == Mode::Live,
        created_at: Timestamp::from_ms(row.created_at),
        expires_at: Timestamp::from_ms(row.expires_at),
    })
}

fn public_line(line: &line_item::Model, currency: &str) -> Result<LineItem, StoreError> {
    let amount = |minor| money(minor, currency).map(|money| money.to_string());
    Ok(LineItem {
        id: parse::<LineItemId>("line_item.id", &line.id)?,
        object: "line_item".to_owned(),
        sku: line.sku.clone(),
        name: line.name.clone(),
        quantity: u32::try_from(line.quantity)
            .map_err(|_| StoreError::Corrupt("line_item.quantity".to_owned()))?,
        unit_price: amount(line.unit_price_minor)?,
        subtotal: amount(line.subtotal_minor)?,
        discount: amount(line.discount_minor)?,
        tax: amount(line.tax_minor)?,
        total: amount(line.total_minor)?,
        created_at: Timestamp::from_ms(line.created_at),
    })
}

/// The lines of one order, in order.
pub(super) async fn lines_of<C: ConnectionTrait>(
    connection: &C,
    order_id: &str,
) -> Result<Vec<line_item::Model>, StoreError> {
    Ok(line_item::Entity::find()
        .filter(line_item::Column::OrderId.eq(order_id))
        .order_by_asc(line_item::Column::Position)
        .all(connection)
        .await?)
}

impl super::Store {
    /// Whether any shop has this order, for tools that work for all shops.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_order(&self, id: OrderId) -> Result<bool, StoreError> {
        let row = order::Entity::find_by_id(id.to_string())
            .one(&self.reader)
            .await?;
        Ok(row.is_some())
    }
}

impl ShopStore<'_> {
    /// An order as callers see it.
    ///
    /// # Errors
    /// The database's.
    pub async fn order(&self, id: OrderId, mode: Mode) -> Result<Option<Order>, StoreError> {
        let found = self.order_being_closed(id, mode).await?;
        Ok(found.map(|(order, _)| order))
    }

    /// An order as callers see it, and whether a cancellation of it is under way, both of one moment.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_being_closed(
        &self,
        id: OrderId,
        mode: Mode,
    ) -> Result<Option<(Order, bool)>, StoreError> {
        let Some(found) = self.order_rows(id).await? else {
            return Ok(None);
        };
        let order = public(&found.order, &found.lines, mode)?;
        Ok(Some((order, found.order.cancel_requested_at.is_some())))
    }

    /// The key a client token of this order was derived with.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_token_key(&self, id: OrderId) -> Result<Option<i64>, StoreError> {
        let key = order::Entity::find_by_id(id.to_string())
            .filter(order::Column::ShopId.eq(self.shop.to_string()))
            .select_only()
            .column(order::Column::TokenKey)
            .into_tuple()
            .one(&self.store.reader)
            .await?;
        Ok(key)
    }

    /// The order with this reference.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_by_reference(&self, reference: &str) -> Result<Option<OrderId>, StoreError> {
        let id: Option<String> = order::Entity::find()
            .filter(order::Column::ShopId.eq(self.shop.to_string()))
            .filter(order::Column::Reference.eq(reference))
            .select_only()
            .column(order::Column::Id)
            .into_tuple()
            .one(&self.store.reader)
            .await?;
        id.map(|id| parse("order.id", &id)).transpose()
    }

    /// A page of orders, newest first, and whether there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        page: &Page<OrderId>,
        mode: Mode,
    ) -> Result<(Vec<Order>, bool), StoreError> {
        let (rows, has_more) = self.page_of_orders(filter, page).await?;
        let mut lines: HashMap<String, Vec<line_item::Model>> = HashMap::new();
        let loaded = rows
            .load_many(
                line_item::Entity::find().order_by_asc(line_item::Column::Position),
                &self.store.reader,
            )
            .await?;
        for line in loaded.into_iter().flatten() {
            lines.entry(line.order_id.clone()).or_default().push(line);
        }
        let orders = rows
            .iter()
            .map(|row| public(row, lines.get(&row.id).map_or(&[], Vec::as_slice), mode))
            .collect::<Result<_, _>>()?;
        Ok((orders, has_more))
    }

    async fn page_of_orders(
        &self,
        filter: &OrderFilter,
        page: &Page<OrderId>,
    ) -> Result<(Vec<order::Model>, bool), StoreError> {
        let reader = &self.store.reader;
        let mine = order::Entity::find().filter(order::Column::ShopId.eq(self.shop.to_string()));
        let search = filter.search.as_ref();
        let search = search.filter(|search| !search.words.is_empty());
        // A reference is one order, a customer has few: what they are asked for is asked of these alone.
        let known = filter.reference.is_some() || filter.email.is_some();
        let leads = match known {
            true => Leads::of(&filter.narrowing),
            false => self.leads(&filter.narrowing, search.is_some()).await?,
        };
        let few = known || (search.is_some() && leads.few);
        let led = known || (search.is_some() && !few);
        let narrowed = self.narrowed(&filter.narrowing, leads, led);
        let narrowed = (!narrowed.is_empty()).then_some(narrowed);
        let conditions = conditions(filter).add_option(narrowed);
        let Some(search) = search.filter(|_| !few) else {
            let mut query = mine.filter(conditions);
            if let Some(search) = &filter.search {
                query = query.filter(self.having(search).await?);
            }
            return page_of(reader, query, order::Column::Id, page).await;
        };
        let ids = self.found(search, &conditions, page).await?;
        let query = mine.filter(order::Column::Id.is_in(ids));
        let query = match &page.cursor {
            Cursor::EndingBefore(_) => query.order_by_asc(order::Column::Id),
            _ => query.order_by_desc(order::Column::Id),
        };
        Ok(cut(query.all(reader).await?, page))
    }
}

fn conditions(filter: &OrderFilter) -> Condition {
    let reference = filter.reference.as_ref();
    let reference = reference.map(|reference| order::Column::Reference.eq(reference));
    let mut all = Condition::all().add_option(reference);
    // An id carries the time its order was placed, and lists are sorted by it.
    if let Some(after) = filter.created_after {
        let first = OrderId::first_of(after.plus_ms(-PLACING_MS));
        all = all
            .add(order::Column::Id.gte(first.to_string()))
            .add(order::Column::CreatedAt.gt(after.ms()));
    }
    if let Some(before) = filter.created_before {
        all = all
            .add(order::Column::Id.lt(OrderId::first_of(before).to_string()))
            .add(order::Column::CreatedAt.lt(before.ms()));
    }
    let email = filter.email.as_ref().map(|email| {
        // lower() of SQLite, and of PostgreSQL under the column's collation, knows ASCII only.
        let lowered = email.to_ascii_lowercase();
        let same = Expr::expr(Func::lower(Expr::col(order::Column::CustomerEmail))).eq(lowered);
        // Said although it follows: SQLite's index holds only orders with an address, and it does not conclude that.
        order::Column::CustomerEmail.is_not_null().and(same)
    });
    all.add_option(email)
}

impl ShopTx {
    /// Locks an order for the rest of the transaction and returns what it says now. Who only reads its personal data,
    /// as the search index does, is not held off.
    ///
    /// # Errors
    /// The database's.
    pub async fn lock_order(&self, id: OrderId) -> Result<Option<OrderRecord>, StoreError> {
        let query = order::Entity::find_by_id(id.to_string())
            .filter(order::Column::ShopId.eq(self.shop.to_string()));
        let query = self.tx.holding(query);
        let Some(row) = query.one(self.tx.conn()).await? else {
            return Ok(None);
        };
        let lines = lines_of(self.tx.conn(), &row.id).await?;
        record(row, lines).map(Some)
    }
}

/// An order as the use cases need it, from its row and its lines in their order.
pub(super) fn record(
    row: order::Model,
    lines: Vec<line_item::Model>,
) -> Result<OrderRecord, StoreError> {
    let lines = lines.into_iter().map(|line| {
        let quantity = u32::try_from(line.quantity).unwrap_or(0);
        Ok((line.name, quantity, money(line.total_minor, &row.currency)?))
    });
    Ok(OrderRecord {
        id: parse("order.id", &row.id)?,
        number: row.number.to_string(),
        status: parse("order.status", &row.status)?,
        payment_status: parse("order.payment_status", &row.payment_status)?,
        total: money(row.total_minor, &row.currency)?,
        paid: money(row.paid_minor, &row.currency)?,
        cancel_requested: row.cancel_requested_at.is_some(),
        customer_email: row.customer_email.clone(),
        lines: lines.collect::<Result<_, StoreError>>()?,
        token_key: row.token_key,
        expires_at: Timestamp::from_ms(row.expires_at),
    })
}

impl super::Store {
    /// Whether any order was ever placed.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_orders(&self) -> Result<bool, StoreError> {
        let any = order::Entity::find()
            .select_only()
            .column(order::Column::Id)
            .limit(1)
            .into_tuple::<String>()
            .one(&self.reader)
            .await?;
        Ok(any.is_some())
    }
}
