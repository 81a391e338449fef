//! Finding the simulator that runs beside a server, from another process on the same machine.
//!
//! `serve --with-simulator` and `demo` may get any free port, so they leave the address in a small file beside the
//! database. A process that was killed leaves its file behind: an address counts only when a simulator answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;
use crate::provider::stripe::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT, StripeSettings};
use crate::store::connect::sqlite_path;

/// The key the simulator is called with when none is configured.
pub(super) const KEY: &str = "sk_test_simulator";

/// What the simulator keeps beside the database: its state, and where it is.
pub(super) fn file(config: &Config, extension: &str) -> PathBuf {
    let database = sqlite_path(&config.database.url).unwrap_or_else(|| PathBuf::from("till.db"));
    database.with_extension(extension)
}

/// The note of where a simulator is; removed when dropped.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    url: String,
}

impl Note {
    pub fn leave(config: &Config, url: &str) -> std::io::Result<Note> {
        let path = file(config, "simulator.url");
        std::fs::write(&path, format!("{url}\n"))?;
        Ok(Note {
            path,
            url: url.to_owned(),
        })
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // On PostgreSQL a later process in the same folder may have put its own in place.
        if read(&self.path).as_deref() == Some(self.url.as_str())
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "the simulator's address file cannot be removed");
        }
    }
}

fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The address of the simulator that a server runs for this database.
pub(super) async fn running_beside(config: &Config) -> Option<String> {
    let url = read(&file(config, "simulator.url"))?;
    is_simulator(&url).await.then_some(url)
}

/// Whether a simulator answers there.
pub(super) async fn is_simulator(url: &str) -> bool {
    let Ok(client) = client() else { return false };
    let health = format!("{}/_simulator/health", url.trim_end_matches('/'));
    let Ok(answer) = client.get(health).send().await else {
        return false;
    };
    let fine = answer.status().is_success();
    let body: Option<serde_json::Value> = answer.json().await.ok();
    fine && body.is_some_and(|body| body["status"] == "ok")
}

/// A client for addresses on this machine.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
}

/// What a simulator is spoken to with when nothing is configured; its webhook secret is not needed for that.
pub(super) fn settings(url: &str) -> StripeSettings {
    StripeSettings {
        api_key: KEY.to_owned(),
        base_url: url.to_owned(),
        webhook_secrets: vec!["whsec_unused".to_owned()],
        timeout: DEFAULT_TIMEOUT,
        connect_timeout: DEFAULT_CONNECT_TIMEOUT,
    }
}
