//! Till's schema, for SQLite and PostgreSQL.
//!
//! A migration is SQL with a few words that differ between the engines (see the module `dialect`); it runs in one
//! transaction on both, so a failure half-way leaves nothing behind. A released migration is never edited.

pub use sea_orm_migration::prelude::*;

mod dialect;
mod m20261122_000001_shops_and_catalogue;
mod m20261122_000002_orders;
mod m20261122_000003_payments;
mod m20261122_000004_provider_calls_and_inbox;
mod m20261122_000005_ledger_and_events;
mod m20261122_000006_order_terms;
mod m20261122_000007_refunds;
mod m20261122_000008_given_up_events;
mod m20261122_000009_refunds_of_suspense;
mod m20261128_000010_known_prices_and_terms;
mod m20261128_000011_staff;
mod m20261128_000012_console;
mod m20261128_000013_decisions;
mod m20261128_000014_lists;
mod m20261128_000015_repeats_and_outcomes;
mod m20261129_000016_less_to_write;
mod m20261129_000017_cheaper_rows;
mod m20261130_000018_facts_by_order;
mod m20261130_000019_overdue_orders;
mod m20261130_000020_ends_and_reasons;
mod m20261130_000021_given_rows;
mod m20261130_000022_refunds_made_elsewhere;
mod m20261130_000023_marks_of_keys;
mod m20261130_000024_products_by_id;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_shops_and_catalogue::Migration),
            Box::new(m20261122_000002_orders::Migration),
            Box::new(m20261122_000003_payments::Migration),
            Box::new(m20261122_000004_provider_calls_and_inbox::Migration),
            Box::new(m20261122_000005_ledger_and_events::Migration),
            Box::new(m20261122_000006_order_terms::Migration),
            Box::new(m20261122_000007_refunds::Migration),
            Box::new(m20261122_000008_given_up_events::Migration),
            Box::new(m20261122_000009_refunds_of_suspense::Migration),
            Box::new(m20261128_000010_known_prices_and_terms::Migration),
            Box::new(m20261128_000011_staff::Migration),
            Box::new(m20261128_000012_console::Migration),
            Box::new(m20261128_000013_decisions::Migration),
            Box::new(m20261128_000014_lists::Migration),
            Box::new(m20261128_000015_repeats_and_outcomes::Migration),
            Box::new(m20261129_000016_less_to_write::Migration),
            Box::new(m20261129_000017_cheaper_rows::Migration),
            Box::new(m20261130_000018_facts_by_order::Migration),
            Box::new(m20261130_000019_overdue_orders::Migration),
            Box::new(m20261130_000020_ends_and_reasons::Migration),
            Box::new(m20261130_000021_given_rows::Migration),
            Box::new(m20261130_000022_refunds_made_elsewhere::Migration),
            Box::new(m20261130_000023_marks_of_keys::Migration),
            Box::new(m20261130_000024_products_by_id::Migration),
        ]
    }
}
