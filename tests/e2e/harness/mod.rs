//! A folder and a database for one test, the processes started in them, and HTTP to talk to them.

pub mod agreement;
pub mod client;
pub mod cluster;
pub mod fleet;
pub mod phoenix;
pub mod process;
pub mod random;

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tokio::process::Command;

pub use client::Client;
pub use fleet::Fleet;
pub use phoenix::Phoenix;
pub use process::{Finished, Process};

/// How long a command that should end by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret that signs webhooks between a simulator and a server started apart.
pub const WEBHOOK_SECRET: &str = "whsec_between_two_processes";

/// Derives tokens on PostgreSQL; on SQLite the server makes its own.
pub const SECRET_KEY: &str = r#"["1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]"#;

/// The folder and the database of one test; both go when it ends.
pub struct Sandbox {
    /// Where every process is started.
    pub folder: PathBuf,
    postgres: Option<Postgres>,
    /// What Till is given instead of the database's own address: a pooler's, or those of several servers.
    pub address: Option<String>,
}

struct Postgres {
    server: String,
    name: String,
}

/// The PostgreSQL server of this run, or none on SQLite.
pub fn postgres_server() -> Option<String> {
    let chosen = std::env::var("TILL_TEST_DATABASE").unwrap_or_default();
    chosen.starts_with("postgres").then_some(chosen)
}

impl Sandbox {
    /// An empty folder and, on PostgreSQL, an empty database.
    pub async fn new() -> Sandbox {
        Sandbox::on(postgres_server()).await
    }

    /// The same on another PostgreSQL server than this run's.
    pub async fn on(server: Option<String>) -> Sandbox {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let folder = std::env::temp_dir().join(format!("till-e2e-{unique}"));
        std::fs::create_dir(&folder).expect("a folder");
        let postgres = server.map(|server| Postgres {
            server,
            name: format!("till_e2e_{unique}"),
        });
        if let Some(Postgres { server, name }) = &postgres {
            execute(server, &format!("CREATE DATABASE {name}")).await;
        }
        Sandbox {
            folder,
            postgres,
            address: None,
        }
    }

    /// The database is on another server from now on.
    pub fn moves_to(&mut self, server: &str) {
        if let Some(postgres) = &mut self.postgres {
            postgres.server = server.to_owned();
        }
    }

    /// The database's name, on PostgreSQL.
    pub fn database_name(&self) -> Option<&str> {
        self.postgres
            .as_ref()
            .map(|postgres| postgres.name.as_str())
    }

    /// The database's URL.
    pub fn database_url(&self) -> String {
        match &self.postgres {
            None => "sqlite://till.db".to_owned(),
            Some(Postgres { server, name }) => {
                let (base, _) = server.rsplit_once('/').expect("a URL with a database name");
                format!("{base}/{name}")
            }
        }
    }

    /// `till …` with nobody's settings but the database, on any free port.
    pub fn till(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        let address = self.address.clone();
        command.env(
            "TILL_DATABASE__URL",
            address.unwrap_or_else(|| self.database_url()),
        );
        if self.postgres.is_some() {
            command.env("TILL_SECRET_KEYS", SECRET_KEY);
        }
        command
    }

