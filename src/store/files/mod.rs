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

use super::{ShopStore, StoreError};

/// The numbers of orders, by order id.
struct Numbers(HashMap<String, String>);

impl Numbers {
    fn of(&self, order: &str) -> String {
        self.0.get(order).cloned().unwrap_or_default()
    }
}

impl ShopStore<'_> {
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
