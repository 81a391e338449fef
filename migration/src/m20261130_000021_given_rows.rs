//! PostgreSQL: the type that rows are given to a statement in, all of them as one array. Of an array for each column the
//! server builds a table by itself, and joins them side by side: for few rows that is dearer than to store them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// As many as the widest row has, with some to spare. What a row does not need is NULL.
const COLUMNS: usize = 48;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Sqlite {
            return Ok(());
        }
        let columns: Vec<String> = (0..COLUMNS)
            .map(|at| format!("c{at} TEXT COLLATE \"C\""))
            .collect();
        let create = format!("CREATE TYPE given_row AS ({})", columns.join(", "));
        manager.get_connection().execute_unprepared(&create).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Sqlite {
            return Ok(());
        }
        let drop = "DROP TYPE given_row";
        manager.get_connection().execute_unprepared(drop).await?;
        Ok(())
    }
}
