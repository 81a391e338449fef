//! Manual capture: reserved money is taken once, wholly or in part, or released.

use serde_json::{Value, json};

use crate::harness::actor::fresh_key;
use crate::harness::{Actor, Answer, Payable, TestApp};

async fn capture(shop: &Actor, payment: &str, body: Value) -> Answer {
    shop.post(&format!("/v1/payments/{payment}/capture"), &body)
        .await
}

async fn void(shop: &Actor, payment: &str) -> Answer {
    shop.post(&format!("/v1/payments/{payment}/void"), &json!({}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_money_is_captured_once() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (reserved, payment) = shop.reserved(&app).await;
    let order = shop.order(&reserved.order).await;
    assert_eq!(order["payment_status"], "authorized");
    assert_eq!(order["amount_authorized"], "25.00");
    assert!(app.balances(&reserved.order).await.is_empty());
    shop.check_out(&reserved.order)
        .await
        .problem(409, "already_paid");
    let key = fresh_key();
    let path = format!("/v1/payments/{payment}/capture");
    let taken = shop
        .post_with_key(&path, &key, &json!({}))
        .await
        .expect(200);
    assert_eq!(taken.str("status"), "captured");
    assert_eq!(taken.str("amount_captured"), "25.00");
    let again = shop
        .post_with_key(&path, &key, &json!({}))
        .await
        .expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text, taken.text);
    capture(&shop, &payment, json!({}))
        .await
        .problem(409, "already_captured");
    void(&shop, &payment).await.problem(409, "already_captured");
    let order = shop.order(&reserved.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["amount_authorized"], "0.00");
    let story = app.story(&reserved.order).await;
    for told in ["order.authorized", "payment.captured", "order.paid"] {
        let times = story.iter().filter(|kind| *kind == told).count();
        assert_eq!(times, 1, "{told} in {story:?}");
    }
    assert_eq!(app.requests("payment_intent.capture").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_capture_releases_the_rest() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (reserved, payment) = shop.reserved(&app).await;
    for amount in [
        json!("25.01"),
        json!("0"),
        json!("-1"),
        json!("1.001"),
        json!(5),
    ] {
        let answer = capture(&shop, &payment, json!({"amount": amount})).await;
        let answer = answer.problem(422, "invalid_request");
        assert_eq!(answer.pointers(), ["/amount"], "{amount}");
    }
    let taken = capture(&shop, &payment, json!({"amount": "20.00"})).await;
    assert_eq!(taken.expect(200).str("amount_captured"), "20.00");
    let order = shop.order(&reserved.order).await;
    assert_eq!(order["payment_status"], "partially_paid");
    assert_eq!(order["amount_paid"], "20.00");
    assert_eq!(order["amount_authorized"], "0.00");
    let refund = format!("/v1/orders/{}/refunds", reserved.order);
    let back = shop.post(&refund, &json!({})).await.expect(201);
    assert_eq!(back.str("amount"), "20.00", "of what was captured");
    app.finish().await;
}

/// An order of two mugs, of which 20.00 EUR were captured by hand and 5.00 EUR paid afterwards; and the first payment's id.
async fn paid_twice(app: &TestApp, shop: &Actor) -> (Payable, String) {
    let (reserved, payment) = shop.reserved(app).await;
    let taken = capture(shop, &payment, json!({"amount": "20.00"})).await;
    taken.expect(200);
    let rest = shop.check_out(&reserved.order).await.expect(201);
    assert_eq!(rest.str("amount"), "5.00");
    let rest = Payable {
        order: reserved.order,
        session: rest.str("id").to_owned(),
        at_provider: rest.str("provider_session_id").to_owned(),
    };
    app.pay(&rest).await;
    let event = app.provider_event("checkout.session.completed", &rest);
    app.deliver(&event.await).await.expect(200);
    (rest, payment)
}

/// What is left of one payment is not what is left of the order.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_pieces_give_back_what_they_cost_or_are_refused() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = paid_twice(&app, &shop).await;
    let line = shop.order(&paid.order).await["line_items"][0]["id"].clone();
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let wanted = json!({"payment_id": payment, "line_items": [{"line_item": line, "quantity": 1}]});
    let first = shop.post(&path, &wanted).await.expect(201);
    assert_eq!(first.str("amount"), "12.50");
    // 7.50 are left of that payment, 12.50 of the order.
    let second = shop.post(&path, &wanted).await;
    second.problem(409, "refund_exceeds_captured");
    for amount in ["7.50", "5.00"] {
        let by_amount = match amount {
            "7.50" => json!({"payment_id": payment, "amount": amount}),
            _ => json!({"amount": amount}),
        };
        shop.post(&path, &by_amount).await.expect(201);
    }
    let order = shop.order(&paid.order).await;
    assert_eq!(order["amount_refunded"], "25.00");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partial_capture_left_can_be_checked_out() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (rest, _) = paid_twice(&app, &shop).await;
    let order = shop.order(&rest.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["amount_paid"], "25.00");
    let story = app.story(&rest.order).await;
    let paid = story.iter().filter(|kind| *kind == "order.paid").count();
    assert_eq!(paid, 1, "{story:?}");
    shop.check_out(&rest.order)
        .await
        .problem(409, "already_paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_releases_and_the_order_can_be_paid_again() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (reserved, payment) = shop.reserved(&app).await;
    let released = void(&shop, &payment).await.expect(200);
    assert_eq!(released.str("status"), "voided");
    capture(&shop, &payment, json!({}))
        .await
        .problem(409, "not_capturable");
    void(&shop, &payment).await.problem(409, "not_voidable");
    let order = shop.order(&reserved.order).await;
    assert_eq!(order["payment_status"], "unpaid");
    assert_eq!(order["status"], "open");
    shop.check_out(&reserved.order).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_released_is_not_said_to_be_captured() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, payment) = shop.reserved(&app).await;
    app.fault(json!({"on": "payment_intent.cancel", "do": "status:503", "times": 2}))
        .await;
    void(&shop, &payment).await.expect(202);
    void(&shop, &payment)
        .await
        .problem(409, "payment_processing");
    capture(&shop, &payment, json!({}))
        .await
        .problem(409, "payment_processing");
    let (_, other) = shop.reserved(&app).await;
    app.fault(json!({"on": "payment_intent.capture", "do": "status:503"}))
        .await;
    capture(&shop, &other, json!({})).await.expect(202);
    capture(&shop, &other, json!({}))
        .await
        .problem(409, "already_captured");
    void(&shop, &other).await.problem(409, "payment_processing");
    for _ in 0..2 {
        app.advance(30).await;
        app.work().await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_is_the_same_request_however_it_is_written() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let (_, payment) = shop.reserved(&app).await;
    for path in [
        format!("/v1/orders/{}/refunds", paid.order),
        format!("/v1/payments/{payment}/capture"),
    ] {
        let key = fresh_key();
        let asked = async |amount: &str| {
            let body = json!({ "amount": amount });
            shop.post_with_key(&path, &key, &body).await
        };
        let first = asked("5.00").await;
        assert!(matches!(first.status, 200 | 201), "{}", first.text);
        for same in ["5", "5.0", "05.00"] {
            let again = asked(same).await;
            assert_eq!(again.text, first.text, "{same}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{same}");
        }
        asked("5.01").await.problem(422, "idempotency_key_reused");
        asked("5.").await.problem(422, "idempotency_key_reused");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_nobody_reads_moves_no_money() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let (reserved, payment) = shop.reserved(&app).await;
    for path in [
        format!("/v1/orders/{}/refunds?amount=5.00", paid.order),
        format!("/v1/payments/{payment}/capture?amount=5.00"),
        format!("/v1/payments/{payment}/void?amount=5.00"),
        format!("/v1/orders/{}/cancel?amount=5.00", reserved.order),
        format!(
            "/v1/checkout_sessions/{}/expire?amount=5.00",
            reserved.session
        ),
        "/v1/orders?amount=5.00".to_owned(),
    ] {
        let bare = shop.request(reqwest::Method::POST, &path);
        let bare = bare.header("Idempotency-Key", fresh_key());
        let refused = shop.send(bare).await.problem(422, "invalid_request");
        assert_eq!(refused.json["errors"][0]["pointer"], "/amount", "{path}");
    }
    for path in [
        format!("/v1/orders/{}?x=1", paid.order),
        format!("/v1/payments/{payment}?x=1"),
        "/v1/products/mug?x=1".to_owned(),
    ] {
        shop.get(&path).await.problem(422, "invalid_request");
    }
    shop.get(&format!("/v1/orders/{}?", paid.order))
        .await
        .expect(200);
    assert!(shop.refunds_of(&paid.order).await.is_empty());
    assert_eq!(
        shop.payment_of(&reserved.order).await["status"],
        "authorized"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_captures_at_once_are_one() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, payment) = shop.reserved(&app).await;
    let asked = (0..8).map(|_| capture(&shop, &payment, json!({"amount": "10.00"})));
    let answers = futures::future::join_all(asked).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(409, "already_captured");
    }
    assert_eq!(app.requests("payment_intent.capture").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_without_an_answer_is_finished_by_recovery() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    for (behaviour, end) in [
        ("timeout_after_commit", "captured"),
        ("timeout_before", "captured"),
        ("wrong_amount", "captured"),
    ] {
        let (_, payment) = shop.reserved(&app).await;
        app.fault(json!({"on": "payment_intent.capture", "do": behaviour, "times": 1}))
            .await;
        let key = fresh_key();
        let path = format!("/v1/payments/{payment}/capture");
        let open = shop.post_with_key(&path, &key, &json!({})).await;
        assert_eq!(open.expect(202).str("status"), "authorized", "{behaviour}");
        app.heal().await;
        app.advance(10).await;
        app.work().await;
        let known = shop
            .post_with_key(&path, &key, &json!({}))
            .await
            .expect(200);
        assert_eq!(known.str("status"), end, "{behaviour}");
    }
    assert_eq!(app.effects("payment_intent.succeeded").await.len(), 3);
    app.finish().await;
}

/// The provider did it and goes on answering its key with an error: only the webhook knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_the_last_word_on_a_call_that_was_never_answered() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for (verb, operation, event, end) in [
        ("capture", "capture", "payment_intent.succeeded", "captured"),
        ("void", "cancel", "payment_intent.canceled", "voided"),
    ] {
        let (payable, payment) = shop.reserved(&app).await;
        let on = format!("payment_intent.{operation}");
        app.fault(json!({"on": on, "do": "status:500_after_commit"}))
            .await;
        let (key, path) = (fresh_key(), format!("/v1/payments/{payment}/{verb}"));
        let open = shop.post_with_key(&path, &key, &json!({})).await;
        assert_eq!(open.expect(202).str("status"), "authorized", "{verb}");
        let told = app.provider_event(event, &payable).await;
        app.deliver(&told).await.expect(200);
        let known = shop.post_with_key(&path, &key, &json!({})).await;
        let known = known.expect(200);
        assert_eq!(known.str("status"), end, "{verb}");
        let again = shop.post_with_key(&path, &key, &json!({})).await;
        assert_eq!(again.expect(200).text, known.text, "{verb}");
    }
    app.expect_open_calls();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_lapses_is_expired_by_webhook_or_by_asking() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (told, _) = shop.reserved(&app).await;
    let (asked, _) = shop.reserved(&app).await;
    app.advance(8 * 24 * 3_600).await;
    let events = app.provider_events("charge.expired").await;
    let intent = shop.payment_of(&told.order).await["provider_payment_id"].clone();
    let event = events
        .iter()
        .find(|event| event["data"]["object"]["payment_intent"] == intent)
        .expect("the provider tells");
    app.deliver(event).await.expect(200);
    assert_eq!(shop.payment_of(&told.order).await["status"], "expired");
    app.work().await;
    let status = shop.payment_of(&asked.order).await["status"].clone();
    assert!(status == "voided" || status == "expired", "{status}");
    app.finish().await;
}
