//! Faults of API calls: what the client sees, and what was done all the same.
use serde_json::{Value, json};

use super::harness::{BASKET, Bench, answer, items, text};

const PATH: &str = "/v1/checkout/sessions";

async fn with(action: &str) -> Bench {
    let bench = Bench::start().await;
    let fault = json!({ "faults": [{ "on": "checkout.session.create", "do": action }] });
    bench.control("/faults", fault).await;
    bench
}

async fn made(bench: &Bench) -> usize {
    items(&bench.get(PATH).await.1).len()
}

#[tokio::test]
async fn a_timeout_is_before_or_after_the_work() {
    let (before, after) = tokio::join!(with("timeout_before"), with("timeout_after_commit"));
    let (one, two) = tokio::join!(
        before.send(PATH, BASKET, Some("k")),
        after.send(PATH, BASKET, Some("k"))
    );
    assert!(one.expect_err("silence").is_timeout());
    assert!(two.expect_err("silence").is_timeout());
    assert_eq!((made(&before).await, made(&after).await), (0, 1));
    // The key finds what was made.
    let again = after
        .send(PATH, BASKET, Some("k"))
        .await
        .expect("an answer");
    assert_eq!(again.headers()["Idempotent-Replayed"], "true");
    assert_eq!(made(&after).await, 1);
    tokio::join!(before.simulator.stop(), after.simulator.stop());
}

#[tokio::test]
async fn a_status_comes_before_the_work_or_is_remembered_after_it() {
    for status in [500, 503, 429] {
        let bench = with(&format!("status:{status}")).await;
        let first = bench
            .send(PATH, BASKET, Some("k"))
            .await
            .expect("an answer");
        assert_eq!(first.headers().contains_key("Retry-After"), status == 429);
        assert_eq!((answer(first).await.0, made(&bench).await), (status, 0));
        assert_eq!(
            bench
                .send(PATH, BASKET, Some("k"))
                .await
                .expect("an answer")
                .status(),
            200
        );
        bench.simulator.stop().await;
    }
    let bench = with("status:500_after_commit").await;
    for _ in 0..2 {
        assert_eq!(
            bench
                .send(PATH, BASKET, Some("k"))
                .await
                .expect("an answer")
                .status(),
            500
        );
    }
    assert_eq!(made(&bench).await, 1);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn broken_answers_are_broken_for_the_client() {
    let bench = with("reset_mid_response").await;
    let response = bench.send(PATH, BASKET, None).await.expect("a head");
    assert!(response.bytes().await.is_err());
    assert_eq!(made(&bench).await, 1);
    bench.simulator.stop().await;

    let bench = with("truncate").await;
    let response = bench.send(PATH, BASKET, None).await.expect("a head");
    let bytes = response.bytes().await.expect("a whole body");
    assert!(bytes.len() > 100 && serde_json::from_slice::<Value>(&bytes).is_err());
    bench.simulator.stop().await;

    let bench = with("garbage").await;
    let response = bench.send(PATH, BASKET, None).await.expect("an answer");
    assert!(response.json::<Value>().await.is_err());
    bench.simulator.stop().await;

    let bench = with("slow_drip").await;
    let response = bench.send(PATH, BASKET, None).await.expect("a head");
    assert!(response.bytes().await.expect_err("too slow").is_timeout());
    bench.simulator.stop().await;

    let bench = with("redirect").await;
    let response = bench.send(PATH, BASKET, None).await.expect("an answer");
    assert_eq!(response.status(), 307);
    assert!(response.headers().contains_key("Location"));
    assert_eq!(made(&bench).await, 0);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn wrong_answers_leave_the_truth_alone() {
    let bench = with("wrong_amount").await;
    let (_, body) = bench.post(PATH, BASKET).await;
    assert_eq!(body["amount_total"], 2101);
    let (_, body) = bench.get(&format!("{PATH}/{}", text(&body["id"]))).await;
    assert_eq!(body["amount_total"], 2100);
    bench.simulator.stop().await;
    let bench = with("wrong_currency").await;
    assert_eq!(bench.post(PATH, BASKET).await.1["currency"], "eur");
    bench.simulator.stop().await;
}

#[tokio::test]
async fn the_journal_tells_requests_faults_and_effects() {
    let bench = with("status:503").await;
    let _ = bench.send(PATH, BASKET, Some("k")).await;
    let _ = bench.send(PATH, BASKET, Some("k")).await;
    let _ = bench.send(PATH, BASKET, Some("k")).await;
    let journal = bench
        .client
        .get(format!("{}/_simulator/journal", bench.url))
        .send()
        .await;
    let (_, journal) = answer(journal.expect("an answer")).await;
    let requests: Vec<_> = items(&journal)
        .iter()
        .filter(|row| row["kind"] == "request")
        .collect();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        (&requests[0]["fault"], &requests[0]["status"]),
        (&json!("status:503"), &json!(503))
    );
    assert_eq!(
        (&requests[1]["status"], &requests[1]["idempotency_key"]),
        (&json!(200), &json!("k"))
    );
    assert_eq!(requests[1]["params"]["line_items"]["0"]["quantity"], "2");
    assert_eq!(requests[2]["replayed"], true);
    let query = "journal?kind=effect&since=1";
    let effects = bench
        .client
        .get(format!("{}/_simulator/{query}", bench.url))
        .send()
        .await;
    let (_, effects) = answer(effects.expect("an answer")).await;
    assert_eq!(items(&effects).len(), 1);
    assert_eq!(effects["data"][0]["effect"], "checkout.session.created");
    assert_eq!(effects["data"][0]["idempotency_key"], "k");
    bench.simulator.stop().await;
}