    /// `till …` without any setting at all, on any free port.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ROCKET_PORT", "0");
        command
    }

    /// Runs a command that ends by itself.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        Process::start(self.till(arguments)).finish(PATIENCE).await
    }

    /// `till …` whose provider is the simulator at `simulator`.
    pub fn till_for(&self, arguments: &[&str], simulator: &str) -> Command {
        let mut command = self.till(arguments);
        command
            .env("TILL_PROVIDERS__STRIPE__API_KEY", "sk_test_apart")
            .env("TILL_PROVIDERS__STRIPE__BASE_URL", simulator)
            .env(
                "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS",
                format!("[\"{WEBHOOK_SECRET}\"]"),
            );
        command
    }

    /// Starts a server whose provider is the simulator at `simulator`, and waits until it listens.
    pub async fn serve_for(&self, simulator: &str, port: u16, more: &[(&str, &str)]) -> Server {
        Server::listening(self.server(simulator, port, more)).await
    }

    /// Starts a server whose provider is the simulator at `simulator`.
    pub fn server(&self, simulator: &str, port: u16, more: &[(&str, &str)]) -> Process {
        let mut command = self.till_for(&["serve"], simulator);
        command.env("ROCKET_PORT", port.to_string());
        for (name, value) in more {
            command.env(name, value);
        }
        Process::start(command)
    }

    /// Starts a server with its own simulator beside it, and waits until both listen.
    pub async fn serve_with_simulator(&self) -> (Server, String) {
        let process = Process::start(self.till(&["serve", "--with-simulator"]));
        let mut server = Server::listening(process).await;
        let line = server.process.line("The simulator listens on ").await;
        (server, line)
    }

    /// Starts a simulator of its own, whose webhooks go to a server on `port`.
    pub async fn simulator_for(&self, port: u16) -> (Process, String) {
        self.simulator_with(port, &[]).await
    }

    /// The same, with more arguments.
    pub async fn simulator_with(&self, port: u16, more: &[&str]) -> (Process, String) {
        let webhooks = format!("http://127.0.0.1:{port}/webhooks/stripe");
        let usual = [
            "simulator",
            "--port",
            "0",
            "--state",
            "provider.json",
            "--webhook-url",
            &webhooks,
            "--webhook-secret",
            WEBHOOK_SECRET,
        ];
        let mut process = Process::start(self.till(&[&usual[..], more].concat()));
        let url = process.line("The simulator listens on ").await;
        (process, url)
    }

    /// A connection of the test's own.
    async fn connect(&self) -> DatabaseConnection {
        let url = match &self.postgres {
            None => format!("sqlite://{}/till.db", self.folder.display()),
            Some(_) => self.database_url(),
        };
        connect(&url).await
    }

    /// Changes something behind the server's back: what only time would do.
    pub async fn change(&self, statements: &[&str]) {
        let connection = self.connect().await;
        for sql in statements {
            connection.execute_unprepared(sql).await.expect(sql);
        }
        connection.close().await.expect("closes");
    }

    /// The first column of every row.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        texts(self.connect().await, sql).await
    }

    /// Puts other bytes into a stored event of the provider.
    pub async fn event_becomes(&self, event_id: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes = match &self.postgres {
            None => format!("x'{hex}'"),
            Some(_) => format!("'\\x{hex}'::bytea"),
        };
        let sql = format!("UPDATE provider_event SET raw = {bytes} WHERE event_id = '{event_id}'");
        self.change(&[&sql]).await;
    }

    /// Takes the last event out of the feed, as an older program leaves one on SQLite, where this one places them as it
    /// inserts them.
    pub async fn last_event_loses_its_place(&self) {
        self.change(&[
            "UPDATE event SET position = NULL WHERE position = (SELECT max(position) FROM event)",
        ])
        .await;
    }

    /// Lets half a minute pass: leases end, and what waits for its next try has waited long enough.
    pub async fn half_a_minute_passes(&self) {
        self.change(&[
            "UPDATE provider_call SET lease_until = lease_until - 30000, next_at = next_at - 30000 \
             WHERE status IN ('sending', 'unknown')",
            "UPDATE provider_event SET lease_until = lease_until - 30000, next_at = next_at - 30000 \
             WHERE next_at IS NOT NULL OR lease_until IS NOT NULL",
            "UPDATE checkout_session SET lease_until = lease_until - 30000, \
             next_poll_at = next_poll_at - 30000 WHERE next_poll_at IS NOT NULL",
            "UPDATE payment SET lease_until = lease_until - 30000, next_poll_at = next_poll_at - 30000 \
             WHERE next_poll_at IS NOT NULL",
            "UPDATE \"order\" SET close_next_at = close_next_at - 30000 WHERE close_next_at IS NOT NULL",
        ])
        .await;
    }

    /// What waits for its next try, and is nobody's, has waited half a minute more.
    pub async fn waiting_ends_sooner(&self) {
        self.change(&[
            "UPDATE provider_call SET next_at = next_at - 30000 \
             WHERE status IN ('sending', 'unknown') AND lease_until IS NULL",
            "UPDATE provider_event SET next_at = next_at - 30000 \
             WHERE next_at IS NOT NULL AND lease_until IS NULL",
            "UPDATE checkout_session SET next_poll_at = next_poll_at - 30000 \
             WHERE next_poll_at IS NOT NULL AND lease_until IS NULL",
            "UPDATE payment SET next_poll_at = next_poll_at - 30000 \
             WHERE next_poll_at IS NOT NULL AND lease_until IS NULL",
        ])
        .await;
    }

    /// An hour passes for calls whose outcome nobody knows: their pauses grow to hours, and a test has minutes.
    pub async fn unknown_calls_wait_an_hour_less(&self) {
        self.change(&["UPDATE provider_call SET next_at = next_at - 3600000 \
             WHERE status IN ('sending', 'unknown') AND lease_until IS NULL"])
            .await;
    }

    /// A secret key, made beside whatever is running.
    pub async fn secret_key(&self) -> String {
        let made = self
            .run(&["key", "create", "--kind", "secret", "--json"])
            .await
            .success();
        made.json()["key"].as_str().expect("a key").to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A process that is just dying may still write its last file.
        for _ in 0..10 {
            if std::fs::remove_dir_all(&self.folder).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let Some(Postgres { server, name }) = self.postgres.take() else {
            return;
        };
        // A runtime cannot be blocked on from inside itself, so the database goes from a thread of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            runtime
                .expect("a runtime")
                .block_on(execute(&server, &drop));
        });
        assert!(
            dropped.join().is_ok() || std::thread::panicking(),
            "the database stays"
        );
    }
}

