//! Orders, their lines, and the answers kept for repeated requests.

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
    r#"CREATE TABLE "order" (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        number {int} NOT NULL CHECK (number >= 1001),
        reference {text} CHECK (length(reference) BETWEEN 1 AND 64),
        status {text} NOT NULL CHECK (status IN ('open', 'completed', 'cancelled', 'expired')),
        payment_status {text} NOT NULL CHECK (payment_status IN ('unpaid', 'pending', 'authorized',
            'partially_paid', 'paid', 'partially_refunded', 'refunded', 'disputed', 'charged_back')),
        fulfilment_status {text} NOT NULL
            CHECK (fulfilment_status IN ('unfulfilled', 'partially_fulfilled', 'fulfilled')),
        review {text},
        currency {text} NOT NULL CHECK (length(currency) = 3),
        tax_included {bool} NOT NULL,
        subtotal_minor {int} NOT NULL CHECK (subtotal_minor >= 0),
        discount_minor {int} NOT NULL CHECK (discount_minor >= 0),
        shipping_minor {int} NOT NULL CHECK (shipping_minor >= 0),
        tax_minor {int} NOT NULL CHECK (tax_minor >= 0),
        total_minor {int} NOT NULL CHECK (total_minor BETWEEN 0 AND 1000000000000),
        authorized_minor {int} NOT NULL DEFAULT 0 CHECK (authorized_minor >= 0),
        paid_minor {int} NOT NULL DEFAULT 0 CHECK (paid_minor >= 0),
        refunded_minor {int} NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
        disputed_minor {int} NOT NULL DEFAULT 0,
        customer_email {text},
        customer_name {text},
        shipping_address {text},
        billing_address {text},
        metadata {text} NOT NULL,
        token_key {int} NOT NULL,
        event_seq {int} NOT NULL CHECK (event_seq >= 0),
        paid_at {int},
        cancel_requested_at {int},
        expires_at {int} NOT NULL,
        request_id {text},
        actor {text} NOT NULL,
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        CONSTRAINT order_number_key UNIQUE (shop_id, number),
        CONSTRAINT order_reference_key UNIQUE (shop_id, reference),
        CONSTRAINT order_total_is_its_parts CHECK (total_minor = subtotal_minor - discount_minor
            + shipping_minor + CASE WHEN tax_included THEN 0 ELSE tax_minor END)
    ) {strict}"#,
    r#"CREATE INDEX order_shop_idx ON "order" (shop_id, id)"#,
    r#"CREATE INDEX order_status_idx ON "order" (shop_id, status, id)"#,
    r#"CREATE INDEX order_payment_status_idx ON "order" (shop_id, payment_status, id)"#,
    r#"CREATE INDEX order_fulfilment_status_idx ON "order" (shop_id, fulfilment_status, id)"#,
    r#"CREATE INDEX order_review_idx ON "order" (shop_id, review, id) WHERE review IS NOT NULL"#,
    r#"CREATE INDEX order_email_idx ON "order" (shop_id, lower(customer_email), id) WHERE customer_email IS NOT NULL"#,
    r#"CREATE INDEX order_expiry_idx ON "order" (expires_at) WHERE status = 'open'"#,
    r#"CREATE TABLE line_item (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        position {int} NOT NULL CHECK (position >= 0),
        sku {text},
        name {text} NOT NULL,
        quantity {int} NOT NULL CHECK (quantity BETWEEN 1 AND 9999),
        unit_price_minor {int} NOT NULL CHECK (unit_price_minor >= 0),
        subtotal_minor {int} NOT NULL CHECK (subtotal_minor = quantity * unit_price_minor),
        discount_minor {int} NOT NULL CHECK (discount_minor >= 0),
        tax_minor {int} NOT NULL CHECK (tax_minor >= 0),
        total_minor {int} NOT NULL CHECK (total_minor >= 0),
        refunded_quantity {int} NOT NULL DEFAULT 0
            CHECK (refunded_quantity >= 0 AND refunded_quantity <= quantity),
        created_at {int} NOT NULL,
        CONSTRAINT line_item_position_key UNIQUE (order_id, position)
    ) {strict}"#,
    r#"CREATE TABLE idempotency_key (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        key_kind {text} NOT NULL CHECK (key_kind IN ('secret', 'publishable')),
        route {text} NOT NULL,
        key {text} NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
        fingerprint {text} NOT NULL CHECK (length(fingerprint) = 64),
        resource_id {text} NOT NULL,
        status {text} NOT NULL CHECK (status IN ('bound', 'final')),
        answer_status {int},
        answer_body {text},
        created_at {int} NOT NULL,
        CONSTRAINT idempotency_key_key UNIQUE (shop_id, key_kind, route, key),
        CONSTRAINT idempotency_key_final_has_answer
            CHECK (status = 'bound' OR (answer_status IS NOT NULL AND answer_body IS NOT NULL))
    ) {strict}"#,
    r#"CREATE INDEX idempotency_key_age_idx ON idempotency_key (created_at)"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE idempotency_key",
    "DROP TABLE line_item",
    r#"DROP TABLE "order""#,
];
