//! Reads that belong together: one moment of the database, seen by several statements.

use sea_orm::{
    AccessMode, DatabaseTransaction, IsolationLevel, SqliteTransactionMode, TransactionOptions,
};

use super::{Engine, Store, StoreError};

impl Store {
    /// A transaction that reads one moment and can change nothing. It holds no lock; keep it short all the
    /// same, because what it may still see cannot be cleaned up.
    pub(super) async fn snapshot(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = match self.engine {
            Engine::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
                ..TransactionOptions::default()
            },
            Engine::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        Ok(self.reader.begin(options).await?)
    }
}
