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

/// Prints a text and ends its line.
///
/// # Errors
/// Nobody reads it any more: see [`is_unread`].
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Whether a command ended because nobody reads what it prints, as before `| head`.
pub(super) fn is_unread(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
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
