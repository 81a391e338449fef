//! How the shop's calls went: the newest tries of a part of time, over the primary key of the tries.

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::rows::{parse, sql};
use super::{ShopStore, StoreError};
use crate::domain::health::{FailedTry, TriesAlike};
use crate::domain::ids::{AttemptId, Id};
use crate::domain::time::{MINUTE_MS, Timestamp};

/// The most tries that are counted of one part of time.
const MAX_TRIES: u64 = 50_000;

/// The newest tries since a moment that are the shop's.
const NEWEST: &str = "SELECT id, provider_call_id, outcome, duration_ms, started_at, http_status \
     FROM provider_attempt WHERE id >= ? AND started_at >= ? AND shop_id = ?";

impl ShopStore<'_> {
    fn since(&self, since: Timestamp) -> [Value; 3] {
        let lowest = AttemptId::first_of(since.plus_ms(-MINUTE_MS));
        [
            lowest.to_string().into(),
            since.ms().into(),
            self.shop.to_string().into(),
        ]
    }

    /// The tries of the shop's calls since a moment, those that ended alike counted together.
    ///
    /// # Errors
    /// The database's.
    pub async fn tries_since(&self, since: Timestamp) -> Result<Vec<TriesAlike>, StoreError> {
        let text = format!(
            "SELECT c.provider_account_id, a.outcome, a.duration_ms, COUNT(*) \
             FROM ({NEWEST} ORDER BY id DESC LIMIT {MAX_TRIES}) a \
             JOIN provider_call c ON c.id = a.provider_call_id GROUP BY 1, 2, 3"
        );
        let statement = sql(self.store.engine, &text, self.since(since));
        let rows = self.store.reader.query_all_raw(statement).await?;
        let alike = rows.iter().map(|row| {
            let account: String = row.try_get_by_index(0)?;
            let count: i64 = row.try_get_by_index(3)?;
            Ok(TriesAlike {
                account: parse("provider_call.account", &account)?,
                outcome: row.try_get_by_index(1)?,
                duration_ms: row.try_get_by_index(2)?,
                count: u64::try_from(count).unwrap_or(0),
            })
        });
        alike.collect()
    }

    /// The newest try of each account since a moment that ended with one of these words, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_tries(
        &self,
        since: Timestamp,
        outcomes: &[String],
    ) -> Result<Vec<FailedTry>, StoreError> {
        if outcomes.is_empty() {
            return Ok(Vec::new());
        }
        let marks = vec!["?"; outcomes.len()].join(", ");
        let text = format!(
            "SELECT c.provider_account_id, c.id, a.started_at, a.outcome, a.http_status \
             FROM ({NEWEST} AND outcome IN ({marks}) ORDER BY id DESC LIMIT 100) a \
             JOIN provider_call c ON c.id = a.provider_call_id ORDER BY a.id DESC"
        );
        let words = outcomes.iter().map(|word| Value::from(word.clone()));
        let values = self.since(since).into_iter().chain(words);
        let statement = sql(self.store.engine, &text, values);
        let rows = self.store.reader.query_all_raw(statement).await?;
        let mut newest: Vec<FailedTry> = Vec::new();
        for row in &rows {
            let failed = failed_try(row)?;
            if newest.iter().all(|known| known.account != failed.account) {
                newest.push(failed);
            }
        }
        Ok(newest)
    }
}

fn failed_try(row: &QueryResult) -> Result<FailedTry, StoreError> {
    let (account, call): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    Ok(FailedTry {
        account: parse("provider_call.account", &account)?,
        call: parse("provider_call.id", &call)?,
        at: Timestamp::from_ms(row.try_get_by_index(2)?),
        outcome: row.try_get_by_index(3)?,
        http_status: row.try_get_by_index(4)?,
    })
}
