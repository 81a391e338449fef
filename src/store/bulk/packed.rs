//! PostgreSQL: rows as arrays, and what is long in them.
//!
//! An array is read sign by sign, twice, and each quote and each byte in it is written as two or more. That costs more than to
//! store a provider's event. So all the long values of a column travel behind each other as one, as they are, with two
//! arrays that say where each of them begins and how many bytes it has.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{ColumnType, Value};

use super::array;

/// The rows as a source of a statement, which needs a name, and the values it is sent with. `beside` is one more column,
/// of numbers, behind those of the rows.
///
/// The first array comes by way of a sub-select: of one in sight the planner counts the rows, and makes a plan for each
/// execution.
pub(super) fn source<C: ColumnTrait>(
    rows: &[&[Value]],
    columns: &[C],
    beside: Option<Vec<Value>>,
) -> (String, Vec<Value>) {
    let mut source = Source::default();
    for (column, at) in columns.iter().zip(0_usize..) {
        let cells = rows.iter().filter_map(|row| row.get(at));
        match Kind::of(column) {
            Kind::Short(kind) => source.short(kind, array(cells)),
            Kind::LongText => source.long(cells, |bytes| format!("convert_from({bytes}, 'UTF8')")),
            Kind::Bytes => source.long(cells, |bytes| bytes),
        }
    }
    if let Some(beside) = beside {
        source.short("bigint", array(beside.into_iter()));
    }
    source.finish()
}

/// How a column's values travel. The tables have these only.
enum Kind {
    /// In an array of this type.
    Short(&'static str),
    LongText,
    Bytes,
}

impl Kind {
    fn of<C: ColumnTrait>(column: &C) -> Kind {
        match column.def().get_column_type() {
            ColumnType::BigInteger | ColumnType::Integer => Kind::Short("bigint"),
            ColumnType::Boolean => Kind::Short("boolean"),
            ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => Kind::Bytes,
            ColumnType::Text => Kind::LongText,
            _ => Kind::Short("text"),
        }
    }
}

/// A source under construction.
#[derive(Default)]
struct Source {
    /// What each column of a row is made of.
    shown: Vec<String>,
    /// The arrays as SQL, and their values.
    arrays: Vec<String>,
    values: Vec<Value>,
    /// The long values of each column that has such.
    long: Vec<Value>,
}

impl Source {
    fn short(&mut self, kind: &str, array: String) {
        let name = self.array(kind, array);
        self.shown.push(name);
    }

    fn long<'v>(
        &mut self,
        cells: impl Iterator<Item = &'v Value>,
        read: impl Fn(String) -> String,
    ) {
        let (mut all, mut starts, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for cell in cells {
            let bytes = match cell {
                Value::String(Some(text)) => Some(text.as_bytes()),
                Value::Bytes(Some(bytes)) => Some(bytes.as_slice()),
                _ => None,
            };
            // The server counts from 1.
            starts.push(Value::from(count(all.len()).saturating_add(1)));
            lengths.push(Value::BigInt(bytes.map(|bytes| count(bytes.len()))));
            all.extend_from_slice(bytes.unwrap_or_default());
        }
        let start = self.array("int", array(starts.into_iter()));
        let length = self.array("int", array(lengths.into_iter()));
        // Of no length there is nothing: NULL.
        self.shown.push(read(format!(
            "substring(?::bytea FROM {start} FOR {length})"
        )));
        self.long.push(Value::from(all));
    }

    /// Adds an array and returns what it is called in a row.
    fn array(&mut self, kind: &str, array: String) -> String {
        let at = self.arrays.len();
        let given = if at == 0 { "(SELECT ?)" } else { "?" };
        self.arrays.push(format!("{given}::text::{kind}[]"));
        self.values.push(array.into());
        format!("c{at}")
    }

    fn finish(self) -> (String, Vec<Value>) {
        let arrays = format!("unnest({})", self.arrays.join(", "));
        if self.long.is_empty() {
            return (arrays, self.values);
        }
        let names: Vec<String> = (0..self.arrays.len()).map(|at| format!("c{at}")).collect();
        let text = format!(
            "(SELECT {} FROM {arrays} AS c({}))",
            self.shown.join(", "),
            names.join(", ")
        );
        let mut values = self.long;
        values.extend(self.values);
        (text, values)
    }
}

fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use entity::event::Column;

    use super::*;

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
            "(SELECT c0, convert_from(substring(?::bytea FROM c1 FOR c2), 'UTF8'), c3 \
             FROM unnest((SELECT ?)::text::text[], ?::text::int[], ?::text::int[], ?::text::bigint[]) \
             AS c(c0, c1, c2, c3))"
        );
        let wanted = [
            Value::from("{\"ü\":1}\\".as_bytes().to_vec()),
            Value::from("{\"a\",\"b\",\"c\",\"d\"}"),
            Value::from("{1,9,9,9}"),
            Value::from("{8,NULL,0,1}"),
            Value::from("{7,7,7,7}"),
        ];
        assert_eq!(values, wanted);
    }

    #[test]
    fn what_is_short_travels_in_arrays_alone() {
        let row = [Value::from("a"), Value::from(1_i64)];
        let rows = [row.as_slice()];
        let beside = Some(vec![Value::BigInt(None)]);
        let (text, values) = source(&rows, &[Column::Id, Column::Sequence], beside);
        assert_eq!(
            text,
            "unnest((SELECT ?)::text::text[], ?::text::bigint[], ?::text::bigint[])"
        );
        assert_eq!(values, ["{\"a\"}", "{1}", "{NULL}"].map(Value::from));
    }
}
