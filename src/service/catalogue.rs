//! The catalogue: what a shop sells.

use super::{Caller, ServiceError, Services};
use crate::domain::access::KeyKind;
use crate::domain::catalogue::{Coverage, Imported, NewProduct, Product};
use crate::domain::ids::{ProductId, ShopId};
use crate::domain::page::{List, Page};
use crate::store::Store;
pub use crate::store::catalogue::PutProduct;

/// Creates or replaces products, all or none.
///
/// # Errors
/// The store's.
pub async fn put_products(
    store: &Store,
    shop: ShopId,
    products: &[NewProduct],
) -> Result<(), ServiceError> {
    store
        .write(|tx| async move { Ok(tx.shop(shop).put_products(products).await?) })
        .await
}

/// Imports the products of a file, all or none: what is new is created, what differs is changed. No SKU may be
/// there twice. A dry run only looks.
///
/// # Errors
/// The store's.
pub async fn import(
    store: &Store,
    shop: ShopId,
    products: &[NewProduct],
    coverage: Coverage,
    dry_run: bool,
) -> Result<Imported, ServiceError> {
    store
        .write(|tx| async move {
            let shop = tx.shop(shop);
            let mut skus: Vec<&str> = products.iter().map(|wanted| wanted.sku.as_str()).collect();
            skus.sort_unstable();
            let known = shop.stored_products(&skus).await?;
            let mut outcome = Imported::default();
            let mut puts = Vec::new();
            for wanted in products {
                let Some(known) = known.get(&wanted.sku) else {
                    outcome.created.push(wanted.sku.clone());
                    puts.push(wanted.clone());
                    continue;
                };
                let merged = coverage.merge(wanted, known);
                if merged == *known {
                    outcome.unchanged = outcome.unchanged.saturating_add(1);
                } else {
                    outcome.changed.push(wanted.sku.clone());
                    puts.push(merged);
                }
            }
            if !dry_run {
                shop.put_products(&puts).await?;
            }
            Ok(outcome)
        })
        .await
}

impl Services {
    /// Creates or replaces a product of the caller's shop.
    ///
    /// # Errors
    /// The store's.
    pub async fn put_product(
        &self,
        caller: &Caller,
        wanted: &NewProduct,
    ) -> Result<PutProduct, ServiceError> {
        let shop = caller.shop;
        self.store
            .write(|tx| async move { Ok(tx.shop(shop).put_product(wanted).await?) })
            .await
    }

    /// A product. A browser sees what is sold: with a publishable key an inactive one is as good as absent.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or not the caller's to see.
    pub async fn product(&self, caller: &Caller, sku: &str) -> Result<Product, ServiceError> {
        let product = self.store.shop(caller.shop).product(sku).await?;
        product
            .filter(|product| product.active || caller.kind == KeyKind::Secret)
            .ok_or(ServiceError::NotFound)
    }

    /// A page of products, newest first; of the active ones with a publishable key.
    ///
    /// # Errors
    /// The store's.
    pub async fn products(
        &self,
        caller: &Caller,
        page: &Page<ProductId>,
    ) -> Result<List<Product>, ServiceError> {
        let only_active = caller.kind == KeyKind::Publishable;
        let shop = self.store.shop(caller.shop);
        let (products, has_more) = shop.products(page, only_active).await?;
        Ok(List::new("/v1/products", products, has_more))
    }
}
