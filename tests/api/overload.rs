//! More than may wait: they are told at once, nothing is done for them, and the others are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use till::service::ServiceError;
use till::store::{Placed, StoreError};

use crate::batching::{command, in_sets, in_sets_on, paid_at_provider, somebody_elses, together};
use crate::harness::actor::{fresh_key, two_mugs};
use crate::harness::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn what_would_wait_too_long_is_turned_away_at_once() {
    let app = in_sets(64).await;
    let commands = (0..2_100).map(|_| command(&app, &fresh_key(), None, "mug"));
    let outcomes = together(&app, commands.collect()).await;
    let placed = outcomes
        .iter()
        .filter(|one| matches!(one, Ok(Placed::New(_))));
    let refused = outcomes
        .iter()
        .filter(|one| matches!(one, Err(StoreError::Full)));
    let (placed, refused) = (placed.count(), refused.count());
    assert_eq!(placed + refused, 2_100, "nothing else happens to any");
    // Some find a number at hand, and wait for their set instead of for a number.
    assert!(
        refused > 0 && placed >= 512,
        "{placed} placed, {refused} refused"
    );
    app.finish().await;
}

/// More than may wait, of orders and of webhooks each.
const CROWD: usize = 1_000;

/// By those who come over HTTP while others wait and nobody may write.
#[tokio::test(flavor = "multi_thread")]
async fn who_finds_a_crowd_is_refused_before_anything_is_done_and_served_right_afterwards() {
    // More connections than can wait for the lock: numbers and prices are to be had.
    let app = in_sets_on(8, 16).await;
    let shop = app.merchant().await;
    let (_, events) = paid_at_provider(&app, 1).await;
    let unknown = |number| {
        let mut event = somebody_elses(&events[0], number);
        event["id"] = json!(format!("evt_{number}"));
        event
    };
    let before = app.keys_stored().await;
    let held = app
        .hold_by("LOCK TABLE \"order\", idempotency_key, provider_event IN SHARE MODE")
        .await;
    let refused = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let (services, turned) = (app.services.clone(), Arc::clone(&refused));
        let order = command(&app, &fresh_key(), None, "mug");
        crowd.push(tokio::spawn(async move {
            let placed = services.store.place_order(order).await;
            let full = matches!(placed, Err(StoreError::Full));
            assert!(full || placed.is_ok(), "{placed:?}");
            turned[0].fetch_add(usize::from(full), Ordering::SeqCst);
        }));
        let (services, turned) = (app.services.clone(), Arc::clone(&refused));
        let body = serde_json::to_vec(&unknown(number)).expect("JSON");
        let signature = app.signed(&body);
        crowd.push(tokio::spawn(async move {
            let taken = services.receive_webhook(Some(&signature), body, "crowd");
            let full = match taken.await {
                Ok(_) => false,
                Err(ServiceError::Store(StoreError::Full)) => true,
                Err(other) => panic!("{other:?}"),
            };
            turned[1].fetch_add(usize::from(full), Ordering::SeqCst);
        }));
    }
    eventually("some of each were refused", async || {
        refused.iter().all(|one| one.load(Ordering::SeqCst) > 0)
    })
    .await;
    let key = fresh_key();
    let webhook = unknown(CROWD);
    let order = shop.post_with_key("/v1/orders", &key, &two_mugs()).await;
    for answer in [order, app.deliver(&webhook).await] {
        let answer = answer.problem(503, "overloaded");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    held.release().await;
    // The queues are as good as empty when the last of the crowd has its answer.
    for one in crowd {
        one.await.expect("taken or refused");
    }
    let [orders, webhooks] = [0, 1].map(|of: usize| CROWD - refused[of].load(Ordering::SeqCst));
    for (taken, most) in [(orders, 2 * 512), (webhooks, 512 + 3 * 8)] {
        assert!(taken >= 512 && taken <= most, "{taken}");
    }
    let stored = app.keys_stored().await - before;
    assert_eq!(
        usize::try_from(stored).expect("some"),
        orders,
        "no key more"
    );
    let kept = app.count("SELECT COUNT(*) FROM provider_event").await;
    assert_eq!(
        usize::try_from(kept).expect("some"),
        webhooks,
        "no event more"
    );
    let order = shop.post_with_key("/v1/orders", &key, &two_mugs()).await;
    order.expect(201);
    app.deliver(&webhook).await.expect(200);
    app.finish().await;
}
