//! Products and prices.

use std::collections::HashMap;

use entity::{price, product};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::paging::page_of;
use super::rows::{money, parse, sql};
use super::{Engine, ShopStore, ShopTx, StoreError};
pub use crate::domain::catalogue::NewProduct;
use crate::domain::catalogue::{Product, Stock};
use crate::domain::ids::{PriceId, ProductId};
use crate::domain::money::Money;
use crate::domain::page::Page;
use crate::domain::time::Timestamp;

/// Rows a statement reads or writes: far below either engine's limit on values.
const BATCH: usize = 500;

/// What putting a product did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutProduct {
    /// The product as it is now.
    pub product: Product,
    /// Whether there was none with this SKU.
    pub created: bool,
}

impl ShopTx {
    /// The products with these SKUs as they are stored, locked for the rest of the transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn stored_products(
        &self,
        skus: &[&str],
    ) -> Result<HashMap<String, NewProduct>, StoreError> {
        let mut stored = HashMap::with_capacity(skus.len());
        for batch in skus.chunks(BATCH) {
            for (row, known) in self.locked(batch).await? {
                stored.insert(row.sku, known);
            }
        }
        Ok(stored)
    }

    /// Products as they are stored, each locked, with their rows.
    async fn locked(&self, skus: &[&str]) -> Result<Vec<(product::Model, NewProduct)>, StoreError> {
        let query = product::Entity::find()
            .filter(product::Column::ShopId.eq(self.shop.to_string()))
            .filter(product::Column::Sku.is_in(skus.iter().copied()))
            .order_by_asc(product::Column::Sku);
        let query = match self.tx.engine {
            // The write transaction is the lock.
            Engine::Sqlite => query,
            Engine::Postgres => query.lock(LockType::NoKeyUpdate),
        };
        let rows = query.all(self.tx.conn()).await?;
        let mut prices = prices_of(self.tx.conn(), &rows).await?;
        let known = rows.into_iter().map(|row| {
            let known = NewProduct {
                prices: prices.remove(&row.id).unwrap_or_default(),
                sku: row.sku.clone(),
                name: row.name.clone(),
                description: row.description.clone(),
                tax_category: row.tax_category.clone(),
                active: row.active,
                on_hand: row.on_hand,
            };
            (row, known)
        });
        Ok(known.collect())
    }

    /// Creates or replaces products with their prices. No SKU may be there twice.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_products(&self, wanted: &[NewProduct]) -> Result<(), StoreError> {
        // Ids follow the order given, which is the order lists show them in.
        let mut sorted: Vec<_> = wanted
            .iter()
            .map(|wanted| (wanted, self.tx.clock.id::<ProductId>().to_string()))
            .collect();
        // Two writers that take the rows in one order wait for each other instead of colliding.
        sorted.sort_by(|(a, _), (b, _)| a.sku.cmp(&b.sku));
        for batch in sorted.chunks(BATCH) {
            self.put_batch(batch).await?;
        }
        match sorted.is_empty() {
            true => Ok(()),
            false => self.change_catalogue().await,
        }
    }

    /// Creates or replaces one product with its prices. One that is the same already is left as it is.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_product(&self, wanted: &NewProduct) -> Result<PutProduct, StoreError> {
        let prices = wanted.prices.clone();
        let known = self.locked(&[&wanted.sku]).await?.pop();
        // One that is not there may be put by somebody else in this moment: then this is a change.
        let sold_as_before = match known {
            Some((row, known)) if known == *wanted => {
                return Ok(PutProduct {
                    product: public(row, prices)?,
                    created: false,
                });
            }
            Some((_, known)) => known.sells_as(wanted),
            None => false,
        };
        let fresh = self.tx.clock.id::<ProductId>().to_string();
        let mut put = self.put_batch(&[(wanted, fresh)]).await?;
        let (row, created) = put.pop().ok_or_else(vanished)?;
        if !sold_as_before {
            self.change_catalogue().await?;
        }
        Ok(PutProduct {
            product: public(row, prices)?,
            created,
        })
    }

    /// Makes the catalogue another one, so that orders that were priced before are priced anew.
    ///
    /// This comes last: from here to the commit the shop's row is locked, and others need it for order numbers and for
    /// the feed. It is as good as first, since products and version are seen together, from the commit on: by an order's
    /// statement on PostgreSQL both or neither, and on SQLite an order is inserted before all of it or after. Of two that
    /// change one catalogue the second waits here, and counts on from the first. Both have locked products then;
    /// nobody who has locked a shop's row locks products.
    async fn change_catalogue(&self) -> Result<(), StoreError> {
        let text = "UPDATE shop SET catalogue_version = catalogue_version + 1 WHERE id = ?";
        let values = [self.shop.to_string().into()];
        let statement = sql(self.tx.engine, text, values);
        self.tx.conn().execute_raw(statement).await?;
        Ok(())
    }

    /// Stores products, each under its fresh id when its SKU is new. Returns each row, and whether it is new.
    async fn put_batch(
        &self,
        wanted: &[(&NewProduct, String)],
    ) -> Result<Vec<(product::Model, bool)>, StoreError> {
        let (shop, now) = (self.shop.to_string(), self.tx.clock.now().ms());
        let rows = wanted.iter().map(|(wanted, id)| product::ActiveModel {
            id: Set(id.clone()),
            shop_id: Set(shop.clone()),
            sku: Set(wanted.sku.clone()),
            name: Set(wanted.name.clone()),
            description: Set(wanted.description.clone()),
            tax_category: Set(wanted.tax_category.clone()),
            active: Set(wanted.active),
            on_hand: Set(wanted.on_hand),
            created_at: Set(now),
            updated_at: Set(now),
        });
        product::Entity::insert_many(rows)
            .on_conflict(
                OnConflict::columns([product::Column::ShopId, product::Column::Sku])
                    .update_columns([
                        product::Column::Name,
                        product::Column::Description,
                        product::Column::TaxCategory,
                        product::Column::Active,
                        product::Column::OnHand,
                        product::Column::UpdatedAt,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(self.tx.conn())
            .await?;
        let stored = product::Entity::find()
            .filter(product::Column::ShopId.eq(&shop))
            .filter(
                product::Column::Sku.is_in(wanted.iter().map(|(wanted, _)| wanted.sku.as_str())),
            )
            .all(self.tx.conn())
            .await?;
        let mut stored: HashMap<String, product::Model> = stored
            .into_iter()
            .map(|row| (row.sku.clone(), row))
            .collect();
        price::Entity::delete_many()
            .filter(price::Column::ProductId.is_in(stored.values().map(|row| row.id.as_str())))
            .exec(self.tx.conn())
            .await?;
        let mut prices = Vec::new();
        let mut put = Vec::with_capacity(wanted.len());
        for (wanted, fresh) in wanted {
            let row = stored.remove(&wanted.sku).ok_or_else(vanished)?;
            for amount in &wanted.prices {
                prices.push(price::ActiveModel {
                    id: Set(self.tx.clock.id::<PriceId>().to_string()),
                    shop_id: Set(shop.clone()),
                    product_id: Set(row.id.clone()),
                    currency: Set(amount.currency().code().to_owned()),
                    amount_minor: Set(amount.minor()),
                    created_at: Set(now),
                });
            }
            let created = row.id == *fresh;
            put.push((row, created));
        }
        for batch in prices.chunks(BATCH) {
            price::Entity::insert_many(batch.iter().cloned())
                .exec_without_returning(self.tx.conn())
                .await?;
        }
        Ok(put)
    }
}

impl ShopStore<'_> {
    /// The product with this SKU.
    ///
    /// # Errors
    /// The database's.
    pub async fn product(&self, sku: &str) -> Result<Option<Product>, StoreError> {
        let rows = product::Entity::find()
            .filter(product::Column::ShopId.eq(self.shop.to_string()))
            .filter(product::Column::Sku.eq(sku))
            .all(&self.store.reader)
            .await?;
        Ok(self.with_prices(rows).await?.pop())
    }

    /// A page of products, newest first, and whether there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn products(
        &self,
        page: &Page<ProductId>,
        only_active: bool,
    ) -> Result<(Vec<Product>, bool), StoreError> {
        let mut query =
            product::Entity::find().filter(product::Column::ShopId.eq(self.shop.to_string()));
        if only_active {
            query = query.filter(product::Column::Active.eq(true));
        }
        let (rows, has_more) =
            page_of(&self.store.reader, query, product::Column::Id, page).await?;
        Ok((self.with_prices(rows).await?, has_more))
    }

    async fn with_prices(&self, rows: Vec<product::Model>) -> Result<Vec<Product>, StoreError> {
        let mut prices = prices_of(&self.store.reader, &rows).await?;
        rows.into_iter()
            .map(|row| {
                let prices = prices.remove(&row.id).unwrap_or_default();
                public(row, prices)
            })
            .collect()
    }
}

