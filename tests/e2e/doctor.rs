//! Goal: whoever mistypes, forgets or breaks something is told what and how to mend it, and nothing is changed or
//! given away in the telling. Method: the real binary in an empty folder, judged by its words and exit code.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{connect, free_port};

const KEY_NAME: &str = "TILL_PROVIDERS__STRIPE__API_KEY";
const SECRETS_NAME: &str = "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS";
const URL_NAME: &str = "TILL_PROVIDERS__STRIPE__BASE_URL";

/// An empty folder to start Till in, with an environment of its own.
struct Folder {
    path: PathBuf,
    port: u16,
}

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("till-doctor-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder {
            path,
            port: free_port(),
        }
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
        command.args(arguments).current_dir(&self.path);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("TILL_") || text.starts_with("ROCKET_") {
                command.env_remove(&name);
            }
        }
        command.env("ROCKET_PORT", self.port.to_string());
        command.envs(variables.iter().copied());
        command
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Told {
        let output = self.command(arguments, variables).output();
        Told::from(output.expect("till runs"))
    }

    /// What `till doctor` says.
    fn doctor(&self, variables: &[(&str, &str)]) -> Told {
        self.run(&["doctor"], variables)
    }

    fn serve_with_simulator(&self) -> Server {
        let mut command = self.command(&["serve", "--with-simulator"], &[]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("till starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines.take(2) {
            line.expect("a line");
        }
        Server(child)
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).expect("the folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the database, its key file and an API key.
    fn with_a_key(&self) -> String {
        let made = self.run(&["key", "create", "--kind", "secret", "--json"], &[]);
        let made: Value = serde_json::from_str(&made.output).expect("JSON");
        made["key"].as_str().expect("a key").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A server that is ended with its test.
struct Server(Child);

impl Server {
    fn stop(mut self) {
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(told.expect("kill runs").success());
        assert!(self.0.wait().expect("an end").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Told {
    code: i32,
    output: String,
    errors: String,
}

impl From<Output> for Told {
    fn from(output: Output) -> Told {
        Told {
            code: output.status.code().expect("an exit code"),
            output: String::from_utf8(output.stdout).expect("text"),
            errors: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Told {
    /// The line of a check with this status, and the one after it.
    fn check(&self, status: &str, name: &str) -> String {
        let mut lines = self.output.lines();
        let line = lines.find(|line| {
            let rest = line.strip_prefix(status).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with(&format!("{name} ")))
        });
        let line = line.unwrap_or_else(|| panic!("no {status} {name} in {self:?}"));
        format!("{line}\n{}", lines.next().unwrap_or_default())
    }

    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.errors.contains(word), "{word:?} in {self:?}");
        }
    }
}

fn with_rights(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("rights");
}

/// Runs one statement in a database that nobody has open.
fn change(file: &Path, statement: &str) {
    use sea_orm::ConnectionTrait as _;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let url = format!("sqlite://{}", file.display());
        let database = connect(&url).await;
        database
            .execute_unprepared(statement)
            .await
            .expect("a change");
        database.close().await.expect("an end");
    });
}

/// One request by `POST`, or `GET` without a body.
fn ask(url: &str, key: &str, body: Option<&str>) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let request = match body {
            Some(body) => client
                .post(url)
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", uuid::Uuid::new_v4().to_string())
                .body(body.to_owned()),
            None => client.get(url),
        };
        let answer = request.bearer_auth(key).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    })
}

#[test]
fn an_empty_folder_is_told_of_and_left_empty() {
    let folder = Folder::new();
    let told = folder.doctor(&[]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.check("warning", "database")
            .contains("none yet at till.db")
    );
    assert!(told.check("failed", "provider settings").contains(KEY_NAME));
    told.check("ok", "port");
    assert_eq!(folder.files(), Vec::<String>::new());
}

