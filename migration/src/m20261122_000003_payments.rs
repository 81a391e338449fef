//! Checkout sessions, payments, what is known of them, and the questions they raise.

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
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await
    }
}

const UP: &[&str] = &[
    r#"CREATE TABLE checkout_session (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        status {text} NOT NULL
            CHECK (status IN ('creating', 'open', 'processing', 'complete', 'expired', 'failed')),
        amount_minor {int} NOT NULL CHECK (amount_minor > 0),
        currency {text} NOT NULL CHECK (length(currency) = 3),
        capture {text} NOT NULL CHECK (capture IN ('automatic', 'manual')),
        success_url {text} NOT NULL,
        cancel_url {text} NOT NULL,
        provider_session_id {text},
        url {text},
        expires_at {int} NOT NULL,
        poll_count {int} NOT NULL DEFAULT 0,
        next_poll_at {int},
        lease_until {int},
        lease_token {text},
        request_id {text},
        actor {text} NOT NULL,
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        CONSTRAINT checkout_session_provider_key UNIQUE (provider_account_id, provider_session_id)
    ) {strict}"#,
    r#"CREATE INDEX checkout_session_order_idx ON checkout_session (order_id)"#,
    r#"CREATE UNIQUE INDEX checkout_session_one_live_key ON checkout_session (order_id) WHERE status IN ('creating', 'open', 'processing')"#,
    r#"CREATE INDEX checkout_session_poll_idx ON checkout_session (next_poll_at) WHERE next_poll_at IS NOT NULL"#,
    r#"CREATE TABLE payment (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        checkout_session_id {text} REFERENCES checkout_session (id),
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        provider_payment_id {text} NOT NULL,
        provider_charge_id {text},
        status {text} NOT NULL CHECK (status IN ('processing', 'authorized', 'captured', 'voided', 'failed', 'expired')),
        amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
        currency {text} NOT NULL CHECK (length(currency) = 3),
        captured_minor {int} NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
        refunded_minor {int} NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
        refund_reserved_minor {int} NOT NULL DEFAULT 0 CHECK (refund_reserved_minor >= 0),
        refunded_external_minor {int} NOT NULL DEFAULT 0 CHECK (refunded_external_minor >= 0),
        dispute_withdrawn_minor {int} NOT NULL DEFAULT 0 CHECK (dispute_withdrawn_minor >= 0),
        dispute_reinstated_minor {int} NOT NULL DEFAULT 0 CHECK (dispute_reinstated_minor >= 0),
        belongs {bool} NOT NULL,
        failure_code {text},
        next_poll_at {int},
        lease_until {int},
        lease_token {text},
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        CONSTRAINT payment_provider_key UNIQUE (provider_account_id, provider_payment_id)
    ) {strict}"#,
    r#"CREATE INDEX payment_order_idx ON payment (order_id)"#,
    r#"CREATE INDEX payment_shop_idx ON payment (shop_id, id)"#,
    r#"CREATE INDEX payment_charge_idx ON payment (provider_account_id, provider_charge_id) WHERE provider_charge_id IS NOT NULL"#,
    r#"CREATE TABLE provider_fact (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        object_id {text} NOT NULL,
        kind {text} NOT NULL,
        amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
        currency {text} NOT NULL CHECK (length(currency) IN (0, 3)),
        intent_id {text},
        checkout_session_id {text} REFERENCES checkout_session (id),
        refund_id {text},
        code {text},
        source_kind {text} NOT NULL CHECK (source_kind IN ('webhook', 'poll', 'call', 'reconcile', 'decision')),
        source_id {text} NOT NULL,
        created_at {int} NOT NULL,
        CONSTRAINT provider_fact_key UNIQUE (provider_account_id, object_id, kind, amount_minor, currency)
    ) {strict}"#,
    r#"CREATE INDEX provider_fact_order_idx ON provider_fact (order_id, id)"#,
    r#"CREATE TABLE review (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} REFERENCES "order" (id),
        reason {text} NOT NULL CHECK (reason IN ('amount_mismatch', 'currency_mismatch', 'paid_after_cancel',
            'duplicate_payment', 'outcome_unknown', 'unmatched_payment', 'dispute', 'provider_declined_refund')),
        subject_id {text} NOT NULL,
        status {text} NOT NULL CHECK (status IN ('open', 'resolved')),
        opened_at {int} NOT NULL,
        resolved_at {int},
        resolved_by {text},
        CONSTRAINT review_subject_key UNIQUE (reason, subject_id)
    ) {strict}"#,
    r#"CREATE INDEX review_order_idx ON review (order_id)"#,
    r#"CREATE INDEX review_open_idx ON review (shop_id, opened_at) WHERE status = 'open'"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE review",
    "DROP TABLE provider_fact",
    "DROP TABLE payment",
    "DROP TABLE checkout_session",
];
