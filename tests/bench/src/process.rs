//! The processes that are measured, and what the kernel says of them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::http::{Connection, Request};

/// Ticks of a processor's time in a second; Linux tells user space so whatever it counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running process; it is killed when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a process that says nothing.
    pub fn start(command: &mut Command) -> anyhow::Result<Process> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {command:?}"))?;
        Ok(Process { child })
    }

    /// Starts a process and waits for a line that begins so; returns its rest.
    pub fn start_until(command: &mut Command, line: &str) -> anyhow::Result<(Process, String)> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let process = Process { child };
        let mut lines = BufReader::new(stdout).lines();
        for said in lines.by_ref() {
            if let Some(rest) = said?.strip_prefix(line) {
                let rest = rest.to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                return Ok((process, rest));
            }
        }
        bail!("{command:?} ended without saying {line:?}")
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an init system does.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let kill = Command::new("kill").arg(self.id().to_string()).status()?;
        if !kill.success() {
            bail!("the process {} is gone", self.id());
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a server answers that it is ready; returns how long that took, in milliseconds.
pub async fn until_ready(port: u16, since: Instant) -> anyhow::Result<f64> {
    let request = Request::get("/health/ready", "");
    loop {
        if let Ok(mut connection) = Connection::open(port).await
            && connection
                .send(&request)
                .await
                .is_ok_and(|answer| answer.status == 200)
        {
            return Ok(since.elapsed().as_secs_f64() * 1e3);
        }
        if since.elapsed() > Duration::from_secs(60) {
            bail!("the server does not become ready");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A port nobody listens on.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// The processor time of some processes, in milliseconds: each with its children, living and gone.
pub fn cpu_ms(roots: &[u32]) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for root in roots {
        let own = Times::of(*root).with_context(|| format!("no process {root}"))?;
        ticks += own.own + own.children;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            // A process that ends meanwhile is counted by its parent.
            if let Some(times) = id.and_then(Times::of)
                && times.parent == *root
            {
                ticks += times.own + times.children;
            }
        }
    }
    Ok(f64::from(u32::try_from(ticks)?) * 1e3 / TICKS_PER_SECOND)
}

/// A process's times, in ticks.
struct Times {
    parent: u32,
    own: u64,
    children: u64,
}

impl Times {
    fn of(id: u32) -> Option<Times> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        Times::parse(&stat)
    }

    /// The name comes second, in brackets, and may hold anything.
    fn parse(stat: &str) -> Option<Times> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Times {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            children: number(13)? + number(14)?,
        })
    }
}

/// What a process has in memory now, and the most it ever had, in MiB.
pub fn memory_mib(id: u32) -> anyhow::Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = number
            .with_context(|| format!("no {name} in the status"))?
            .parse()?;
        anyhow::Ok(kib / 1024.0)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// Waits until some processes have next to nothing to do: background work goes on after the last answer. Says so and
/// returns false when they still have after so long: what is measured then is not what it says.
pub async fn until_quiet(roots: &[u32], limit: Duration) -> anyhow::Result<bool> {
    let started = Instant::now();
    let pause = Duration::from_millis(500);
    let mut before = cpu_ms(roots)?;
    while started.elapsed() < limit {
        tokio::time::sleep(pause).await;
        let now = cpu_ms(roots)?;
        if now - before <= 20.0 {
            return Ok(true);
        }
        before = now;
    }
    let seconds = limit.as_secs();
    eprintln!(
        "  NOTE: after {seconds} s there was still work to do; what follows has to share with it"
    );
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat = "42 (a) b (c)) S 7 1 1 0 -1 4194560 1 2 3 4 30 12 5 6 20 0 1 0 0 0 0";
        let times = Times::parse(stat).unwrap();
        assert_eq!((times.parent, times.own, times.children), (7, 42, 11));
    }
}
