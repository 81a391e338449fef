//! Opening a database: the settings money needs, set and then read back. A wrong one refuses to start.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr};

use super::primary::Primary;
use super::servers::{Found, LIMITS, Server, Servers, is_standby, limited};
use super::{Store, StoreError, settings as database};

/// How the two engines differ where SQL cannot hide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file, one writer.
    Sqlite,
    /// A server, many processes.
    Postgres,
}

/// Which database, and how many connections.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// The most connections on PostgreSQL; the readers on SQLite.
    pub max_connections: u32,
    /// The most commands, such as orders to be placed, that share one transaction; 1 commits each alone.
    pub batch: u32,
}

/// The most prepared texts SQLite's writer keeps: a table, and tables that are written together, have one for each power
/// of two of rows.
const STATEMENTS: usize = 256;

/// How long a start waits for other processes that open the same SQLite file.
const SQLITE_START_PATIENCE: Duration = Duration::from_secs(5);

/// How long a start waits before it tries the same SQLite file again.
const SQLITE_START_PAUSE: Duration = Duration::from_millis(10);

/// How long a request waits for a connection to PostgreSQL, and for a server that is away to come back: then it is
/// told to come again.
const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a start waits for one of several servers to be the primary.
const POSTGRES_START_PATIENCE: Duration = Duration::from_secs(10);

/// How long finding out why there is no connection may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Connections {
    pub engine: Engine,
    pub writer: DatabaseConnection,
    pub reader: DatabaseConnection,
    /// What keeps the connections at the primary, on PostgreSQL.
    pub primary: Option<Primary>,
    /// The file, when it is read without taking part in its locks.
    pub unlocked: Option<Unlocked>,
    /// How a file that is only looked at keeps what is written, see [`database::journal_mode`].
    pub journal: Option<&'static str>,
}

/// A SQLite file nobody had open, read as if nobody ever would: that leaves no trace beside it, and sees what another
/// process changes meanwhile half or not at all. So it is remembered how the file was before.
pub(super) struct Unlocked {
    path: PathBuf,
    before: FileLook,
}

/// What of a SQLite file shows from outside that it was opened or changed.
#[derive(PartialEq, Eq)]
struct FileLook {
    /// Whether somebody has it open: then there is a write-ahead log.
    log: bool,
    length: Option<u64>,
    modified: Option<SystemTime>,
}

impl FileLook {
    fn of(path: &Path) -> FileLook {
        let mut write_ahead_log = path.as_os_str().to_owned();
        write_ahead_log.push("-wal");
        let file = std::fs::metadata(path).ok();
        FileLook {
            log: Path::new(&write_ahead_log).exists(),
            length: file.as_ref().map(std::fs::Metadata::len),
            modified: file.and_then(|file| file.modified().ok()),
        }
    }
}

impl Unlocked {
    /// Whether nobody opened or changed the file since.
    pub(super) fn is_undisturbed(&self) -> bool {
        FileLook::of(&self.path) == self.before
    }
}

/// The file behind a SQLite URL.
#[must_use]
pub fn sqlite_path(url: &str) -> Option<PathBuf> {
    let rest = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))?;
    let path = rest.split('?').next().unwrap_or(rest);
    Some(Path::new(path).to_path_buf())
}

/// Whether a URL names a database that lasts, of an engine Till knows.
///
/// # Errors
/// [`StoreError::Setting`], which says what to give instead.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    let refuse = |text: &str| Err(StoreError::Setting(text.to_owned()));
    if let Some(path) = sqlite_path(url) {
        if path.as_os_str().is_empty() || path.to_string_lossy().contains(":memory:") {
            return refuse(
                "an in-memory database loses every order when the process ends; \
                 give TILL_DATABASE__URL a file, such as sqlite://till.db",
            );
        }
        return Ok(());
    }
    let known = ["postgres://", "postgresql://"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        return refuse("TILL_DATABASE__URL must begin with sqlite:// or postgres://");
    }
    // The driver's own message would quote the address, and with it the password.
    if Servers::of(url).is_none() {
        return refuse(
            "TILL_DATABASE__URL cannot be read as an address: it must look like \
             postgres://USER:PASSWORD@HOST:5432/DATABASE (or HOST:5432,OTHER:5432 for servers that copy each other), \
             with special characters in the password percent-encoded (@ is %40)",
        );
    }
    Ok(())
}

