//! Reading: orders with everything that belongs to them, a page at a time.

use std::collections::HashMap;

use entity::{
    checkout_session, ledger_transaction, line_item, order, payment, provider_call, provider_event,
    provider_fact, refund, refund_line, review,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};

use super::super::refunds::lines_of;
use super::super::rows::sql;
use super::super::settle::{Flagging, doubt_of, flag_of};
use super::super::{Store, StoreError};
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::settlement::ReviewKey;

/// An order with all that belongs to it, as the rows say.
pub(super) struct Bundle {
    pub order: order::Model,
    pub lines: Vec<line_item::Model>,
    pub sessions: Vec<checkout_session::Model>,
    pub payments: Vec<payment::Model>,
    pub refunds: Vec<refund::Model>,
    pub refund_lines: Vec<refund_line::Model>,
    pub facts: Vec<provider_fact::Model>,
    pub reviews: Vec<review::Model>,
    /// The questions raised by events that were not believed, and by calls nobody knows the outcome of.
    pub flags: Vec<ReviewKey>,
    pub transactions: Vec<ledger_transaction::Model>,
    pub entries: Vec<Entry>,
    pub events: Vec<Told>,
}

/// A ledger entry with the name and currency of its account.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub id: String,
    pub shop: String,
    pub transaction: String,
    pub payment: String,
    pub account: String,
    pub currency: String,
    pub debit_minor: i64,
    pub credit_minor: i64,
}

/// An event's place among its order's.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub id: String,
    pub kind: String,
    pub sequence: i64,
}

/// The next page of orders, by id, all of one moment.
pub(super) async fn load(
    store: &Store,
    after: &str,
    limit: u64,
) -> Result<Vec<Bundle>, StoreError> {
    let orders = order::Entity::find()
        .filter(order::Column::Id.gt(after))
        .order_by_asc(order::Column::Id)
        .limit(limit);
    load_these(store, orders).await
}

/// The next page of a shop's orders towards the oldest, all of one moment.
pub(super) async fn load_back(
    store: &Store,
    shop: ShopId,
    before: Option<OrderId>,
    limit: u64,
) -> Result<Vec<Bundle>, StoreError> {
    let mut orders = order::Entity::find()
        .filter(order::Column::ShopId.eq(shop.to_string()))
        .order_by_desc(order::Column::Id)
        .limit(limit);
    if let Some(before) = before {
        orders = orders.filter(order::Column::Id.lt(before.to_string()));
    }
    load_these(store, orders).await
}

async fn load_these(
    store: &Store,
    orders: Select<order::Entity>,
) -> Result<Vec<Bundle>, StoreError> {
    let moment = store.snapshot().await?;
    let page = read(store, &moment, orders).await;
    // Nothing was changed; its end only lets go of the moment.
    let _ = moment.rollback().await;
    page
}

async fn read(
    store: &Store,
    moment: &DatabaseTransaction,
    orders: Select<order::Entity>,
) -> Result<Vec<Bundle>, StoreError> {
    let orders = orders.all(moment).await?;
    let ids: Vec<String> = orders.iter().map(|order| order.id.clone()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    macro_rules! children {
        ($table:ident) => {{
            let rows = $table::Entity::find()
                .filter($table::Column::OrderId.is_in(ids.clone()))
                .order_by_asc($table::Column::Id)
                .all(moment)
                .await?;
            group(rows, |row| row.order_id.clone())
        }};
    }
    let mut lines = children!(line_item);
    let mut sessions = children!(checkout_session);
    let mut payments = children!(payment);
    let mut refunds = children!(refund);
    let mut facts = children!(provider_fact);
    let mut transactions = children!(ledger_transaction);
    let reviews = review::Entity::find()
        .filter(review::Column::OrderId.is_in(ids.clone()))
        .order_by_asc(review::Column::Id)
        .all(moment)
        .await?;
    let mut reviews = group(reviews, |row| row.order_id.clone().unwrap_or_default());
    let mut refund_lines = refund_lines(moment, &refunds).await?;
    let mut flags = flags(moment, &ids).await?;
    let mut entries = entries(store, moment, &ids).await?;
    let mut events = events(store, moment, &ids).await?;
    let bundles = orders.into_iter().map(|order| {
        let id = order.id.clone();
        Bundle {
            lines: lines.remove(&id).unwrap_or_default(),
            sessions: sessions.remove(&id).unwrap_or_default(),
            payments: payments.remove(&id).unwrap_or_default(),
            refunds: refunds.remove(&id).unwrap_or_default(),
            refund_lines: refund_lines.remove(&id).unwrap_or_default(),
            facts: facts.remove(&id).unwrap_or_default(),
            reviews: reviews.remove(&id).unwrap_or_default(),
            flags: flags.remove(&id).unwrap_or_default(),
            transactions: transactions.remove(&id).unwrap_or_default(),
            entries: entries.remove(&id).unwrap_or_default(),
            events: events.remove(&id).unwrap_or_default(),
            order,
        }
    });
    Ok(bundles.collect())
}

fn group<T>(rows: Vec<T>, of: impl Fn(&T) -> String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(of(&row)).or_default().push(row);
    }
    groups
}

