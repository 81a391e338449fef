//! Refunds: whole, by amount and by lines, reserved before they are asked for, and those made elsewhere.

use serde_json::{Value, json};

use crate::harness::actor::fresh_key;
use crate::harness::{Actor, Answer, Payable, TestApp};

fn path_of(order: &str) -> String {
    format!("/v1/orders/{order}/refunds")
}

async fn refund(shop: &Actor, order: &str, body: Value) -> Answer {
    shop.post(&path_of(order), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_refund_gives_back_all_and_cancels_what_was_not_shipped() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let key = fresh_key();
    let body = json!({"reason": "requested_by_customer"});
    let made = shop.post_with_key(&path_of(&paid.order), &key, &body).await;
    let made = made.expect(201);
    assert_eq!(made.str("object"), "refund");
    assert_eq!(made.str("amount"), "25.00");
    assert_eq!(made.str("currency"), "EUR");
    assert_eq!(made.str("status"), "succeeded");
    assert_eq!(made.str("payment_id"), payment);
    assert_eq!(made.str("order_id"), paid.order);
    assert_eq!(made.str("reason"), "requested_by_customer");
    assert!(made.str("provider_refund_id").starts_with("re_"));
    assert_eq!(
        made.header("location"),
        Some(format!("/v1/refunds/{}", made.str("id")).as_str())
    );
    let again = shop.post_with_key(&path_of(&paid.order), &key, &body).await;
    let again = again.expect(201);
    assert_eq!(again.text, made.text);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = json!({"amount": "1.00"});
    shop.post_with_key(&path_of(&paid.order), &key, &other)
        .await
        .problem(422, "idempotency_key_reused");

    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "refunded");
    assert_eq!(order["status"], "cancelled");
    assert_eq!(order["amount_refunded"], "25.00");
    assert_eq!(order["amount_paid"], "25.00");
    assert_eq!(
        shop.payment_of(&paid.order).await["amount_refunded"],
        "25.00"
    );
    let one = shop.get(&format!("/v1/refunds/{}", made.str("id"))).await;
    assert_eq!(one.expect(200).json, made.json);
    assert_eq!(app.requests("refund.create").await.len(), 1);
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "provider_clearing EUR 0",
            "refunds EUR 2500",
            "sales EUR -2500"
        ]
    );
    let story = app.story(&paid.order).await;
    let told = |kind: &str| story.iter().filter(|told| *told == kind).count();
    assert_eq!(told("refund.succeeded"), 1, "{story:?}");
    assert_eq!(told("order.refunded"), 1, "{story:?}");
    assert_eq!(told("order.cancelled"), 1, "{story:?}");
    refund(&shop, &paid.order, json!({}))
        .await
        .problem(409, "refund_exceeds_captured");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_are_exact_and_never_more_than_is_left() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    for (body, pointer) in [
        (json!({"amount": "-1.00"}), "/amount"),
        (json!({"amount": "0.00"}), "/amount"),
        (json!({"amount": "1.005"}), "/amount"),
        (json!({"amount": "1e1"}), "/amount"),
        (json!({"amount": ""}), "/amount"),
        (json!({"amount": 5}), "/amount"),
        (json!({"amount": "1.00", "line_items": []}), "/line_items"),
        (json!({"line_items": []}), "/line_items"),
        (json!({"reason": "bored"}), "/reason"),
        (json!({"payment_id": "pay_x"}), "/payment_id"),
        (
            json!({"payment_id": "pay_01kq8rm5ahf2aaemq4p7v9w0xf"}),
            "/payment_id",
        ),
        (json!({"total": "1.00"}), "/total"),
    ] {
        let answer = refund(&shop, &paid.order, body.clone()).await;
        let answer = answer.problem(422, "invalid_request");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    refund(&shop, &paid.order, json!({"amount": "25.01"}))
        .await
        .problem(409, "refund_exceeds_captured");
    assert!(app.requests("refund.create").await.is_empty());
    assert_eq!(app.count("SELECT COUNT(*) FROM refund").await, 0);

    let first = refund(&shop, &paid.order, json!({"amount": "10"})).await;
    assert_eq!(first.expect(201).str("amount"), "10.00");
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "partially_refunded");
    assert_eq!(order["status"], "open");
    refund(&shop, &paid.order, json!({"amount": "15.01"}))
        .await
        .problem(409, "refund_exceeds_captured");
    let rest = refund(&shop, &paid.order, json!({"payment_id": payment})).await;
    assert_eq!(rest.expect(201).str("amount"), "15.00");
    assert_eq!(shop.order(&paid.order).await["payment_status"], "refunded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_give_back_their_part_and_the_last_one_the_remainder() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let line = shop.order(&paid.order).await["line_items"][0]["id"].clone();
    let of = |quantity: u32| json!({"line_items": [{"line_item": line, "quantity": quantity}]});
    let many = refund(&shop, &paid.order, of(3)).await;
    assert_eq!(
        many.problem(422, "invalid_request").pointers(),
        ["/line_items/0/quantity"]
    );
    let stranger =
        json!({"line_items": [{"line_item": "li_01kq8rm5ahf2aaemq4p7v9w0xe", "quantity": 1}]});
    let stranger = refund(&shop, &paid.order, stranger).await;
    assert_eq!(
        stranger.problem(422, "invalid_request").pointers(),
        ["/line_items/0/line_item"]
    );
    let one = refund(&shop, &paid.order, of(1)).await.expect(201);
    assert_eq!(one.str("amount"), "12.50");
    assert_eq!(one.json["line_items"][0]["amount"], "12.50");
    refund(&shop, &paid.order, json!({"amount": "0.01"}))
        .await
        .expect(201);
    let last = refund(&shop, &paid.order, of(1)).await.expect(201);
    assert_eq!(last.str("amount"), "12.49", "what is left");
    let again = refund(&shop, &paid.order, of(1)).await;
    again.problem(422, "invalid_request");
    assert_eq!(shop.order(&paid.order).await["payment_status"], "refunded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_refunds_at_once_never_exceed_what_was_captured() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let asked = (0..20).map(|_| refund(&shop, &paid.order, json!({"amount": "3.00"})));
    let answers = futures::future::join_all(asked).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 8, "8 × 3.00 is the most of 25.00");
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "refund_exceeds_captured");
    }
    assert_eq!(app.effects("refund.created").await.len(), 8);
    assert_eq!(shop.order(&paid.order).await["amount_refunded"], "24.00");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_made_in_the_dashboard_is_booked_from_its_webhook() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let intent = shop.payment_of(&paid.order).await["provider_payment_id"].clone();
    let intent = intent.as_str().expect("an id").to_owned();
    let act = format!("payment_intents/{intent}/refund");
    app.simulate(&act, &json!({"amount": 500})).await;
    let event = app.provider_events("refund.created").await.pop();
    app.deliver(&event.expect("an event")).await.expect(200);
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "partially_refunded", "{order}");
    assert_eq!(order["amount_refunded"], "5.00");
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["amount"], "5.00");
    assert_eq!(refunds[0]["status"], "succeeded");
    refund(&shop, &paid.order, json!({"amount": "20.01"}))
        .await
        .problem(409, "refund_exceeds_captured");
    let rest = refund(&shop, &paid.order, json!({})).await.expect(201);
    assert_eq!(rest.str("amount"), "20.00");
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "provider_clearing EUR 0",
            "refunds EUR 2500",
            "sales EUR -2500"
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_after_it_succeeded_is_reversed() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let line = shop.order(&paid.order).await["line_items"][0]["id"].clone();
    let body = json!({"line_items": [{"line_item": line, "quantity": 2}]});
    let made = refund(&shop, &paid.order, body.clone()).await.expect(201);
    assert_eq!(shop.order(&paid.order).await["status"], "cancelled");
    let act = format!("refunds/{}/fail", made.str("provider_refund_id"));
    app.simulate(&act, &json!({})).await;
    let event = app.provider_events("refund.failed").await.pop();
    app.deliver(&event.expect("an event")).await.expect(200);
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "paid", "{order}");
    assert_eq!(order["status"], "open");
    assert_eq!(order["amount_refunded"], "0.00");
    assert_eq!(order["review"], "provider_declined_refund");
    let failed = shop.refunds_of(&paid.order).await.remove(0);
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["failure_reason"], "expired_or_canceled_card");
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "provider_clearing EUR 2500",
            "refunds EUR 0",
            "sales EUR -2500"
        ]
    );
    // Its money and its lines can go back again, and then nothing is left to ask.
    refund(&shop, &paid.order, body).await.expect(201);
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    assert_eq!(
        app.reviews(&paid.order).await,
        ["provider_declined_refund resolved system"]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_never_called_failed_and_never_done_twice() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    for behaviour in [
        "timeout_after_commit",
        "reset_mid_response",
        "truncate",
        "status:500",
    ] {
        let (paid, _) = shop.paid(&app).await;
        app.fault(json!({"on": "refund.create", "do": behaviour, "times": 1}))
            .await;
        let key = fresh_key();
        let body = json!({"amount": "5.00"});
        let open = shop.post_with_key(&path_of(&paid.order), &key, &body).await;
        let open = open.expect(202);
        assert_eq!(open.str("status"), "pending", "{behaviour}");
        assert!(open.header("retry-after").is_some());
        app.heal().await;
        app.advance(10).await;
        app.work().await;
        let known = shop.post_with_key(&path_of(&paid.order), &key, &body).await;
        if behaviour == "status:500" {
            // Stripe keeps a 500 for its key: nothing is known until somebody looks.
            assert!([201, 202].contains(&known.status), "{}", known.text);
            app.advance(24 * 3_600).await;
            app.work().await;
            app.advance(3_600).await;
            app.work().await;
        } else {
            assert_eq!(known.expect(201).str("status"), "succeeded", "{behaviour}");
        }
        let made = app.effects("refund.created").await.len();
        let listed = shop.refunds_of(&paid.order).await;
        assert_eq!(listed.len(), 1, "{behaviour}: {made}");
        assert_ne!(listed[0]["status"], "pending", "{behaviour}");
    }
    app.finish().await;
}

