//! The settings of a database that money depends on: what they must be, and what they are.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::servers::LIMITS;
use super::{Engine, Store, StoreError};

/// A setting of the database as it is, and as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the engine.
    pub name: &'static str,
    /// What it is.
    pub actual: String,
    /// Whether money is safe with it.
    pub good: bool,
}

/// What SQLite must run with, in the values it answers with.
pub(super) const SQLITE_REQUIRED: [(&str, &str); 3] = [
    ("journal_mode", "wal"),
    ("synchronous", "2"),
    ("foreign_keys", "1"),
];

/// What PostgreSQL must run with.
pub(super) const POSTGRES_REQUIRED: [(&str, &str); 2] = [
    ("default_transaction_isolation", "read committed"),
    ("server_encoding", "UTF8"),
];

impl Store {
    /// The settings that money depends on, as they are.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub async fn settings(&self) -> Result<Vec<Setting>, StoreError> {
        let (backend, ask, required) = match self.engine {
            Engine::Sqlite => (DbBackend::Sqlite, "PRAGMA", &SQLITE_REQUIRED[..]),
            Engine::Postgres => (DbBackend::Postgres, "SHOW", &POSTGRES_REQUIRED[..]),
        };
        let mut settings = Vec::new();
        for (name, wanted) in required {
            let actual = match (*name, self.journal) {
                ("journal_mode", Some(mode)) => mode.to_owned(),
                _ => read(&self.reader, backend, &format!("{ask} {name}")).await?,
            };
            settings.push(Setting {
                name,
                good: actual == *wanted,
                actual,
            });
        }
        if self.engine == Engine::Postgres {
            let actual = read(&self.reader, backend, "SHOW synchronous_commit").await?;
            settings.push(Setting {
                name: "synchronous_commit",
                good: actual != "off",
                actual,
            });
            let standby = "SELECT pg_catalog.pg_is_in_recovery()::text";
            let actual = read(&self.reader, backend, standby).await?;
            settings.push(Setting {
                name: "in_recovery",
                good: actual == "false",
                actual,
            });
            for (limit, _) in LIMITS {
                let show = format!("SHOW {limit}");
                let actual = read(&self.reader, backend, &show).await?;
                settings.push(Setting {
                    name: limit,
                    good: actual != "0",
                    actual,
                });
            }
        }
        Ok(settings)
    }

    /// The version of the database engine, as it says it.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        let (backend, question) = match self.engine {
            Engine::Sqlite => (DbBackend::Sqlite, "SELECT sqlite_version()"),
            Engine::Postgres => (DbBackend::Postgres, "SHOW server_version"),
        };
        read(&self.reader, backend, question).await
    }
}

/// How a SQLite file keeps what is written, in the words of `PRAGMA journal_mode`, as the file itself says it: a connection
/// that can change nothing answers for itself alone. It is asked before the file is opened as a database. Closing a file
/// takes away all locks this process has on it, SQLite's too.
pub(super) fn journal_mode(path: &Path) -> &'static str {
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    // The format's version for writers and for readers: 2 is the write-ahead log.
    match read.is_ok() && head.ends_with(&[2, 2]) {
        true => "wal",
        false => "delete",
    }
}

/// One setting, as the database answers.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
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

/// Refuses a setting that is not as money needs it.
pub(super) fn require(setting: &str, actual: &str, wanted: &str) -> Result<(), StoreError> {
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
    use crate::clock::Clock;
    use crate::store::DatabaseSettings;

    #[tokio::test]
    async fn whoever_opened_the_file_reads_the_same_settings() {
        let name = format!("till-settings-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let file = folder.join("till.db");
        let settings = DatabaseSettings {
            url: format!("sqlite://{}", file.display()),
            max_connections: 1,
            batch: 1,
        };
        assert_eq!(journal_mode(&file), "delete", "there is no file yet");
        let wanted = SQLITE_REQUIRED.map(|(name, wanted)| (name, wanted.to_owned(), true));
        let seen = async |store: &Store| {
            let read = store.settings().await.expect("settings");
            let read = read.into_iter();
            let read: Vec<_> = read.map(|one| (one.name, one.actual, one.good)).collect();
            assert_eq!(read, wanted);
        };
        let writing = Store::open(&settings, Clock::system()).await;
        let writing = writing.expect("opens");
        seen(&writing).await;
        let looking = async || {
            let opened = Store::open_read_only(&settings, Clock::system()).await;
            opened.expect("opens")
        };
        let beside = looking().await;
        seen(&beside).await;
        beside.close().await.expect("closes");
        writing.close().await.expect("closes");
        let alone = looking().await;
        seen(&alone).await;
        alone.close().await.expect("closes");
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
}
