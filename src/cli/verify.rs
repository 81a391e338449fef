//! `till verify`: every money invariant against the database. It reads only, and works beside a running server.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::print;
use super::storage::must_exist;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::verify::{Finding, MAX_LISTED, Report};
use crate::service::verify::verify as verify_store;
use crate::store::Store;

/// How often the database is read when another process comes and goes meanwhile.
const TRIES: u32 = 5;

pub(super) async fn verify(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    must_exist(config)?;
    let report = undisturbed_report(config).await?;
    print(json, &value(&report), || lines(&report))?;
    Ok(ExitCode::from(u8::from(report.broken() > 0)))
}

/// A report of one piece. A stopped server's file is read without its locks, which would leave files beside it; when a
/// server starts meanwhile, the next look takes part in its locks.
async fn undisturbed_report(config: &Config) -> anyhow::Result<Report> {
    for _ in 0..TRIES {
        let store = Store::open_read_only(&config.database(), Clock::system()).await?;
        let report = report_of(&store).await;
        let undisturbed = store.was_read_undisturbed();
        store.close().await?;
        if undisturbed {
            return report;
        }
    }
    anyhow::bail!(
        "the database was opened or changed by another process each time it was read; try again"
    )
}

async fn report_of(store: &Store) -> anyhow::Result<Report> {
    let status = store.schema_status().await?;
    if let Some(newest) = status.unknown.last() {
        anyhow::bail!(
            "the database is newer than this program (it has {newest}): verify it with the program that \
             migrated it, or a later one"
        );
    }
    if let Some(first) = status.pending.first() {
        anyhow::bail!(
            "the schema lacks {first}: bring it up to date first, with `till migrate up`"
        );
    }
    Ok(verify_store(store).await?)
}

fn value(report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check, "level": level(finding), "table": finding.table,
                "id": finding.id, "what": finding.what,
            })
        })
        .collect();
    json!({
        "ok": report.broken() == 0, "broken": report.broken(), "warnings": report.warnings(),
        "counts": report.counts, "examined": report.examined, "findings": findings,
    })
}

fn level(finding: &Finding) -> &'static str {
    if finding.check.is_warning() {
        "warning"
    } else {
        "broken"
    }
}

fn lines(report: &Report) -> String {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|finding| {
            format!(
                "{:<7}  {:<18}  {} {}: {}",
                level(finding),
                finding.check.as_str(),
                finding.table,
                finding.id,
                finding.what
            )
        })
        .collect();
    let found = report.broken().saturating_add(report.warnings());
    let listed = u64::try_from(MAX_LISTED).unwrap_or(u64::MAX);
    if found > listed {
        let more = found.saturating_sub(listed);
        lines.push(format!("… and {more} more"));
    }
    let examined: Vec<String> = report
        .examined
        .iter()
        .map(|(table, rows)| format!("{table} {rows}"))
        .collect();
    lines.push(format!("Looked at: {}.", examined.join(", ")));
    lines.push(match (report.broken(), report.warnings()) {
        (0, 0) => "All is well.".to_owned(),
        (broken, warnings) => format!("{broken} broken, {warnings} to look at."),
    });
    lines.join("\n")
}
