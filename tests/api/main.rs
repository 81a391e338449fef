//! The integration tests: one binary, run on SQLite and again on PostgreSQL.
//!
//! `TILL_TEST_DATABASE` is `sqlite` (the default) or the URL of a PostgreSQL server whose user may create
//! databases; `tests/run` starts one.

mod harness;
mod search;
mod smoke;
mod throttles;
