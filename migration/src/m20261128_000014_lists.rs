//! What staff list: a shop's calls, newest first, and the events of the provider that something is to be done about,
//! however many were applied. Events that are applied at once, as nearly all are, pay for neither.

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
    "CREATE INDEX provider_call_shop_idx ON provider_call (shop_id, id)",
    "CREATE INDEX provider_event_open_idx ON provider_event (verdict, id) \
     WHERE verdict IN ('pending', 'quarantined', 'dead')",
];

const DOWN: &[&str] = &[
    "DROP INDEX provider_event_open_idx",
    "DROP INDEX provider_call_shop_idx",
];
