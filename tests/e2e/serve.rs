//! The server: with its simulator it takes a payment, and a restart loses nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::client::{checkout_body, checkout_path};
use crate::harness::{Client, Process, SECRET_KEY, Sandbox, Server, postgres_server};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_paid_and_a_restart_keeps_everything() {
    let sandbox = Sandbox::new().await;
    let (server, simulator) = sandbox.serve_with_simulator().await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let provider = Client::new(&simulator, None);
    let paid = shop.place_order().await;
    provider.pay(&shop.check_out(&paid).await).await;
    shop.until_paid(&paid).await;
    let waiting = shop.place_order().await;
    let session = shop.check_out(&waiting).await;
    server.process.terminate();
    server
        .process
        .finish(Duration::from_secs(10))
        .await
        .success();

    let (server, simulator) = sandbox.serve_with_simulator().await;
    let shop = server.client(&key);
    let provider = Client::new(&simulator, None);
    assert_eq!(shop.order(&paid).await["amount_paid"], "25.00");
    assert_eq!(shop.order(&waiting).await["payment_status"], "unpaid");
    // The provider remembers the session, and so does the order: it is the same one, and it can be paid.
    let again = shop.post(&checkout_path(&waiting), &checkout_body()).await;
    assert_eq!(again.expect(200)["id"], session["id"]);
    provider.pay(&session).await;
    shop.until_paid(&waiting).await;
    assert_eq!(provider.effects("checkout.session.created").await, 2);
}

/// What `till doctor --json` says of one thing.
async fn check(doctor: Command, name: &str) -> Value {
    let told = Process::start(doctor).finish(Duration::from_secs(10)).await;
    let checks = told.json()["checks"].clone();
    let mut checks = checks.as_array().expect("a list").iter();
    let found = checks.find(|check| check["name"] == name);
    found.expect("it looks at that")["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_was_lost_is_missed_before_a_new_one_is_made() {
    let sandbox = Sandbox::on(None).await;
    let doctor = async || {
        let command = sandbox.till(&["doctor", "--json"]);
        check(command, "secret keys").await
    };
    assert_eq!(doctor().await, "ok", "there is nothing yet");
    let (server, _) = sandbox.serve_with_simulator().await;
    let files = ["till.db", "till.key", "till.simulator.json"];
    for file in files {
        let data = std::fs::metadata(sandbox.folder.join(file)).expect(file);
        assert_eq!(data.permissions().mode() & 0o077, 0, "{file}");
    }
    let key = sandbox.secret_key().await;
    server.client(&key).place_order().await;
    server.process.terminate();
    let ended = server.process.finish(Duration::from_secs(10)).await;
    ended.success();
    assert_eq!(doctor().await, "ok");
    std::fs::remove_file(sandbox.folder.join("till.key")).expect("it goes");
    assert_eq!(doctor().await, "failed");
    assert!(!sandbox.folder.join("till.key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_another_secret_key_than_the_others_is_noticed() {
    const FIRST: &str = SECRET_KEY;
    const OTHER: &str = r#"["1:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]"#;
    const ROLLED: &str = r#"["2:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]"#;
    const COMPLAINT: &str = "the secret key 1 is another one";
    let sandbox = Sandbox::new().await;
    let serve = async |keys: &str| {
        let mut command = sandbox.till(&["serve", "--with-simulator"]);
        command.env("TILL_SECRET_KEYS", keys);
        let server = Server::listening(Process::start(command)).await;
        server.process.terminate();
        let ended = server.process.finish(Duration::from_secs(10)).await;
        let ended = ended.success();
        ended.stdout + &ended.stderr
    };
    let doctor = async |keys: &str| {
        let mut command = sandbox.till(&["doctor", "--json"]);
        command.env("TILL_SECRET_KEYS", keys);
        check(command, "same secret keys").await
    };
    assert!(!serve(FIRST).await.contains(COMPLAINT));
    assert_eq!(doctor(FIRST).await, "ok");
    assert_eq!(doctor(OTHER).await, "failed");
    assert_eq!(doctor(ROLLED).await, "ok");
    assert!(serve(OTHER).await.contains(COMPLAINT));
    assert_eq!(doctor(FIRST).await, "failed");
    // The right one is told, too, and is believed from then on.
    for complains in [true, false] {
        assert_eq!(serve(FIRST).await.contains(COMPLAINT), complains);
        assert_eq!(doctor(FIRST).await, "ok");
    }
    assert!(!serve(ROLLED).await.contains(COMPLAINT));
    assert_eq!(doctor(FIRST).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_threads_answer_as_are_asked_for() {
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.till(&["serve", "--with-simulator"]);
    command.env("ROCKET_WORKERS", "24");
    let server = Server::listening(Process::start(command)).await;
    let threads = server.process.threads();
    let answering = threads.iter().filter(|name| *name == "tokio-rt-worker");
    assert!(answering.count() >= 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_explained() {
    let sandbox = Sandbox::new().await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let mut command = sandbox.till(&["serve", "--with-simulator"]);
    command.env("ROCKET_PORT", port.to_string());
    let ended = Process::start(command)
        .finish(Duration::from_secs(10))
        .await;
    ended
        .exit(1)
        .complains_of(&["cannot listen", "ROCKET_PORT"]);
    let log = sandbox.folder.join("till.db-wal");
    assert!(!log.exists(), "the database is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulator_whose_usual_port_is_taken_finds_another() {
    let usual = "127.0.0.1:12111";
    // Whoever has it already serves as well, as long as it lasts.
    let taken = std::net::TcpListener::bind(usual);
    let sandbox = Sandbox::new().await;
    let (_server, simulator) = sandbox.serve_with_simulator().await;
    assert!(taken.is_err() || simulator != format!("http://{usual}"));
    let provider = Client::new(&simulator, None);
    provider.get("/_simulator/health").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sqlite_file_has_one_server_and_one_postgresql_has_many() {
    let sandbox = Sandbox::new().await;
    let (first, _) = sandbox.serve_with_simulator().await;
    if postgres_server().is_some() {
        let (second, _) = sandbox.serve_with_simulator().await;
        let key = sandbox.secret_key().await;
        let order = first.client(&key).place_order().await;
        assert_eq!(second.client(&key).order(&order).await["total"], "25.00");
        return;
    }
    for command in [
        &["serve", "--with-simulator"][..],
        &["worker"],
        &["migrate", "up"],
    ] {
        let mut till = sandbox.till(command);
        till.env("TILL_PROVIDERS__STRIPE__API_KEY", "sk_test_second")
            .env("TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS", "whsec_second");
        let ended = Process::start(till).finish(Duration::from_secs(10)).await;
        ended
            .exit(1)
            .complains_of(&["till.db", "stop it first", "TILL_DATABASE__URL"]);
    }
    first.process.kill().await;
    // A killed server leaves no lock behind.
    sandbox.serve_with_simulator().await;
}
