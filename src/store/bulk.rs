//! Many rows in one statement whose text depends on the table alone, so that it is parsed once and stays in each
//! connection's cache of prepared statements, however many rows there are.
//!
//! PostgreSQL takes them as one array of rows, in the server's own notation, and what is long in them beside it, see
//! [`packed`].
//! SQLite takes rows as `VALUES`, as many as the next power of two, so that each table has a handful of texts; the rows
//! that are missing are NULL and passed over.

mod packed;
mod parts;
mod read;

use std::collections::{BTreeSet, HashSet};

use sea_orm::sea_query::Value;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable, ModelTrait, Statement,
};

pub(super) use parts::{Inserts, Parts, Together};
pub(super) use read::{Cells, Wanted, read};

use super::rows::{sql, to_json};
use super::{Engine, StoreError, Tx};

/// The most rows one SQLite statement takes; a power of two.
const ROWS_AT_ONCE: usize = 128;
/// The same for tables of up to [`NARROW`] columns.
const NARROW_ROWS_AT_ONCE: usize = 512;
/// How many columns a narrow table has at most.
const NARROW: usize = 4;

/// A row's values, in the order of its table's columns.
pub(super) fn values<E>(row: E::Model) -> Vec<Value>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    let mut row = row.into_active_model();
    let columns = E::Column::iter();
    let values = columns.map(|column| row.take(column).into_value().unwrap_or(Value::BigInt(None)));
    values.collect()
}

/// Inserts rows.
pub(super) async fn insert<E>(tx: &Tx, rows: &[E::Model]) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    insert_models::<E>(tx, rows, "").await
}

/// Inserts the rows that no unique index refuses.
pub(super) async fn insert_missing<E>(tx: &Tx, rows: &[E::Model]) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    insert_models::<E>(tx, rows, " ON CONFLICT DO NOTHING").await
}

/// Inserts the rows that no unique index refuses; returns a column of each that was inserted: one whose texts nobody
/// else can have chosen, as an id that was made a moment ago.
///
/// SQLite's driver wakes whoever waits for each row by itself. So there the rows are counted, and looked up only when
/// some were refused.
pub(super) async fn insert_new<E>(
    tx: &Tx,
    rows: &[E::Model],
    returned: E::Column,
) -> Result<HashSet<String>, StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    let rows: Vec<Vec<Value>> = of_models::<E>(rows, &E::Column::iter().collect::<Vec<_>>());
    let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
    insert_rows_new::<E>(tx, &rows, returned).await
}

/// As [`insert`], of [`values`].
pub(super) async fn insert_rows<E: EntityTrait>(
    tx: &Tx,
    rows: &[&[Value]],
) -> Result<(), StoreError> {
    execute_insert::<E>(tx, rows, "").await.map(drop)
}

/// As [`insert_new`], of [`values`].
pub(super) async fn insert_rows_new<E: EntityTrait>(
    tx: &Tx,
    rows: &[&[Value]],
    returned: E::Column,
) -> Result<HashSet<String>, StoreError> {
    let name = quoted(&returned);
    if tx.engine == Engine::Postgres {
        let ending = format!(" ON CONFLICT DO NOTHING RETURNING {name}");
        return returned_by(tx, inserts::<E>(tx.engine, rows, &ending)).await;
    }
    let given = E::Column::iter().position(|column| column.as_str() == returned.as_str());
    let given = rows.iter().filter_map(|row| text_of(row.get(given?)?));
    let given: Vec<&str> = given.collect();
    let inserted = execute_insert::<E>(tx, rows, " ON CONFLICT DO NOTHING").await?;
    if usize::try_from(inserted).is_ok_and(|inserted| inserted == rows.len()) {
        return Ok(given.into_iter().map(str::to_owned).collect());
    }
    let table = E::default().table_name();
    let wanted = Wanted::columns(
        &[name.as_str()],
        &format!("\"{table}\""),
        among(tx.engine, &name),
        vec![list(tx.engine, given.into_iter())],
    );
    let found = read(tx.conn(), tx.engine, vec![wanted]).await?.pop();
    let found = found.unwrap_or_default();
    found
        .iter()
        .map(|row| Ok(row.text(0)?.to_owned()))
        .collect()
}

