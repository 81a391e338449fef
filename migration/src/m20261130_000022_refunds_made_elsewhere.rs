//! Whether a refund was begun of money that was the order's is remembered of those made at the provider, too: of an order
//! that was opened again, money that somebody gives back while it is nobody's stays out, and other money stays in.

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
        let up = ["UPDATE refund SET payment_belonged = \
             (SELECT payment.belongs FROM payment WHERE payment.id = refund.payment_id) \
             WHERE origin = 'provider'"];
        dialect::take_time(manager).await?;
        dialect::run(manager, &up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::take_time(manager).await?;
        let down = ["UPDATE refund SET payment_belonged = FALSE WHERE origin = 'provider'"];
        dialect::run(manager, &down).await
    }
}
