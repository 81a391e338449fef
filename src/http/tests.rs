//! Goal: every failure at the edge is a problem that helps and gives nothing away.
//! Method: a Rocket with a few routes behind [`edge`]; in process where that is enough, and over a raw socket
//! for what a well-behaved client cannot send.

use std::time::Duration;

use rocket::figment::Figment;
use rocket::http::{Accept, ContentType, Header, Method, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::net::TcpStream;
use rocket::tokio::sync::oneshot;
use rocket::tokio::{spawn, time};
use rocket::{Build, Config, Rocket, delete, get, post, routes};
use serde::Deserialize;
use serde_json::Value;

use super::body::{BodyLimits, Bytes, Json, OptionalJson};
use super::problem::{FieldError, Problem};
use super::problem_catalogue::Code;
use super::request_id::RequestId;
use super::throttle::{Policy, Throttle};

const CANARY: &str = "CANARY-4f1c";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    quantity: u32,
    #[serde(default)]
    metadata: Option<Value>,
}

#[post("/v1/orders", data = "<order>")]
fn place(order: Json<Order>) -> Json<String> {
    Json(format!(
        "{} {}",
        order.0.quantity,
        order.0.metadata.is_some()
    ))
}

#[get("/v1/orders/<id>")]
fn fetch(id: u32) -> String {
    id.to_string()
}

#[delete("/v1/orders/<id>")]
fn remove(id: u32) -> String {
    format!("removed {id}")
}

#[get("/v1/lists?<limit>")]
fn list(limit: u8) -> String {
    limit.to_string()
}

#[post("/v1/orders/<_>/cancel", data = "<order>")]
fn cancel(order: OptionalJson<Order>) -> &'static str {
    if order.0.is_some() { "some" } else { "none" }
}

#[post("/webhooks/stripe", data = "<body>")]
fn webhook(body: Bytes) -> String {
    body.0.len().to_string()
}

#[get("/panic")]
fn panics() -> &'static str {
    panic!("{CANARY}")
}

#[get("/id")]
fn id(id: RequestId) -> String {
    id.as_str().to_owned()
}

#[get("/internal")]
fn internal() -> Problem {
    Problem::internal(&std::io::Error::other(CANARY))
}

#[get("/busy")]
fn busy() -> Problem {
    let throttle = Throttle::new(Policy {
        name: "orders",
        limit: 0,
        window_s: 60,
        max_keys: 1,
    });
    Problem::rate_limited(throttle.policy(), &throttle.hit(&1, 0))
}

#[get("/locked")]
fn locked() -> Problem {
    Problem::new(Code::Unauthenticated, "No valid API key was given.")
}

#[post("/staff/login", data = "<form>")]
fn login(form: rocket::form::Form<Vec<String>>) -> String {
    form.into_inner().len().to_string()
}

fn server() -> Rocket<Build> {
    let figment = Figment::from(Config {
        port: 0,
        log_level: rocket::config::LogLevel::Off,
        ..Config::debug_default()
    });
    rocket::custom(figment).attach(super::edge()).mount(
        "/",
        routes![
            place, fetch, remove, list, cancel, webhook, panics, id, internal, busy, locked, login
        ],
    )
}

async fn client() -> Client {
    Client::untracked(server()).await.unwrap()
}

/// Reads a problem, having checked what all of them have.
async fn problem(response: LocalResponse<'_>, code: Code) -> Value {
    assert_eq!(response.status().code, code.status(), "{code:?}");
    assert_eq!(
        response.content_type().unwrap().to_string(),
        "application/problem+json"
    );
    let request_id = response.headers().get_one("Request-Id").unwrap().to_owned();
    assert_eq!(
        response.headers().get_one("X-Content-Type-Options"),
        Some("nosniff")
    );
    assert_eq!(
        response.headers().get_one("Cache-Control"),
        Some("no-store")
    );
    assert!(response.headers().contains("Content-Security-Policy"));
    let text = response.into_string().await.unwrap();
    assert!(!text.contains("CANARY"), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["code"], code.as_str(), "{json}");
    assert_eq!(json["type"], format!("/problems/{}", code.as_str()));
    assert_eq!(json["status"], code.status());
    assert_eq!(json["request_id"], request_id);
    json
}

