//! PgBouncer in transaction mode between Till and PostgreSQL: the storm once more, and what becomes of the limits.
//!
//! It needs a PgBouncer that keeps prepared statements apart in this mode (1.21), on the PATH.

use std::path::PathBuf;
use std::process::Command;

use super::failover::follow;
use super::storm::weather;
use crate::harness::cluster::Cluster;
use crate::harness::{Process, Sandbox, eventually, execute, free_port, postgres_server};

const README: &str = include_str!("../../../README.md");

/// The README's configuration, with this test's ports and without passwords.
fn configuration(port: u16, server_port: &str) -> String {
    let (_, rest) = README.split_once("```ini\n").expect("its configuration");
    let (text, _) = rest.split_once("```").expect("its end");
    let mut text = text.to_owned();
    for (theirs, ours) in [
        (
            "till = host=127.0.0.1 port=5432",
            format!("* = host=127.0.0.1 port={server_port} user=postgres"),
        ),
        ("listen_port = 6432", format!("listen_port = {port}")),
        (
            "auth_type = scram-sha-256",
            "auth_type = any\nunix_socket_dir =".to_owned(),
        ),
        ("auth_file = /etc/pgbouncer/userlist.txt\n", String::new()),
    ] {
        assert!(text.contains(theirs), "{theirs}");
        text = text.replace(theirs, &ours);
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_through_a_pooler_in_transaction_mode() {
    let Some(server) = postgres_server() else {
        return;
    };
    if let Err(why) = usable() {
        println!("skipped: {why}");
        eprintln!("skipped: {why}");
        return;
    }
    let mut sandbox = Sandbox::new().await;
    let name = sandbox.database_name().expect("PostgreSQL").to_owned();
    let pooler = Pooler::before(&server).await;
    let address = format!("postgres://postgres@{}/{name}", pooler.host);
    sandbox.address = Some(address);

    // The limits Till asks for do not get through, so it says so, with the mend.
    sandbox.run(&["migrate", "up"]).await.success();
    let doctor = sandbox.run(&["doctor"]).await;
    assert!(
        doctor.stdout.contains("statement_timeout = 0"),
        "{}",
        doctor.stdout
    );
    assert!(doctor.stdout.contains("ALTER ROLE"), "{}", doctor.stdout);
    for limit in [
        "statement_timeout = '10s'",
        "lock_timeout = '5s'",
        "idle_in_transaction_session_timeout = '15s'",
    ] {
        let sql = format!("ALTER ROLE postgres IN DATABASE {name} SET {limit}");
        execute(&server, &sql).await;
    }
    // Connections the pooler has already keep what they had.
    execute(
        &server,
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    )
    .await;
    let doctor = sandbox.run(&["doctor"]).await;
    assert!(
        doctor.stdout.contains("statement_timeout = 10s"),
        "{}",
        doctor.stdout
    );
    assert!(!doctor.stdout.contains("ALTER ROLE"), "{}", doctor.stdout);

    weather(sandbox).await;
}

/// One pooler beside each server; Till knows only them.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_followed_through_poolers() {
    if postgres_server().is_none() || usable().is_err() {
        return;
    }
    let cluster = Cluster::pair().await;
    let one = Pooler::before(&cluster.primary.url).await;
    let other = Pooler::before(&cluster.standby().url).await;
    let hosts = format!("{},{}", one.host, other.host);
    follow(&cluster, &hosts, async |primary| primary.signal("KILL")).await;
}

/// A PgBouncer before a server.
struct Pooler {
    /// Host and port.
    host: String,
    file: PathBuf,
    _process: Process,
}

impl Pooler {
    async fn before(server: &str) -> Pooler {
        let (_, server_port) = server.rsplit_once(':').expect("a port");
        let (server_port, _) = server_port.split_once('/').expect("a database");
        let port = free_port();
        let file = std::env::temp_dir().join(format!("till-pgbouncer-{port}.ini"));
        std::fs::write(&file, configuration(port, server_port)).expect("a file");
        let process = started(file.to_str().expect("a plain path"));
        eventually("the pooler listens", 10, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        Pooler {
            host: format!("127.0.0.1:{port}"),
            file,
            _process: process,
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Whether there is a PgBouncer that can do it.
fn usable() -> Result<(), String> {
    let needed = "the tests through a pooler need PgBouncer 1.21 or newer";
    let output = Command::new("pgbouncer").arg("--version").output();
    let output = output.map_err(|_| format!("{needed}, and there is none on the PATH"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let version_is = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version_is >= (1, 21) {
        true => Ok(()),
        false => Err(format!("{needed}, and this is {version}")),
    }
}

/// PgBouncer refuses to run as root.
fn started(file: &str) -> Process {
    let root = Command::new("id").arg("-u").output().expect("id");
    let command = match root.stdout.as_slice() {
        b"0\n" => {
            let mut command = tokio::process::Command::new("setpriv");
            command.args([
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--clear-groups",
            ]);
            command.args(["pgbouncer", file]);
            command
        }
        _ => {
            let mut command = tokio::process::Command::new("pgbouncer");
            command.arg(file);
            command
        }
    };
    Process::start(command)
}
