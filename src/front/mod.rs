//! Till's own HTTP server: hyper has the sockets, Rocket has the requests.
//!
//! Rocket's server waits for ever on a client that stops in the middle of a request, and takes as many
//! connections as come. This one bounds both: how many connections there are, and how long each may take over a
//! head, a body and an answer. A request is handed to Rocket in process once it is there as a whole, so routing,
//! guards, fairings and catchers are Rocket's, unchanged.
//!
//! * `connections` knows what every connection is doing and since when; it cuts those that take too long and,
//!   when there are too many, the one that is missed least.
//! * `socket` tells it when bytes move.
//! * `arrival` reads a body whole, against the cap and the clock.
//! * `dispatch` hands a request to Rocket. What began there ends there, whether its client waits or not.
//! * `answer` makes of Rocket's answer what hyper sends.

mod answer;
mod arrival;
mod connections;
mod dispatch;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rocket::local::asynchronous::Client;
use rocket::{Build, Rocket};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::body::BodyLimits;
use connections::{Connections, Link, NoPlace};
use socket::Socket;

/// The largest head, in bytes; a larger one is answered 431.
const MAX_HEAD: usize = 64 * 1024;
/// How many may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 4_096;
/// How often connections are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long nothing is accepted after the system had no room for one more connection.
const NO_ROOM: Duration = Duration::from_millis(100);
/// How long those that were cut have to give up their places, and how often it is looked whether they have. Others
/// wait to be accepted meanwhile.
const ENDING: Duration = Duration::from_millis(1);
const ENDINGS: u32 = 50;
/// What stays free of file descriptors for the database, the provider and the logs.
const RESERVED_FILES: u64 = 256;
/// What a client is told for whom there is no room.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// How many connections there may be, and how long each may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at once.
    pub connections: usize,
    /// From a connection's begin, or its next request's first byte, to the end of that request's head.
    pub head: Duration,
    /// How long a connection may stay open between requests.
    pub idle: Duration,
    /// How long a client may take none of an answer's bytes.
    pub stalled: Duration,
    /// The most bytes that bodies hold which are larger than 16 KiB: those that arrive, and those that came and were not
    /// answered yet.
    pub bodies: usize,
}

impl Limits {
    /// What a server allows, with so many connections.
    #[must_use]
    pub fn with_connections(connections: usize) -> Limits {
        Limits {
            connections,
            head: Duration::from_secs(10),
            // Longer than proxies keep theirs, so that it is they who close.
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(10),
            bodies: 64 << 20,
        }
    }
}

/// Whether there is room for one more request of a kind.
pub trait Admission: Send + Sync {
    /// Whether a request with this method and path would only be turned away later. It is asked for each
    /// request, before Rocket is.
    fn is_full(&self, method: &str, path: &str) -> bool;
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// Rocket refused its configuration or a fairing failed.
    #[error("{0}")]
    Ignite(String),
    /// The address cannot be listened at.
    #[error("cannot listen at {0}")]
    Bind(SocketAddr, #[source] io::Error),
}

/// A server that answers.
pub struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    grace: Duration,
    mercy: Duration,
}

/// What all connections share.
struct Shared {
    client: Client,
    body: BodyLimits,
    kept: Arc<arrival::Kept>,
    admission: Option<Arc<dyn Admission>>,
    connections: Arc<Connections>,
    /// Tells connections to end after the request they are at.
    stop: CancellationToken,
    /// The requests Rocket is at, those included whose clients went away.
    requests: TaskTracker,
}

