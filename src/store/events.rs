//! Events: written in the transaction of the change they report.
//!
//! On PostgreSQL they are placed in their shop's feed afterwards. On SQLite they are inserted at their places: it has
//! one writer at a time, so positions follow the commits, and no event is written twice.
//!
//! An event's data holds no personal data; it is merged in when the event is read.

use std::collections::BTreeMap;
use std::time::Duration;

use entity::{event, line_item, order};
use sea_orm::{ConnectionTrait, IdenStatic as _, Iterable, Statement, Value};

use super::failpoint::Step;
use super::orders::public;
use super::rows::{parse, sql, to_json};
use super::{Engine, StoreError, bulk};
use crate::clock::Clock;
use crate::domain::access::{Mode, Trace};
use crate::domain::event::EventType;
use crate::domain::ids::{EventId, ShopId};
use crate::domain::order::{Customer, Order};

/// An event to be written.
pub(super) struct NewEvent {
    pub kind: EventType,
    pub sequence: i64,
    pub data: String,
}

/// The order as an event carries it: without the people in it.
pub(super) fn order_data(
    row: &order::Model,
    lines: &[line_item::Model],
    mode: Mode,
) -> Result<String, StoreError> {
    Ok(to_json(&without_people(public(row, lines, mode)?)))
}

/// An order without the people in it.
pub(super) fn without_people(order: Order) -> Order {
    Order {
        customer: Customer::default(),
        shipping_address: None,
        billing_address: None,
        ..order
    }
}

/// Rows for events of one order.
pub(super) fn rows(
    clock: &Clock,
    shop: &str,
    order: &str,
    cause: &str,
    trace: &Trace,
    events: Vec<NewEvent>,
) -> Vec<event::Model> {
    let now = clock.now().ms();
    let rows = events.into_iter().map(|new| event::Model {
        id: clock.id::<EventId>().to_string(),
        shop_id: shop.to_owned(),
        order_id: order.to_owned(),
        kind: new.kind.to_string(),
        sequence: new.sequence,
        position: None,
        data: new.data,
        cause: cause.to_owned(),
        request_id: trace.request_id.clone(),
        actor: trace.actor.clone(),
        created_at: now,
    });
    rows.collect()
}

/// SQLite: events on their way to the next positions of their shops' feeds.
pub(super) struct Placing {
    /// Takes the positions; carried out before the events are inserted.
    pub taking: Option<Statement>,
    /// Inserts the events.
    pub inserting: Vec<Statement>,
}

/// SQLite: places events, given as [`bulk::values`]. The statement that takes their positions is refused for a shop for
/// which `unless` holds, a condition with one `?`.
pub(super) fn placing(rows: &[&[Value]], unless: Option<(&str, Value)>) -> Placing {
    type C = event::Column;
    let columns: Vec<C> = C::iter().collect();
    let at = |wanted: C| {
        columns
            .iter()
            .position(|one| one.as_str() == wanted.as_str())
    };
    let (shop_at, position_at) = (at(C::ShopId), at(C::Position));
    let shop_of = |row: &&[Value]| Some(bulk::text_of(row.get(shop_at?)?)?.to_owned());
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for shop in rows.iter().filter_map(shop_of) {
        let count = counted.entry(shop).or_default();
        *count = count.saturating_add(1);
    }
    let taking = (!counted.is_empty()).then(|| {
        let next = "event_position + (counted.value ->> 1)";
        let (next, unless) = match unless {
            None => (next.to_owned(), None),
            Some((unless, value)) => (
                format!("CASE WHEN {unless} THEN NULL ELSE {next} END"),
                Some(value),
            ),
        };
        let text = format!(
            "UPDATE shop SET event_position = {next} FROM json_each(?) AS counted \
             WHERE shop.id = counted.value ->> 0"
        );
        let counted: Vec<_> = counted.iter().collect();
        let values = unless.into_iter().chain([to_json(&counted).into()]);
        sql(Engine::Sqlite, &text, values)
    });
    // Counted from the last position of those that were taken.
    let mut left = counted;
    let chosen = (1_usize..).zip(&columns).map(|(number, column)| match column {
        C::Position => format!(
            "(SELECT event_position FROM shop WHERE id = given.column{}) - given.column{number}",
            shop_at.map_or(0, |at| at.saturating_add(1))
        ),
        _ => format!("given.column{number}"),
    });
    let chosen = chosen.collect::<Vec<_>>().join(", ");
    let names = bulk::columns::<event::Entity>();
    let groups = bulk::groups(Engine::Sqlite, rows, columns.len()).into_iter();
    let inserting = groups.map(|group| {
        let (source, mut values) = bulk::source(Engine::Sqlite, group, &columns);
        for (row, given) in group.iter().zip(values.chunks_mut(columns.len())) {
            let left = shop_of(row).and_then(|shop| left.get_mut(&shop));
            let position = position_at.and_then(|at| given.get_mut(at));
            if let (Some(left), Some(position)) = (left, position) {
                *left = left.saturating_sub(1);
                *position = (*left).into();
            }
        }
        let text = format!("INSERT INTO event ({names}) SELECT {chosen} FROM ({source}) AS given");
        sql(Engine::Sqlite, &text, values)
    });
    Placing {
        inserting: inserting.collect(),
        taking,
    }
}

/// How many events one transaction places.
const PLACE_AT_ONCE: u32 = 500;

