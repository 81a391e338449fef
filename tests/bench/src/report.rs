//! What was found: the table for people and the file for programs.

use serde_json::{Map, Value};

/// What is reported: the key, what it says, and the goal.
const KEYS: [(&str, &str, &str); 12] = [
    (
        "sqlite_create_vs_raw_commit",
        "SQLite: orders over HTTP, against a raw loop that commits each",
        ">= 2.5",
    ),
    (
        "pg_create_vs_pgbench_5",
        "PostgreSQL: orders over HTTP, against pgbench with five statements",
        ">= 1.5",
    ),
    (
        "pg_create_vs_pgbench_1",
        "PostgreSQL: orders over HTTP, against pgbench with one statement",
        ">= 0.8",
    ),
    (
        "paid_order_cpu_ms_sqlite",
        "SQLite: processor time of a paid order, in ms",
        "<= 2",
    ),
    (
        "paid_order_cpu_ms_pg",
        "PostgreSQL: the same, the database's included",
        "<= 2",
    ),
    (
        "webhook_vs_create",
        "webhooks taken, against orders placed",
        ">= 0.5",
    ),
    (
        "read_vs_empty_handler",
        "orders read by id, against an empty handler of Rocket",
        ">= 0.3",
    ),
    (
        "list_1m_vs_10k",
        "slowest growth of a list, 1,000,000 orders against 10,000",
        "<= 1.5",
    ),
    (
        "search_1m_vs_10k",
        "slowest growth of a search, 1,000,000 orders against 10,000",
        "<= 1.5",
    ),
    ("rss_idle_mib", "memory when idle, in MiB", "<= 32"),
    ("rss_load_mib", "most memory under load, in MiB", "<= 128"),
    ("start_ms", "start on an existing database, in ms", "<= 150"),
];

/// Figures by their keys, and the raw ones beneath them.
#[derive(Debug, Default)]
pub struct Report {
    figures: Map<String, Value>,
    raw: Vec<(String, String)>,
}

impl Report {
    /// A figure; of two for one key the one that is further from its goal is kept.
    pub fn set(&mut self, key: &str, figure: f64) {
        let goal = KEYS.iter().find(|(known, _, _)| *known == key);
        assert!(goal.is_some(), "no figure of this name: {key}");
        let upwards = goal.is_some_and(|(_, _, goal)| goal.starts_with(">="));
        let known = self.figures.get(key).and_then(Value::as_f64);
        let worst = match known {
            Some(known) if upwards => known.min(figure),
            Some(known) => known.max(figure),
            None => figure,
        };
        let rounded = (worst * 1e3).round() / 1e3;
        self.figures.insert(key.to_owned(), rounded.into());
    }

    /// A raw figure; it is printed at once, so that a long run can be followed.
    pub fn raw(&mut self, name: impl Into<String>, figure: impl Into<String>) {
        let (name, figure) = (name.into(), figure.into());
        eprintln!("  {name}: {figure}");
        self.raw.push((name, figure));
    }

    /// Every key with its figure, null where nothing was measured.
    pub fn json(&self) -> Value {
        let figure = |key: &str| self.figures.get(key).cloned().unwrap_or(Value::Null);
        let figures = KEYS
            .iter()
            .map(|(key, _, _)| ((*key).to_owned(), figure(key)));
        Value::Object(figures.collect())
    }

    /// The tables, in Markdown.
    pub fn text(&self) -> String {
        let mut lines = vec![
            "| ratio or figure | measured | goal |".to_owned(),
            "|---|---|---|".to_owned(),
        ];
        for (key, name, goal) in KEYS {
            let figure = self.figures.get(key).and_then(Value::as_f64);
            let figure =
                figure.map_or_else(|| "not measured".to_owned(), |one| format!("{one:.2}"));
            lines.push(format!("| {name} | {figure} | {goal} |"));
        }
        lines.extend([
            "".to_owned(),
            "| raw figure | |".to_owned(),
            "|---|---|".to_owned(),
        ]);
        lines.extend(
            self.raw
                .iter()
                .map(|(name, figure)| format!("| {name} | {figure} |")),
        );
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_figure_is_kept_and_the_others_are_null() {
        let mut report = Report::default();
        for figure in [0.7, 0.4, 0.6] {
            report.set("webhook_vs_create", figure);
            report.set("start_ms", figure);
        }
        let json = report.json();
        assert_eq!(json["webhook_vs_create"], 0.4);
        assert_eq!(json["start_ms"], 0.7);
        // By name, as programs that read it do.
        let mut names = [
            "sqlite_create_vs_raw_commit",
            "pg_create_vs_pgbench_5",
            "pg_create_vs_pgbench_1",
            "paid_order_cpu_ms_sqlite",
            "paid_order_cpu_ms_pg",
            "webhook_vs_create",
            "read_vs_empty_handler",
            "list_1m_vs_10k",
            "search_1m_vs_10k",
            "rss_idle_mib",
            "rss_load_mib",
            "start_ms",
        ];
        names.sort_unstable();
        let mut written: Vec<&str> = json
            .as_object()
            .expect("an object")
            .iter()
            .map(|(name, figure)| {
                let measured = ["webhook_vs_create", "start_ms"].contains(&name.as_str());
                assert_eq!(figure.is_null(), !measured, "{name}");
                name.as_str()
            })
            .collect();
        written.sort_unstable();
        assert_eq!(written, names);
    }

    #[test]
    #[should_panic(expected = "no figure of this name")]
    fn a_figure_nobody_reads_is_not_taken() {
        Report::default().set("webhooks_vs_create", 0.5);
    }
}
