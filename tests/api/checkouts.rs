//! Checkouts: what callers are answered, and that the provider holds one session however often, however
//! parallel and through whatever faults they ask. Judged by the answers and by the provider's own journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use till::store::calls::AttemptNote;

use crate::harness::actor::{checkout_body, fresh_key, two_mugs};
use crate::harness::{Actor, Answer, Payable, TestApp, eventually};

fn path_of(order: &str) -> String {
    format!("/v1/orders/{order}/checkout_sessions")
}

async fn placed(shop: &Actor) -> String {
    shop.place_order().await.str("id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_has_the_shape_of_the_contract() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    let answer = shop.check_out(&order).await.expect(201);
    let session = &answer.json;
    let fields: BTreeSet<&str> = session
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let promised = BTreeSet::from([
        "id",
        "object",
        "order_id",
        "status",
        "url",
        "amount",
        "currency",
        "capture",
        "provider",
        "provider_session_id",
        "expires_at",
        "created_at",
    ]);
    assert_eq!(fields, promised);
    let id = answer.str("id");
    assert!(id.starts_with("cs_") && id.len() == 29, "{id}");
    assert_eq!(session["object"], "checkout_session");
    assert_eq!(session["order_id"], order.as_str());
    assert_eq!(session["status"], "open");
    assert_eq!(session["amount"], "25.00");
    assert_eq!(session["currency"], "EUR");
    assert_eq!(session["capture"], "automatic");
    assert_eq!(session["provider"], "stripe");
    let at_provider = answer.str("provider_session_id");
    assert!(at_provider.starts_with("cs_test_"));
    assert_eq!(
        session["url"],
        format!("{}/pay/{at_provider}", app.simulator_url)
    );
    for time in ["created_at", "expires_at"] {
        assert!(answer.str(time).ends_with('Z'), "{session}");
    }
    assert_eq!(
        answer.header("location"),
        Some(format!("/v1/checkout_sessions/{id}").as_str())
    );
    assert!(answer.header("idempotent-replayed").is_none());
    assert_eq!(&shop.session(id).await, session);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_finds_the_open_session_and_the_first_replays_its_201() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    let (first, path) = (fresh_key(), path_of(&order));
    let made = shop
        .post_with_key(&path, &first, &checkout_body())
        .await
        .expect(201);
    let found = shop.check_out(&order).await.expect(200);
    assert_eq!(found.json, made.json);
    assert!(found.header("idempotent-replayed").is_none());
    let again = shop
        .post_with_key(&path, &first, &checkout_body())
        .await
        .expect(201);
    assert_eq!(again.text, made.text);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), made.header("location"));
    let other = json!({"success_url": "https://shop.example/other", "cancel_url": "https://shop.example/cart"});
    let reused = shop.post_with_key(&path, &first, &other).await;
    reused.problem(422, "idempotency_key_reused");
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_is_null_while_the_provider_has_not_answered() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    app.fault(json!({"on": "checkout.session.create", "do": "delay:1500"}))
        .await;
    let first = tokio::spawn({
        let (shop, order) = (shop.clone(), order.clone());
        async move { shop.check_out(&order).await }
    });
    eventually("the provider has the session", async || {
        app.effects("checkout.session.created").await.len() == 1
    })
    .await;
    let id = app.texts("SELECT id FROM checkout_session").await.remove(0);
    let creating = shop.session(&id).await;
    assert_eq!(creating["status"], "creating");
    assert!(creating["url"].is_null() && creating["provider_session_id"].is_null());
    let second = shop.check_out(&order).await.expect(202);
    assert_eq!(second.json, creating);
    assert!(second.header("retry-after").is_some());
    assert_eq!(
        second.header("location"),
        Some(format!("/v1/checkout_sessions/{id}").as_str())
    );
    let first = first.await.expect("an answer").expect(201);
    assert_eq!(first.str("id"), id);
    assert!(first.json["url"].is_string());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_somebody_else_has_taken_over_is_not_the_last_word() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    let (key, path) = (fresh_key(), path_of(&order));
    app.fault(json!({"on": "checkout.session.create", "do": "delay:2500"}))
        .await;
    let first = tokio::spawn({
        let (shop, path, key) = (shop.clone(), path.clone(), key.clone());
        async move { shop.post_with_key(&path, &key, &checkout_body()).await }
    });
    eventually("the provider has the session", async || {
        app.effects("checkout.session.created").await.len() == 1
    })
    .await;
    app.advance(21).await;
    let store = &app.services.store;
    let taken = store
        .claim_calls(app.services.account.id, 10)
        .await
        .expect("a claim")
        .remove(0);
    let open = first.await.expect("an answer").expect(202);
    assert_eq!(open.json["status"], "creating");
    assert!(open.header("retry-after").is_some());
    let note = AttemptNote {
        duration_ms: 1,
        http_status: None,
        outcome: "timeout".to_owned(),
        provider_request_id: None,
        message: None,
    };
    let kept = store.call_unknown(&taken, 0, &note).await;
    kept.expect("still claimed");
    app.work().await;
    let made = shop
        .post_with_key(&path, &key, &checkout_body())
        .await
        .expect(201);
    assert!(made.json["url"].is_string(), "{}", made.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn placeholders_become_tills_ids_at_the_provider() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    let body = json!({
        "success_url": "https://shop.example/thanks?order={ORDER_ID}&session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/cart/{ORDER_ID}",
    });
    let session = shop.post(&path_of(&order), &body).await.expect(201);
    let id = session.str("id");
    let sent = app.requests("checkout.session.create").await.remove(0);
    let params = &sent["params"];
    assert_eq!(
        params["success_url"],
        format!("https://shop.example/thanks?order={order}&session={id}")
    );
    assert_eq!(
        params["cancel_url"],
        format!("https://shop.example/cart/{order}")
    );
    for marks in [
        &params["metadata"],
        &params["payment_intent_data"]["metadata"],
    ] {
        assert_eq!(marks["till_order"], order.as_str());
        assert_eq!(marks["till_session"], id);
        assert!(marks["till_deployment"].is_string());
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_checked_out_says_why() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let free = json!({"currency": "EUR", "line_items": [{"sku": "free", "quantity": 1}]});
    let free = shop.post("/v1/orders", &free).await.expect(201);
    shop.check_out(free.str("id"))
        .await
        .problem(409, "nothing_to_pay");

    let slow = shop.payable().await;
    app.at_session(&slow, "pay", json!({"method": "delayed"}))
        .await;
    app.deliver(
        &app.provider_event("checkout.session.completed", &slow)
            .await,
    )
    .await
    .expect(200);
    app.deliver(&app.provider_event("payment_intent.processing", &slow).await)
        .await
        .expect(200);
    shop.check_out(&slow.order)
        .await
        .problem(409, "payment_processing");

    let paid = shop.payable().await;
    app.pay(&paid).await;
    app.deliver(
        &app.provider_event("checkout.session.completed", &paid)
            .await,
    )
    .await
    .expect(200);
    shop.check_out(&paid.order)
        .await
        .problem(409, "already_paid");

    let absent = "ord_01kq8rm5ahf2aaemq4p7v9w0xd";
    shop.check_out(absent).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_checkout_leaves_no_trace_of_its_key() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    let key = fresh_key();
    let mut nowhere = checkout_body();
    nowhere["success_url"] = json!("not an address");
    let refused = shop.post_with_key(&path_of(&order), &key, &nowhere).await;
    refused.problem(422, "invalid_request");
    assert!(app.requests("checkout.session.create").await.is_empty());
    shop.post_with_key(&path_of(&order), &key, &checkout_body())
        .await
        .expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_checks_out_only_with_the_orders_token() {
    let app = TestApp::quiet().await;
    let browser = app.storefront().await;
    let order = browser.post("/v1/orders", &two_mugs()).await.expect(201);
    let other = browser.post("/v1/orders", &two_mugs()).await.expect(201);
    let path = path_of(order.str("id"));
    let attempt = async |token: Option<&str>| -> Answer {
        let mut request = browser
            .request(Method::POST, &path)
            .header("Idempotency-Key", fresh_key())
            .json(&checkout_body());
        if let Some(token) = token {
            request = request.header("Order-Token", token);
        }
        browser.send(request).await
    };
    attempt(None).await.problem(403, "forbidden");
    attempt(Some("ot_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
        .await
        .problem(404, "not_found");
    attempt(Some(other.str("client_token")))
        .await
        .problem(404, "not_found");
    assert!(app.requests("checkout.session.create").await.is_empty());
    let token = order.str("client_token");
    let session = attempt(Some(token)).await.expect(201);
    let path = format!("/v1/checkout_sessions/{}", session.str("id"));
    browser.get(&path).await.problem(403, "forbidden");
    let read = browser
        .request(Method::GET, &path)
        .header("Order-Token", token);
    assert_eq!(browser.send(read).await.expect(200).json, session.json);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_the_provider_refuses_fails_its_session_and_a_new_key_starts_over() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    // Two days apart, the provider finds the session's end too far in the future.
    app.clock.advance(2 * 86_400_000);
    let order = placed(&shop).await;
    let key = fresh_key();
    let refused = shop
        .post_with_key(&path_of(&order), &key, &checkout_body())
        .await;
    let refused = refused.problem(502, "provider_rejected");
    assert_eq!(refused.header("idempotent-replayed"), None);
    let again = shop
        .post_with_key(&path_of(&order), &key, &checkout_body())
        .await;
    let again = again.problem(502, "provider_rejected");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    // In the provider's own words.
    let timeline = shop
        .get(&format!("/v1/orders/{order}/timeline"))
        .await
        .expect(200);
    let told = timeline.json["data"].as_array().expect("entries").iter();
    let told = told.filter_map(|entry| entry["details"]["message"].as_str());
    let told: Vec<&str> = told.collect();
    assert!(
        told.len() == 1 && told[0].contains("expires_at"),
        "{told:?}"
    );
    assert_eq!(
        app.texts("SELECT status FROM checkout_session").await,
        ["failed"]
    );
    assert_eq!(
        app.texts("SELECT status FROM provider_call").await,
        ["declined"]
    );
    assert_eq!(shop.order(&order).await["payment_status"], "unpaid");
    app.simulate("clock/advance", &json!({"seconds": 2 * 86_400}))
        .await;
    shop.check_out(&order).await.expect(201);
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_other_money_gives_nobody_its_url() {
    for (fault, reason) in [
        ("wrong_amount", "amount_mismatch"),
        ("wrong_currency", "currency_mismatch"),
    ] {
        let app = TestApp::quiet().await;
        let shop = app.merchant().await;
        let order = placed(&shop).await;
        app.fault(json!({"on": "checkout.session.create", "do": fault}))
            .await;
        let key = fresh_key();
        let answer = shop
            .post_with_key(&path_of(&order), &key, &checkout_body())
            .await;
        let answer = answer.problem(502, "provider_rejected");
        assert!(!answer.text.contains("/pay/"), "{}", answer.text);
        let id = app.texts("SELECT id FROM checkout_session").await.remove(0);
        let session = shop.session(&id).await;
        assert_eq!(session["status"], "failed");
        assert!(session["url"].is_null());
        assert_eq!(
            app.count("SELECT COUNT(*) FROM checkout_session WHERE url IS NOT NULL")
                .await,
            0
        );
        assert_eq!(app.reviews(&order).await, [format!("{reason} open")]);
        assert_eq!(shop.order(&order).await["review"], reason);

        app.work().await;
        let made = app.effects("checkout.session.created").await;
        let expired = app.effects("checkout.session.expired").await;
        assert_eq!(
            expired.len(),
            1,
            "what was made otherwise than asked can be paid by nobody"
        );
        assert_eq!(expired[0]["object_id"], made[0]["object_id"]);
        assert_eq!(
            app.reviews(&order).await,
            [format!("{reason} resolved system")]
        );
        assert!(shop.order(&order).await["review"].is_null());
        let again = shop
            .post_with_key(&path_of(&order), &key, &checkout_body())
            .await;
        again.problem(502, "provider_rejected");
        shop.check_out(&order).await.expect(201);
        app.finish().await;
    }
}

/// Nobody was told of the refusal when it came; by the time the request is repeated, the session has been expired.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_found_in_the_background_is_still_a_refusal_when_it_is_asked_for() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    for fault in ["status:503", "wrong_currency"] {
        app.fault(json!({"on": "checkout.session.create", "do": fault}))
            .await;
    }
    let key = fresh_key();
    let open = shop
        .post_with_key(&path_of(&order), &key, &checkout_body())
        .await;
    let id = open.expect(202).str("id").to_owned();
    eventually("the session is expired at the provider", async || {
        app.advance(10).await;
        app.work().await;
        app.effects("checkout.session.expired").await.len() == 1
    })
    .await;
    assert_eq!(shop.session(&id).await["status"], "failed");
    for _ in 0..2 {
        let again = shop
            .post_with_key(&path_of(&order), &key, &checkout_body())
            .await;
        again.problem(502, "provider_rejected");
    }
    shop.check_out(&order).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_tabs_on_each_of_two_hundred_orders_make_one_session_each() {
    const ORDERS: usize = 200;
    const TABS: usize = 10;
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let orders: Vec<String> = stream::iter(0..ORDERS)
        .map(|_| placed(&shop))
        .buffer_unordered(8)
        .collect()
        .await;
    let answers: Vec<(String, Vec<Answer>)> = stream::iter(&orders)
        .map(async |order| {
            let tabs = (0..TABS).map(|_| shop.check_out(order));
            (order.clone(), futures::future::join_all(tabs).await)
        })
        .buffer_unordered(4)
        .collect()
        .await;
    for (order, tabs) in &answers {
        let ids: BTreeSet<&str> = tabs.iter().map(|answer| answer.str("id")).collect();
        assert_eq!(ids.len(), 1, "order {order} has sessions {ids:?}");
        let statuses: Vec<u16> = tabs.iter().map(|answer| answer.status).collect();
        assert!(
            statuses
                .iter()
                .all(|status| [200, 201, 202].contains(status)),
            "{statuses:?}"
        );
        assert_eq!(
            statuses.iter().filter(|status| **status == 201).count(),
            1,
            "{statuses:?}"
        );
    }
    let mut by_order: BTreeMap<String, usize> = BTreeMap::new();
    for request in app.requests("checkout.session.create").await {
        let order = request["params"]["metadata"]["till_order"]
            .as_str()
            .expect("our mark");
        *by_order.entry(order.to_owned()).or_default() += 1;
    }
    assert_eq!(by_order.len(), ORDERS);
    assert!(
        by_order.values().all(|creations| *creations == 1),
        "{by_order:?}"
    );
    assert_eq!(app.effects("checkout.session.created").await.len(), ORDERS);
    app.finish().await;
}

/// What the provider was asked, without what differs between any two requests.
fn sent(requests: &[Value]) -> BTreeSet<String> {
    requests
        .iter()
        .map(|request| {
            format!(
                "{} {} {}",
                request["idempotency_key"], request["stripe_version"], request["params"]
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_never_came_is_finished_with_the_same_key_and_bytes() {
    for fault in [
        "timeout_after_commit",
        "timeout_before",
        "reset_mid_response",
        "truncate",
        "slow_drip",
        "garbage",
        "status:500",
        "status:503",
        "status:429",
        "redirect",
        "delay:1500",
    ] {
        let app = TestApp::impatient().await;
        let shop = app.merchant().await;
        let order = placed(&shop).await;
        let key = fresh_key();
        app.fault(json!({"on": "checkout.session.create", "do": fault}))
            .await;
        let open = shop
            .post_with_key(&path_of(&order), &key, &checkout_body())
            .await;
        assert_eq!(open.status, 202, "after {fault}: {}", open.text);
        assert_eq!(open.json["status"], "creating", "after {fault}");
        assert!(open.json["url"].is_null(), "after {fault}");
        assert!(open.header("retry-after").is_some(), "after {fault}");
        let id = open.str("id");
        assert_eq!(
            open.header("location"),
            Some(format!("/v1/checkout_sessions/{id}").as_str())
        );
        let retried = shop
            .post_with_key(&path_of(&order), &key, &checkout_body())
            .await;
        assert_eq!(
            retried.status, 202,
            "a repeat after {fault}: {}",
            retried.text
        );
        assert_eq!(retried.str("id"), id);
        let due = app.services.send_due_calls().await.expect("a round");
        assert_eq!(due, 0, "nothing is due yet after {fault}");

        // Past the wait the provider may have asked for, and past the answer that came too late.
        eventually("the provider is done with the first request", async || {
            app.advance(10).await;
            app.work().await;
            shop.session(id).await["status"] == "open"
        })
        .await;
        let done = shop
            .post_with_key(&path_of(&order), &key, &checkout_body())
            .await;
        assert_eq!(done.status, 201, "after {fault}: {}", done.text);
        assert_eq!(done.header("idempotent-replayed"), Some("true"));
        assert_eq!(done.str("id"), id);
        assert!(done.json["url"].is_string());
        let requests = app.requests("checkout.session.create").await;
        assert!(requests.len() >= 2, "after {fault}");
        assert_eq!(sent(&requests).len(), 1, "after {fault}: {requests:#?}");
        assert_eq!(
            app.effects("checkout.session.created").await.len(),
            1,
            "after {fault}"
        );
        let followed = app.journal("request").await;
        assert!(
            followed
                .iter()
                .all(|request| request["path"] != "/_simulator/redirected")
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_creation_that_was_paid_meanwhile_is_finished_as_complete() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    app.fault(json!({"on": "checkout.session.create", "do": "timeout_after_commit"}))
        .await;
    let open = shop.check_out(&order).await.expect(202);
    let made = app.effects("checkout.session.created").await.remove(0);
    let at_provider = made["object_id"].as_str().expect("an id");
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    app.advance(10).await;
    app.work().await;
    eventually("the order is paid", async || {
        app.advance(10).await;
        app.work().await;
        shop.order(&order).await["payment_status"] == "paid"
    })
    .await;
    assert_eq!(shop.session(open.str("id")).await["status"], "complete");
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_error_the_provider_keeps_is_given_up_and_settles_if_it_is_paid() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    let key = fresh_key();
    app.fault(json!({"on": "checkout.session.create", "do": "status:500_after_commit"}))
        .await;
    let open = shop
        .post_with_key(&path_of(&order), &key, &checkout_body())
        .await;
    let open = open.expect(202);
    app.advance(3).await;
    app.work().await;
    assert_eq!(shop.session(open.str("id")).await["status"], "failed");
    let again = shop
        .post_with_key(&path_of(&order), &key, &checkout_body())
        .await;
    again.problem(502, "provider_rejected");
    let second = shop.check_out(&order).await.expect(201);

    // The given-up session exists all the same, and somebody pays it.
    let made = app.effects("checkout.session.created").await;
    assert_eq!(made.len(), 2);
    let given_up = Payable {
        order: order.clone(),
        session: open.str("id").to_owned(),
        at_provider: made[0]["object_id"].as_str().expect("an id").to_owned(),
    };
    app.pay(&given_up).await;
    let event = app
        .provider_event("checkout.session.completed", &given_up)
        .await;
    app.deliver(&event).await.expect(200);
    assert_eq!(shop.order(&order).await["payment_status"], "paid");
    assert_eq!(shop.session(&given_up.session).await["status"], "complete");
    app.work().await;
    assert_eq!(shop.session(second.str("id")).await["status"], "expired");
    assert_eq!(app.effects("checkout.session.expired").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_repeats_of_one_request_make_one_session_at_the_provider() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    app.fault(json!({"on": "checkout.session.create", "do": "delay:400"}))
        .await;
    let (key, path, body) = (fresh_key(), path_of(&order), checkout_body());
    let repeats = (0..50).map(|_| shop.post_with_key(&path, &key, &body));
    let answers = futures::future::join_all(repeats).await;
    let mut final_texts = BTreeSet::new();
    for answer in &answers {
        assert!(
            [201, 202, 409].contains(&answer.status),
            "{} {}",
            answer.status,
            answer.text
        );
        if answer.status == 201 {
            final_texts.insert(answer.text.as_str());
        }
        if answer.status == 409 {
            assert_eq!(answer.json["code"], "idempotency_in_progress");
            assert!(answer.header("retry-after").is_some());
        }
    }
    assert_eq!(final_texts.len(), 1, "every final answer is the first one");
    let fresh = answers
        .iter()
        .filter(|a| a.status == 201 && a.header("idempotent-replayed").is_none());
    assert_eq!(fresh.count(), 1);
    assert_eq!(app.requests("checkout.session.create").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_waits_three_seconds_for_the_first_try_and_then_gets_409() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    app.fault(json!({"on": "checkout.session.create", "do": "delay:4500"}))
        .await;
    let (key, path, body) = (fresh_key(), path_of(&order), checkout_body());
    let first = tokio::spawn({
        let (shop, key, path, body) = (shop.clone(), key.clone(), path.clone(), body.clone());
        async move { shop.post_with_key(&path, &key, &body).await }
    });
    eventually("the provider has the session", async || {
        app.effects("checkout.session.created").await.len() == 1
    })
    .await;
    let repeat = shop.post_with_key(&path, &key, &body).await;
    let repeat = repeat.problem(409, "idempotency_in_progress");
    assert!(repeat.header("retry-after").is_some());
    first.await.expect("an answer").expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_does_not_stop_its_checkout() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = placed(&shop).await;
    app.fault(json!({"on": "checkout.session.create", "do": "delay:700"}))
        .await;
    let key = fresh_key();
    let hasty = shop
        .request(Method::POST, &path_of(&order))
        .header("Idempotency-Key", &key)
        .json(&checkout_body())
        .timeout(Duration::from_millis(250));
    assert!(
        hasty
            .send()
            .await
            .expect_err("no answer in time")
            .is_timeout()
    );
    eventually("the session is open", async || {
        app.texts("SELECT status FROM checkout_session").await == ["open"]
    })
    .await;
    let answer = shop
        .post_with_key(&path_of(&order), &key, &checkout_body())
        .await;
    assert_eq!(
        answer.expect(201).header("idempotent-replayed"),
        Some("true")
    );
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    app.finish().await;
}
