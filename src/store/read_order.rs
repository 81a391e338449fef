//! Reading orders by their ids: those who ask at the same moment are answered by one statement.

use std::collections::HashMap;
use std::sync::Arc;

use entity::{line_item, order};

use super::batch::Member;
use super::bulk::Wanted;
use super::{ShopStore, Store, StoreError, bulk};
use crate::domain::ids::OrderId;

/// An order that somebody wants to read.
pub(super) struct ReadOrder {
    shop: String,
    id: String,
}

/// An order with its lines.
type Rows = (order::Model, Vec<line_item::Model>);
/// An order of the shop that asked, if there is one.
pub(super) type Found = Option<Arc<Rows>>;

impl Member for ReadOrder {
    type Outcome = Found;

    fn claims(&self) -> Vec<String> {
        Vec::new()
    }

    async fn run(store: &Store, set: &[Arc<Self>]) -> Result<Vec<Found>, StoreError> {
        let engine = store.engine;
        let ids = bulk::list(engine, set.iter().map(|one| one.id.as_str()));
        let wanted = |column| (bulk::among(engine, column), vec![ids.clone()]);
        let (orders, lines) = (wanted("id"), wanted("order_id"));
        let parts = vec![
            Wanted::rows::<order::Entity>(orders.0, orders.1),
            Wanted::rows::<line_item::Entity>(lines.0, lines.1),
        ];
        let mut parts = bulk::read(&store.reader, engine, parts).await?.into_iter();
        let mut next = || parts.next().unwrap_or_default();
        let (orders, lines) = (next(), next());
        let mut lines_of: HashMap<String, Vec<line_item::Model>> = HashMap::new();
        for line in lines {
            let line = line.model::<line_item::Entity>()?;
            lines_of
                .entry(line.order_id.clone())
                .or_default()
                .push(line);
        }
        let mut found: HashMap<String, Arc<Rows>> = HashMap::new();
        for row in orders {
            let row = row.model::<order::Entity>()?;
            let mut lines = lines_of.remove(&row.id).unwrap_or_default();
            lines.sort_by_key(|line| line.position);
            found.insert(row.id.clone(), Arc::new((row, lines)));
        }
        let answers = set.iter().map(|one| {
            // Another shop's order is none.
            let mine = |rows: &&Arc<Rows>| rows.0.shop_id == one.shop;
            found.get(&one.id).filter(mine).cloned()
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
