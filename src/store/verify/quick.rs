//! The cheap checks, for a health probe: counts over indexes and over the newest rows only, so that they take
//! the same time however large the database is.

use sea_orm::{ConnectionTrait, Value};

use super::super::rows::sql;
use super::super::{Store, StoreError};
use crate::domain::verify::Check;

/// How many rows each quick check counts.
pub type QuickCounts = Vec<(Check, u64)>;

/// The check and its query; each `?` is the time before which what is due is stuck.
const CHECKS: [(Check, &str); 6] = [
    (
        Check::LedgerTransaction,
        "SELECT COUNT(*) FROM (SELECT 1 FROM ledger_entry WHERE ledger_transaction_id IN \
         (SELECT id FROM ledger_transaction ORDER BY id DESC LIMIT 500) \
         GROUP BY ledger_transaction_id HAVING SUM(debit_minor) <> SUM(credit_minor)) broken",
    ),
    (
        Check::EventSequence,
        "SELECT COUNT(*) FROM (SELECT o.id FROM (SELECT id, event_seq FROM \"order\" \
         ORDER BY id DESC LIMIT 500) o LEFT JOIN event e ON e.order_id = o.id \
         GROUP BY o.id, o.event_seq HAVING COUNT(e.id) <> o.event_seq) broken",
    ),
    (
        Check::PaidEvent,
        "SELECT COUNT(*) FROM (SELECT id, paid_at FROM \"order\" ORDER BY id DESC LIMIT 500) o \
         WHERE (o.paid_at IS NOT NULL) <> EXISTS (SELECT 1 FROM event e \
         WHERE e.order_id = o.id AND e.type = 'order.paid')",
    ),
    (
        Check::CallStuck,
        "SELECT COUNT(*) FROM (SELECT 1 FROM provider_call WHERE status IN ('sending', 'unknown') \
         AND next_at < ? LIMIT 1000) broken",
    ),
    (
        Check::EventStuck,
        "SELECT COUNT(*) FROM (SELECT 1 FROM provider_event WHERE next_at < ? \
         AND (lease_until IS NULL OR lease_until < ?) LIMIT 1000) broken",
    ),
    (
        Check::EventDead,
        "SELECT COUNT(*) FROM (SELECT 1 FROM provider_event WHERE verdict = 'dead' LIMIT 1000) broken",
    ),
];

impl Store {
    /// Counts what the cheap checks find; a count of zero is listed too.
    ///
    /// # Errors
    /// The database's.
    pub async fn verify_quickly(&self) -> Result<QuickCounts, StoreError> {
        let cutoff = self.stuck_before();
        let mut counts = QuickCounts::with_capacity(CHECKS.len());
        for (check, text) in CHECKS {
            let values = vec![Value::from(cutoff); text.matches('?').count()];
            let row = self
                .reader
                .query_one_raw(sql(self.engine, text, values))
                .await?;
            let count: i64 = match row {
                Some(row) => row.try_get_by_index(0)?,
                None => 0,
            };
            counts.push((check, u64::try_from(count).unwrap_or(0)));
        }
        Ok(counts)
    }
}
