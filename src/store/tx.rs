//! Transactions. [`Store::write`] is the way to change anything; what is one statement or one text from its beginning to
//! its end is sent as such.
//!
//! A closure may run more than once (a deadlock, a busy file), so it touches only the transaction and returns
//! values. A failed statement ends the transaction even when the closure goes on: PostgreSQL would answer its
//! COMMIT with success and store nothing, SQLite would store the half that worked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::sea_query::{Expr, LockType, Value};
use sea_orm::sqlx::{self, AssertSqlSafe};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExecResult,
    IsolationLevel, QueryFilter, QueryResult, QuerySelect, RuntimeErr, Select,
    SqliteTransactionMode, Statement, TransactionOptions,
};

use super::Store;
use super::bulk::Together;
use super::connect::Engine;
use super::error::{Failure, StoreError};
use super::failpoint::Step;
use super::primary::Reign;
use super::rows::sql;
use crate::clock::Clock;

/// How often a transaction that collided is run in all.
const MAX_RUNS: u32 = 6;

/// A running transaction. Clones are handles on the same one.
#[derive(Clone)]
pub struct Tx {
    inner: Arc<TxConnection>,
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    /// How long it waits for a lock; as the connection does, if it does not say.
    patience: Option<Duration>,
}

/// How long a lock is waited for by what may come again: longer than a commit takes on a disk that hesitates.
pub const MOMENT: Duration = Duration::from_secs(1);

