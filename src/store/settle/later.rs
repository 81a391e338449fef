//! Rows that are written at the end of a settlement, each table's in one statement, however many orders are
//! settled together.

use entity::{
    checkout_session, event, ledger_entry, ledger_transaction, order, payment, provider_fact,
};

use super::super::{Engine, StoreError, Tx, bulk};

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
}

const PAYMENT: [payment::Column; 14] = {
    use payment::Column as C;
    [
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

const SESSION: [checkout_session::Column; 8] = {
    use checkout_session::Column as C;
    [
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

const ORDER: [order::Column; 12] = {
    use order::Column as C;
    [
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
        let session = checkout_session::Column::Id;
        bulk::insert::<payment::Entity>(tx, &self.new_payments).await?;
        bulk::update::<payment::Entity>(tx, &self.payments, payment::Column::Id, &PAYMENT).await?;
        bulk::insert::<provider_fact::Entity>(tx, &self.facts).await?;
        bulk::update::<checkout_session::Entity>(tx, &self.sessions, session, &SESSION).await?;
        bulk::insert::<ledger_transaction::Entity>(tx, &self.transactions).await?;
        bulk::insert::<ledger_entry::Entity>(tx, &self.entries).await?;
        bulk::update::<order::Entity>(tx, &self.orders, order::Column::Id, &ORDER).await?;
        bulk::insert::<event::Entity>(tx, &self.events).await
    }

    /// One statement for all tables, and so one round trip: foreign keys are checked at its end.
    async fn at_once(self, tx: &Tx) -> Result<(), StoreError> {
        let session = checkout_session::Column::Id;
        let mut parts = bulk::Parts::default();
        parts.insert::<payment::Entity>(&self.new_payments);
        parts.update::<payment::Entity>(&self.payments, payment::Column::Id, &PAYMENT);
        parts.insert::<provider_fact::Entity>(&self.facts);
        parts.update::<checkout_session::Entity>(&self.sessions, session, &SESSION);
        parts.insert::<ledger_transaction::Entity>(&self.transactions);
        parts.insert::<ledger_entry::Entity>(&self.entries);
        parts.update::<order::Entity>(&self.orders, order::Column::Id, &ORDER);
        parts.insert::<event::Entity>(&self.events);
        parts.carry_out(tx).await
    }
}
