//! A provider of which three calls in ten and three webhooks in ten go wrong. Once it is quiet again, both sides
//! must agree to the cent.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::shopper::{Promised, Shopper};
use super::size;
use crate::harness::Phoenix;
use crate::harness::agreement::differences;
use crate::harness::random::Random;

const AT_ONCE: usize = 16;
/// The share that goes wrong.
const FAULTY: f64 = 0.3;
const QUIET: Duration = Duration::from_secs(60);

/// What goes wrong with any call.
const CALLS: [&str; 12] = [
    "timeout_after_commit",
    "timeout_before",
    "reset_mid_response",
    "status:500",
    "status:503",
    "status:429",
    "status:500_after_commit",
    "truncate",
    "slow_drip",
    "garbage",
    "redirect",
    "delay:150",
];
/// What goes wrong with calls that change something only: an object that is shown wrongly when it is asked for
/// has nothing left to be checked against.
const CHANGES: [&str; 2] = ["wrong_amount", "wrong_currency"];
const WEBHOOKS: [&str; 8] = [
    "drop",
    "duplicate:2",
    "delay:700",
    "reorder",
    "old_secret",
    "forge",
    "wrong_amount",
    "wrong_currency",
];

/// A script in which each call and each webhook goes wrong with the share wanted, in shares drawn by chance.
fn script(random: &mut Random) -> Value {
    let mut lines = Vec::new();
    let mut draw = |aim: &str, on: &str, actions: &[&str]| {
        let weights: Vec<u64> = actions.iter().map(|_| 1 + random.below(9)).collect();
        let sum: u64 = weights.iter().sum();
        // A line is asked only when none before it fired.
        let mut left = 1.0;
        for (action, weight) in actions.iter().zip(weights) {
            let share = FAULTY * number(weight) / number(sum);
            let probability = share / left;
            left -= share;
            lines.push(
                json!({aim: on, "times": "always", "probability": probability, "do": action}),
            );
        }
    };
    let changes = [&CALLS[..], &CHANGES[..]].concat();
    draw("on", "checkout.session.create", &changes);
    draw("on", "refund.create", &changes);
    draw("on", "checkout.session.retrieve", &CALLS);
    draw("on", "payment_intent.*", &CALLS);
    draw("on", "refund.list", &CALLS);
    draw("webhook", "*", &WEBHOOKS);
    json!({"faults": lines})
}

fn number(whole: u64) -> f64 {
    f64::from(u32::try_from(whole).expect("small"))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_agree_once_a_faulty_provider_is_quiet_again() {
    let (checkouts, refunds) = (size(60, 2_000), size(15, 500));
    let mut random = Random::announced("chaos");
    let seed = random.next().to_string();
    let phoenix = Phoenix::new(
        &[
            ("TILL_PROVIDERS__STRIPE__TIMEOUT_MS", "500"),
            ("TILL_HTTP__SESSIONS_PER_ORDER", "1000"),
        ],
        &["--seed", &seed],
    )
    .await
    .patient(Duration::from_secs(90));
    let faults = script(&mut random);
    let set = phoenix.provider.post("/_simulator/faults", &faults);
    set.await.expect(200);
    let promised = Promised::default();
    let shopper = Shopper {
        house: &phoenix,
        promised: &promised,
    };
    let began = Instant::now();
    let trips = stream::iter(0..checkouts)
        .for_each_concurrent(AT_ONCE, |trip| shopper.trip(trip < refunds));
    tokio::select! {
        () = trips => {}
        () = time_flies(&phoenix) => {}
    }
    let stormed = began.elapsed();
    let fired = phoenix.provider.get("/_simulator/faults").await.expect(200);
    let fired: u64 = fired["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|fault| fault["fired"].as_u64())
        .sum();
    phoenix.provider.delete("/_simulator/faults").await;
    let quiet = Instant::now();
    let (mut apart, mut broken) = (differences(&phoenix).await, promised.broken(&phoenix).await);
    while !(apart.none() && broken.is_empty()) && quiet.elapsed() < QUIET {
        phoenix.sandbox.waiting_ends_sooner().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (apart, broken) = (differences(&phoenix).await, promised.broken(&phoenix).await);
    }
    println!(
        "chaos: {checkouts} checkouts and {refunds} refunds in {stormed:?}, {fired} faults; {apart}; promises \
         not kept {}; quiet after {:?}; HTTP 500 {}; answers {:?}",
        broken.len(),
        quiet.elapsed(),
        promised.answered(500),
        promised.statuses.lock().expect("not poisoned"),
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(apart.none(), "{apart}");
    assert_eq!(promised.answered(500), 0, "HTTP 500");
    assert_eq!(phoenix.deaths(), 0, "it went on");
    phoenix.verify().await;
}

/// Whatever waits for its next try waits a second for every half minute, and a call without an outcome one for every
/// hour: seven tries in a row that go wrong are not rare among so many.
async fn time_flies(phoenix: &Phoenix) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        phoenix.sandbox.waiting_ends_sooner().await;
        phoenix.sandbox.unknown_calls_wait_an_hour_less().await;
    }
}
