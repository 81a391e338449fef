//! The walk: the server is killed before and after every commit and every network step, started again, and the
//! client repeats its requests with their keys. The end must be the one without the crash.
//!
//! Each step belongs to a story that reaches it. A story is first told without a crash; then once for every
//! point of its steps, with a new order on the same database. What the shop, the provider and the event log show
//! of that order must be what the first telling left, the process must have died exactly once, and no key may
//! have had an effect twice at the provider.

mod desk;
mod stories;

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use till::store::failpoint::Failpoint;

use crate::harness::Phoenix;
use stories::{STORIES, Story, Told, story_of};

/// How many stories are told at once, each to a server of its own.
const AT_ONCE: usize = 4;
/// How long an order may take to look as it would have without the crash.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is left of a story, without ids and times.
async fn end_state(phoenix: &Phoenix, told: &Told, since: u64) -> Value {
    let id = &told.order;
    let of_this_order = |what: &str| format!("/v1/{what}?order_id={id}&limit=100");
    let order = phoenix.get(&format!("/v1/orders/{id}")).await;
    let payments = phoenix.get(&of_this_order("payments")).await;
    let refunds = phoenix.get(&of_this_order("refunds")).await;
    let session = match &told.session {
        Some(session) => {
            let session = phoenix
                .get(&format!("/v1/checkout_sessions/{session}"))
                .await;
            picked(&session, &["status", "amount", "capture"])
        }
        None => Value::Null,
    };
    let events = format!("SELECT type FROM event WHERE order_id = '{id}' ORDER BY type");
    let ledger = format!(
        "SELECT a.name || ' ' || CAST(SUM(e.debit_minor) - SUM(e.credit_minor) AS TEXT) FROM ledger_entry e \
         JOIN ledger_account a ON a.id = e.ledger_account_id WHERE e.order_id = '{id}' \
         GROUP BY a.name ORDER BY a.name"
    );
    let open = format!(
        "SELECT kind || ' ' || status FROM provider_call WHERE order_id = '{id}' ORDER BY kind"
    );
    let unplaced = format!(
        "SELECT COUNT(*) || ' without a place' FROM event WHERE order_id = '{id}' AND position IS NULL"
    );
    let unindexed =
        format!("SELECT term FROM order_term WHERE order_id = '{id}' AND term = '{id}'");
    let effects = phoenix.effects(since).await;
    let mut effects: Vec<&str> = effects
        .iter()
        .filter_map(|e| e["effect"].as_str())
        .collect();
    effects.sort_unstable();
    let order_fields = [
        "status",
        "payment_status",
        "fulfilment_status",
        "review",
        "total",
        "amount_authorized",
        "amount_paid",
        "amount_refunded",
        "amount_disputed",
    ];
    let payment_fields = [
        "status",
        "amount",
        "amount_captured",
        "amount_refunded",
        "failure_code",
    ];
    let refund_fields = ["status", "amount", "reason", "failure_reason"];
    json!({
        "order": picked(&order, &order_fields),
        "session": session,
        "payments": list(&payments, &payment_fields),
        "refunds": list(&refunds, &refund_fields),
        "events": phoenix.sandbox.texts(&events).await,
        "ledger": phoenix.sandbox.texts(&ledger).await,
        "calls": phoenix.sandbox.texts(&open).await,
        "feed": phoenix.sandbox.texts(&unplaced).await,
        "search": phoenix.sandbox.texts(&unindexed).await.len(),
        "at_the_provider": effects,
    })
}

fn picked(object: &Value, fields: &[&str]) -> Value {
    let pairs = fields
        .iter()
        .map(|field| ((*field).to_owned(), object[field].clone()));
    Value::Object(pairs.collect())
}

fn list(list: &Value, fields: &[&str]) -> Vec<Value> {
    let data = list["data"].as_array().expect("a list");
    data.iter().map(|object| picked(object, fields)).collect()
}

/// Tells a story and returns what it leaves, once that is `expected`, or once it has settled.
async fn tell(phoenix: &Phoenix, story: Story, expected: Option<&Value>) -> Value {
    let effects = phoenix.effects(0).await;
    let since = effects
        .last()
        .and_then(|entry| entry["seq"].as_u64())
        .unwrap_or(0);
    let told = story.tell(phoenix).await;
    phoenix.provider.delete("/_simulator/faults").await;
    let give_up = Instant::now() + PATIENCE;
    let mut last = end_state(phoenix, &told, since).await;
    let mut same = 0;
    loop {
        let done = match expected {
            Some(expected) => *expected == last,
            None => same >= 8 && !under_way(&last),
        };
        if done || Instant::now() > give_up {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = end_state(phoenix, &told, since).await;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
}

/// Whether a call has no outcome yet: the caller may have its answer before, by a webhook.
fn under_way(state: &Value) -> bool {
    let calls = state["calls"].as_array().into_iter().flatten();
    let mut calls = calls.filter_map(Value::as_str);
    calls.any(|call| call.ends_with(" unknown") || call.ends_with(" sending"))
}

/// Crashes at every point of a story's steps; returns how many, and what went otherwise than without a crash.
async fn walk(story: Story) -> (usize, Vec<String>) {
    let phoenix = Phoenix::new(&[], &[]).await;
    let expected = tell(&phoenix, story, None).await;
    assert_eq!(phoenix.deaths(), 0, "{story:?} without a crash");
    phoenix.verify().await;
    let points: Vec<Failpoint> = Failpoint::all()
        .filter(|point| story_of(point.step()) == story)
        .collect();
    let mut wrong = Vec::new();
    for point in &points {
        let name = point.as_str();
        let deaths = phoenix.deaths();
        phoenix.armed(name).await;
        let left = tell(&phoenix, story, Some(&expected)).await;
        // A loop may be the only one to come by, after the client has its answer.
        let give_up = Instant::now() + Duration::from_secs(5);
        while phoenix.deaths() == deaths && Instant::now() < give_up {
            phoenix.rise().await;
        }
        if phoenix.deaths() != deaths + 1 {
            let died = phoenix.deaths() - deaths;
            wrong.push(format!("{story:?} reached {name} {died} times"));
        }
        if left != expected {
            wrong.push(format!(
                "killed at {name}:\n  left     {left}\n  expected {expected}"
            ));
        }
    }
    phoenix.verify().await;
    (points.len(), wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_changes_nothing_in_the_end() {
    if !cfg!(feature = "failpoints") {
        return;
    }
    let began = Instant::now();
    let walked: Vec<(usize, Vec<String>)> = stream::iter(STORIES)
        .map(|story| async move {
            let began = Instant::now();
            let walked = walk(story).await;
            println!("{story:?}: {} points in {:?}", walked.0, began.elapsed());
            walked
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let points: usize = walked.iter().map(|(points, _)| points).sum();
    let wrong: Vec<String> = walked.into_iter().flat_map(|(_, wrong)| wrong).collect();
    println!(
        "killed at {points} points in {:?}; ended otherwise: {}",
        began.elapsed(),
        wrong.len()
    );
    assert_eq!(
        points,
        Failpoint::all().count(),
        "a point that no story reaches"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
