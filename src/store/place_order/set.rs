//! A set of orders in one transaction: what was made before is only sent.
//!
//! On PostgreSQL that is one statement, and so one round trip, that is its own transaction. An order is inserted if
//! its key and its reference are new and the catalogue is still the one it was priced from; the rest of its rows
//! follow the order. On SQLite a set is inserted as a whole if all of it is new; else each table has its statement,
//! and what is known is left out.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use entity::{event, idempotency_key, line_item, order};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult, Statement, Value,
};

use super::super::batch::Member;
use super::super::failpoint::Step;
use super::super::rows::{sql, to_json};
use super::super::tx::{Waits, waits};
use super::super::{Constraint, Engine, Store, StoreError, Tx, bulk, events};
use super::{Draft, Verdict};

impl Member for Draft {
    type Outcome = Verdict;

    fn claims(&self) -> Vec<String> {
        self.claims.clone()
    }

    async fn run(
        store: &Store,
        set: &[Arc<Self>],
        patience: Duration,
    ) -> Result<Vec<Verdict>, StoreError> {
        // Two processes that take the same keys and references in one order wait for each other instead of colliding.
        let mut sorted: Vec<&Draft> = set.iter().map(AsRef::as_ref).collect();
        sorted.sort_by(|a, b| a.claims.cmp(&b.claims));
        let sorted = &sorted;
        let verdicts = match store.engine() {
            Engine::Postgres => {
                let statement = at_once(sorted, waits(Some(patience)));
                let rows = store.write_one(Step::Place, statement).await;
                rows.and_then(Verdicts::of_rows)
            }
            Engine::Sqlite => all_or_some(store, sorted).await,
        };
        let verdicts = match verdicts {
            // Another process took the key in the same moment; whoever asked looks up what came of it.
            Err(StoreError::Conflict(Constraint::IdempotencyKey)) if set.len() == 1 => {
                Verdicts::default()
            }
            verdicts => verdicts?,
        };
        Ok(set.iter().map(|one| verdicts.of(one)).collect())
    }
}

/// Inserts one order in a transaction that others have a part in, too.
pub(super) async fn insert_in(tx: &Tx, draft: &Draft) -> Result<Verdict, StoreError> {
    let verdicts = match tx.engine {
        Engine::Postgres => {
            let rows = tx
                .conn()
                .query_all_raw(at_once(&[draft], tx.waits()))
                .await?;
            Verdicts::of_rows(rows)?
        }
        Engine::Sqlite => table_by_table(tx, &[draft]).await?,
    };
    Ok(verdicts.of(draft))
}

/// What became of the orders of a set, by their ids.
#[derive(Default)]
struct Verdicts {
    placed: HashSet<String>,
    /// Those whose catalogue is another by now.
    outdated: HashSet<String>,
}

impl Verdicts {
    /// From what [`at_once`] says.
    fn of_rows(rows: Vec<QueryResult>) -> Result<Verdicts, StoreError> {
        let mut verdicts = Verdicts::default();
        for row in rows {
            let ids = match row.try_get_by_index(1)? {
                true => &mut verdicts.placed,
                false => &mut verdicts.outdated,
            };
            ids.insert(row.try_get_by_index(0)?);
        }
        Ok(verdicts)
    }

    fn of(&self, draft: &Draft) -> Verdict {
        if self.placed.contains(&draft.id) {
            return Verdict::New;
        }
        match self.outdated.contains(&draft.id) {
            true => Verdict::Outdated,
            false => Verdict::Refused,
        }
    }
}

/// The rows of a set, by table.
struct Rows<'a> {
    keys: Vec<&'a [Value]>,
    orders: Vec<&'a [Value]>,
    lines: Vec<&'a [Value]>,
    events: Vec<&'a [Value]>,
}