async fn refuses(body: impl AsRef<[u8]>, content_type: &str, code: Code) -> Value {
    let client = client().await;
    let mut request = client.post("/v1/orders").body(body);
    request.add_header(Header::new("Content-Type", content_type.to_owned()));
    problem(request.dispatch().await, code).await
}

#[rocket::async_test]
async fn a_good_body_passes() {
    let client = client().await;
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
    ] {
        let request = client
            .post("/v1/orders")
            .body(r#"{"quantity":2}"#)
            .header(Header::new("Content-Type", content_type));
        let response = request.dispatch().await;
        assert_eq!(response.status(), Status::Ok, "{content_type}");
        assert_eq!(
            response.headers().get_one("Cache-Control"),
            Some("no-store")
        );
        assert_eq!(response.into_string().await.unwrap(), "\"2 false\"");
    }
}

#[rocket::async_test]
async fn only_json_is_taken_for_json() {
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/problem+json",
        "application/json; version=2",
        "nonsense",
        "",
    ] {
        refuses(
            format!(r#"{{"quantity":2,"x":"{CANARY}"}}"#),
            content_type,
            Code::UnsupportedMediaType,
        )
        .await;
    }
    let client = client().await;
    problem(
        client.post("/v1/orders").body("{}").dispatch().await,
        Code::UnsupportedMediaType,
    )
    .await;
    let gzip = client
        .post("/v1/orders")
        .body("{}")
        .header(ContentType::JSON)
        .header(Header::new("Content-Encoding", "gzip"));
    problem(gzip.dispatch().await, Code::UnsupportedMediaType).await;
}

#[rocket::async_test]
async fn malformed_json_names_the_place_and_not_the_body() {
    let json = refuses(
        format!("{{\"quantity\":\n{CANARY}}}"),
        "application/json",
        Code::MalformedJson,
    )
    .await;
    assert_eq!(
        json["detail"],
        "The body is not valid JSON: expected value at line 2 column 1."
    );
    for body in [
        &b""[..],
        b"{",
        b"{\"quantity\":1}{}",
        b"\xff\xfe",
        b"{\"quantity\":\"\xc3\x28\"}",
        b"\xef\xbb\xbf{}",
        br#"{"a":"\ud800"}"#,
    ] {
        let json = refuses(body, "application/json", Code::MalformedJson).await;
        assert!(json.get("errors").is_none());
    }
}

