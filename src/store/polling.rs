//! Sessions and payments that are due to be asked about, claimed by lease.

use entity::{checkout_session as row, payment};
use sea_orm::{ConnectionTrait, Value};

use super::checkouts::SessionRecord;
use super::failpoint::Step;
use super::lease::{Leased, token};
use super::payments::PaymentRecord;
use super::rows::sql;
use super::{Store, StoreError};
use crate::domain::ids::{AccountId, PaymentId};

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

impl Leased for ClaimedSession {
    type Row = row::Entity;
    const DUE: &'static str = "next_poll_at";
    const TRIES: &'static str = "poll_count";
    const WAITING: &'static str = "next_poll_at IS NOT NULL";
    const STEP: Step = Step::ClaimSessions;

    fn read(mut row: row::Model) -> Result<Self, StoreError> {
        Ok(ClaimedSession {
            token: token(row.lease_token.take())?,
            session: SessionRecord::try_from(row)?,
        })
    }
}

impl Leased for ClaimedPayment {
    type Row = payment::Entity;
    const DUE: &'static str = "next_poll_at";
    const TRIES: &'static str = "poll_count";
    const WAITING: &'static str = "next_poll_at IS NOT NULL";
    const STEP: Step = Step::ClaimPayments;

    fn read(mut row: payment::Model) -> Result<Self, StoreError> {
        Ok(ClaimedPayment {
            token: token(row.lease_token.take())?,
            payment: PaymentRecord::try_from(row)?,
        })
    }
}

impl Store {
    /// Claims up to `limit` sessions of an account that are due to be asked about.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_sessions(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<ClaimedSession>, StoreError> {
        self.claim(account, limit).await
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

    /// Claims up to `limit` payments of an account that are due to be asked about.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_payments(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<ClaimedPayment>, StoreError> {
        self.claim(account, limit).await
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
    pub async fn poll_payment_now(&self, payment: PaymentId) -> Result<(), StoreError> {
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
