//! Checking what must always hold: all of it for a tool, the cheap part for a health probe.

use super::{ServiceError, Services};
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::verify::Report;
use crate::store::Store;
use crate::store::verify::QuickCounts;

/// For how long a probe is answered with what the last one found, in milliseconds: anybody may ask.
const HOLD_MS: i64 = 5_000;

/// What the last probe found, and when, in epoch milliseconds.
#[derive(Debug, Default)]
pub struct LastProbe(tokio::sync::Mutex<Option<(i64, QuickCounts)>>);

/// Checks every invariant of a whole database, which may be another process's.
///
/// # Errors
/// The store's.
pub async fn verify(store: &Store) -> Result<Report, ServiceError> {
    Ok(store.verify().await?)
}

/// How many orders staff check at once: it takes a moment, not minutes.
pub const ORDERS_CHECKED_AT_ONCE: u64 = 2_000;

impl Services {
    /// Checks a shop's books and [`ORDERS_CHECKED_AT_ONCE`] of its orders, the newest before `before`. Also returns where
    /// to go on with older ones.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify_shop(
        &self,
        shop: ShopId,
        before: Option<OrderId>,
    ) -> Result<(Report, Option<OrderId>), ServiceError> {
        let checked = self.store.verify_back(shop, before, ORDERS_CHECKED_AT_ONCE);
        Ok(checked.await?)
    }

    /// How many rows each of the cheap checks found.
    ///
    /// # Errors
    /// The store's.
    pub async fn probe(&self) -> Result<QuickCounts, ServiceError> {
        // Those who ask meanwhile wait for the one who counts, and then share what was counted.
        let mut last = self.last_probe.0.lock().await;
        let now = self.clock.now().ms();
        if let Some((at, counts)) = last.as_ref()
            && (0..HOLD_MS).contains(&now.saturating_sub(*at))
        {
            return Ok(counts.clone());
        }
        *last = None;
        let counts = self.store.verify_quickly().await?;
        *last = Some((now, counts.clone()));
        Ok(counts)
    }
}