#[test]
fn beside_a_running_server_all_is_well_and_nothing_changes() {
    let folder = Folder::new();
    let server = folder.serve_with_simulator();
    let key = folder.with_a_key();
    let before = folder.files();
    let told = folder.doctor(&[]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.output.ends_with("All is well.\n"), "{told:?}");
    for name in [
        "schema",
        "provider",
        "clock",
        "shops and keys",
        "database settings",
    ] {
        told.check("ok", name);
    }
    assert!(told.check("ok", "port").contains("already"));
    assert_eq!(folder.files(), before);
    assert!(!told.output.contains(&key), "{told:?}");

    let told = folder.run(&["doctor", "--json"], &[]);
    let report: Value = serde_json::from_str(&told.output).expect("JSON");
    assert_eq!(report["ok"], true);
    assert_eq!(report["checks"][0]["status"], "ok");
    server.stop();
    assert!(!folder.files().contains(&"till.simulator.url".to_owned()));
}

#[test]
fn a_stopped_database_is_read_without_a_trace() {
    let folder = Folder::new();
    folder.with_a_key();
    let before = folder.files();
    let told = folder.doctor(&[]);
    assert!(
        told.check("ok", "database settings")
            .contains("journal_mode = wal")
    );
    assert!(
        told.check("ok", "shops and keys")
            .contains("active keys: 1")
    );
    assert_eq!(folder.files(), before);
}

#[test]
fn every_command_refuses_a_mistyped_setting_and_takes_one_that_is_still_to_come() {
    let folder = Folder::new();
    let make = ["key", "create", "--kind", "secret"];
    let refused = folder.run(&make, &[("TILL_DATABASE_URL", "postgres://x")]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.errors.contains("TILL_DATABASE__URL"), "{refused:?}");
    assert!(folder.files().is_empty(), "{:?}", folder.files());
    let made = folder.run(&make, &[("TILL_DELIVERY__ALLOW_PRIVATE", "true")]);
    assert_eq!(made.code, 0, "{made:?}");
}

#[test]
fn a_new_database_is_its_owners_alone_and_another_is_warned_of() {
    let folder = Folder::new();
    folder.with_a_key();
    let database = folder.file("till.db");
    let rights = |file: &Path| file.metadata().expect("it").permissions().mode() & 0o777;
    assert_eq!(rights(&database), 0o600);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&database, open).expect("opened");
    let told = folder.doctor(&[]).check("warning", "files");
    assert!(told.contains("chmod 600"), "{told}");
}

#[test]
fn an_old_schema_and_a_newer_one_are_told_apart() {
    let folder = Folder::new();
    folder.with_a_key();
    let down = folder.run(&["migrate", "down", "--steps", "1"], &[]);
    assert_eq!(down.code, 0, "{down:?}");
    assert!(
        folder
            .doctor(&[])
            .check("warning", "schema")
            .contains("till migrate up")
    );
    assert_eq!(folder.run(&["migrate", "up"], &[]).code, 0);
    let newer =
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m99990101_000001_later', 0)";
    change(&folder.file("till.db"), newer);
    let told = folder.doctor(&[]);
    assert!(
        told.check("failed", "schema")
            .contains("m99990101_000001_later"),
        "{told:?}"
    );
}

#[test]
fn a_database_that_cannot_be_opened_fails_and_its_password_stays_hidden() {
    let folder = Folder::new();
    std::fs::write(
        folder.file("till.db"),
        b"this is no database, however long it may be",
    )
    .expect("a file");
    folder.doctor(&[]).check("failed", "database");
    for url in [
        "postgres://me:canary pw@@@127.0.0.1:x1/till",
        "mysql://me:canary@127.0.0.1/till",
    ] {
        let variables = [("TILL_DATABASE__URL", url)];
        let told = folder.doctor(&variables);
        assert!(
            told.check("failed", "database")
                .contains("TILL_DATABASE__URL"),
            "{told:?}"
        );
        assert!(!told.output.contains("canary"), "{told:?}");
        let told = folder.run(&["key", "list"], &variables);
        told.refused(2, &["TILL_DATABASE__URL"]);
        assert!(!told.errors.contains("canary"), "{told:?}");
    }
}

