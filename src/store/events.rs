//! Events: written in the transaction of the change they report, placed in the shop's feed afterwards.
//!
//! An event's data holds no personal data; it is merged in when the event is read.

use entity::{event, line_item, order};
use sea_orm::{ConnectionTrait, Value};

use super::failpoint::Step;
use super::orders::public;
use super::rows::{parse, sql, to_json};
use super::{Engine, StoreError, Tx};
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

fn without_people(order: Order) -> Order {
    Order {
        customer: Customer::default(),
        shipping_address: None,
        billing_address: None,
        ..order
    }
}

/// Rows for events of one order.
pub(super) fn rows(
    tx: &Tx,
    shop: &str,
    order: &str,
    cause: &str,
    trace: &Trace,
    events: Vec<NewEvent>,
) -> Vec<event::Model> {
    let now = tx.clock.now().ms();
    let rows = events.into_iter().map(|new| event::Model {
        id: tx.clock.id::<EventId>().to_string(),
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

/// How many events one transaction places.
const PLACE_AT_ONCE: u32 = 500;

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

    /// Gives a shop's oldest unplaced events their positions, under the lock of its feed.
    ///
    /// # Errors
    /// The database's.
    pub async fn place_events(&self, shop: ShopId) -> Result<u64, StoreError> {
        self.write_at(Step::PlaceEvents, |tx| async move {
            let shop = shop.to_string();
            let lock = "UPDATE shop SET event_position = event_position WHERE id = ? \
                        RETURNING event_position";
            let locked = tx
                .conn()
                .query_one_raw(sql(tx.engine, lock, [shop.clone().into()]))
                .await?;
            let Some(row) = locked else { return Ok(0) };
            let last: i64 = row.try_get_by_index(0)?;
            let pick = format!(
                "SELECT id FROM event WHERE shop_id = ? AND position IS NULL ORDER BY id LIMIT {PLACE_AT_ONCE}"
            );
            let rows = tx
                .conn()
                .query_all_raw(sql(tx.engine, &pick, [shop.clone().into()]))
                .await?;
            if rows.is_empty() {
                return Ok(0);
            }
            let mut position = last;
            let mut values: Vec<Value> = Vec::with_capacity(rows.len().saturating_mul(2));
            for row in &rows {
                position = position.saturating_add(1);
                values.push(row.try_get_by_index::<String>(0)?.into());
                values.push(position.into());
            }
            let marks = match tx.engine {
                Engine::Sqlite => "(?, ?)",
                Engine::Postgres => "(?, ?::bigint)",
            };
            let place = format!(
                "WITH placed (id, position) AS (VALUES {}) UPDATE event SET position = placed.position \
                 FROM placed WHERE event.id = placed.id AND event.position IS NULL",
                vec![marks; rows.len()].join(", ")
            );
            tx.conn().execute_raw(sql(tx.engine, &place, values)).await?;
            let advance = "UPDATE shop SET event_position = ? WHERE id = ?";
            let values: [Value; 2] = [position.into(), shop.into()];
            tx.conn().execute_raw(sql(tx.engine, advance, values)).await?;
            Ok(u64::try_from(rows.len()).unwrap_or(0))
        })
        .await
    }
}
