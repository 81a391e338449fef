//! A provider that does not answer: callers are told at once, nothing is lost, and it heals by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::actor::{checkout_body, fresh_key};
use crate::harness::{Setup, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_provider_takes_nothing_else_down() {
    let mut app = TestApp::with(Setup {
        provider_url: Some("http://127.0.0.1:1".to_owned()),
        ..Setup::default()
    })
    .await;
    let shop = app.merchant().await;
    for _ in 0..8 {
        let order = shop.place_order().await.str("id").to_owned();
        shop.check_out(&order).await.expect(202);
    }
    let order = shop.place_order().await.str("id").to_owned();
    let keys = app.keys_stored().await;
    let began = Instant::now();
    let refused = shop.check_out(&order).await;
    let refused = refused.problem(503, "provider_unavailable");
    assert!(refused.header("retry-after").is_some());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(app.keys_stored().await, keys, "no key was burnt");
    shop.get(&format!("/v1/orders/{order}")).await.expect(200);
    // The workers leave it alone, too: one probe when the pause is over.
    let tries = "SELECT COUNT(*) FROM provider_attempt";
    let before = app.count(tries).await;
    app.work().await;
    assert_eq!(app.count(tries).await, before);
    app.clock.advance(2_500);
    app.work().await;
    assert_eq!(app.count(tries).await, before + 1);
    app.expect_open_calls();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_is_back_everything_that_waited_is_due() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    app.fault(json!({"on": "checkout.session.create", "do": "status:503", "times": "always"}))
        .await;
    for _ in 0..8 {
        let order = shop.place_order().await.str("id").to_owned();
        shop.check_out(&order).await.expect(202);
    }
    // An outage of half an hour: what is tried backs off for longer and longer.
    for _ in 0..30 {
        app.advance(61).await;
        app.work().await;
    }
    app.heal().await;
    app.advance(61).await;
    app.work().await;
    let open = "SELECT COUNT(*) FROM checkout_session WHERE status = 'open'";
    assert_eq!(app.count(open).await, 8);
    assert_eq!(app.effects("checkout.session.created").await.len(), 8);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_stays_unknown_is_given_up_for_a_new_wish() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "status:503", "times": "always"}))
        .await;
    let path = format!("/v1/orders/{order}/checkout_sessions");
    let first_key = fresh_key();
    let first = shop
        .post_with_key(&path, &first_key, &checkout_body())
        .await;
    let first = first.expect(202).str("id").to_owned();
    for seconds in [3, 6] {
        app.advance(seconds).await;
        app.work().await;
    }
    let joined = shop.check_out(&order).await.expect(202);
    assert_eq!(joined.str("id"), first, "not yet");
    app.heal().await;
    app.clock.advance(60_000);
    let second = shop.check_out(&order).await.expect(201);
    assert_ne!(second.str("id"), first);
    assert_eq!(shop.session(&first).await["status"], "failed");
    shop.post_with_key(&path, &first_key, &checkout_body())
        .await
        .problem(502, "provider_rejected");
    app.finish().await;
}