/// A text, if a value is one.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => text.as_deref(),
        _ => None,
    }
}

/// What statements return, one text for each row.
async fn returned_by(
    tx: &Tx,
    statements: impl IntoIterator<Item = Statement, IntoIter: Send>,
) -> Result<HashSet<String>, StoreError> {
    let mut returned = HashSet::new();
    for statement in statements {
        for row in tx.conn().query_all_raw(statement).await? {
            returned.insert(row.try_get_by_index(0)?);
        }
    }
    Ok(returned)
}

async fn insert_models<E>(tx: &Tx, rows: &[E::Model], ending: &str) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let rows: Vec<Vec<Value>> = of_models::<E>(rows, &columns);
    let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
    execute_insert::<E>(tx, &rows, ending).await.map(drop)
}

fn of_models<E>(rows: &[E::Model], columns: &[E::Column]) -> Vec<Vec<Value>>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    let row = |row: &E::Model| columns.iter().map(|column| row.get(*column)).collect();
    rows.iter().map(row).collect()
}

/// Inserts rows and returns how many were inserted.
async fn execute_insert<E: EntityTrait>(
    tx: &Tx,
    rows: &[&[Value]],
    ending: &str,
) -> Result<u64, StoreError> {
    let mut inserted: u64 = 0;
    for statement in inserts::<E>(tx.engine, rows, ending) {
        let done = tx.conn().execute_raw(statement).await?;
        inserted = inserted.saturating_add(done.rows_affected());
    }
    Ok(inserted)
}

fn inserts<E: EntityTrait>(
    engine: Engine,
    rows: &[&[Value]],
    ending: &str,
) -> impl Iterator<Item = Statement> {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let table = E::default().table_name();
    let head = format!("INSERT INTO \"{table}\" ({})", self::columns::<E>());
    groups(engine, rows, columns.len())
        .into_iter()
        .map(move |group| {
            let (source, values) = source(engine, group, &columns);
            let text = match engine {
                Engine::Sqlite => format!("{head} {source}{ending}"),
                Engine::Postgres => format!("{head} SELECT * FROM {source} AS given{ending}"),
            };
            sql(engine, &text, values)
        })
}

/// The columns of a table, as SQL.
pub(super) fn columns<E: EntityTrait>() -> String {
    let names: Vec<String> = E::Column::iter().map(|column| quoted(&column)).collect();
    names.join(", ")
}

/// PostgreSQL: these rows of a table as a source, which needs a name; its values are added to `values`. `beside` is one
/// more column of numbers, behind theirs.
pub(super) fn given<E: EntityTrait>(
    rows: &[&[Value]],
    beside: Option<&[Option<i64>]>,
    values: &mut Vec<Value>,
) -> String {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let (source, of_source) = packed::source(rows, &columns, beside);
    values.extend(of_source);
    source
}

/// How rows that are there are changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a, C> {
    /// The columns they are found by: texts, the one that few rows share first.
    pub found_by: &'a [C],
    /// The columns that are set from the rows given.
    pub set: &'a [C],
    /// What is set besides, the same in every row, as SQL.
    pub also: &'a str,
}

/// Changes rows that are there.
pub(super) async fn update<E>(
    tx: &Tx,
    rows: &[E::Model],
    change: Change<'_, E::Column>,
) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
    E::Column: Copy,
{
    for statement in updates::<E>(tx.engine, rows, change, "") {
        tx.conn().execute_raw(statement).await?;
    }
    Ok(())
}

/// Changes rows that are there; returns a column of each that was found.
pub(super) async fn update_found<E>(
    tx: &Tx,
    rows: &[E::Model],
    change: Change<'_, E::Column>,
    returned: E::Column,
) -> Result<HashSet<String>, StoreError>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
    E::Column: Copy,
{
    let of = match tx.engine {
        Engine::Sqlite => "",
        Engine::Postgres => "t.",
    };
    let ending = format!(" RETURNING {of}{}", quoted(&returned));
    returned_by(tx, updates::<E>(tx.engine, rows, change, &ending)).await
}

