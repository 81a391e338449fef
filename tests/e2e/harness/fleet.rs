//! Several `till serve` and `till worker` on one database, beside one provider, and clients that turn to the next
//! server when one does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::agreement::House;
use super::client::Answer;
use super::{Client, Process, Sandbox, free_port};

/// How long a client waits for one server before it turns to the next.
const TURN_AFTER: Duration = Duration::from_secs(5);
/// How long a request is repeated.
const PATIENCE: Duration = Duration::from_secs(120);
const REST: Duration = Duration::from_millis(50);

/// What a process of the fleet is.
enum Role {
    /// It answers requests, at this port, and does nothing else.
    Server(u16),
    /// It does the background work.
    Worker,
}

/// The processes, their provider and their shop.
pub struct Fleet {
    /// The folder and the database.
    pub sandbox: Sandbox,
    /// The provider.
    pub provider: Client,
    simulator: String,
    _simulator_process: Process,
    roles: Vec<Role>,
    crew: Vec<Mutex<Option<Process>>>,
    /// The shop at each server.
    shops: Vec<Client>,
    turn: AtomicUsize,
}

impl Fleet {
    /// So many servers (numbered first) and workers, all started at the same moment on an empty database.
    pub async fn new(sandbox: Sandbox, servers: usize, workers: usize) -> Fleet {
        let ports: Vec<u16> = (0..servers).map(|_| free_port()).collect();
        let front = front(&ports).await;
        let (simulator_process, simulator) = sandbox.simulator_for(front).await;
        let mut roles: Vec<Role> = ports.iter().copied().map(Role::Server).collect();
        roles.extend((0..workers).map(|_| Role::Worker));
        let mut fleet = Fleet {
            provider: Client::new(&simulator, Some("sk_test_apart")),
            sandbox,
            simulator,
            _simulator_process: simulator_process,
            crew: roles.iter().map(|_| Mutex::default()).collect(),
            roles,
            shops: Vec::new(),
            turn: AtomicUsize::new(0),
        };
        futures::future::join_all((0..fleet.roles.len()).map(|at| fleet.start(at))).await;
        let key = fleet.sandbox.secret_key().await;
        let shop = |port| Client::waiting(&url(port), Some(&key), TURN_AFTER);
        fleet.shops = ports.into_iter().map(shop).collect();
        fleet
    }

    /// Starts a process that is not there, and waits until it is at work.
    pub async fn start(&self, at: usize) {
        let mut place = self.crew[at].lock().await;
        if place.is_some() {
            return;
        }
        let process = match self.roles[at] {
            Role::Server(port) => {
                let alone = [("TILL_WORKER__ENABLED", "false")];
                let server = self.sandbox.serve_for(&self.simulator, port, &alone);
                server.await.process
            }
            Role::Worker => {
                let mut command = self.sandbox.till_for(&["worker"], &self.simulator);
                command.env("TILL_WORKER__PORT", "0");
                let mut process = Process::start(command);
                process.line("The worker listens on ").await;
                process
            }
        };
        *place = Some(process);
    }

    /// `kill -9`.
    pub async fn kill(&self, at: usize) {
        if let Some(process) = self.crew[at].lock().await.take() {
            process.kill().await;
        }
    }

    /// SIGSTOP, or SIGCONT.
    pub async fn signal(&self, at: usize, name: &str) {
        if let Some(process) = self.crew[at].lock().await.as_ref() {
            process.signal(name);
        }
    }

    /// Insists that nobody died by himself.
    pub async fn all_live(&self) {
        for place in &self.crew {
            if let Some(process) = place.lock().await.as_mut() {
                let ended = process.ended(Duration::from_millis(20)).await;
                assert!(ended.is_none(), "it died: {}", process.said());
            }
        }
    }

    /// The next server's shop.
    pub fn next_shop(&self) -> &Client {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        &self.shops[turn % self.shops.len()]
    }
}

impl House for Fleet {
    fn provider(&self) -> &Client {
        &self.provider
    }

    fn shop(&self) -> &Client {
        &self.shops[0]
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let give_up = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut request = self.next_shop().request(method.clone(), path);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Ok(answer) = Client::send(request).await
                && answer.status != 503
            {
                return answer;
            }
            let now = tokio::time::Instant::now();
            assert!(now < give_up, "{method} {path} is never answered");
            tokio::time::sleep(REST).await;
        }
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// What stands before the servers: each connection goes to the next one that takes it.
async fn front(ports: &[u16]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (ports, turn) = (Arc::new(ports.to_vec()), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let (ports, turn) = (Arc::clone(&ports), Arc::clone(&turn));
            tokio::spawn(async move {
                for _ in 0..ports.len() {
                    let port = ports[turn.fetch_add(1, Ordering::SeqCst) % ports.len()];
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        // Either side may go away at any time; that is what is tested.
                        let _ = tokio::io::copy_bidirectional(&mut caller, &mut server).await;
                        return;
                    }
                }
            });
        }
    });
    port
}
