//! Webhooks: signature, retries, faults.
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::harness::{Arrived, Bench, Receiver, items};
use crate::simulator::SimulatorConfig;

const COMPLETED: &str = "checkout.session.completed";

async fn pair(statuses: &[u16]) -> (Bench, Receiver) {
    pair_with(statuses, SimulatorConfig::default()).await
}

async fn pair_with(statuses: &[u16], config: SimulatorConfig) -> (Bench, Receiver) {
    let receiver = Receiver::start(statuses).await;
    let config = SimulatorConfig {
        webhook_url: Some(receiver.url.clone()),
        retry_schedule: [200, 3_600_000].map(Duration::from_millis).to_vec(),
        ..config
    };
    (Bench::with(config).await, receiver)
}

/// Computed here on its own, not by the code under test.
fn verifies(arrived: &Arrived, secret: &str) -> bool {
    let header = arrived.header("Stripe-Signature");
    let field = |name: &str| {
        let mut parts = header.split(',').filter_map(|part| part.split_once('='));
        parts
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{}.{}", field("t"), arrived.body).as_bytes());
    let wanted: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    wanted == field("v1")
}

#[tokio::test]
async fn an_endpoint_gets_the_types_it_enables_and_the_rest_is_listed() {
    let enabled = ["payment_intent.succeeded", "checkout.session.*"];
    let config = SimulatorConfig {
        enabled_events: Some(enabled.map(str::to_owned).to_vec()),
        ..SimulatorConfig::default()
    };
    let (bench, receiver) = pair_with(&[], config).await;
    let set = bench.control("/webhook", json!({})).await;
    assert_eq!(set["enabled_events"], json!(enabled));
    assert_eq!(set["url"], json!(receiver.url));
    bench.paid("").await;
    let mut kinds = receiver
        .wait_for(2)
        .await
        .iter()
        .map(Arrived::kind)
        .collect::<Vec<_>>();
    kinds.sort();
    assert_eq!(kinds, [COMPLETED, "payment_intent.succeeded"]);
    assert_eq!(bench.events().await.len(), 4);
    let none = bench
        .control("/webhook", json!({ "enabled_events": [] }))
        .await;
    assert_eq!(none["enabled_events"], json!([]));
    let (_, unheard, _) = bench.paid("").await;
    let all = json!({ "enabled_events": ["*"] });
    bench.control("/webhook", all).await;
    bench.paid("").await;
    let arrived = receiver.wait_for(6).await;
    assert!(arrived.iter().all(|one| !one.body.contains(&unheard)));
    let (_, listed) = bench.get("/v1/events?limit=100").await;
    let about_it = items(&listed)
        .iter()
        .filter(|event| event.to_string().contains(&unheard));
    assert_eq!(about_it.count(), 4);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn webhooks_are_signed_and_come_in_order() {
    let (bench, receiver) = pair(&[]).await;
    bench.paid("").await;
    let arrived = receiver.wait_for(4).await;
    let secret = bench.simulator.webhook_secret();
    assert!(arrived.iter().all(|one| verifies(one, &secret)));
    assert!(arrived.iter().all(|one| !verifies(one, "whsec_other")));
    assert!(arrived[0].header("User-Agent").starts_with("Stripe/1.0"));
    let completed = arrived
        .iter()
        .find(|one| one.kind() == COMPLETED)
        .expect("arrived")
        .event();
    assert_eq!(completed["data"]["object"]["payment_status"], "paid");
    assert_eq!(
        (&completed["object"], &completed["livemode"]),
        (&json!("event"), &json!(false))
    );
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_refused_webhook_is_sent_again_with_the_same_bytes() {
    let (bench, receiver) = pair(&[500]).await;
    bench.paid("").await;
    let arrived = receiver.wait_for(5).await;
    let again = arrived
        .iter()
        .filter(|one| one.body == arrived[0].body)
        .count();
    assert_eq!(again, 2);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn retries_follow_simulated_time() {
    let (bench, receiver) = pair(&[500, 500, 500, 500, 500, 500, 500, 500]).await;
    bench.paid("").await;
    receiver.wait_for(8).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(receiver.arrived().len(), 8);
    bench
        .control("/clock/advance", json!({ "seconds": 3600 }))
        .await;
    receiver.wait_for(12).await;
    bench.simulator.stop().await;
}

async fn with_fault(action: &str) -> (Bench, Vec<Arrived>) {
    let (bench, receiver) = pair(&[]).await;
    bench
        .control("/faults", json!({ "webhook": COMPLETED, "do": action }))
        .await;
    bench.paid("").await;
    let kinds = |arrived: &[Arrived]| arrived.iter().filter(|one| one.kind() == COMPLETED).count();
    receiver.wait_for(3).await;
    for _ in 0..50 {
        if kinds(&receiver.arrived()) > 0 && action != "duplicate:2" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let found = receiver
        .arrived()
        .into_iter()
        .filter(|one| one.kind() == COMPLETED)
        .collect();
    (bench, found)
}

#[tokio::test]
async fn a_dropped_webhook_never_comes_and_a_duplicated_one_comes_again() {
    let (bench, found) = with_fault("drop").await;
    assert!(found.is_empty());
    let script = bench
        .client
        .get(format!("{}/_simulator/faults", bench.url))
        .send()
        .await;
    let script: Value = script.expect("an answer").json().await.expect("JSON");
    assert_eq!(script["data"][0]["fired"], 1);
    bench.simulator.stop().await;
    let (bench, found) = with_fault("duplicate:2").await;
    assert_eq!(found.len(), 3);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn signatures_and_contents_can_be_false() {
    let (bench, found) = with_fault("forge").await;
    let secret = bench.simulator.webhook_secret();
    assert!(!verifies(&found[0], &secret));
    bench.simulator.stop().await;

    let (bench, found) = with_fault("old_secret").await;
    let settings = bench
        .client
        .get(format!("{}/_simulator/webhook", bench.url))
        .send()
        .await;
    let settings: Value = settings.expect("an answer").json().await.expect("JSON");
    assert!(verifies(
        &found[0],
        settings["old_secret"].as_str().expect("a secret")
    ));
    bench.simulator.stop().await;

    let (bench, found) = with_fault("wrong_amount").await;
    assert_eq!(found[0].event()["data"]["object"]["amount_total"], 2101);
    assert!(verifies(&found[0], &bench.simulator.webhook_secret()));
    bench.simulator.stop().await;

    let (bench, found) = with_fault("wrong_currency").await;
    assert_eq!(found[0].event()["data"]["object"]["currency"], "eur");
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_reordered_webhook_comes_after_the_next() {
    let (bench, receiver) = pair(&[]).await;
    bench
        .control(
            "/faults",
            json!({ "webhook": "payment_intent.created", "do": "reorder" }),
        )
        .await;
    bench.paid("").await;
    let kinds: Vec<_> = receiver
        .wait_for(4)
        .await
        .iter()
        .map(Arrived::kind)
        .collect();
    let at = kinds
        .iter()
        .position(|kind| kind == "payment_intent.created")
        .expect("arrived");
    assert!(at > 0, "{kinds:?}");
    bench.simulator.stop().await;
}

#[tokio::test]
async fn an_event_can_be_sent_again_by_hand() {
    let (bench, receiver) = pair(&[]).await;
    bench.paid("").await;
    let first = receiver.wait_for(4).await[0].event();
    let id = first["id"].as_str().expect("an id");
    bench
        .control(&format!("/events/{id}/resend"), json!({}))
        .await;
    assert_eq!(receiver.wait_for(5).await[4].event(), first);
    bench.simulator.stop().await;
}
