//! What staff look through: a shop's payments, refunds, calls and events of the provider, by what they stand for.
//!
//! Each list walks an index, newest first. A filter that no index serves is looked for among the nearest rows only,
//! and the page says where the search stopped. What belongs to a page is read at once, never row by row.

mod calls;
mod inbox;
mod payments;
mod refunds;

use std::collections::HashMap;

use entity::order;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::rows::parse;
use super::{ShopStore, StoreError};
use crate::domain::ids::OrderId;

/// The numbers of orders, by order id.
struct Numbers(HashMap<String, String>);

impl Numbers {
    fn of(&self, order: &str) -> String {
        self.0.get(order).cloned().unwrap_or_default()
    }
}

impl ShopStore<'_> {
    /// The id of the shop's order with this number.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_numbered(&self, number: i64) -> Result<Option<OrderId>, StoreError> {
        let id: Option<String> = order::Entity::find()
            .filter(order::Column::ShopId.eq(self.shop.to_string()))
            .filter(order::Column::Number.eq(number))
            .select_only()
            .column(order::Column::Id)
            .into_tuple()
            .one(&self.store.reader)
            .await?;
        id.map(|id| parse("order.id", &id)).transpose()
    }

    /// The numbers of some of the shop's orders, read at once.
    async fn numbers<'o>(
        &self,
        orders: impl Iterator<Item = &'o String>,
    ) -> Result<Numbers, StoreError> {
        let mut ids: Vec<&String> = orders.collect();
        ids.sort();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Numbers(HashMap::new()));
        }
        let rows: Vec<(String, i64)> = order::Entity::find()
            .filter(order::Column::Id.is_in(ids))
            .filter(order::Column::ShopId.eq(self.shop.to_string()))
            .select_only()
            .columns([order::Column::Id, order::Column::Number])
            .into_tuple()
            .all(&self.store.reader)
            .await?;
        let numbers = rows.into_iter();
        let numbers = numbers.map(|(id, number)| (id, number.to_string()));
        Ok(Numbers(numbers.collect()))
    }
}
