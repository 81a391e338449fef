//! What this process knows of the prices of each shop, with the version of the catalogue they were read from.
//!
//! Whoever changes a catalogue changes its version in the same transaction, and whoever uses a price checks the
//! version when the order is inserted. So a price that is known may be old, but never makes an order; whoever refuses one
//! for it reads it again first.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::ConnectionTrait;

use super::rows::sql;
use super::{Engine, Store, StoreError, Tx, bulk};
use crate::domain::catalogue::{PriceList, PricedProduct};
use crate::domain::currency::Currency;
use crate::domain::ids::ShopId;
use crate::domain::money::Money;
use crate::domain::pricing::WantedLine;

/// The most shops whose prices are known.
const MAX_SHOPS: usize = 1_000;
/// The most prices that are known of one shop.
const MAX_PRICES: usize = 10_000;
/// The most that are known of all shops together: some ten megabytes.
const MAX_IN_ALL: usize = 50_000;

/// Prices, and the version of the catalogue they are of; none when none were asked for.
pub(super) struct Priced {
    pub list: PriceList,
    pub catalogue: Option<i64>,
    /// Whether they are remembered, and may be old.
    pub remembered: bool,
}

impl Priced {
    fn read(version: i64, products: Vec<PricedProduct>) -> Priced {
        Priced {
            list: PriceList::new(products),
            catalogue: Some(version),
            remembered: false,
        }
    }
}

/// The prices that are known of each shop.
#[derive(Default)]
pub(super) struct KnownPrices(Mutex<HashMap<ShopId, Known>>);

#[derive(Default)]
struct Known {
    version: i64,
    products: HashMap<(Currency, String), PricedProduct>,
}

impl KnownPrices {
    /// All that are wanted, if all are known.
    fn all(&self, shop: ShopId, currency: Currency, skus: &BTreeSet<&str>) -> Option<Priced> {
        let shops = self.lock();
        let known = shops.get(&shop)?;
        let found = skus.iter().map(|sku| {
            let product = known.products.get(&(currency, (*sku).to_owned()));
            product.cloned()
        });
        Some(Priced {
            list: PriceList::new(found.collect::<Option<Vec<_>>>()?),
            catalogue: Some(known.version),
            remembered: true,
        })
    }

    fn keep(&self, shop: ShopId, version: i64, products: &[PricedProduct]) {
        let mut shops = self.lock();
        let all: usize = shops.values().map(|known| known.products.len()).sum();
        let one_more = shops.len() >= MAX_SHOPS && !shops.contains_key(&shop);
        if one_more || all.saturating_add(products.len()) > MAX_IN_ALL {
            shops.clear();
        }
        let known = shops.entry(shop).or_default();
        if known.version > version {
            return;
        }
        if known.version < version || known.products.len() >= MAX_PRICES {
            known.products.clear();
        }
        known.version = version;
        for product in products {
            let of = (product.unit_price.currency(), product.sku.clone());
            known.products.insert(of, product.clone());
        }
    }

