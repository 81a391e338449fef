//! Changes of several tables that are sent together.

use std::sync::Arc;

use entity::event;
use sea_orm::sea_query::Value;
use sea_orm::sqlx::Arguments as _;
use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Iterable, ModelTrait, Statement};

use super::super::rows::sql;
use super::super::{Engine, StoreError, Tx, events};
use super::{Change, inserts, narrowing, of_models, source, update_text, updates};

/// Changes of several tables that are sent together: on PostgreSQL as one statement, on SQLite one behind the other in
/// one message.
pub(in crate::store) struct Parts {
    engine: Engine,
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Parts {
    /// None yet.
    pub fn on(engine: Engine) -> Parts {
        Parts {
            engine,
            texts: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Rows to be inserted.
    pub fn insert<E>(&mut self, rows: &[E::Model])
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E>,
    {
        if rows.is_empty() {
            return;
        }
        let columns: Vec<E::Column> = E::Column::iter().collect();
        let rows = of_models::<E>(rows, &columns);
        if self.engine == Engine::Sqlite {
            return self.add(inserts::<E>(self.engine, &slices(&rows), ""));
        }
        let source = self.source(&slices(&rows), &columns);
        let (table, names) = (E::default().table_name(), super::columns::<E>());
        self.texts.push(format!(
            "INSERT INTO \"{table}\" ({names}) SELECT * FROM {source} AS given"
        ));
    }

    /// Events to be inserted.
    pub fn events(&mut self, rows: &[event::Model]) {
        if self.engine == Engine::Postgres {
            return self.insert::<event::Entity>(rows);
        }
        let columns: Vec<event::Column> = event::Column::iter().collect();
        let rows = of_models::<event::Entity>(rows, &columns);
        let placing = events::placing(&slices(&rows), None);
        self.add(placing.taking.into_iter().chain(placing.inserting));
    }

    /// Rows to be changed.
    pub fn update<E>(&mut self, rows: &[E::Model], change: Change<'_, E::Column>)
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E>,
        E::Column: Copy,
    {
        if rows.is_empty() {
            return;
        }
        if self.engine == Engine::Sqlite {
            return self.add(updates::<E>(self.engine, rows, change, ""));
        }
        let all = [change.found_by, change.set].concat();
        let rows = of_models::<E>(rows, &all);
        let rows = slices(&rows);
        let source = self.source(&rows, &all);
        self.values.extend(narrowing(Engine::Postgres, &rows));
        self.texts
            .push(update_text::<E>(Engine::Postgres, &source, change));
    }

    /// The database they are for.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The statements as they are so far.
    #[cfg(test)]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    fn add(&mut self, statements: impl IntoIterator<Item = Statement>) {
        for statement in statements {
            self.texts.push(statement.sql);
            let values = statement.values.into_iter().flat_map(|values| values.0);
            self.values.extend(values);
        }
    }

    fn source<C: ColumnTrait>(&mut self, rows: &[&[Value]], columns: &[C]) -> String {
        let (source, values) = source(Engine::Postgres, rows, columns);
        self.values.extend(values);
        source
    }

    /// Carries all of them out.
    pub async fn carry_out(mut self, tx: &Tx) -> Result<(), StoreError> {
        if self.engine == Engine::Sqlite {
            return tx.run_all(&self.texts, self.values).await;
        }
        let Some(last) = self.texts.pop() else {
            return Ok(());
        };
        let others = self.texts.iter().zip(0_usize..);
        let others: Vec<String> = others
            .map(|(text, at)| format!("part{at} AS ({text})"))
            .collect();
        let text = match others.is_empty() {
            true => last,
            false => format!("WITH {} {last}", others.join(", ")),
        };
        tx.conn()
            .execute_raw(sql(tx.engine, &text, self.values))
            .await?;
        Ok(())
    }
}

fn slices(rows: &[Vec<Value>]) -> Vec<&[Value]> {
    rows.iter().map(Vec::as_slice).collect()
}

/// SQLite: rows of several tables that are inserted all or not at all, for [`Store::write_together`].
///
/// [`Store::write_together`]: super::super::Store::write_together
pub(in crate::store) struct Inserts(Parts);

impl Inserts {
    /// None yet.
    pub fn new() -> Inserts {
        Inserts(Parts::on(Engine::Sqlite))
    }

    /// Rows of a table.
    pub fn add<E: EntityTrait>(&mut self, rows: &[&[Value]]) {
        self.0.add(inserts::<E>(Engine::Sqlite, rows, ""));
    }

    /// Statements of other making.
    pub fn statements(&mut self, statements: impl IntoIterator<Item = Statement>) {
        self.0.add(statements);
    }

    /// What is sent.
    pub fn together(self) -> Together {
        Together {
            statements: self.0.texts.len(),
            text: format!("BEGIN IMMEDIATE; {}; COMMIT", self.0.texts.join("; ")).into(),
            values: self.0.values,
        }
    }
}

/// Statements that are one transaction, with its beginning and its end.
pub(in crate::store) struct Together {
    /// How many there are.
    pub statements: usize,
    /// All of them.
    pub text: Arc<str>,
    values: Vec<Value>,
}

impl Together {
    /// Their values, as the driver takes them.
    pub fn arguments(&self) -> Result<SqliteArguments, StoreError> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.values.len(), 0);
        for value in &self.values {
            let added = match value {
                Value::String(text) => arguments.add(text.as_deref()),
                Value::BigInt(number) => arguments.add(*number),
                Value::Bool(yes) => arguments.add(*yes),
                Value::Bytes(bytes) => arguments.add(bytes.as_deref()),
                _ => return Err(StoreError::Corrupt("a value of another kind".to_owned())),
            };
            added.map_err(|_| StoreError::Corrupt("a value that is too long".to_owned()))?;
        }
        Ok(arguments)
    }
}
