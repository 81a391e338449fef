//! What we asked providers to do, and what they told us.

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
    r#"CREATE TABLE provider_call (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        kind {text} NOT NULL,
        subject_id {text} NOT NULL,
        idempotency_key {text} NOT NULL,
        method {text} NOT NULL,
        path {text} NOT NULL,
        body {bytes},
        api_version {text} NOT NULL,
        status {text} NOT NULL CHECK (status IN ('sending', 'succeeded', 'declined', 'unknown')),
        attempt_count {int} NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
        next_at {int},
        lease_until {int},
        lease_token {text},
        cause {text} NOT NULL,
        request_id {text},
        actor {text} NOT NULL,
        created_at {int} NOT NULL,
        finished_at {int},
        CONSTRAINT provider_call_key_key UNIQUE (provider_account_id, idempotency_key)
    ) {strict}"#,
    r#"CREATE INDEX provider_call_due_idx ON provider_call (next_at) WHERE status IN ('sending', 'unknown')"#,
    r#"CREATE INDEX provider_call_subject_idx ON provider_call (subject_id)"#,
    r#"CREATE INDEX provider_call_order_idx ON provider_call (order_id)"#,
    r#"CREATE TABLE provider_attempt (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        provider_call_id {text} NOT NULL REFERENCES provider_call (id),
        number {int} NOT NULL CHECK (number >= 1),
        started_at {int} NOT NULL,
        duration_ms {int} NOT NULL,
        http_status {int},
        outcome {text} NOT NULL,
        provider_request_id {text},
        CONSTRAINT provider_attempt_number_key UNIQUE (provider_call_id, number)
    ) {strict}"#,
    r#"CREATE TABLE provider_event (
        id {text} PRIMARY KEY,
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        event_id {text} NOT NULL,
        shop_id {text} REFERENCES shop (id),
        order_id {text} REFERENCES "order" (id),
        checkout_session_id {text} REFERENCES checkout_session (id),
        type {text} NOT NULL,
        raw {bytes},
        signature {text},
        secret_index {int} NOT NULL,
        api_version {text},
        livemode {bool} NOT NULL,
        object_id {text},
        intent_id {text},
        charge_id {text},
        verdict {text} NOT NULL
            CHECK (verdict IN ('applied', 'pending', 'quarantined', 'foreign', 'ignored', 'dead')),
        reason {text},
        attempt_count {int} NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
        next_at {int},
        lease_until {int},
        lease_token {text},
        request_id {text},
        received_at {int} NOT NULL,
        settled_at {int},
        CONSTRAINT provider_event_key UNIQUE (provider_account_id, event_id)
    ) {strict}"#,
    r#"CREATE INDEX provider_event_due_idx ON provider_event (next_at) WHERE next_at IS NOT NULL"#,
    r#"CREATE INDEX provider_event_order_idx ON provider_event (order_id) WHERE order_id IS NOT NULL"#,
    r#"CREATE INDEX provider_event_intent_idx ON provider_event (provider_account_id, intent_id) WHERE verdict IN ('pending', 'foreign') AND intent_id IS NOT NULL"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE provider_event",
    "DROP TABLE provider_attempt",
    "DROP TABLE provider_call",
];