#[test]
fn a_key_file_that_others_can_read_fails() {
    let folder = Folder::new();
    std::fs::write(
        folder.file("till.key"),
        format!("{}\n", till::secrets::SecretKeys::generate()),
    )
    .expect("a file");
    with_rights(&folder.file("till.key"), 0o644);
    let told = folder.doctor(&[]);
    assert!(
        told.check("failed", "secret keys")
            .contains("chmod 600 till.key"),
        "{told:?}"
    );
    with_rights(&folder.file("till.key"), 0o600);
    folder.doctor(&[]).check("ok", "secret keys");
    std::fs::write(folder.file("till.key"), "oops\n").expect("a file");
    let told = folder.doctor(&[]);
    let said = told.check("failed", "secret keys");
    assert!(said.contains("till.key is not usable"), "{told:?}");
}

#[test]
fn a_provider_that_is_away_or_refuses_the_key_fails() {
    let folder = Folder::new();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let secret = "sk_test_canary4711";
    let mut variables = vec![
        (KEY_NAME, secret),
        (SECRETS_NAME, "whsec_canary4712"),
        (URL_NAME, &nobody),
    ];
    let told = folder.doctor(&variables);
    assert_eq!(told.code, 1);
    assert!(
        told.check("failed", "provider").contains("no answer"),
        "{told:?}"
    );
    told.check("ok", "webhook secrets");
    assert!(!told.output.contains("canary"), "{told:?}");

    variables[1] = (SECRETS_NAME, "we_canary4713");
    let told = folder.doctor(&variables);
    told.check("failed", "webhook secrets");
    assert!(!told.output.contains("canary"), "{told:?}");

    variables[0] = (KEY_NAME, "sk_live_canary4714");
    let told = folder.doctor(&variables);
    assert!(
        told.check("failed", "provider settings")
            .contains("live key"),
        "{told:?}"
    );
    assert!(!told.output.contains("canary"), "{told:?}");
}

