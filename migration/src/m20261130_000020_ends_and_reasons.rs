//! A session that is being created remembers that somebody wants it ended: before the provider has named it, it cannot be
//! asked to end it, and the wish must not be lost. A try of a call remembers in which words the provider refused it.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let up = [
            "ALTER TABLE checkout_session ADD COLUMN end_requested_at {int}",
            "ALTER TABLE provider_attempt ADD COLUMN message {text}",
        ];
        dialect::run(manager, &up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let down = [
            "ALTER TABLE provider_attempt DROP COLUMN message",
            "ALTER TABLE checkout_session DROP COLUMN end_requested_at",
        ];
        dialect::run(manager, &down).await
    }
}
