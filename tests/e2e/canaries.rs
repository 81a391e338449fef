//! Secrets and personal data stay where they belong: canaries through every route and every error path, with every
//! log turned up as far as it goes, and none may be found where it should not be.
//!
//! *Secrets* (keys, signing secrets, tokens, card numbers, and whatever came in a header or a refused body) are
//! looked for in the logs, the metrics, every answer and the whole database, on SQLite also in its files' raw
//! bytes. "In clear" includes hexadecimal, as bytes show in a dump. One place is right: the answer that gives a
//! client token out.
//!
//! *Personal data* (an order's e-mail address and name) is allowed in answers that show the order, and in the
//! database where the design has it: the order, its search terms, and what is kept word for word for a time, that
//! is answers to repeated requests, bodies sent to the provider and the provider's events. Nowhere else, and in no
//! log, metric or refusal.

mod knocking;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use serde_json::json;

use knocking::{false_webhooks, knock_everywhere, quoting_provider};

use crate::harness::client::{Answer, checkout_body, checkout_path};
use crate::harness::{Client, Process, Sandbox, Server, WEBHOOK_SECRET, connect, free_port};
use crate::staff;

/// Every log there is; a filter like this one is easily left behind by somebody in trouble.
const EVERYTHING: &str = "trace,till=trace,rocket=trace,rocket::server=trace,rocket_http=trace,_=trace,\
    sqlx=trace,sqlx::query=trace,sea_orm=trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,h2=trace";

/// A card number that passes the check, as people type it into the wrong field.
const CARD: &str = "4000056655665556";
/// The card number once more, as it stands on the card.
const SPACED_CARD: &str = "5555 5555 5555 4444";

/// Configured, or sent where it must be refused or ignored: never to be seen again.
const SECRETS: &[(&str, &str)] = &[
    ("the provider's key", "sk_test_canaryProviderKey01"),
    ("a webhook secret", "whsec_canaryWebhook02"),
    ("the metrics token", "canary-metrics-token-03"),
    (
        "the key tokens are derived with",
        "Y2FuYXJ5LXNlY3JldC1rZXktZm9yLWFsbC10b2tlbnM",
    ),
    ("a key that is none", "sk_test_canaryForgedKey05"),
    ("a password of another scheme", "Y2FuYXJ5OnBhc3N3b3JkMDY"),
    ("a cookie", "canaryCookie07"),
    ("a header of somebody else's", "canaryApiKeyHeader08"),
    ("an order token that is none", "ot_canaryForgedToken09"),
    ("a query string", "canaryQuery10"),
    ("a path", "canaryPath11"),
    ("a referrer", "canaryReferrer12"),
    ("a user agent", "canaryAgent13"),
    ("an e-mail address that is none", "canary14 at example.com"),
    ("a card number", CARD),
    ("a card number with blanks", SPACED_CARD),
    ("a body that is no JSON", "canaryMalformed17"),
    ("a field nobody knows", "canaryField18"),
    ("the value of a field nobody knows", "canaryFieldValue19"),
    ("a forged webhook", "canaryForgedEvent20"),
    ("a forged signature", "canaryForgedSignature21"),
    ("a signed body that is no event", "canarySignedBody22"),
    ("what a failing provider says", "canaryProviderError23"),
    ("a filter's value", "canaryFilter24"),
    ("a form", "canaryForm25"),
    ("a bad address to return to", "canaryReturn26"),
    ("an unknown method", "CANARYMETHOD27"),
];

/// Of somebody at the staff console: known to the database, and to no log.
const STAFF_EMAIL: &str = "canary-staff28@example.com";

/// An order's own: in its answers, and where the database has them by design.
const PERSONAL: &[&str] = &["canary-ada@example.com", "Canary Lovelace"];

/// The tables that hold personal data by design.
const PERSONAL_TABLES: &[&str] = &[
    "order",
    "order_term",
    "idempotency_key",
    "provider_call",
    "provider_event",
];

