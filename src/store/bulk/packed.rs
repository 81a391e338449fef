//! PostgreSQL: rows as one array of rows, and what is long in them.
//!
//! Every table's rows travel as `given_row`, a type of nothing but texts, and are cast to what the columns hold; what a
//! row does not need of it is NULL. In an array of rows a text is read sign by sign, twice, and each quote in it is
//! written as four. That costs more than to store a provider's event. So all the long values of a column travel behind
//! each other as one, as they are; in the rows stands where each of them begins and how many bytes it has.

use std::fmt::Write as _;

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{ColumnType, Value};

/// How many columns `given_row` has.
const WIDTH: usize = 48;
/// What the columns a row does not need and its quotes take, in bytes, at most.
const ROOM: usize = 56;

/// The rows as a source of a statement, which needs a name, and the values it is sent with. `beside` is one more column,
/// of numbers, behind those of the rows.
pub(super) fn source<C: ColumnTrait>(
    rows: &[&[Value]],
    columns: &[C],
    beside: Option<&[Option<i64>]>,
) -> (String, Vec<Value>) {
    let mut given = GivenRows::of(rows.len());
    let mut shown = Vec::with_capacity(columns.len().saturating_add(1));
    let mut long = Vec::new();
    for (column, at) in columns.iter().zip(0_usize..) {
        let cells = rows.iter().map(|row| row.get(at));
        let read = match Kind::of(column) {
            Kind::Short(cast) => given.column(cells, write_value) + cast,
            Kind::LongText => given.long(cells, &mut long, |bytes| {
                format!("convert_from({bytes}, 'UTF8')")
            }),
            Kind::Bytes => given.long(cells, &mut long, |bytes| bytes),
        };
        shown.push(read);
    }
    if let Some(beside) = beside {
        let name = given.numbers(beside.iter().copied());
        shown.push(format!("{name}::bigint"));
    }
    let (rows, array) = given.finish();
    let text = format!("(SELECT {} FROM {rows})", shown.join(", "));
    long.push(array);
    (text, long)
}

/// Texts side by side, as a source that names the columns of a row `c0`, `c1` and so on, with its value.
pub(super) fn texts<'t, const N: usize>(
    rows: impl ExactSizeIterator<Item = [&'t str; N]> + Clone,
) -> (&'static str, Value) {
    let mut given = GivenRows::of(rows.len());
    for at in 0..N {
        let cells = rows.clone().map(|row| row.get(at).copied());
        given.column(cells, write_text);
    }
    given.finish()
}

/// How a column's values travel. The tables have these only.
enum Kind {
    /// As they are written, with the cast that reads them.
    Short(&'static str),
    LongText,
    Bytes,
}

impl Kind {
    fn of<C: ColumnTrait>(column: &C) -> Kind {
        match column.def().get_column_type() {
            ColumnType::BigInteger | ColumnType::Integer => Kind::Short("::bigint"),
            ColumnType::Boolean => Kind::Short("::boolean"),
            ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => Kind::Bytes,
            ColumnType::Text => Kind::LongText,
            _ => Kind::Short(""),
        }
    }
}

/// Rows under construction, column by column: each is written as an element of the array.
struct GivenRows {
    rows: Vec<String>,
    used: usize,
}

impl GivenRows {
    fn of(count: usize) -> GivenRows {
        GivenRows {
            rows: (0..count).map(|_| String::with_capacity(256)).collect(),
            used: 0,
        }
    }

    /// Adds a column, and returns what it is called. What is not there is NULL, which is written as nothing at all.
    fn column<C>(
        &mut self,
        cells: impl Iterator<Item = Option<C>>,
        write: impl Fn(C, &mut String),
    ) -> String {
        for (cell, row) in cells.zip(&mut self.rows) {
            if self.used > 0 {
                row.push(',');
            }
            if let Some(cell) = cell {
                write(cell, row);
            }
        }
        let name = format!("c{}", self.used);
        self.used = self.used.saturating_add(1);
        name
    }

    fn numbers(&mut self, numbers: impl Iterator<Item = Option<i64>>) -> String {
        self.column(numbers, write_number)
    }

