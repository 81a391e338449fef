//! Goal: nobody tries cards or floods Till through it, and who is refused knows when to come back.
//! Method: bursts over real HTTP with a clock that is turned; the limits small where many requests add nothing.

use reqwest::Method;
use serde_json::json;

use crate::harness::actor::{checkout_body, fresh_key, two_mugs};
use crate::harness::{Actor, Answer, Setup, TestApp};

/// Insists on a refusal that says what is allowed and when to come back; returns the wait.
#[track_caller]
fn throttled(answer: Answer, policy: &str, name: &str) -> i64 {
    let answer = answer.problem(429, "rate_limited");
    assert_eq!(answer.header("ratelimit-policy"), Some(policy));
    let wait = answer.header("retry-after").expect("Retry-After");
    let left = format!(r#""{name}";r=0;t={wait}"#);
    assert_eq!(answer.header("ratelimit"), Some(left.as_str()));
    wait.parse().expect("seconds")
}

async fn with(settings: &[(&'static str, u32)]) -> TestApp {
    TestApp::with(Setup {
        settings: settings
            .iter()
            .map(|(name, value)| (*name, (*value).into()))
            .collect(),
        ..Setup::default()
    })
    .await
}

/// Makes a session and ends it, so that the next checkout needs a new one.
async fn use_up_a_session(app: &TestApp, shop: &Actor, order: &str) {
    let session = shop.check_out(order).await.expect(201);
    let at_provider = session.str("provider_session_id");
    app.simulate(&format!("sessions/{at_provider}/expire"), &json!({}))
        .await;
    let path = format!("/v1/checkout_sessions/{}?refresh=true", session.str("id"));
    let ended = shop.get(&path).await.expect(200);
    assert_eq!(ended.json["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_gets_five_new_sessions_in_ten_minutes() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    for _ in 0..5 {
        use_up_a_session(&app, &shop, &order).await;
        app.advance(10).await;
    }
    let key = fresh_key();
    let path = format!("/v1/orders/{order}/checkout_sessions");
    let refused = shop.post_with_key(&path, &key, &checkout_body()).await;
    let policy = r#""checkout_sessions";q=5;w=600"#;
    let wait = throttled(refused, policy, "checkout_sessions");
    assert!((500..=551).contains(&wait), "{wait}");
    let other = shop.place_order().await.str("id").to_owned();
    shop.check_out(&other).await.expect(201);
    app.advance(wait).await;
    let after = shop.post_with_key(&path, &key, &checkout_body()).await;
    let after = after.expect(201);
    assert_eq!(
        after.header("idempotent-replayed"),
        None,
        "the refusal left no trace of its key"
    );
    let sessions = app.count("SELECT COUNT(*) FROM checkout_session").await;
    assert_eq!(sessions, 7);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_session_and_replays_are_never_throttled() {
    let app = with(&[("http.sessions_per_order", 1)]).await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let path = format!("/v1/orders/{order}/checkout_sessions");
    let key = fresh_key();
    let first = shop.post_with_key(&path, &key, &checkout_body()).await;
    let first = first.expect(201);
    for _ in 0..10 {
        let live = shop.check_out(&order).await.expect(200);
        assert_eq!(live.json["id"], first.json["id"]);
        let replay = shop.post_with_key(&path, &key, &checkout_body()).await;
        assert_eq!(replay.expect(201).json, first.json);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_for_one_order_makes_no_more_sessions_than_allowed() {
    let app = with(&[("http.sessions_per_order", 2)]).await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    use_up_a_session(&app, &shop, &order).await;
    use_up_a_session(&app, &shop, &order).await;
    let burst = (0..40).map(|_| {
        let (shop, order) = (shop.clone(), order.clone());
        tokio::spawn(async move { shop.check_out(&order).await.status })
    });
    for answer in burst.collect::<Vec<_>>() {
        assert_eq!(answer.await.expect("an answer"), 429);
    }
    let sessions = app.count("SELECT COUNT(*) FROM checkout_session").await;
    assert_eq!(sessions, 2);
    let keys = "SELECT COUNT(*) FROM idempotency_key WHERE route LIKE '%checkout_sessions'";
    assert_eq!(app.count(keys).await, 2, "refusals leave no key");
    app.finish().await;
}

async fn place_from(actor: &Actor, headers: &[(&str, String)]) -> Answer {
    let mut request = actor
        .request(Method::POST, "/v1/orders")
        .header("Idempotency-Key", fresh_key());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    actor.send(request.json(&two_mugs())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_places_sixty_orders_a_minute_whatever_headers_it_sends() {
    let app = TestApp::quiet().await;
    let browser = app.storefront().await;
    let mut placed = 0;
    for at in 0..80 {
        let headers = ["X-Real-IP", "X-Forwarded-For", "Forwarded"]
            .map(|name| (name, format!("203.0.113.{at}")));
        let answer = place_from(&browser, &headers).await;
        if answer.status == 201 {
            placed += 1;
        } else {
            let wait = throttled(answer, r#""orders";q=60;w=60"#, "orders");
            assert!((1..=60).contains(&wait), "{wait}");
        }
    }
    assert_eq!(placed, 60);
    let sibling = app.storefront().await;
    let answer = place_from(&sibling, &[]).await;
    throttled(answer, r#""orders";q=60;w=60"#, "orders");
    // Whoever lost the answer to an order gets it all the same.
    let first = browser
        .post_with_key("/v1/orders", "lost", &two_mugs())
        .await;
    throttled(first, r#""orders";q=60;w=60"#, "orders");
    app.advance(60).await;
    let placed = browser
        .post_with_key("/v1/orders", "lost", &two_mugs())
        .await;
    let placed = placed.expect(201);
    for _ in 0..100 {
        let again = browser
            .post_with_key("/v1/orders", "lost", &two_mugs())
            .await;
        let again = again.expect(201);
        assert_eq!(again.text, placed.text);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let mut other = two_mugs();
    other["line_items"][0]["quantity"] = json!(3);
    let other = browser.post_with_key("/v1/orders", "lost", &other).await;
    other.problem(422, "idempotency_key_reused");
    // As often as orders are taken; then no more is looked up.
    for _ in 0..30 {
        let new = place_from(&browser, &[]).await;
        throttled(new, r#""orders";q=60;w=60"#, "orders");
    }
    let again = browser
        .post_with_key("/v1/orders", "lost", &two_mugs())
        .await;
    throttled(again, r#""orders";q=60;w=60"#, "orders");
    let merchant = app.merchant().await;
    merchant.place_order().await;
    app.advance(60).await;
    browser.place_order().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_past_the_cap_are_refused_before_they_are_looked_at() {
    let app = with(&[("http.webhooks_per_second", 1)]).await;
    let policy = r#""webhooks";q=1;w=1"#;
    let event = json!({"id": "evt_1", "object": "event", "type": "ping", "data": {"object": {}}});
    let mut answers = Vec::new();
    // The clock of the test runs on, so a second may pass between two of them.
    for _ in 0..30 {
        answers.push(app.deliver_raw(None, b"{}".to_vec()).await);
    }
    let refused: Vec<Answer> = answers.into_iter().filter(|a| a.status == 429).collect();
    assert!(!refused.is_empty());
    for answer in refused {
        assert_eq!(throttled(answer, policy, "webhooks"), 1);
    }
    let mut last = app.deliver(&event).await;
    for _ in 0..10 {
        if last.status == 429 {
            break;
        }
        last = app.deliver(&event).await;
    }
    throttled(last, policy, "webhooks");
    app.advance(1).await;
    let again = app.deliver(&event).await;
    assert_ne!(again.status, 429, "the provider's next try is looked at");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_zero_is_refused_at_the_start() {
    let figment = till::config::Config::base().merge(("http.webhooks_per_second", 0));
    let error = till::config::Config::from_figment(figment).expect_err("refused");
    assert!(error.to_string().contains("nonzero"), "{error}");
}
