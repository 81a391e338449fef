//! Sends webhooks: signed anew on each try, the same bytes, retried until they are answered with 2xx.
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, redirect};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::faults::{Action, Fired};
use super::http::distort;
use super::journal::{Entry, EntryKind};
use super::outbox::Delivery;
use super::shared::Shared;
use super::world::World;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 32;
/// How long `reorder` waits for another webhook to go first.
const HOLD_MS: u64 = 5_000;
/// How often time is looked at when nothing wakes the sender: sessions expire by it, too.
const TICK: Duration = Duration::from_millis(200);

/// The HTTP client for webhooks.
pub fn client() -> reqwest::Result<Client> {
    Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent("Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .build()
}

/// Sends what is due until the simulator stops; what was not sent stays in the state file.
pub async fn run(shared: Arc<Shared>, client: Client) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let tasks = TaskTracker::new();
    loop {
        let Some(slot) = slot(&shared, &slots).await else {
            break;
        };
        match shared.with(next) {
            Some(parcel) => {
                tasks.spawn(deliver(shared.clone(), client.clone(), parcel, slot));
            }
            None => {
                drop(slot);
                let pause = shared.with(pause);
                tokio::select! {
                    () = shared.stop.cancelled() => break,
                    () = shared.wake.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn slot(shared: &Shared, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        () = shared.stop.cancelled() => None,
        slot = slots.clone().acquire_owned() => slot.ok(),
    }
}

/// How long there is nothing to send, at most a tick.
fn pause(world: &mut World) -> Duration {
    let now = world.clock.now_ms();
    let due = world.outbox.next_due_ms().unwrap_or(u64::MAX);
    Duration::from_millis(due.saturating_sub(now).max(1)).min(TICK)
}

/// Everything that a try needs, so that it holds no lock.
struct Parcel {
    delivery: Delivery,
    kind: String,
    body: String,
    url: String,
    secret: String,
    timestamp: i64,
    fault: Option<Fired>,
}

/// The next webhook to send, after faults had their say.
fn next(world: &mut World) -> Option<Parcel> {
    loop {
        let now = world.clock.now_ms();
        let delivery = world.outbox.take_due(now)?;
        let event = world
            .events
            .get(&delivery.event)
            .map(|e| (e.kind.clone(), e.body.clone()));
        let (Some((kind, body)), Some(url)) = (event, world.meta.webhook_url.clone()) else {
            world.drop_delivery(delivery.id);
            continue;
        };
        let fault = if delivery.exempt {
            None
        } else {
            world.faults.on_webhook(&kind)
        };
        let Some(fault) = divert(world, &delivery, &kind, fault, now) else {
            continue;
        };
        let mut secret = world.meta.webhook_secret.clone();
        let mut body = body;
        match fault.as_ref().map(|fault| fault.action) {
            Some(Action::OldSecret) => secret = world.meta.old_secret.clone(),
            Some(Action::Forge) => secret = world.ids.token("whsec_", 32),
            Some(action @ (Action::WrongAmount | Action::WrongCurrency)) => {
                body = falsified(&body, action);
            }
            _ => {}
        }
        let timestamp = world.clock.now();
        return Some(Parcel {
            delivery,
            kind,
            body,
            url,
            secret,
            timestamp,
            fault,
        });
    }
}

/// Carries out faults that change whether and when a webhook is sent. `None`: not now.
#[expect(
    clippy::option_option,
    reason = "whether to send, and with which fault"
)]
fn divert(
    world: &mut World,
    delivery: &Delivery,
    kind: &str,
    fault: Option<Fired>,
    now: u64,
) -> Option<Option<Fired>> {
    let Some(fired) = fault else {
        return Some(None);
    };
    let later = |due_ms| Delivery {
        due_ms,
        exempt: true,
        ..delivery.clone()
    };
    match fired.action {
        Action::Drop => world.drop_delivery(delivery.id),
        Action::Delay(ms) => world.keep_delivery(later(now.saturating_add(ms))),
        Action::Reorder => world.outbox.hold(later(now.saturating_add(HOLD_MS))),
        Action::Duplicate(copies) => {
            for _ in 0..copies {
                world.deliver(&delivery.event, now, true);
            }
            return Some(Some(fired));
        }
        _ => return Some(Some(fired)),
    }
    let entry = Entry {
        fault: Some(fired.text),
        ..webhook_entry(world, delivery, kind)
    };
    world.journal.add(entry);
    None
}

fn webhook_entry(world: &World, delivery: &Delivery, kind: &str) -> Entry {
    Entry {
        event_id: Some(delivery.event.clone()),
        event_type: Some(kind.to_owned()),
        attempt: Some(delivery.attempt),
        ..world.entry(EntryKind::Webhook)
    }
}

fn falsified(body: &str, action: Action) -> String {
    let mut event: Value = serde_json::from_str(body).expect("the body was written from JSON");
    distort::falsify(&mut event["data"]["object"], action);
    event.to_string()
}

/// One try.
async fn deliver(shared: Arc<Shared>, client: Client, parcel: Parcel, slot: OwnedSemaphorePermit) {
    let signature = sign(&parcel.secret, parcel.timestamp, &parcel.body);
    let sent = client
        .post(&parcel.url)
        .header("Content-Type", "application/json; charset=utf-8")
        .header(
            "Stripe-Signature",
            format!("t={},v1={signature}", parcel.timestamp),
        )
        .body(parcel.body.clone())
        .send();
    let answer = tokio::select! {
        answer = sent => answer,
        // Not tried to the end: it stays in the outbox and is tried again after the restart.
        () = shared.stop.cancelled() => return,
    };
    shared.with(|world| {
        let (status, error) = match answer {
            Ok(response) => (Some(response.status().as_u16()), None),
            Err(error) => (None, Some(error.without_url().to_string())),
        };
        let entry = Entry {
            status,
            error,
            fault: parcel.fault.map(|fault| fault.text),
            ..webhook_entry(world, &parcel.delivery, &parcel.kind)
        };
        world.journal.add(entry);
        let received = status.is_some_and(|status| (200..300).contains(&status));
        settle(world, parcel.delivery, received);
    });
    drop(slot);
    shared.wake.notify_one();
}

fn settle(world: &mut World, delivery: Delivery, received: bool) {
    let now = world.clock.now_ms();
    world.outbox.release_held(now);
    let tries = usize::try_from(delivery.attempt).unwrap_or(usize::MAX);
    let wait = world.config.retry_schedule.get(tries - 1).copied();
    match wait {
        Some(wait) if !received && !delivery.copy => {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let due_ms = now.saturating_add(wait_ms);
            let attempt = delivery.attempt + 1;
            world.keep_delivery(Delivery {
                due_ms,
                attempt,
                exempt: false,
                ..delivery
            });
        }
        _ => world.drop_delivery(delivery.id),
    }
}

/// `v1` of `Stripe-Signature`: HMAC-SHA256 with the whole secret text as key.
pub fn sign(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