    /// Long values, behind each other in one more of `values`; as SQL, what each of them is read from.
    fn long<'v>(
        &mut self,
        cells: impl Iterator<Item = Option<&'v Value>>,
        values: &mut Vec<Value>,
        read: impl Fn(String) -> String,
    ) -> String {
        let (mut all, mut starts, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for cell in cells {
            let bytes = match cell {
                Some(Value::String(Some(text))) => Some(text.as_bytes()),
                Some(Value::Bytes(Some(bytes))) => Some(bytes.as_slice()),
                _ => None,
            };
            // The server counts from 1.
            starts.push(Some(count(all.len()).saturating_add(1)));
            lengths.push(bytes.map(|bytes| count(bytes.len())));
            all.extend_from_slice(bytes.unwrap_or_default());
        }
        values.push(Value::from(all));
        let (start, length) = (
            self.numbers(starts.into_iter()),
            self.numbers(lengths.into_iter()),
        );
        // Of no length there is nothing: NULL.
        read(format!(
            "substring(?::bytea FROM {start}::int FOR {length}::int)"
        ))
    }

    /// The rows as SQL, and their value. The array comes by way of a sub-select: of one in sight the planner counts the
    /// rows, and makes a plan for each execution.
    fn finish(self) -> (&'static str, Value) {
        debug_assert!(self.used <= WIDTH, "a row of {} columns", self.used);
        let padding = ",".repeat(WIDTH.saturating_sub(self.used));
        let lengths = self.rows.iter().map(|row| row.len().saturating_add(ROOM));
        let mut array = String::with_capacity(lengths.sum());
        array.push('{');
        for (row, at) in self.rows.iter().zip(0_usize..) {
            if at > 0 {
                array.push(',');
            }
            array.push_str("\"(");
            array.push_str(row);
            array.push_str(&padding);
            array.push_str(")\"");
        }
        array.push('}');
        ("unnest((SELECT ?)::text::given_row[])", array.into())
    }
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

fn write_value(value: &Value, row: &mut String) {
    match value {
        Value::BigInt(Some(number)) => write_number(*number, row),
        Value::Bool(Some(yes)) => row.push(if *yes { 't' } else { 'f' }),
        Value::String(Some(words)) => write_text(words, row),
        _ => {}
    }
}

fn write_number(number: i64, row: &mut String) {
    // A text takes all that is written to it.
    let _ = write!(row, "{number}");
}

/// A text in a row, which is itself a quoted text in an array. It stands between quotes when it would be read as
/// something else without: nothing at all, or the end of the column.
fn write_text(words: &str, row: &mut String) {
    const TELLING: [char; 5] = [',', '(', ')', '"', '\\'];
    if !words.is_empty() && !words.contains(TELLING) {
        return row.push_str(words);
    }
    row.push_str("\\\"");
    for c in words.chars() {
        match c {
            '"' => row.push_str("\\\\\\\""),
            '\\' => row.push_str("\\\\\\\\"),
            c => row.push(c),
        }
    }
    row.push_str("\\\"");
}

#[cfg(test)]
mod tests {
    use entity::event::Column;
    use sea_orm::{EntityTrait, Iterable};

    use super::*;

    /// What follows the columns that are used.
    fn unused(used: usize) -> String {
        ",".repeat(WIDTH.saturating_sub(used))
    }

    #[test]
    fn long_values_travel_behind_each_other_as_they_are() {
        let row = |id: &str, data: Option<&str>| {
            let data = Value::String(data.map(str::to_owned));
            [Value::from(id), data, Value::from(7_i64)]
        };
        let rows = [
            row("a", Some("{\"ü\":1}")),
            row("b", None),
            row("c", Some("")),
            row("d", Some("\\")),
        ];
        let rows: Vec<&[Value]> = rows.iter().map(<[Value; 3]>::as_slice).collect();
        let (text, values) = source(&rows, &[Column::Id, Column::Data, Column::Sequence], None);
        assert_eq!(
            text,
            "(SELECT c0, convert_from(substring(?::bytea FROM c1::int FOR c2::int), 'UTF8'), c3::bigint \
             FROM unnest((SELECT ?)::text::given_row[]))"
        );
        let cells = ["a,1,8,7", "b,9,,7", "c,9,0,7", "d,9,1,7"];
        let cells = cells.map(|row| format!("\"({row}{})\"", unused(4)));
        let wanted = [
            Value::from("{\"ü\":1}\\".as_bytes().to_vec()),
            Value::from(format!("{{{}}}", cells.join(","))),
        ];
        assert_eq!(values, wanted);
    }

    #[test]
    fn what_is_short_travels_in_the_rows_alone() {
        let row = [Value::from("a \"word\", a \\ and ()"), Value::from(-1_i64)];
        let other = [Value::from(""), Value::BigInt(None)];
        let rows = [row.as_slice(), other.as_slice()];
        let beside = [Some(2), None];
        let (text, values) = source(&rows, &[Column::Id, Column::Sequence], Some(&beside));
        assert_eq!(
            text,
            "(SELECT c0, c1::bigint, c2::bigint FROM unnest((SELECT ?)::text::given_row[]))"
        );
        let first = r#"\"a \\\"word\\\", a \\\\ and ()\",-1,2"#;
        let second = r#"\"\",,"#;
        let wanted = format!("{{\"({first}{})\",\"({second}{})\"}}", unused(3), unused(3));
        assert_eq!(values, [Value::from(wanted)]);
    }

    #[test]
    fn texts_stand_side_by_side() {
        let (source, value) = texts([["a", "b,"], ["NULL", "d"]].into_iter());
        assert_eq!(source, "unnest((SELECT ?)::text::given_row[])");
        let of = |row| format!("\"({row}{})\"", unused(2));
        let wanted = format!("{{{},{}}}", of("a,\\\"b,\\\""), of("NULL,d"));
        assert_eq!(value, Value::from(wanted));
    }

    /// How many columns of a given row a table's rows take, with one beside.
    fn width<E: EntityTrait>() -> usize {
        let long = |column: &E::Column| !matches!(Kind::of(column), Kind::Short(_));
        let columns: Vec<E::Column> = E::Column::iter().collect();
        let long = columns.iter().filter(|column| long(column)).count();
        columns.len().saturating_add(long).saturating_add(1)
    }

    #[test]
    fn every_row_fits() {
        let widest = [
            width::<entity::order::Entity>(),
            width::<entity::payment::Entity>(),
            width::<entity::provider_event::Entity>(),
            width::<entity::checkout_session::Entity>(),
            width::<entity::provider_call::Entity>(),
        ];
        assert!(widest.iter().all(|width| *width <= WIDTH), "{widest:?}");
    }
}
