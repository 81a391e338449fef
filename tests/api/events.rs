//! The feed of events: oldest first, nothing skipped and nothing twice, however busy the shop is; people are in it only
//! as long as they are in the order.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scopes};

use crate::harness::database::postgres_server;
use crate::harness::{Actor, TestApp};

async fn page(actor: &Actor, query: &str) -> Value {
    let path = format!("/v1/events{query}");
    actor.get(&path).await.expect(200).json
}

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().expect("a list");
    data.iter()
        .map(|event| event["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Reads the feed from a place to its end.
async fn follow(actor: &Actor, mut after: Option<String>, limit: u64) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let cursor = after.as_ref().map(|id| format!("&after={id}"));
        let query = format!("?limit={limit}{}", cursor.unwrap_or_default());
        let page = page(actor, &query).await;
        seen.extend(ids(&page));
        after = seen.last().cloned().or(after);
        if page["has_more"] == false {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_an_orders_story_oldest_first() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    assert_eq!(
        page(&shop, "").await,
        json!({"object": "list", "data": [], "has_more": false, "url": "/v1/events"})
    );
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let event = app
        .provider_event("checkout.session.completed", &payable)
        .await;
    app.deliver(&event).await.expect(200);
    let before = page(&shop, "").await;
    app.work().await;
    let feed = page(&shop, "").await;
    match postgres_server() {
        Some(_) => assert!(ids(&before).is_empty(), "not placed yet"),
        None => assert_eq!(before, feed, "placed as they were inserted"),
    }
    let data = feed["data"].as_array().expect("a list");
    let types: Vec<&str> = data.iter().filter_map(|one| one["type"].as_str()).collect();
    assert_eq!(
        types,
        [
            "order.created",
            "payment.captured",
            "checkout_session.completed",
            "order.paid"
        ]
    );
    for (at, event) in data.iter().enumerate() {
        assert_eq!(event["object"], "event");
        assert_eq!(event["sequence"], at + 1);
        assert_eq!(event["order_id"], payable.order.as_str());
        assert_eq!(event["livemode"], false);
        assert_eq!(event["created_at"], event["timestamp"]);
        let path = format!("/v1/events/{}", event["id"].as_str().expect("an id"));
        assert_eq!(&shop.get(&path).await.expect(200).json, event);
    }
    let paid = &data[3]["data"]["object"];
    assert_eq!(paid["object"], "order");
    assert_eq!(paid["payment_status"], "paid");
    assert_eq!(paid["customer"]["email"], "ada@example.com");
    assert_eq!(
        data[0]["data"]["object"]["payment_status"], "unpaid",
        "as it was"
    );
    // Nothing of it is stored with the event, and what is erased is gone from it.
    assert_eq!(
        app.count("SELECT COUNT(*) FROM event WHERE data LIKE '%ada@example.com%'")
            .await,
        0
    );
    let look = app.look().await;
    let erase = "UPDATE \"order\" SET customer_email = NULL, customer_name = NULL";
    look.execute_unprepared(erase).await.expect(erase);
    look.close().await.expect("closes");
    let feed = page(&shop, "").await;
    assert_eq!(
        feed["data"][3]["data"]["object"]["customer"],
        json!({"email": null, "name": null})
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_meet_every_event_once_whatever_their_size() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..23 {
        shop.place_order().await;
    }
    app.work().await;
    let all = follow(&shop, None, 100).await;
    assert_eq!(all.len(), 23);
    for limit in [1, 2, 7, 22, 23] {
        assert_eq!(follow(&shop, None, limit).await, all, "{limit}");
    }
    let rest = follow(&shop, Some(all[10].clone()), 5).await;
    assert_eq!(rest, all[11..]);
    for query in [
        "?after=evt_x",
        "?after=evt_01kq8rm5ahf2aaemq4p7v9w0xd",
        "?limit=0",
        "?limit=101",
        "?starting_after=x",
    ] {
        let refused = shop.get(&format!("/v1/events{query}")).await;
        refused.problem(422, "invalid_request");
    }
    // Another shop's feed is its own, and its events are no places in this one.
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    assert!(follow(&other, None, 10).await.is_empty());
    let refused = other.get(&format!("/v1/events?after={}", all[0])).await;
    let absent = other
        .get("/v1/events?after=evt_01kq8rm5ahf2aaemq4p7v9w0xd")
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json["errors"], absent.json["errors"]);
    // One that has no place yet is the end of the feed.
    let order = shop.place_order().await.str("id").to_owned();
    let look = app.look().await;
    let unplace = format!("UPDATE event SET position = NULL WHERE order_id = '{order}'");
    look.execute_unprepared(&unplace).await.expect(&unplace);
    look.close().await.expect("closes");
    let unplaced = app
        .texts(&format!("SELECT id FROM event WHERE order_id = '{order}'"))
        .await;
    assert!(
        follow(&shop, Some(unplaced[0].clone()), 10)
            .await
            .is_empty()
    );
    let path = format!("/v1/events/{}", unplaced[0]);
    assert_eq!(
        shop.get(&path).await.expect(200).str("type"),
        "order.created"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_skips_nothing_while_many_write() {
    let app = TestApp::start().await;
    let shop = app.merchant().await;
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let shop = shop.clone();
        writers.spawn(async move {
            for _ in 0..EACH {
                shop.place_order().await;
            }
        });
    }
    let mut seen: Vec<String> = Vec::new();
    let give_up = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while seen.len() < WRITERS * EACH {
        assert!(tokio::time::Instant::now() < give_up, "{} seen", seen.len());
        let new = follow(&shop, seen.last().cloned(), 7).await;
        seen.extend(new);
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "nothing twice");
    let all = follow(&shop, None, 100).await;
    assert_eq!(seen, all, "and in the same order as whoever reads later");
    app.finish().await;
}
