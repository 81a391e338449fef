//! Repeated requests: one key does one thing, and every repetition gets the first answer. Requests are repeated
//! in parallel, after changes, by other callers and with other bodies, and the rows are counted.

use futures::future::join_all;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scopes};
use till::service::keys;

use crate::harness::actor::{checkout_body, fresh_key, two_mugs};
use crate::harness::{Actor, TestApp};

fn replayed(answer: &crate::harness::Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn price_mug(merchant: &Actor, currency: &str, price: &str) {
    let put = merchant.request(Method::PUT, "/v1/products/mug");
    let put = put.json(&json!({"name": "Another mug", "prices": {currency: price}}));
    merchant.send(put).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_requests_with_one_key_place_one_order() {
    let app = TestApp::quiet().await;
    for actor in [app.merchant().await, app.storefront().await] {
        let before = app.orders_stored().await;
        let key = fresh_key();
        let body = two_mugs();
        let answers =
            join_all((0..50).map(|_| actor.post_with_key("/v1/orders", &key, &body))).await;
        for answer in &answers {
            assert_eq!(answer.status, 201, "{}", answer.text);
            assert_eq!(answer.text, answers[0].text);
            assert_eq!(answer.header("location"), answers[0].header("location"));
        }
        assert_eq!(answers.iter().filter(|answer| replayed(answer)).count(), 49);
        assert_eq!(app.orders_stored().await - before, 1);
    }
    assert_eq!(app.keys_stored().await, 2);
    assert_eq!(app.count("SELECT COUNT(*) FROM line_item").await, 2);
    assert_eq!(app.count("SELECT COUNT(*) FROM event").await, 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_first_request() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    merchant
        .post_with_key("/v1/orders", "k", &two_mugs())
        .await
        .expect(201);
    let changed = |change: fn(&mut Value)| {
        let mut body = two_mugs();
        change(&mut body);
        body
    };
    for other in [
        changed(|body| body["line_items"][0]["quantity"] = json!(3)),
        changed(|body| body["line_items"][0]["sku"] = json!("shirt")),
        changed(|body| body["currency"] = json!("JPY")),
        changed(|body| body["reference"] = json!("web-1")),
        changed(|body| body["customer"]["name"] = json!("Bob")),
        changed(|body| body["metadata"] = json!({"a": "b"})),
        changed(|body| body["shipping_address"] = json!({"country": "DE"})),
        changed(|body| {
            body["line_items"] = json!([{"name": "Mug", "unit_price": "12.50", "quantity": 2}])
        }),
    ] {
        let refused = merchant.post_with_key("/v1/orders", "k", &other).await;
        refused.problem(422, "idempotency_key_reused");
    }
    assert_eq!(app.orders_stored().await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spelling_of_a_request_does_not_make_it_another_one() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let post = async |body: &str| {
        let answer = merchant.post_text("/v1/orders", "k", body.to_owned()).await;
        answer.expect(201)
    };
    let first = post(
        r#"{"currency":"EUR","line_items":[{"name":"Mug","unit_price":"4.50","quantity":1}],"metadata":{"a":"1","b":"ü"}}"#,
    )
    .await;
    assert!(!replayed(&first));
    for same in [
        r#"{"metadata":{"b":"ü","a":"1"},"line_items":[{"quantity":1,"unit_price":"4.50","name":"Mug"}],"currency":"EUR"}"#,
        "\n {\"currency\" : \"EUR\",\t\"line_items\":[ {\"name\":\"Mug\",\"unit_price\":\"4.50\",\"quantity\":1} ],\
         \"metadata\":{\"a\":\"1\",\"b\":\"\\u00fc\"}}\r\n",
        r#"{"currency":"EUR","line_items":[{"sku":null,"name":"Mug","unit_price":"4.5","quantity":1}],"metadata":{"a":"1","b":"ü"},"reference":null,"customer":null,"discount_code":null}"#,
    ] {
        let again = post(same).await;
        assert!(replayed(&again), "{same}");
        assert_eq!(again.text, first.text);
    }
    assert_eq!(app.orders_stored().await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_required_and_must_be_visible_ascii() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let order = merchant.place_order().await.str("id").to_owned();
    for (path, body) in [
        ("/v1/orders".to_owned(), two_mugs()),
        (
            format!("/v1/orders/{order}/checkout_sessions"),
            checkout_body(),
        ),
    ] {
        let request = || merchant.request(Method::POST, &path).json(&body);
        merchant
            .send(request())
            .await
            .problem(400, "idempotency_key_missing");
        let long = "k".repeat(256);
        for bad in [
            long.as_str(),
            "a b",
            "a\tb",
            "",
            "schlüssel",
            "🔑",
            "\u{7f}",
        ] {
            let Ok(bad) = HeaderValue::from_bytes(bad.as_bytes()) else {
                continue; // No HTTP client can send it.
            };
            let answer = merchant
                .send(request().header("Idempotency-Key", &bad))
                .await;
            assert_eq!(answer.status, 400, "{bad:?} {}", answer.text);
            answer.problem(400, "idempotency_key_invalid");
        }
        let latin_1 = HeaderValue::from_bytes(b"caf\xe9").expect("a header");
        let answer = merchant
            .send(request().header("Idempotency-Key", latin_1))
            .await;
        assert_eq!(
            answer.expect(400).header("content-type"),
            Some("application/problem+json")
        );
        let twice = request()
            .header("Idempotency-Key", "a")
            .header("Idempotency-Key", "a");
        merchant
            .send(twice)
            .await
            .problem(400, "idempotency_key_invalid");
    }
    assert_eq!((app.orders_stored().await, app.keys_stored().await), (1, 1));
    merchant
        .post_with_key("/v1/orders", "4242424242424242", &two_mugs())
        .await
        .problem(400, "idempotency_key_invalid");
    let longest: String = ('!'..='~').cycle().take(255).collect();
    // Many draw 63 bits for a key. This number has the check digit and the beginning of a card's.
    for key in [longest.as_str(), "4242424242424242428"] {
        let order = merchant.post_with_key("/v1/orders", key, &two_mugs()).await;
        order.expect(201);
        let again = merchant.post_with_key("/v1/orders", key, &two_mugs()).await;
        assert!(replayed(&again.expect(201)));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_leaves_no_trace_of_its_key() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut taken = two_mugs();
    taken["reference"] = json!("web-1");
    merchant.post("/v1/orders", &taken).await.expect(201);
    let line = |line: Value| json!({"currency": "EUR", "line_items": [line]});
    let refusals = [
        (422, line(json!({"sku": "mug", "quantity": 0}))),
        (422, line(json!({"sku": "no-such-thing", "quantity": 1}))),
        (
            422,
            json!({"currency": "KWD", "line_items": [{"name": "x", "unit_price": "1.001", "quantity": 1}]}),
        ),
        (
            422,
            json!({"currency": "EUR", "line_items": [{"name": "x", "unit_price": "9999999999.99", "quantity": 9999}]}),
        ),
        (422, json!({"total": "1.00"})),
        (409, taken),
    ];
    for (at, (status, body)) in refusals.iter().enumerate() {
        let key = format!("key-{at}");
        for _ in 0..2 {
            merchant
                .post_with_key("/v1/orders", &key, body)
                .await
                .expect(*status);
        }
        let corrected = merchant
            .post_with_key("/v1/orders", &key, &two_mugs())
            .await
            .expect(201);
        assert!(!replayed(&corrected), "{body}");
    }
    let broken = merchant.post_text("/v1/orders", "broken", "{").await;
    broken.problem(400, "malformed_json");
    merchant
        .post_with_key("/v1/orders", "broken", &two_mugs())
        .await
        .expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_two_shops_and_of_the_two_kinds_do_not_meet() {
    let app = TestApp::quiet().await;
    let other = app.another_shop("other", Mode::Test).await;
    let actors = [
        app.merchant().await,
        app.storefront().await,
        app.actor(&other, KeyKind::Secret, Scopes::all()).await,
        app.actor(&other, KeyKind::Publishable, Scopes::all()).await,
    ];
    let mut ids = Vec::new();
    for actor in &actors {
        let answer = actor
            .post_with_key("/v1/orders", "the-same", &two_mugs())
            .await
            .expect(201);
        assert!(!replayed(&answer));
        ids.push(answer.str("id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), app.orders_stored().await), (4, 4));
    // Another key of the same kind and shop is the same caller.
    let colleague = app.merchant().await;
    let again = colleague
        .post_with_key("/v1/orders", "the-same", &two_mugs())
        .await
        .expect(201);
    assert!(replayed(&again));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_be_used_once_on_each_route() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let one = merchant
        .post_with_key("/v1/orders", "k", &two_mugs())
        .await
        .expect(201);
    let checkout = |order: &str| format!("/v1/orders/{order}/checkout_sessions");
    let path = checkout(one.str("id"));
    let session = merchant
        .post_with_key(&path, "k", &checkout_body())
        .await
        .expect(201);
    assert!(!replayed(&session));
    let again = merchant
        .post_with_key(&path, "k", &checkout_body())
        .await
        .expect(201);
    assert!(replayed(&again));
    assert_eq!(again.text, session.text);
    // Two orders are two paths, and so two requests.
    let two = merchant.place_order().await;
    let refused = merchant
        .post_with_key(&checkout(two.str("id")), "k", &checkout_body())
        .await;
    refused.problem(422, "idempotency_key_reused");
    assert_eq!(app.count("SELECT COUNT(*) FROM checkout_session").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_the_first_answer_whatever_became_of_the_catalogue() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let place = async |key: &str| merchant.post_with_key("/v1/orders", key, &two_mugs()).await;
    let first = place("k").await.expect(201);
    assert!(first.str("client_token").starts_with("ot_"));

    price_mug(&merchant, "EUR", "99.00").await;
    let again = place("k").await.expect(201);
    assert_eq!(
        (again.text.as_str(), replayed(&again)),
        (first.text.as_str(), true)
    );
    assert_eq!(place("new-1").await.expect(201).str("total"), "198.00");

    // No price in this currency any more, then one that cannot be charged.
    price_mug(&merchant, "USD", "99.00").await;
    let again = place("k").await.expect(201);
    assert_eq!(
        (again.text.as_str(), replayed(&again)),
        (first.text.as_str(), true)
    );
    let refused = place("new-2").await.problem(422, "invalid_request");
    assert_eq!(refused.pointers(), ["/line_items/0/sku"]);
    price_mug(&merchant, "EUR", "5000000000.00").await;
    let again = place("k").await.expect(201);
    assert_eq!(
        (again.text.as_str(), replayed(&again)),
        (first.text.as_str(), true)
    );
    let refused = place("new-3").await;
    refused.problem(422, "amount_not_chargeable");

    let mut other = two_mugs();
    other["line_items"][0]["quantity"] = json!(1);
    let refused = merchant.post_with_key("/v1/orders", "k", &other).await;
    refused.problem(422, "idempotency_key_reused");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_the_first_answer_whatever_became_of_the_order() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let first = merchant
        .post_with_key("/v1/orders", "k", &two_mugs())
        .await
        .expect(201);
    let id = first.str("id");
    let session = merchant.check_out(id).await.expect(201);
    let at_provider = session.str("provider_session_id");
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    crate::harness::eventually("the order is paid", async || {
        merchant.order(id).await["payment_status"] == "paid"
    })
    .await;
    let again = merchant
        .post_with_key("/v1/orders", "k", &two_mugs())
        .await
        .expect(201);
    assert_eq!(
        (again.text.as_str(), replayed(&again)),
        (first.text.as_str(), true)
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_objects_and_bad_keys_burn_nothing() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let place = async |actor: &Actor| actor.post_with_key("/v1/orders", "k", &two_mugs()).await;
    place(&app.anonymous())
        .await
        .problem(401, "unauthenticated");
    let scopes = Scopes::new(Vec::new());
    let powerless = app.actor(&app.shop, KeyKind::Secret, scopes).await;
    place(&powerless).await.problem(403, "forbidden");
    let revoked = app.merchant().await;
    let id = revoked.key_id();
    keys::revoke_key(&app.services.store, id)
        .await
        .expect("revoked");
    place(&revoked).await.problem(401, "unauthenticated");
    assert_eq!(app.keys_stored().await, 0);
    let order = place(&merchant).await.expect(201);
    assert!(!replayed(&order));

    let absent = format!("/v1/orders/ord_{}/checkout_sessions", "0".repeat(26));
    let refused = merchant.post_with_key(&absent, "c", &checkout_body()).await;
    refused.problem(404, "not_found");
    let path = format!("/v1/orders/{}/checkout_sessions", order.str("id"));
    let session = merchant
        .post_with_key(&path, "c", &checkout_body())
        .await
        .expect(201);
    assert!(!replayed(&session));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_for_thirty_days_and_then_forgotten() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let place = async || {
        merchant
            .post_with_key("/v1/orders", "k", &two_mugs())
            .await
            .expect(201)
    };
    let first = place().await;
    for _ in 0..29 {
        app.advance(24 * 3_600).await;
        app.services.forget_old().await.expect("forgets");
    }
    assert_eq!(place().await.text, first.text);
    app.advance(2 * 24 * 3_600).await;
    app.services.forget_old().await.expect("forgets");
    assert!(!replayed(&place().await));
    app.finish().await;
}
