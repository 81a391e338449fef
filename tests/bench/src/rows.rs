//! The rows of one order as the server wrote them, and how any number of others like it are inserted by SQL.

use anyhow::Context as _;
use serde_json::Value;

use crate::site::{Engine, Row, Site};

/// What one order is made of.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its rows, in the order in which they are inserted.
    pub inserts: Vec<Insert>,
    /// The words it is found by, other than those that no other order has.
    pub common_terms: Vec<String>,
    /// The shop it belongs to.
    pub shop: String,
}

/// A row of an order.
#[derive(Debug, Clone)]
pub struct Insert {
    /// Its table, as SQL writes it.
    pub table: &'static str,
    /// What stands in its columns.
    pub columns: Vec<(String, Cell)>,
}

/// What stands in a column.
#[derive(Debug, Clone)]
pub enum Cell {
    /// The same for every order.
    Same(Value),
    /// An id with this beginning.
    Id(String),
    /// The order's number.
    Number,
    /// A text with this beginning and the order's number.
    Text(&'static str),
    /// What SQL makes of the order's number `n`.
    Expression(String),
}

/// Orders that are inserted are numbered from here, far from those the server numbers.
pub const FIRST_NUMBER: i64 = 1_000_000;

impl Template {
    /// Reads the only order of a database.
    pub fn read(site: &Site) -> anyhow::Result<Template> {
        let one = |query: &str| -> anyhow::Result<Row> {
            let rows = site.rows(query)?;
            rows.into_iter().next().with_context(|| query.to_owned())
        };
        let order = one(r#"SELECT * FROM "order""#)?;
        let text = |column: &str| order.get(column).and_then(Value::as_str).unwrap_or("");
        let own = |term: &str| {
            let number = order.get("number").map(Value::to_string);
            [text("id"), text("reference"), text("customer_email")].contains(&term)
                || text("customer_email").starts_with(&format!("{term}@"))
                || number.as_deref() == Some(term)
        };
        let terms = site.rows("SELECT term FROM order_term")?;
        let terms = terms.iter().filter_map(|row| row["term"].as_str());
        let common_terms = terms.filter(|term| !own(term)).map(str::to_owned).collect();
        let shop = text("shop_id").to_owned();
        let mut inserts = vec![
            Insert::new("idempotency_key", 0, one("SELECT * FROM idempotency_key")?),
            Insert::new("\"order\"", 0, order),
        ];
        let lines = site.rows("SELECT * FROM line_item ORDER BY position")?;
        for (line, at) in lines.into_iter().zip(0..) {
            inserts.push(Insert::new("line_item", at, line));
        }
        inserts.push(Insert::new("event", 0, one("SELECT * FROM event")?));
        Ok(Template {
            inserts,
            common_terms,
            shop,
        })
    }
}

impl Insert {
    /// `at` tells rows of one table and one order apart.
    fn new(table: &'static str, at: u8, row: Row) -> Insert {
        let columns = row.into_iter().map(|(column, value)| {
            let prefix = |at: u8| {
                let id = value.as_str().unwrap_or("");
                let prefix = id.rsplit_once('_').map_or("", |(prefix, _)| prefix);
                Cell::Id(format!("{prefix}_{at}"))
            };
            let cell = match column.as_str() {
                "id" => prefix(at),
                "order_id" | "resource_id" => prefix(0),
                "number" => Cell::Number,
                "reference" => Cell::Text("web-"),
                "key" => Cell::Text("key-"),
                // Events get their place in the feed afterwards.
                "position" if table == "event" => Cell::Same(Value::Null),
                _ => Cell::Same(value),
            };
            (column, cell)
        });
        Insert {
            table,
            columns: columns.collect(),
        }
    }

    /// `INSERT INTO … (…)`, without what is inserted.
    pub fn head(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        format!("INSERT INTO {} ({})", self.table, names.join(", "))
    }

    /// What is inserted, as expressions over the order's number.
    pub fn expressions(&self, cell: impl Fn(&Cell) -> String) -> String {
        let cells: Vec<String> = self.columns.iter().map(|(_, one)| cell(one)).collect();
        cells.join(", ")
    }

    /// Puts an expression into a column.
    #[must_use]
    pub fn with(mut self, column: &str, expression: &str) -> Insert {
        for (name, cell) in &mut self.columns {
            if name == column {
                *cell = Cell::Expression(expression.to_owned());
            }
        }
        self
    }
}

impl Cell {
    /// What stands in the column for order `number`; none when it is the same for every order, or only SQL knows.
    pub fn value(&self, number: i64) -> Option<Value> {
        match self {
            Cell::Same(_) | Cell::Expression(_) => None,
            Cell::Id(prefix) => Some(format!("{prefix}{number:025}").into()),
            Cell::Number => Some((FIRST_NUMBER + number).into()),
            Cell::Text(prefix) => Some(format!("{prefix}{number}").into()),
        }
    }

    /// The same as an expression over the column `n` of a list of numbers.
    pub fn expression(&self, engine: Engine) -> String {
        match self {
            Cell::Same(value) => literal(value, engine),
            Cell::Id(prefix) => id_expression(prefix, engine),
            Cell::Number => format!("{FIRST_NUMBER} + n"),
            Cell::Text(prefix) => format!("'{prefix}' || n"),
            Cell::Expression(sql) => sql.clone(),
        }
    }

    /// The same for a script of pgbench with the variable `n`. It takes any colon before a letter for a variable.
    pub fn in_script(&self) -> String {
        match self {
            Cell::Same(Value::String(text)) => {
                let text = text.replace('\\', "\\\\").replace('\'', "''");
                format!("E'{}'", text.replace(':', "\\072").replace('\n', "\\n"))
            }
            Cell::Same(value) => literal(value, Engine::Postgres),
            Cell::Id(prefix) => format!("'{prefix}' || lpad(:n::text, 25, '0')"),
            Cell::Number => format!("{FIRST_NUMBER} + :n::bigint"),
            Cell::Text(prefix) => format!("'{prefix}' || :n::text"),
            Cell::Expression(sql) => sql.clone(),
        }
    }
}

/// An id as an expression over `n`.
pub fn id_expression(prefix: &str, engine: Engine) -> String {
    match engine {
        Engine::Sqlite => format!("printf('{prefix}%025d', n)"),
        Engine::Postgres => format!("'{prefix}' || lpad(n::text, 25, '0')"),
    }
}

/// A value as SQL writes it.
pub fn literal(value: &Value, engine: Engine) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(yes) if engine == Engine::Sqlite => u8::from(*yes).to_string(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_inserted_for_any_number() {
        let row = serde_json::json!({"id": "li_01h", "name": "It's", "order_id": "ord_01h"});
        let insert = Insert::new("line_item", 1, row.as_object().unwrap().clone());
        let sql = insert.expressions(|cell| cell.expression(Engine::Sqlite));
        assert_eq!(
            sql,
            "printf('li_1%025d', n), 'It''s', printf('ord_0%025d', n)"
        );
        assert_eq!(insert.head(), "INSERT INTO line_item (id, name, order_id)");
        let id = insert.columns[0].1.value(7).unwrap();
        assert_eq!(id, format!("li_1{}7", "0".repeat(24)));
    }

    #[test]
    fn a_script_has_no_colon_that_is_no_variable() {
        let cell = Cell::Same(r#"{"a":1,"b":"it's\n"}"#.into());
        assert_eq!(cell.in_script(), r#"E'{"a"\0721,"b"\072"it''s\\n"}'"#);
    }
}
