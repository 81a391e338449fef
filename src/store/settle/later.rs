//! Rows that are written at the end of a settlement, each table's in one statement, however many orders are
//! settled together.

use entity::{
    checkout_session, event, ledger_entry, ledger_transaction, order, payment, provider_fact,
};

use super::super::{StoreError, Tx, bulk, events};

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
        bulk::insert::<payment::Entity>(tx, &now.new_payments).await?;
        bulk::update::<payment::Entity>(tx, &now.payments, payment::Column::Id, &PAYMENT).await?;
        bulk::insert::<provider_fact::Entity>(tx, &now.facts).await?;
        let id = checkout_session::Column::Id;
        bulk::update::<checkout_session::Entity>(tx, &now.sessions, id, &SESSION).await?;
        bulk::insert::<ledger_transaction::Entity>(tx, &now.transactions).await?;
        bulk::insert::<ledger_entry::Entity>(tx, &now.entries).await?;
        bulk::update::<order::Entity>(tx, &now.orders, order::Column::Id, &ORDER).await?;
        events::insert(tx, now.events).await
    }
}
