//! A server that dies and is started again, beside a provider that goes on, and a client that repeats every
//! request with its key until it is answered.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;

use super::agreement::{House, audit, effects, unbalanced};
use super::client::Answer;
use super::{Client, Process, Sandbox, free_port};

/// How long a request is repeated, and how long a state may take to be reached.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a client rests before it repeats a request.
const REST: Duration = Duration::from_millis(50);

/// The server, its provider and its shop's secret key.
pub struct Phoenix {
    /// The folder and the database.
    pub sandbox: Sandbox,
    /// The provider.
    pub provider: Client,
    /// The shop, by its secret key.
    pub shop: Client,
    simulator: String,
    _simulator_process: Process,
    port: u16,
    settings: Vec<(&'static str, &'static str)>,
    server: Mutex<Option<Process>>,
    /// Where the next command crashes.
    failpoint: Mutex<Option<String>>,
    deaths: AtomicU32,
    /// How long its clients repeat themselves.
    pub patience: Duration,
}

impl Phoenix {
    /// A provider and an empty shop, with a server that has these settings more.
    pub async fn new(settings: &[(&'static str, &'static str)], simulator: &[&str]) -> Phoenix {
        let sandbox = Sandbox::new().await;
        let port = free_port();
        let (process, simulator) = sandbox.simulator_with(port, simulator).await;
        let server = sandbox.serve_for(&simulator, port, settings).await;
        let key = sandbox.secret_key().await;
        Phoenix {
            provider: Client::new(&simulator, Some("sk_test_apart")),
            shop: server.client(&key),
            sandbox,
            simulator,
            _simulator_process: process,
            port,
            settings: settings.to_vec(),
            server: Mutex::new(Some(server.process)),
            failpoint: Mutex::new(None),
            deaths: AtomicU32::new(0),
            patience: PATIENCE,
        }
    }

    /// The same, with clients that wait longer for a last word.
    pub fn patient(self, patience: Duration) -> Phoenix {
        Phoenix { patience, ..self }
    }

    /// How often the server has died by itself.
    pub fn deaths(&self) -> u32 {
        self.deaths.load(Ordering::SeqCst)
    }

    /// `kill -9`, and a server that will crash at this point, or a command.
    pub async fn armed(&self, failpoint: &str) {
        let mut server = self.server.lock().await;
        if let Some(process) = server.take() {
            process.kill().await;
        }
        self.sandbox.half_a_minute_passes().await;
        if failpoint.contains("place_events") {
            self.sandbox.last_event_loses_its_place().await;
        }
        let armed = format!("{failpoint}=return");
        *self.failpoint.lock().await = Some(armed.clone());
        let mut settings = self.settings.clone();
        settings.push(("FAILPOINTS", &armed));
        let mut process = self.sandbox.server(&self.simulator, self.port, &settings);
        // It may find something to crash at before it listens.
        process.line_or_end("Till listens on ").await;
        *server = Some(process);
    }

    /// `kill -9` without warning; nobody starts it again before [`Phoenix::rise`].
    pub async fn kill(&self) {
        if let Some(process) = self.server.lock().await.take() {
            process.kill().await;
        }
    }

    /// Starts the server again if it is dead.
    pub async fn rise(&self) {
        let mut server = self.server.lock().await;
        if let Some(process) = server.as_mut() {
            let Some(status) = process.ended(Duration::from_millis(20)).await else {
                return;
            };
            assert_eq!(
                status.code(),
                None,
                "it was to be aborted: {}",
                process.said()
            );
            self.deaths.fetch_add(1, Ordering::SeqCst);
            self.sandbox.half_a_minute_passes().await;
        }
        let started = self
            .sandbox
            .serve_for(&self.simulator, self.port, &self.settings);
        *server = Some(started.await.process);
    }

    /// `till replay` beside the server, again when it dies.
    pub async fn replay(&self, event: &str) {
        loop {
            let mut command = self.sandbox.till_for(&["replay", event], &self.simulator);
            if let Some(armed) = self.failpoint.lock().await.take() {
                command.env("FAILPOINTS", armed);
            }
            let replayed = Process::start(command).finish(PATIENCE).await;
            if replayed.status.code().is_some() {
                replayed.success();
                return;
            }
            self.deaths.fetch_add(1, Ordering::SeqCst);
            self.sandbox.half_a_minute_passes().await;
        }
    }

    /// Sends a request until it is answered, starting the server again when it is dead.
    pub async fn ask(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let give_up = tokio::time::Instant::now() + self.patience;
        loop {
            let mut request = self.shop.request(method.clone(), path);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            match Client::send(request).await {
                Ok(answer) if answer.status != 503 => return answer,
                Ok(_) => {}
                Err(_) => self.rise().await,
            }
            let now = tokio::time::Instant::now();
            assert!(now < give_up, "{method} {path} is never answered");
            tokio::time::sleep(REST).await;
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Value {
        self.ask(&Method::GET, path, None, None).await.expect(200)
    }

    /// POST, repeated with one key until there is a last word.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let key = uuid::Uuid::new_v4().to_string();
        let give_up = tokio::time::Instant::now() + self.patience;
        loop {
            let answer = self.ask(&Method::POST, path, Some(&key), Some(body)).await;
            let under_way = answer.json["code"] == "idempotency_in_progress";
            if answer.status != 202 && !under_way {
                return answer;
            }
            let now = tokio::time::Instant::now();
            assert!(
                now < give_up,
                "{path} never gets a last word: {}",
                answer.json
            );
            tokio::time::sleep(REST).await;
        }
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let give_up = tokio::time::Instant::now() + self.patience;
        while !holds().await {
            let now = tokio::time::Instant::now();
            assert!(now < give_up, "never came true: {what}");
            tokio::time::sleep(REST).await;
        }
    }

    /// What happened at the provider since an entry of its journal.
    pub async fn effects(&self, since: u64) -> Vec<Value> {
        effects(&self.provider, since).await
    }

    /// What must hold whatever happened.
    pub async fn verify(&self) {
        audit(&self.sandbox, &self.provider).await;
    }

    /// The ledger's currencies in which debits are not credits, shop by shop.
    pub async fn unbalanced(&self) -> Vec<String> {
        unbalanced(&self.sandbox).await
    }
}

impl House for Phoenix {
    fn provider(&self) -> &Client {
        &self.provider
    }

    fn shop(&self) -> &Client {
        &self.shop
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        Phoenix::ask(self, method, path, key, body).await
    }
}
