//! Many rows in one statement whose text depends on the table alone, so that it is parsed once and stays in each
//! connection's cache of prepared statements, however many rows there are.
//!
//! PostgreSQL takes one array per column and makes rows of them with `unnest`. The arrays travel as text, in the
//! server's own notation: the driver's arrays cannot hold a NULL. SQLite takes rows as `VALUES`, in groups whose
//! sizes are powers of two, so that each table has a handful of texts.

use sea_orm::sea_query::{ColumnType, Value};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryResult,
};

use super::rows::{sql, to_json};
use super::{Engine, StoreError, Tx};

/// The most rows one SQLite statement takes; a power of two.
const ROWS_AT_ONCE: usize = 64;

/// Inserts rows.
pub(super) async fn insert<E>(tx: &Tx, rows: &[E::Model]) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    insert_with::<E>(tx, rows, "").await.map(|_| ())
}

/// Inserts the rows that no unique index refuses; returns a column of each that was inserted, in no order.
pub(super) async fn insert_new<E>(
    tx: &Tx,
    rows: &[E::Model],
    returned: E::Column,
) -> Result<Vec<String>, StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    let ending = format!(
        " ON CONFLICT DO NOTHING RETURNING \"{}\"",
        returned.as_str()
    );
    let inserted = insert_with::<E>(tx, rows, &ending).await?;
    let texts = inserted.iter().map(|row| Ok(row.try_get_by_index(0)?));
    texts.collect()
}

async fn insert_with<E>(
    tx: &Tx,
    rows: &[E::Model],
    ending: &str,
) -> Result<Vec<QueryResult>, StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let names: Vec<String> = columns.iter().map(quoted).collect();
    let table = E::default().table_name();
    let head = format!("INSERT INTO \"{table}\" ({})", names.join(", "));
    let mut answered = Vec::new();
    for group in groups(tx.engine, rows) {
        let (source, values) = source::<E>(tx.engine, group, &columns);
        let text = match tx.engine {
            Engine::Sqlite => format!("{head} {source}{ending}"),
            Engine::Postgres => format!("{head} SELECT * FROM {source}{ending}"),
        };
        answered.extend(
            tx.conn()
                .query_all_raw(sql(tx.engine, &text, values))
                .await?,
        );
    }
    Ok(answered)
}

/// A condition that a column holds one of the texts of a [`list`].
pub(super) fn among(engine: Engine, column: &str) -> String {
    match engine {
        Engine::Sqlite => format!("{column} IN (SELECT value FROM json_each(?))"),
        Engine::Postgres => format!("{column} = ANY(?::text::text[])"),
    }
}

/// Texts as one value, for [`among`].
pub(super) fn list<'t>(engine: Engine, texts: impl Iterator<Item = &'t str>) -> Value {
    match engine {
        Engine::Sqlite => to_json(&texts.collect::<Vec<_>>()).into(),
        Engine::Postgres => array(texts.map(Value::from)).into(),
    }
}

fn quoted<C: IdenStatic>(column: &C) -> String {
    format!("\"{}\"", column.as_str())
}

/// What goes into one statement: everything on PostgreSQL, powers of two on SQLite.
fn groups<M>(engine: Engine, rows: &[M]) -> Vec<&[M]> {
    if engine == Engine::Postgres {
        return if rows.is_empty() {
            Vec::new()
        } else {
            vec![rows]
        };
    }
    let mut groups = Vec::new();
    let mut left = rows;
    let mut size = ROWS_AT_ONCE;
    while !left.is_empty() {
        match left.split_at_checked(size) {
            Some((group, rest)) => {
                groups.push(group);
                left = rest;
            }
            None => size = size.div_euclid(2).max(1),
        }
    }
    groups
}

/// The rows as a source of a statement, and the values it is sent with.
fn source<E>(engine: Engine, rows: &[E::Model], columns: &[E::Column]) -> (String, Vec<Value>)
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    match engine {
        Engine::Sqlite => {
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            let text = format!("VALUES {}", vec![row.as_str(); rows.len()].join(", "));
            let values = rows
                .iter()
                .flat_map(|row| columns.iter().map(|c| row.get(*c)));
            (text, values.collect())
        }
        Engine::Postgres => {
            let types = columns
                .iter()
                .map(|column| format!("?::{}[]", type_of(column)));
            let text = format!("unnest({})", types.collect::<Vec<_>>().join(", "));
            let values = columns.iter().map(|column| {
                let column = rows.iter().map(|row| row.get(*column));
                Value::from(array(column))
            });
            (text, values.collect())
        }
    }
}

/// A column's type on PostgreSQL, by way of the text it is sent as. The tables have these only.
fn type_of<C: ColumnTrait>(column: &C) -> &'static str {
    match column.def().get_column_type() {
        ColumnType::BigInteger | ColumnType::Integer => "text::bigint",
        ColumnType::Boolean => "text::boolean",
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => "text::bytea",
        _ => "text::text",
    }
}

/// Values as PostgreSQL writes an array: `{1,NULL,"a \"word\""}`.
fn array(values: impl Iterator<Item = Value>) -> String {
    let mut text = String::from("{");
    for (value, at) in values.zip(0_usize..) {
        if at > 0 {
            text.push(',');
        }
        match value {
            Value::BigInt(Some(number)) => text.push_str(&number.to_string()),
            Value::Bool(Some(yes)) => text.push_str(if yes { "t" } else { "f" }),
            Value::String(Some(words)) => {
                text.push('"');
                for c in words.chars() {
                    if matches!(c, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                text.push('"');
            }
            Value::Bytes(Some(bytes)) => {
                text.push_str("\"\\\\x");
                text.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
                text.push('"');
            }
            _ => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_written_as_the_server_reads_it() {
        let values = [
            Value::from(-1_i64),
            Value::BigInt(None),
            Value::from(true),
            Value::from("a \"word\", a \\ and {}"),
            Value::from("NULL"),
            Value::from(""),
            Value::from(vec![0_u8, 255]),
        ];
        let wanted = r#"{-1,NULL,t,"a \"word\", a \\ and {}","NULL","","\\x00ff"}"#;
        assert_eq!(array(values.into_iter()), wanted);
        assert_eq!(array(std::iter::empty()), "{}");
    }

    #[test]
    fn sqlite_takes_powers_of_two_and_postgresql_everything() {
        let rows: Vec<u32> = (0..203).collect();
        for count in 0..rows.len() {
            let some = &rows[..count];
            let all: Vec<u32> = groups(Engine::Sqlite, some).concat();
            assert_eq!(all, some);
            let mut sizes = groups(Engine::Sqlite, some).into_iter().map(<[u32]>::len);
            assert!(sizes.all(|size| size.is_power_of_two() && size <= ROWS_AT_ONCE));
            assert_eq!(groups(Engine::Postgres, some).len(), usize::from(count > 0));
        }
        assert_eq!(
            groups(Engine::Sqlite, &rows[..203]).len(),
            3 + 3,
            "64 three times, 8, 2, 1"
        );
    }
}
