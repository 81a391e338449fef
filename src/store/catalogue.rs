//! Products and prices.

use entity::{price, product};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Value};

use super::rows::{money, sql};
use super::{ShopTx, StoreError};
use crate::domain::catalogue::{PriceList, PricedProduct};
use crate::domain::currency::Currency;
use crate::domain::ids::{PriceId, ProductId};
use crate::domain::money::Money;

/// A product to be stored under its SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProduct {
    /// The SKU.
    pub sku: String,
    /// What a line says.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// Its prices, at most one a currency.
    pub prices: Vec<Money>,
}

impl ShopTx {
    /// The active products with these SKUs that have a price in a currency.
    pub(super) async fn prices(
        &self,
        skus: &[String],
        currency: Currency,
    ) -> Result<PriceList, StoreError> {
        if skus.is_empty() {
            return Ok(PriceList::default());
        }
        let marks = vec!["?"; skus.len()].join(", ");
        let text = format!(
            "SELECT p.sku, p.name, c.amount_minor FROM product p JOIN price c ON c.product_id = p.id \
             WHERE p.shop_id = ? AND p.active AND c.currency = ? AND p.sku IN ({marks})"
        );
        let mut values: Vec<Value> = vec![self.shop.to_string().into(), currency.code().into()];
        values.extend(skus.iter().map(|sku| Value::from(sku.as_str())));
        let rows = self
            .tx
            .conn()
            .query_all_raw(sql(self.tx.engine, &text, values))
            .await?;
        let mut products = Vec::with_capacity(rows.len());
        for row in rows {
            products.push(PricedProduct {
                sku: row.try_get_by_index(0)?,
                name: row.try_get_by_index(1)?,
                unit_price: money(row.try_get_by_index(2)?, currency.code())?,
            });
        }
        Ok(PriceList::new(products))
    }

    /// Creates or replaces a product with its prices.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_product(&self, wanted: &NewProduct) -> Result<(), StoreError> {
        let (shop, now) = (self.shop.to_string(), self.tx.clock.now().ms());
        let fresh: ProductId = self.tx.clock.id();
        let row = product::ActiveModel {
            id: Set(fresh.to_string()),
            shop_id: Set(shop.clone()),
            sku: Set(wanted.sku.clone()),
            name: Set(wanted.name.clone()),
            description: Set(wanted.description.clone()),
            tax_category: Set("standard".to_owned()),
            active: Set(true),
            on_hand: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
        };
        product::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([product::Column::ShopId, product::Column::Sku])
                    .update_columns([
                        product::Column::Name,
                        product::Column::Description,
                        product::Column::Active,
                        product::Column::UpdatedAt,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(self.tx.conn())
            .await?;
        let stored = product::Entity::find()
            .filter(product::Column::ShopId.eq(&shop))
            .filter(product::Column::Sku.eq(&wanted.sku))
            .one(self.tx.conn())
            .await?
            .ok_or_else(|| StoreError::Corrupt("a product that was just stored".to_owned()))?;
        price::Entity::delete_many()
            .filter(price::Column::ProductId.eq(&stored.id))
            .exec(self.tx.conn())
            .await?;
        let prices = wanted.prices.iter().map(|amount| price::ActiveModel {
            id: Set(self.tx.clock.id::<PriceId>().to_string()),
            shop_id: Set(shop.clone()),
            product_id: Set(stored.id.clone()),
            currency: Set(amount.currency().code().to_owned()),
            amount_minor: Set(amount.minor()),
            created_at: Set(now),
        });
        price::Entity::insert_many(prices)
            .exec_without_returning(self.tx.conn())
            .await?;
        Ok(())
    }
}
