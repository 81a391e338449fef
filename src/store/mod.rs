//! The store: the only place that knows the database.
//!
//! It has two doors. [`Store::write`] is one transaction for anything. The two hot paths, placing an order and
//! settling facts, are commands as data ([`PlaceOrder`], [`Settle`]): how they are committed is the store's
//! business alone.
//!
//! Whatever belongs to a shop is reached through [`Store::shop`] or [`Tx::shop`], so a query that forgets the
//! shop cannot be written.
#![deny(
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects
)]

pub mod accounts;
pub mod books;
pub mod calls;
pub mod catalogue;
pub mod checkouts;
pub mod closing;
pub mod connect;
pub mod error;
pub mod events;
pub mod failpoint;
pub mod feed;
pub mod idempotency;
pub mod inbox;
pub mod keys;
pub mod ledger;
pub mod migrate;
mod numbers;
pub mod orders;
pub mod payments;
pub mod place_order;
pub mod polling;
pub mod pools;
pub mod queues;
pub mod refunds;
pub mod replay;
mod rows;
pub mod search;
pub mod settle;
pub mod shops;
mod snapshot;
pub mod timeline;
mod tx;
pub mod verify;

use sea_orm::DatabaseConnection;

pub use connect::{DatabaseSettings, Engine};
pub use error::{Constraint, Failure, StoreError};
pub use place_order::{PlaceOrder, Placed};
pub use settle::{Settle, Settled};
pub use tx::Tx;

use crate::clock::Clock;
use crate::domain::ids::ShopId;

/// The database of one Till.
pub struct Store {
    engine: Engine,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    clock: Clock,
    numbers: numbers::Blocks,
    known_books: ledger::KnownBooks,
    unlocked: Option<connect::Unlocked>,
}

/// Reads of one shop.
pub struct ShopStore<'s> {
    store: &'s Store,
    shop: ShopId,
}

/// One shop within a transaction.
#[derive(Clone)]
pub struct ShopTx {
    tx: Tx,
    shop: ShopId,
}

impl Store {
    /// Opens the database and checks its settings; the schema is not touched.
    ///
    /// # Errors
    /// A database that cannot be reached, or that runs with a setting unsafe for money.
    pub async fn open(settings: &DatabaseSettings, clock: Clock) -> Result<Store, StoreError> {
        let connections = connect::open(settings).await?;
        Ok(Store::over(connections, clock))
    }

    /// Opens the database for looking only: nothing is made, changed or checked.
    ///
    /// # Errors
    /// A database that is not there or cannot be reached.
    pub async fn open_read_only(
        settings: &DatabaseSettings,
        clock: Clock,
    ) -> Result<Store, StoreError> {
        let connections = connect::open_read_only(settings).await?;
        Ok(Store::over(connections, clock))
    }

    fn over(connections: connect::Connections, clock: Clock) -> Store {
        Store {
            engine: connections.engine,
            writer: connections.writer,
            reader: connections.reader,
            clock,
            numbers: numbers::Blocks::default(),
            known_books: ledger::KnownBooks::default(),
            unlocked: connections.unlocked,
        }
    }

    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Reads of one shop.
    #[must_use]
    pub fn shop(&self, shop: ShopId) -> ShopStore<'_> {
        ShopStore { store: self, shop }
    }

    /// Closes every connection, after what runs on it.
    ///
    /// # Errors
    /// A connection that did not close cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.reader.clone().close().await?;
        self.writer.clone().close().await?;
        Ok(())
    }

    /// Whether the database answers and can be written to.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        use sea_orm::ConnectionTrait;
        self.reader.execute_unprepared("SELECT 1").await?;
        Ok(())
    }
}

impl Tx {
    /// One shop within this transaction.
    #[must_use]
    pub fn shop(&self, shop: ShopId) -> ShopTx {
        ShopTx {
            tx: self.clone(),
            shop,
        }
    }

    /// The database's present time as SQL, in epoch milliseconds: leases and due times are judged by one clock
    /// however many processes there are.
    fn now_sql(&self) -> String {
        match self.engine {
            Engine::Sqlite => self.clock.now().ms().to_string(),
            Engine::Postgres => format!(
                "(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + {})",
                self.clock.offset_ms()
            ),
        }
    }
}
