//! Rows that are written at the end of a settlement, each table's in one statement, however many orders are
//! settled together.

use std::collections::BTreeSet;

use entity::{
    checkout_session, event, idempotency_key, ledger_entry, ledger_transaction, order, payment,
    provider_attempt, provider_fact,
};
use futures::future::try_join;
use sea_orm::{EntityTrait, IdenStatic as _, ModelTrait};

use super::super::bulk::{self, Change};
use super::super::{Engine, StoreError, Tx, calls, idempotency};

/// What is still to be written.
#[derive(Default)]
pub(super) struct Later {
    /// Payments seen for the first time.
    pub new_payments: Vec<payment::Model>,
    /// Payments that changed.
    payments: Changed<payment::Entity>,
    /// Facts that became known.
    pub facts: Vec<provider_fact::Model>,
    /// Sessions that changed.
    sessions: Changed<checkout_session::Entity>,
    /// Ledger transactions.
    pub transactions: Vec<ledger_transaction::Model>,
    /// Their entries.
    pub entries: Vec<ledger_entry::Model>,
    /// Orders that changed.
    orders: Changed<order::Entity>,
    /// What happened.
    pub events: Vec<event::Model>,
    /// Tries of calls that have ended.
    pub attempts: Vec<provider_attempt::Model>,
    /// Keys whose requests have their answers.
    pub answers: Vec<idempotency_key::Model>,
}

/// Rows of a table that changed, as they are now.
pub(super) struct Changed<E: EntityTrait> {
    rows: Vec<E::Model>,
    /// The names of the columns in which at least one of them differs.
    differing: BTreeSet<&'static str>,
}

impl<E: EntityTrait> Default for Changed<E> {
    fn default() -> Self {
        Changed {
            rows: Vec::new(),
            differing: BTreeSet::new(),
        }
    }
}

impl<E> Changed<E>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
    E::Column: Copy,
{
    /// Adds a row as it was and as it is now.
    fn note(&mut self, was: &E::Model, is: E::Model, change: Change<'_, E::Column>) {
        let differing = change
            .set
            .iter()
            .filter(|&&one| was.get(one) != is.get(one));
        self.differing.extend(differing.map(E::Column::as_str));
        self.rows.push(is);
    }

    /// SQLite writes every index anew that has a column which is set, to another value or not: so what no row differs in
    /// is not set. PostgreSQL compares by itself, and keeps one statement for all.
    fn update(&self, parts: &mut bulk::Parts, change: Change<'_, E::Column>) {
        if parts.engine() == Engine::Postgres {
            return parts.update::<E>(&self.rows, change);
        }
        let set = change.set.iter().copied();
        let set: Vec<E::Column> = set
            .filter(|column| self.differing.contains(column.as_str()))
            .collect();
        if !set.is_empty() {
            parts.update::<E>(
                &self.rows,
                Change {
                    set: &set,
                    ..change
                },
            );
        }
    }
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
    /// A payment as it was and as it is now.
    pub fn payment(&mut self, was: &payment::Model, is: payment::Model) {
        self.payments.note(was, is, PAYMENTS);
    }

    /// A session as it was and as it is now.
    pub fn session(&mut self, was: &checkout_session::Model, is: checkout_session::Model) {
        self.sessions.note(was, is, SESSIONS);
    }

    /// An order as it was and as it is now.
    pub fn order(&mut self, was: &order::Model, is: order::Model) {
        self.orders.note(was, is, ORDERS);
    }

    /// Writes it, rows that others refer to first. What comes afterwards is written by the next call.
    ///
    /// On PostgreSQL it is one statement for all tables, and so one round trip: foreign keys are checked at its end. On
    /// SQLite it is two messages, since halves have fewer texts to be kept prepared than wholes; the second is made ready
    /// while the first is carried out.
    pub async fn flush(&mut self, tx: &Tx) -> Result<(), StoreError> {
        let now = std::mem::take(self);
        let mut parts = bulk::Parts::on(tx.engine);
        now.first_half(&mut parts);
        if tx.engine == Engine::Postgres {
            now.second_half(&mut parts);
            return parts.carry_out(tx).await;
        }
        let second = async {
            let mut parts = bulk::Parts::on(tx.engine);
            now.second_half(&mut parts);
            Ok(parts)
        };
        let ((), second) = try_join(parts.carry_out(tx), second).await?;
        second.carry_out(tx).await
    }

    fn first_half(&self, parts: &mut bulk::Parts) {
        parts.insert::<payment::Entity>(&self.new_payments);
        self.payments.update(parts, PAYMENTS);
        parts.insert::<provider_fact::Entity>(&self.facts);
        self.sessions.update(parts, SESSIONS);
    }

    fn second_half(&self, parts: &mut bulk::Parts) {
        parts.insert::<ledger_transaction::Entity>(&self.transactions);
        parts.insert::<ledger_entry::Entity>(&self.entries);
        self.orders.update(parts, ORDERS);
        parts.events(&self.events);
        parts.update::<provider_attempt::Entity>(&self.attempts, calls::ENDED_TRY);
        parts.update::<idempotency_key::Entity>(&self.answers, idempotency::ANSWERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> checkout_session::Model {
        let text = str::to_owned;
        checkout_session::Model {
            id: text(id),
            shop_id: text("shop_1"),
            order_id: text("ord_1"),
            provider_account_id: text("pa_1"),
            provider_session_id: Some(text("cs_1")),
            url: None,
            status: text("open"),
            amount_minor: 1_290,
            currency: text("EUR"),
            capture: text("automatic"),
            success_url: text("https://shop.example/thanks"),
            cancel_url: text("https://shop.example/basket"),
            expires_at: 2,
            end_requested_at: None,
            poll_count: 0,
            next_poll_at: Some(1),
            lease_until: None,
            lease_token: None,
            request_id: None,
            actor: text("key_1"),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn sets(engine: Engine, later: &Later) -> Vec<&'static str> {
        let mut parts = bulk::Parts::on(engine);
        later.first_half(&mut parts);
        let [text] = parts.texts() else {
            panic!("one statement: {:?}", parts.texts())
        };
        let names = SESSION.iter().map(checkout_session::Column::as_str);
        names
            .filter(|name| text.contains(&format!("\"{name}\" = u.")))
            .collect()
    }

    #[test]
    fn sqlite_sets_the_columns_that_differ_in_some_row_and_no_other() {
        let mut later = Later::default();
        let was = session("cs_a");
        let is = checkout_session::Model {
            status: "complete".to_owned(),
            updated_at: 5,
            ..was.clone()
        };
        later.session(&was, is);
        assert_eq!(sets(Engine::Sqlite, &later), ["status", "updated_at"]);
        let was = session("cs_b");
        let is = checkout_session::Model {
            next_poll_at: None,
            ..was.clone()
        };
        later.session(&was, is);
        let of_both = ["status", "next_poll_at", "updated_at"];
        assert_eq!(sets(Engine::Sqlite, &later), of_both);
        assert_eq!(sets(Engine::Postgres, &later).len(), SESSION.len());

        let mut later = Later::default();
        later.session(&was, was.clone());
        let mut parts = bulk::Parts::on(Engine::Sqlite);
        later.first_half(&mut parts);
        assert!(parts.texts().is_empty(), "{:?}", parts.texts());
    }
}
