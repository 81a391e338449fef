//! What waits: calls, events of the provider, answers to repeatable requests, the feed.

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::super::rows::sql;
use super::super::{Store, StoreError};
use crate::domain::time::DAY_MS;
use crate::domain::verify::{Check, Report};

/// How many rows are read at once.
const ROWS_AT_ONCE: u32 = 2_000;

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
                // What was replayed by hand may be done, and have the lease of somebody who was stopped.
                if is_due(row)? && lease_expired(row, cutoff)? {
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

    /// Events that were applied although nothing is known of the object they are about: its money would be nowhere.
    pub(super) async fn check_event_facts(&self, report: &mut Report) -> Result<(), StoreError> {
        let text = "SELECT id, type FROM provider_event e WHERE id > ? AND verdict = 'applied' \
                    AND NOT EXISTS (SELECT 1 FROM provider_fact f \
                    WHERE f.order_id = e.order_id AND f.provider_account_id = e.provider_account_id \
                    AND f.object_id IN (e.object_id, e.intent_id, e.charge_id)) ORDER BY id LIMIT";
        let mut after = String::new();
        while let Some(rows) = self.next_rows(text, &mut after).await? {
            for row in &rows {
                let (id, kind): (String, String) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let what = format!(
                    "{kind} was applied, and no fact is about its object; `till replay {id}` shows what it says"
                );
                report.found(Check::EventFacts, "provider_event", &id, what);
            }
        }
        Ok(())
    }

    /// Answers to repeatable requests that are not what they say, or were never given.
    pub(super) async fn check_answers(&self, report: &mut Report) -> Result<(), StoreError> {
        let old = self.clock.now().plus_ms(-DAY_MS).ms();
        // One call at most can carry out a refund, a capture or a void of one object.
        let text = "SELECT k.id, k.status, k.answer_status, k.answer_body, k.created_at, k.resource_id, k.route, \
                    s.status, r.status, r.provider_refund_id, p.status, o.status, o.payment_status, \
                    (SELECT MAX(c.status) FROM provider_call c WHERE c.subject_id = k.resource_id \
                    AND c.kind IN ('refund_create', 'payment_capture', 'payment_void')) \
                    FROM idempotency_key k LEFT JOIN checkout_session s ON s.id = k.resource_id \
                    LEFT JOIN refund r ON r.id = k.resource_id LEFT JOIN payment p ON p.id = k.resource_id \
                    LEFT JOIN \"order\" o ON o.id = k.resource_id WHERE k.id > ? ORDER BY k.id LIMIT";
        let mut after = String::new();
        while let Some(rows) = self.next_rows(text, &mut after).await? {
            report.looked_at("idempotency_key", rows.len());
            for row in &rows {
                let (id, status): (String, String) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let created: i64 = row.try_get_by_index(4)?;
                let subject = Subject::read(row)?;
                if subject.known_by.is_none() {
                    let what = format!("{} is not there", subject.id);
                    report.found(Check::StoredAnswer, "idempotency_key", &id, what);
                } else if status == "final" {
                    let answer = row.try_get_by_index(2)?;
                    let body: Option<String> = row.try_get_by_index(3)?;
                    if let Some(what) = incomplete(answer, body.as_deref(), &subject.id) {
                        report.found(Check::StoredAnswer, "idempotency_key", &id, what);
                    }
                } else if created < old && subject.is_decided(row)? {
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

/// What a repeatable request was about.
struct Subject {
    id: String,
    route: String,
    /// The status of its row; none when there is no such row.
    known_by: Option<String>,
}

impl Subject {
    /// From a row of [`Store::check_answers`].
    fn read(row: &QueryResult) -> Result<Subject, StoreError> {
        let mut known_by = None;
        for at in [7, 8, 10, 11] {
            known_by = known_by.or(row.try_get_by_index::<Option<String>>(at)?);
        }
        Ok(Subject {
            id: row.try_get_by_index(5)?,
            route: row.try_get_by_index(6)?,
            known_by,
        })
    }

    /// Whether the outcome is known, so that a repeated request would be told it.
    fn is_decided(&self, row: &QueryResult) -> Result<bool, StoreError> {
        let status = self.known_by.as_deref().unwrap_or_default();
        let call: Option<String> = row.try_get_by_index(13)?;
        let answered = matches!(call.as_deref(), Some("succeeded" | "declined"));
        let (_, wanted) = self.route.rsplit_once('/').unwrap_or_default();
        Ok(match wanted {
            "checkout_sessions" => status != "creating",
            "expire" => !matches!(status, "creating" | "open"),
            "refunds" => {
                let seen: Option<String> = row.try_get_by_index(9)?;
                answered || seen.is_some()
            }
            "capture" => answered || status == "captured",
            "void" => answered || status == "voided",
            "cancel" => {
                let payment: Option<String> = row.try_get_by_index(12)?;
                let open = matches!(payment.as_deref(), Some("unpaid" | "authorized"));
                !open || matches!(status, "cancelled" | "expired")
            }
            // What is answered in the transaction that makes it is never open.
            _ => true,
        })
    }
}

/// What a final answer lacks: a repeated request would get less than the first one.
fn incomplete(status: Option<i64>, body: Option<&str>, subject: &str) -> Option<&'static str> {
    let (Some(status), Some(body)) = (status, body) else {
        return Some("it is final without its status or its body");
    };
    let Ok(said) = serde_json::from_str::<serde_json::Value>(body) else {
        return Some("its body cannot be read");
    };
    let about = said.get("id").and_then(serde_json::Value::as_str);
    match status {
        200..=299 if about == Some(subject) => None,
        200..=299 => Some("its body is not about what was asked for"),
        400..=599 if said.get("refusal").is_some() => None,
        _ => Some("it refuses, and does not say why"),
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

/// Whether something is due at some time; that is the third column.
fn is_due(row: &QueryResult) -> Result<bool, StoreError> {
    let due: Option<i64> = row.try_get_by_index(2)?;
    Ok(due.is_some())
}
