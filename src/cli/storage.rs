//! The database of a command that does one thing and ends.

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Store, StoreError};

/// Opens the database with the schema this program needs, does the work, and closes it however that went.
///
/// # Errors
/// A database that cannot be opened, what the work fails with, or a connection that did not close cleanly.
pub(super) async fn with_store<T>(
    config: &Config,
    clock: Clock,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let store = app::open_store(config, clock).await?;
    closing(&store, work(&store)).await
}

/// Does the work and closes the database. What is left open leaves SQLite's log beside its file, as if a program still
/// had it open.
///
/// # Errors
/// What the work fails with, or else a connection that did not close cleanly.
pub(super) async fn closing<T>(
    store: &Store,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let outcome = work.await;
    let closed: Result<(), StoreError> = store.close().await;
    let done = outcome?;
    closed?;
    Ok(done)
}
