//! The search terms of orders: filled behind the feed, read by the list of orders.
//!
//! Each shop has a cursor on its feed. A round takes the next events and writes the terms of their orders, so
//! nothing slows the placing of an order, nothing is missed after a crash, and a shop whose cursor is gone is
//! indexed anew. Terms are the only copy of personal data outside the order's own row. They are read under a
//! lock of the order that payments do not wait for: who erases a person must lock the whole row first (`FOR UPDATE`, which
//! no other change needs), and then finds every term.

use std::collections::{BTreeMap, BTreeSet};

use entity::{order, order_term, search_cursor};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, OnConflict, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QuerySelect,
};

use super::bulk::{self, Wanted};
use super::failpoint::Step;
use super::rows::{money, parse, sql};
use super::{Engine, Store, StoreError, Tx};
use crate::domain::event::EventType;
use crate::domain::ids::ShopId;
use crate::domain::search::{Terms, Word};

/// How many events one transaction takes: each order has a dozen terms or two, and a transaction is short.
const EVENTS_AT_ONCE: u64 = 100;

/// The orders of a shop that have a word among their terms: one range of the primary key.
#[must_use]
pub fn matching(shop: ShopId, word: &Word) -> SelectStatement {
    let mut query = Query::select();
    query
        .column(order_term::Column::OrderId)
        .from(order_term::Entity)
        .and_where(order_term::Column::ShopId.eq(shop.to_string()))
        .cond_where(within(word));
    query
}

/// The terms that are a word or begin with it.
pub(super) fn within(word: &Word) -> Condition {
    let term = order_term::Column::Term;
    match word {
        Word::Whole(word) => Condition::all().add(term.eq(word)),
        Word::Prefix { from, before } => Condition::all()
            .add(term.gte(from))
            .add_option(before.as_ref().map(|before| term.lt(before))),
    }
}

impl Store {
    /// Shops whose search is behind their feed.
    ///
    /// # Errors
    /// The database's.
    pub async fn shops_with_unindexed_events(&self) -> Result<Vec<ShopId>, StoreError> {
        let text = "SELECT shop.id FROM shop LEFT JOIN search_cursor ON search_cursor.shop_id = shop.id \
                    WHERE shop.event_position > COALESCE(search_cursor.position, 0)";
        let rows = self
            .reader
            .query_all_raw(sql(self.engine, text, []))
            .await?;
        rows.iter()
            .map(|row| parse("shop.id", &row.try_get_by_index::<String>(0)?))
            .collect()
    }

    /// Writes the terms of the orders of a shop's next events and moves its cursor past them. Returns how many
    /// events; none when another process is at it.
    ///
    /// # Errors
    /// The database's.
    pub async fn index_orders(&self, shop: ShopId) -> Result<u64, StoreError> {
        self.write_at(Step::IndexOrders, |tx| async move {
            let shop = shop.to_string();
            let Some(cursor) = lock_cursor(&tx, &shop).await? else {
                return Ok(0);
            };
            let next = Wanted::columns(
                &["order_id", "position", "type"],
                "event",
                format!(
                    "shop_id = ? AND position > ? ORDER BY event.position LIMIT {EVENTS_AT_ONCE}"
                ),
                vec![shop.clone().into(), cursor.into()],
            );
            let events = bulk::read(tx.conn(), tx.engine, vec![next]).await?.pop();
            let events = events.unwrap_or_default();
            let (mut told, mut last) = (Told::default(), None);
            for event in &events {
                told.add(event.text(0)?, event.text(2)?);
                last = last.max(Some(event.number(1)?));
            }
            let Some(last) = last else { return Ok(0) };
            insert(&tx, &shop, terms_of(&tx, &told).await?).await?;
            search_cursor::Entity::update_many()
                .col_expr(search_cursor::Column::Position, Expr::value(last))
                .filter(search_cursor::Column::ShopId.eq(&shop))
                .exec(tx.conn())
                .await?;
            Ok(u64::try_from(events.len()).unwrap_or(0))
        })
        .await
    }
}

/// Where a shop's search stands, locked; none when another process has it.
async fn lock_cursor(tx: &Tx, shop: &str) -> Result<Option<i64>, StoreError> {
    let first = search_cursor::ActiveModel {
        shop_id: Set(shop.to_owned()),
        position: Set(0),
    };
    search_cursor::Entity::insert(first)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    let query = search_cursor::Entity::find_by_id(shop);
    let query = match tx.engine {
        // The write transaction is the lock.
        Engine::Sqlite => query,
        Engine::Postgres => query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
    };
    let row = query.one(tx.conn()).await?;
    Ok(row.map(|row| row.position))
}

