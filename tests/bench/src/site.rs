//! A database with a server on it: made once with a shop, a key and a catalogue, then copied for each measurement,
//! so that none finds what another left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::http::{Connection, Request};
use crate::process::{Process, free_port, until_ready};
use crate::sqlite;

/// What the simulator signs webhooks with.
pub const WEBHOOK_SECRET: &str = "whsec_bench";
/// What orders are of.
const PRODUCTS: &str = "sku,name,currency,price\nmug,Mug,EUR,12.50\nposter,Poster,EUR,0.99\n";
/// Nothing secret: 32 bytes in base64.
const SECRET_KEYS: &str = r#"["1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]"#;

/// The types of events the README has an endpoint enabled for at the provider.
pub fn enabled_events() -> anyhow::Result<Vec<&'static str>> {
    let readme = include_str!("../../../README.md");
    let after = readme.split_once("/webhooks/stripe` with the events ");
    let list = after.and_then(|(_, after)| after.split_once("and start:"));
    let (list, _) = list.context("the README's list of events")?;
    Ok(list.split('`').skip(1).step_by(2).collect())
}

/// A row, by the names of its columns.
pub type Row = Map<String, Value>;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// The PostgreSQL server that is measured.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// `postgres://…/postgres`; its user may create databases.
    pub url: String,
    /// Where `psql` and `pgbench` are.
    pub bin: PathBuf,
    /// The process all its processes are children of.
    pub postmaster: u32,
}

impl Postgres {
    /// The address of one of its databases.
    pub fn database(&self, name: &str) -> String {
        let server = self.url.rsplit_once('/').map_or("", |(server, _)| server);
        format!("{server}/{name}")
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    fn run(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"]);
        output(psql.arg(self.database(database)).args(["-c", sql]))
    }
}

/// What measuring needs.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The program `till`.
    pub till: PathBuf,
    /// A folder of our own.
    pub work: PathBuf,
    /// The PostgreSQL server.
    pub postgres: Postgres,
}

/// A database, and how a server on it is started.
#[derive(Debug, Clone)]
pub struct Site {
    /// Which database.
    pub engine: Engine,
    /// What measuring needs.
    pub tools: Tools,
    /// The port its server listens on.
    pub port: u16,
    name: String,
    provider: String,
    key: String,
}

/// A server that answers.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// How long it took to become ready, in milliseconds.
    pub start_ms: f64,
    /// The processes that work for it: its own, and the database's.
    pub roots: Vec<u32>,
}

