//! What the databases do with the same rows when nothing else is in the way.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::http::per_second;
use crate::rows::{Cell, Template};
use crate::site::{Site, output};

/// Orders in a second on SQLite: one connection in one loop, prepared statements, a commit for each order.
pub fn raw_commits(site: &Site, template: &Template, time: Duration) -> anyhow::Result<f64> {
    let database = site.sqlite()?;
    let (begin, commit) = (
        database.prepare("BEGIN IMMEDIATE")?,
        database.prepare("COMMIT")?,
    );
    let mut inserts = Vec::new();
    for insert in &template.inserts {
        let marks = insert.expressions(|_| "?".to_owned());
        let statement = database.prepare(&format!("{} VALUES ({marks})", insert.head()))?;
        let mut changing = Vec::new();
        for ((_, cell), at) in insert.columns.iter().zip(1..) {
            match cell {
                Cell::Same(value) => statement.bind(at, value)?,
                _ => changing.push((at, cell)),
            }
        }
        inserts.push((statement, changing));
    }
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < time {
        number += 1;
        begin.step()?;
        for (statement, changing) in &inserts {
            for (at, cell) in changing {
                if let Some(value) = cell.value(number) {
                    statement.bind(*at, &value)?;
                }
            }
            statement.step()?;
        }
        commit.step()?;
    }
    Ok(per_second(usize::try_from(number)?, started.elapsed()))
}

/// How pgbench sends an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A transaction of one `INSERT` for each row.
    Statements,
    /// One statement that inserts them all.
    Single,
}

/// Orders in a second on PostgreSQL: pgbench with prepared statements, each order committed alone.
pub fn pgbench(
    site: &Site,
    template: &Template,
    form: Form,
    clients: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let script = site.tools.work.join("pgbench.sql");
    std::fs::write(&script, self::script(template, form)?)?;
    let mut pgbench = site.tools.postgres.program("pgbench");
    pgbench
        .args(["-n", "-M", "prepared", "-D", "i=0", "-f"])
        .arg(&script)
        .args(["-c", &clients.to_string(), "-j", "1"])
        .args(["-T", &time.as_secs().max(1).to_string()])
        .arg(site.database());
    let said = output(&mut pgbench)?;
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next());
    Ok(rate.with_context(|| said.clone())?.parse()?)
}

fn script(template: &Template, form: Form) -> anyhow::Result<String> {
    let mut script = "\\set i :i + 1\n\\set n :i * 1000 + :client_id\n".to_owned();
    let inserts = template.inserts.iter().map(|insert| {
        let cells = insert.expressions(Cell::in_script);
        format!("{} VALUES ({cells})", insert.head())
    });
    let inserts: Vec<String> = inserts.collect();
    match form {
        Form::Statements => {
            writeln!(script, "BEGIN;\n{};\nCOMMIT;", inserts.join(";\n"))?;
        }
        Form::Single => {
            let (last, first) = inserts.split_last().context("no rows")?;
            let parts: Vec<String> = first
                .iter()
                .enumerate()
                .map(|(at, insert)| format!("part{at} AS ({insert})"))
                .collect();
            writeln!(script, "WITH {} {last};", parts.join(", "))?;
        }
    }
    Ok(script)
}