/// A provider whose answers are dated otherwise than by our clock, however it is asked.
fn dated(date: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let body = "{}";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_clock_that_is_far_from_the_providers_fails() {
    let folder = Folder::new();
    for date in [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    ] {
        let url = dated(date);
        let told = folder.doctor(&[
            (KEY_NAME, "sk_test_a"),
            (SECRETS_NAME, "whsec_a"),
            (URL_NAME, &url),
        ]);
        assert_eq!(told.code, 1);
        assert!(told.check("failed", "clock").contains("NTP"), "{told:?}");
    }
}

#[test]
fn a_port_that_something_else_has_fails() {
    let folder = Folder::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let started = Instant::now();
    let told = folder.doctor(&[("ROCKET_PORT", &port)]);
    assert!(
        told.check("failed", "port").contains("ROCKET_PORT"),
        "{told:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_mistyped_variable_is_refused_with_the_right_one() {
    let folder = Folder::new();
    let typo = [("TILL_DATABSE__URL", "sqlite://x.db")];
    let told = folder.doctor(&typo);
    assert_eq!(told.code, 1);
    assert!(
        told.check("failed", "variables")
            .contains("did you mean TILL_DATABASE__URL?")
    );
    for command in ["serve", "worker"] {
        let told = folder.run(&[command], &typo);
        told.refused(
            2,
            &["TILL_DATABSE__URL", "did you mean TILL_DATABASE__URL?"],
        );
    }
    let told = folder.run(&["migrate", "up"], &[("TILL_TEST_ANYTHING", "1")]);
    assert_eq!(told.code, 0, "{told:?}");
}

#[test]
fn a_bad_setting_is_named_with_an_example_and_never_quoted() {
    let folder = Folder::new();
    let cases = [
        ("TILL_DATABASE__MAX_CONNECTIONS", "canary", "a whole number"),
        ("TILL_WORKER__ENABLED", "canary", "true or false"),
        ("TILL_LOG__FORMAT", "canary", "pretty, json"),
        ("ROCKET_PORT", "canary", "ROCKET_PORT=8000"),
        (KEY_NAME, "4711", "sk_test_…"),
        ("TILL_SECRET_KEYS", "{canary=1}", "1:BASE64"),
    ];
    for (name, value, words) in cases {
        let told = folder.run(&["key", "list"], &[(name, value)]);
        told.refused(2, &[name, words]);
        assert!(
            !told.errors.contains("4711") && !told.errors.contains("canary"),
            "{told:?}"
        );
    }
    let told = folder.run(&["key", "list"], &[("ROCKET_CONFIG", "no-such-file.toml")]);
    told.refused(2, &["ROCKET_CONFIG", "no-such-file.toml"]);
    assert_eq!(folder.files(), Vec::<String>::new());
}

#[test]
fn wrong_words_on_the_command_line_are_answered_with_the_right_ones() {
    let folder = Folder::new();
    folder.run(&["srve"], &[]).refused(2, &["serve"]);
    let told = folder.run(&["key", "create", "--kind", "foo"], &[]);
    told.refused(2, &["secret", "publishable"]);
    let told = folder.run(
        &["trigger", "checkout.sesion.completed", "--order", "ord_1"],
        &[],
    );
    told.refused(2, &["checkout.session.completed"]);
    let completion = folder.run(&["completions", "bash"], &[]);
    assert_eq!(completion.code, 0);
    assert!(completion.output.contains("doctor") && completion.output.contains("trigger"));
}

#[test]
fn trigger_without_a_simulator_or_a_session_says_what_to_start() {
    let folder = Folder::new();
    let absent = "ord_01h455vb4pex5vsknk084sn02q";
    let completed = |order: &str| {
        folder.run(
            &["trigger", "checkout.session.completed", "--order", order],
            &[],
        )
    };
    completed("4711").refused(2, &["ord_…"]);
    completed(absent).refused(2, &["till serve --with-simulator"]);

    let server = folder.serve_with_simulator();
    let key = folder.with_a_key();
    completed(absent).refused(2, &["there is no order", "curl"]);
    let order = place_order(&folder, &key);
    completed(&order).refused(2, &["has no checkout session", "/checkout_sessions"]);
    server.stop();
}

#[test]
fn trigger_makes_an_order_paid_and_refuses_what_cannot_be() {
    let folder = Folder::new();
    let server = folder.serve_with_simulator();
    let key = folder.with_a_key();
    let slow = "checkout.session.async_payment_succeeded";
    for event in ["checkout.session.completed", slow] {
        let order = place_order(&folder, &key);
        let url = format!("http://127.0.0.1:{}/v1/orders/{order}", folder.port);
        let back = r#"{"success_url":"http://127.0.0.1:1/a","cancel_url":"http://127.0.0.1:1/b"}"#;
        ask(&format!("{url}/checkout_sessions"), &key, Some(back));
        let trigger = |event: &str| folder.run(&["trigger", event, "--order", &order], &[]);
        trigger("charge.refunded").refused(
            1,
            &["not paid yet", "till trigger checkout.session.completed"],
        );
        assert_eq!(trigger("payment_intent.payment_failed").code, 0);
        let told = trigger(event);
        assert_eq!(told.code, 0, "{told:?}");
        let started = Instant::now();
        while ask(&url, &key, None)["payment_status"] != "paid" {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{event} did not pay"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        trigger("checkout.session.expired").refused(1, &["refused"]);
        assert_eq!(trigger("charge.refunded").code, 0);
    }
    server.stop();
}

fn place_order(folder: &Folder, key: &str) -> String {
    let url = format!("http://127.0.0.1:{}/v1/orders", folder.port);
    let body =
        r#"{"currency":"EUR","line_items":[{"name":"Mug","unit_price":"12.50","quantity":2}]}"#;
    let order = ask(&url, key, Some(body));
    order["id"].as_str().expect("an order").to_owned()
}
