//! Facts by their order, and on SQLite events at their places.
//!
//! A fact was unique by its account and object over all orders. Sessions have random ids, so each fact about one went
//! to another place of an index as long as the table; that was a fifth of what a webhook wrote. Now a fact is unique
//! within its order, next to the order's other facts, and the same index finds them by their order. An object is only
//! ever one order's: a session's and a payment's id are unique by account, and what carries money stays unique over all
//! orders. (Should one without money be two orders' all the same, the way down is refused, and nothing is changed.)
//!
//! SQLite cannot part with a table's constraint without the table. What refers to it counts as broken from the drop
//! until the rows are back, which it checks when the transaction ends.
//!
//! Events are placed as they are inserted on SQLite (see the program's module `events`), so those that wait for a place
//! get it now: none may stand in the feed before an older one.
//!
//! On PostgreSQL the search is filled anew: it went through the feed by the texts of its positions, and so passed some
//! when it was more than a hundred behind.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

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
        let change = match manager.get_database_backend() {
            DatabaseBackend::Sqlite => {
                rebuild(manager, "").await?;
                PLACE
            }
            _ => &[
                "ALTER TABLE provider_fact DROP CONSTRAINT provider_fact_key",
                "DELETE FROM search_cursor",
            ],
        };
        dialect::run(manager, change).await?;
        dialect::run(manager, BY_ORDER).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::take_time(manager).await?;
        if manager.get_database_backend() == DatabaseBackend::Sqlite {
            rebuild(manager, &format!(",\n        {OVER_ALL}")).await?;
        } else {
            let drop = [
                "DROP INDEX provider_fact_key",
                "DROP INDEX provider_fact_money_key",
                &format!("ALTER TABLE provider_fact ADD {OVER_ALL}"),
            ];
            dialect::run(manager, &drop).await?;
        }
        let by_order = "CREATE INDEX provider_fact_order_idx ON provider_fact (order_id, id)";
        dialect::run(manager, &[by_order]).await
    }
}

const OVER_ALL: &str = "CONSTRAINT provider_fact_key UNIQUE (provider_account_id, object_id, kind, amount_minor, currency)";

const BY_ORDER: &[&str] = &[
    "DROP INDEX IF EXISTS provider_fact_order_idx",
    "CREATE UNIQUE INDEX provider_fact_key ON provider_fact \
     (order_id, object_id, kind, amount_minor, currency, provider_account_id)",
    "CREATE UNIQUE INDEX provider_fact_money_key ON provider_fact \
     (provider_account_id, object_id, kind, amount_minor, currency) WHERE currency <> ''",
];

/// SQLite: the end of a shop's feed is not before the last event in it.
const REACH_THE_LAST: &str = "UPDATE shop SET event_position = max(event_position, COALESCE((SELECT max(position) \
    FROM event WHERE shop_id = shop.id AND position IS NOT NULL), 0))";

const PLACE: &[&str] = &[
    // First: were it behind, as after a restoration in part, places would be given twice.
    REACH_THE_LAST,
    "UPDATE event SET position = placed.position FROM (SELECT e.id AS id, s.event_position + row_number() \
     OVER (PARTITION BY e.shop_id ORDER BY e.id) AS position FROM event AS e JOIN shop AS s ON s.id = e.shop_id \
     WHERE e.position IS NULL) AS placed WHERE event.id = placed.id",
    REACH_THE_LAST,
];

/// SQLite: makes the table anew, with a constraint or without.
async fn rebuild(manager: &SchemaManager<'_>, constraint: &str) -> Result<(), DbErr> {
    let table = TABLE.replace("{constraint}", constraint);
    let steps = [
        "PRAGMA defer_foreign_keys = ON",
        "CREATE TABLE kept_fact AS SELECT * FROM provider_fact",
        "DROP TABLE provider_fact",
        table.as_str(),
        "INSERT INTO provider_fact SELECT * FROM kept_fact ORDER BY id",
        "DROP TABLE kept_fact",
    ];
    dialect::run(manager, &steps).await
}

const TABLE: &str = r#"CREATE TABLE provider_fact (
        id {text} PRIMARY KEY,
        shop_id {text} NOT NULL REFERENCES shop (id),
        order_id {text} NOT NULL REFERENCES "order" (id),
        provider_account_id {text} NOT NULL REFERENCES provider_account (id),
        object_id {text} NOT NULL,
        kind {text} NOT NULL,
        amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
        currency {text} NOT NULL CHECK (length(currency) IN (0, 3)),
        intent_id {text},
        checkout_session_id {text} REFERENCES checkout_session (id),
        refund_id {text},
        code {text},
        source_kind {text} NOT NULL CHECK (source_kind IN ('webhook', 'poll', 'call', 'reconcile', 'decision')),
        source_id {text} NOT NULL,
        created_at {int} NOT NULL{constraint}
    ) {strict}"#;
