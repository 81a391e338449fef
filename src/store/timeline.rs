//! An order's timeline, read from the rows that every change leaves with its time and its cause.

use std::collections::HashMap;

use entity::{
    checkout_session, event, ledger_transaction, order, order_note, provider_attempt,
    provider_call, provider_event, provider_fact, refund, review, review_decision,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Value,
};

use super::rows::{money, parse, sql};
use super::{ShopStore, StoreError};
use crate::domain::ids::OrderId;
use crate::domain::refund::RefundOrigin;
use crate::domain::time::Timestamp;
use crate::domain::timeline::{TimelineDetails, TimelineEntry, TimelinePosting, arrange};

impl ShopStore<'_> {
    /// Everything that happened to an order, in order and of one moment; nothing when the shop has no such order.
    ///
    /// # Errors
    /// The database's.
    pub async fn timeline(&self, id: OrderId) -> Result<Option<Vec<TimelineEntry>>, StoreError> {
        let moment = self.store.snapshot().await?;
        let entries = self.read_timeline(&moment, id).await;
        // Nothing was changed; its end only lets go of the moment.
        let _ = moment.rollback().await;
        entries
    }

    pub(super) async fn read_timeline(
        &self,
        moment: &DatabaseTransaction,
        id: OrderId,
    ) -> Result<Option<Vec<TimelineEntry>>, StoreError> {
        let id = id.to_string();
        let placed = order::Entity::find_by_id(&id)
            .filter(order::Column::ShopId.eq(self.shop.to_string()))
            .one(moment)
            .await?;
        let Some(placed) = placed else {
            return Ok(None);
        };
        let mut entries = vec![order_placed(placed)];
        for row in checkout_session::Entity::find()
            .filter(checkout_session::Column::OrderId.eq(&id))
            .all(moment)
            .await?
        {
            entries.push(session(row)?);
        }
        let calls = provider_call::Entity::find()
            .filter(provider_call::Column::OrderId.eq(&id))
            .all(moment)
            .await?;
        let decisions = review_decision::Entity::find()
            .filter(review_decision::Column::OrderId.eq(&id))
            .all(moment)
            .await?;
        entries.extend(self.refunds_asked(moment, &id, &calls).await?);
        entries.extend(decisions.into_iter().map(decided));
        for row in order_note::Entity::find()
            .filter(order_note::Column::OrderId.eq(&id))
            .all(moment)
            .await?
        {
            entries.push(noted(row));
        }
        let attempts = provider_attempt::Entity::find()
            .filter(provider_attempt::Column::ProviderCallId.is_in(calls.iter().map(|row| &row.id)))
            .all(moment)
            .await?;
        entries.extend(calls.into_iter().map(call));
        entries.extend(attempts.into_iter().map(attempt));
        entries.extend(webhooks(moment, &id).await?);
        for row in provider_fact::Entity::find()
            .filter(provider_fact::Column::OrderId.eq(&id))
            .all(moment)
            .await?
        {
            entries.push(fact(row)?);
        }
        let mut postings = self.postings(moment, &id).await?;
        for row in ledger_transaction::Entity::find()
            .filter(ledger_transaction::Column::OrderId.eq(&id))
            .all(moment)
            .await?
        {
            let postings = postings.remove(&row.id).unwrap_or_default();
            entries.push(posted(row, postings));
        }
        let reviews = review::Entity::find()
            .filter(review::Column::OrderId.eq(&id))
            .all(moment)
            .await?;
        entries.extend(reviews.into_iter().map(asked));
        entries.extend(events(moment, &id).await?);
        Ok(Some(arrange(entries)))
    }

    /// Refunds, each with what it came from: its request, what a policy learned, or the fact that told of it.
    async fn refunds_asked(
        &self,
        moment: &DatabaseTransaction,
        order: &str,
        calls: &[provider_call::Model],
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        let rows = refund::Entity::find()
            .filter(refund::Column::OrderId.eq(order))
            .all(moment)
            .await?;
        let seen = rows.iter().filter_map(|row| row.provider_refund_id.clone());
        let facts: Vec<(String, String)> = provider_fact::Entity::find()
            .filter(provider_fact::Column::OrderId.eq(order))
            .filter(provider_fact::Column::ObjectId.is_in(seen))
            .select_only()
            .columns([provider_fact::Column::Id, provider_fact::Column::ObjectId])
            .order_by_desc(provider_fact::Column::Id)
            .into_tuple()
            .all(moment)
            .await?;
        // The oldest is collected last, and stays.
        let first: HashMap<String, String> =
            facts.into_iter().map(|(id, object)| (object, id)).collect();
        let entries = rows.into_iter().map(|row| {
            let call = calls.iter().find(|call| call.subject_id == row.id);
            let cause = match parse("refund.origin", &row.origin)? {
                RefundOrigin::Request => call
                    .map(|call| call.cause.clone())
                    .or_else(|| row.request_id.clone()),
                RefundOrigin::Policy => call.map(|call| call.cause.clone()),
                RefundOrigin::Provider => {
                    let object = row.provider_refund_id.as_ref();
                    object.and_then(|object| first.get(object)).cloned()
                }
            };
            refund_asked(row, cause)
        });
        entries.collect()
    }

    async fn postings(
        &self,
        moment: &DatabaseTransaction,
        order: &str,
    ) -> Result<HashMap<String, Vec<TimelinePosting>>, StoreError> {
        let text = "SELECT e.ledger_transaction_id, a.name, a.currency, e.debit_minor, e.credit_minor, \
                    e.payment_id FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
                    WHERE e.order_id = ? ORDER BY e.id";
        let values: [Value; 1] = [order.into()];
        let statement = sql(self.store.engine, text, values);
        let mut postings: HashMap<String, Vec<TimelinePosting>> = HashMap::new();
        for row in moment.query_all_raw(statement).await? {
            let currency: String = row.try_get_by_index(2)?;
            let posting = TimelinePosting {
                account: parse("ledger_account.name", &row.try_get_by_index::<String>(1)?)?,
                debit: money(row.try_get_by_index(3)?, &currency)?,
                credit: money(row.try_get_by_index(4)?, &currency)?,
                currency: parse("ledger_account.currency", &currency)?,
                payment_id: parse("payment_id", &row.try_get_by_index::<String>(5)?)?,
            };
            let transaction: String = row.try_get_by_index(0)?;
            postings.entry(transaction).or_default().push(posting);
        }
        Ok(postings)
    }
}

