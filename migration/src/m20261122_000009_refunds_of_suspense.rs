//! Whether a refund was asked for while its payment was the order's.
//!
//! Of refunds made before, one that somebody asked for counts as such a refund: that is how their orders stand.

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
    "ALTER TABLE refund ADD COLUMN payment_belonged {bool} NOT NULL DEFAULT FALSE",
    "UPDATE refund SET payment_belonged = TRUE WHERE origin = 'request'",
];

const DOWN: &[&str] = &["ALTER TABLE refund DROP COLUMN payment_belonged"];
