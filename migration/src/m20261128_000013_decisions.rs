//! Decisions by people about open questions, and notes on orders.

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
        dialect::run(manager, UP).await?;
        let said =
            "id, shop_id, order_id, review_id, opening, resolution, actor, request_id, created_at";
        dialect::append_only_but(manager, "review_decision", "note", said).await?;
        let said = "id, shop_id, order_id, author, request_id, created_at";
        dialect::append_only_but(manager, "order_note", "body", said).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await?;
        dialect::forget_append_only_but(manager).await
    }
}

// A question has a number for each time it was opened: what was decided of one time says nothing of the next.
const UP: &[&str] = &[
    "ALTER TABLE review ADD COLUMN opening {int} NOT NULL DEFAULT 1",
    "ALTER TABLE review ADD COLUMN acknowledged {bool} NOT NULL DEFAULT FALSE",
    "ALTER TABLE review ADD COLUMN resolution {text}",
    "ALTER TABLE review ADD COLUMN due_at {int}",
    "CREATE INDEX review_acknowledged_idx ON review (order_id) WHERE acknowledged",
    r#"CREATE TABLE review_decision (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        review_id {text} NOT NULL REFERENCES review (id),
        opening {int} NOT NULL CHECK (opening >= 1),
        resolution {text} NOT NULL CHECK (resolution IN ('accept', 'refund', 'release', 'refund_again', 'acknowledge')),
        note {text} CHECK (length(note) BETWEEN 1 AND 2000),
        actor {text} NOT NULL,
        request_id {text},
        created_at {int} NOT NULL
    ) {strict}"#,
    // These end a question at once; what asks the provider for something may have to be decided again.
    "CREATE UNIQUE INDEX review_decision_once_key ON review_decision (review_id, opening) \
     WHERE resolution IN ('accept', 'acknowledge')",
    "CREATE INDEX review_decision_order_idx ON review_decision (order_id)",
    "CREATE INDEX review_decision_review_idx ON review_decision (review_id)",
    r#"CREATE TABLE order_note (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        body {text} CHECK (length(body) BETWEEN 1 AND 2000),
        author {text} NOT NULL,
        request_id {text},
        created_at {int} NOT NULL
    ) {strict}"#,
    "CREATE INDEX order_note_order_idx ON order_note (order_id, id)",
];

const DOWN: &[&str] = &[
    "DROP TABLE order_note",
    "DROP TABLE review_decision",
    "DROP INDEX review_acknowledged_idx",
    "ALTER TABLE review DROP COLUMN due_at",
    "ALTER TABLE review DROP COLUMN resolution",
    "ALTER TABLE review DROP COLUMN acknowledged",
    "ALTER TABLE review DROP COLUMN opening",
];