fn entry(id: String, object: &'static str, kind: String, at: i64) -> TimelineEntry {
    TimelineEntry {
        id,
        object,
        kind,
        at: Timestamp::from_ms(at),
        cause: None,
        request_id: None,
        actor: None,
        details: TimelineDetails::default(),
    }
}

fn order_placed(row: order::Model) -> TimelineEntry {
    TimelineEntry {
        request_id: row.request_id,
        actor: Some(row.actor),
        ..entry(row.id, "order", "placed".to_owned(), row.created_at)
    }
}

fn session(row: checkout_session::Model) -> Result<TimelineEntry, StoreError> {
    let amount = money(row.amount_minor, &row.currency)?;
    Ok(TimelineEntry {
        cause: Some(row.order_id),
        request_id: row.request_id,
        actor: Some(row.actor),
        details: TimelineDetails {
            status: Some(row.status),
            provider_id: row.provider_session_id,
            currency: Some(amount.currency()),
            amount: Some(amount),
            ..TimelineDetails::default()
        },
        ..entry(
            row.id,
            "checkout_session",
            "requested".to_owned(),
            row.created_at,
        )
    })
}

fn refund_asked(row: refund::Model, cause: Option<String>) -> Result<TimelineEntry, StoreError> {
    let amount = money(row.amount_minor, &row.currency)?;
    let kind = match parse("refund.origin", &row.origin)? {
        RefundOrigin::Request | RefundOrigin::Policy => "requested",
        RefundOrigin::Provider => "seen",
    };
    Ok(TimelineEntry {
        cause,
        request_id: row.request_id,
        actor: Some(row.actor),
        details: TimelineDetails {
            status: Some(row.status),
            subject_id: Some(row.payment_id),
            provider_id: row.provider_refund_id,
            reason: row.reason,
            code: row.failure_reason,
            currency: Some(amount.currency()),
            amount: Some(amount),
            ..TimelineDetails::default()
        },
        ..entry(row.id, "refund", kind.to_owned(), row.created_at)
    })
}

fn call(row: provider_call::Model) -> TimelineEntry {
    let cause = match row.cause.as_str() {
        // Nobody asked: the order's own time was up.
        "order_expiry" => row.order_id,
        _ => row.cause,
    };
    TimelineEntry {
        cause: Some(cause),
        request_id: row.request_id,
        actor: Some(row.actor),
        details: TimelineDetails {
            status: Some(row.status),
            subject_id: Some(row.subject_id),
            attempts: Some(row.attempt_count),
            ended_at: row.finished_at.map(Timestamp::from_ms),
            ..TimelineDetails::default()
        },
        ..entry(row.id, "provider_call", row.kind, row.created_at)
    }
}

fn attempt(row: provider_attempt::Model) -> TimelineEntry {
    let ended = row.outcome != "sending";
    TimelineEntry {
        cause: Some(row.provider_call_id),
        details: TimelineDetails {
            number: Some(row.number),
            duration_ms: ended.then_some(row.duration_ms),
            http_status: row.http_status,
            provider_request_id: row.provider_request_id,
            message: row.message,
            ..TimelineDetails::default()
        },
        ..entry(row.id, "provider_attempt", row.outcome, row.started_at)
    }
}

