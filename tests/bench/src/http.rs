//! The load generator: keep-alive HTTP/1.1 over plain sockets. It shares the cores with what it measures, so it
//! writes ready-made bytes and reads no more of an answer than where it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long any one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, ready to be written.
pub struct Request(Vec<u8>);

impl Request {
    /// A request without a body.
    pub fn get(path: &str, headers: &str) -> Request {
        Request(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n").into_bytes())
    }

    /// A request with a JSON body.
    pub fn post(path: &str, headers: &str, body: &str) -> Request {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        );
        Request([head.as_bytes(), body.as_bytes()].concat())
    }
}

/// An answer: its status and where its body is in the connection's buffer.
pub struct Answer<'c> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'c [u8],
}

impl Answer<'_> {
    /// The body, if the status is the one that is wanted.
    pub fn expect(&self, status: u16) -> anyhow::Result<&[u8]> {
        if self.status == status {
            return Ok(self.body);
        }
        let body = String::from_utf8_lossy(self.body);
        bail!("{} instead of {status}: {body}", self.status)
    }

    /// The body as JSON, if the status is the one that is wanted.
    pub fn json(&self, status: u16) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(self.expect(status)?)?)
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to a port of this machine.
    pub async fn open(port: u16) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request and waits for its whole answer.
    pub async fn send(&mut self, request: &Request) -> anyhow::Result<Answer<'_>> {
        tokio::time::timeout(PATIENCE, self.exchange(request))
            .await
            .context("no answer in time")?
    }

    async fn exchange(&mut self, request: &Request) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(&request.0).await?;
        self.buffer.clear();
        let mut end = None;
        loop {
            if end.is_none() {
                end = head(&self.buffer)?;
            }
            if let Some(head) = &end
                && self.buffer.len() >= head.body + head.length
            {
                break;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended before the answer");
            }
        }
        let head = end.context("an answer without a head")?;
        Ok(Answer {
            status: head.status,
            body: &self.buffer[head.body..head.body + head.length],
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body: usize,
    length: usize,
}

/// Reads an answer's head once it is there as a whole. Bodies of unknown length are not understood: none of the
/// measured requests is answered with one.
fn head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end])?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.context("no status line")?.parse()?;
    let mut length = 0;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a body in chunks");
        }
    }
    Ok(Some(Head {
        status,
        body: end + 4,
        length,
    }))
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this time.
    Elapsed(Duration),
    /// When this many requests were answered.
    Done(usize),
}

/// Each connection sends its next request when the last was answered and, with a pace, its time has come.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Where to.
    pub port: u16,
    /// How many connections.
    pub connections: usize,
    /// How long.
    pub until: Until,
    /// The status every answer must have.
    pub status: u16,
    /// How many requests are due in a second. Then an answer's time counts from when its request was due, however
    /// long it had to wait for a connection.
    pub pace: Option<f64>,
}

/// What a load came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How many requests were answered.
    pub count: usize,
    /// Answers in a second.
    pub rate: f64,
    /// Half of the answers took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 answers took no longer, in milliseconds.
    pub p99_ms: f64,
}

impl Load {
    /// Runs it; the requests are made from their number, counted over all connections.
    pub async fn run(
        self,
        make: impl Fn(usize) -> Request + Send + Sync + 'static,
    ) -> anyhow::Result<Outcome> {
        let make = Arc::new(make);
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            connections.push(Connection::open(self.port).await?);
        }
        let started = Instant::now();
        let tasks = connections.into_iter().enumerate().map(|(at, connection)| {
            tokio::spawn(self.keep_sending(connection, at, started, Arc::clone(&make)))
        });
        let tasks: Vec<_> = tasks.collect();
        let mut taken = Vec::new();
        for task in tasks {
            taken.extend(task.await??);
        }
        let elapsed = started.elapsed();
        let count = taken.len();
        let (p50_ms, p99_ms) = percentiles(&mut taken);
        Ok(Outcome {
            count,
            rate: per_second(count, elapsed),
            p50_ms,
            p99_ms,
        })
    }

    async fn keep_sending(
        self,
        mut connection: Connection,
        first: usize,
        started: Instant,
        make: Arc<impl Fn(usize) -> Request>,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut taken = Vec::new();
        let mut number = first;
        loop {
            let over = match self.until {
                Until::Elapsed(limit) => started.elapsed() >= limit,
                Until::Done(count) => number >= count,
            };
            if over {
                return Ok(taken);
            }
            let request = make(number);
            let sent = match self.pace {
                Some(pace) => self.due(started, number, pace).await,
                None => Instant::now(),
            };
            connection.send(&request).await?.expect(self.status)?;
            taken.push(sent.elapsed());
            number += self.connections;
        }
    }

    /// Waits until a request is due; returns when that was.
    async fn due(self, started: Instant, number: usize, pace: f64) -> Instant {
        let seconds = f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / pace;
        let due = started + Duration::from_secs_f64(seconds);
        tokio::time::sleep_until(due.into()).await;
        due
    }
}

/// How many in a second.
pub fn per_second(count: usize, elapsed: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / elapsed.as_secs_f64().max(1e-9)
}

/// The median and the 99th percentile, in milliseconds.
pub fn percentiles(taken: &mut [Duration]) -> (f64, f64) {
    taken.sort_unstable();
    let at = |hundredths: usize| {
        let index = (taken.len() * hundredths / 100).min(taken.len().saturating_sub(1));
        taken.get(index).map_or(0.0, |one| one.as_secs_f64() * 1e3)
    };
    (at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nx: y\r\n\r\n{}";
        let whole = Head {
            status: 201,
            body: 49,
            length: 2,
        };
        assert_eq!(head(&answer[..40]).unwrap(), None);
        assert_eq!(head(answer).unwrap(), Some(whole));
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_are_of_what_was_taken() {
        let mut taken: Vec<_> = (0..100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentiles(&mut taken), (50.0, 99.0));
        assert_eq!(percentiles(&mut []), (0.0, 0.0));
    }
}
