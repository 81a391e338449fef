//! The edge through the whole application: every failure is a problem that says what to do, whatever was asked.
//! Requests no route takes, bodies no route reads, and a database that is gone.

use reqwest::Method;
use serde_json::json;

use crate::harness::actor::two_mugs;
use crate::harness::{Answer, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_404_with_and_without_a_key() {
    let app = TestApp::quiet().await;
    for actor in [app.anonymous(), app.merchant().await] {
        for path in [
            "/",
            "/v1",
            "/v1/nothing",
            "/v2/orders",
            "/v1/orders/a/b/c",
            "/webhooks",
            "/webhooks/stripe/pa_x/y",
            "/v1/%FF",
            "/favicon.ico",
        ] {
            actor.get(path).await.problem(404, "not_found");
        }
    }
    let unknown = app.anonymous().post("/webhooks/paypal", &json!({})).await;
    unknown.problem(404, "not_found");
    let account = app
        .anonymous()
        .post("/webhooks/stripe/pa_x", &json!({}))
        .await;
    account.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_405_and_says_which_are_right() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    for (path, allowed, wrong) in [
        (
            "/v1/orders",
            "GET, HEAD, OPTIONS, POST",
            ["PUT", "DELETE", "PATCH"],
        ),
        (
            "/v1/orders/ord_1",
            "GET, HEAD, OPTIONS",
            ["POST", "PUT", "DELETE"],
        ),
        (
            "/v1/orders/ord_1/checkout_sessions",
            "OPTIONS, POST",
            ["GET", "PUT", "DELETE"],
        ),
        (
            "/v1/checkout_sessions/cs_1",
            "GET, HEAD, OPTIONS",
            ["POST", "PUT", "PATCH"],
        ),
        ("/webhooks/stripe", "POST", ["PUT", "DELETE", "GET"]),
        ("/health/live", "GET, HEAD", ["POST", "PUT", "DELETE"]),
        ("/openapi.json", "GET, HEAD", ["POST", "OPTIONS", "DELETE"]),
    ] {
        for method in wrong.iter().chain(["TRACE", "BREW"].iter()) {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let request = merchant.request(method.clone(), path);
            let answer = merchant
                .send(request)
                .await
                .problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_be_json_of_a_sensible_size() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let post = async |content_type: Option<&str>, body: String| -> Answer {
        let mut request = merchant.request(Method::POST, "/v1/orders").body(body);
        request = request.header("Idempotency-Key", "k");
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        merchant.send(request).await
    };
    let good = two_mugs().to_string();
    for content_type in [
        None,
        Some("text/plain"),
        Some("text/json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json; charset=latin1"),
        Some("nonsense"),
    ] {
        let refused = post(content_type, good.clone()).await;
        refused.problem(415, "unsupported_media_type");
    }
    let packed = merchant
        .request(Method::POST, "/v1/orders")
        .header("Idempotency-Key", "k");
    let packed = packed.json(&two_mugs()).header("Content-Encoding", "gzip");
    merchant
        .send(packed)
        .await
        .problem(415, "unsupported_media_type");

    let padded = |size: usize| format!("{good}{}", " ".repeat(size - good.len()));
    let cap = 256 * 1024;
    post(Some("application/json"), padded(cap + 1))
        .await
        .problem(413, "payload_too_large");
    let refused = post(Some("application/json"), padded(4 * cap)).await;
    assert_eq!(
        refused.header("connection"),
        Some("close"),
        "its rest is not read"
    );
    refused.problem(413, "payload_too_large");
    assert_eq!((app.orders_stored().await, app.keys_stored().await), (0, 0));
    let placed = post(Some("application/json; charset=UTF-8"), padded(cap))
        .await
        .expect(201);
    assert_eq!(placed.header("idempotent-replayed"), None);
    let webhook = app
        .deliver_raw(Some("t=1,v1=00"), vec![b' '; cap + 1])
        .await;
    webhook.problem(413, "payload_too_large");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_kept_when_it_is_plain_and_made_when_it_is_not() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let ask = async |path: &str, id: Option<&str>| -> String {
        let mut request = merchant.request(Method::GET, path);
        if let Some(id) = id {
            request = request.header("Request-Id", id);
        }
        let answer = merchant.send(request).await;
        answer
            .header("request-id")
            .expect("a request id")
            .to_owned()
    };
    let longest = "a".repeat(128);
    for path in [
        "/v1/orders",
        "/nothing",
        "/health/live",
        "/openapi.json",
        "/v1/orders?limit=x",
    ] {
        for id in ["req-1_A", longest.as_str()] {
            assert_eq!(ask(path, Some(id)).await, id, "{path}");
        }
        let long = "a".repeat(129);
        let mut made = Vec::new();
        for id in [
            None,
            Some(""),
            Some("a b"),
            Some("a.b"),
            Some("ä"),
            Some(long.as_str()),
        ] {
            made.push(ask(path, id).await);
        }
        assert!(made.iter().all(|id| id.starts_with("req_")), "{made:?}");
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 6, "each is another one");
    }
    let request = merchant
        .request(Method::GET, "/nothing")
        .header("Request-Id", "mine");
    let problem = merchant.send(request).await.problem(404, "not_found");
    assert_eq!(problem.str("request_id"), "mine");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_api_keeps_browsers_from_guessing_and_storing() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    merchant.place_order().await;
    for path in ["/v1/orders", "/v1/orders/ord_1", "/v1/orders?x=1"] {
        let answer = merchant.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(
            answer
                .header("server")
                .is_none_or(|server| server != "Rocket"),
            "{path}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_has_a_page_that_explains_it() {
    let app = TestApp::quiet().await;
    let nobody = app.anonymous();
    for path in ["/v1/orders", "/nothing"] {
        let problem = nobody.get(path).await;
        let page = nobody.get(problem.str("type")).await.expect(200);
        assert!(
            page.header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"))
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_call_what_publishable_keys_may() {
    let app = TestApp::quiet().await;
    let nobody = app.anonymous();
    let preflight = nobody.request(Method::OPTIONS, "/v1/orders");
    let preflight = preflight.header("Origin", "https://shop.example");
    let preflight = preflight.header("Access-Control-Request-Method", "POST");
    let answer = nobody.send(preflight).await.expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
    let allowed = answer
        .header("access-control-allow-headers")
        .expect("a list");
    for header in [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "Order-Token",
        "Request-Id",
    ] {
        assert!(allowed.contains(header), "{header}");
    }
    let refused = nobody.post("/v1/orders", &two_mugs()).await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    let exposed = refused
        .header("access-control-expose-headers")
        .expect("a list");
    for header in [
        "Request-Id",
        "Idempotent-Replayed",
        "Retry-After",
        "Location",
    ] {
        assert!(exposed.contains(header), "{header}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_well_until_the_database_is_gone() {
    let mut app = TestApp::quiet().await;
    let (merchant, nobody) = (app.merchant().await, app.anonymous());
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            nobody.get(path).await.expect(200).json,
            json!({"status": "ok"})
        );
    }
    app.lose_database().await;
    nobody.get("/health/live").await.expect(200);
    let unready = nobody
        .get("/health/ready")
        .await
        .problem(503, "database_unavailable");
    assert!(unready.header("retry-after").is_some());
    for answer in [
        merchant.get("/v1/orders").await,
        merchant.post("/v1/orders", &two_mugs()).await,
    ] {
        let answer = answer.problem(503, "database_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    // Never 200 for an event that could not be stored.
    let event = json!({"id": "evt_1", "object": "event", "type": "charge.updated", "created": 1,
        "livemode": false, "data": {"object": {"id": "ch_1", "object": "charge"}}});
    app.deliver(&event)
        .await
        .problem(503, "database_unavailable");
    assert_eq!(app.orders_stored().await, 0);
    app.finish().await;
}
