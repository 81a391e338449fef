//! What staff look at every day is found through an index of its own: orders with a question, orders that wait for
//! their payment, orders by the time they were paid, and orders of which money went back. Each holds only such orders.

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
    r#"CREATE INDEX order_in_review_idx ON "order" (shop_id, id) WHERE review IS NOT NULL"#,
    // With the two words among its columns, SQLite takes it before the indexes over one of them.
    r#"CREATE INDEX order_waiting_idx ON "order" (shop_id, status, payment_status, id)
        WHERE status = 'open' AND payment_status = 'unpaid'"#,
    r#"CREATE INDEX order_paid_at_idx ON "order" (shop_id, paid_at, id) WHERE paid_at IS NOT NULL"#,
    r#"CREATE INDEX order_refunded_idx ON "order" (shop_id, id) WHERE refunded_minor > 0"#,
];

const DOWN: &[&str] = &[
    "DROP INDEX order_refunded_idx",
    "DROP INDEX order_paid_at_idx",
    "DROP INDEX order_waiting_idx",
    "DROP INDEX order_in_review_idx",
];
