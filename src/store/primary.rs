//! Which connections still lead to the primary.
//!
//! A primary that dies is followed by its standby, and one that is started again keeps its name and nothing else:
//! what was connected before is worth nothing. The pool would find that out one failed request after the other, and
//! of a server that vanished without a word it would not find out at all. So one connection of its own asks every
//! second who the primary is. Once that has changed, the pool connects to the new one, older connections are closed
//! instead of used, and whoever still waits on one a moment later is told that the database is not available: what he asked for
//! may have happened, and repeating it with the same key says so.
//!
//! Ending a database future early is safe here and nowhere else, because its connection is never used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, Connection as _};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, RuntimeErr, Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::watch;

use super::servers::{Found, Servers, is_standby};

/// How often the primary is asked who it is.
const EVERY: Duration = Duration::from_secs(1);
/// How often servers are asked while none of them is the primary.
const SEARCH_EVERY: Duration = Duration::from_millis(250);
/// A connection that was idle for so long is tried before it is used: a request that fails because the server was
/// started again in the night would be one too many. Under load none is idle for so long.
const TRIED_AFTER_IDLE: Duration = Duration::from_secs(1);

/// What is under way when the primary changes may have begun at the new one already, and ends by itself then.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of the connections of one pool. Clones are the same one.
#[derive(Clone)]
pub(super) struct Primary(Arc<State>);

struct State {
    began: Instant,
    /// Connections that were made before are not used any more; in microseconds since `began`.
    since_us: AtomicU64,
    /// Told whenever the primary is another one.
    changes: watch::Sender<()>,
}

/// A moment of a primary's time: what began then must not outlast it.
#[derive(Clone)]
pub(super) struct Reign(Option<watch::Receiver<()>>);

impl Primary {
    /// Nothing has changed yet.
    pub fn new() -> Primary {
        Primary(Arc::new(State {
            began: Instant::now(),
            since_us: AtomicU64::new(0),
            changes: watch::Sender::new(()),
        }))
    }

    /// Connections made until now are not used any more: one of them turned out to lead nowhere.
    pub fn doubt(&self) {
        let now = micros(self.0.began.elapsed());
        self.0.since_us.fetch_max(now, Ordering::SeqCst);
    }

    /// Another server is the primary, or the same one started again.
    fn change(&self) {
        self.doubt();
        self.0.changes.send_replace(());
    }

    /// Whether a connection of this age is to be used.
    fn trusts(&self, age: Duration) -> bool {
        let made = self.0.began.elapsed().saturating_sub(age);
        let since = self.0.since_us.load(Ordering::SeqCst);
        since == 0 || micros(made) > since
    }

    /// The pool's options that keep its connections at the primary.
    pub fn guard(&self, options: PgPoolOptions) -> PgPoolOptions {
        let (taken, returned) = (self.clone(), self.clone());
        options
            .after_connect(|connection, _| {
                Box::pin(async move {
                    match is_standby(connection).await? {
                        true => Err(sqlx::Error::Protocol("the server is a standby".to_owned())),
                        false => Ok(()),
                    }
                })
            })
            .before_acquire(move |connection, met| {
                let trusted = taken.trusts(met.age);
                Box::pin(async move {
                    if trusted && met.idle_for >= TRIED_AFTER_IDLE {
                        connection.ping().await?;
                    }
                    Ok(trusted)
                })
            })
            // The pool tries what is returned, and would wait for the answer of a server that is gone.
            .after_release(move |_, met| {
                let trusted = returned.trusts(met.age);
                Box::pin(async move { Ok(trusted) })
            })
    }

    /// Follows the primary until the pool is closed.
    pub fn follow(&self, servers: Servers, pool: PgPool, connected_to: Option<Found>) {
        let primary = self.clone();
        tokio::spawn(async move {
            let mut closed = pool.close_event();
            let following = primary.keep_following(&servers, &pool, connected_to);
            // It ends only with the pool.
            let _ = closed.do_until(following).await;
        });
    }

    async fn keep_following(&self, servers: &Servers, pool: &PgPool, mut found: Option<Found>) {
        let mut last = found.as_ref().map(|found| found.identity.clone());
        loop {
            tokio::time::sleep(match found {
                Some(_) => EVERY,
                None => SEARCH_EVERY,
            })
            .await;
            if let Some(found) = &mut found
                && servers.is_still(found).await
            {
                continue;
            }
            if found.take().is_some() {
                tracing::warn!("the database's primary does not answer; looking for it");
            }
            found = servers.primary(last.as_ref()).await;
            let Some(identity) = found.as_ref().map(|found| &found.identity) else {
                continue;
            };
            if last.as_ref().is_some_and(|last| last != identity)
                && let Some(server) = servers.at(identity)
            {
                pool.set_connect_options(server.options());
                self.change();
                tracing::info!(
                    "the database has a primary again; older connections are not used any more"
                );
            }
            last = Some(identity.clone());
        }
    }

    fn reign(&self) -> Reign {
        Reign(Some(self.0.changes.subscribe()))
    }
}

impl Reign {
    /// One that lasts for ever.
    pub fn everlasting() -> Reign {
        Reign(None)
    }

    /// What comes of some work on the database, or that its server is not the primary any more.
    pub async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let Some(mut changes) = self.0.clone() else {
            return work.await;
        };
        let ended = async {
            if changes.changed().await.is_err() {
                // Nobody watches any more.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = ended => Err(gone()),
        }
    }
}

fn gone() -> DbErr {
    let reason = "the database has another primary now";
    let reason = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, reason);
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(reason))))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A pool that leads to the primary. On SQLite it is only a pool.
#[derive(Clone)]
pub(super) struct Connection {
    /// The pool itself.
    pub pool: DatabaseConnection,
    primary: Option<Primary>,
}

impl Connection {
    /// A pool whose connections are guarded by `primary`, if it has one.
    pub fn over(pool: DatabaseConnection, primary: Option<Primary>) -> Connection {
        Connection { pool, primary }
    }

    /// From now until the primary changes.
    pub fn reign(&self) -> Reign {
        self.primary
            .as_ref()
            .map_or_else(Reign::everlasting, Primary::reign)
    }

    /// One connection was lost or leads to a standby: the others are not used any more either.
    pub fn doubt(&self) {
        if let Some(primary) = &self.primary {
            primary.doubt();
        }
    }

    /// Begins a transaction, in a task of its own: of a beginning that is dropped half-way the driver knows nothing, and
    /// gives the connection to the next one with the transaction open. What is one statement would be told as done then,
    /// and never be committed.
    pub async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        let pool = self.pool.clone();
        let beginning = tokio::spawn(async move { pool.begin_with_options(options).await });
        let begun = async {
            let died = |_| DbErr::Custom("the beginning of a transaction panicked".to_owned());
            beginning.await.map_err(died)?
        };
        self.reign().during(begun).await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.reign().during(self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.reign().during(self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.reign()
            .during(self.pool.query_one_raw(statement))
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.reign()
            .during(self.pool.query_all_raw(statement))
            .await
    }
}
