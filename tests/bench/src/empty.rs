//! A Rocket that does nothing: the most that any server on it can answer.

use rocket::config::{Config, LogLevel};

#[rocket::get("/")]
fn nothing() {}

/// Serves one empty handler until it is killed.
pub async fn serve(port: u16) -> anyhow::Result<()> {
    let config = Config {
        port,
        log_level: LogLevel::Off,
        cli_colors: false,
        ..Config::release_default()
    };
    let rocket = rocket::custom(config).mount("/", rocket::routes![nothing]);
    let ended = rocket.launch().await;
    ended.map(drop).map_err(|error| anyhow::anyhow!("{error}"))
}