impl Site {
    /// A new database with a shop, a key and a catalogue, and the simulator its server is paid through.
    pub async fn make(tools: &Tools, engine: Engine) -> anyhow::Result<(Site, Process)> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}/webhooks/stripe");
        let mut command = Command::new(&tools.till);
        command
            .args(["simulator", "--port", "0", "--seed", "1"])
            .args(["--webhook-url", &url, "--webhook-secret", WEBHOOK_SECRET])
            .current_dir(&tools.work);
        let (simulator, provider) =
            Process::start_until(&mut command, "The simulator listens on ")?;
        let mut site = Site {
            engine,
            tools: tools.clone(),
            port,
            name: "empty".to_owned(),
            provider,
            key: String::new(),
        };
        site.enables(&enabled_events()?).await?;
        if engine == Engine::Postgres {
            tools.postgres.run("postgres", "CREATE DATABASE empty")?;
        }
        output(site.till().args(["migrate", "up"]))?;
        let server = site.serve().await?;
        let said = output(
            site.till()
                .args(["key", "create", "--kind", "secret", "--json"]),
        )?;
        let said: Value = serde_json::from_str(&said)?;
        site.key = said["key"].as_str().context("no key")?.to_owned();
        let products = tools.work.join("products.csv");
        std::fs::write(&products, PRODUCTS)?;
        output(site.till().args(["catalogue", "import"]).arg(&products))?;
        server.process.stop()?;
        Ok((site, simulator))
    }

    /// A copy of its database, which nobody may have open.
    pub fn copy(&self, name: &str) -> anyhow::Result<Site> {
        let copy = Site {
            name: name.to_owned(),
            ..self.clone()
        };
        match self.engine {
            Engine::Sqlite => {
                self.sqlite()?.run("PRAGMA wal_checkpoint(TRUNCATE)")?;
                std::fs::copy(self.file(), copy.file())?;
            }
            Engine::Postgres => {
                let sql = format!("CREATE DATABASE {name} TEMPLATE {}", self.name);
                self.tools.postgres.run("postgres", &sql)?;
                self.tools.postgres.run("postgres", "CHECKPOINT")?;
            }
        }
        Ok(copy)
    }

    /// Removes its database.
    pub fn remove(self) -> anyhow::Result<()> {
        match self.engine {
            Engine::Sqlite => {
                for end in ["", "-wal", "-shm"] {
                    let file = format!("{}{end}", self.file().display());
                    // The log is there only while somebody has the database open.
                    let _ = std::fs::remove_file(file);
                }
            }
            Engine::Postgres => {
                let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
                self.tools.postgres.run("postgres", &sql)?;
            }
        }
        Ok(())
    }

    /// Starts a server on it and waits until it is ready.
    pub async fn serve(&self) -> anyhow::Result<Server> {
        let since = Instant::now();
        let process = Process::start(self.till().arg("serve"))?;
        let start_ms = until_ready(self.port, since).await?;
        let mut roots = vec![process.id()];
        if self.engine == Engine::Postgres {
            roots.push(self.tools.postgres.postmaster);
        }
        Ok(Server {
            process,
            start_ms,
            roots,
        })
    }

    /// The header every request of the shop has.
    pub fn authorization(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.key)
    }

    /// The simulator's port.
    pub fn provider_port(&self) -> anyhow::Result<u16> {
        let port = self.provider.rsplit_once(':').map(|(_, port)| port);
        Ok(port.context("no port in its address")?.parse()?)
    }

    /// Has the provider send these types of events.
    pub async fn enables(&self, events: &[&str]) -> anyhow::Result<()> {
        let mut provider = Connection::open(self.provider_port()?).await?;
        let body = json!({ "enabled_events": events }).to_string();
        let request = Request::post("/_simulator/webhook", "", &body);
        provider.send(&request).await?.expect(200)?;
        Ok(())
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        self.tools.work.join(format!("{}.db", self.name))
    }

    /// The address of its PostgreSQL database.
    pub fn database(&self) -> String {
        self.tools.postgres.database(&self.name)
    }

    /// Opens its SQLite file.
    pub fn sqlite(&self) -> anyhow::Result<sqlite::Database> {
        sqlite::Database::open(&self.file())
    }

    /// Runs statements on its database.
    pub fn run(&self, sql: &str) -> anyhow::Result<()> {
        match self.engine {
            Engine::Sqlite => self.sqlite()?.run(sql),
            Engine::Postgres => self.tools.postgres.run(&self.name, sql).map(drop),
        }
    }

    /// The rows of a query.
    pub fn rows(&self, query: &str) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        match self.engine {
            Engine::Sqlite => {
                let database = self.sqlite()?;
                let statement = database.prepare(query)?;
                while statement.step()? {
                    rows.push(statement.row());
                }
            }
            Engine::Postgres => {
                let query = format!("SELECT row_to_json(t) FROM ({query}) t");
                for line in self.tools.postgres.run(&self.name, &query)?.lines() {
                    rows.push(serde_json::from_str(line)?);
                }
            }
        }
        Ok(rows)
    }

    fn till(&self) -> Command {
        let url = match self.engine {
            Engine::Sqlite => format!("sqlite://{}", self.file().display()),
            Engine::Postgres => self.database(),
        };
        let mut command = Command::new(&self.tools.till);
        command
            .current_dir(&self.tools.work)
            .env("TILL_DATABASE__URL", url)
            .env("TILL_SECRET_KEYS", SECRET_KEYS)
            .env("TILL_PROVIDERS__STRIPE__BASE_URL", &self.provider)
            .env("TILL_PROVIDERS__STRIPE__API_KEY", "sk_test_simulator")
            .env(
                "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS",
                format!("[{WEBHOOK_SECRET:?}]"),
            )
            .env("TILL_LOG__LEVEL", "error")
            .env("ROCKET_PORT", self.port.to_string());
        command
    }
}

/// What a program prints, if it succeeds.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let done = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        let program = Path::new(command.get_program()).display();
        bail!("{program} failed: {why}");
    }
    Ok(String::from_utf8(done.stdout)?)
}
