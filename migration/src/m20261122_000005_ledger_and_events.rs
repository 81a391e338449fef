//! The ledger, which only grows, and the public events.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// SQLite would otherwise keep half of a failed migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await?;
        for table in ["ledger_account", "ledger_transaction", "ledger_entry"] {
            dialect::append_only(manager, table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await?;
        dialect::forget_append_only(manager).await
    }
}

const UP: &[&str] = &[
    r#"CREATE TABLE ledger_account (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        name {text} NOT NULL CHECK (name IN ('provider_clearing', 'sales', 'refunds', 'suspense',
            'disputes_held', 'dispute_losses', 'provider_fees')),
        currency {text} NOT NULL CHECK (length(currency) = 3),
        created_at {int} NOT NULL,
        CONSTRAINT ledger_account_key UNIQUE (shop_id, currency, name)
    ) {strict}"#,
    r#"CREATE TABLE ledger_transaction (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        fact_id {text} NOT NULL REFERENCES provider_fact (id),
        created_at {int} NOT NULL,
        CONSTRAINT ledger_transaction_fact_key UNIQUE (fact_id)
    ) {strict}"#,
    r#"CREATE INDEX ledger_transaction_order_idx ON ledger_transaction (order_id)"#,
    r#"CREATE INDEX ledger_transaction_shop_idx ON ledger_transaction (shop_id, id)"#,
    r#"CREATE TABLE ledger_entry (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        ledger_transaction_id {text} NOT NULL REFERENCES ledger_transaction (id),
        ledger_account_id {text} NOT NULL REFERENCES ledger_account (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        payment_id {text} NOT NULL REFERENCES payment (id),
        debit_minor {int} NOT NULL CHECK (debit_minor >= 0),
        credit_minor {int} NOT NULL CHECK (credit_minor >= 0),
        created_at {int} NOT NULL,
        CONSTRAINT ledger_entry_one_side CHECK ((debit_minor = 0) <> (credit_minor = 0))
    ) {strict}"#,
    r#"CREATE INDEX ledger_entry_transaction_idx ON ledger_entry (ledger_transaction_id)"#,
    r#"CREATE INDEX ledger_entry_order_idx ON ledger_entry (order_id)"#,
    r#"CREATE INDEX ledger_entry_account_idx ON ledger_entry (ledger_account_id)"#,
    r#"CREATE TABLE event (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        type {text} NOT NULL,
        sequence {int} NOT NULL CHECK (sequence >= 1),
        position {int},
        data {text} NOT NULL,
        cause {text} NOT NULL,
        request_id {text},
        actor {text} NOT NULL,
        created_at {int} NOT NULL,
        CONSTRAINT event_sequence_key UNIQUE (order_id, sequence)
    ) {strict}"#,
    r#"CREATE UNIQUE INDEX event_paid_once_key ON event (order_id) WHERE type = 'order.paid'"#,
    r#"CREATE UNIQUE INDEX event_position_key ON event (shop_id, position) WHERE position IS NOT NULL"#,
    r#"CREATE INDEX event_unplaced_idx ON event (shop_id, id) WHERE position IS NULL"#,
    r#"CREATE INDEX event_shop_idx ON event (shop_id, id)"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE event",
    "DROP TABLE ledger_entry",
    "DROP TABLE ledger_transaction",
    "DROP TABLE ledger_account",
];
