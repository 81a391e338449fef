//! The index of orders whose time may be up has only those that can run out of it: unpaid ones.
//!
//! It had all open ones, and an order stays open after it is paid, until it is fulfilled. A shop that ships elsewhere has
//! each of them for ever, past their time, and twice a second all of them were gone through.

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
        // What the query says, word for word: see the program's module `closing`. The old one goes last: then nobody reads
        // meanwhile, and only for a moment.
        let up = [
            r#"CREATE INDEX order_overdue_idx ON "order" (expires_at)
            WHERE status = 'open' AND payment_status || '' = 'unpaid' AND total_minor > 0"#,
            "DROP INDEX order_expiry_idx",
        ];
        dialect::run(manager, &up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::take_time(manager).await?;
        let down = [
            r#"CREATE INDEX order_expiry_idx ON "order" (expires_at) WHERE status = 'open'"#,
            "DROP INDEX order_overdue_idx",
        ];
        dialect::run(manager, &down).await
    }
}