/// The provider made it and goes on answering its key with an error: only the webhook knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_the_last_word_on_a_refund_whose_call_was_never_answered() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    app.fault(json!({"on": "refund.create", "do": "status:500_after_commit"}))
        .await;
    let (key, body) = (fresh_key(), json!({"amount": "5.00"}));
    let path = path_of(&paid.order);
    let open = shop.post_with_key(&path, &key, &body).await;
    assert_eq!(open.expect(202).str("status"), "pending");
    let told = app.provider_events("refund.created").await;
    app.deliver(&told[0]).await.expect(200);
    let known = shop.post_with_key(&path, &key, &body).await.expect(201);
    assert_eq!(known.str("status"), "succeeded");
    assert_eq!(known.header("idempotent-replayed"), Some("true"));
    let again = shop.post_with_key(&path, &key, &body).await.expect(201);
    assert_eq!(again.text, known.text);
    assert_eq!(app.effects("refund.created").await.len(), 1);
    app.expect_open_calls();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_names_another_amount_than_was_asked_for_is_looked_into() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for (field, lie) in [("amount", json!(501)), ("currency", json!("usd"))] {
        let (paid, _) = shop.paid(&app).await;
        app.fault(json!({"on": "refund.create", "do": "reset_mid_response"}))
            .await;
        let body = json!({"amount": "5.00"});
        refund(&shop, &paid.order, body).await.expect(202);
        let mut told = app.provider_events("refund.created").await;
        let mut told = told.pop().expect("the provider tells");
        told["data"]["object"][field] = lie;
        app.deliver(&told).await.expect(200);
        let quarantined = format!("quarantined {field}_mismatch");
        assert_eq!(app.verdict(&told).await, quarantined);
        assert_eq!(shop.order(&paid.order).await["amount_refunded"], "0.00");
        app.work().await;
        assert_eq!(app.verdict(&told).await, "applied");
        let order = shop.order(&paid.order).await;
        assert_eq!(order["amount_refunded"], "5.00", "{field}");
        assert_eq!(order["review"], Value::Null, "{field}");
        app.advance(10).await;
        app.work().await;
        assert_eq!(shop.refunds_of(&paid.order).await.len(), 1, "{field}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_refund_is_released_and_asked_about() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let intent = shop.payment_of(&paid.order).await["provider_payment_id"].clone();
    let act = format!("payment_intents/{}/refund", intent.as_str().expect("an id"));
    app.simulate(&act, &json!({"amount": 2000})).await;
    // The webhook of the dashboard's refund is lost: Till believes that all of the money is there.
    let refused = refund(&shop, &paid.order, json!({})).await;
    refused.problem(502, "provider_rejected");
    let order = shop.order(&paid.order).await;
    assert_eq!(order["amount_refunded"], "20.00", "the provider was asked");
    assert_eq!(order["review"], "provider_declined_refund");
    let rest = refund(&shop, &paid.order, json!({})).await.expect(201);
    assert_eq!(rest.str("amount"), "5.00");
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    app.finish().await;
}

/// Makes a refund at the provider that carries our marks, as a request that arrived late would.
async fn arrives_late(app: &TestApp, shop: &Actor, order: &str, refund: &str, minor: i64) -> Value {
    let intent = shop.payment_of(order).await["provider_payment_id"].clone();
    let form = format!(
        "payment_intent={}&amount={minor}&metadata[till_deployment]={}&metadata[till_order]={order}\
         &metadata[till_refund]={refund}",
        intent.as_str().expect("an id"),
        app.services.deployment,
    );
    let request = app.http.post(format!("{}/v1/refunds", app.simulator_url));
    let request = request.bearer_auth("sk_test_harness");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = request.body(form).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let mut told = app.provider_events("refund.created").await;
    told.pop().expect("the provider tells")
}

/// A refund of one mug whose call was declined, and that the provider made all the same.
async fn made_after_it_was_declined(app: &TestApp, shop: &Actor) -> (Payable, String, Value) {
    let (paid, _) = shop.paid(app).await;
    let line = shop.order(&paid.order).await["line_items"][0]["id"].clone();
    let body = json!({"line_items": [{"line_item": line, "quantity": 1}]});
    let lost = json!({"on": "refund.create", "do": "timeout_before", "times": 1});
    app.fault(lost).await;
    let key = fresh_key();
    let open = shop.post_with_key(&path_of(&paid.order), &key, &body).await;
    let open = open.expect(202);
    app.heal().await;
    // Nearly all of the money is gone when it is sent again.
    let intent = shop.payment_of(&paid.order).await["provider_payment_id"].clone();
    let act = format!("payment_intents/{}/refund", intent.as_str().expect("an id"));
    app.simulate(&act, &json!({"amount": 2000})).await;
    let elsewhere = app.provider_events("refund.created").await.pop();
    let elsewhere = elsewhere.expect("an event")["data"]["object"]["id"].clone();
    app.advance(10).await;
    app.work().await;
    let path = format!("/v1/refunds/{}", open.str("id"));
    assert_eq!(shop.get(&path).await.expect(200).str("status"), "failed");
    let act = format!("refunds/{}/fail", elsewhere.as_str().expect("an id"));
    app.simulate(&act, &json!({})).await;
    let failed = app.provider_events("refund.failed").await.pop();
    app.deliver(&failed.expect("an event")).await.expect(200);
    let minor = open.str("amount").replace('.', "").parse().expect("cents");
    let told = arrives_late(app, shop, &paid.order, open.str("id"), minor).await;
    app.deliver(&told).await.expect(200);
    assert_eq!(app.verdict(&told).await, "applied");
    assert_eq!(shop.get(&path).await.expect(200).str("status"), "succeeded");
    let again = json!({"key": key, "body": body});
    (
        paid,
        told["data"]["object"]["id"]
            .as_str()
            .expect("an id")
            .to_owned(),
        again,
    )
}

/// What counts is what became of the refund, not how its call ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_told_of_a_refund_that_went_through_after_its_call_was_declined() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let (paid, _, again) = made_after_it_was_declined(&app, &shop).await;
    let key = again["key"].as_str().expect("a key");
    let path = path_of(&paid.order);
    let known = shop.post_with_key(&path, key, &again["body"]).await;
    assert_eq!(known.expect(201).str("status"), "succeeded");
    app.finish().await;
}