/// What was said so far, by where.
#[derive(Default)]
struct Heard {
    refusals: Vec<String>,
    answers: Vec<String>,
}

impl Heard {
    fn hear(&mut self, answer: &Answer) {
        let text = format!("{} {:?} {}", answer.status, answer.headers, answer.text);
        match answer.status {
            ..400 => self.answers.push(text),
            _ => self.refusals.push(text),
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Answer {
        let answer = Client::send(request).await.expect("an answer");
        self.hear(&answer);
        answer
    }
}

/// Insists that none of the words is in a text, in clear or as hexadecimal bytes.
#[track_caller]
fn holds_none<'w>(place: &str, text: &str, words: impl IntoIterator<Item = &'w str>) {
    let lower = text.to_ascii_lowercase();
    for word in words {
        let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        let at = text.find(word).or_else(|| lower.find(&hex));
        if let Some(at) = at {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary((at + 300).min(text.len()));
            panic!("{word} is in {place}: …{}…", &text[from..to]);
        }
    }
}

fn secret(name: &str) -> &'static str {
    let found = SECRETS.iter().find(|(known, _)| *known == name);
    found.expect("a canary").1
}

/// Every row of every table, as text; bytes as hexadecimal.
async fn tables(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let url = match sandbox.database_url().strip_prefix("sqlite://") {
        Some(file) => format!("sqlite://{}?mode=ro", sandbox.folder.join(file).display()),
        None => sandbox.database_url(),
    };
    let look = connect(&url).await;
    let backend = look.get_database_backend();
    let texts = async |sql: String| -> Vec<String> {
        let rows = look
            .query_all_raw(Statement::from_string(backend, &sql))
            .await;
        let rows = rows.expect(&sql);
        let rows = rows
            .iter()
            .map(|row| row.try_get_by_index(0).expect("text"));
        rows.collect()
    };
    let sqlite = backend == DatabaseBackend::Sqlite;
    let names = match sqlite {
        true => "SELECT name FROM sqlite_master WHERE type = 'table'",
        false => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
    };
    let mut tables = BTreeMap::new();
    for table in texts(names.to_owned()).await {
        let row = if sqlite {
            let columns = texts(format!("SELECT name FROM pragma_table_info('{table}')")).await;
            let quoted = columns.iter().map(|column| format!("quote(\"{column}\")"));
            quoted.collect::<Vec<_>>().join(" || ' ' || ")
        } else {
            "row_to_json(t)::text".to_owned()
        };
        let rows = texts(format!("SELECT {row} FROM \"{table}\" t")).await;
        tables.insert(table, rows.join("\n"));
    }
    look.close().await.expect("closes");
    assert!(tables.len() > 15, "{:?}", tables.keys());
    tables
}

fn serve_loudly(sandbox: &Sandbox, simulator: &str, port: u16, form: &str) -> Process {
    let mut command = sandbox.till(&["serve"]);
    let webhook = secret("a webhook secret");
    command
        .env("ROCKET_PORT", port.to_string())
        .env("ROCKET_LOG_LEVEL", "debug")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("TILL_LOG__LEVEL", EVERYTHING)
        .env("TILL_LOG__FORMAT", form)
        .env("TILL_METRICS__TOKEN", secret("the metrics token"))
        .env(
            "TILL_SECRET_KEYS",
            format!("[\"1:{}=\"]", secret("the key tokens are derived with")),
        )
        .env(
            "TILL_PROVIDERS__STRIPE__API_KEY",
            secret("the provider's key"),
        )
        .env("TILL_PROVIDERS__STRIPE__BASE_URL", simulator)
        .env("TILL_PROVIDERS__STRIPE__TIMEOUT_MS", "2000")
        .env("TILL_HTTP__ORDERS_PER_MINUTE", "100000")
        .env(
            "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS",
            format!("[\"{webhook}\",\"{WEBHOOK_SECRET}\"]"),
        );
    Process::start(command)
}

