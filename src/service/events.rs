//! The feed: events get their place in their shop's feed in short transactions of their own, so that a reader
//! of positions never passes one that commits late.

use super::{ServiceError, Services};

impl Services {
    /// Places the events that have no position yet. Returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn place_events(&self) -> Result<u64, ServiceError> {
        let mut placed: u64 = 0;
        for shop in self.store.shops_with_unplaced_events().await? {
            placed = placed.saturating_add(self.store.place_events(shop).await?);
        }
        Ok(placed)
    }
}
