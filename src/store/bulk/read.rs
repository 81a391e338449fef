//! Reading rows of several tables in one statement.

use std::fmt::Formatter;
use std::sync::Arc;

use sea_orm::sea_query::{ColumnType, Value};
use sea_orm::sqlx::{self, Row as _};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, Iterable,
    QueryResult, RuntimeErr, TryIntoModel,
};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use super::super::rows::sql;
use super::super::{Engine, StoreError};
use super::quoted;

/// Room for the cells of the widest rows.
const MOST_COLUMNS: usize = 40;

/// A part of a [`read`]: which rows of a table are wanted.
pub(in crate::store) struct Wanted {
    /// What its source may refer to, as `name AS (…)`, and its values.
    given: Option<(String, Vec<Value>)>,
    columns: Vec<String>,
    table: String,
    condition: String,
    values: Vec<Value>,
}

impl Wanted {
    /// The rows of a table that meet a condition with `?` placeholders.
    pub fn rows<E: EntityTrait>(condition: String, values: Vec<Value>) -> Wanted {
        Wanted {
            given: None,
            columns: E::Column::iter().map(|column| quoted(&column)).collect(),
            table: format!("\"{}\"", E::default().table_name()),
            condition,
            values,
        }
    }

    /// Columns of other making, from any source.
    pub fn columns(
        columns: &[&str],
        source: &str,
        condition: String,
        values: Vec<Value>,
    ) -> Wanted {
        Wanted {
            given: None,
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            table: source.to_owned(),
            condition,
            values,
        }
    }

    /// Columns of other making, and behind them those of a table that `source` calls `name`.
    pub fn with<E: EntityTrait>(
        columns: &[&str],
        name: &str,
        source: &str,
        condition: String,
        values: Vec<Value>,
    ) -> Wanted {
        let mut wanted = Wanted::columns(columns, source, condition, values);
        let row = E::Column::iter().map(|column| format!("{name}.{}", quoted(&column)));
        wanted.columns.extend(row);
        wanted
    }

    /// The same, with a `name AS (…)` that its source and its condition may refer to.
    pub fn given(self, named: String, values: Vec<Value>) -> Wanted {
        Wanted {
            given: Some((named, values)),
            ..self
        }
    }
}

/// Reads rows of several tables in one statement; the answer has a list for each part.
///
/// Every column travels as text, so that rows of any table stand below each other. On SQLite all of them travel as one
/// text: the driver copies each value by itself, and for each row it wakes whoever waits, which costs more than the row.
pub(in crate::store) async fn read<C: ConnectionTrait>(
    connection: &C,
    engine: Engine,
    parts: Vec<Wanted>,
) -> Result<Vec<Vec<Cells>>, StoreError> {
    let count = parts.len();
    let widths: Vec<usize> = parts.iter().map(|part| part.columns.len()).collect();
    let (text, values) = read_text(engine, parts);
    let mut lists: Vec<Vec<Cells>> = (0..count).map(|_| Vec::new()).collect();
    let rows = connection.query_all_raw(sql(engine, &text, values)).await?;
    let mut add = |part: i64, cells| {
        let list = usize::try_from(part).ok();
        if let Some(list) = list.and_then(|part| lists.get_mut(part)) {
            list.push(Cells(cells));
        }
    };
    match engine {
        Engine::Sqlite => {
            let all = rows
                .first()
                .map(|row| row.try_get_by_index(0))
                .transpose()?;
            for Row { part, cells } in rows_of(all.flatten())? {
                add(part, cells);
            }
        }
        Engine::Postgres => {
            for row in rows {
                let part = row.try_get_by_index::<i32>(0)?;
                let width = usize::try_from(part).ok();
                let width = width.and_then(|part| widths.get(part)).copied();
                add(i64::from(part), texts(&row, width.unwrap_or(0))?);
            }
        }
    }
    Ok(lists)
}

/// As many cells of a row as its part has columns, all of them texts: the rest only fills it up. Asked of the driver,
/// which has been told their types, without asking each of them what it is.
fn texts(row: &QueryResult, width: usize) -> Result<Vec<Option<String>>, StoreError> {
    let row = row.try_as_pg_row();
    let row = row.ok_or_else(|| StoreError::Corrupt("a row of another database".to_owned()))?;
    let cells = (1..=width).map(|at| row.try_get_unchecked(at));
    let cells: Result<_, sqlx::Error> = cells.collect();
    cells.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))).into())
}

