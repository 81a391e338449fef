//! `till migrate`.

use std::process::ExitCode;

use serde_json::json;

use super::MigrateCommand;
use super::output::print;
use super::storage::closing;
use crate::app::DatabaseLock;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;

pub(super) async fn migrate(config: &Config, command: MigrateCommand) -> anyhow::Result<ExitCode> {
    let _lock = DatabaseLock::take(&config.database.url)?;
    let store = Store::open(&config.database(), Clock::system()).await?;
    let work = async {
        Ok(match command {
            MigrateCommand::Up { json } => (store.migrate_up().await?, json, false),
            MigrateCommand::Down {
                steps,
                discard_data,
                json,
            } => (store.migrate_down(steps, discard_data).await?, json, false),
            MigrateCommand::Status { json } => (store.schema_status().await?, json, true),
        })
    };
    let (status, as_json, check) = closing(&store, work).await?;
    let value = json!({
        "applied": status.applied, "pending": status.pending, "unknown": status.unknown,
    });
    print(as_json, &value, || {
        let marked = |mark: &str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{mark} {name}")).collect()
        };
        let mut lines = marked("applied", &status.applied);
        lines.extend(marked("pending", &status.pending));
        lines.extend(marked("unknown", &status.unknown));
        lines.join("\n")
    })?;
    let complete = status.pending.is_empty() && status.unknown.is_empty();
    Ok(ExitCode::from(u8::from(check && !complete)))
}
