//! SQLite through its own C interface: what a database costs without a driver.

#![expect(unsafe_code, reason = "the interface is C")]

use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr;

use anyhow::{Context as _, bail};
use libsqlite3_sys as ffi;
use serde_json::{Map, Value};

/// The settings with which the server writes.
const SETTINGS: [(&str, &str); 8] = [
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    ("busy_timeout", "5000"),
    ("wal_autocheckpoint", "8000"),
    ("journal_size_limit", "67108864"),
    ("cache_size", "-8192"),
    ("temp_store", "MEMORY"),
];

/// An open database, with the settings the server uses.
pub struct Database(*mut ffi::sqlite3);

/// A prepared statement of a [`Database`] that lives longer.
pub struct Statement<'d> {
    raw: *mut ffi::sqlite3_stmt,
    database: &'d Database,
}

impl Database {
    /// Opens a file with full durability.
    pub fn open(file: &Path) -> anyhow::Result<Database> {
        let name = CString::new(file.to_str().context("a path that is no text")?)?;
        let mut raw = ptr::null_mut();
        // SAFETY: the name ends with a zero byte, and `raw` is a place for the handle.
        let code = unsafe { ffi::sqlite3_open(name.as_ptr(), &mut raw) };
        let database = Database(raw);
        database.check(code)?;
        for (name, value) in SETTINGS {
            database.run(&format!("PRAGMA {name} = {value}"))?;
        }
        Ok(database)
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) -> anyhow::Result<()> {
        let text = CString::new(sql)?;
        // SAFETY: the handle is open, the text ends with a zero byte, and nothing is called back.
        let code = unsafe {
            ffi::sqlite3_exec(
                self.0,
                text.as_ptr(),
                None,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.check(code)
            .with_context(|| sql.chars().take(200).collect::<String>())
    }

    /// Prepares one statement.
    pub fn prepare(&self, sql: &str) -> anyhow::Result<Statement<'_>> {
        let text = CString::new(sql)?;
        let mut raw = ptr::null_mut();
        // SAFETY: as above; a length of -1 says that the text ends with a zero byte.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(self.0, text.as_ptr(), -1, &mut raw, ptr::null_mut())
        };
        self.check(code)
            .with_context(|| sql.chars().take(200).collect::<String>())?;
        Ok(Statement {
            raw,
            database: self,
        })
    }

    fn check(&self, code: i32) -> anyhow::Result<()> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: SQLite answers with a text of its own, also for a handle that could not be opened.
        let why = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.0)) };
        bail!("SQLite: {}", why.to_string_lossy())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: every statement borrows the database, so none is left.
        unsafe { ffi::sqlite3_close(self.0) };
    }
}

impl Statement<'_> {
    /// Binds the parameter `at`, counted from 1; it stays bound until it is bound again.
    pub fn bind(&self, at: i32, value: &Value) -> anyhow::Result<()> {
        match value {
            Value::Null => Ok(()),
            Value::String(text) => self.bind_text(at, text),
            Value::Bool(yes) => self.bind_number(at, i64::from(*yes)),
            other => {
                let number = other.as_i64().context("not a value of a row")?;
                self.bind_number(at, number)
            }
        }
    }

    /// Binds a text.
    pub fn bind_text(&self, at: i32, text: &str) -> anyhow::Result<()> {
        let length = i32::try_from(text.len())?;
        // SAFETY: the statement is valid, the text has this length, and SQLite copies it.
        let code = unsafe {
            ffi::sqlite3_bind_text(
                self.raw,
                at,
                text.as_ptr().cast(),
                length,
                ffi::SQLITE_TRANSIENT(),
            )
        };
        self.database.check(code)
    }

    /// Binds a number.
    pub fn bind_number(&self, at: i32, number: i64) -> anyhow::Result<()> {
        // SAFETY: the statement is valid.
        let code = unsafe { ffi::sqlite3_bind_int64(self.raw, at, number) };
        self.database.check(code)
    }

    /// Runs it to its next row; false when there is none.
    pub fn step(&self) -> anyhow::Result<bool> {
        // SAFETY: the statement is valid.
        match unsafe { ffi::sqlite3_step(self.raw) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => {
                // SAFETY: the statement is valid; it keeps what is bound.
                self.database
                    .check(unsafe { ffi::sqlite3_reset(self.raw) })?;
                Ok(false)
            }
            code => self.database.check(code).map(|()| false),
        }
    }

    /// The current row, by the names of its columns.
    pub fn row(&self) -> Map<String, Value> {
        let mut row = Map::new();
        // SAFETY: the statement stands on a row, the columns exist, and texts live until the next step.
        unsafe {
            for at in 0..ffi::sqlite3_column_count(self.raw) {
                let name = CStr::from_ptr(ffi::sqlite3_column_name(self.raw, at));
                let value = match ffi::sqlite3_column_type(self.raw, at) {
                    ffi::SQLITE_INTEGER => ffi::sqlite3_column_int64(self.raw, at).into(),
                    ffi::SQLITE_NULL => Value::Null,
                    _ => {
                        let text = CStr::from_ptr(ffi::sqlite3_column_text(self.raw, at).cast());
                        text.to_string_lossy().into_owned().into()
                    }
                };
                row.insert(name.to_string_lossy().into_owned(), value);
            }
        }
        row
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: it was prepared once and is finalised once.
        unsafe { ffi::sqlite3_finalize(self.raw) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_those_of_the_servers_writer() {
        let server = include_str!("../../../src/store/connect.rs");
        let (_, writer) = server.split_once("writer.map_sqlx_sqlite_opts").unwrap();
        let (writer, _) = writer.split_once("});").unwrap();
        let pragmas = writer.split(".pragma(\"").skip(1).map(|rest| {
            let (name, rest) = rest.split_once("\", \"").unwrap();
            (name, rest.split_once('"').unwrap().0)
        });
        let pragmas: Vec<(&str, &str)> = pragmas.collect();
        // Four have functions of their own there.
        let named = [
            "journal_mode(SqliteJournalMode::Wal)",
            "synchronous(SqliteSynchronous::Full)",
            "foreign_keys(true)",
            "busy_timeout(Duration::from_secs(5))",
        ];
        assert!(named.iter().all(|named| writer.contains(named)), "{writer}");
        assert_eq!(SETTINGS[named.len()..], pragmas[..]);
    }
}
