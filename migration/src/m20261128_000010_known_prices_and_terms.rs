//! Each shop's catalogue has a version, so that a price a process knows can be checked without being read again; and
//! search terms are found by themselves only: who wants an order's terms makes them anew from its rows, and the index
//! by order was half of what an order's search cost.

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
    "ALTER TABLE shop ADD COLUMN catalogue_version {int} NOT NULL DEFAULT 0",
    "DROP INDEX order_term_order_idx",
];

const DOWN: &[&str] = &[
    "CREATE INDEX order_term_order_idx ON order_term (order_id)",
    "ALTER TABLE shop DROP COLUMN catalogue_version",
];