/// Opens the connections and checks their settings.
pub(super) async fn open(settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    check_url(&settings.url)?;
    match sqlite_path(&settings.url) {
        Some(path) => open_sqlite(&path, settings).await,
        None => open_postgres(settings).await,
    }
}

/// Makes a new file for its owner alone: customers' addresses are in it. SQLite makes its log and its index like it. What
/// goes wrong here is left to SQLite to say.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let _ = options.open(path);
}

async fn open_sqlite(path: &Path, settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    make_private(path);
    let mut writer = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    quiet(&mut writer);
    writer.map_sqlx_sqlite_opts(|options| {
        options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(STATEMENTS)
            // 32 MiB, so that a page that changes with every order is written back once for hundreds of them.
            .pragma("wal_autocheckpoint", "8000")
            .pragma("journal_size_limit", "67108864")
            // Up to 8 MiB: the pages a set of orders changes stay in memory until it is committed.
            .pragma("cache_size", "-8192")
            .pragma("temp_store", "MEMORY")
    });
    let mut reader = ConnectOptions::new(format!("sqlite://{}?mode=ro", path.display()));
    quiet(&mut reader);
    reader.map_sqlx_sqlite_opts(|options| {
        options
            .read_only(true)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
    });
    // One writer connection with a fair queue: SQLite has one writer anyway, and its own waiting is unfair.
    writer.max_connections(1).min_connections(1);
    reader.max_connections(settings.max_connections.max(1));
    let writer = connect_to_sqlite(writer).await?;
    for (pragma, wanted) in database::SQLITE_REQUIRED {
        let actual =
            database::read(&writer, DbBackend::Sqlite, &format!("PRAGMA {pragma}")).await?;
        database::require(pragma, &actual, wanted)?;
    }
    let reader = Database::connect(reader).await?;
    Ok(Connections {
        engine: Engine::Sqlite,
        writer,
        reader,
        primary: None,
        unlocked: None,
        journal: None,
    })
}

