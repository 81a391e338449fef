//! Opening a database: the settings money needs, set and then read back. A wrong one refuses to start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};

use super::StoreError;

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
}

pub(super) struct Connections {
    pub engine: Engine,
    pub writer: DatabaseConnection,
    pub reader: DatabaseConnection,
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
    if known.iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(());
    }
    refuse("TILL_DATABASE__URL must begin with sqlite:// or postgres://")
}

/// Opens the connections and checks their settings.
pub(super) async fn open(settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    check_url(&settings.url)?;
    match sqlite_path(&settings.url) {
        Some(path) => open_sqlite(&path, settings).await,
        None => open_postgres(settings).await,
    }
}

async fn open_sqlite(path: &Path, settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    let mut writer = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    quiet(&mut writer);
    writer.map_sqlx_sqlite_opts(|options| {
        options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .pragma("wal_autocheckpoint", "1000")
            .pragma("journal_size_limit", "67108864")
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
    let writer = Database::connect(writer).await?;
    for (pragma, wanted) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("foreign_keys", "1"),
    ] {
        let actual = read_setting(&writer, DbBackend::Sqlite, &format!("PRAGMA {pragma}")).await?;
        require(pragma, &actual, wanted)?;
    }
    let reader = Database::connect(reader).await?;
    Ok(Connections {
        engine: Engine::Sqlite,
        writer,
        reader,
    })
}

async fn open_postgres(settings: &DatabaseSettings) -> Result<Connections, StoreError> {
    let mut options = ConnectOptions::new(settings.url.clone());
    quiet(&mut options);
    options.max_connections(settings.max_connections.max(2));
    options.map_sqlx_postgres_opts(|options| {
        options.application_name("till").options([
            // Limits live in the server: a timeout around a database future would poison the pool.
            ("statement_timeout", "10000"),
            ("lock_timeout", "5000"),
            ("idle_in_transaction_session_timeout", "15000"),
        ])
    });
    let pool = Database::connect(options).await?;
    for (setting, wanted) in [
        ("default_transaction_isolation", "read committed"),
        ("server_encoding", "UTF8"),
    ] {
        let actual = read_setting(&pool, DbBackend::Postgres, &format!("SHOW {setting}")).await?;
        require(setting, &actual, wanted)?;
    }
    let commit = read_setting(&pool, DbBackend::Postgres, "SHOW synchronous_commit").await?;
    if commit == "off" {
        require("synchronous_commit", &commit, "on")?;
    }
    Ok(Connections {
        engine: Engine::Postgres,
        writer: pool.clone(),
        reader: pool,
    })
}

/// No statement, and so no bound value, ever reaches a log.
fn quiet(options: &mut ConnectOptions) {
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>);
}

async fn read_setting(
    connection: &DatabaseConnection,
    backend: DbBackend,
    sql: &str,
) -> Result<String, StoreError> {
    let row = connection
        .query_one_raw(Statement::from_string(backend, sql))
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("no answer to {sql}")))?;
    match row.try_get_by_index::<String>(0) {
        Ok(text) => Ok(text),
        Err(_) => Ok(row.try_get_by_index::<i64>(0)?.to_string()),
    }
}

fn require(setting: &str, actual: &str, wanted: &str) -> Result<(), StoreError> {
    if actual == wanted {
        return Ok(());
    }
    Err(StoreError::Setting(format!(
        "the database runs with {setting} = {actual}, but money needs {wanted}; \
         remove what overrides it and start again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_runs_with_the_settings_money_needs() {
        let name = format!("till-connect-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let settings = DatabaseSettings {
            url: format!("sqlite://{}", folder.join("till.db").display()),
            max_connections: 2,
        };
        let opened = open(&settings).await.expect("opens");
        for (pragma, wanted) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("busy_timeout", "5000"),
        ] {
            let sql = format!("PRAGMA {pragma}");
            let actual = read_setting(&opened.writer, DbBackend::Sqlite, &sql).await;
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
        opened.reader.close().await.expect("closes");
        opened.writer.close().await.expect("closes");
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }

    #[test]
    fn a_wrong_setting_is_refused_with_both_values() {
        assert!(require("synchronous", "2", "2").is_ok());
        let refusal = require("synchronous", "1", "2")
            .expect_err("refused")
            .to_string();
        assert!(
            refusal.contains("synchronous = 1") && refusal.contains("needs 2"),
            "{refusal}"
        );
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
