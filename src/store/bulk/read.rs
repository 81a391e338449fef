//! Reading rows of several tables in one statement.

use sea_orm::sea_query::{ColumnType, Value};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable,
    TryIntoModel,
};

use super::super::rows::sql;
use super::super::{Engine, StoreError};
use super::quoted;

/// A part of a [`read`]: which rows of a table are wanted.
pub(in crate::store) struct Wanted {
    columns: Vec<String>,
    table: String,
    condition: String,
    values: Vec<Value>,
}

impl Wanted {
    /// The rows of a table that meet a condition with `?` placeholders.
    pub fn rows<E: EntityTrait>(condition: String, values: Vec<Value>) -> Wanted {
        Wanted {
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
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            table: source.to_owned(),
            condition,
            values,
        }
    }
}

/// Reads rows of several tables in one statement; the answer has a list for each part.
///
/// Every column travels as text, so that rows of any table stand below each other; on SQLite a row travels as one text
/// with all of them, because the driver copies each value by itself.
pub(in crate::store) async fn read<C: ConnectionTrait>(
    connection: &C,
    engine: Engine,
    parts: Vec<Wanted>,
) -> Result<Vec<Vec<Cells>>, StoreError> {
    let count = parts.len();
    let (text, values, width) = read_text(engine, parts);
    let mut lists: Vec<Vec<Cells>> = (0..count).map(|_| Vec::new()).collect();
    let rows = connection.query_all_raw(sql(engine, &text, values)).await?;
    for row in rows {
        let (part, cells) = match engine {
            Engine::Sqlite => {
                let cells: String = row.try_get_by_index(1)?;
                (row.try_get_by_index::<i64>(0)?, cells_of(&cells)?)
            }
            Engine::Postgres => {
                let cells = (1..=width).map(|at| Ok(row.try_get_by_index(at)?));
                let part = i64::from(row.try_get_by_index::<i32>(0)?);
                (part, cells.collect::<Result<_, StoreError>>()?)
            }
        };
        let list = usize::try_from(part)
            .ok()
            .and_then(|part| lists.get_mut(part));
        if let Some(list) = list {
            list.push(Cells(cells));
        }
    }
    Ok(lists)
}

/// The statement of a [`read`], its values, and how many columns each row has beside the number of its part.
fn read_text(engine: Engine, parts: Vec<Wanted>) -> (String, Vec<Value>, usize) {
    let widths = parts.iter().map(|part| part.columns.len());
    let width = match engine {
        Engine::Sqlite => 1,
        Engine::Postgres => widths.max().unwrap_or(0),
    };
    let mut texts = Vec::with_capacity(parts.len());
    let mut values = Vec::new();
    for (part, at) in parts.into_iter().zip(0_u32..) {
        let columns = match engine {
            Engine::Sqlite => format!("json_array({})", part.columns.join(", ")),
            Engine::Postgres => {
                let missing = width.saturating_sub(part.columns.len());
                let columns = part.columns.iter();
                let columns = columns.map(|column| format!("CAST({column} AS TEXT)"));
                let padding = std::iter::repeat_n("NULL".to_owned(), missing);
                columns.chain(padding).collect::<Vec<_>>().join(", ")
            }
        };
        texts.push(format!(
            "SELECT {at}, {columns} FROM {} WHERE {}",
            part.table, part.condition
        ));
        values.extend(part.values);
    }
    (texts.join(" UNION ALL "), values, width)
}

/// The cells of a row that is written as a JSON array.
fn cells_of(row: &str) -> Result<Vec<Option<String>>, StoreError> {
    use serde_json::Value as Json;
    let cells: Vec<Json> = serde_json::from_str(row)
        .map_err(|_| StoreError::Corrupt("a row that is no JSON".to_owned()))?;
    let cells = cells.into_iter().map(|cell| match cell {
        Json::Null => None,
        Json::String(text) => Some(text),
        other => Some(other.to_string()),
    });
    Ok(cells.collect())
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
