//! The search: orders get their terms behind the feed, in short transactions of their own.

use super::{ServiceError, Services};

impl Services {
    /// Whether orders or webhooks wait for the database right now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.store.is_busy()
    }

    /// Indexes the orders of the events that came into the feed. Returns how many events.
    ///
    /// # Errors
    /// The store's.
    pub async fn index_orders(&self) -> Result<u64, ServiceError> {
        let mut indexed: u64 = 0;
        for shop in self.store.shops_with_unindexed_events().await? {
            indexed = indexed.saturating_add(self.store.index_orders(shop).await?);
        }
        Ok(indexed)
    }
}