/// The lines of an order's refunds, by order.
async fn refund_lines(
    moment: &DatabaseTransaction,
    refunds: &HashMap<String, Vec<refund::Model>>,
) -> Result<HashMap<String, Vec<refund_line::Model>>, StoreError> {
    let rows = refunds.values().flatten();
    let orders: HashMap<String, String> = rows
        .map(|row| (row.id.clone(), row.order_id.clone()))
        .collect();
    let ids: Vec<String> = orders.keys().cloned().collect();
    let lines = lines_of(moment, &ids).await?;
    Ok(group(lines, |line| {
        orders.get(&line.refund_id).cloned().unwrap_or_default()
    }))
}

async fn flags(
    moment: &DatabaseTransaction,
    ids: &[String],
) -> Result<HashMap<String, Vec<ReviewKey>>, StoreError> {
    use provider_event::Column as C;
    let rows: Vec<Flagging> = provider_event::Entity::find()
        .filter(C::OrderId.is_in(ids.to_vec()))
        .filter(C::Verdict.is_in(["quarantined", "dead"]))
        .select_only()
        .columns([C::Id, C::OrderId, C::Reason, C::CheckoutSessionId])
        .into_tuple()
        .all(moment)
        .await?;
    let mut flags: HashMap<String, Vec<ReviewKey>> = HashMap::new();
    for row in rows {
        let order = row.1.clone().unwrap_or_default();
        if let Some((_, key)) = flag_of(row) {
            flags.entry(order).or_default().push(key);
        }
    }
    let calls: Vec<(String, String)> = provider_call::Entity::find()
        .filter(provider_call::Column::OrderId.is_in(ids.to_vec()))
        .filter(provider_call::Column::ReviewAt.is_not_null())
        .select_only()
        .columns([provider_call::Column::OrderId, provider_call::Column::Id])
        .into_tuple()
        .all(moment)
        .await?;
    for (order, call) in calls {
        flags.entry(order).or_default().push(doubt_of(call));
    }
    Ok(flags)
}

async fn entries(
    store: &Store,
    moment: &DatabaseTransaction,
    ids: &[String],
) -> Result<HashMap<String, Vec<Entry>>, StoreError> {
    let text = format!(
        "SELECT e.order_id, e.id, e.shop_id, e.ledger_transaction_id, e.payment_id, a.name, a.currency, \
         e.debit_minor, e.credit_minor FROM ledger_entry e JOIN ledger_account a \
         ON a.id = e.ledger_account_id WHERE e.order_id IN ({}) ORDER BY e.id",
        marks(ids)
    );
    let statement = sql(store.engine, &text, texts(ids));
    let mut entries: HashMap<String, Vec<Entry>> = HashMap::new();
    for row in moment.query_all_raw(statement).await? {
        let entry = Entry {
            id: row.try_get_by_index(1)?,
            shop: row.try_get_by_index(2)?,
            transaction: row.try_get_by_index(3)?,
            payment: row.try_get_by_index(4)?,
            account: row.try_get_by_index(5)?,
            currency: row.try_get_by_index(6)?,
            debit_minor: row.try_get_by_index(7)?,
            credit_minor: row.try_get_by_index(8)?,
        };
        let order: String = row.try_get_by_index(0)?;
        entries.entry(order).or_default().push(entry);
    }
    Ok(entries)
}

async fn events(
    store: &Store,
    moment: &DatabaseTransaction,
    ids: &[String],
) -> Result<HashMap<String, Vec<Told>>, StoreError> {
    let text = format!(
        "SELECT order_id, id, type, sequence FROM event WHERE order_id IN ({}) ORDER BY sequence",
        marks(ids)
    );
    let statement = sql(store.engine, &text, texts(ids));
    let mut events: HashMap<String, Vec<Told>> = HashMap::new();
    for row in moment.query_all_raw(statement).await? {
        let told = Told {
            id: row.try_get_by_index(1)?,
            kind: row.try_get_by_index(2)?,
            sequence: row.try_get_by_index(3)?,
        };
        let order: String = row.try_get_by_index(0)?;
        events.entry(order).or_default().push(told);
    }
    Ok(events)
}

fn marks(ids: &[String]) -> String {
    vec!["?"; ids.len()].join(", ")
}

fn texts(ids: &[String]) -> impl Iterator<Item = Value> + '_ {
    ids.iter().map(|id| id.clone().into())
}
