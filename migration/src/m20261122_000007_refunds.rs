//! Refunds, and what calls need so that a capture, a void and a refund happen once.

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
    r#"CREATE TABLE refund (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        payment_id {text} NOT NULL REFERENCES payment (id),
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        provider_refund_id {text},
        amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
        currency {text} NOT NULL CHECK (length(currency) = 3),
        reason {text} CHECK (reason IN ('duplicate', 'fraudulent', 'requested_by_customer')),
        status {text} NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
        failure_reason {text},
        origin {text} NOT NULL CHECK (origin IN ('request', 'policy', 'provider')),
        request_id {text},
        actor {text} NOT NULL,
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        CONSTRAINT refund_provider_key UNIQUE (provider_account_id, provider_refund_id)
    ) {strict}"#,
    r#"CREATE INDEX refund_order_idx ON refund (order_id)"#,
    r#"CREATE INDEX refund_payment_idx ON refund (payment_id)"#,
    r#"CREATE INDEX refund_shop_idx ON refund (shop_id, id)"#,
    r#"CREATE TABLE refund_line (
        refund_id {text} NOT NULL REFERENCES refund (id),
        line_item_id {text} NOT NULL REFERENCES line_item (id),
        shop_id {text} NOT NULL REFERENCES shop (id),
        quantity {int} NOT NULL CHECK (quantity >= 1),
        amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
        PRIMARY KEY (refund_id, line_item_id)
    ) {strict}"#,
    r#"CREATE UNIQUE INDEX provider_call_one_refund_key ON provider_call (subject_id)
        WHERE kind = 'refund_create'"#,
    r#"CREATE UNIQUE INDEX provider_call_one_ending_key ON provider_call (subject_id)
        WHERE kind IN ('payment_capture', 'payment_void') AND status <> 'declined'"#,
    r#"ALTER TABLE provider_call ADD COLUMN review_at {int}"#,
    r#"CREATE INDEX provider_call_review_idx ON provider_call (order_id) WHERE review_at IS NOT NULL"#,
    r#"ALTER TABLE "order" ADD COLUMN close_next_at {int}"#,
    r#"ALTER TABLE payment ADD COLUMN poll_count {int} NOT NULL DEFAULT 0"#,
    r#"CREATE INDEX payment_poll_idx ON payment (next_poll_at) WHERE next_poll_at IS NOT NULL"#,
];

const DOWN: &[&str] = &[
    "DROP INDEX payment_poll_idx",
    "ALTER TABLE payment DROP COLUMN poll_count",
    r#"ALTER TABLE "order" DROP COLUMN close_next_at"#,
    "DROP INDEX provider_call_review_idx",
    "ALTER TABLE provider_call DROP COLUMN review_at",
    "DROP INDEX provider_call_one_ending_key",
    "DROP INDEX provider_call_one_refund_key",
    "DROP TABLE refund_line",
    "DROP TABLE refund",
];