#[rocket::async_test]
async fn shape_errors_have_a_pointer_and_no_value() {
    let json = refuses(
        format!(r#"{{"quantity":"{CANARY}"}}"#),
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    let detail = "expected a whole number between 0 and 4294967295, found a string";
    assert_eq!(
        json["errors"],
        serde_json::json!([{"pointer": "/quantity", "detail": detail}])
    );
    let json = refuses(
        r#"{"quantity":1,"metadata":{"a":{"b":1,"b":2}}}"#,
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    assert_eq!(json["errors"][0]["pointer"], "/metadata/a/b");
    let json = refuses(
        format!(r#"{{"quantity":1,"{CANARY} x":1}}"#),
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    assert_eq!(json["errors"][0]["pointer"], "");
}

#[rocket::async_test]
async fn large_and_deep_bodies_are_refused_cheaply() {
    let started = std::time::Instant::now();
    refuses(
        "[".repeat(1_000_000),
        "application/json",
        Code::PayloadTooLarge,
    )
    .await;
    refuses(
        "[".repeat(200_000),
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    refuses(
        "x".repeat(2 << 20),
        "application/json",
        Code::PayloadTooLarge,
    )
    .await;
    refuses(
        " ".repeat((256 << 10) + 1),
        "application/json",
        Code::PayloadTooLarge,
    )
    .await;
    refuses(
        " ".repeat(256 << 10),
        "application/json",
        Code::MalformedJson,
    )
    .await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let client = client().await;
    problem(
        client
            .post("/webhooks/stripe")
            .body("x".repeat(2 << 20))
            .dispatch()
            .await,
        Code::PayloadTooLarge,
    )
    .await;
    let taken = client
        .post("/webhooks/stripe")
        .body("x".repeat(200 << 10))
        .dispatch()
        .await;
    assert_eq!(taken.into_string().await.unwrap(), "204800");
}

#[rocket::async_test]
async fn an_optional_body_may_be_left_out_but_not_wrong() {
    let client = client().await;
    let none = client.post("/v1/orders/1/cancel").dispatch().await;
    assert_eq!(none.into_string().await.unwrap(), "none");
    let none = client
        .post("/v1/orders/1/cancel")
        .header(ContentType::Form)
        .dispatch()
        .await;
    assert_eq!(none.into_string().await.unwrap(), "none");
    let some = client
        .post("/v1/orders/1/cancel")
        .header(ContentType::JSON)
        .body(r#"{"quantity":1}"#)
        .dispatch()
        .await;
    assert_eq!(some.into_string().await.unwrap(), "some");
    problem(
        client
            .post("/v1/orders/1/cancel")
            .body("{}")
            .dispatch()
            .await,
        Code::UnsupportedMediaType,
    )
    .await;
    let wrong = client
        .post("/v1/orders/1/cancel")
        .header(ContentType::JSON)
        .body("{}");
    problem(wrong.dispatch().await, Code::InvalidRequest).await;
}

#[rocket::async_test]
async fn a_wrong_method_is_405_with_allow_and_an_absent_path_404() {
    let client = client().await;
    for (method, path, allow) in [
        (Method::Get, "/v1/orders", "OPTIONS, POST"),
        (Method::Head, "/v1/orders", "OPTIONS, POST"),
        (Method::Put, "/v1/orders/1", "DELETE, GET, HEAD, OPTIONS"),
        (
            Method::Patch,
            "/v1/%6Frders/1?x=y",
            "DELETE, GET, HEAD, OPTIONS",
        ),
        (Method::Trace, "/id", "GET, HEAD"),
        (Method::Options, "/id", "GET, HEAD"),
        (Method::Post, "/problems/not_found", "GET, HEAD"),
    ] {
        let response = client.req(method, path).dispatch().await;
        assert_eq!(
            response.status(),
            Status::MethodNotAllowed,
            "{method} {path}"
        );
        assert_eq!(
            response.headers().get_one("Allow"),
            Some(allow),
            "{method} {path}"
        );
    }
    for path in [
        "/",
        "/nope",
        "/v1/orders/1/nope",
        &format!("/{CANARY}?q={CANARY}"),
    ] {
        let json = problem(client.get(path).dispatch().await, Code::NotFound).await;
        assert_eq!(json["detail"], "No such resource.");
    }
    assert_eq!(
        client.head("/v1/orders/1").dispatch().await.status(),
        Status::Ok
    );
}

#[rocket::async_test]
async fn a_bad_path_parameter_is_404_and_a_bad_query_422() {
    let client = client().await;
    problem(
        client.get("/v1/orders/abc").dispatch().await,
        Code::NotFound,
    )
    .await;
    problem(
        client.get("/v1/orders/abc?x=1").dispatch().await,
        Code::NotFound,
    )
    .await;
    problem(
        client.get("/v1/lists?limit=abc").dispatch().await,
        Code::InvalidRequest,
    )
    .await;
}

#[rocket::async_test]
async fn a_panic_is_an_internal_error_that_says_nothing() {
    let client = client().await;
    problem(client.get("/panic").dispatch().await, Code::InternalError).await;
    problem(
        client.get("/internal").dispatch().await,
        Code::InternalError,
    )
    .await;
    assert_eq!(client.get("/id").dispatch().await.status(), Status::Ok);
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[rocket::async_test]
async fn a_server_error_is_logged_once_with_its_cause_and_nothing_of_the_request() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let client = client().await;
    let _guard = tracing::subscriber::set_default(subscriber);
    let logged = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    let secret = || Header::new("Authorization", "Bearer sk_secret");
    client
        .get("/internal?token=sk_secret")
        .header(secret())
        .header(Header::new("Request-Id", "r-1"))
        .dispatch()
        .await;
    let text = logged();
    assert_eq!(
        (
            text.lines().count(),
            text.contains("r-1"),
            text.contains(CANARY)
        ),
        (1, true, true),
        "{text}"
    );
    assert!(
        text.contains("internal_error") && !text.contains("sk_secret"),
        "{text}"
    );
    client
        .get("/panic?token=sk_secret")
        .header(secret())
        .dispatch()
        .await;
    let text = logged();
    assert!(
        text.lines().count() == 1 && text.contains("/panic") && !text.contains("sk_secret"),
        "{text}"
    );
    client.get("/nope?token=sk_secret").dispatch().await;
    assert_eq!(logged(), "", "a client's error is not ours to log");
}

#[rocket::async_test]
async fn codes_bring_their_headers() {
    let client = client().await;
    let locked = client.get("/locked").dispatch().await;
    assert_eq!(locked.headers().get_one("WWW-Authenticate"), Some("Bearer"));
    problem(locked, Code::Unauthenticated).await;
    let busy = client.get("/busy").dispatch().await;
    assert_eq!(
        busy.headers().get_one("RateLimit-Policy"),
        Some(r#""orders";q=0;w=60"#)
    );
    assert_eq!(
        busy.headers().get_one("RateLimit"),
        Some(r#""orders";r=0;t=0"#)
    );
    assert_eq!(busy.headers().get_one("Retry-After"), Some("1"));
    problem(busy, Code::RateLimited).await;
    let several = Problem::invalid(vec![FieldError::new("/a", "x"), FieldError::new("/b", "y")]);
    assert_eq!(several.detail(), "2 fields are not valid.");
}

#[rocket::async_test]
async fn a_request_id_is_taken_or_made() {
    let client = client().await;
    let response = client
        .get("/id")
        .header(Header::new("Request-Id", "my_id-1"))
        .dispatch()
        .await;
    assert_eq!(response.headers().get_one("Request-Id"), Some("my_id-1"));
    assert_eq!(response.into_string().await.unwrap(), "my_id-1");
    for given in ["", "a b", "ä", &"a".repeat(129)] {
        let response = client
            .get("/id")
            .header(Header::new("Request-Id", given.to_owned()))
            .dispatch()
            .await;
        let id = response.headers().get_one("Request-Id").unwrap();
        assert!(id.starts_with("req_") && id.len() == 36, "{id}");
        assert_eq!(response.headers().get("Request-Id").count(), 1);
    }
}

#[rocket::async_test]
async fn a_form_cannot_change_the_method() {
    let client = client().await;
    for (path, body) in [
        ("/v1/orders/1", "_method=delete"),
        ("/v1/orders/1", "_method=get&a=b"),
        ("//v1/orders/1", "_method=DELETE"),
    ] {
        let response = client
            .post(path)
            .header(ContentType::Form)
            .body(body)
            .dispatch()
            .await;
        problem(response, Code::UnsupportedMediaType).await;
    }
    let multipart = client
        .post("/webhooks/stripe")
        .header(Header::new(
            "Content-Type",
            "multipart/form-data; boundary=x",
        ))
        .body("--x--");
    problem(multipart.dispatch().await, Code::UnsupportedMediaType).await;
    let staff = client
        .post("/staff/login")
        .header(ContentType::Form)
        .body("a=b")
        .dispatch()
        .await;
    assert_ne!(staff.status(), Status::UnsupportedMediaType);
}

#[rocket::async_test]
async fn long_addresses_are_refused() {
    let client = client().await;
    problem(
        client
            .get(format!("/id?q={}", "x".repeat(9_000)))
            .dispatch()
            .await,
        Code::UriTooLong,
    )
    .await;
    problem(
        client
            .get(format!("/{}", "x".repeat(9_000)))
            .dispatch()
            .await,
        Code::UriTooLong,
    )
    .await;
}

#[rocket::async_test]
async fn browsers_may_call_publishable_routes_and_no_others() {
    let client = client().await;
    let preflight = |path: &'static str| {
        let request = client
            .options(path)
            .header(Header::new("Origin", "https://shop.example"));
        request.header(Header::new("Access-Control-Request-Method", "POST"))
    };
    let response = preflight("/v1/orders").dispatch().await;
    assert_eq!(response.status(), Status::NoContent);
    for (name, value) in [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "POST"),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, Idempotency-Key, Order-Token, Request-Id",
        ),
        ("Access-Control-Max-Age", "600"),
    ] {
        assert_eq!(response.headers().get_one(name), Some(value));
    }
    let actual = client
        .post("/v1/orders")
        .header(ContentType::JSON)
        .body("{}")
        .dispatch()
        .await;
    assert_eq!(
        actual.headers().get_one("Access-Control-Allow-Origin"),
        Some("*")
    );
    assert_eq!(
        actual.headers().get_one("Access-Control-Expose-Headers"),
        Some("Request-Id, Idempotent-Replayed, Retry-After, Location")
    );
    assert!(
        !actual
            .headers()
            .contains("Access-Control-Allow-Credentials")
    );
    assert_eq!(
        preflight("/v1/products/mug").dispatch().await.status(),
        Status::NoContent
    );
    for path in ["/v1/orders/1/cancel", "/id", "/v1/payments"] {
        let response = preflight(path).dispatch().await;
        assert!(
            !response.headers().contains("Access-Control-Allow-Origin"),
            "{path}"
        );
        assert_ne!(response.status(), Status::NoContent, "{path}");
    }
}

#[rocket::async_test]
async fn every_code_has_a_page_in_html_and_json() {
    let client = client().await;
    let index = client
        .get("/problems")
        .dispatch()
        .await
        .into_string()
        .await
        .unwrap();
    for code in Code::ALL {
        let path = format!("/problems/{}", code.as_str());
        assert!(index.contains(&path));
        let page = client
            .get(path.clone())
            .header(Accept::HTML)
            .dispatch()
            .await;
        assert_eq!(page.content_type(), Some(ContentType::HTML));
        assert!(
            page.headers()
                .get_one("Content-Security-Policy")
                .unwrap()
                .contains("style-src 'sha256-")
        );
        let html = page.into_string().await.unwrap();
        assert!(
            html.contains(code.as_str()) && !html.contains("http") && !html.contains("<script"),
            "{html}"
        );
        let json = client
            .get(path.clone())
            .header(Accept::JSON)
            .dispatch()
            .await;
        let json: Value = serde_json::from_str(&json.into_string().await.unwrap()).unwrap();
        assert_eq!(
            (&json["code"], &json["type"]),
            (&Value::from(code.as_str()), &Value::from(path))
        );
    }
    let list = client
        .get("/problems")
        .header(Accept::JSON)
        .dispatch()
        .await
        .into_string()
        .await
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&list).unwrap()["data"]
            .as_array()
            .unwrap()
            .len(),
        Code::ALL.len()
    );
    problem(
        client.get("/problems/nope").dispatch().await,
        Code::NotFound,
    )
    .await;
}

#[test]
fn pages_are_escaped() {
    assert_eq!(
        super::problem_page::escape("<a b='\"&'>"),
        "&lt;a b=&#39;&quot;&amp;&#39;&gt;"
    );
    assert_eq!(
        super::problem_page::prose("a `<b>` c"),
        "a <code>&lt;b&gt;</code> c"
    );
}

/// A listening server with a short read deadline; what one raw request is answered.
async fn raw(parts: &[&[u8]], then_close: bool) -> String {
    let (tell, port) = oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let listening = rocket::fairing::AdHoc::on_liftoff("port", move |rocket| {
        let tell = tell.lock().unwrap().take();
        tell.unwrap().send(rocket.config().port).unwrap();
        Box::pin(async {})
    });
    let limits = BodyLimits {
        read_timeout: Duration::from_millis(300),
        ..BodyLimits::default()
    };
    let rocket = server()
        .manage(limits)
        .attach(listening)
        .ignite()
        .await
        .unwrap();
    let shutdown = rocket.shutdown();
    let served = spawn(rocket.launch());
    let mut stream = TcpStream::connect(("127.0.0.1", port.await.unwrap()))
        .await
        .unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
    }
    if then_close {
        stream.shutdown().await.unwrap();
    }
    let mut answer = vec![0; 8192];
    let mut length = 0;
    while !String::from_utf8_lossy(&answer[..length]).ends_with('}') {
        match time::timeout(Duration::from_secs(5), stream.read(&mut answer[length..]))
            .await
            .unwrap()
        {
            Ok(0) | Err(_) => break,
            Ok(read) => length += read,
        }
    }
    // Before the notice, else the server spends its grace period on an idle connection.
    drop(stream);
    shutdown.notify();
    let _ = served.await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn assert_raw(answer: &str, code: Code) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {} ", code.status())),
        "{answer}"
    );
    assert!(
        answer.contains(code.as_str()) && answer.contains("request-id: "),
        "{answer}"
    );
    assert!(!answer.contains("CANARY"), "{answer}");
}

const JSON_HEAD: &str = "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

#[rocket::async_test]
async fn a_body_that_is_cut_is_told_from_one_that_is_whole() {
    for (path, body) in [
        ("/v1/orders", "{\"q"),
        ("/v1/orders", "{\"quantity\":1, \"x"),
        ("/webhooks/stripe", "{}"),
        ("/webhooks/stripe", ""),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{body}"
        );
        assert_raw(&raw(&[head.as_bytes()], true).await, Code::BodyTruncated);
    }
    for body in [
        "5\r\n{\"qua\r\n",
        "e\r\n{\"quantity\":1}\r\n",
        "e\r\n{\"quantity\":1}\r\nzz",
    ] {
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        assert_raw(&raw(&[head.as_bytes()], true).await, Code::BodyTruncated);
    }
    let whole = format!("{JSON_HEAD}Content-Length: 14\r\n\r\n{{\"quantity\":1}}");
    assert!(
        raw(&[whole.as_bytes()], true)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let short = "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert!(
        raw(&[short.as_bytes()], true)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[rocket::async_test]
async fn a_slow_body_meets_the_deadline() {
    let head = format!("{JSON_HEAD}Content-Length: 1000\r\n\r\n{{\"quantity\":1,\"x\":\"{CANARY}");
    let answer = raw(&[head.as_bytes()], false).await;
    assert_raw(&answer, Code::RequestTimeout);
    assert!(answer.contains("connection: close"), "{answer}");
}

#[rocket::async_test]
async fn a_large_body_is_refused_by_its_announcement_or_its_size() {
    let head = format!("{JSON_HEAD}Content-Length: 2147483648\r\n\r\n{{\"quantity\":1,");
    assert_raw(&raw(&[head.as_bytes()], false).await, Code::PayloadTooLarge);
    let endless = format!("{JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n50000\r\n");
    assert_raw(
        &raw(&[endless.as_bytes(), &[b' '; (256 << 10) + 1]], false).await,
        Code::PayloadTooLarge,
    );
}

#[rocket::async_test]
async fn a_method_rocket_does_not_know_is_a_problem_too() {
    let answer = raw(
        &[b"QUERY /v1/orders/1 HTTP/1.1\r\nHost: x\r\nRequest-Id: mine\r\n\r\n"],
        false,
    )
    .await;
    assert_raw(&answer, Code::MethodNotAllowed);
    assert!(
        answer.contains("allow: DELETE, GET, HEAD, OPTIONS") && answer.contains("request-id: mine"),
        "{answer}"
    );
    let answer = raw(&[b"QUERY /nope HTTP/1.1\r\nHost: x\r\n\r\n"], false).await;
    assert_raw(&answer, Code::BadRequest);
}
