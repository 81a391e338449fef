//! Three times as many orders as are taken at the peak: how many of them are still placed, how soon the rest is
//! turned away, what memory it costs, and whether the peak is there again right after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Run;
use crate::http::{Connection, per_second, percentiles};
use crate::process::memory_mib;
use crate::shop;
use crate::site::{Server, Site};

/// How many times the peak is asked for.
const TIMES: f64 = 3.0;
/// More than wait at most, so that some are always turned away.
const CONNECTIONS: usize = 2_560;
/// How long the peak is looked for after the load.
const AFTER: Duration = Duration::from_secs(1);

/// What a load beyond the peak came to.
struct Overload {
    /// Orders in a second before.
    peak: f64,
    /// Requests in a second.
    offered: f64,
    /// Orders placed in a second.
    placed: f64,
    /// Refusals in a second.
    refused: f64,
    /// 99 of 100 orders took no longer, in milliseconds.
    placed_p99_ms: f64,
    /// Half of the refusals, and 99 of 100, took no longer, in milliseconds.
    refused_ms: (f64, f64),
    /// Resident memory before, and at its highest, in MiB.
    memory_mib: (f64, f64),
    /// Orders in a second right after.
    after: f64,
}

impl Run<'_> {
    /// Asks for three times the peak.
    pub async fn overloaded(&mut self) -> anyhow::Result<()> {
        let site = self.empty.copy("overload")?;
        let server = site.serve().await?;
        let found = measure(&site, &server, self.effort.time).await?;
        let name = self.name;
        let share = |rate: f64| 100.0 * rate / found.peak;
        let said = format!(
            "{:.0} asked for /s, {:.0} placed /s ({:.0} % of {:.0}; p99 {:.0} ms), {:.0} refused /s (p50 {:.1} ms, \
             p99 {:.1} ms)",
            found.offered,
            found.placed,
            share(found.placed),
            found.peak,
            found.placed_p99_ms,
            found.refused,
            found.refused_ms.0,
            found.refused_ms.1,
        );
        self.report
            .raw(format!("{name}: three times the peak"), said);
        let said = format!(
            "{:.0} placed /s ({:.0} %), memory {:.0} MiB before, {:.0} MiB at most",
            found.after,
            share(found.after),
            found.memory_mib.0,
            found.memory_mib.1,
        );
        self.report.raw(format!("{name}: right after that"), said);
        server.process.stop()?;
        site.remove()
    }
}

async fn measure(site: &Site, server: &Server, time: Duration) -> anyhow::Result<Overload> {
    let peak = shop::place(site, time, None).await?.rate;
    let (before, _) = memory_mib(server.process.id())?;
    let began = Instant::now();
    let mut open = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        open.push(Connection::open(site.port).await?);
    }
    let load = Arc::new(Load {
        authorization: site.authorization(),
        pace: TIMES * peak,
        started: Instant::now(),
        time,
    });
    let tasks = open.into_iter().enumerate();
    let tasks: Vec<_> = tasks
        .map(|(at, connection)| tokio::spawn(Arc::clone(&load).keep_asking(connection, at)))
        .collect();
    let (mut placed, mut refused) = (Vec::new(), Vec::new());
    for task in tasks {
        let answered = task.await??;
        placed.extend(answered.placed);
        refused.extend(answered.refused);
    }
    let took = load.started.elapsed();
    let after = shop::place_as(site, "after", AFTER).await?.rate;
    let (_, most) = memory_mib(server.process.id())?;
    eprintln!(
        "  asked for too much for {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(Overload {
        peak,
        offered: per_second(placed.len() + refused.len(), took),
        placed: per_second(placed.len(), took),
        refused: per_second(refused.len(), took),
        placed_p99_ms: percentiles(&mut placed).1,
        refused_ms: percentiles(&mut refused),
        memory_mib: (before, most),
        after,
    })
}

/// What every connection of the load needs to know.
struct Load {
    authorization: String,
    /// Requests in a second, over all connections.
    pace: f64,
    started: Instant,
    time: Duration,
}

/// How long each answer took, from when its request was sent.
#[derive(Default)]
struct Answered {
    placed: Vec<Duration>,
    refused: Vec<Duration>,
}

impl Load {
    /// Sends each request when it is due, or as soon after as the last one was answered.
    async fn keep_asking(
        self: Arc<Self>,
        mut connection: Connection,
        first: usize,
    ) -> anyhow::Result<Answered> {
        let mut answered = Answered::default();
        let mut number = first;
        loop {
            let seconds = f64::from(u32::try_from(number)?) / self.pace;
            let due = self.started + Duration::from_secs_f64(seconds);
            if due.duration_since(self.started) >= self.time || self.started.elapsed() >= self.time
            {
                return Ok(answered);
            }
            tokio::time::sleep_until(due.into()).await;
            let request = shop::order(&self.authorization, "beyond", number);
            let sent = Instant::now();
            let answer = connection.send(&request).await?;
            match answer.status {
                201 => answered.placed.push(sent.elapsed()),
                503 => answered.refused.push(sent.elapsed()),
                other => bail!("{other} instead of 201 or 503"),
            }
            number += CONNECTIONS;
        }
    }
}