    /// Forgets a shop's prices: its catalogue has changed.
    pub fn forget(&self, shop: ShopId) {
        self.lock().remove(&shop);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShopId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The prices of the lines that name a SKU; a SKU that is not sold in this currency has none.
    pub(super) async fn prices(
        &self,
        shop: ShopId,
        currency: Currency,
        lines: &[WantedLine],
    ) -> Result<Priced, StoreError> {
        let skus = skus_of(lines);
        if skus.is_empty() {
            return Ok(Priced {
                list: PriceList::default(),
                catalogue: None,
                remembered: false,
            });
        }
        if let Some(known) = self.known_prices.all(shop, currency, &skus) {
            return Ok(known);
        }
        self.prices_now(shop, currency, lines).await
    }

    /// [`Store::prices`] as the catalogue has them, whatever is remembered.
    pub(super) async fn prices_now(
        &self,
        shop: ShopId,
        currency: Currency,
        lines: &[WantedLine],
    ) -> Result<Priced, StoreError> {
        let skus = skus_of(lines);
        let (version, products) =
            read_prices(&self.reader, self.engine, shop, currency, skus).await?;
        self.known_prices.keep(shop, version, &products);
        Ok(Priced::read(version, products))
    }

    /// [`Store::prices`] as they are in a transaction, in which they stay as they are: nobody changes the shop's catalogue
    /// before it ends. On PostgreSQL whoever changes one waits for its row, on SQLite for the transaction.
    pub(super) async fn prices_held(
        &self,
        tx: &Tx,
        shop: ShopId,
        currency: Currency,
        lines: &[WantedLine],
    ) -> Result<Priced, StoreError> {
        if tx.engine == Engine::Postgres {
            let text = "SELECT id FROM shop WHERE id = ? FOR SHARE";
            let lock = sql(tx.engine, text, [shop.to_string().into()]);
            tx.conn().query_one_raw(lock).await?;
        }
        let skus = skus_of(lines);
        let (version, products) = read_prices(tx.conn(), tx.engine, shop, currency, skus).await?;
        Ok(Priced::read(version, products))
    }
}

/// The SKUs that lines name.
fn skus_of(lines: &[WantedLine]) -> BTreeSet<&str> {
    let skus = lines.iter().filter_map(|line| match line {
        WantedLine::Sku { sku, .. } => Some(sku.as_str()),
        WantedLine::Inline { .. } => None,
    });
    skus.collect()
}

/// A catalogue's version and prices of it, in one statement, so that they are of one moment.
async fn read_prices<C: ConnectionTrait>(
    connection: &C,
    engine: Engine,
    shop: ShopId,
    currency: Currency,
    skus: BTreeSet<&str>,
) -> Result<(i64, Vec<PricedProduct>), StoreError> {
    let text = format!(
        "SELECT s.catalogue_version, p.sku, p.name, c.amount_minor FROM shop s \
         LEFT JOIN (product p JOIN price c ON c.product_id = p.id AND c.currency = ?) \
         ON p.shop_id = s.id AND p.active AND {} WHERE s.id = ?",
        bulk::among(engine, "p.sku")
    );
    let values = [
        currency.code().into(),
        bulk::list(engine, skus.into_iter()),
        shop.to_string().into(),
    ];
    let rows = connection.query_all_raw(sql(engine, &text, values)).await?;
    let mut version = None;
    let mut products = Vec::with_capacity(rows.len());
    for row in rows {
        version = Some(row.try_get_by_index::<i64>(0)?);
        let Some(sku) = row.try_get_by_index::<Option<String>>(1)? else {
            continue;
        };
        products.push(PricedProduct {
            sku,
            name: row.try_get_by_index(2)?,
            unit_price: Money::new(row.try_get_by_index(3)?, currency),
        });
    }
    let version = version.ok_or_else(|| StoreError::Corrupt("the shop is gone".to_owned()))?;
    Ok((version, products))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn what_is_known_of_prices_has_an_end() {
        let (known, clock) = (KnownPrices::default(), Clock::system());
        let euros = Currency::from_code("EUR").expect("euros");
        let product = |number: usize| PricedProduct {
            sku: format!("sku-{number}"),
            name: String::new(),
            unit_price: Money::new(100, euros),
        };
        let all = |known: &KnownPrices| -> usize {
            let shops = known.lock();
            shops.values().map(|shop| shop.products.len()).sum()
        };
        let one: ShopId = clock.id();
        for number in 0..=MAX_PRICES {
            known.keep(one, 1, &[product(number)]);
        }
        assert_eq!(all(&known), 1, "of one shop");
        let many: Vec<PricedProduct> = (0..MAX_PRICES).map(product).collect();
        for _ in 0..MAX_IN_ALL.div_ceil(MAX_PRICES) {
            known.keep(clock.id(), 1, &many);
            assert!(all(&known) <= MAX_IN_ALL);
        }
        for _ in 0..=MAX_SHOPS {
            known.keep(clock.id(), 1, &[product(0)]);
        }
        assert!(known.lock().len() <= MAX_SHOPS);
    }
}