/// However often it turns, a line is refunded as often as refunds hold it.
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_refund_follow_it_each_time_it_turns() {
    const HELD: &str = "SELECT CAST(SUM(refunded_quantity) AS BIGINT) FROM line_item";
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let (paid, made, _) = made_after_it_was_declined(&app, &shop).await;
    assert_eq!(app.count(HELD).await, 1);
    app.simulate(&format!("refunds/{made}/fail"), &json!({}))
        .await;
    let failed = app.provider_events("refund.failed").await.pop();
    let failed = failed.expect("an event");
    assert_eq!(failed["data"]["object"]["id"], made.as_str());
    app.deliver(&failed).await.expect(200);
    assert_eq!(app.verdict(&failed).await, "applied");
    assert_eq!(app.count(HELD).await, 0);
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "paid", "{order}");
    app.finish().await;
}

/// A refund of 5.00 that the provider made as one of 6.00, and the question that is asked about it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_made_in_another_amount_is_booked_and_asked_about() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let silent = json!({"on": "refund.create", "do": "status:503", "times": 1});
    app.fault(silent).await;
    let body = json!({"amount": "5.00"});
    let open = refund(&shop, &paid.order, body).await.expect(202);
    app.heal().await;
    let told = arrives_late(&app, &shop, &paid.order, open.str("id"), 600).await;
    let silent = json!({"on": "refund.create", "do": "status:503", "times": "always"});
    app.fault(silent).await;
    app.deliver(&told).await.expect(200);
    app.work().await;
    assert_eq!(app.verdict(&told).await, "quarantined amount_mismatch");
    let order = shop.order(&paid.order).await;
    assert_eq!(order["amount_refunded"], "6.00", "{order}");
    assert_eq!(order["review"], "amount_mismatch", "{order}");
    // The call is looked up: what was made is not what was asked for.
    app.advance(25 * 3_600).await;
    app.work().await;
    let mut reviews = app.reviews(&paid.order).await;
    reviews.sort();
    assert_eq!(
        reviews,
        ["amount_mismatch open", "outcome_unknown open"],
        "asked about"
    );
    app.heal().await;
    let rest = refund(&shop, &paid.order, json!({})).await.expect(201);
    assert_eq!(rest.str("amount"), "19.00", "what went back is gone");
    app.expect_open_calls();
    app.finish().await;
}

