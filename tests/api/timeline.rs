//! An order's timeline: the whole chain from the request to the event, told in order, without anybody's data.

use serde_json::{Value, json};

use crate::harness::{TestApp, has_word};

fn told(timeline: &Value) -> Vec<String> {
    let data = timeline["data"].as_array().expect("a list");
    data.iter()
        .map(|entry| format!("{} {}", entry["object"], entry["type"]).replace('"', ""))
        .collect()
}

fn find<'t>(timeline: &'t Value, object: &str, kind: &str) -> &'t Value {
    let data = timeline["data"].as_array().expect("a list");
    data.iter()
        .find(|entry| entry["object"] == object && entry["type"] == kind)
        .unwrap_or_else(|| panic!("no {object} {kind}: {timeline}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_leads_from_the_request_to_the_event() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await;
    let id = order.str("id").to_owned();
    // The first try is refused for a moment, the second makes the session.
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    let open = shop.check_out(&id).await.expect(202);
    app.advance(3).await;
    app.work().await;
    let session = shop.session(open.str("id")).await;
    let payable = crate::harness::Payable {
        order: id.clone(),
        session: open.str("id").to_owned(),
        at_provider: session["provider_session_id"]
            .as_str()
            .expect("an id")
            .to_owned(),
    };
    app.pay(&payable).await;
    let event = app
        .provider_event("checkout.session.completed", &payable)
        .await;
    let delivered = app.deliver(&event).await.expect(200);
    let path = format!("/v1/orders/{id}/timeline");
    let answer = shop.get(&path).await.expect(200);
    let timeline = &answer.json;
    assert_eq!(timeline["object"], "list");
    assert_eq!(timeline["has_more"], false);
    assert_eq!(timeline["url"], path);
    assert_eq!(
        told(timeline),
        [
            "order placed",
            "event order.created",
            "checkout_session requested",
            "provider_call session_create",
            "provider_attempt server_error",
            "provider_attempt succeeded",
            "fact opened",
            "provider_event checkout.session.completed",
            "fact completed",
            "fact captured",
            "ledger_transaction posted",
            "event payment.captured",
            "event checkout_session.completed",
            "event order.paid",
        ]
    );
    let placed = find(timeline, "order", "placed");
    assert_eq!(placed["request_id"].as_str(), order.header("request-id"));
    assert_eq!(placed["actor"], shop.key_id().to_string());
    let call = find(timeline, "provider_call", "session_create");
    assert_eq!(call["request_id"].as_str(), open.header("request-id"));
    assert_eq!(call["details"]["attempts"], 2);
    assert_eq!(call["details"]["status"], "succeeded");
    let refused = find(timeline, "provider_attempt", "server_error");
    assert_eq!(refused["cause"], call["id"]);
    assert_eq!(refused["details"]["http_status"], 503);
    assert!(refused["details"]["duration_ms"].is_i64());
    let webhook = find(timeline, "provider_event", "checkout.session.completed");
    assert_eq!(webhook["details"]["verdict"], "applied");
    assert_eq!(webhook["details"]["provider_id"], event["id"]);
    assert_eq!(
        webhook["request_id"].as_str(),
        delivered.header("request-id")
    );
    let captured = find(timeline, "fact", "captured");
    assert_eq!(captured["cause"], webhook["id"]);
    assert_eq!(captured["details"]["amount"], "25.00");
    let posted = find(timeline, "ledger_transaction", "posted");
    assert_eq!(posted["cause"], captured["id"]);
    assert_eq!(posted["details"]["entries"][1]["credit"], "25.00");
    let paid = find(timeline, "event", "order.paid");
    assert_eq!(paid["cause"], webhook["id"]);
    assert!(!answer.text.contains("ada@example.com"));
    assert!(!has_word(&answer.text, "Ada"));

    // From any entry on, it goes on; read again, it is the same.
    assert_eq!(shop.get(&path).await.expect(200).text, answer.text);
    let entries = timeline["data"].as_array().expect("a list");
    for (at, entry) in entries.iter().enumerate() {
        let after = entry["id"].as_str().expect("an id");
        let rest = shop.get(&format!("{path}?starting_after={after}")).await;
        let rest = rest.expect(200).json;
        assert_eq!(
            rest["data"].as_array().expect("a list")[..],
            entries[at + 1..]
        );
    }
    let first = shop.get(&format!("{path}?limit=2")).await.expect(200).json;
    assert_eq!(first["data"].as_array().expect("a list")[..], entries[..2]);
    assert_eq!(first["has_more"], true);
    for query in [
        "?starting_after=fact_x",
        "?limit=0",
        "?limit=101",
        "?ending_before=x",
    ] {
        let refused = shop.get(&format!("{path}{query}")).await;
        refused.problem(422, "invalid_request");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_shows_why_people_were_asked() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let mut event = app
        .provider_event("checkout.session.completed", &payable)
        .await;
    event["data"]["object"]["amount_total"] = json!(1);
    app.deliver(&event).await.expect(200);
    let path = format!("/v1/orders/{}/timeline", payable.order);
    let timeline = shop.get(&path).await.expect(200).json;
    let webhook = find(&timeline, "provider_event", "checkout.session.completed");
    assert_eq!(webhook["details"]["verdict"], "quarantined");
    assert_eq!(webhook["details"]["reason"], "amount_mismatch");
    let review = find(&timeline, "review", "amount_mismatch");
    assert_eq!(review["details"]["status"], "open");
    assert_eq!(review["details"]["subject_id"], payable.session);
    app.work().await;
    let timeline = shop.get(&path).await.expect(200).json;
    let review = find(&timeline, "review", "amount_mismatch");
    assert_eq!(review["details"]["status"], "resolved");
    assert_eq!(review["details"]["ended_by"], "system");
    assert_eq!(
        find(&timeline, "fact", "captured")["details"]["source"],
        "poll"
    );
    app.finish().await;
}

/// Every entry whose cause is an entry stands behind it.
fn causes_stand_first(timeline: &Value) {
    let data = timeline["data"].as_array().expect("a list");
    for (at, entry) in data.iter().enumerate() {
        let cause = data.iter().position(|other| other["id"] == entry["cause"]);
        assert!(
            cause.is_none_or(|cause| cause < at),
            "{entry} in {timeline}"
        );
    }
}

/// The entry with an id.
fn by_id<'t>(timeline: &'t Value, id: &Value) -> &'t Value {
    let data = timeline["data"].as_array().expect("a list");
    let found = data.iter().find(|entry| entry["id"] == *id);
    found.unwrap_or_else(|| panic!("no {id}: {timeline}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_tells_of_refunds_with_what_asked_for_them() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let body = json!({"amount": "5.00", "reason": "requested_by_customer"});
    let refunds = format!("/v1/orders/{}/refunds", paid.order);
    let asked = shop.post(&refunds, &body).await.expect(201);
    let path = format!("/v1/orders/{}/timeline", paid.order);
    let timeline = shop.get(&path).await.expect(200).json;
    causes_stand_first(&timeline);
    assert_eq!(
        told(&timeline)[told(&timeline).len() - 7..],
        [
            "refund requested",
            "provider_call refund_create",
            "provider_attempt succeeded",
            "fact refund_succeeded",
            "ledger_transaction posted",
            "event refund.succeeded",
            "event order.partially_refunded",
        ]
    );
    let entry = by_id(&timeline, &asked.json["id"]);
    assert_eq!(entry["cause"].as_str(), asked.header("request-id"));
    assert_eq!(entry["request_id"].as_str(), asked.header("request-id"));
    assert_eq!(entry["actor"], shop.key_id().to_string());
    assert_eq!(
        entry["details"],
        json!({
            "status": "succeeded", "subject_id": payment, "amount": "5.00", "currency": "EUR",
            "provider_id": asked.json["provider_refund_id"], "reason": "requested_by_customer",
        })
    );

    // It comes back, and somebody gives back another part at the provider.
    let act = format!("refunds/{}/fail", asked.str("provider_refund_id"));
    app.simulate(&act, &json!({})).await;
    let failed = app.provider_events("refund.failed").await.pop();
    app.deliver(&failed.expect("an event")).await.expect(200);
    let intent = shop.payment_of(&paid.order).await["provider_payment_id"].clone();
    let act = format!("payment_intents/{}/refund", intent.as_str().expect("an id"));
    app.simulate(&act, &json!({"amount": 700})).await;
    let made = app.provider_events("refund.created").await.pop();
    app.deliver(&made.expect("an event")).await.expect(200);
    let timeline = shop.get(&path).await.expect(200).json;
    causes_stand_first(&timeline);
    let entry = by_id(&timeline, &asked.json["id"]);
    assert_eq!(entry["details"]["status"], "failed");
    assert_eq!(entry["details"]["code"], "expired_or_canceled_card");
    let seen = find(&timeline, "refund", "seen");
    assert_eq!(seen["actor"], "provider");
    assert_eq!(seen["details"]["amount"], "7.00");
    let fact = by_id(&timeline, &seen["cause"]);
    assert_eq!(fact["object"], "fact");
    assert_eq!(
        fact["details"]["provider_id"],
        seen["details"]["provider_id"]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_tells_why_a_policy_gave_money_back() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    let cancel = format!("/v1/orders/{}/cancel", payable.order);
    shop.post(&cancel, &json!({})).await.expect(200);
    // Paid all the same, as when the provider's answer crosses ours.
    let twin = shop.payable().await;
    app.pay(&twin).await;
    let mut event = app.provider_event("payment_intent.succeeded", &twin).await;
    event["id"] = json!("evt_late");
    event["data"]["object"]["metadata"]["till_session"] = json!(payable.session);
    event["data"]["object"]["metadata"]["till_order"] = json!(payable.order);
    app.deliver(&event).await.expect(200);
    app.work().await;
    let path = format!("/v1/orders/{}/timeline", payable.order);
    let timeline = shop.get(&path).await.expect(200).json;
    causes_stand_first(&timeline);
    let refund = find(&timeline, "refund", "requested");
    assert_eq!(refund["actor"], "system");
    assert_eq!(refund["details"]["amount"], "25.00");
    assert_eq!(refund["details"]["status"], "succeeded");
    let cause = by_id(&timeline, &refund["cause"]);
    assert_eq!(cause["object"], "provider_event");
    let call = find(&timeline, "provider_call", "refund_create");
    assert_eq!(call["details"]["subject_id"], refund["id"]);
    assert_eq!(call["cause"], refund["cause"]);
    app.finish().await;
}

/// What ends an order that nobody asked to end is told as its own doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_tells_how_an_order_ran_out_of_time() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.advance(25 * 3_600).await;
    app.work().await;
    app.advance(120).await;
    app.work().await;
    assert_eq!(shop.order(&payable.order).await["status"], "expired");
    let path = format!("/v1/orders/{}/timeline", payable.order);
    let timeline = shop.get(&path).await.expect(200).json;
    causes_stand_first(&timeline);
    let decided = find(&timeline, "fact", "order_expired");
    assert_eq!(decided["details"]["source"], "decision");
    app.finish().await;
}
