//! The clock: what time it is for this process, and the ids that carry it. Injected everywhere, never global.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{ContextV7, Uuid};

use crate::domain::ids::Id;
use crate::domain::time::Timestamp;

/// The process's clock. Clones share one offset, by which tests and demos turn time.
#[derive(Clone)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
    // How far this machine's time is off, for tests: nothing that several machines judge may depend on it.
    wrong_ms: i64,
    // Keeps ids made within one millisecond in the order they were made.
    ids: Arc<std::sync::Mutex<ContextV7>>,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock")
            .field("offset_ms", &self.offset_ms())
            .finish_non_exhaustive()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::system()
    }
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Clock {
            offset_ms: Arc::new(AtomicI64::new(0)),
            wrong_ms: 0,
            ids: Arc::new(std::sync::Mutex::new(ContextV7::new())),
        }
    }

    /// The clock of another machine, whose time is off by `wrong_ms` milliseconds. It is turned with this one.
    #[must_use]
    pub fn wrong_by(&self, wrong_ms: i64) -> Self {
        Clock {
            offset_ms: Arc::clone(&self.offset_ms),
            wrong_ms,
            ids: Arc::new(std::sync::Mutex::new(ContextV7::new())),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_ms(ms).plus_ms(self.skew_ms())
    }

    /// How far this clock has been turned from the system's, in milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// How far this clock differs from the machine's, in milliseconds.
    #[must_use]
    pub fn skew_ms(&self) -> i64 {
        self.offset_ms().saturating_add(self.wrong_ms)
    }

    /// Turns the clock forward by `ms` milliseconds, for every clone.
    pub fn advance(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// A new id that carries the present time.
    #[must_use]
    pub fn id<I: Id>(&self) -> I {
        let ms = u64::try_from(self.now().ms()).unwrap_or(0);
        let (seconds, millis) = (ms / 1_000, ms % 1_000);
        let nanos = u32::try_from(millis).unwrap_or(0).saturating_mul(1_000_000);
        let context = self
            .ids
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        I::from_uuid(Uuid::new_v7(uuid::Timestamp::from_unix(
            &*context, seconds, nanos,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrderId;

    #[test]
    fn ids_rise_even_within_a_millisecond() {
        let clock = Clock::system();
        let ids: Vec<String> = (0..10_000)
            .map(|_| clock.id::<OrderId>().to_string())
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn clones_turn_together() {
        let clock = Clock::system();
        let other = clock.clone();
        let before = other.now();
        clock.advance(60_000);
        assert!(other.now().since(before) >= 60_000);
    }
}
