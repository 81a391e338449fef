//! Checking what must always hold: all of it for a tool, the cheap part for a health probe.

use super::{ServiceError, Services};
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

impl Services {
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
