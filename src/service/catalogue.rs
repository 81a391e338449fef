//! The catalogue: what a shop sells.

use super::ServiceError;
use crate::domain::ids::ShopId;
use crate::store::Store;
use crate::store::catalogue::NewProduct;

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
        .write(|tx| async move {
            for product in products {
                tx.shop(shop).put_product(product).await?;
            }
            Ok(())
        })
        .await
}
