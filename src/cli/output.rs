//! What commands print: lines for people, one JSON document with `--json`.

use serde::Serialize;

/// Prints a value as JSON, or its lines.
pub(super) fn print<T: Serialize>(
    json: bool,
    value: &T,
    lines: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        println!("{}", lines());
    }
    Ok(())
}
