//! The state file: what was acknowledged survives.
use std::path::{Path, PathBuf};

use serde_json::json;

use super::harness::{BASKET, Bench, Receiver, answer, items, text};
use crate::simulator::SimulatorConfig;

fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("till-sim-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn config(path: &Path) -> SimulatorConfig {
    SimulatorConfig {
        state_file: Some(path.to_owned()),
        seed: Some(5),
        ..SimulatorConfig::default()
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_sudden_end() {
    let path = file("sudden");
    let bench = Bench::with(config(&path)).await;
    let first = bench
        .send("/v1/checkout/sessions", BASKET, Some("k"))
        .await
        .expect("an answer");
    let first = answer(first).await.1;
    let (paid, intent, charge) = bench.paid("").await;
    bench
        .post("/v1/refunds", &format!("charge={charge}&amount=100"))
        .await;
    bench
        .control("/clock/advance", json!({ "seconds": 60 }))
        .await;
    let secret = bench.simulator.webhook_secret();
    // As if killed: the file as it is now, with a line cut short, is all that is left.
    let mut log = std::fs::read(&path).expect("the log");
    log.extend_from_slice(b"[{\"session\":{\"id\":\"cs_te");
    let copy = file("sudden-copy");
    std::fs::write(&copy, log).expect("written");
    bench.simulator.stop().await;

    let bench = Bench::with(config(&copy)).await;
    assert_eq!(bench.simulator.webhook_secret(), secret);
    let again = bench
        .send("/v1/checkout/sessions", BASKET, Some("k"))
        .await
        .expect("an answer");
    assert_eq!(again.headers()["Idempotent-Replayed"], "true");
    assert_eq!(answer(again).await.1["id"], first["id"]);
    let (_, session) = bench.get(&format!("/v1/checkout/sessions/{paid}")).await;
    assert_eq!(
        (&session["payment_status"], &session["payment_intent"]),
        (&json!("paid"), &json!(intent))
    );
    let (_, list) = bench
        .get(&format!("/v1/refunds?payment_intent={intent}"))
        .await;
    assert_eq!(items(&list).len(), 1);
    let (_, list) = bench
        .get(&format!("/v1/checkout/sessions?payment_intent={intent}"))
        .await;
    assert_eq!(items(&list).len(), 1);
    assert_ne!(bench.session().await, text(&first["id"]));
    let journal = bench
        .client
        .get(format!("{}/_simulator/journal?kind=effect", bench.url))
        .send();
    let (_, journal) = answer(journal.await.expect("an answer")).await;
    assert!(journal.to_string().contains("refund.created"));
    let clock = bench
        .client
        .get(format!("{}/_simulator/clock", bench.url))
        .send()
        .await;
    assert_eq!(
        answer(clock.expect("an answer")).await.1["offset_seconds"],
        60
    );
    bench.control("/reset", json!({})).await;
    assert!(bench.events().await.is_empty());
    bench.simulator.stop().await;
}

#[tokio::test]
async fn webhooks_that_were_not_received_are_sent_after_a_restart() {
    let path = file("webhooks");
    let dead = SimulatorConfig {
        webhook_url: Some("http://127.0.0.1:9/".into()),
        ..config(&path)
    };
    let bench = Bench::with(dead).await;
    bench.paid("").await;
    bench.simulator.stop().await;
    let receiver = Receiver::start(&[]).await;
    let alive = SimulatorConfig {
        webhook_url: Some(receiver.url.clone()),
        ..config(&path)
    };
    let bench = Bench::with(alive).await;
    receiver.wait_for(4).await;
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_seed_gives_the_same_identifiers_and_a_taken_port_is_an_error() {
    let seeded = || SimulatorConfig {
        seed: Some(9),
        ..SimulatorConfig::default()
    };
    let (one, two) = (Bench::with(seeded()).await, Bench::with(seeded()).await);
    assert_eq!(one.session().await, two.session().await);
    let port = one
        .url
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let taken = SimulatorConfig {
        port,
        ..SimulatorConfig::default()
    };
    assert!(crate::simulator::Simulator::start(taken).await.is_err());
    tokio::join!(one.simulator.stop(), two.simulator.stop());
}
