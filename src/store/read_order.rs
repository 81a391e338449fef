//! Reading orders by their ids: those who ask at the same moment are answered by one statement.
//!
//! Who waits for a payment asks for the same order again and again. So the answer is kept with the row it was made
//! of, and as long as the database still has that row, byte for byte, it is given again: neither lines are read nor
//! JSON is written anew. Nothing is ever answered without asking the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::{line_item, order};
use sea_orm::Iterable as _;

use super::batch::Member;
use super::bulk::{self, Wanted, quoted};
use super::rows::to_json;
use super::{Engine, ShopStore, Store, StoreError, orders};
use crate::domain::access::Mode;
use crate::domain::ids::OrderId;

/// The most bytes of answers that are kept.
const KEPT_BYTES: usize = 4 << 20;

/// An order that somebody wants to read.
pub(super) struct ReadOrder {
    shop: String,
    id: String,
    mode: Mode,
}

/// An order as its shop's callers see it, in JSON.
#[derive(Debug)]
pub struct Shown {
    shop: String,
    /// Changes whenever the order's row does.
    version: String,
    /// The JSON object.
    pub json: String,
}

impl Shown {
    fn size(&self) -> usize {
        self.version.len().saturating_add(self.json.len())
    }
}

/// What was answered lately. Two generations: what nobody asked for while one grew is dropped.
#[derive(Default)]
pub(super) struct Known(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<String, Arc<Shown>>,
    old: HashMap<String, Arc<Shown>>,
    /// The size of the young ones, in bytes.
    bytes: usize,
}

impl Known {
    fn get(&self, id: &str) -> Option<Arc<Shown>> {
        let mut all = self.lock();
        if let Some(shown) = all.young.get(id) {
            return Some(Arc::clone(shown));
        }
        let shown = all.old.remove(id)?;
        all.keep(id, Arc::clone(&shown));
        Some(shown)
    }