/// Somebody signs in at the staff console with a wrong password and with theirs; what is secret of it.
async fn staff_come_and_go(sandbox: &Sandbox, server: &Server, heard: &mut Heard) -> Vec<String> {
    let words = [
        "staff",
        "create",
        "--email",
        STAFF_EMAIL,
        "--role",
        "admin",
        "--generate",
        "--json",
    ];
    let made = sandbox.run(&words).await.success().json();
    let password = made["password"].as_str().expect("a password").to_owned();
    let nobody = server.client("");
    let wrong = "canaryWrongPassword29";
    for email in [STAFF_EMAIL, "canary-stranger30@example.com"] {
        let refused = staff::sign_in(&nobody, email, wrong).await;
        assert_eq!(refused.status, 422);
        assert!(
            !refused.text.contains(wrong),
            "a password is not shown again"
        );
    }
    let signed_in = staff::sign_in(&nobody, STAFF_EMAIL, &password).await;
    let cookie = staff::cookie(&signed_in);
    for path in ["/staff/account", "/staff/people", "/staff/audit", "/staff"] {
        let request = nobody.request(Method::GET, path).header("Cookie", &cookie);
        heard.send(request).await;
    }
    let request = nobody
        .request(Method::POST, "/staff/account/password")
        .header("Cookie", &cookie)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!(
            "csrf=canaryForgedForm31&present={password}&new={wrong}"
        ));
    heard.send(request).await;
    let (_, token) = cookie.split_once('=').expect("a token");
    vec![
        password,
        token.to_owned(),
        wrong.to_owned(),
        "canaryForgedForm31".to_owned(),
        "canary-stranger30".to_owned(),
    ]
}