fn fact(row: provider_fact::Model) -> Result<TimelineEntry, StoreError> {
    let amount = match row.currency.as_str() {
        "" => None,
        currency => Some(money(row.amount_minor, currency)?),
    };
    Ok(TimelineEntry {
        cause: Some(row.source_id),
        details: TimelineDetails {
            source: Some(row.source_kind),
            provider_id: Some(row.object_id),
            code: row.code,
            currency: amount.map(|amount| amount.currency()),
            amount,
            ..TimelineDetails::default()
        },
        ..entry(row.id, "fact", row.kind, row.created_at)
    })
}

fn posted(row: ledger_transaction::Model, entries: Vec<TimelinePosting>) -> TimelineEntry {
    TimelineEntry {
        cause: Some(row.fact_id),
        details: TimelineDetails {
            entries,
            ..TimelineDetails::default()
        },
        ..entry(
            row.id,
            "ledger_transaction",
            "posted".to_owned(),
            row.created_at,
        )
    }
}

fn asked(row: review::Model) -> TimelineEntry {
    TimelineEntry {
        details: TimelineDetails {
            status: Some(row.status),
            subject_id: Some(row.subject_id),
            ended_at: row.resolved_at.map(Timestamp::from_ms),
            ended_by: row.resolved_by,
            ..TimelineDetails::default()
        },
        ..entry(row.id, "review", row.reason, row.opened_at)
    }
}

/// A decision without its note, which may name people.
fn decided(row: review_decision::Model) -> TimelineEntry {
    TimelineEntry {
        cause: Some(row.review_id.clone()),
        request_id: row.request_id,
        actor: Some(row.actor),
        details: TimelineDetails {
            subject_id: Some(row.review_id),
            number: Some(row.opening),
            ..TimelineDetails::default()
        },
        ..entry(row.id, "decision", row.resolution, row.created_at)
    }
}

/// A note without its text.
fn noted(row: order_note::Model) -> TimelineEntry {
    TimelineEntry {
        cause: Some(row.order_id),
        request_id: row.request_id,
        actor: Some(row.author),
        ..entry(row.id, "note", "added".to_owned(), row.created_at)
    }
}

/// Webhooks without their bytes, which may name people.
async fn webhooks(
    moment: &DatabaseTransaction,
    order: &str,
) -> Result<Vec<TimelineEntry>, StoreError> {
    use provider_event::Column as C;
    type Row = (
        String,
        String,
        String,
        String,
        Option<String>,
        i64,
        Option<String>,
        i64,
        Option<i64>,
    );
    let rows: Vec<Row> = provider_event::Entity::find()
        .filter(C::OrderId.eq(order))
        .select_only()
        .columns([
            C::Id,
            C::Kind,
            C::EventId,
            C::Verdict,
            C::Reason,
            C::AttemptCount,
            C::RequestId,
            C::ReceivedAt,
            C::SettledAt,
        ])
        .into_tuple()
        .all(moment)
        .await?;
    let entries = rows.into_iter().map(
        |(id, kind, event_id, verdict, reason, attempts, request_id, received_at, settled_at)| {
            TimelineEntry {
                request_id,
                details: TimelineDetails {
                    provider_id: Some(event_id),
                    verdict: Some(verdict),
                    reason,
                    attempts: Some(attempts),
                    ended_at: settled_at.map(Timestamp::from_ms),
                    ..TimelineDetails::default()
                },
                ..entry(id, "provider_event", kind, received_at)
            }
        },
    );
    Ok(entries.collect())
}

/// Our events without their data.
async fn events(
    moment: &DatabaseTransaction,
    order: &str,
) -> Result<Vec<TimelineEntry>, StoreError> {
    use event::Column as C;
    type Row = (String, String, i64, String, Option<String>, String, i64);
    let rows: Vec<Row> = event::Entity::find()
        .filter(C::OrderId.eq(order))
        .select_only()
        .columns([
            C::Id,
            C::Kind,
            C::Sequence,
            C::Cause,
            C::RequestId,
            C::Actor,
            C::CreatedAt,
        ])
        .into_tuple()
        .all(moment)
        .await?;
    let entries = rows.into_iter().map(
        |(id, kind, sequence, cause, request_id, actor, created_at)| TimelineEntry {
            // What a request did names the order it made.
            cause: Some(match cause.as_str() {
                "request" => order.to_owned(),
                _ => cause,
            }),
            request_id,
            actor: Some(actor),
            details: TimelineDetails {
                sequence: Some(sequence),
                ..TimelineDetails::default()
            },
            ..entry(id, "event", kind, created_at)
        },
    );
    Ok(entries.collect())
}
