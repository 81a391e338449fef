//! PostgreSQL: two more references that say little and cost much, and a cheaper way to store long values.
//!
//! References: of a session and of a provider's event to the account. There is one account for thousands of them, so all
//! that is written at the same time meets at its row, and the server notes in a list of its own who holds it. Accounts are
//! never deleted, and both rows are written by who has just read theirs.
//!
//! Long values: a provider's events and what is told about an order are longer than a row may be without being
//! compressed. The server's own way takes longer for that than to write the row; `lz4` takes a fifth, where the server has
//! it. What is stored already stays as it is, and is read all the same.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DatabaseBackend, Statement};

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::drop_references(manager, TO_ACCOUNTS).await?;
        compress(manager, "lz4").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        compress(manager, "default").await?;
        dialect::restore_references(manager, TO_ACCOUNTS).await
    }
}

const TO_ACCOUNTS: &[dialect::Reference] = &[
    (
        "checkout_session",
        "provider_account_id",
        "provider_account",
    ),
    ("provider_event", "provider_account_id", "provider_account"),
];

const LONG: &[(&str, &str)] = &[
    ("provider_event", "raw"),
    ("provider_call", "body"),
    ("event", "data"),
    ("idempotency_key", "answer_body"),
];

/// How long values are compressed from now on.
async fn compress(manager: &SchemaManager<'_>, how: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        return Ok(());
    }
    // A server may be built without it, and one that is older does not know the setting.
    let ways = "SELECT name FROM pg_catalog.pg_settings \
                WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)";
    let ways = Statement::from_string(DatabaseBackend::Postgres, ways);
    if connection.query_one_raw(ways).await?.is_none() {
        return Ok(());
    }
    for (table, column) in LONG {
        let sql = format!("ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION {how}");
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}
