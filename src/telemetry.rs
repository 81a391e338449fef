//! Logs: one subscriber for Till's own spans and the libraries' messages.
//!
//! Set up before Rocket, which keeps a logger it finds. The lines of libraries that handle requests, statements
//! and answers are dropped: Rocket prints bodies, headers and query strings of bad requests, which may hold
//! personal data. No setting brings them back, because a filter is easily copied from a debugging session.

use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogSettings};
use crate::metrics::Metrics;

/// What the names of libraries begin with whose messages may repeat what a request held.
const SILENCED: [&str; 6] = ["rocket", "sqlx", "sea_", "hyper", "reqwest", "h2"];

/// Whether a line may be logged, by where it was written.
fn may_be_logged(target: &str) -> bool {
    // What Rocket's generated code says of a handler's guards goes to a module named `_` beside the handler.
    !target.ends_with("::_") && !SILENCED.iter().any(|name| target.starts_with(name))
}

/// Whether a text is a level or a filter. A bare word that is no level would silence everything else.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    let whole = EnvFilter::try_new(text).is_ok();
    let mut parts = text.split(',').map(str::trim);
    whole && parts.all(|part| part.contains('=') || part.parse::<LevelFilter>().is_ok())
}

/// Starts logging to standard error; a second call changes nothing.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let ours = FilterFn::new(|line| may_be_logged(line.target()));
    let registry = tracing_subscriber::registry().with(filter).with(ours);
    let started = match settings.format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json();
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Pretty => {
            let layer = tracing_subscriber::fmt::layer().with_target(false);
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry
                .with(layer.with_ansi(ansi).with_writer(std::io::stderr))
                .try_init()
        }
    };
    // Tests and embedding programs may have one already.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        if is_closed_output(panic) {
            // As any program does whose reader has gone, such as `head`.
            std::process::exit(141);
        }
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        // The message may hold what a request held; the place is enough to find it.
        tracing::error!(panic.location = %place, "a task panicked at {place}");
    }));
}

/// Whether it is the standard library's panic about an output nobody reads any more.
fn is_closed_output(panic: &std::panic::PanicHookInfo<'_>) -> bool {
    let text = panic.payload().downcast_ref::<String>();
    text.is_some_and(|text| {
        text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
    })
}

/// Counts every panic of this process from now on, wherever it is caught.
pub fn count_panics(metrics: Arc<Metrics>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        metrics.panics.count([]);
        before(panic);
    }));
}

#[cfg(test)]
mod tests {
    //! What may be said, and what counts as a level.

    use super::*;

    #[test]
    fn libraries_that_repeat_requests_are_never_heard() {
        for target in [
            "rocket::server",
            "rocket_http::listener",
            "sqlx::query",
            "sea_orm::driver",
            "hyper_util::client",
            "reqwest::connect",
            "till::http::orders::_",
        ] {
            assert!(!may_be_logged(target), "{target}");
        }
        for target in ["till::http::catchers", "till", "tokio::runtime"] {
            assert!(may_be_logged(target), "{target}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_no_filter() {
        for good in [
            "info",
            "DEBUG",
            "info,till::worker=debug",
            "off",
            "till=trace",
        ] {
            assert!(is_filter(good), "{good}");
        }
        for bad in [
            "verbose",
            "warning",
            "info,till::worker",
            "till=loud",
            "info;x",
        ] {
            assert!(!is_filter(bad), "{bad}");
        }
    }
}
