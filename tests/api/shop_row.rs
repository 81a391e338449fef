//! A shop's row is where its order numbers, its feed and its catalogue count on. On PostgreSQL nobody holds it for longer
//! than it takes to count, and whoever does keeps only that shop waiting. On SQLite there is one lock for everything.

use sea_orm::ConnectionTrait as _;
use serde_json::json;
use till::domain::access::{KeyKind, Mode, Scopes};
use till::domain::catalogue::{Coverage, NewProduct};
use till::domain::currency::Currency;
use till::domain::money::Money;
use till::service::catalogue;

use crate::harness::database::postgres_server;
use crate::harness::{Actor, TestApp, eventually};

/// Waits until so many transactions wait for a lock.
async fn until_waiting(app: &TestApp, wanted: i64) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
    let holds = async || app.count(waiting).await == wanted;
    eventually("who waits for a lock", holds).await;
}

fn lock_of(app: &TestApp) -> String {
    let id = app.shop.id;
    format!("SELECT id FROM shop WHERE id = '{id}' FOR NO KEY UPDATE")
}

async fn another(app: &TestApp) -> Actor {
    let other = app.another_shop("other", Mode::Test).await;
    app.actor(&other, KeyKind::Secret, Scopes::all()).await
}

async fn places_in_feed(shop: &Actor) -> usize {
    let feed = shop.get("/v1/events").await.expect(200);
    feed.json["data"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_waits_for_its_numbers_keeps_no_other_from_its_own() {
    if postgres_server().is_none() {
        return;
    }
    let app = TestApp::quiet().await;
    let (shop, other) = (app.merchant().await, another(&app).await);
    let held = app.hold_by(&lock_of(&app)).await;
    let waits = tokio::spawn(async move { shop.place_order().await.str("number").to_owned() });
    until_waiting(&app, 1).await;
    // Only now: had it waited for the first one, nothing would ever go on.
    assert_eq!(other.place_order().await.str("number"), "1001");
    held.release().await;
    assert_eq!(waits.await.expect("placed"), "1001");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_under_way_leaves_numbers_and_feed_alone() {
    if postgres_server().is_none() {
        return;
    }
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    // Somebody adds the same product, and has not said yet whether he means it.
    let theirs = format!(
        "INSERT INTO product (id, shop_id, sku, name, tax_category, active, created_at, updated_at) \
         VALUES ('p', '{}', 'new', 'Theirs', 'standard', TRUE, 0, 0)",
        app.shop.id
    );
    let held = app.hold_by(&theirs).await;
    let (store, id) = (app.services.store.clone(), app.shop.id);
    let import = tokio::spawn(async move {
        let euros = |cents| Money::new(cents, Currency::from_code("EUR").expect("EUR"));
        let file = ["mug", "new"].map(|sku| NewProduct::new(sku, "Ours", vec![euros(100)]));
        catalogue::import(&store, id, &file, Coverage::Everything, false).await
    });
    until_waiting(&app, 1).await;
    let look = app.look().await;
    let free = lock_of(&app) + " NOWAIT";
    look.execute_unprepared(&free).await.expect("a free row");
    look.close().await.expect("closes");
    assert_eq!(shop.place_order().await.json["total"], "25.00");
    app.work().await;
    assert_eq!(places_in_feed(&shop).await, 1);
    held.release().await;
    let done = import.await.expect("no panic").expect("imported");
    assert_eq!(
        (done.created, done.changed),
        (vec!["new".to_owned()], vec!["mug".to_owned()])
    );
    assert_eq!(
        shop.place_order().await.json["total"],
        "2.00",
        "priced anew"
    );
    let ours = shop.get("/v1/products/new").await.expect(200);
    assert_eq!(ours.json["prices"], json!({"EUR": "1.00"}));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_locked_keeps_no_other_waiting() {
    if postgres_server().is_none() {
        return;
    }
    let app = TestApp::quiet().await;
    let (shop, other) = (app.merchant().await, another(&app).await);
    for one in [&shop, &other] {
        one.place_order().await;
    }
    let held = app.hold_by(&lock_of(&app)).await;
    app.work().await;
    let places = (places_in_feed(&shop).await, places_in_feed(&other).await);
    assert_eq!(places, (0, 1));
    held.release().await;
    app.work().await;
    assert_eq!(places_in_feed(&shop).await, 1);
    app.finish().await;
}