    fn keep(&self, id: &str, shown: Arc<Shown>) {
        self.lock().keep(id, shown);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn keep(&mut self, id: &str, shown: Arc<Shown>) {
        self.bytes = self.bytes.saturating_add(shown.size());
        if let Some(before) = self.young.insert(id.to_owned(), shown) {
            self.bytes = self.bytes.saturating_sub(before.size());
        }
        if self.bytes > KEPT_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl Member for ReadOrder {
    type Outcome = Option<Arc<Shown>>;

    fn claims(&self) -> Vec<String> {
        Vec::new()
    }

    async fn run(
        store: &Store,
        set: &[Arc<Self>],
        _: Duration,
    ) -> Result<Vec<Self::Outcome>, StoreError> {
        let mut shown: HashMap<&str, Arc<Shown>> = HashMap::new();
        for one in set {
            if let Some(known) = store.shown.get(&one.id) {
                shown.insert(&one.id, known);
            }
        }
        if !shown.is_empty() {
            let versions = versions(store, shown.keys().copied()).await?;
            shown.retain(|id, known| versions.get(*id) == Some(&known.version));
        }
        let unknown = set
            .iter()
            .filter(|one| !shown.contains_key(one.id.as_str()));
        let unknown: Vec<&Arc<Self>> = unknown.collect();
        if !unknown.is_empty() {
            let read = rows(store, unknown.iter().map(|one| one.id.as_str())).await?;
            for one in unknown {
                // Another shop's order is none, and would be shown in that shop's mode.
                let mine = read.get(&one.id).filter(|r| r.order.shop_id == one.shop);
                let Some(rows) = mine.filter(|_| !shown.contains_key(one.id.as_str())) else {
                    continue;
                };
                let fresh = Arc::new(Shown {
                    shop: rows.order.shop_id.clone(),
                    version: rows.version.clone(),
                    json: to_json(&orders::public(&rows.order, &rows.lines, one.mode)?),
                });
                store.shown.keep(&one.id, Arc::clone(&fresh));
                shown.insert(&one.id, fresh);
            }
        }
        let answers = set.iter().map(|one| {
            // Another shop's order is none.
            let mine = |shown: &&Arc<Shown>| shown.shop == one.shop;
            shown.get(one.id.as_str()).filter(mine).cloned()
        });
        Ok(answers.collect())
    }
}

/// An order with its lines, in their order.
pub(super) struct Rows {
    pub order: order::Model,
    pub lines: Vec<line_item::Model>,
    version: String,
}

/// Some orders with their lines, by id, all of one moment.
async fn rows(
    store: &Store,
    ids: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Rows>, StoreError> {
    let engine = store.engine;
    let ids = bulk::list(engine, ids);
    let wanted = |column| (bulk::among(engine, column), vec![ids.clone()]);
    let (orders, lines) = (wanted("id"), wanted("order_id"));
    let version = version(engine);
    let parts = vec![
        Wanted::with::<order::Entity>(&[&version], "o", "\"order\" AS o", orders.0, orders.1),
        Wanted::rows::<line_item::Entity>(lines.0, lines.1),
    ];
    let mut parts = bulk::read(&store.reader, engine, parts).await?.into_iter();
    let (orders, lines) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let mut lines_of: HashMap<String, Vec<line_item::Model>> = HashMap::new();
    for line in lines {
        let line = line.model::<line_item::Entity>()?;
        lines_of
            .entry(line.order_id.clone())
            .or_default()
            .push(line);
    }
    let mut found = HashMap::new();
    for row in orders {
        let version = row.text(0)?.to_owned();
        let order = row.behind(1).model::<order::Entity>()?;
        let mut lines = lines_of.remove(&order.id).unwrap_or_default();
        lines.sort_by_key(|line| line.position);
        let rows = Rows {
            version,
            lines,
            order,
        };
        found.insert(rows.order.id.clone(), rows);
    }
    Ok(found)
}

/// What the rows of some orders are now.
async fn versions(
    store: &Store,
    ids: impl Iterator<Item = &str>,
) -> Result<HashMap<String, String>, StoreError> {
    let engine = store.engine;
    let condition = bulk::among(engine, "id");
    let columns = ["id", &version(engine)];
    let part = Wanted::columns(
        &columns,
        "\"order\"",
        condition,
        vec![bulk::list(engine, ids)],
    );
    let rows = bulk::read(&store.reader, engine, vec![part]).await?.pop();
    rows.unwrap_or_default()
        .iter()
        .map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
        .collect()
}

/// An order's version. PostgreSQL says which transaction wrote a row; a standby that became the primary
/// may count transactions anew that it had not heard of, so there is more. SQLite has nothing of the kind, so
/// there it is all that can change; an order's lines never do, in what is shown of them.
fn version(engine: Engine) -> String {
    use order::Column as C;
    match engine {
        Engine::Postgres => "concat(xmin, '/', event_seq, '/', updated_at)".to_owned(),
        Engine::Sqlite => {
            let changing = C::iter().filter(|column| {
                !matches!(
                    column,
                    C::Id
                        | C::ShopId
                        | C::Number
                        | C::Reference
                        | C::Currency
                        | C::TaxIncluded
                        | C::SubtotalMinor
                        | C::DiscountMinor
                        | C::ShippingMinor
                        | C::TaxMinor
                        | C::TotalMinor
                        | C::TokenKey
                        | C::RequestId
                        | C::Actor
                        | C::CreatedAt
                )
            });
            let names: Vec<String> = changing.map(|column| quoted(&column)).collect();
            // A text, not a list within the list that a row is read as.
            format!("json_array({}) || ''", names.join(", "))
        }
    }
}

impl ShopStore<'_> {
    /// An order of this shop as its callers see it.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_shown(
        &self,
        id: OrderId,
        mode: Mode,
    ) -> Result<Option<Arc<Shown>>, StoreError> {
        let wanted = ReadOrder {
            shop: self.shop.to_string(),
            id: id.to_string(),
            mode,
        };
        self.store.reads.submit(self.store, wanted).await
    }

    /// An order of this shop with its lines.
    pub(super) async fn order_rows(&self, id: OrderId) -> Result<Option<Rows>, StoreError> {
        let id = id.to_string();
        let found = rows(self.store, std::iter::once(id.as_str())).await?;
        let shop = self.shop.to_string();
        Ok(found
            .into_values()
            .next()
            .filter(|rows| rows.order.shop_id == shop))
    }
}