const LOCK_ON_SQLITE: &str =
    "UPDATE shop SET event_position = event_position WHERE id = ? RETURNING event_position";

/// PostgreSQL: how long the lock of a feed is waited for. On SQLite whoever writes has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// As long as others take who change a row and commit, some times over; not as long as anybody may hold it.
    Some,
}

/// As long as that.
const SOME: Duration = Duration::from_millis(150);

impl super::Store {
    /// Shops with events that have no position yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn shops_with_unplaced_events(&self) -> Result<Vec<ShopId>, StoreError> {
        let text = "SELECT DISTINCT shop_id FROM event WHERE position IS NULL";
        let rows = self
            .reader
            .query_all_raw(sql(self.engine, text, []))
            .await?;
        rows.iter()
            .map(|row| parse("event.shop_id", &row.try_get_by_index::<String>(0)?))
            .collect()
    }

    /// Gives a shop's oldest unplaced events their positions, under the lock of its feed, and returns how many; none when
    /// somebody else has that lock for longer than is waited for.
    ///
    /// # Errors
    /// The database's.
    pub async fn place_events(
        &self,
        shop: ShopId,
        patience: Patience,
    ) -> Result<Option<u64>, StoreError> {
        let placed = self.place_under_lock(shop, patience).await;
        match (self.engine, placed) {
            (Engine::Postgres, Err(StoreError::Locked(_))) => Ok(None),
            (_, placed) => placed,
        }
    }

    async fn place_under_lock(
        &self,
        shop: ShopId,
        patience: Patience,
    ) -> Result<Option<u64>, StoreError> {
        self.write_set(Step::PlaceEvents, SOME, |tx| async move {
            let shop = shop.to_string();
            let lock = match (tx.engine, patience) {
                (Engine::Sqlite, _) => sql(tx.engine, LOCK_ON_SQLITE, [shop.clone().into()]),
                (Engine::Postgres, patience) => {
                    let (waits, time) = tx.waits();
                    let skips = match patience {
                        Patience::None => " SKIP LOCKED",
                        Patience::Some => "",
                    };
                    let text = format!(
                        "SELECT event_position FROM shop WHERE id = ? AND {waits} FOR NO KEY UPDATE{skips}"
                    );
                    sql(tx.engine, &text, [shop.clone().into(), time])
                }
            };
            let locked = tx.conn().query_one_raw(lock).await?;
            let Some(row) = locked else { return Ok(None) };
            let last: i64 = row.try_get_by_index(0)?;
            let place = format!(
                "UPDATE event SET position = ? + placed.place FROM (SELECT id, row_number() OVER (ORDER BY id) \
                 AS place FROM (SELECT id FROM event WHERE shop_id = ? AND position IS NULL ORDER BY id \
                 LIMIT {PLACE_AT_ONCE}) AS picked) AS placed WHERE event.id = placed.id"
            );
            let values: [Value; 2] = [last.into(), shop.clone().into()];
            let placed = tx.conn().execute_raw(sql(tx.engine, &place, values)).await?;
            let placed = placed.rows_affected();
            if placed == 0 {
                return Ok(Some(0));
            }
            let position = last.saturating_add(i64::try_from(placed).unwrap_or(i64::MAX));
            let end = "UPDATE shop SET event_position = ? WHERE id = ?";
            let values: [Value; 2] = [position.into(), shop.into()];
            tx.conn().execute_raw(sql(tx.engine, end, values)).await?;
            Ok(Some(placed))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(shop: &str) -> Vec<Value> {
        let text = str::to_owned;
        bulk::values::<event::Entity>(event::Model {
            id: text("evt"),
            shop_id: text(shop),
            order_id: text("ord"),
            kind: text("order.created"),
            sequence: 1,
            position: None,
            data: text("{}"),
            cause: text("request"),
            request_id: None,
            actor: text("key"),
            created_at: 0,
        })
    }

    #[test]
    fn events_count_on_over_all_statements_each_shop_by_itself() {
        let rows: Vec<Vec<Value>> = (0..301_u32)
            .map(|at| row(if at % 3 == 0 { "shop_a" } else { "shop_b" }))
            .collect();
        let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
        let placing = placing(&rows, Some(("shop.mode = ?", "live".into())));
        let taking = placing.taking.expect("positions");
        let counted = r#"[["shop_a",101],["shop_b",200]]"#;
        let values = taking.values.expect("values").0;
        assert_eq!(values, [Value::from("live"), Value::from(counted)]);
        assert_eq!(placing.inserting.len(), 3, "128 at once");
        let mut behind: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for statement in placing.inserting {
            let values = statement.values.expect("values").0;
            for row in values.chunks(11) {
                let (Some(shop), Value::BigInt(Some(position))) = (bulk::text_of(&row[1]), &row[5])
                else {
                    assert_eq!(row[0], Value::String(None), "one that fills up");
                    continue;
                };
                let of_shop = behind.entry(shop.to_owned()).or_default();
                of_shop.push(*position);
            }
        }
        assert_eq!(behind["shop_a"], (0..101).rev().collect::<Vec<i64>>());
        assert_eq!(behind["shop_b"], (0..200).rev().collect::<Vec<i64>>());
        let nothing = super::placing(&[], None);
        assert!(nothing.taking.is_none() && nothing.inserting.is_empty());
    }
}