/// Waits some seconds for others that open the file. `busy_timeout` does not: SQLite says at once that it is busy when
/// two turn a new file into one with a write-ahead log.
async fn connect_to_sqlite(options: ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let began = tokio::time::Instant::now();
    loop {
        match Database::connect(options.clone())
            .await
            .map_err(StoreError::from)
        {
            Err(StoreError::Collision(_)) if began.elapsed() < SQLITE_START_PATIENCE => {
                tokio::time::sleep(SQLITE_START_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn open_postgres(settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    let servers = servers_of(&settings.url)?;
    let (url, found) = match servers.only() {
        Some(server) => (server.url.clone(), None),
        None => {
            let (server, found) = first_primary(&servers).await?;
            (server.url, Some(found))
        }
    };
    let primary = Primary::new();
    let mut options = ConnectOptions::new(url.clone());
    quiet(&mut options);
    options
        .max_connections(settings.max_connections.max(2))
        .acquire_timeout(POSTGRES_ACQUIRE_TIMEOUT)
        .map_sqlx_postgres_opts(limited);
    let guard = primary.clone();
    options.map_sqlx_postgres_pool_opts(move |options| guard.guard(options));
    let pool = connect_to_postgres(options, &url).await?;
    for (setting, wanted) in database::POSTGRES_REQUIRED {
        let actual = database::read(&pool, DbBackend::Postgres, &format!("SHOW {setting}")).await?;
        database::require(setting, &actual, wanted)?;
    }
    let commit = database::read(&pool, DbBackend::Postgres, "SHOW synchronous_commit").await?;
    if commit == "off" {
        database::require("synchronous_commit", &commit, "on")?;
    }
    for (limit, _) in LIMITS {
        if database::read(&pool, DbBackend::Postgres, &format!("SHOW {limit}")).await? == "0" {
            tracing::warn!(
                "the database has no {limit}, because a pooler keeps Till's away; see `till doctor`"
            );
        }
    }
    primary.follow(servers, pool.get_postgres_connection_pool().clone(), found);
    Ok(Connections {
        engine: Engine::Postgres,
        writer: pool.clone(),
        reader: pool,
        primary: Some(primary),
        unlocked: None,
        journal: None,
    })
}

fn servers_of(url: &str) -> Result<Servers, StoreError> {
    let servers = Servers::of(url);
    servers.ok_or_else(|| StoreError::Setting("TILL_DATABASE__URL cannot be read".to_owned()))
}

/// Waits some seconds for one of several servers to be the primary.
async fn first_primary(servers: &Servers) -> Result<(Server, Found), StoreError> {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(found) = servers.primary(None).await
            && let Some(server) = servers.at(&found.identity)
        {
            return Ok((server.clone(), found));
        }
        if began.elapsed() >= POSTGRES_START_PATIENCE {
            let reason = "none of the servers in TILL_DATABASE__URL answers as the primary";
            return Err(StoreError::unavailable(reason));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Waits some seconds for a server that is just starting. A pool only says that it gave up in the end, so one
/// connection of its own is tried then, for the reason.
async fn connect_to_postgres(
    options: ConnectOptions,
    url: &str,
) -> Result<DatabaseConnection, StoreError> {
    let error = match Database::connect(options).await {
        Ok(pool) => return Ok(pool),
        Err(error) => error,
    };
    let Ok(options) = url.parse::<PgConnectOptions>() else {
        return Err(StoreError::Unavailable(error));
    };
    let probe = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        is_standby(&mut connection).await
    };
    match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
        Ok(Err(reason)) => {
            let reason = RuntimeErr::SqlxError(reason.into());
            Err(StoreError::Unavailable(DbErr::Conn(reason)))
        }
        Ok(Ok(true)) => Err(StoreError::Setting(
            "the database is a standby, which takes no orders; give TILL_DATABASE__URL the primary's address, \
             or those of all servers: postgres://USER:PASSWORD@ONE:5432,OTHER:5432/DATABASE"
                .to_owned(),
        )),
        Ok(Ok(false)) | Err(_) => Err(StoreError::Unavailable(error)),
    }
}

/// Opens connections that can change nothing, and checks nothing: for looking at a database as it is.
pub(super) async fn open_read_only(settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    check_url(&settings.url)?;
    let (mut unlocked, mut journal) = (None, None);
    let (engine, mut options) = match sqlite_path(&settings.url) {
        Some(path) => {
            let before = FileLook::of(&path);
            journal = Some(database::journal_mode(&path));
            // Nobody has the file open when there is no log, and opening it as usual would make one.
            let alone = !before.log;
            let url = format!("sqlite://{}?mode=ro", path.display());
            let mut options = ConnectOptions::new(url);
            options.map_sqlx_sqlite_opts(move |options| {
                options
                    .read_only(true)
                    .immutable(alone)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(5))
            });
            unlocked = alone.then_some(Unlocked { path, before });
            (Engine::Sqlite, options)
        }
        None => {
            // A standby can be looked at, too, when there is no primary to be found.
            let servers = servers_of(&settings.url)?;
            let found = match servers.only() {
                Some(_) => None,
                None => servers.primary(None).await,
            };
            let found = found.and_then(|found| servers.at(&found.identity));
            let server = found.or_else(|| servers.first());
            let mut options = ConnectOptions::new(server.map_or("", |server| &server.url));
            options.map_sqlx_postgres_opts(|options| {
                limited(options).options([("default_transaction_read_only", "on")])
            });
            (Engine::Postgres, options)
        }
    };
    quiet(&mut options);
    options.max_connections(1);
    let pool = match engine {
        Engine::Sqlite => Database::connect(options).await?,
        Engine::Postgres => {
            let url = options.get_url().to_owned();
            connect_to_postgres(options, &url).await?
        }
    };
    Ok(Connections {
        engine,
        writer: pool.clone(),
        reader: pool,
        primary: None,
        unlocked,
        journal,
    })
}

impl Store {
    /// Whether what was read is of one piece: false when another process opened or changed a SQLite file that was read
    /// as nobody's. What was found in it may then be half of a change; open it again and look anew.
    #[must_use]
    pub fn was_read_undisturbed(&self) -> bool {
        self.unlocked
            .as_ref()
            .is_none_or(|unlocked| unlocked.is_undisturbed())
    }
}

/// No statement, and so no bound value, ever reaches a log. No connection ages: the driver's task that looks for those
/// that do counts up to the number of idle ones, which is below zero, and so huge, while one is taken that is just being
/// given back. Then it never ends.
fn quiet(options: &mut ConnectOptions) {
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>);
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;

    use super::*;

    fn folder() -> PathBuf {
        let name = format!("till-connect-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        folder
    }

    fn settings_of(folder: &Path, max_connections: u32) -> DatabaseSettings {
        DatabaseSettings {
            url: format!("sqlite://{}", folder.join("till.db").display()),
            max_connections,
            batch: 1,
        }
    }

    #[tokio::test]
    async fn sqlite_runs_with_the_settings_money_needs() {
        let folder = folder();
        let settings = settings_of(&folder, 2);
        let opened = open(&settings).await.expect("opens");
        for (pragma, wanted) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("busy_timeout", "5000"),
        ] {
            let sql = format!("PRAGMA {pragma}");
            let actual = database::read(&opened.writer, DbBackend::Sqlite, &sql).await;
            assert_eq!(actual.expect(pragma), wanted, "{pragma}");
        }
        let create = "CREATE TABLE t (a INTEGER)";
        let refused = opened.reader.execute_unprepared(create).await;
        assert!(refused.is_err(), "a reader must not write");
        opened
            .writer
            .execute_unprepared(create)
            .await
            .expect("the writer writes");
        for pool in [&opened.writer, &opened.reader] {
            let options = pool.get_sqlite_connection_pool().options();
            let ages = (options.get_idle_timeout(), options.get_max_lifetime());
            assert_eq!(ages, (None, None));
            assert!(!options.get_test_before_acquire(), "a ping for each use");
        }
        opened.reader.close().await.expect("closes");
        opened.writer.close().await.expect("closes");
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_come_and_go_at_one_sqlite_file_wait_for_each_other() {
        for _ in 0..60 {
            let folder = folder();
            let settings = settings_of(&folder, 1);
            let processes: Vec<_> = (0..6)
                .map(|_| {
                    let settings = settings.clone();
                    tokio::spawn(async move {
                        let opened = open(&settings).await?;
                        opened.reader.close().await?;
                        opened.writer.close().await?;
                        Ok::<_, StoreError>(())
                    })
                })
                .collect();
            for process in processes {
                process.await.expect("no panic").expect("opens and closes");
            }
            std::fs::remove_dir_all(folder).expect("the folder goes");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_opened_while_it_is_read_as_nobodys_is_noticed() {
        let folder = folder();
        let settings = settings_of(&folder, 1);
        let change = async |sql: &str| {
            let server = open(&settings).await.expect("opens");
            server.writer.execute_unprepared(sql).await.expect(sql);
            server
        };
        let leave = async |server: Connections| {
            server.reader.close().await.expect("closes");
            server.writer.close().await.expect("closes");
        };
        leave(change("CREATE TABLE t (a INTEGER)").await).await;
        let files = || std::fs::read_dir(&folder).expect("a folder").count();
        assert_eq!(files(), 1);

        let look = async || open_read_only(&settings).await.expect("opens");
        let count = async |seen: &Connections| {
            let sql = "SELECT COUNT(*) FROM t";
            database::read(&seen.reader, DbBackend::Sqlite, sql)
                .await
                .expect("a count")
        };
        let alone = look().await;
        assert_eq!(count(&alone).await, "0");
        let undisturbed = |seen: &Connections| seen.unlocked.as_ref().map(Unlocked::is_undisturbed);
        assert_eq!(undisturbed(&alone), Some(true));
        assert_eq!(files(), 1, "it leaves no trace");

        let server = change("INSERT INTO t VALUES (1)").await;
        assert_eq!(undisturbed(&alone), Some(false), "it is open");
        let beside = look().await;
        assert_eq!(
            undisturbed(&beside),
            None,
            "beside a server the locks are kept"
        );
        assert_eq!(count(&beside).await, "1");
        beside.reader.close().await.expect("closes");
        leave(server).await;
        assert_eq!(undisturbed(&alone), Some(false), "it was changed");
        alone.reader.close().await.expect("closes");
        let again = look().await;
        assert_eq!(count(&again).await, "1");
        assert_eq!(undisturbed(&again), Some(true));
        again.reader.close().await.expect("closes");
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }

    #[test]
    fn only_databases_that_last_are_accepted() {
        for url in [
            "sqlite://till.db",
            "sqlite:till.db",
            "postgres://x/y",
            "postgresql://x/y",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://file::memory:?cache=shared",
            "mysql://x/y",
            "till.db",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
