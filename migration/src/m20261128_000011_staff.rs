//! Staff of the console, their sessions, and the record of what they saw and did, which only grows.

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
        dialect::append_only(manager, "audit_entry").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The trigger goes with its table; its function still serves the ledger.
        dialect::run(manager, DOWN).await
    }
}

const UP: &[&str] = &[
    r#"CREATE TABLE staff_user (
        id {text} PRIMARY KEY,
        email {text} NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
        name {text} NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
        role {text} NOT NULL CHECK (role IN ('viewer', 'operator', 'finance', 'admin')),
        password_hash {text} NOT NULL CHECK (length(password_hash) > 64),
        shop_id {text} REFERENCES shop (id),
        password_changed_at {int} NOT NULL,
        last_signed_in_at {int},
        disabled_at {int},
        created_at {int} NOT NULL,
        CONSTRAINT staff_user_email_key UNIQUE (email),
        CONSTRAINT staff_user_admin_of_all CHECK (shop_id IS NULL OR role <> 'admin')
    ) {strict}"#,
    r#"CREATE TABLE staff_session (
        id {text} PRIMARY KEY,
        staff_id {text} NOT NULL REFERENCES staff_user (id),
        token_hash {text} NOT NULL CHECK (length(token_hash) = 64),
        address {text} NOT NULL,
        user_agent {text} NOT NULL CHECK (length(user_agent) <= 200),
        created_at {int} NOT NULL,
        last_seen_at {int} NOT NULL,
        expires_at {int} NOT NULL,
        ended_at {int},
        CONSTRAINT staff_session_token_key UNIQUE (token_hash)
    ) {strict}"#,
    r#"CREATE INDEX staff_session_staff_idx ON staff_session (staff_id, id)"#,
    r#"CREATE INDEX staff_session_expiry_idx ON staff_session (expires_at)"#,
    r#"CREATE TABLE audit_entry (
        id {text} PRIMARY KEY,
        shop_id {text} REFERENCES shop (id),
        staff_id {text} REFERENCES staff_user (id),
        actor {text} NOT NULL CHECK (length(actor) > 0),
        action {text} NOT NULL CHECK (length(action) > 0),
        object_type {text},
        object_id {text},
        address {text},
        request_id {text},
        detail {text} NOT NULL,
        at {int} NOT NULL,
        CONSTRAINT audit_entry_object CHECK ((object_type IS NULL) = (object_id IS NULL))
    ) {strict}"#,
    r#"CREATE INDEX audit_entry_shop_idx ON audit_entry (shop_id, id)"#,
    r#"CREATE INDEX audit_entry_staff_idx ON audit_entry (staff_id, id)"#,
    r#"CREATE INDEX audit_entry_object_idx ON audit_entry (object_id, id)"#,
    r#"CREATE INDEX audit_entry_action_idx ON audit_entry (action, id)"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE audit_entry",
    "DROP TABLE staff_session",
    "DROP TABLE staff_user",
];
