//! The words orders are found by, and how far each shop's feed is in them: from its beginning at first, so that
//! orders placed before this migration are found too.

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
    r#"CREATE TABLE order_term (
        shop_id {text} NOT NULL REFERENCES shop (id),
        term {text} NOT NULL CHECK (length(term) BETWEEN 1 AND 64),
        order_id {text} NOT NULL REFERENCES "order" (id),
        PRIMARY KEY (shop_id, term, order_id)
    ) {clustered}"#,
    "CREATE INDEX order_term_order_idx ON order_term (order_id)",
    r#"CREATE TABLE search_cursor (
        shop_id {text} PRIMARY KEY REFERENCES shop (id),
        position {int} NOT NULL CHECK (position >= 0)
    ) {strict}"#,
];

const DOWN: &[&str] = &["DROP TABLE search_cursor", "DROP TABLE order_term"];
