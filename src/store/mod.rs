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
pub mod audit;
mod batch;
pub mod begin_checkout;
pub mod books;
mod bulk;
pub mod calls;
pub mod catalogue;
pub mod checkouts;
pub mod closing;
pub mod connect;
pub mod decisions;
mod dossier;
pub mod error;
pub mod events;
pub mod failpoint;
pub mod feed;
pub mod files;
mod found;
pub mod health;
pub mod idempotency;
pub mod inbox;
pub mod keys;
mod lease;
pub mod ledger;
pub mod migrate;
pub mod notes;
mod numbers;
mod order_views;
pub mod orders;
pub mod overview;
mod paging;
pub mod payments;
mod people;
pub mod place_order;
pub mod polling;
pub mod pools;
mod prices;
mod primary;
pub mod queues;
mod read_order;
pub mod refunds;
pub mod replay;
pub mod reviews;
mod rows;
pub mod search;
mod servers;
mod settings;
pub mod settle;
pub mod shops;
mod snapshot;
pub mod staff;
mod texts;
pub mod timeline;
mod tx;
pub mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use batch::{Batcher, Share};

pub use connect::{DatabaseSettings, Engine};
pub use error::{Constraint, Failure, StoreError};
pub use place_order::{PlaceOrder, Placed};
use primary::Connection;
pub use settings::Setting;
pub use settle::{Settle, Settled};
use texts::Texts;
pub use tx::{MOMENT, Tx};

use crate::clock::Clock;
use crate::domain::ids::ShopId;

/// The database of one Till. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    writer: Connection,
    reader: Connection,
    clock: Clock,
    numbers: Arc<numbers::Blocks>,
    known_books: Arc<ledger::KnownBooks>,
    known_keys: Arc<keys::KnownKeys>,
    known_prices: Arc<prices::KnownPrices>,
    orders: Arc<Batcher<place_order::Draft>>,
    checkouts: Arc<Batcher<begin_checkout::BeginCheckout>>,
    reads: Arc<Batcher<read_order::ReadOrder>>,
    shown: Arc<read_order::Known>,
    settlements: Arc<Batcher<Settle>>,
    batch_limit: usize,
    statements: Arc<AtomicU64>,
    texts: Texts,
    unlocked: Option<Arc<connect::Unlocked>>,
    journal: Option<&'static str>,
}

/// How many sets of one kind PostgreSQL commits at once: while one waits for its disk, another is made ready.
const POSTGRES_LANES: usize = 2;

/// From so many members that wait, a second set is worth its statements. Fewer are better off in the next one: two small
/// sets take twice the statements of one.
const WORTH_A_SET: usize = 32;

/// How many orders share a set: each costs no less in a larger one.
const ORDERS_OF_A_SET: usize = 32;

/// How many webhooks share a set where one lane writes: the next ones are checked and read meanwhile.
const WEBHOOKS_OF_A_SET: usize = 32;

/// How many sets of reads run at once.
const READ_LANES: usize = 2;

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
        Ok(Store::over(connections, clock, settings.batch))
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
        Ok(Store::over(connections, clock, 1))
    }

    fn over(connections: connect::Connections, clock: Clock, batch: u32) -> Store {
        let (lanes, orders, settlements) = match connections.engine {
            Engine::Sqlite => (
                1,
                Share::HalfAtMost(ORDERS_OF_A_SET),
                Share::HalfAtMost(WEBHOOKS_OF_A_SET),
            ),
            Engine::Postgres => (POSTGRES_LANES, Share::AtMost(ORDERS_OF_A_SET), Share::All),
        };
        let statements = Arc::new(AtomicU64::new(0));
        let texts = Texts::default();
        let (mut writer, mut reader) = (connections.writer, connections.reader);
        for connection in [&mut writer, &mut reader] {
            let (statements, texts) = (statements.clone(), texts.clone());
            connection.set_metric_callback(move |sent| {
                statements.fetch_add(1, Ordering::Relaxed);
                texts.note(&sent.statement.sql);
            });
        }
        Store {
            engine: connections.engine,
            writer: Connection::over(writer, connections.primary.clone()),
            reader: Connection::over(reader, connections.primary),
            statements,
            texts,
            clock,
            numbers: Arc::default(),
            known_books: Arc::default(),
            known_keys: Arc::default(),
            known_prices: Arc::default(),
            orders: Batcher::new(lanes, WORTH_A_SET, orders),
            checkouts: Batcher::new(lanes, WORTH_A_SET, Share::All),
            reads: Batcher::new(READ_LANES, 1, Share::All),
            shown: Arc::default(),
            settlements: Batcher::new(lanes, WORTH_A_SET, settlements),
            batch_limit: usize::try_from(batch.max(1)).unwrap_or(usize::MAX),
            unlocked: connections.unlocked.map(Arc::new),
            journal: connections.journal,
        }
    }

    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// How many statements were sent to the database so far, beginnings and ends of transactions aside.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The texts of the statements that were sent so far, each once: tests ask the database how it carries them out.
    #[cfg(feature = "failpoints")]
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.texts.all()
    }

    /// The most commands that share a transaction.
    fn batch_limit(&self) -> usize {
        self.batch_limit
    }

    /// Whether orders or webhooks wait right now, for others to be carried out before them.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.orders.is_busy() || self.checkouts.is_busy() || self.settlements.is_busy()
    }

    /// Whether so many orders wait that the next is turned away.
    #[must_use]
    pub fn is_full_of_orders(&self) -> bool {
        self.orders.is_full()
    }

    /// Whether so many webhooks wait that the next is turned away.
    #[must_use]
    pub fn is_full_of_webhooks(&self) -> bool {
        self.settlements.is_full()
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
        // What cannot be given back is a gap.
        if let Err(error) = self.give_blocks_back().await {
            tracing::debug!(%error, "order numbers that were not used are lost");
        }
        self.reader.pool.clone().close().await?;
        self.writer.pool.clone().close().await?;
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

    /// As [`now_sql`].
    fn now_sql(&self) -> String {
        now_sql(self.engine, &self.clock)
    }
}

/// The database's present time as SQL, in epoch milliseconds: leases and due times are judged by one clock
/// however many processes there are. The text is the same each time, so that a statement is prepared once.
fn now_sql(engine: Engine, clock: &Clock) -> String {
    match engine {
        // One machine, one clock: this process's own.
        Engine::Sqlite => format!(
            "(CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) + {})",
            clock.skew_ms()
        ),
        // Asked once, by way of a sub-select: what the time may change under way cannot be looked up in an index.
        Engine::Postgres => format!(
            "(SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + {})",
            clock.offset_ms()
        ),
    }
}