impl<'a> Rows<'a> {
    fn of(set: &[&'a Draft]) -> Rows<'a> {
        let all = || set.iter().copied();
        let slices = |rows: &'a [Vec<Value>]| rows.iter().map(Vec::as_slice);
        Rows {
            keys: all().map(|one| one.key.as_slice()).collect(),
            orders: all().map(|one| one.order.as_slice()).collect(),
            lines: all().flat_map(|one| slices(&one.lines)).collect(),
            events: all().flat_map(|one| slices(&one.events)).collect(),
        }
    }
}

/// Inserts a set in one statement, which says of each order that was inserted that it was, and of each whose catalogue is
/// another by now that it was not.
fn at_once(set: &[&Draft], (waits, time): Waits) -> Statement {
    let mut values: Vec<Value> = Vec::new();
    let catalogues: Vec<Option<i64>> = set.iter().map(|one| one.catalogue).collect();
    let rows = Rows::of(set);
    let keys_source =
        bulk::given::<idempotency_key::Entity>(&rows.keys, Some(&catalogues), &mut values);
    values.push(time);
    let orders_source = bulk::given::<order::Entity>(&rows.orders, None, &mut values);
    let lines_source = bulk::given::<line_item::Entity>(&rows.lines, None, &mut values);
    let events_source = bulk::given::<event::Entity>(&rows.events, None, &mut values);
    let (key_columns, order_columns) = (
        bulk::columns::<idempotency_key::Entity>(),
        bulk::columns::<order::Entity>(),
    );
    let (line_columns, event_columns) = (
        bulk::columns::<line_item::Entity>(),
        bulk::columns::<event::Entity>(),
    );
    // The keys come first in the text, but are inserted after the orders they belong to.
    let text = format!(
        "WITH keys ({key_columns}, catalogue) AS MATERIALIZED \
           (SELECT * FROM {keys_source} AS given WHERE {waits}), \
         shops AS MATERIALIZED (SELECT id, catalogue_version FROM shop \
           WHERE id IN (SELECT shop_id FROM keys)), \
         wanted ({order_columns}) AS (SELECT * FROM {orders_source} AS given), \
         placed AS (INSERT INTO \"order\" ({order_columns}) SELECT wanted.* FROM wanted \
           WHERE EXISTS (SELECT 1 FROM keys JOIN shops ON shops.id = keys.shop_id \
             WHERE keys.resource_id = wanted.id \
             AND (keys.catalogue IS NULL OR keys.catalogue = shops.catalogue_version) \
             AND NOT EXISTS (SELECT 1 FROM idempotency_key AS used WHERE used.shop_id = keys.shop_id \
               AND used.key_kind = keys.key_kind AND used.route = keys.route AND used.key = keys.key)) \
           ON CONFLICT DO NOTHING RETURNING id), \
         kept AS (INSERT INTO idempotency_key ({key_columns}) SELECT {key_columns} FROM keys \
           WHERE resource_id IN (SELECT id FROM placed)), \
         lines AS (INSERT INTO line_item ({line_columns}) SELECT l.* FROM {lines_source} \
           AS l ({line_columns}) WHERE l.order_id IN (SELECT id FROM placed)), \
         told AS (INSERT INTO event ({event_columns}) SELECT e.* FROM {events_source} \
           AS e ({event_columns}) WHERE e.order_id IN (SELECT id FROM placed)) \
         SELECT id, TRUE FROM placed UNION ALL \
         SELECT keys.resource_id, FALSE FROM keys JOIN shops ON shops.id = keys.shop_id \
           WHERE keys.catalogue <> shops.catalogue_version"
    );
    sql(Engine::Postgres, &text, values)
}

/// Inserts a set as a whole, or else what of it is new.
async fn all_or_some(store: &Store, set: &[&Draft]) -> Result<Verdicts, StoreError> {
    match store.write_together(Step::Place, &all_of(set)).await {
        Ok(()) => {
            return Ok(Verdicts {
                placed: set.iter().map(|one| one.id.clone()).collect(),
                ..Verdicts::default()
            });
        }
        Err(StoreError::Conflict(_) | StoreError::Statement(_)) => {}
        Err(error) => return Err(error),
    }
    let work = |tx: Tx| async move { table_by_table(&tx, set).await };
    store.write_at(Step::Place, work).await
}

/// All rows of a set, if its catalogues have not changed since it was priced.
fn all_of(set: &[&Draft]) -> bulk::Together {
    let rows = Rows::of(set);
    let priced = set
        .iter()
        .filter_map(|one| Some((one.shop.to_string(), one.catalogue?)));
    let priced: BTreeSet<(String, i64)> = priced.collect();
    let changed = "EXISTS (SELECT 1 FROM json_each(?) AS priced WHERE priced.value ->> 0 = shop.id \
                   AND priced.value ->> 1 <> shop.catalogue_version)";
    let placing = events::placing(&rows.events, Some((changed, to_json(&priced).into())));
    let mut inserts = bulk::Inserts::new();
    // The first of all: a set that is refused is refused at once.
    inserts.statements(placing.taking);
    inserts.add::<idempotency_key::Entity>(&rows.keys);
    inserts.add::<order::Entity>(&rows.orders);
    inserts.add::<line_item::Entity>(&rows.lines);
    inserts.statements(placing.inserting);
    inserts.together()
}

/// Inserts what of a set is new.
async fn table_by_table(tx: &Tx, set: &[&Draft]) -> Result<Verdicts, StoreError> {
    let (mut set, outdated) = by_catalogue(tx, set).await?;
    let (keys, id) = (Rows::of(&set).keys, idempotency_key::Column::Id);
    let claimed = bulk::insert_rows_new::<idempotency_key::Entity>(tx, &keys, id).await?;
    set.retain(|one| claimed.contains(&one.key_id));
    let placed = insert_orders(tx, &set).await?;
    set.retain(|one| placed.contains(&one.id));
    let rows = Rows::of(&set);
    bulk::insert_rows::<line_item::Entity>(tx, &rows.lines).await?;
    let placing = events::placing(&rows.events, None);
    for statement in placing.taking.into_iter().chain(placing.inserting) {
        tx.conn().execute_raw(statement).await?;
    }
    Ok(Verdicts { placed, outdated })
}

/// Those whose catalogue has not changed since they were priced, and the ids of the others.
async fn by_catalogue<'a>(
    tx: &Tx,
    set: &[&'a Draft],
) -> Result<(Vec<&'a Draft>, HashSet<String>), StoreError> {
    let priced = set.iter().filter(|one| one.catalogue.is_some());
    let shops: BTreeSet<String> = priced.map(|one| one.shop.to_string()).collect();
    let mut current = HashSet::new();
    for shop in shops {
        let text = "SELECT catalogue_version FROM shop WHERE id = ?";
        let found = tx
            .conn()
            .query_one_raw(sql(tx.engine, text, [shop.clone().into()]))
            .await?;
        if let Some(row) = found {
            current.insert((shop, row.try_get_by_index::<i64>(0)?));
        }
    }
    let (kept, outdated): (Vec<&Draft>, Vec<&Draft>) = set.iter().partition(|one| {
        let priced = one.catalogue.map(|of| (one.shop.to_string(), of));
        priced.is_none_or(|priced| current.contains(&priced))
    });
    let outdated = outdated.into_iter().map(|one| one.id.clone());
    Ok((kept, outdated.collect()))
}

/// Inserts the orders; those whose reference or number another order has leave their keys behind, which are taken back.
async fn insert_orders(tx: &Tx, set: &[&Draft]) -> Result<HashSet<String>, StoreError> {
    let rows = Rows::of(set).orders;
    let placed = bulk::insert_rows_new::<order::Entity>(tx, &rows, order::Column::Id).await?;
    let refused = set.iter().filter(|one| !placed.contains(&one.id));
    let keys: Vec<String> = refused.map(|one| one.key_id.clone()).collect();
    if !keys.is_empty() {
        idempotency_key::Entity::delete_many()
            .filter(idempotency_key::Column::Id.is_in(keys))
            .exec(tx.conn())
            .await?;
    }
    Ok(placed)
}
