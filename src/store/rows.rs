//! Small readers shared by the tables: text to types, with an error that names the column.

use std::str::FromStr;

use sea_orm::{DbBackend, Statement, Value};

use super::connect::Engine;
use super::error::StoreError;
use crate::domain::currency::Currency;
use crate::domain::money::Money;

/// Reads a stored word or id.
pub(super) fn parse<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("column {column} holds an unknown value")))
}

/// Reads a stored word or id that may be missing.
pub(super) fn parse_opt<T: FromStr>(
    column: &str,
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(column, text)).transpose()
}

/// Reads stored money.
pub(super) fn money(minor: i64, currency: &str) -> Result<Money, StoreError> {
    Ok(Money::new(minor, parse::<Currency>("currency", currency)?))
}

/// Reads stored JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    column: &str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Corrupt(format!("column {column} does not hold its JSON")))
}

/// Writes JSON to be stored.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("values with string keys always serialise")
}

/// A statement with `?` placeholders, in the engine's own spelling.
pub(super) fn sql(
    engine: Engine,
    text: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    match engine {
        Engine::Sqlite => Statement::from_sql_and_values(DbBackend::Sqlite, text, values),
        Engine::Postgres => {
            let mut numbered = String::with_capacity(text.len().saturating_add(16));
            let mut next: u32 = 0;
            for c in text.chars() {
                if c == '?' {
                    next = next.saturating_add(1);
                    numbered.push('$');
                    numbered.push_str(&next.to_string());
                } else {
                    numbered.push(c);
                }
            }
            Statement::from_sql_and_values(DbBackend::Postgres, numbered, values)
        }
    }
}
