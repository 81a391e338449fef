//! `till doctor`: everything that must be right before money can be taken, looked at and told with its mend.
//!
//! It changes nothing, so that it can be asked at any time, also beside a running server: a database that is not
//! there is not made. It shows no secret.

mod database;
mod files;
mod provider;
mod settings;

use std::process::ExitCode;

use serde::Serialize;

use super::output::print;
use crate::clock::Clock;
use crate::config::Config;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Till runs, but this should be looked at.
    Warning,
    /// Till does not start like this, or does not do its work.
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    found: String,
    mend: Option<String>,
}

/// All that was looked at.
#[derive(Debug, Default)]
struct Report(Vec<Check>);

impl Report {
    fn ok(&mut self, name: &'static str, found: impl Into<String>) {
        self.0.push(Check {
            name,
            status: Status::Ok,
            found: found.into(),
            mend: None,
        });
    }

    fn warn(&mut self, name: &'static str, found: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Check {
            name,
            status: Status::Warning,
            found: found.into(),
            mend: Some(mend.into()),
        });
    }

    fn fail(&mut self, name: &'static str, found: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Check {
            name,
            status: Status::Failed,
            found: found.into(),
            mend: Some(mend.into()),
        });
    }

    fn count(&self, status: Status) -> usize {
        let these = self.0.iter().filter(|check| check.status == status);
        these.count()
    }

    fn lines(&self) -> String {
        let mut lines = Vec::new();
        for check in &self.0 {
            let found = check.found.replace('\n', " ");
            lines.push(format!(
                "{:<7}  {:<17}  {found}",
                check.status.as_str(),
                check.name
            ));
            for line in check.mend.iter().flat_map(|mend| mend.lines()) {
                lines.push(format!("{:<26}  {line}", ""));
            }
        }
        let (failed, warnings) = (self.count(Status::Failed), self.count(Status::Warning));
        lines.push(match (failed, warnings) {
            (0, 0) => "\nAll is well.".to_owned(),
            _ => format!("\n{failed} failed, {warnings} to look at."),
        });
        lines.join("\n")
    }
}

pub(super) async fn doctor(json: bool) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    settings::variables(&mut report);
    match Config::load() {
        Ok(mut config) => {
            // What is wrong is told as a check, not as a line of a log.
            if std::env::var_os("TILL_LOG__LEVEL").is_none() {
                config.log.level = "error".to_owned();
            }
            crate::telemetry::start(&config.log);
            examine(&mut report, &config).await;
        }
        Err(error) => report.fail(
            "configuration",
            "it cannot be used, and nothing else can be checked",
            error.to_string(),
        ),
    }
    let failed = report.count(Status::Failed) > 0;
    let value = serde_json::json!({"ok": !failed, "checks": report.0});
    print(json, &value, || report.lines())?;
    Ok(ExitCode::from(u8::from(failed)))
}

async fn examine(report: &mut Report, config: &Config) {
    settings::configuration(report, config);
    files::secret_keys(report, config);
    files::database_file(report, config);
    files::disk(report, config);
    database::database(report, config).await;
    if let Some(stripe) = settings::provider(report, config).await {
        provider::provider(report, stripe, &Clock::system()).await;
    }
    provider::port(report, config).await;
}
