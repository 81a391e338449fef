//! What waits for background work: one cheap count a queue, over the index its loop uses.

use sea_orm::ConnectionTrait;

use super::rows::sql;
use super::{Store, StoreError};

/// How full one queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: &'static str,
    /// How many rows wait.
    pub depth: u64,
    /// How long the oldest has waited, in milliseconds.
    pub oldest_age_ms: u64,
}

/// Name and query; a `?` is the present time.
const QUEUES: [(&str, &str); 5] = [
    (
        "provider_calls",
        "SELECT COUNT(*), MIN(created_at) FROM provider_call WHERE status IN ('sending', 'unknown')",
    ),
    (
        "checkout_sessions",
        "SELECT COUNT(*), MIN(next_poll_at) FROM checkout_session WHERE next_poll_at <= ?",
    ),
    (
        "provider_events",
        "SELECT COUNT(*), MIN(received_at) FROM provider_event WHERE next_at IS NOT NULL",
    ),
    (
        "provider_events_dead",
        "SELECT COUNT(*), MIN(received_at) FROM provider_event WHERE verdict = 'dead'",
    ),
    (
        "events_unplaced",
        "SELECT COUNT(*), MIN(created_at) FROM event WHERE position IS NULL",
    ),
];

impl Store {
    /// How full every queue is: calls without an outcome, sessions due to be asked about, events of the
    /// provider not applied yet, those that were given up, and our own events without a place in the feed.
    ///
    /// # Errors
    /// The database's.
    pub async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let now = self.clock.now().ms();
        let mut queues = Vec::with_capacity(QUEUES.len());
        for (name, text) in QUEUES {
            let values = text.contains('?').then(|| now.into());
            let statement = sql(self.engine, text, values);
            let Some(row) = self.reader.query_one_raw(statement).await? else {
                continue;
            };
            let depth: i64 = row.try_get_by_index(0)?;
            let since: Option<i64> = row.try_get_by_index(1)?;
            let age = since.map_or(0, |since| now.saturating_sub(since));
            queues.push(Queue {
                name,
                depth: u64::try_from(depth).unwrap_or(0),
                oldest_age_ms: u64::try_from(age).unwrap_or(0),
            });
        }
        Ok(queues)
    }
}