/// Whoever gives the duplicate back by hand did not take it for the order's money.
#[tokio::test(flavor = "multi_thread")]
async fn giving_back_a_duplicate_by_hand_leaves_the_payment_that_was_kept() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, kept, duplicate) = shop.paid_twice(&app).await;
    // Some of it was given back at the provider, so the policy, which wants to give back all, is refused.
    let intent = duplicate["provider_payment_id"].as_str().expect("an id");
    let act = format!("payment_intents/{intent}/refund");
    app.simulate(&act, &json!({"amount": 1000})).await;
    app.work().await;
    let refused = shop.refunds_of(&paid.order).await;
    let failed = |refund: &&Value| refund["status"] == "failed";
    assert_eq!(refused.iter().filter(failed).count(), 1, "{refused:?}");
    let body = json!({"payment_id": duplicate["id"]});
    let made = refund(&shop, &paid.order, body).await.expect(201);
    assert_eq!(made.str("status"), "succeeded");
    app.work().await;
    let order = shop.order(&paid.order).await;
    assert_eq!(order["status"], "open", "{order}");
    assert_eq!(order["payment_status"], "paid", "{order}");
    assert_eq!(order["amount_refunded"], "0.00", "{order}");
    assert_eq!(order["review"], Value::Null, "{order}");
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 3, "{refunds:?}");
    let kept_path = format!("/v1/payments/{}", kept["id"].as_str().expect("an id"));
    let kept = shop.get(&kept_path).await.expect(200);
    assert_eq!(kept.str("amount_refunded"), "0.00");
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "provider_clearing EUR 2500",
            "sales EUR -2500",
            "suspense EUR 0"
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_shops_and_lesser_keys_cannot_refund() {
    use till::domain::access::{KeyKind, Mode, Scope, Scopes};
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let made = refund(&shop, &paid.order, json!({"amount": "1.00"})).await;
    let refund_id = made.expect(201).str("id").to_owned();
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    refund(&other, &paid.order, json!({}))
        .await
        .problem(404, "not_found");
    for path in [
        format!("/v1/refunds/{refund_id}"),
        format!("/v1/payments/{payment}"),
    ] {
        other.get(&path).await.problem(404, "not_found");
    }
    assert!(other.refunds_of(&paid.order).await.is_empty());
    let browser = app.storefront().await;
    refund(&browser, &paid.order, json!({}))
        .await
        .problem(403, "forbidden");
    let reader = Scopes::new(vec![Scope::OrdersRead]);
    let reader = app.actor(&app.shop, KeyKind::Secret, reader).await;
    refund(&reader, &paid.order, json!({}))
        .await
        .problem(403, "forbidden");
    let keyless = shop
        .request(reqwest::Method::POST, &path_of(&paid.order))
        .json(&json!({}));
    shop.send(keyless)
        .await
        .problem(400, "idempotency_key_missing");
    app.finish().await;
}
