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
    let (open, idle) = (u64::from(pool.size()), idle(pool.num_idle()));
    ConnectionPool {
        name,
        max: u64::from(pool.options().get_max_connections()),
        idle,
        // The two numbers are read one after the other, so an idle one may just have been closed.
        in_use: open.saturating_sub(idle),
    }
}

/// How many are idle, as the driver counts them: below zero, and so a huge number, while one is taken that is just being
/// given back.
fn idle(counted: usize) -> u64 {
    u64::try_from(counted.cast_signed()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_is_idle_while_the_driver_counts_below_zero() {
        assert_eq!([idle(0), idle(7)], [0, 7]);
        assert_eq!(
            [0_usize.wrapping_sub(1), 0_usize.wrapping_sub(3)].map(idle),
            [0, 0]
        );
    }
}