fn updates<E>(
    engine: Engine,
    rows: &[E::Model],
    change: Change<'_, E::Column>,
    ending: &str,
) -> Vec<Statement>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
    E::Column: Copy,
{
    let all = [change.found_by, change.set].concat();
    let rows = of_models::<E>(rows, &all);
    let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
    let groups = groups(engine, &rows, all.len()).into_iter();
    let statements = groups.map(|group| {
        let (source, mut values) = source(engine, group, &all);
        values.extend(narrowing(engine, group));
        let text = update_text::<E>(engine, &source, change) + ending;
        sql(engine, &text, values)
    });
    statements.collect()
}

/// What an update's rows are among, beside being those that are given: their first column's texts. Without it,
/// PostgreSQL may read all of a table that was small when it made its plan, to join it with the few that are given.
fn narrowing(engine: Engine, rows: &[&[Value]]) -> Option<Value> {
    let first = rows.iter().filter_map(|row| text_of(row.first()?));
    match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(list(engine, first)),
    }
}

/// An update from a source of rows, whose first columns are those the rows are found by; the [`narrowing`] is its last
/// value.
fn update_text<E: EntityTrait>(
    engine: Engine,
    source: &str,
    change: Change<'_, E::Column>,
) -> String {
    let table = E::default().table_name();
    let names = change.found_by.iter().chain(change.set).map(quoted);
    let names: Vec<String> = names.collect();
    let (target, target_name, alias) = match engine {
        Engine::Sqlite => (
            format!("\"{table}\""),
            format!("\"{table}\""),
            "u".to_owned(),
        ),
        Engine::Postgres => (
            format!("\"{table}\" AS t"),
            "t".to_owned(),
            format!("u({})", names.join(", ")),
        ),
    };
    let source = match engine {
        Engine::Sqlite => format!("({source})"),
        Engine::Postgres => source.to_owned(),
    };
    let given = |at: usize, name: &str| match engine {
        Engine::Sqlite => format!("u.column{}", at.saturating_add(1)),
        Engine::Postgres => format!("u.{name}"),
    };
    let (mut sets, mut conditions) = (Vec::new(), Vec::new());
    for (name, at) in names.iter().zip(0_usize..) {
        match at < change.found_by.len() {
            true => conditions.push(format!("{target_name}.{name} = {}", given(at, name))),
            false => sets.push(format!("{name} = {}", given(at, name))),
        }
    }
    if !change.also.is_empty() {
        sets.push(change.also.to_owned());
    }
    if let (Engine::Postgres, Some(first)) = (engine, names.first()) {
        conditions.push(among(engine, &format!("{target_name}.{first}")));
    }
    format!(
        "UPDATE {target} SET {} FROM {source} AS {alias} WHERE {}",
        sets.join(", "),
        conditions.join(" AND ")
    )
}

/// A condition that a column holds one of the texts of a [`list`].
pub(super) fn among(engine: Engine, column: &str) -> String {
    match engine {
        Engine::Sqlite => format!("{column} IN (SELECT value FROM json_each(?))"),
        // By way of a sub-select, the planner knows as little of the array as it would of any: so it keeps one plan
        // instead of making another each time, which costs more than to carry it out.
        Engine::Postgres => format!("{column} = ANY((SELECT ?)::text[])"),
    }
}