async fn texts(connection: DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.expect(sql);
    let text = |row: &sea_orm::QueryResult| row.try_get_by_index(0).expect("a text");
    let texts = rows.iter().map(text).collect();
    connection.close().await.expect("closes");
    texts
}

/// The first column of every row, somewhere.
pub async fn texts_at(url: &str, sql: &str) -> Vec<String> {
    texts(connect(url).await, sql).await
}

/// One connection that does not age: the driver's task that looks for those that do can take the number of idle ones
/// for a huge one, while one of them is given back, and count up to it.
pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false);
    Database::connect(options).await.expect("a connection")
}

/// Carries out a statement somewhere.
pub async fn execute(url: &str, sql: &str) {
    let connection = connect(url).await;
    connection.execute_unprepared(sql).await.expect(sql);
    connection.close().await.expect("closes");
}

/// A server that listens.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub url: String,
}

impl Server {
    /// Waits until a server listens.
    pub async fn listening(mut process: Process) -> Server {
        let url = process.line("Till listens on ").await;
        Server { process, url }
    }

    /// Somebody with this key.
    pub fn client(&self, key: &str) -> Client {
        Client::new(&self.url, Some(key))
    }
}

/// A `Stripe-Signature` of now, made independently of the simulator and of the server.
pub fn signed(secret: &str, body: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{now}.{body}").as_bytes());
    let tag = mac.finalize().into_bytes();
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={now},v1={hex}")
}

/// A port nobody listens on, and that no other test is given while this one runs: servers come back to theirs
/// after a crash. It lies under those the system hands to outgoing connections, so that none of them sits on it
/// meanwhile.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("till-test-ports");
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut port = 10_000 + (std::process::id() % 20_000) as u16;
    for _ in 0..20_000 {
        port = if port < 29_999 { port + 1 } else { 10_000 };
        let Ok(taken) = std::fs::File::create(folder.join(port.to_string())) else {
            continue;
        };
        if taken.try_lock().is_ok() && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            // The lock ends with the process.
            std::mem::forget(taken);
            return port;
        }
    }
    panic!("no port between 10000 and 29999 is free")
}

/// Waits until a condition holds; never sleeps longer than it must.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, seconds: u64, mut holds: F) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < give_up,
            "never came true: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
