//! What commands print: lines for people, one JSON document with `--json`.

use std::io::Write as _;

use serde::Serialize;

/// Prints a value as JSON, or its lines.
pub(super) fn print<T: Serialize>(
    json: bool,
    value: &T,
    lines: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match json {
        true => line(&serde_json::to_string_pretty(value)?),
        false => line(&lines()),
    }
}

/// Prints a text and ends its line. That nobody reads it to its end, as before `| head`, is no failure.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
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
