//! Events as callers read them: one, or the shop's feed from a place on.
//!
//! The feed is read by position. Positions are given by transactions that follow each other: on SQLite those of the
//! changes themselves, on PostgreSQL short ones after the change an event reports was committed. So whoever has read up
//! to one will never find another below it.

use std::collections::HashMap;

use entity::{event, order};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use super::rows::{json, parse};
use super::{ShopStore, StoreError};
use crate::domain::access::Mode;
use crate::domain::event::{Event, EventData};
use crate::domain::ids::EventId;
use crate::domain::order::Customer;
use crate::domain::time::Timestamp;

/// Where an event stands in its shop's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At this position.
    At(i64),
    /// Nowhere yet: it was written a moment ago (on PostgreSQL).
    NotYet,
}

impl ShopStore<'_> {
    /// An event as it is read now.
    ///
    /// # Errors
    /// The database's.
    pub async fn event(&self, id: EventId, mode: Mode) -> Result<Option<Event>, StoreError> {
        let row = self.event_row(id).await?;
        let mut read = self.read_events(row.into_iter().collect(), mode).await?;
        Ok(read.pop())
    }

    /// Where an event stands in the feed; nothing when the shop has no such event.
    ///
    /// # Errors
    /// The database's.
    pub async fn place_of(&self, id: EventId) -> Result<Option<Place>, StoreError> {
        let row = self.event_row(id).await?;
        Ok(row.map(|row| row.position.map_or(Place::NotYet, Place::At)))
    }

    /// The events after a position, oldest first, and whether there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn feed(
        &self,
        after: i64,
        limit: u64,
        mode: Mode,
    ) -> Result<(Vec<Event>, bool), StoreError> {
        let mut rows = event::Entity::find()
            .filter(event::Column::ShopId.eq(self.shop.to_string()))
            .filter(event::Column::Position.gt(after))
            .order_by_asc(event::Column::Position)
            .limit(limit.saturating_add(1))
            .all(&self.store.reader)
            .await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Ok((self.read_events(rows, mode).await?, has_more))
    }

    async fn event_row(&self, id: EventId) -> Result<Option<event::Model>, StoreError> {
        Ok(event::Entity::find_by_id(id.to_string())
            .filter(event::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?)
    }

    /// Events with what is known by now of the people in their orders.
    async fn read_events(
        &self,
        rows: Vec<event::Model>,
        mode: Mode,
    ) -> Result<Vec<Event>, StoreError> {
        let orders: Vec<&str> = rows.iter().map(|row| row.order_id.as_str()).collect();
        let people = match orders.is_empty() {
            true => HashMap::new(),
            false => self.people(&orders).await?,
        };
        let events = rows.into_iter().map(|row| {
            let people = people.get(&row.order_id);
            public(row, people, mode)
        });
        events.collect()
    }

    async fn people(&self, orders: &[&str]) -> Result<HashMap<String, People>, StoreError> {
        use order::Column as C;
        type Text = Option<String>;
        type Row = (String, Text, Text, Text, Text);
        let rows: Vec<Row> = order::Entity::find()
            .filter(C::ShopId.eq(self.shop.to_string()))
            .filter(C::Id.is_in(orders.iter().copied()))
            .select_only()
            .columns([
                C::Id,
                C::CustomerEmail,
                C::CustomerName,
                C::ShippingAddress,
                C::BillingAddress,
            ])
            .into_tuple()
            .all(&self.store.reader)
            .await?;
        let address = |column, text: Option<String>| match text {
            Some(text) => json::<Value>(column, &text),
            None => Ok(Value::Null),
        };
        let people = rows
            .into_iter()
            .map(|(id, email, name, shipping, billing)| {
                let people = People {
                    customer: serde_json::to_value(Customer { email, name })
                        .map_err(|_| StoreError::Corrupt("a customer".to_owned()))?,
                    shipping: address("order.shipping_address", shipping)?,
                    billing: address("order.billing_address", billing)?,
                };
                Ok((id, people))
            });
        people.collect()
    }
}

/// The people in an order, as its JSON shows them.
struct People {
    customer: Value,
    shipping: Value,
    billing: Value,
}

fn public(row: event::Model, people: Option<&People>, mode: Mode) -> Result<Event, StoreError> {
    let mut object: Value = json("event.data", &row.data)?;
    if object["object"] == "order"
        && let (Some(fields), Some(people)) = (object.as_object_mut(), people)
    {
        fields.insert("customer".to_owned(), people.customer.clone());
        fields.insert("shipping_address".to_owned(), people.shipping.clone());
        fields.insert("billing_address".to_owned(), people.billing.clone());
    }
    let created_at = Timestamp::from_ms(row.created_at);
    Ok(Event {
        id: parse("event.id", &row.id)?,
        object: "event",
        kind: parse("event.type", &row.kind)?,
        created_at,
        timestamp: created_at,
        sequence: row.sequence,
        order_id: parse("event.order_id", &row.order_id)?,
        livemode: mode == Mode::Live,
        data: EventData { object },
    })
}
