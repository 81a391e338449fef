//! Metrics: what Till counts about itself, written in Prometheus' text format.
//!
//! The registry is a value that is handed to those who count, never a global: two Tills in one process do not
//! see each other. Every name and label is declared once, in [`Metrics::new`]. A label's values come from our
//! own words (route templates, verdicts, kinds), never from what a client sent, so the series are bounded.
#![deny(
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A label's value.
pub type Label = Cow<'static, str>;

/// The upper bounds of the request and call histograms, in microseconds.
const LATENCY_US: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 20_000_000,
];

/// The upper bounds of the settlement lag, in microseconds: a provider's webhook takes seconds, one that is
/// made up for takes hours.
const LAG_US: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    1_800_000_000,
    7_200_000_000,
    86_400_000_000,
];

/// Everything Till counts.
#[derive(Debug)]
pub struct Metrics {
    /// Requests answered, by method, route template and status.
    pub http_requests: Counter<3>,
    /// How long answering took, by route template.
    pub http_request_duration: Histogram<1>,
    /// Calls to the provider, by kind and outcome.
    pub provider_calls: Counter<2>,
    /// How long the provider took, by kind.
    pub provider_call_duration: Histogram<1>,
    /// Webhooks, by what became of them.
    pub webhooks: Counter<1>,
    /// Verified webhooks, by the index of the secret that signed them.
    pub webhook_secret_used: Counter<1>,
    /// From an event's making at the provider to its being applied here.
    pub settlement_lag: Histogram<0>,
    /// Rows that wait, by queue.
    pub queue_depth: Gauge<1>,
    /// How long the oldest of them has waited, by queue.
    pub queue_oldest_age: Gauge<1>,
    /// Connections to the database, by pool and by what they do.
    pub database_connections: Gauge<2>,
    /// The most connections to the database there may be, by pool.
    pub database_connections_max: Gauge<1>,
    /// Orders placed.
    pub orders_placed: Counter<0>,
    /// Panics.
    pub panics: Counter<0>,
    build_info: Gauge<1>,
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(version: &'static str) -> Metrics {
        let build_info = Gauge::new(
            "till_build_info",
            "The version that runs; always 1.",
            ["version"],
            Unit::One,
        );
        build_info.replace([([Cow::Borrowed(version)], 1)]);
        Metrics {
            http_requests: Counter::new(
                "till_http_requests_total",
                "Requests answered.",
                ["method", "route", "status"],
            ),
            http_request_duration: Histogram::new(
                "till_http_request_duration_seconds",
                "Time from a request's head to the start of its answer.",
                ["route"],
                LATENCY_US,
            ),
            provider_calls: Counter::new(
                "till_provider_calls_total",
                "Calls to the payment provider, every try counted.",
                ["kind", "outcome"],
            ),
            provider_call_duration: Histogram::new(
                "till_provider_call_duration_seconds",
                "How long the payment provider took for one try.",
                ["kind"],
                LATENCY_US,
            ),
            webhooks: Counter::new(
                "till_webhooks_total",
                "Webhooks received, by what became of them.",
                ["verdict"],
            ),
            webhook_secret_used: Counter::new(
                "till_webhook_secret_used_total",
                "Verified webhooks, by the place of their secret in the configuration, from 0.",
                ["secret"],
            ),
            settlement_lag: Histogram::new(
                "till_settlement_lag_seconds",
                "Time from an event at the provider to its facts being recorded.",
                [],
                LAG_US,
            ),
            queue_depth: Gauge::new(
                "till_queue_depth",
                "Rows that wait for background work.",
                ["queue"],
                Unit::One,
            ),
            queue_oldest_age: Gauge::new(
                "till_queue_oldest_age_seconds",
                "How long the oldest waiting row has waited; 0 when none waits.",
                ["queue"],
                Unit::Milliseconds,
            ),
            database_connections: Gauge::new(
                "till_database_connections",
                "Open connections to the database, in use and idle.",
                ["pool", "state"],
                Unit::One,
            ),
            database_connections_max: Gauge::new(
                "till_database_connections_max",
                "The most connections to the database this process may open.",
                ["pool"],
                Unit::One,
            ),
            orders_placed: Counter::new("till_orders_placed_total", "Orders placed.", []),
            panics: Counter::new(
                "till_panics_total",
                "Panics, every one of them a fault of ours.",
                [],
            ),
            build_info,
        }
    }