/// The prices of these products, each product's sorted by currency.
async fn prices_of<C: ConnectionTrait>(
    connection: &C,
    products: &[product::Model],
) -> Result<HashMap<String, Vec<Money>>, StoreError> {
    let mut prices: HashMap<String, Vec<Money>> = HashMap::with_capacity(products.len());
    if products.is_empty() {
        return Ok(prices);
    }
    let rows = price::Entity::find()
        .filter(price::Column::ProductId.is_in(products.iter().map(|row| row.id.as_str())))
        .order_by_asc(price::Column::Currency)
        .all(connection)
        .await?;
    for row in rows {
        let amount = money(row.amount_minor, &row.currency)?;
        prices.entry(row.product_id).or_default().push(amount);
    }
    Ok(prices)
}

fn public(row: product::Model, prices: Vec<Money>) -> Result<Product, StoreError> {
    Ok(Product {
        id: parse("product.id", &row.id)?,
        object: "product",
        sku: row.sku,
        name: row.name,
        description: row.description,
        prices: prices
            .into_iter()
            .map(|amount| (amount.currency(), amount))
            .collect(),
        tax_category: row.tax_category,
        active: row.active,
        stock: row.on_hand.map(|on_hand| Stock { on_hand }),
        created_at: Timestamp::from_ms(row.created_at),
    })
}

fn vanished() -> StoreError {
    StoreError::Corrupt("a product that was just stored is not there".to_owned())
}
