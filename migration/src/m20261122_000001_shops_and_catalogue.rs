//! Shops, their keys and catalogue, and the provider accounts they are paid through.

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
    r#"CREATE TABLE deployment (
        only_row {int} PRIMARY KEY CHECK (only_row = 1),
        id {text} NOT NULL,
        created_at {int} NOT NULL
    ) {strict}"#,
    r#"CREATE TABLE shop (
        id {text} PRIMARY KEY,
        name {text} NOT NULL,
        mode {text} NOT NULL CHECK (mode IN ('test', 'live')),
        next_number {int} NOT NULL DEFAULT 1001 CHECK (next_number >= 1001),
        event_position {int} NOT NULL DEFAULT 0 CHECK (event_position >= 0),
        allowed_origins {text} NOT NULL DEFAULT '[]',
        created_at {int} NOT NULL,
        CONSTRAINT shop_name_key UNIQUE (name)
    ) {strict}"#,
    r#"CREATE TABLE api_key (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        kind {text} NOT NULL CHECK (kind IN ('secret', 'publishable')),
        scopes {text} NOT NULL,
        secret_hash {text} NOT NULL CHECK (length(secret_hash) = 64),
        last4 {text} NOT NULL,
        created_at {int} NOT NULL,
        revoked_at {int}
    ) {strict}"#,
    r#"CREATE INDEX api_key_shop_idx ON api_key (shop_id, id)"#,
    r#"CREATE TABLE provider_account (
        id {text} PRIMARY KEY,
        owner_shop_id {text} REFERENCES shop (id),
        provider {text} NOT NULL,
        mode {text} NOT NULL CHECK (mode IN ('test', 'live')),
        is_default {bool} NOT NULL,
        external_account_id {text},
        name {text} NOT NULL,
        created_at {int} NOT NULL
    ) {strict}"#,
    r#"CREATE UNIQUE INDEX provider_account_default_key ON provider_account (provider, mode) WHERE is_default"#,
    r#"CREATE TABLE product (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        sku {text} NOT NULL CHECK (length(sku) BETWEEN 1 AND 64),
        name {text} NOT NULL,
        description {text},
        tax_category {text} NOT NULL DEFAULT 'standard',
        active {bool} NOT NULL,
        on_hand {int} CHECK (on_hand >= 0),
        created_at {int} NOT NULL,
        updated_at {int} NOT NULL,
        CONSTRAINT product_sku_key UNIQUE (shop_id, sku)
    ) {strict}"#,
    r#"CREATE TABLE price (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        product_id {text} NOT NULL REFERENCES product (id) ON DELETE CASCADE,
        currency {text} NOT NULL CHECK (length(currency) = 3),
        amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
        created_at {int} NOT NULL,
        CONSTRAINT price_currency_key UNIQUE (product_id, currency)
    ) {strict}"#,
];

const DOWN: &[&str] = &[
    "DROP TABLE price",
    "DROP TABLE product",
    "DROP TABLE provider_account",
    "DROP TABLE api_key",
    "DROP TABLE shop",
    "DROP TABLE deployment",
];
