//! The words in which the two engines differ.
//!
//! | word | SQLite | PostgreSQL |
//! |---|---|---|
//! | `{text}` | TEXT | TEXT COLLATE "C": sorts by bytes, as ids must |
//! | `{int}` | INTEGER | BIGINT |
//! | `{bool}` | INTEGER (0 or 1) | BOOLEAN |
//! | `{bytes}` | BLOB | BYTEA |
//! | `{strict}` | STRICT | nothing: PostgreSQL always is |
//! | `{clustered}` | STRICT, and the primary key is the table | nothing: PostgreSQL has no such tables |

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

/// Runs statements one by one in the migration's transaction.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    for statement in statements {
        let sql = translate(backend, statement);
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// A table, one of its columns, and the table that refers to.
pub(crate) type Reference = (&'static str, &'static str, &'static str);

/// PostgreSQL: lets columns hold what the table they refer to does not know. SQLite could only lose a reference with
/// its table, and checks each of them cheaply.
pub(crate) async fn drop_references(
    manager: &SchemaManager<'_>,
    references: &[Reference],
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        return Ok(());
    }
    for (table, column, _) in references {
        let sql = format!("ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fkey");
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// PostgreSQL: what follows in this transaction may take as long as there are rows.
pub(crate) async fn take_time(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        let connection = manager.get_connection();
        connection
            .execute_unprepared("SET LOCAL statement_timeout = 0")
            .await?;
    }
    Ok(())
}

/// Undoes [`drop_references`]; all rows there are will be looked at.
pub(crate) async fn restore_references(
    manager: &SchemaManager<'_>,
    references: &[Reference],
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        return Ok(());
    }
    take_time(manager).await?;
    let connection = manager.get_connection();
    for (table, column, target) in references {
        let sql = format!(
            "ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_fkey \
             FOREIGN KEY ({column}) REFERENCES {target} (id)"
        );
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Refuses every change of a table's rows but new ones.
pub(crate) async fn append_only(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        for verb in ["UPDATE", "DELETE"] {
            let name = verb.to_lowercase();
            connection
                .execute_unprepared(&format!(
                    "CREATE TRIGGER {table}_no_{name} BEFORE {verb} ON {table} \
                     BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                ))
                .await?;
        }
        return Ok(());
    }
    for sql in [
        "CREATE OR REPLACE FUNCTION till_append_only() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
            .to_owned(),
        format!(
            "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} \
             FOR EACH ROW EXECUTE FUNCTION till_append_only()"
        ),
        format!(
            "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} \
             FOR EACH STATEMENT EXECUTE FUNCTION till_append_only()"
        ),
    ] {
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Undoes [`append_only`] for good; the tables are gone by now.
pub(crate) async fn forget_append_only(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        let drop = "DROP FUNCTION IF EXISTS till_append_only()";
        manager.get_connection().execute_unprepared(drop).await?;
    }
    Ok(())
}

/// As [`append_only`], but that one column, what people wrote, may be emptied for good; `said` are the others.
pub(crate) async fn append_only_but(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
    said: &str,
) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        let changed = said
            .split(", ")
            .map(|name| format!("OLD.{name} IS NOT NEW.{name}"));
        let changed = changed.collect::<Vec<_>>().join(" OR ");
        for (verb, when) in [
            (
                "UPDATE",
                format!("WHEN NEW.{column} IS NOT NULL OR {changed}"),
            ),
            ("DELETE", String::new()),
        ] {
            let name = verb.to_lowercase();
            connection
                .execute_unprepared(&format!(
                    "CREATE TRIGGER {table}_no_{name} BEFORE {verb} ON {table} {when} \
                     BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                ))
                .await?;
        }
        return Ok(());
    }
    for sql in [
        "CREATE OR REPLACE FUNCTION till_append_only_but() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF TG_OP = 'UPDATE' AND to_jsonb(NEW) ->> TG_ARGV[0] IS NULL \
         AND to_jsonb(NEW) - TG_ARGV[0] = to_jsonb(OLD) - TG_ARGV[0] THEN RETURN NEW; END IF; \
         RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
            .to_owned(),
        format!(
            "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} \
             FOR EACH ROW EXECUTE FUNCTION till_append_only_but('{column}')"
        ),
        format!(
            "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} \
             FOR EACH STATEMENT EXECUTE FUNCTION till_append_only_but('{column}')"
        ),
    ] {
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Undoes [`append_only_but`] for good; the tables are gone by now.
pub(crate) async fn forget_append_only_but(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        let drop = "DROP FUNCTION IF EXISTS till_append_only_but()";
        manager.get_connection().execute_unprepared(drop).await?;
    }
    Ok(())
}

fn translate(backend: DatabaseBackend, statement: &str) -> String {
    let words = if backend == DatabaseBackend::Sqlite {
        [
            ("{text}", "TEXT"),
            ("{int}", "INTEGER"),
            ("{bool}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{strict}", "STRICT"),
            ("{clustered}", "STRICT, WITHOUT ROWID"),
        ]
    } else {
        [
            ("{text}", "TEXT COLLATE \"C\""),
            ("{int}", "BIGINT"),
            ("{bool}", "BOOLEAN"),
            ("{bytes}", "BYTEA"),
            ("{strict}", ""),
            ("{clustered}", ""),
        ]
    };
    let mut sql = statement.to_owned();
    for (word, meaning) in words {
        sql = sql.replace(word, meaning);
    }
    sql
}
