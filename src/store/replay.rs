//! Stored events of the provider, found to be tried again by hand.

use entity::{provider_account, provider_event as row};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Value,
};

use super::failpoint::Step;
use super::inbox::{ClaimedEvent, claimed};
use super::lease::{LEASE_MS, lease_token};
use super::rows::{parse, sql};
use super::{Store, StoreError};
use crate::domain::ids::ProviderEventId;
use crate::domain::time::Timestamp;

/// A stored event, whoever works on it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub kind: String,
    /// What became of it.
    pub verdict: String,
    /// Why.
    pub reason: Option<String>,
    /// What is needed to try it again, under no lease; none when its bytes are gone.
    pub event: Option<ClaimedEvent>,
    /// Our id of it.
    pub id: ProviderEventId,
}

fn stored(row: row::Model) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: parse("provider_event.id", &row.id)?,
        event_id: row.event_id.clone(),
        kind: row.kind.clone(),
        verdict: row.verdict.clone(),
        reason: row.reason.clone(),
        event: match row.raw {
            Some(_) => Some(claimed(row::Model {
                lease_token: Some(String::new()),
                ..row
            })?),
            None => None,
        },
    })
}

impl Store {
    /// The event with this id, ours or the provider's.
    ///
    /// # Errors
    /// The database's.
    pub async fn stored_event(&self, id: &str) -> Result<Option<StoredEvent>, StoreError> {
        let ours = row::Entity::find_by_id(id).one(&self.reader).await?;
        if let Some(found) = ours {
            return stored(found).map(Some);
        }
        // The index of the provider's ids is one of each account.
        let accounts = provider_account::Entity::find()
            .select_only()
            .column(provider_account::Column::Id)
            .into_query();
        let found = row::Entity::find()
            .filter(row::Column::ProviderAccountId.in_subquery(accounts))
            .filter(row::Column::EventId.eq(id))
            .order_by_asc(row::Column::Id)
            .one(&self.reader)
            .await?;
        found.map(stored).transpose()
    }

    /// The next events that arrived at `since` or later, in the order of arrival, after the one with the id `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_since(
        &self,
        since: Timestamp,
        after: &str,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = row::Entity::find()
            .filter(row::Column::Id.gt(after))
            .filter(row::Column::ReceivedAt.gte(since.ms()))
            .order_by_asc(row::Column::Id)
            .limit(limit)
            .all(&self.reader)
            .await?;
        rows.into_iter().map(stored).collect()
    }

    /// Claims one event, whatever became of it; nothing while somebody else works on it.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_event(
        &self,
        id: ProviderEventId,
    ) -> Result<Option<ClaimedEvent>, StoreError> {
        let token = lease_token();
        let token = &token;
        self.write_at(Step::ClaimReplay, |tx| async move {
            let now = tx.now_sql();
            let text = format!(
                "UPDATE provider_event SET lease_token = ?, lease_until = {now} + {LEASE_MS}, \
                 attempt_count = attempt_count + 1 \
                 WHERE id = ? AND (lease_until IS NULL OR lease_until <= {now})"
            );
            let values: [Value; 2] = [token.clone().into(), id.to_string().into()];
            let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            if done.rows_affected() == 0 {
                return Ok(None);
            }
            let found = row::Entity::find_by_id(id.to_string())
                .one(tx.conn())
                .await?;
            let event = found.map(claimed).transpose()?;
            Ok(event.map(|event| ClaimedEvent {
                by_hand: true,
                ..event
            }))
        })
        .await
    }

    /// Lets go of a claimed event as it was.
    ///
    /// # Errors
    /// The database's.
    pub async fn release_event(&self, event: &ClaimedEvent) -> Result<(), StoreError> {
        self.write(|tx| async move {
            let text = "UPDATE provider_event SET lease_token = NULL, lease_until = NULL \
                        WHERE id = ? AND lease_token = ?";
            let values: [Value; 2] = [event.id.to_string().into(), event.token.clone().into()];
            tx.conn().execute_raw(sql(tx.engine, text, values)).await?;
            Ok::<_, StoreError>(())
        })
        .await
    }
}
