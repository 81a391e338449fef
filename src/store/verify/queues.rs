//! What waits: calls, events of the provider, answers to repeatable requests, the feed.

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::super::rows::sql;
use super::super::{Store, StoreError};
use crate::domain::time::DAY_MS;
use crate::domain::verify::{Check, Report};

/// How many rows are read at once.
const ROWS_AT_ONCE: u32 = 2_000;

/// Words of a checkout session whose creation is decided.
const DECIDED: [&str; 5] = ["open", "processing", "complete", "expired", "failed"];

impl Store {
    /// Calls that are due for long, or that nobody will ever send again.
    pub(super) async fn check_calls(&self, report: &mut Report) -> Result<(), StoreError> {
        let cutoff = self.stuck_before();
        let text = "SELECT id, status, next_at, lease_token, lease_until, body IS NULL FROM provider_call \
                    WHERE id > ? ORDER BY id LIMIT";
        let mut after = String::new();
        while let Some(rows) = self.next_rows(text, &mut after).await? {
            report.looked_at("provider_call", rows.len());
            for row in &rows {
                let (id, status): (String, String) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let open = matches!(status.as_str(), "sending" | "unknown");
                if let Some(what) = stuck(row, open, cutoff)? {
                    report.found(Check::CallStuck, "provider_call", &id, what);
                }
                if open && flag(row, 5)? {
                    let what = "it is open, and the bytes to send are gone";
                    report.found(Check::CallStuck, "provider_call", &id, what);
                }
                if lease_expired(row, cutoff)? {
                    let what = "its lease ended long ago and nobody took the work over";
                    report.found(Check::LeaseExpired, "provider_call", &id, what);
                }
            }
        }
        Ok(())
    }

    /// Events of the provider that are due for long, never due again, or given up.
    pub(super) async fn check_inbox(&self, report: &mut Report) -> Result<(), StoreError> {
        let cutoff = self.stuck_before();
        let text = "SELECT id, verdict, next_at, lease_token, lease_until, reason, type \
                    FROM provider_event WHERE id > ? ORDER BY id LIMIT";
        let mut after = String::new();
        while let Some(rows) = self.next_rows(text, &mut after).await? {
            report.looked_at("provider_event", rows.len());
            for row in &rows {
                let (id, verdict): (String, String) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let waits = verdict == "pending";
                if let Some(what) = stuck(row, waits, cutoff)? {
                    report.found(Check::EventStuck, "provider_event", &id, what);
                }
                if lease_expired(row, cutoff)? {
                    let what = "its lease ended long ago and nobody took the work over";
                    report.found(Check::LeaseExpired, "provider_event", &id, what);
                }
                if verdict == "dead" {
                    let reason: Option<String> = row.try_get_by_index(5)?;
                    let kind: String = row.try_get_by_index(6)?;
                    let reason = reason.unwrap_or_default();
                    let what = format!(
                        "{kind} was given up ({reason}); `till replay {id}` tries it again"
                    );
                    report.found(Check::EventDead, "provider_event", &id, what);
                }
            }
        }
        Ok(())
    }

    /// Answers to repeatable requests that are not what they say.
    pub(super) async fn check_answers(&self, report: &mut Report) -> Result<(), StoreError> {
        let old = self.clock.now().plus_ms(-DAY_MS).ms();
        let text = "SELECT k.id, k.status, k.answer_status, k.answer_body IS NULL, k.created_at, s.status \
                    FROM idempotency_key k LEFT JOIN checkout_session s ON s.id = k.resource_id \
                    WHERE k.id > ? ORDER BY k.id LIMIT";
        let mut after = String::new();
        while let Some(rows) = self.next_rows(text, &mut after).await? {
            report.looked_at("idempotency_key", rows.len());
            for row in &rows {
                let (id, status): (String, String) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let answer: Option<i64> = row.try_get_by_index(2)?;
                if status == "final" && (answer.is_none() || flag(row, 3)?) {
                    let what = "it is final without its status or its body";
                    report.found(Check::StoredAnswer, "idempotency_key", &id, what);
                }
                let created: i64 = row.try_get_by_index(4)?;
                let session: Option<String> = row.try_get_by_index(5)?;
                let decided = session.is_some_and(|word| DECIDED.contains(&word.as_str()));
                if status == "bound" && created < old && decided {
                    let what = "its outcome is known for long, and nobody asked for it again";
                    report.found(Check::OpenAnswer, "idempotency_key", &id, what);
                }
            }
        }
        Ok(())
    }

    /// Events placed beyond the end of their shop's feed: the next ones would take their places.
    pub(super) async fn check_feeds(&self, report: &mut Report) -> Result<(), StoreError> {
        let text = "SELECT s.id, s.event_position, COALESCE((SELECT MAX(e.position) FROM event e \
                    WHERE e.shop_id = s.id AND e.position IS NOT NULL), 0) FROM shop s ORDER BY s.id";
        let rows = self
            .reader
            .query_all_raw(sql(self.engine, text, []))
            .await?;
        report.looked_at("shop", rows.len());
        for row in &rows {
            let id: String = row.try_get_by_index(0)?;
            let (end, last): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            if last > end {
                let what = format!("event_position is {end}, an event is placed at {last}");
                report.found(Check::Feed, "shop", &id, what);
            }
        }
        Ok(())
    }

    /// The next rows of a query that reads ids upwards; the id is its first column.
    async fn next_rows(
        &self,
        text: &str,
        after: &mut String,
    ) -> Result<Option<Vec<QueryResult>>, StoreError> {
        let text = format!("{text} {ROWS_AT_ONCE}");
        let values: [Value; 1] = [after.clone().into()];
        let statement = sql(self.engine, &text, values);
        let rows = self.reader.query_all_raw(statement).await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        *after = last.try_get_by_index(0)?;
        Ok(Some(rows))
    }
}

/// A yes or no that the engines answer differently.
fn flag(row: &QueryResult, at: usize) -> Result<bool, StoreError> {
    match row.try_get_by_index::<bool>(at) {
        Ok(flag) => Ok(flag),
        Err(_) => Ok(row.try_get_by_index::<i64>(at)? != 0),
    }
}

/// Why something that must be done will not be; its due time is the third column, its lease the fifth.
fn stuck(row: &QueryResult, open: bool, cutoff: i64) -> Result<Option<String>, StoreError> {
    let next_at: Option<i64> = row.try_get_by_index(2)?;
    let lease_until: Option<i64> = row.try_get_by_index(4)?;
    let held = lease_until.is_some_and(|until| until >= cutoff);
    Ok(match next_at {
        Some(due) if due < cutoff && !held => {
            Some("it has been due for more than ten minutes".to_owned())
        }
        None if open => Some("it waits, and is never due again".to_owned()),
        _ => None,
    })
}

/// Whether a lease ended long ago; its token is the fourth column, its end the fifth.
fn lease_expired(row: &QueryResult, cutoff: i64) -> Result<bool, StoreError> {
    let token: Option<String> = row.try_get_by_index(3)?;
    let until: Option<i64> = row.try_get_by_index(4)?;
    Ok(token.is_some() && until.is_none_or(|until| until < cutoff))
}
