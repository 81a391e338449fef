//! Reading orders by their ids: those who ask at the same moment are answered by one statement.

use std::collections::HashMap;
use std::sync::Arc;

use entity::{line_item, order};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, QueryFilter, QueryOrder};

use super::batch::Member;
use super::{Engine, ShopStore, Store, StoreError, bulk};
use crate::domain::ids::OrderId;

/// An order that somebody wants to read.
pub(super) struct ReadOrder {
    shop: String,
    id: String,
}

/// An order with its lines.
pub(super) type Found = Option<Arc<(order::Model, Vec<line_item::Model>)>>;

impl Member for ReadOrder {
    type Outcome = Found;

    fn claims(&self) -> Vec<String> {
        Vec::new()
    }

    async fn run(store: &Store, set: &[Arc<Self>]) -> Result<Vec<Found>, StoreError> {
        let among = bulk::among(store.engine, "\"order\".\"id\"");
        let among = match store.engine {
            Engine::Sqlite => among,
            Engine::Postgres => among.replace('?', "$1"),
        };
        let ids = bulk::list(store.engine, set.iter().map(|one| one.id.as_str()));
        let rows = order::Entity::find()
            .filter(Expr::cust_with_values(among, [ids]))
            .find_with_related(line_item::Entity)
            .order_by_asc(line_item::Column::Position)
            .all(&store.reader)
            .await?;
        let found: HashMap<String, Found> = rows
            .into_iter()
            .map(|(row, lines)| (row.id.clone(), Some(Arc::new((row, lines)))))
            .collect();
        let answers = set.iter().map(|one| {
            let row = found.get(&one.id).cloned().flatten();
            // Another shop's order is none.
            row.filter(|row| row.0.shop_id == one.shop)
        });
        Ok(answers.collect())
    }
}

impl ShopStore<'_> {
    /// An order of this shop with its lines, in their order.
    pub(super) async fn order_rows(&self, id: OrderId) -> Result<Found, StoreError> {
        let wanted = ReadOrder {
            shop: self.shop.to_string(),
            id: id.to_string(),
        };
        self.store.reads.submit(self.store, wanted).await
    }
}
