//! The database of a command that does one thing and ends.

use super::WrongUse;
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::connect::sqlite_path;
use crate::store::{Store, StoreError};

/// Refuses to go on without a database file: whoever looks into one, or changes what is in it, is in the wrong folder
/// when there is none.
///
/// # Errors
/// [`WrongUse`], which says what to look at.
pub(super) fn must_exist(config: &Config) -> Result<(), WrongUse> {
    match sqlite_path(&config.database.url).filter(|file| !file.exists()) {
        None => Ok(()),
        Some(file) => Err(WrongUse(format!(
            "there is no database at {}; run this in the folder Till is started in, or set TILL_DATABASE__URL",
            file.display()
        ))),
    }
}

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
