//! Bringing the schema up to date: one process at a time, never past what this program knows.

use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait;

use super::connect::Engine;
use super::rows::sql;
use super::{Store, StoreError};

/// Where a schema stands against this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStatus {
    /// Migrations this program knows and the database has.
    pub applied: Vec<String>,
    /// Migrations this program knows and the database lacks.
    pub pending: Vec<String>,
    /// Migrations the database has and this program does not know: it was written by a newer one.
    pub unknown: Vec<String>,
}

/// Held while a process migrates, on PostgreSQL.
const MIGRATION_LOCK: i64 = 7_411_554_000_001;

impl Store {
    /// Applies what is missing.
    ///
    /// # Errors
    /// A schema newer than this program or migrated in part, or a migration that fails; nothing of it stays.
    pub async fn migrate_up(&self) -> Result<SchemaStatus, StoreError> {
        let status = self.fit_schema().await?;
        if status.pending.is_empty() {
            return Ok(status);
        }
        self.write(|tx| async move {
            lock(&tx).await?;
            Migrator::up(tx.transaction(), None).await?;
            Ok::<_, StoreError>(())
        })
        .await?;
        self.schema_status().await
    }

    /// Takes back the newest `steps` migrations; what is in tables that go with them only when it is to be `discarded`.
    ///
    /// # Errors
    /// [`StoreError::Setting`] with the tables that would go with what is in them; a migration that fails. Nothing of it
    /// stays.
    pub async fn migrate_down(
        &self,
        steps: u32,
        discarded: bool,
    ) -> Result<SchemaStatus, StoreError> {
        self.fit_schema().await?;
        self.write(|tx| async move {
            lock(&tx).await?;
            let before = with_rows(&tx).await?;
            Migrator::down(tx.transaction(), Some(steps)).await?;
            let after = with_rows(&tx).await?;
            let lost: Vec<String> = before.into_iter().filter(|t| !after.contains(t)).collect();
            if lost.is_empty() || discarded {
                return Ok(());
            }
            Err(StoreError::Setting(format!(
                "this would delete what is in the tables {}, so nothing was changed; to go back to an older program, \
                 restore the backup from before the upgrade, and to delete it all the same, add --discard-data",
                lost.join(", ")
            )))
        })
        .await?;
        self.schema_status().await
    }

    /// Compares the database's schema with this program's.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub async fn schema_status(&self) -> Result<SchemaStatus, StoreError> {
        let have = self.applied_migrations().await?;
        let known: Vec<String> = Migrator::migrations()
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect();
        let (applied, pending) = known.iter().cloned().partition(|name| have.contains(name));
        let unknown = have
            .into_iter()
            .filter(|name| !known.contains(name))
            .collect();
        Ok(SchemaStatus {
            applied,
            pending,
            unknown,
        })
    }

    /// Where the schema stands, if this program can take it from there.
    ///
    /// # Errors
    /// [`StoreError::Setting`] for a newer schema or one migrated in part: what is found, then what to do.
    pub async fn fit_schema(&self) -> Result<SchemaStatus, StoreError> {
        let status = self.schema_status().await?;
        let refuse = |text: String| Err(StoreError::Setting(text));
        if let Some(name) = status.unknown.first() {
            return refuse(format!(
                "the database's schema is newer than this program (it has {name}); \
                 run the program that migrated it, or a later one"
            ));
        }
        // Till applies migrations in their order and all or none: whoever left a gap was something else.
        let (has, lacks) = (status.applied.last(), status.pending.first());
        if let (Some(has), Some(lacks)) = (has, lacks)
            && lacks < has
        {
            return refuse(format!(
                "the database's schema is migrated in part: it has {has} but not {lacks}, which comes before it; \
                 restore the last backup, or give TILL_DATABASE__URL an empty database"
            ));
        }
        // Tables and their record are committed together, so a record looked for after its tables is there.
        if has.is_none() && self.has_tables().await? {
            if self.applied_migrations().await?.is_empty() {
                return refuse(
                    "the database has tables of Till's names but no record of its migrations (the table \
                     seaql_migrations): it was restored in part, or belongs to something else; restore the last \
                     backup, or give TILL_DATABASE__URL an empty database"
                        .to_owned(),
                );
            }
            return self.schema_status().await;
        }
        Ok(status)
    }

    async fn has_tables(&self) -> Result<bool, StoreError> {
        let ask = match self.engine {
            Engine::Sqlite => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('shop', 'order')"
            }
            Engine::Postgres => {
                "SELECT COUNT(*) FROM pg_catalog.pg_tables \
                 WHERE tablename IN ('shop', 'order') AND schemaname = current_schema()"
            }
        };
        let row = self.writer.query_one_raw(sql(self.engine, ask, [])).await?;
        let tables: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        Ok(tables > 0)
    }

    async fn applied_migrations(&self) -> Result<Vec<String>, StoreError> {
        let exists = match self.engine {
            Engine::Sqlite => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'"
            }
            Engine::Postgres => {
                "SELECT COUNT(*) FROM pg_catalog.pg_tables \
                 WHERE tablename = 'seaql_migrations' AND schemaname = current_schema()"
            }
        };
        let row = self
            .writer
            .query_one_raw(sql(self.engine, exists, []))
            .await?;
        let tables: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        if tables == 0 {
            return Ok(Vec::new());
        }
        let all = "SELECT version FROM seaql_migrations ORDER BY version";
        let rows = self.writer.query_all_raw(sql(self.engine, all, [])).await?;
        rows.iter()
            .map(|row| Ok(row.try_get_by_index(0)?))
            .collect()
    }
}

/// Tables whose rows are made anew by themselves.
const MADE_ANEW: [&str; 6] = [
    "seaql_migrations",
    "deployment",
    "provider_account",
    "ledger_account",
    "order_term",
    "search_cursor",
];

/// The tables that have rows which nobody could make again.
async fn with_rows(tx: &super::Tx) -> Result<Vec<String>, StoreError> {
    let tables = match tx.engine {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        }
        Engine::Postgres => {
            "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        }
    };
    let tables = tx.conn().query_all_raw(sql(tx.engine, tables, [])).await?;
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.try_get_by_index(0)?;
        if MADE_ANEW.contains(&table.as_str()) {
            continue;
        }
        if tx.engine == Engine::Postgres {
            // Nobody writes between this look and the end.
            let hold = format!("LOCK TABLE \"{table}\" IN SHARE MODE");
            tx.conn().execute_raw(sql(tx.engine, &hold, [])).await?;
        }
        let any = format!("SELECT 1 FROM \"{table}\" LIMIT 1");
        let any = tx.conn().query_one_raw(sql(tx.engine, &any, [])).await?;
        if any.is_some() {
            found.push(table);
        }
    }
    Ok(found)
}

/// On SQLite the write transaction itself is the lock.
async fn lock(tx: &super::Tx) -> Result<(), StoreError> {
    if tx.engine == Engine::Postgres {
        let statement = sql(
            tx.engine,
            "SELECT pg_advisory_xact_lock(?)",
            [MIGRATION_LOCK.into()],
        );
        tx.conn().query_one_raw(statement).await?;
    }
    Ok(())
}
