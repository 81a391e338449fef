//! How many connections to the database there are, and how many of them are busy.

use sea_orm::sqlx::{Database, Pool};

use super::{Engine, Store};

/// One pool of connections as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionPool {
    /// Its name: `writer` and `reader` on SQLite, `shared` on PostgreSQL.
    pub name: &'static str,
    /// The most connections it may have.
    pub max: u64,
    /// Connections that wait for work.
    pub idle: u64,
    /// Connections that are working.
    pub in_use: u64,
}

impl Store {
    /// Every pool of this process as it is now; no query is sent.
    #[must_use]
    pub fn connection_pools(&self) -> Vec<ConnectionPool> {
        match self.engine {
            Engine::Sqlite => vec![
                measured("writer", self.writer.pool.get_sqlite_connection_pool()),
                measured("reader", self.reader.pool.get_sqlite_connection_pool()),
            ],
            Engine::Postgres => {
                vec![measured(
                    "shared",
                    self.writer.pool.get_postgres_connection_pool(),
                )]
            }
        }
    }
}

fn measured<D: Database>(name: &'static str, pool: &Pool<D>) -> ConnectionPool {
    let idle = u64::try_from(pool.num_idle()).unwrap_or(u64::MAX);
    ConnectionPool {
        name,
        max: u64::from(pool.options().get_max_connections()),
        idle,
        // The two numbers are read one after the other, so an idle one may just have been closed.
        in_use: u64::from(pool.size()).saturating_sub(idle),
    }
}
