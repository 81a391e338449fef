//! Events: written in the transaction of the change they report, placed in the shop's feed afterwards.
//!
//! An event's data holds no personal data; it is merged in when the event is read.

use entity::{event, line_item, order};
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::orders::public;
use super::rows::to_json;
use super::{StoreError, Tx};
use crate::domain::access::{Mode, Trace};
use crate::domain::event::EventType;
use crate::domain::ids::EventId;
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
pub(super) async fn insert(
    tx: &Tx,
    shop: &str,
    order: &str,
    cause: &str,
    trace: &Trace,
    events: Vec<NewEvent>,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let now = tx.clock.now().ms();
    let rows = events.into_iter().map(|new| event::ActiveModel {
        id: Set(tx.clock.id::<EventId>().to_string()),
        shop_id: Set(shop.to_owned()),
        order_id: Set(order.to_owned()),
        kind: Set(new.kind.to_string()),
        sequence: Set(new.sequence),
        position: Set(None),
        data: Set(new.data),
        cause: Set(cause.to_owned()),
        request_id: Set(trace.request_id.clone()),
        actor: Set(trace.actor.clone()),
        created_at: Set(now),
    });
    event::Entity::insert_many(rows)
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}