/// Orders that events tell of.
#[derive(Default)]
struct Told {
    /// All of them.
    orders: BTreeSet<String>,
    /// Those that were placed just now. What an order's own row and its lines say of it does not change, so their
    /// terms are written once.
    placed: BTreeSet<String>,
}

impl Told {
    fn add(&mut self, order: &str, event: &str) {
        self.orders.insert(order.to_owned());
        if event == EventType::OrderCreated.as_str() {
            self.placed.insert(order.to_owned());
        }
    }
}

/// The terms of some orders, each with its order, in the order of the primary key.
async fn terms_of(tx: &Tx, told: &Told) -> Result<BTreeSet<(String, String)>, StoreError> {
    let engine = tx.engine;
    let of = |orders: &BTreeSet<String>| bulk::list(engine, orders.iter().map(String::as_str));
    let mut terms: BTreeMap<String, Terms> = BTreeMap::new();
    let lock = match engine {
        // The write transaction is the lock.
        Engine::Sqlite => "",
        // No payment waits for it, nor it for a payment. What takes a person's data away must lock the whole row.
        Engine::Postgres => " FOR KEY SHARE",
    };
    let placed = format!("{} ORDER BY id{lock}", bulk::among(engine, "id"));
    let placed = Wanted::rows::<order::Entity>(placed, vec![of(&told.placed)]);
    let orders = bulk::read(tx.conn(), engine, vec![placed]).await?;
    for row in orders.into_iter().flatten() {
        let row = row.model::<order::Entity>()?;
        terms.entry(row.id.clone()).or_default().add_order(&row);
    }
    let of_orders = bulk::among(engine, "order_id");
    let parts = vec![
        Wanted::columns(
            &["order_id", "id", "provider_session_id"],
            "checkout_session",
            of_orders.clone(),
            vec![of(&told.orders)],
        ),
        Wanted::columns(
            &[
                "order_id",
                "id",
                "provider_payment_id",
                "provider_charge_id",
            ],
            "payment",
            of_orders.clone(),
            vec![of(&told.orders)],
        ),
        Wanted::columns(
            &["order_id", "sku", "name", "position"],
            "line_item",
            of_orders,
            vec![of(&told.placed)],
        ),
    ];
    let mut parts = bulk::read(tx.conn(), engine, parts).await?.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    for row in next().into_iter().chain(next()) {
        let of = terms.entry(row.text(0)?.to_owned()).or_default();
        row.texts(1).for_each(|id| of.add(id));
    }
    let mut lines = next();
    lines.sort_by_cached_key(|line| line.number(3).unwrap_or(i64::MAX));
    for row in &lines {
        let of = terms.entry(row.text(0)?.to_owned()).or_default();
        of.add(row.text_or_null(1).unwrap_or_default());
    }
    for row in &lines {
        let of = terms.entry(row.text(0)?.to_owned()).or_default();
        of.add_name(row.text(2)?);
    }
    let pairs = terms.into_iter().flat_map(|(order, terms)| {
        terms
            .into_iter()
            .map(move |term| (term, order.clone()))
            .collect::<Vec<_>>()
    });
    Ok(pairs.collect())
}

impl Terms {
    /// What the order's own row says. A row that says an amount wrongly is found by everything else.
    fn add_order(&mut self, row: &order::Model) {
        self.add(&row.id);
        self.add(&row.number.to_string());
        self.add(row.reference.as_deref().unwrap_or_default());
        self.add_email(row.customer_email.as_deref().unwrap_or_default());
        self.add_name(row.customer_name.as_deref().unwrap_or_default());
        if let Ok(total) = money(row.total_minor, &row.currency) {
            self.add(&total.to_string());
        }
    }
}

/// Inserts terms in one order everywhere, so that two processes never wait for each other in a circle.
async fn insert(tx: &Tx, shop: &str, terms: BTreeSet<(String, String)>) -> Result<(), StoreError> {
    let rows = terms.into_iter().map(|(term, order_id)| order_term::Model {
        shop_id: shop.to_owned(),
        term,
        order_id,
    });
    bulk::insert_missing::<order_term::Entity>(tx, &rows.collect::<Vec<_>>()).await
}
