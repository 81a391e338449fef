//! Putting Till together: every part is built once, here, and handed to those who use it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::{Build, Rocket};
use tokio::sync::{Mutex, Notify};

use crate::clock::Clock;
use crate::config::{Config, ConfigError, LatePayments};
use crate::front::Admission;
use crate::http;
use crate::http::metrics::{Measured, MetricsToken};
use crate::http::throttles::Throttles;
use crate::metrics::Metrics;
use crate::provider::PaymentProvider;
use crate::provider::stripe::{Stripe, StripeError};
use crate::service::Services;
use crate::service::verify::LastProbe;
use crate::staff;
use crate::store::connect::sqlite_path;
use crate::store::{Store, StoreError};

/// Why Till cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database is not usable.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The provider's settings are not usable.
    #[error("the settings under TILL_PROVIDERS__STRIPE__ cannot be used")]
    Provider(#[from] StripeError),
    /// Another process has the database.
    #[error(
        "another Till process has {0} open; stop it first, or give this one another database with \
         TILL_DATABASE__URL"
    )]
    Locked(PathBuf),
    /// The lock file cannot be made.
    #[error("the lock file {0} cannot be used")]
    LockFile(PathBuf, #[source] std::io::Error),
    /// Rocket could not start, for instance because the port is taken.
    #[error("{0}")]
    Server(String),
}

/// Held while a process serves or migrates a SQLite file: there is one such process at a time.
#[derive(Debug)]
pub struct DatabaseLock {
    held: Option<std::fs::File>,
}

impl DatabaseLock {
    /// Whether this process has the database to itself.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the lock of a SQLite file; PostgreSQL needs none.
    ///
    /// # Errors
    /// [`StartError::Locked`] when another process has it.
    pub fn take(url: &str) -> Result<DatabaseLock, StartError> {
        let Some(database) = sqlite_path(url) else {
            return Ok(DatabaseLock { held: None });
        };
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = Path::new(&name).to_path_buf();
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| StartError::LockFile(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(DatabaseLock { held: Some(file) }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StartError::Locked(database)),
            Err(std::fs::TryLockError::Error(error)) => Err(StartError::LockFile(path, error)),
        }
    }
}

/// Checks the settings that money depends on, before anything is opened or made. A server with its own
/// simulator brings its provider's settings along.
///
/// # Errors
/// Settings that are missing or unsafe.
pub fn check(config: &Config, with_simulator: bool) -> Result<(), StartError> {
    if !with_simulator {
        Stripe::new(config.stripe()?)?;
    }
    Ok(config.check_secret_keys()?)
}

/// Opens the database with the schema this program needs.
///
/// # Errors
/// A database that cannot be opened, is unsafe, or is newer than this program.
pub async fn open_store(config: &Config, clock: Clock) -> Result<Arc<Store>, StartError> {
    let store = Store::open(&config.database(), clock).await?;
    store.migrate_up().await?;
    Ok(Arc::new(store))
}

/// Builds the use cases over a database and the configured provider.
///
/// # Errors
/// Settings that are missing or unsafe.
pub async fn build_services(
    config: &Config,
    store: Arc<Store>,
    clock: Clock,
) -> Result<Arc<Services>, StartError> {
    let provider: Arc<dyn PaymentProvider> = Arc::new(Stripe::new(config.stripe()?)?);
    let missing = config.secret_key_file().filter(|file| !file.exists());
    let secrets = Arc::new(config.secret_keys()?);
    let deployment = store.deployment_id().await?;
    let marks = secrets.marks();
    let others = store.note_key_marks(&marks).await?;
    if let Some(file) = missing {
        if store.has_orders().await? {
            tracing::error!(
                "{} was not there, so a new key was made, and what the old one signed is not believed any more: shops' \
                 browsers cannot see the orders they placed. If there is a backup of it, stop Till, put it back and \
                 start again",
                file.display()
            );
        }
    } else {
        for number in others {
            tracing::error!(
                "the secret key {number} is another one than the process of this database that was started before this \
                 one has: each process believes its own order tokens only, so shops' browsers may not see the orders \
                 they placed. Give every process the same keys, and a new key a number of its own. If this one is \
                 right and no process has the other any more, nothing is left to do"
            );
        }
    }
    if config.delivery.allow_private && store.has_live_shop().await? {
        return Err(ConfigError::Unsafe(
            "TILL_DELIVERY__ALLOW_PRIVATE is for tests, and this database has a live shop: unset it.".to_owned(),
        )
        .into());
    }
    let account = store
        .default_account(provider.name(), provider.mode())
        .await?;
    Ok(Arc::new(Services {
        deployment,
        account,
        store,
        clock,
        provider,
        secrets,
        expire_after_ms: i64::from(config.orders.expire_after_s) * 1_000,
        sessions_per_order: config.http.sessions_per_order.get(),
        auto_refund: config.orders.late_payments == LatePayments::Refund,
        gate: crate::service::gate::Gate::default(),
        passwords: crate::service::staff::Passwords::default(),
        wake: Arc::new(Notify::new()),
        metrics: Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))),
        queues_counted_at: Mutex::default(),
        last_probe: LastProbe::default(),
        known_figures: crate::service::overview::KnownFigures::default(),
        forms: crate::service::once::Once::default(),
    }))
}

/// The HTTP server over the use cases.
#[must_use]
pub fn server(config: &Config, services: Arc<Services>) -> Rocket<Build> {
    let limits = &config.http;
    let throttles = Throttles::new(
        limits.orders_per_minute.get(),
        limits.webhooks_per_second.get(),
    );
    observed(config, config.figment(), services)
        .manage(throttles)
        .attach(http::edge())
        .attach(AdHoc::on_ignite("routes", |rocket| async {
            rocket.mount("/", http::api_routes())
        }))
        .attach(staff::console())
}

/// Turns orders and webhooks away while their queue is full: before anything is made of what they say, so that refusing
/// costs little and those that were taken get on.
pub struct Room(pub Arc<Services>);

impl Admission for Room {
    fn is_full(&self, method: &str, path: &str) -> bool {
        let store = &self.0.store;
        let route = match path {
            "/v1/orders" if method == "POST" && store.is_full_of_orders() => "/v1/orders",
            _ if path.starts_with("/webhooks/") && store.is_full_of_webhooks() => {
                "/webhooks/{provider}"
            }
            _ => return false,
        };
        let label = [method.to_owned(), route.to_owned(), "503".to_owned()];
        self.0.metrics.http_requests.count(label.map(Cow::Owned));
        true
    }
}

/// The small HTTP server of a process that does background work only, if it is to have one: no API, only
/// whether it lives and what it counts.
#[must_use]
pub fn worker_server(config: &Config, services: Arc<Services>) -> Option<Rocket<Build>> {
    let server = observed(config, config.worker_figment()?, services);
    let server = server.attach(http::plain_edge());
    Some(server.attach(AdHoc::on_ignite("routes", |rocket| async {
        rocket.mount("/", http::worker_routes())
    })))
}

fn observed(config: &Config, figment: Figment, services: Arc<Services>) -> Rocket<Build> {
    rocket::custom(figment)
        // First, so that a request's time is all of its time.
        .attach(Measured(services.metrics.clone()))
        .manage(services)
        .manage(MetricsToken::new(config.metrics.token.clone()))
}
