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

/// An error with its causes, each said once: many libraries repeat their cause in their own words.
pub(super) fn in_full(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