async fn make_key(sandbox: &Sandbox, kind: &str) -> (String, String) {
    let made = sandbox
        .run(&["key", "create", "--kind", kind, "--json"])
        .await
        .success();
    let text = |field: &str| made.json()[field].as_str().expect("text").to_owned();
    (text("key"), text("id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_found_where_it_does_not_belong() {
    let sandbox = Sandbox::new().await;
    let port = free_port();
    let (_simulator, simulator) = sandbox.simulator_for(port).await;
    let provider = Client::new(&simulator, None);
    let server = Server::listening(serve_loudly(&sandbox, &simulator, port, "json")).await;
    let mut heard = Heard::default();

    // A whole purchase by a browser, with personal data.
    let (sk, _) = make_key(&sandbox, "secret").await;
    let (pk, _) = make_key(&sandbox, "publishable").await;
    let (revoked, revoked_id) = make_key(&sandbox, "secret").await;
    sandbox.run(&["key", "revoke", &revoked_id]).await.success();
    let shop = server.client(&sk);
    let product = shop.request(Method::PUT, "/v1/products/mug");
    let product = product.json(&json!({"name": "Mug", "prices": {"EUR": "12.50"}}));
    heard.send(product).await.expect(201);
    let browser = server.client(&pk);
    let [email, name] = PERSONAL else {
        panic!("two")
    };
    let wanted = json!({"currency": "EUR", "customer": {"email": email, "name": name},
        "line_items": [{"sku": "mug", "quantity": 2}]});
    let request = browser
        .request(Method::POST, "/v1/orders")
        .header("Idempotency-Key", "k-1");
    let placed = Client::send(request.json(&wanted))
        .await
        .expect("an answer")
        .expect(201);
    let order = placed["id"].as_str().expect("an id").to_owned();
    let token = placed["client_token"].as_str().expect("a token").to_owned();
    let path = checkout_path(&order);
    let request = browser
        .request(Method::POST, &path)
        .header("Idempotency-Key", "k-2");
    let request = request.header("Order-Token", &token).json(&checkout_body());
    let session = heard.send(request).await.expect(201);
    let own = format!("/v1/orders/{order}");
    heard
        .send(
            browser
                .request(Method::GET, &own)
                .header("Order-Token", &token),
        )
        .await
        .expect(200);
    let again = browser
        .request(Method::POST, &path)
        .header("Idempotency-Key", "k-2");
    let other =
        json!({"success_url": "https://shop.example/a", "cancel_url": "https://shop.example/b"});
    let reused = heard
        .send(again.header("Order-Token", &token).json(&other))
        .await;
    assert_eq!(reused.json["code"], "idempotency_key_reused");
    provider.pay(&session).await;
    shop.until_paid(&order).await;

    knock_everywhere(&server, &[&sk, &pk, &revoked], &order, &mut heard).await;
    false_webhooks(&server, &mut heard).await;
    let of_staff = staff_come_and_go(&sandbox, &server, &mut heard).await;
    let scraper = server.client(secret("the metrics token"));
    let metrics = scraper.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    server.process.terminate();
    let first = server
        .process
        .finish(Duration::from_secs(20))
        .await
        .success();

    // A provider that fails and quotes, and the other form of logs.
    let server = Server::listening(serve_loudly(
        &sandbox,
        &quoting_provider().await,
        port,
        "pretty",
    ))
    .await;
    let shop = server.client(&sk);
    for _ in 0..8 {
        let order = shop.place_order().await;
        let request = shop.request(Method::POST, &checkout_path(&order));
        let request = request.header("Idempotency-Key", uuid::Uuid::new_v4().to_string());
        heard.send(request.json(&checkout_body())).await;
    }
    let refused = heard
        .refusals
        .iter()
        .filter(|text| text.contains("provider_rejected"));
    assert!(
        refused.count() >= 2,
        "the provider's refusals were answered"
    );
    let last = server
        .client(secret("the metrics token"))
        .get("/metrics")
        .await
        .text;
    server.process.terminate();
    let second = server
        .process
        .finish(Duration::from_secs(20))
        .await
        .success();

    let part = |key: &str| key.rsplit_once('_').expect("a secret part").1.to_owned();
    let mut given = vec![part(&sk), part(&pk), part(&revoked), token[3..].to_owned()];
    given.extend(of_staff);
    let secrets = || {
        SECRETS
            .iter()
            .map(|(_, text)| *text)
            .chain(given.iter().map(String::as_str))
            .chain([WEBHOOK_SECRET])
    };
    assert!(secrets().count() >= 25);
    for (process, ended) in [("the first server", &first), ("the second server", &second)] {
        for (stream, text) in [("output", &ended.stdout), ("log", &ended.stderr)] {
            let personal = PERSONAL.iter().copied().chain([STAFF_EMAIL]);
            let place = format!("{process}'s {stream}");
            holds_none(&place, text, secrets().chain(personal));
        }
        assert!(
            ended.stderr.contains("answered") && ended.stderr.contains("DEBUG"),
            "it logged a lot"
        );
    }
    for metrics in [&metrics.text, &last] {
        holds_none(
            "the metrics",
            metrics,
            secrets().chain(PERSONAL.iter().copied()),
        );
    }
    for text in &heard.refusals {
        // A plain name of an unknown field or parameter is what a pointer is for; its value is not.
        let named = ["a field nobody knows", "a filter's value"];
        let text = named.iter().fold(text.clone(), |text, name| {
            text.replace(&format!("\"pointer\":\"/{}\"", secret(name)), "")
        });
        holds_none(
            "a refusal",
            &text,
            secrets().chain(PERSONAL.iter().copied()),
        );
    }
    for text in &heard.answers {
        holds_none("an answer", text, secrets());
    }
    for (table, rows) in tables(&sandbox).await {
        holds_none(&format!("table {table}"), &rows, secrets());
        if !PERSONAL_TABLES.contains(&table.as_str()) {
            holds_none(&format!("table {table}"), &rows, PERSONAL.iter().copied());
        }
    }
    for file in std::fs::read_dir(&sandbox.folder).expect("a folder") {
        let path = file.expect("a file").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // The simulator's own file is the provider's, not Till's.
        if path.is_file() && name.starts_with("till.") {
            let bytes = std::fs::read(&path).expect("its bytes");
            holds_none(name, &String::from_utf8_lossy(&bytes), secrets());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_complaint_about_a_setting_repeats_it() {
    const CANARY: &str = "canaryOfTheSettings";
    let sandbox = Sandbox::new().await;
    let settings: &[(&str, &str)] = &[
        (
            "TILL_DATABASE__URL",
            "postgres://till:canaryOfTheSettings@127.0.0.1:1/till",
        ),
        (
            "TILL_DATABASE__URL",
            "postgres://till:canaryOfTheSettings@@host:port/till",
        ),
        (
            "TILL_DATABASE__URL",
            "mysql://till:canaryOfTheSettings@127.0.0.1/till",
        ),
        ("TILL_DATABASE__MAX_CONNECTIONS", "canaryOfTheSettings"),
        ("TILL_SECRET_KEYS", r#"["1:canaryOfTheSettings"]"#),
        ("TILL_SECRET_KEYS", r#"{"a": "canaryOfTheSettings"}"#),
        ("TILL_SECRET_KEYS", "canaryOfTheSettings"),
        ("TILL_PROVIDERS__STRIPE__API_KEY", "canaryOfTheSettings"),
        (
            "TILL_PROVIDERS__STRIPE__API_KEY",
            "pk_live_canaryOfTheSettings",
        ),
        (
            "TILL_PROVIDERS__STRIPE__API_KEY",
            r#"["canaryOfTheSettings"]"#,
        ),
        (
            "TILL_PROVIDERS__STRIPE__BASE_URL",
            "http://user:canaryOfTheSettings@stripe.example",
        ),
        ("TILL_PROVIDERS__STRIPE__BASE_URL", "canaryOfTheSettings"),
        (
            "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS",
            r#"{"a": "canaryOfTheSettings"}"#,
        ),
        (
            "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS",
            r#"[["canaryOfTheSettings"]]"#,
        ),
        ("TILL_PROVIDERS__STRIPE__TIMEOUT_MS", "canaryOfTheSettings"),
        ("TILL_METRICS__TOKEN", "canaryOfTheSettings é"),
        ("TILL_METRICS__TOKEN", r#"["canaryOfTheSettings"]"#),
        ("TILL_HTTP__CLIENT_IP_HEADER", r#"["canaryOfTheSettings"]"#),
        ("TILL_LOG__LEVEL", "canaryOfTheSettings"),
        ("TILL_LOG__FORMAT", "canaryOfTheSettings"),
        ("ROCKET_PORT", "canaryOfTheSettings"),
    ];
    for (name, value) in settings {
        for command in ["serve", "doctor"] {
            if command == "serve" && value.contains(":1/") {
                // Waits ten seconds for the database, as unsafe_settings.rs shows.
                continue;
            }
            let mut till = sandbox.bare(&[command]);
            till.env("TILL_LOG__LEVEL", "trace")
                .env(
                    "TILL_SECRET_KEYS",
                    r#"["1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]"#,
                )
                .env("TILL_PROVIDERS__STRIPE__API_KEY", "sk_test_a")
                .env("TILL_PROVIDERS__STRIPE__BASE_URL", "http://127.0.0.1:9")
                .env("TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS", "whsec_a")
                .env(name, value);
            let ended = Process::start(till).finish(Duration::from_secs(30)).await;
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(
                !ended.status.success(),
                "{command} with {name}={value}: {said}"
            );
            assert!(
                !said.contains(CANARY),
                "{command} with {name}={value}: {said}"
            );
        }
    }
}
