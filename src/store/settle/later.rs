//! Rows that are written at the end of a settlement, each table's in one statement, however many orders are
//! settled together.

use entity::{
    checkout_session, event, idempotency_key, ledger_entry, ledger_transaction, order, payment,
    provider_attempt, provider_fact,
};

use super::super::bulk::{self, Change};
use super::super::{Engine, StoreError, Tx, calls, idempotency};

/// What is still to be written.
#[derive(Default)]
pub(super) struct Later {
    /// Payments seen for the first time.
    pub new_payments: Vec<payment::Model>,
    /// Payments that changed.
    pub payments: Vec<payment::Model>,
    /// Facts that became known.
    pub facts: Vec<provider_fact::Model>,
    /// Sessions that changed.
    pub sessions: Vec<checkout_session::Model>,
    /// Ledger transactions.
    pub transactions: Vec<ledger_transaction::Model>,
    /// Their entries.
    pub entries: Vec<ledger_entry::Model>,
    /// Orders that changed.
    pub orders: Vec<order::Model>,
    /// What happened.
    pub events: Vec<event::Model>,
    /// Tries of calls that have ended.
    pub attempts: Vec<provider_attempt::Model>,
    /// Keys whose requests have their answers.
    pub answers: Vec<idempotency_key::Model>,
}

const PAYMENT: &[payment::Column] = {
    use payment::Column as C;
    &[
        C::Status,
        C::CapturedMinor,
        C::RefundedMinor,
        C::Belongs,
        C::FailureCode,
        C::ProviderChargeId,
        C::RefundReservedMinor,
        C::RefundedExternalMinor,
        C::DisputeWithdrawnMinor,
        C::DisputeReinstatedMinor,
        C::NextPollAt,
        C::LeaseUntil,
        C::LeaseToken,
        C::UpdatedAt,
    ]
};

const SESSION: &[checkout_session::Column] = {
    use checkout_session::Column as C;
    &[
        C::Status,
        C::ProviderSessionId,
        C::Url,
        C::ExpiresAt,
        C::NextPollAt,
        C::LeaseUntil,
        C::LeaseToken,
        C::UpdatedAt,
    ]
};

const ORDER: &[order::Column] = {
    use order::Column as C;
    &[
        C::Status,
        C::PaymentStatus,
        C::AuthorizedMinor,
        C::PaidMinor,
        C::RefundedMinor,
        C::DisputedMinor,
        C::Review,
        C::EventSeq,
        C::PaidAt,
        C::CancelRequestedAt,
        C::CloseNextAt,
        C::UpdatedAt,
    ]
};

const PAYMENTS: Change<'_, payment::Column> = Change {
    found_by: &[payment::Column::Id],
    set: PAYMENT,
    also: "",
};

const SESSIONS: Change<'_, checkout_session::Column> = Change {
    found_by: &[checkout_session::Column::Id],
    set: SESSION,
    also: "",
};

const ORDERS: Change<'_, order::Column> = Change {
    found_by: &[order::Column::Id],
    set: ORDER,
    also: "",
};

impl Later {
    /// Writes it, rows that others refer to first. What comes afterwards is written by the next call.
    pub async fn flush(&mut self, tx: &Tx) -> Result<(), StoreError> {
        let now = std::mem::take(self);
        match tx.engine {
            Engine::Sqlite => now.table_by_table(tx).await,
            Engine::Postgres => now.at_once(tx).await,
        }
    }

    async fn table_by_table(self, tx: &Tx) -> Result<(), StoreError> {
        bulk::insert::<payment::Entity>(tx, &self.new_payments).await?;
        bulk::update::<payment::Entity>(tx, &self.payments, PAYMENTS).await?;
        bulk::insert::<provider_fact::Entity>(tx, &self.facts).await?;
        bulk::update::<checkout_session::Entity>(tx, &self.sessions, SESSIONS).await?;
        bulk::insert::<ledger_transaction::Entity>(tx, &self.transactions).await?;
        bulk::insert::<ledger_entry::Entity>(tx, &self.entries).await?;
        bulk::update::<order::Entity>(tx, &self.orders, ORDERS).await?;
        bulk::insert::<event::Entity>(tx, &self.events).await?;
        bulk::update::<provider_attempt::Entity>(tx, &self.attempts, calls::ENDED_TRY).await?;
        bulk::update::<idempotency_key::Entity>(tx, &self.answers, idempotency::ANSWERED).await
    }

    /// One statement for all tables, and so one round trip: foreign keys are checked at its end.
    async fn at_once(self, tx: &Tx) -> Result<(), StoreError> {
        let mut parts = bulk::Parts::default();
        parts.insert::<payment::Entity>(&self.new_payments);
        parts.update::<payment::Entity>(&self.payments, PAYMENTS);
        parts.insert::<provider_fact::Entity>(&self.facts);
        parts.update::<checkout_session::Entity>(&self.sessions, SESSIONS);
        parts.insert::<ledger_transaction::Entity>(&self.transactions);
        parts.insert::<ledger_entry::Entity>(&self.entries);
        parts.update::<order::Entity>(&self.orders, ORDERS);
        parts.insert::<event::Entity>(&self.events);
        parts.update::<provider_attempt::Entity>(&self.attempts, calls::ENDED_TRY);
        parts.update::<idempotency_key::Entity>(&self.answers, idempotency::ANSWERED);
        parts.carry_out(tx).await
    }
}
