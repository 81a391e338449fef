//! Logs: in both forms every line of a request names its id, and what a library says of a request is never kept.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::{checkout_body, checkout_path};
use crate::harness::{Client, Process, Sandbox, free_port};

/// Serves in one form of logs, makes a request of each kind, and returns what was logged.
async fn logged(form: &str) -> String {
    let sandbox = Sandbox::new().await;
    let port = free_port();
    let (_simulator, simulator) = sandbox.simulator_for(port).await;
    let settings = [("TILL_LOG__FORMAT", form), ("TILL_LOG__LEVEL", "debug")];
    let server = sandbox.serve_for(&simulator, port, &settings).await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    let named = async |method: Method, path: &str, id: &str, body: Value| {
        let request = shop.request(method, path).header("Request-Id", id);
        let request = request.header("Idempotency-Key", id).json(&body);
        let answer = Client::send(request).await.expect("an answer");
        assert_eq!(answer.header("request-id"), Some(id));
        answer
    };
    let checkout = checkout_path(&order);
    let session = named(Method::POST, &checkout, "id-of-checkout", checkout_body()).await;
    let session = session.expect(201);
    named(Method::GET, "/no/such/path", "id-of-absent", json!({})).await;
    let wrong = json!({"currency": "no currency"});
    named(Method::POST, "/v1/orders", "id-of-refused", wrong).await;
    Client::new(&simulator, None).pay(&session).await;
    shop.until_paid(&order).await;
    server.process.terminate();
    let ended = server.process.finish(Duration::from_secs(15)).await;
    ended.success().stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_as_json_is_an_object_and_those_of_a_request_have_its_id() {
    let text = logged("json").await;
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect();
    let of = |id: &str| {
        let lines = lines
            .iter()
            .filter(|line| line["fields"]["request.id"] == *id);
        lines.collect::<Vec<_>>()
    };
    for (id, status) in [
        ("id-of-checkout", 201),
        ("id-of-absent", 404),
        ("id-of-refused", 422),
    ] {
        let [line] = of(id)[..] else {
            panic!("{id} has {} lines: {text}", of(id).len())
        };
        assert_eq!(line["fields"]["http.status"], status, "{line}");
        assert!(line["timestamp"].is_string() && line["level"] == "DEBUG");
    }
    let received: Vec<&Value> = lines
        .iter()
        .filter(|line| line["fields"]["verdict"].is_string())
        .collect();
    assert!(!received.is_empty(), "{text}");
    for line in received {
        let spans = line["spans"].as_array().expect("its spans");
        let [span] = &spans[..] else {
            panic!("a request has one span: {line}")
        };
        assert_eq!(span["http.route"], "/webhooks/<provider>", "{line}");
        let id = span["request.id"].as_str().expect("its request");
        assert_eq!(of(id).len(), 1, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_for_people_is_whole_and_those_of_a_request_have_its_id() {
    let text = logged("pretty").await;
    assert!(!text.contains('\u{1b}'), "colours only for terminals");
    for (id, answer) in [
        (
            "id-of-checkout",
            "answered POST /v1/orders/{id}/checkout_sessions with 201",
        ),
        ("id-of-absent", "answered any unmatched with 404"),
        ("id-of-refused", "answered POST /v1/orders with 422"),
    ] {
        let mut lines = text.lines().filter(|line| line.contains(answer));
        assert!(lines.any(|line| line.contains(id)), "{answer}: {text}");
    }
    let mut received = text.lines().filter(|line| line.contains("received event"));
    assert!(
        received.all(|line| line.contains("request{request.id=")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_none_is_refused_with_an_example() {
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.till(&["serve", "--with-simulator"]);
    command.env("TILL_LOG__LEVEL", "verbose");
    let ended = Process::start(command)
        .finish(Duration::from_secs(10))
        .await;
    ended
        .exit(2)
        .complains_of(&["TILL_LOG__LEVEL", "info,till::worker=debug"]);
}