/// The rows of a table whose columns hold one of some keys, as a source called `t`, with its values. `also` is a further
/// condition on `t`.
///
/// Each key is looked up by itself. Of a list for each column PostgreSQL may take one only, and walk through all it
/// finds with that: all payments of an account, or all keys of a shop. A plan that was made while there were few of them
/// is kept.
pub(super) fn keyed<const N: usize>(
    engine: Engine,
    table: &str,
    columns: [&str; N],
    also: &str,
    keys: &BTreeSet<[&str; N]>,
) -> (String, Vec<Value>) {
    let conditions = |key: &dyn Fn(usize) -> String| {
        let equal = columns.iter().zip(0_usize..);
        let equal = equal.map(|(column, at)| format!("t.{column} = {}", key(at)));
        equal.collect::<Vec<_>>().join(" AND ") + also
    };
    match engine {
        Engine::Sqlite => {
            let same = conditions(&|at| format!("(w.value ->> {at})"));
            let keys: Vec<&[&str]> = keys.iter().map(<[&str; N]>::as_slice).collect();
            (
                format!("json_each(?) AS w CROSS JOIN \"{table}\" AS t ON {same}"),
                vec![to_json(&keys).into()],
            )
        }
        Engine::Postgres => {
            let same = conditions(&|at| format!("w.k{at}"));
            let names: Vec<String> = (0..N).map(|at| format!("k{at}")).collect();
            let (source, value) = packed::texts(keys.iter().copied());
            // The offset keeps the planner from joining in another way.
            let text = format!(
                "{source} AS w({}) CROSS JOIN LATERAL \
                 (SELECT t.* FROM \"{table}\" AS t WHERE {same} OFFSET 0) AS t",
                names.join(", ")
            );
            (text, vec![value])
        }
    }
}

/// Texts as one value, for [`among`].
pub(super) fn list<'t>(engine: Engine, texts: impl Iterator<Item = &'t str>) -> Value {
    match engine {
        Engine::Sqlite => to_json(&texts.collect::<Vec<_>>()).into(),
        Engine::Postgres => texts.map(str::to_owned).collect::<Vec<_>>().into(),
    }
}

pub(super) fn quoted<C: IdenStatic>(column: &C) -> String {
    format!("\"{}\"", column.as_str())
}

/// What goes into one statement: everything on PostgreSQL, up to a limit on SQLite.
pub(super) fn groups<'a>(
    engine: Engine,
    rows: &'a [&'a [Value]],
    columns: usize,
) -> Vec<&'a [&'a [Value]]> {
    let most = match (engine, columns) {
        (Engine::Postgres, _) => rows.len().max(1),
        (Engine::Sqlite, ..=NARROW) => NARROW_ROWS_AT_ONCE,
        (Engine::Sqlite, _) => ROWS_AT_ONCE,
    };
    rows.chunks(most).collect()
}

/// How many rows the statement for so many has on SQLite. Statements for several tables are sent as one text, and each
/// number of rows in each of them makes another text that stays prepared.
fn padded(rows: usize) -> usize {
    rows.next_power_of_two()
}

/// The rows as a source of a statement, and the values it is sent with.
pub(super) fn source<C: ColumnTrait>(
    engine: Engine,
    rows: &[&[Value]],
    columns: &[C],
) -> (String, Vec<Value>) {
    match engine {
        Engine::Sqlite => {
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            let count = padded(rows.len());
            let text = format!("VALUES {}", vec![row.as_str(); count].join(", "));
            let mut values = rows.concat();
            if count == rows.len() {
                return (text, values);
            }
            values.resize(count.saturating_mul(columns.len()), Value::String(None));
            // The first column is never null in a row that is there.
            (
                format!("SELECT * FROM ({text}) WHERE column1 IS NOT NULL"),
                values,
            )
        }
        Engine::Postgres => packed::source(rows, columns, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_takes_rows_in_few_sizes_and_postgresql_all_at_once() {
        let row = [Value::from(1_i64)];
        let rows: Vec<&[Value]> = (0..203).map(|_| row.as_slice()).collect();
        let mut sizes = std::collections::BTreeSet::new();
        for count in 0..rows.len() {
            let some = &rows[..count];
            let groups_of = |engine| groups(engine, some, 30);
            assert_eq!(groups_of(Engine::Sqlite).concat().len(), count);
            for group in groups_of(Engine::Sqlite) {
                assert!(group.len() <= ROWS_AT_ONCE && group.len() <= padded(group.len()));
                sizes.insert(padded(group.len()));
            }
            assert_eq!(groups_of(Engine::Postgres).len(), usize::from(count > 0));
        }
        let few = [1, 2, 4, 8, 16, 32, 64, 128];
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), few);
    }
}
