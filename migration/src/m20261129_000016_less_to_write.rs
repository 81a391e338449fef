//! What is written with each row and nobody needs.
//!
//! An index: a shop's events by their ids. They are read by order or by position, and each was entered twice, when it
//! was written and when it got its position. Without it there is also no choice how those without a position are found.
//!
//! References, on PostgreSQL: it checks each one of each new row with a query of its own, which also locks the row
//! referred to. For a paid order that was a quarter of what the database did, and every change in a shop met every
//! other one at the shop's row. No row that others refer to is ever deleted, so a reference only shows that its row was
//! there once; what is written comes from rows that were read under the lock of their order. Each of these tables still
//! refers to what its rows belong to: a line, a session, a call, a fact and an event to their order, an order to its
//! shop. What goes are the references beside that way, to a shop, an account or a session, and those of the search index
//! and of keys. SQLite keeps all of them: they cost little there, and it could only lose them with their tables.

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
        dialect::run(manager, &["DROP INDEX event_shop_idx"]).await?;
        dialect::drop_references(manager, SHORTCUTS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(
            manager,
            &["CREATE INDEX event_shop_idx ON event (shop_id, id)"],
        )
        .await?;
        dialect::restore_references(manager, SHORTCUTS).await
    }
}

const SHORTCUTS: &[dialect::Reference] = &[
    ("idempotency_key", "shop_id", "shop"),
    ("line_item", "shop_id", "shop"),
    ("event", "shop_id", "shop"),
    ("order_term", "shop_id", "shop"),
    ("order_term", "order_id", r#""order""#),
    ("checkout_session", "shop_id", "shop"),
    ("payment", "shop_id", "shop"),
    ("payment", "provider_account_id", "provider_account"),
    ("provider_fact", "shop_id", "shop"),
    ("provider_fact", "provider_account_id", "provider_account"),
    ("provider_fact", "checkout_session_id", "checkout_session"),
    ("provider_call", "shop_id", "shop"),
    ("provider_call", "provider_account_id", "provider_account"),
    ("provider_attempt", "shop_id", "shop"),
    ("provider_event", "shop_id", "shop"),
    ("provider_event", "checkout_session_id", "checkout_session"),
    ("ledger_transaction", "shop_id", "shop"),
    ("ledger_entry", "shop_id", "shop"),
    ("ledger_entry", "order_id", r#""order""#),
];