impl Front {
    /// Listens where the configuration says; returns once requests are answered.
    ///
    /// # Errors
    /// [`FrontError`].
    pub async fn start(
        rocket: Rocket<Build>,
        limits: Limits,
        admission: Option<Arc<dyn Admission>>,
    ) -> Result<Front, FrontError> {
        let ignite = |error: rocket::Error| FrontError::Ignite(error.kind().to_string());
        let rocket = rocket.ignite().await.map_err(ignite)?;
        let config = rocket.config();
        let wanted = SocketAddr::new(config.address, config.port);
        let (grace, mercy) = (config.shutdown.grace, config.shutdown.mercy);
        let body = rocket.state::<BodyLimits>().copied().unwrap_or_default();
        let bind = |error| FrontError::Bind(wanted, error);
        let listener = listen(wanted).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let shared = Arc::new(Shared {
            client: Client::untracked(rocket).await.map_err(ignite)?,
            body,
            kept: Arc::new(arrival::Kept::up_to(limits.bodies)),
            admission,
            connections: Arc::new(Connections::new(limits)),
            stop: CancellationToken::new(),
            requests: TaskTracker::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Front {
            address,
            shared,
            accepting,
            grace: Duration::from_secs(u64::from(grace)),
            mercy: Duration::from_secs(u64::from(mercy)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to stop, without waiting: see [`Front::stopped`].
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// Returns once nothing has been answered for a moment.
    pub async fn quiet(&self) {
        let mut quiet = 0;
        while quiet < 4 {
            sleep(Duration::from_millis(25)).await;
            quiet = match self.shared.requests.is_empty() {
                true => quiet + 1,
                false => 0,
            };
        }
    }

    /// Stops: nothing more is accepted, what is being answered is answered, and the rest is cut after the grace
    /// period. Whether everything came to its end.
    pub async fn stopped(self) -> bool {
        self.stop();
        // It can only have ended, or panicked; either way nothing is accepted any more.
        let _ = self.accepting.await;
        let shared = &self.shared;
        let (begun, mut cut) = (Instant::now(), false);
        while !(shared.connections.is_empty() && shared.requests.is_empty()) {
            let waited = begun.elapsed();
            if waited > self.grace + self.mercy {
                return false;
            }
            if waited > self.grace && !cut {
                shared.connections.cut_all();
                cut = true;
            }
            shared.connections.cut_unasked();
            sleep(Duration::from_millis(10)).await;
        }
        true
    }
}

/// Listens with room for many who come at once: the usual 128 are soon taken in a flood, and whoever comes then
/// is heard a second later.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until told to stop.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            _ = look.tick() => {
                shared.connections.look();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => admit(stream, remote, &shared).await,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted: {error}");
                shared.connections.make_room();
                sleep(NO_ROOM).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Serves a connection in a task of its own, in another's place if there are too many.
async fn admit(stream: TcpStream, remote: SocketAddr, shared: &Arc<Shared>) {
    let mut place = shared.connections.take();
    for _ in 0..ENDINGS {
        if !matches!(place, Err(NoPlace::Ending)) {
            break;
        }
        sleep(ENDING).await;
        place = shared.connections.take();
    }
    let Ok(link) = place.map(Arc::new) else {
        // Whoever does not read it learns the same from the end of the connection.
        let _ = stream.try_write(FULL);
        return;
    };
    // It only makes answers later.
    let _ = stream.set_nodelay(true);
    let task = tokio::spawn(serve(stream, remote, Arc::clone(shared), Arc::clone(&link)));
    link.belongs_to(task.abort_handle());
}

async fn serve(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>, link: Arc<Link>) {
    let stop = shared.stop.clone();
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&link)));
    let service = service_fn(move |request| {
        dispatch::answer(Arc::clone(&shared), Arc::clone(&link), remote, request)
    });
    let mut http = http1::Builder::new();
    // The table of connections has all the deadlines, without a timer for each.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(socket, service));
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early: {error}");
    }
}

/// The most connections, given how many are wanted and how many files the system lets this process open; it is
/// asked for more first.
#[must_use]
pub fn affordable(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = u64::try_from(wanted)
        .unwrap_or(u64::MAX)
        .saturating_add(RESERVED_FILES);
    let limit = getrlimit(Resource::Nofile);
    let enough = |current: Option<u64>| current.is_none_or(|files| files >= needed);
    if !enough(limit.current) {
        let current = Some(limit.maximum.map_or(needed, |most| most.min(needed)));
        let raised = Rlimit { current, ..limit };
        // A system that refuses leaves what there is.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    let files = getrlimit(Resource::Nofile).current;
    match files {
        Some(files) if !enough(Some(files)) => {
            let spare = files.saturating_sub(RESERVED_FILES).max(files / 2);
            let affordable = usize::try_from(spare).unwrap_or(wanted);
            tracing::warn!(
                "the limit of open files is {files}: {affordable} connections are served instead of {wanted}"
            );
            affordable
        }
        _ => wanted,
    }
}