/// The statement of a [`read`], and its values.
fn read_text(engine: Engine, parts: Vec<Wanted>) -> (String, Vec<Value>) {
    let widths = parts.iter().map(|part| part.columns.len());
    let width = match engine {
        Engine::Sqlite => 0,
        Engine::Postgres => widths.max().unwrap_or(0),
    };
    let mut texts = Vec::with_capacity(parts.len());
    let mut values = Vec::new();
    let mut given = Vec::new();
    let mut parts = parts;
    for (named, of_named) in parts.iter_mut().filter_map(|part| part.given.take()) {
        given.push(named);
        values.extend(of_named);
    }
    let given = match given.is_empty() {
        true => String::new(),
        false => format!("WITH {} ", given.join(", ")),
    };
    for (part, at) in parts.into_iter().zip(0_u32..) {
        let columns = match engine {
            Engine::Sqlite => format!("json_array({at}, {}) AS line", part.columns.join(", ")),
            Engine::Postgres => {
                let missing = width.saturating_sub(part.columns.len());
                // Named, or a condition that is sorted by a column would mean its text.
                let columns = part.columns.iter().zip(0_usize..);
                let columns =
                    columns.map(|(column, at)| format!("CAST({column} AS TEXT) AS cell{at}"));
                let padding = std::iter::repeat_n("NULL".to_owned(), missing);
                let columns: Vec<String> = columns.chain(padding).collect();
                format!("{at}, {}", columns.join(", "))
            }
        };
        texts.push(format!(
            "SELECT {columns} FROM {} WHERE {}",
            part.table, part.condition
        ));
        values.extend(part.values);
    }
    let all = texts.join(" UNION ALL ");
    let text = match engine {
        Engine::Sqlite => format!("{given}SELECT group_concat(line) FROM ({all})"),
        Engine::Postgres => given + &all,
    };
    (text, values)
}

/// A row that is written as a JSON array, the number of its part first.
struct Row {
    part: i64,
    cells: Vec<Option<String>>,
}

/// Rows that are written as JSON arrays, one behind the other.
fn rows_of(all: Option<String>) -> Result<Vec<Row>, StoreError> {
    let all = format!("[{}]", all.unwrap_or_default());
    serde_json::from_str(&all).map_err(|_| StoreError::Corrupt("rows that are no JSON".to_owned()))
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Row, D::Error> {
        struct Cell(Option<String>);

        struct AsCell;

        impl Visitor<'_> for AsCell {
            type Value = Cell;

            fn expecting(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
                to.write_str("a text, a whole number or null")
            }

            fn visit_unit<E>(self) -> Result<Cell, E> {
                Ok(Cell(None))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell(Some(text.to_owned())))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Cell, E> {
                Ok(Cell(Some(number.to_string())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Cell, E> {
                Ok(Cell(Some(number.to_string())))
            }
        }

        impl<'de> Deserialize<'de> for Cell {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Cell, D::Error> {
                from.deserialize_any(AsCell)
            }
        }

        struct AsRow;

        impl<'de> Visitor<'de> for AsRow {
            type Value = Row;

            fn expecting(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
                to.write_str("the number of a part and cells")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut from: S) -> Result<Row, S::Error> {
                let part = from.next_element()?;
                let part = part.ok_or_else(|| S::Error::invalid_length(0, &self))?;
                let mut cells = Vec::with_capacity(MOST_COLUMNS);
                while let Some(Cell(cell)) = from.next_element()? {
                    cells.push(cell);
                }
                Ok(Row { part, cells })
            }
        }

        from.deserialize_seq(AsRow)
    }
}

/// A row as texts.
pub(in crate::store) struct Cells(Vec<Option<String>>);

impl Cells {
    /// A column's text.
    pub fn text(&self, at: usize) -> Result<&str, StoreError> {
        let cell = self.0.get(at).and_then(Option::as_deref);
        cell.ok_or_else(|| StoreError::Corrupt("a row with too few columns".to_owned()))
    }

    /// A column's text, if it has one.
    pub fn text_or_null(&self, at: usize) -> Option<&str> {
        self.0.get(at).and_then(Option::as_deref)
    }

    /// The texts from a column on, as many as there are.
    pub fn texts(&self, from: usize) -> impl Iterator<Item = &str> {
        self.0.iter().skip(from).filter_map(Option::as_deref)
    }

    /// A column's whole number.
    pub fn number(&self, at: usize) -> Result<i64, StoreError> {
        let number = self.text(at)?.parse();
        number.map_err(|_| StoreError::Corrupt("a column that is no number".to_owned()))
    }

    /// The row without its first columns.
    pub fn behind(mut self, columns: usize) -> Cells {
        self.0.drain(..columns.min(self.0.len()));
        self
    }

    /// The row as its table's.
    pub fn model<E>(self) -> Result<E::Model, StoreError>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: TryIntoModel<E::Model>,
    {
        let mut row = <E::ActiveModel as ActiveModelTrait>::default();
        for (column, cell) in E::Column::iter().zip(self.0) {
            let value = value_of(&column, cell)?;
            row.set(column, value);
        }
        Ok(row.try_into_model()?)
    }
}

/// A column's value from its text.
fn value_of<C: ColumnTrait>(column: &C, cell: Option<String>) -> Result<Value, StoreError> {
    let wrong =
        || StoreError::Corrupt(format!("column {} holds an unknown value", column.as_str()));
    Ok(match column.def().get_column_type() {
        ColumnType::BigInteger | ColumnType::Integer => {
            let number = cell.map(|cell| cell.parse().map_err(|_| wrong()));
            Value::BigInt(number.transpose()?)
        }
        ColumnType::Boolean => Value::Bool(cell.map(|cell| matches!(cell.as_str(), "1" | "true"))),
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => return Err(wrong()),
        _ => Value::String(cell),
    })
}
