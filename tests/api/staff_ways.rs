//! Where pages lead: each open problem of the overview to the list of just what it counts, and a replay that stopped
//! early to where it goes on.

use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::{Value, json};
use till::domain::staff::Role;

use crate::harness::TestApp;
use crate::harness::actor::{checkout_body, fresh_key};
use crate::replay::left;
use crate::staff_money::{at, unapplied};

/// What an address in a page stands for.
fn address(text: &str) -> String {
    text.replace("&amp;", "&").replace("&#38;", "&")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_problem_of_calls_leads_to_the_calls_it_counts() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    app.fault(json!({"on": "checkout.session.create", "do": "status:500", "times": "always"}))
        .await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = shop.place_order().await.str("id").to_owned();
        let path = format!("/v1/orders/{order}/checkout_sessions");
        shop.post(&path, &checkout_body()).await.expect(202);
        orders.push(order);
    }
    // One was tried once, one often without an outcome, and one is on its way for the fourth time.
    let look = app.look().await;
    for (order, status, tries) in [(0, "unknown", 1), (1, "unknown", 3), (2, "sending", 4)] {
        let sql = format!(
            "UPDATE provider_call SET status = '{status}', attempt_count = {tries}, \
             next_at = next_at + 86400000 WHERE order_id = '{}'",
            orders[order]
        );
        look.execute_unprepared(&sql).await.expect(&sql);
    }
    look.close().await.expect("closes");
    let viewer = app.person(Role::Viewer).await;
    let overview = address(&viewer.get(&at(&app, "")).await.expect(200).text);
    for (words, wanted) in [
        ("Calls whose outcome is unknown", vec![0, 1]),
        ("Calls tried three times and more", vec![1, 2]),
    ] {
        let (before, _) = overview.split_once(words).expect(words);
        let (_, link) = before.rsplit_once("href=\"").expect("a link");
        let link = link.split('"').next().expect("its end");
        let list = viewer.get(link).await.expect(200).text;
        for (at, order) in orders.iter().enumerate() {
            assert_eq!(
                list.contains(&format!("orders/{order}")),
                wanted.contains(&at),
                "{words}: {link} and {at}"
            );
        }
    }
    app.expect_broken();
    app.finish().await;
}

/// Money with our mark whose order nobody knows: it is told as that, not as one webhook among others.
#[tokio::test(flavor = "multi_thread")]
async fn money_no_order_knows_has_a_line_and_a_list_of_its_own() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, mut lost) = unapplied(&app, &shop).await;
    let object = &mut lost["data"]["object"];
    object["id"] = json!("cs_test_lost");
    object["payment_intent"] = json!("pi_lost");
    object["metadata"]["till_session"] = json!("cs_01kq8rm5ahf2aaemq4p7v9w0xd");
    app.deliver(&lost).await.expect(200);
    let (_, other) = unapplied(&app, &shop).await;
    left(&app, &other, "dead").await;
    let viewer = app.person(Role::Viewer).await;
    let line = "Payments with our mark that no order is known for";
    let overview = viewer.get(&at(&app, "")).await.expect(200).text;
    assert!(!overview.contains(line), "it may still be told of");
    app.advance(25 * 3_600).await;
    app.work().await;
    assert_eq!(app.verdict(&lost).await, "dead order_unknown");
    let viewer = app.person(Role::Viewer).await;
    let overview = address(&viewer.get(&at(&app, "")).await.expect(200).text);
    let link = at(&app, "webhooks?verdict=dead&reason=order_unknown");
    let shown = overview.split_once(&format!("\"{link}\""));
    let (_, rest) = shown.unwrap_or_else(|| panic!("no link: {overview}"));
    let end = rest.find("href").unwrap_or(rest.len());
    assert!(rest[..end].contains(line), "{rest}");
    let ids = [&lost, &other].map(|event| event["id"].as_str().expect("an id"));
    let list = viewer.get(&link).await.expect(200).text;
    assert!(list.contains(ids[0]) && !list.contains(ids[1]), "{list}");
    assert!(list.contains("No order is known for it"));
    let all = viewer.get(&at(&app, "webhooks?verdict=dead")).await;
    let all = all.expect(200).text;
    assert!(all.contains(ids[0]) && all.contains(ids[1]));
    app.expect_broken();
    app.finish().await;
}

/// An event of a type nobody acts on.
async fn noise(app: &TestApp, id: &str) {
    let event = json!({
        "id": id, "object": "event", "type": "customer.pondered", "created": 1_700_000_000,
        "livemode": false, "data": {"object": {"id": "cus_1", "object": "customer"}},
    });
    app.deliver(&event).await.expect(200);
}

/// Twelve thousand events that do not match come before the one that does: a replay stops before it, says from when
/// on there may be more although it found nothing, and goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_found_nothing_yet_says_where_to_go_on() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for id in ["evt_noise_a", "evt_noise_b"] {
        noise(&app, id).await;
        app.advance(3_600).await;
    }
    let (_, event): (_, Value) = unapplied(&app, &shop).await;
    left(&app, &event, "dead").await;
    let look = app.look().await;
    let digits = match look.get_database_backend() {
        DbBackend::Sqlite => "printf('%015d', i)",
        _ => "lpad(i::text, 15, '0')",
    };
    let columns =
        "provider_account_id, type, raw, secret_index, livemode, verdict, received_at, shop_id";
    let sql = format!(
        "INSERT INTO provider_event (id, event_id, {columns}) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
         SELECT substr(id, 1, 15) || {digits}, event_id || i, {columns} FROM provider_event, n \
         WHERE event_id LIKE 'evt_noise_%'"
    );
    look.execute_unprepared(&sql).await.expect(&sql);
    look.close().await.expect("closes");
    let operator = app.person(Role::Operator).await;
    let act = at(&app, "webhooks/replay");
    let replay = async |from: &str| {
        let key = fresh_key();
        let fields = [
            ("idempotency_key", key.as_str()),
            ("kind", "checkout.session.pondered"),
            ("from", from),
        ];
        let done = operator.post(&act, &fields).await.expect(303);
        let to = done.header("location").expect("a way").to_owned();
        let page = operator.get(&to).await.expect(200).text;
        (to, address(&page))
    };
    let (to, page) = replay("2000-01-01").await;
    assert!(to.contains("applied=0&unchanged=0"), "{to}");
    let (_, later) = to.split_once("later=").expect("where to go on");
    let go_on = at(&app, "webhooks?from=");
    let (_, link) = page.split_once(&go_on).expect("a link to go on by");
    let link = link.split('"').next().expect("its end");
    assert!(
        link.contains("kind=checkout.session.pondered"),
        "the filter stays: {link}"
    );
    assert_ne!(app.verdict(&event).await, "applied");
    let later = later.split('&').next().expect("a time");
    assert!(link.starts_with(later), "{later}: {link}");
    let (to, page) = replay(later).await;
    assert!(to.contains("applied=1&unchanged=0"), "{to}");
    assert!(!to.contains("later="), "{to}");
    assert!(page.contains("Replayed: 1 applied"));
    assert_eq!(app.verdict(&event).await, "applied");
    app.expect_broken();
    app.finish().await;
}
