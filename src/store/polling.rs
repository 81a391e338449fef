//! Sessions and payments that are due to be asked about, claimed by lease.

use entity::{checkout_session as row, payment};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Value};

use super::checkouts::SessionRecord;
use super::connect::Engine;
use super::failpoint::Step;
use super::payments::PaymentRecord;
use super::rows::{lease_token, sql};
use super::{Store, StoreError};

/// How long a claimed subject is its claimant's, in milliseconds.
pub const LEASE_MS: i64 = 20_000;

/// A session somebody asks the provider about.
#[derive(Debug, Clone)]
pub struct ClaimedSession {
    /// The session.
    pub session: SessionRecord,
    /// The fencing token.
    pub token: String,
}

/// A payment somebody asks the provider about.
#[derive(Debug, Clone)]
pub struct ClaimedPayment {
    /// The payment.
    pub payment: PaymentRecord,
    /// The fencing token.
    pub token: String,
}

/// Rows another worker is claiming are passed over; SQLite has one writer, so none are.
pub(super) fn skip_locked(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "",
        Engine::Postgres => "FOR UPDATE SKIP LOCKED",
    }
}

impl Store {
    /// Claims up to `limit` sessions that are due to be asked about.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_sessions(&self, limit: u32) -> Result<Vec<ClaimedSession>, StoreError> {
        let token = lease_token();
        let token = &token;
        let claimed = self.write(|tx| async move {
            let (now, lock) = (tx.now_sql(), skip_locked(tx.engine));
            let text = format!(
                "UPDATE checkout_session SET lease_token = ?, lease_until = {now} + {LEASE_MS}, \
                 poll_count = poll_count + 1 \
                 WHERE id IN (SELECT id FROM checkout_session WHERE next_poll_at <= {now} \
                 AND (lease_until IS NULL OR lease_until <= {now}) \
                 ORDER BY next_poll_at LIMIT {limit} {lock})"
            );
            let values: [Value; 1] = [token.clone().into()];
            let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            if done.rows_affected() == 0 {
                return Ok::<_, StoreError>(Vec::new());
            }
            let rows = row::Entity::find()
                .filter(row::Column::LeaseToken.eq(token))
                .all(tx.conn())
                .await?;
            Step::ClaimSessions.before();
            rows.into_iter()
                .map(|row| {
                    Ok(ClaimedSession {
                        session: SessionRecord::try_from(row)?,
                        token: token.clone(),
                    })
                })
                .collect()
        })
        .await?;
        if !claimed.is_empty() {
            Step::ClaimSessions.after();
        }
        Ok(claimed)
    }

    /// Gives a claimed session back after the provider gave no answer, to be asked again after `retry_in_ms`.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_failed(
        &self,
        claimed: &ClaimedSession,
        retry_in_ms: i64,
    ) -> Result<(), StoreError> {
        self.write_at(Step::PollFailed, |tx| async move {
            let text = format!(
                "UPDATE checkout_session SET lease_token = NULL, lease_until = NULL, \
                 next_poll_at = CASE WHEN next_poll_at IS NULL THEN NULL ELSE {} + ? END \
                 WHERE id = ? AND lease_token = ?",
                tx.now_sql()
            );
            let values: [Value; 3] = [
                retry_in_ms.into(),
                claimed.session.id.to_string().into(),
                claimed.token.clone().into(),
            ];
            tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            Ok::<_, StoreError>(())
        })
        .await
    }

    /// Claims up to `limit` payments that are due to be asked about.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_payments(&self, limit: u32) -> Result<Vec<ClaimedPayment>, StoreError> {
        let token = lease_token();
        let token = &token;
        let claimed = self
            .write(|tx| async move {
                let (now, lock) = (tx.now_sql(), skip_locked(tx.engine));
                let text = format!(
                    "UPDATE payment SET lease_token = ?, lease_until = {now} + {LEASE_MS}, \
                 poll_count = poll_count + 1 \
                 WHERE id IN (SELECT id FROM payment WHERE next_poll_at <= {now} \
                 AND (lease_until IS NULL OR lease_until <= {now}) \
                 ORDER BY next_poll_at LIMIT {limit} {lock})"
                );
                let values: [Value; 1] = [token.clone().into()];
                let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
                if done.rows_affected() == 0 {
                    return Ok::<_, StoreError>(Vec::new());
                }
                let rows = payment::Entity::find()
                    .filter(payment::Column::LeaseToken.eq(token))
                    .all(tx.conn())
                    .await?;
                Step::ClaimPayments.before();
                rows.into_iter()
                    .map(|row| {
                        Ok(ClaimedPayment {
                            payment: PaymentRecord::try_from(row)?,
                            token: token.clone(),
                        })
                    })
                    .collect()
            })
            .await?;
        if !claimed.is_empty() {
            Step::ClaimPayments.after();
        }
        Ok(claimed)
    }

    /// Gives a claimed payment back after the provider gave no answer, to be asked again after `retry_in_ms`.
    ///
    /// # Errors
    /// The database's.
    pub async fn payment_poll_failed(
        &self,
        claimed: &ClaimedPayment,
        retry_in_ms: i64,
    ) -> Result<(), StoreError> {
        self.write_at(Step::PaymentPollFailed, |tx| async move {
            let text = format!(
                "UPDATE payment SET lease_token = NULL, lease_until = NULL, \
                 next_poll_at = CASE WHEN next_poll_at IS NULL THEN NULL ELSE {} + ? END \
                 WHERE id = ? AND lease_token = ?",
                tx.now_sql()
            );
            let values: [Value; 3] = [
                retry_in_ms.into(),
                claimed.payment.id.to_string().into(),
                claimed.token.clone().into(),
            ];
            tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            Ok::<_, StoreError>(())
        })
        .await
    }

    /// Makes a payment due to be asked about at once.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_payment_now(
        &self,
        payment: crate::domain::ids::PaymentId,
    ) -> Result<(), StoreError> {
        self.write(|tx| async move {
            let text = format!(
                "UPDATE payment SET next_poll_at = {} WHERE id = ?",
                tx.now_sql()
            );
            let values: [Value; 1] = [payment.to_string().into()];
            tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            Ok::<_, StoreError>(())
        })
        .await
    }
}
