//! Logs: one subscriber for Till's own spans and the libraries' messages.
//!
//! Set up before Rocket, which keeps a logger it finds. Rocket's and sqlx's own lines are filtered: Rocket
//! prints bodies, headers and query strings of bad requests, which may hold personal data.

use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogSettings};
use crate::metrics::Metrics;

/// Libraries whose messages may repeat what a request held, whatever level is asked for.
const SILENCED: [&str; 5] = [
    "rocket=off",
    "rocket_http=off",
    "sqlx=off",
    "sea_orm=off",
    "hyper=off",
];

/// Starts logging to standard error; a second call changes nothing.
pub fn start(settings: &LogSettings) {
    let mut filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    for directive in SILENCED {
        if let Ok(directive) = directive.parse() {
            filter = filter.add_directive(directive);
        }
    }
    // What Rocket's generated code says of a handler's guards goes to a module named `_` beside the handler.
    let ours = FilterFn::new(|line| !line.target().ends_with("::_"));
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
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        // The message may hold what a request held; the place is enough to find it.
        tracing::error!(panic.location = %place, "a task panicked at {place}");
    }));
}

/// Counts every panic of this process from now on, wherever it is caught.
pub fn count_panics(metrics: Arc<Metrics>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        metrics.panics.count([]);
        before(panic);
    }));
}
