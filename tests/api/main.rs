//! The integration tests: one binary, run on SQLite and again on PostgreSQL.
//!
//! `TILL_TEST_DATABASE` is `sqlite` (the default) or the URL of a PostgreSQL server whose user may create
//! databases; `tests/run` starts one.

mod architecture;
mod bad_input;
mod batching;
mod browsers;
mod catalogue;
mod checkout_sets;
mod checkouts;
mod closing;
mod disputes;
mod docs;
mod edge;
mod events;
mod harness;
mod idempotency;
mod keys;
mod ledger;
mod lists;
mod lost_creations;
mod metrics;
mod migrations;
mod openapi;
mod orders;
mod outage;
mod pay_page;
mod payments;
mod problems;
mod races;
mod recovery;
mod refunds;
mod replay;
mod search;
mod set_aside;
mod smoke;
mod staff_actions;
mod staff_again;
mod staff_audit;
mod staff_forms;
mod staff_money;
mod staff_orders;
mod staff_people;
mod staff_reviews;
mod staff_routes;
mod staff_sessions;
mod staff_told;
mod staff_typed;
mod staff_ways;
mod store;
mod storm;
mod tenancy;
mod throttles;
mod timeline;
mod verify;
mod webhooks;