    /// Everything as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        self.http_requests.render(&mut text);
        self.http_request_duration.render(&mut text);
        self.provider_calls.render(&mut text);
        self.provider_call_duration.render(&mut text);
        self.webhooks.render(&mut text);
        self.webhook_secret_used.render(&mut text);
        self.settlement_lag.render(&mut text);
        self.queue_depth.render(&mut text);
        self.queue_oldest_age.render(&mut text);
        self.database_connections.render(&mut text);
        self.database_connections_max.render(&mut text);
        self.orders_placed.render(&mut text);
        self.panics.render(&mut text);
        self.build_info.render(&mut text);
        text
    }
}

/// One name with its labels, and a value for every combination seen.
#[derive(Debug)]
struct Family<const N: usize, V> {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    labels: [&'static str; N],
    series: Mutex<BTreeMap<[Label; N], V>>,
}

impl<const N: usize, V: Default> Family<N, V> {
    fn new(
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Family {
            name,
            help,
            kind,
            labels,
            series: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[Label; N], V>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn render(&self, text: &mut String, mut sample: impl FnMut(&mut String, &str, &V)) {
        let _ = writeln!(text, "# HELP {} {}", self.name, self.help);
        let _ = writeln!(text, "# TYPE {} {}", self.name, self.kind);
        for (values, value) in self.lock().iter() {
            let mut labels = String::new();
            for (label, value) in self.labels.iter().zip(values) {
                let comma = if labels.is_empty() { "" } else { "," };
                let _ = write!(labels, "{comma}{label}=\"{}\"", escaped(value));
            }
            sample(text, &labels, value);
        }
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn write_sample(text: &mut String, name: &str, labels: &str, value: &str) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

/// A number that only grows.
#[derive(Debug)]
pub struct Counter<const N: usize>(Family<N, u64>);

impl<const N: usize> Counter<N> {
    fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        let family = Family::new(name, help, "counter", labels);
        if N == 0 {
            // It is known to exist, so it starts at 0 and not at its first event.
            family.lock().insert([const { Cow::Borrowed("") }; N], 0);
        }
        Counter(family)
    }

    /// One more.
    pub fn count(&self, labels: [Label; N]) {
        let mut series = self.0.lock();
        let value = series.entry(labels).or_default();
        *value = value.saturating_add(1);
    }

    fn render(&self, text: &mut String) {
        let name = self.0.name;
        self.0.render(text, |text, labels, value| {
            write_sample(text, name, labels, &value.to_string());
        });
    }
}

/// What a gauge's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Written as they are.
    One,
    /// Written as seconds.
    Milliseconds,
}

/// A number that is what it is now.
#[derive(Debug)]
pub struct Gauge<const N: usize> {
    family: Family<N, u64>,
    unit: Unit,
}

impl<const N: usize> Gauge<N> {
    fn new(name: &'static str, help: &'static str, labels: [&'static str; N], unit: Unit) -> Self {
        Gauge {
            family: Family::new(name, help, "gauge", labels),
            unit,
        }
    }

    /// These are the numbers now, and no others.
    pub fn replace(&self, values: impl IntoIterator<Item = ([Label; N], u64)>) {
        *self.family.lock() = values.into_iter().collect();
    }

    fn render(&self, text: &mut String) {
        let (name, unit) = (self.family.name, self.unit);
        self.family.render(text, |text, labels, value| {
            let value = match unit {
                Unit::One => value.to_string(),
                Unit::Milliseconds => seconds(value.saturating_mul(1_000)),
            };
            write_sample(text, name, labels, &value);
        });
    }
}

/// How often what lasted how long.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    family: Family<N, Cells>,
    bounds_us: &'static [u64],
}

/// The counts of one histogram; each duration is in one cell, and they are added up when written.
#[derive(Debug, Default)]
struct Cells {
    counts: Vec<u64>,
    sum_us: u64,
}

impl<const N: usize> Histogram<N> {
    fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        bounds_us: &'static [u64],
    ) -> Self {
        Histogram {
            family: Family::new(name, help, "histogram", labels),
            bounds_us,
        }
    }

    /// One that lasted so long.
    pub fn observe(&self, labels: [Label; N], took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let cell = self.bounds_us.partition_point(|bound| *bound < us);
        let mut series = self.family.lock();
        let cells = series.entry(labels).or_default();
        cells
            .counts
            .resize(self.bounds_us.len().saturating_add(1), 0);
        if let Some(count) = cells.counts.get_mut(cell) {
            *count = count.saturating_add(1);
        }
        cells.sum_us = cells.sum_us.saturating_add(us);
    }

    fn render(&self, text: &mut String) {
        let name = self.family.name;
        self.family.render(text, |text, labels, cells| {
            let bucket = format!("{name}_bucket");
            let comma = if labels.is_empty() { "" } else { "," };
            let bounds = self.bounds_us.iter().map(|us| seconds(*us));
            let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
            let mut sum: u64 = 0;
            for (bound, count) in bounds.zip(&cells.counts) {
                sum = sum.saturating_add(*count);
                let labels = format!("{labels}{comma}le=\"{bound}\"");
                write_sample(text, &bucket, &labels, &sum.to_string());
            }
            let total = seconds(cells.sum_us);
            write_sample(text, &format!("{name}_sum"), labels, &total);
            write_sample(text, &format!("{name}_count"), labels, &sum.to_string());
        });
    }
}

/// Microseconds as seconds, exactly and without zeros at the end.
fn seconds(us: u64) -> String {
    let (whole, part) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    if part == 0 {
        return whole.to_string();
    }
    let part = format!("{part:06}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    //! The text is what Prometheus reads, to the letter.

    use super::*;

    #[test]
    fn a_counter_without_labels_starts_at_zero() {
        let metrics = Metrics::new("1");
        assert!(metrics.render().contains("\ntill_panics_total 0\n"));
        metrics.panics.count([]);
        assert!(metrics.render().contains("\ntill_panics_total 1\n"));
    }

    #[test]
    fn labels_are_escaped() {
        let counter = Counter::new("c", "Help.", ["word"]);
        counter.count([Cow::Borrowed("a\"b\\c\nd")]);
        let mut text = String::new();
        counter.render(&mut text);
        assert_eq!(
            text,
            "# HELP c Help.\n# TYPE c counter\nc{word=\"a\\\"b\\\\c\\nd\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_adds_its_buckets_up_and_a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new("h", "Help.", ["route"], &[1_000, 2_500_000]);
        for us in [1_000, 1_001, 2_500_000, 9_000_000] {
            histogram.observe([Cow::Borrowed("/")], Duration::from_micros(us));
        }
        let mut text = String::new();
        histogram.render(&mut text);
        assert_eq!(
            text,
            "# HELP h Help.\n# TYPE h histogram\n\
             h_bucket{route=\"/\",le=\"0.001\"} 1\n\
             h_bucket{route=\"/\",le=\"2.5\"} 3\n\
             h_bucket{route=\"/\",le=\"+Inf\"} 4\n\
             h_sum{route=\"/\"} 11.502001\n\
             h_count{route=\"/\"} 4\n"
        );
    }

    #[test]
    fn a_gauge_forgets_what_it_is_not_told_again() {
        let gauge = Gauge::new("g", "Help.", ["queue"], Unit::Milliseconds);
        gauge.replace([([Cow::Borrowed("a")], 1_500), ([Cow::Borrowed("b")], 0)]);
        gauge.replace([([Cow::Borrowed("b")], 20)]);
        let mut text = String::new();
        gauge.render(&mut text);
        assert_eq!(
            text,
            "# HELP g Help.\n# TYPE g gauge\ng{queue=\"b\"} 0.02\n"
        );
    }
}
