//! Which refund another one was sent for again, and what became of what the audit log says somebody did.

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
        dialect::append_only(manager, "audit_outcome").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The trigger goes with its table; its function still serves the ledger.
        dialect::run(manager, DOWN).await
    }
}

const UP: &[&str] = &[
    // Without a reference: SQLite could not drop the column again.
    "ALTER TABLE refund ADD COLUMN repeats_id {text}",
    // An entry stands before its act begins. It has one outcome at most, and none if nobody lived to write it.
    r#"CREATE TABLE audit_outcome (
        id {text} PRIMARY KEY REFERENCES audit_entry (id),
        outcome {text} NOT NULL CHECK (outcome IN ('done', 'repeated', 'refused', 'unknown', 'failed')),
        code {text} CHECK (length(code) BETWEEN 1 AND 100),
        at {int} NOT NULL,
        CONSTRAINT audit_outcome_code CHECK (code IS NOT NULL OR outcome NOT IN ('refused', 'failed'))
    ) {strict}"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE audit_outcome",
    "ALTER TABLE refund DROP COLUMN repeats_id",
];
