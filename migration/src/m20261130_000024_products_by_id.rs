//! A shop's products are found by their ids, in whose order its lists show them.
//!
//! They were found by the shop alone, and each page sorted all of a catalogue.

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
        dialect::take_time(manager).await?;
        let up = ["CREATE INDEX product_shop_idx ON product (shop_id, id)"];
        dialect::run(manager, &up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, &["DROP INDEX product_shop_idx"]).await
    }
}