/// PostgreSQL: a condition that always holds, and its value.
pub(super) type Waits = (&'static str, Value);

/// PostgreSQL: a condition for whose statement, and what comes after it in its transaction, a lock is waited for as long
/// as this; as long as the connection does, if nothing is said.
pub(super) fn waits(patience: Option<Duration>) -> Waits {
    let patience = patience.map(|time| format!("{}ms", time.as_millis()));
    (
        "(SELECT pg_catalog.set_config('lock_timeout', \
         COALESCE(?, pg_catalog.current_setting('lock_timeout')), TRUE)) IS NOT NULL",
        patience.into(),
    )
}

impl Tx {
    /// PostgreSQL: a condition that always holds, and its value. The statement it is in, and what comes after it in this
    /// transaction, wait for a lock as long as this transaction does.
    pub(super) fn waits(&self) -> Waits {
        waits(self.patience)
    }

    /// A query whose rows nobody else changes before this transaction ends: on PostgreSQL they are locked, for which it waits
    /// as long as this transaction does; on SQLite the transaction is the lock.
    pub(super) fn holding<E: EntityTrait>(&self, query: Select<E>) -> Select<E> {
        let query = match (self.engine, self.patience) {
            (Engine::Sqlite, _) => return query,
            (Engine::Postgres, None) => query,
            (Engine::Postgres, Some(_)) => {
                let (waits, time) = self.waits();
                query.filter(Expr::cust_with_values(waits.replace('?', "$1"), [time]))
            }
        };
        query.lock(LockType::NoKeyUpdate)
    }

    pub(super) fn conn(&self) -> &TxConnection {
        &self.inner
    }

    /// SQLite: carries out statements one behind the other, sent as one message: for each message the driver wakes another
    /// thread and waits to be woken.
    pub(super) async fn run_all(
        &self,
        texts: &[String],
        values: Vec<Value>,
    ) -> Result<(), StoreError> {
        if texts.is_empty() {
            return Ok(());
        }
        let more = u64::try_from(texts.len()).unwrap_or(0).saturating_sub(1);
        self.inner.statements.fetch_add(more, Ordering::Relaxed);
        let together = sql(self.engine, &texts.join("; "), values);
        self.inner.execute_raw(together).await?;
        Ok(())
    }

    /// The bare transaction, for the migrator.
    pub(super) fn transaction(&self) -> &DatabaseTransaction {
        &self.inner.transaction
    }
}

/// A transaction's connection, which remembers whether a statement failed.
pub(super) struct TxConnection {
    transaction: DatabaseTransaction,
    /// Its server is to be the primary all the while.
    reign: Reign,
    failed: AtomicBool,
    /// Counts what is sent; the driver counts messages.
    statements: Arc<AtomicU64>,
}

impl TxConnection {
    /// What is behind a failed statement is not sent: SQLite may have ended the transaction with it, and would keep the
    /// rest of it piece by piece.
    fn alive(&self) -> Result<(), DbErr> {
        match self.failed.load(Ordering::Relaxed) {
            true => Err(DbErr::Custom("an earlier statement failed".to_owned())),
            false => Ok(()),
        }
    }

    fn note<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        if outcome.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for TxConnection {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.alive()?;
        let work = self.transaction.execute_raw(statement);
        self.note(self.reign.during(work).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.alive()?;
        let work = self.transaction.execute_unprepared(sql);
        self.note(self.reign.during(work).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.alive()?;
        let work = self.transaction.query_one_raw(statement);
        self.note(self.reign.during(work).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.alive()?;
        let work = self.transaction.query_all_raw(statement);
        self.note(self.reign.during(work).await)
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
        self.write_at(None, work).await
    }

    /// [`Store::write`] whose commit is a place to crash at, in tests.
    ///
    /// # Errors
    /// What `work` fails with, or the store's own trouble.
    pub async fn write_at<T, E, Work, Running>(
        &self,
        step: impl Into<Option<Step>>,
        work: Work,
    ) -> Result<T, E>
    where
        E: Failure,
        Work: Fn(Tx) -> Running,
        Running: Future<Output = Result<T, E>>,
    {
        let step = step.into();
        self.retried(|| self.write_once(step, None, &work)).await
    }

    /// [`Store::write_at`] of what waits only so long for a lock, a set above all. It is not run again when that was too
    /// short: who holds the lock may do so for long, and most of the set does not need it.
    ///
    /// # Errors
    /// What `work` fails with, [`StoreError::Locked`] included, or the store's own trouble.
    pub async fn write_set<T, E, Work, Running>(
        &self,
        step: Step,
        patience: Duration,
        work: Work,
    ) -> Result<T, E>
    where
        E: Failure,
        Work: Fn(Tx) -> Running,
        Running: Future<Output = Result<T, E>>,
    {
        let run = || async {
            let outcome = self.write_once(Some(step), Some(patience), &work).await;
            once_if_locked(outcome)
        };
        self.retried(run).await?
    }

    /// Runs one statement that is a transaction by itself, on PostgreSQL: it needs one round trip. It is run again when
    /// it collided with another one, not when it waited for a lock as long as [`waits`] says.
    ///
    /// # Errors
    /// The database's; [`StoreError::Locked`].
    pub(super) async fn write_one(
        &self,
        step: Step,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let statement = &statement;
        let run = || async move {
            step.before();
            let outcome = self.writer.query_all_raw(statement.clone()).await;
            if outcome.is_ok() {
                step.after();
            }
            once_if_locked(outcome.map_err(StoreError::from))
        };
        self.retried(run).await?
    }

    /// Runs statements that are one transaction, on SQLite, sent as one text: for each message the driver wakes
    /// another thread and waits to be woken, with the file locked. They are run again when the file was busy.
    ///
    /// # Errors
    /// The database's; then nothing of it is written.
    pub(super) async fn write_together(
        &self,
        step: Step,
        together: &Together,
    ) -> Result<(), StoreError> {
        let run = || async move {
            step.before();
            self.run_together(together).await?;
            step.after();
            Ok(())
        };
        self.retried(run).await
    }

    /// Runs a transaction, and runs it again when it collided with another one.
    async fn retried<T, E: Failure, Running>(
        &self,
        transaction: impl Fn() -> Running,
    ) -> Result<T, E>
    where
        Running: Future<Output = Result<T, E>>,
    {
        let mut run: u32 = 1;
        loop {
            let outcome = transaction().await;
            if let Err(error) = &outcome
                && lost(error)
            {
                self.writer.doubt();
            }
            match outcome {
                Err(error) if run < MAX_RUNS && collided(&error) => pause_after(&mut run).await,
                outcome => return outcome,
            }
        }
    }

    async fn run_together(&self, together: &Together) -> Result<(), StoreError> {
        let failed = |error| DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)));
        // Made before the only connection that writes is taken.
        let (text, arguments) = (AssertSqlSafe(together.text.clone()), together.arguments()?);
        let mut connection = self
            .writer
            .pool
            .get_sqlite_connection_pool()
            .acquire()
            .await
            .map_err(failed)?;
        let sent = u64::try_from(together.statements).unwrap_or(0);
        self.statements.fetch_add(sent, Ordering::Relaxed);
        self.texts.note(&together.text);
        let done = sqlx::query_with(text, arguments)
            .execute(&mut *connection)
            .await;
        let Err(error) = done else { return Ok(()) };
        let undone = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
        if undone.is_err() {
            // There was no transaction, or nobody knows: the next one gets a connection of its own.
            connection.close_on_drop();
        }
        Err(failed(error).into())
    }

    async fn write_once<T, E, Work, Running>(
        &self,
        step: Option<Step>,
        patience: Option<Duration>,
        work: &Work,
    ) -> Result<T, E>
    where
        E: Failure,
        Work: Fn(Tx) -> Running,
        Running: Future<Output = Result<T, E>>,
    {
        let reign = self.writer.reign();
        let inner = Arc::new(TxConnection {
            transaction: self.begin().await.map_err(StoreError::from)?,
            reign: reign.clone(),
            failed: AtomicBool::new(false),
            statements: self.statements.clone(),
        });
        let tx = Tx {
            inner: inner.clone(),
            engine: self.engine,
            clock: self.clock.clone(),
            patience,
        };
        let outcome = work(tx).await;
        let Ok(connection) = Arc::try_unwrap(inner) else {
            let detail = "a transaction's handle outlived it; nothing was written";
            return Err(StoreError::Corrupt(detail.to_owned()).into());
        };
        let (transaction, failed) = (connection.transaction, connection.failed.into_inner());
        match outcome {
            Ok(_) if failed => {
                let _ = reign.during(transaction.rollback()).await;
                let detail = "a failed statement was ignored; nothing was written";
                Err(StoreError::Corrupt(detail.to_owned()).into())
            }
            Ok(value) => {
                if let Some(step) = step {
                    step.before();
                }
                let committed = reign.during(transaction.commit()).await;
                committed.map_err(StoreError::from)?;
                if let Some(step) = step {
                    step.after();
                }
                Ok(value)
            }
            Err(error) => {
                // Its own failure would hide the reason; a broken connection is rolled back by the server.
                if !lost(&error) {
                    let _ = reign.during(transaction.rollback()).await;
                }
                Err(error)
            }
        }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
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
        self.writer.begin(options).await
    }
}

/// Waits between two runs: from 4 ms on, and the jitter keeps two rivals from meeting again.
async fn pause_after(run: &mut u32) {
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0] % 8);
    let pause = 2_u64
        .saturating_pow(run.saturating_add(1))
        .saturating_add(spread);
    tokio::time::sleep(Duration::from_millis(pause)).await;
    *run = run.saturating_add(1);
}

fn lost<E: Failure>(error: &E) -> bool {
    error.as_store().is_some_and(StoreError::lost_the_server)
}

/// An outcome for [`Store::retried`], which runs nothing again that waited for a lock in vain.
fn once_if_locked<T, E: Failure>(outcome: Result<T, E>) -> Result<Result<T, E>, E> {
    match outcome {
        Err(error) if matches!(error.as_store(), Some(StoreError::Locked(_))) => Ok(Err(error)),
        outcome => outcome.map(Ok),
    }
}

fn collided<E: Failure>(error: &E) -> bool {
    matches!(
        error.as_store(),
        Some(StoreError::Collision(_) | StoreError::Locked(_))
    )
}
