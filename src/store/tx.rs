//! Transactions. [`Store::write`] is the only way to change anything.
//!
//! A closure may run more than once (a deadlock, a busy file), so it touches only the transaction and returns
//! values. An error ends the transaction: on PostgreSQL an ignored failure would make COMMIT store nothing.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    DatabaseTransaction, IsolationLevel, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use super::Store;
use super::connect::Engine;
use super::error::{Failure, StoreError};
use crate::clock::Clock;

/// How often a transaction that collided is run in all.
const MAX_RUNS: u32 = 6;

/// A running transaction. Clones are handles on the same one.
#[derive(Clone)]
pub struct Tx {
    inner: Arc<DatabaseTransaction>,
    pub(super) engine: Engine,
    pub(super) clock: Clock,
}

impl Tx {
    pub(super) fn conn(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

impl Store {
    /// Runs `work` in one transaction: committed when it returns `Ok`, rolled back when it returns `Err`, run
    /// again when it collided with another transaction.
    ///
    /// # Errors
    /// What `work` fails with, or the store's own trouble.
    pub async fn write<T, E, Work, Running>(&self, work: Work) -> Result<T, E>
    where
        E: Failure,
        Work: Fn(Tx) -> Running,
        Running: Future<Output = Result<T, E>>,
    {
        let mut run: u32 = 1;
        loop {
            match self.write_once(&work).await {
                Err(error) if run < MAX_RUNS && collided(&error) => {
                    // Grows from 4 ms; the jitter keeps two rivals from meeting again.
                    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0] % 8);
                    tokio::time::sleep(Duration::from_millis(spread.saturating_add(2 << run)))
                        .await;
                    run = run.saturating_add(1);
                }
                outcome => return outcome,
            }
        }
    }

    async fn write_once<T, E, Work, Running>(&self, work: &Work) -> Result<T, E>
    where
        E: Failure,
        Work: Fn(Tx) -> Running,
        Running: Future<Output = Result<T, E>>,
    {
        let inner = Arc::new(self.begin().await?);
        let tx = Tx {
            inner: inner.clone(),
            engine: self.engine,
            clock: self.clock.clone(),
        };
        let outcome = work(tx).await;
        let Ok(transaction) = Arc::try_unwrap(inner) else {
            let detail = "a transaction's handle outlived it; nothing was written";
            return Err(StoreError::Corrupt(detail.to_owned()).into());
        };
        match outcome {
            Ok(value) => {
                transaction.commit().await.map_err(StoreError::from)?;
                Ok(value)
            }
            Err(error) => {
                // Its own failure would hide the reason; a broken connection is rolled back by the server.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = match self.engine {
            // A deferred transaction that reads and then writes fails at once when another one wrote.
            Engine::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            // The server's default, checked at start: naming it would cost a statement.
            Engine::Postgres => TransactionOptions {
                isolation_level: None::<IsolationLevel>,
                ..TransactionOptions::default()
            },
        };
        Ok(self.writer.begin_with_options(options).await?)
    }
}

fn collided<E: Failure>(error: &E) -> bool {
    matches!(error.as_store(), Some(StoreError::Collision(_)))
}
