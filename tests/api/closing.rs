//! Cancelling and expiring: the provider is asked first, and the payment that was faster wins.

use serde_json::{Value, json};

use crate::harness::actor::{checkout_body, fresh_key};
use crate::harness::{Actor, Answer, Payable, Setup, TestApp};

async fn cancel(shop: &Actor, order: &str) -> Answer {
    shop.post(&format!("/v1/orders/{order}/cancel"), &json!({}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_a_session_is_cancelled_at_once() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let bare = shop.request(reqwest::Method::POST, &format!("/v1/orders/{order}/cancel"));
    let cancelled = shop.send(bare).await.expect(200);
    assert_eq!(cancelled.str("status"), "cancelled");
    assert_eq!(
        cancel(&shop, &order).await.expect(200).str("status"),
        "cancelled"
    );
    shop.check_out(&order).await.problem(409, "order_closed");
    assert_eq!(
        app.story(&order).await,
        ["order.created", "order.cancelled"]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_session_is_ended_first() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    let key = fresh_key();
    let path = format!("/v1/orders/{}/cancel", payable.order);
    let done = shop
        .post_with_key(&path, &key, &json!({}))
        .await
        .expect(200);
    assert_eq!(done.str("status"), "cancelled");
    let again = shop
        .post_with_key(&path, &key, &json!({}))
        .await
        .expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(shop.session(&payable.session).await["status"], "expired");
    assert_eq!(app.requests("checkout.session.expire").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payment_that_was_faster_wins() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    // The webhook is still on its way.
    cancel(&shop, &payable.order)
        .await
        .problem(409, "already_paid");
    let order = shop.order(&payable.order).await;
    assert_eq!(order["status"], "open");
    assert_eq!(order["payment_status"], "paid");
    cancel(&shop, &payable.order)
        .await
        .problem(409, "already_paid");
    let asked = "SELECT COUNT(*) FROM \"order\" WHERE cancel_requested_at IS NOT NULL";
    assert_eq!(app.count(asked).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_under_way_cannot_be_called_back() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.at_session(&payable, "pay", json!({"method": "delayed"}))
        .await;
    cancel(&shop, &payable.order)
        .await
        .problem(409, "payment_processing");
    app.finish().await;
}

/// The page was seen by asking for the session, and the money did not come: nobody refused to make it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_its_last_answer_is_not_told_that_a_session_that_was_made_was_refused() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    let path = format!("/v1/orders/{order}/checkout_sessions");
    let key = fresh_key();
    let begin = async || shop.post_with_key(&path, &key, &checkout_body()).await;
    let session = begin().await.expect(202).str("id").to_owned();
    app.advance(3).await;
    app.work().await;
    let shown = shop.session(&session).await;
    let payable = Payable {
        order,
        session,
        at_provider: shown["provider_session_id"]
            .as_str()
            .expect("made")
            .to_owned(),
    };
    app.at_session(&payable, "pay", json!({"method": "delayed"}))
        .await;
    app.at_session(&payable, "settle", json!({"outcome": "failed"}))
        .await;
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", payable.session);
    let shown = shop.get(&refresh).await.expect(200);
    assert_eq!(shown.str("status"), "failed");
    for _ in 0..2 {
        begin().await.problem(409, "checkout_session_conflict");
    }
    app.finish().await;
}

/// The customer pays slowly, and only the session's own webhook arrives: it names the payment, which nobody has
/// seen yet.
async fn session_completed_alone(app: &TestApp, payable: &Payable) {
    app.at_session(payable, "pay", json!({"method": "delayed"}))
        .await;
    let event = app.provider_event("checkout.session.completed", payable);
    app.deliver(&event.await).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_under_way_whose_payment_nobody_knows_yet_refuses_the_cancellation() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    session_completed_alone(&app, &payable).await;
    assert_eq!(shop.session(&payable.session).await["status"], "processing");
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    let key = fresh_key();
    let path = format!("/v1/orders/{}/cancel", payable.order);
    for _ in 0..2 {
        let refused = shop.post_with_key(&path, &key, &json!({})).await;
        refused.problem(409, "payment_processing");
    }
    let bare = cancel(&shop, &payable.order).await;
    bare.problem(409, "payment_processing");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_money_is_released_by_a_cancellation() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (reserved, _) = shop.reserved(&app).await;
    let done = cancel(&shop, &reserved.order).await.expect(200);
    assert_eq!(done.str("status"), "cancelled");
    assert_eq!(shop.payment_of(&reserved.order).await["status"], "voided");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_without_an_answer_is_finished_by_recovery() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.fault(json!({"on": "checkout.session.expire", "do": "timeout_before", "times": 1}))
        .await;
    let open = cancel(&shop, &payable.order).await.expect(202);
    assert_eq!(open.str("status"), "open");
    shop.check_out(&payable.order)
        .await
        .problem(409, "order_closed");
    app.heal().await;
    app.advance(10).await;
    app.work().await;
    assert_eq!(shop.order(&payable.order).await["status"], "cancelled");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_being_created_is_finished_and_then_ended() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "timeout_after_commit", "times": 1}))
        .await;
    shop.check_out(&order).await.expect(202);
    cancel(&shop, &order).await.expect(202);
    app.heal().await;
    app.advance(10).await;
    app.work().await;
    assert_eq!(shop.order(&order).await["status"], "cancelled");
    assert_eq!(app.requests("checkout.session.expire").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_after_the_cancellation_goes_back() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    cancel(&shop, &payable.order).await.expect(200);
    shop.late_money(&app, &payable).await;
    let order = shop.order(&payable.order).await;
    assert_eq!(order["status"], "cancelled");
    assert_eq!(order["review"], "paid_after_cancel");
    assert_eq!(order["amount_paid"], "0.00");
    app.work().await;
    let order = shop.order(&payable.order).await;
    assert_eq!(order["review"], Value::Null, "{order}");
    let refunds = shop.refunds_of(&payable.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["amount"], "25.00");
    assert_eq!(refunds[0]["status"], "succeeded");
    assert_eq!(
        app.balances(&payable.order).await,
        ["provider_clearing EUR 0", "suspense EUR 0"]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_the_provider_refuses_for_a_moment_ends_no_call_that_nobody_repeats() {
    for status in ["status:401", "status:403", "status:404"] {
        let app = TestApp::quiet().await;
        let shop = app.merchant().await;
        let refuse = async |on: &str| app.fault(json!({"on": on, "do": status})).await;

        let open = shop.payable().await;
        refuse("checkout.session.expire").await;
        cancel(&shop, &open.order).await.expect(202);
        let (reserved, _) = shop.reserved(&app).await;
        refuse("payment_intent.cancel").await;
        cancel(&shop, &reserved.order).await.expect(202);
        let late = shop.payable().await;
        cancel(&shop, &late.order).await.expect(200);
        shop.late_money(&app, &late).await;
        refuse("refund.create").await;
        app.services.send_due_calls().await.expect("a round");
        assert_eq!(shop.refunds_of(&late.order).await[0]["status"], "pending");

        app.advance(10).await;
        app.work().await;
        assert_eq!(shop.order(&open.order).await["status"], "cancelled");
        assert_eq!(shop.order(&reserved.order).await["status"], "cancelled");
        assert_eq!(shop.payment_of(&reserved.order).await["status"], "voided");
        assert_eq!(shop.refunds_of(&late.order).await[0]["status"], "succeeded");
        // A checkout's caller is told: nothing was made, and they can ask again.
        let order = shop.place_order().await.str("id").to_owned();
        refuse("checkout.session.create").await;
        shop.check_out(&order)
            .await
            .problem(502, "provider_rejected");
        shop.check_out(&order).await.expect(201);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_wanted_ended_while_it_is_being_made_is_ended_once_it_is_known() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for key in [None, Some(fresh_key())] {
        let order = shop.place_order().await.str("id").to_owned();
        app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
            .await;
        let checkout = format!("/v1/orders/{order}/checkout_sessions");
        let first = fresh_key();
        let begin = async || {
            shop.post_with_key(&checkout, &first, &checkout_body())
                .await
        };
        let session = begin().await.expect(202);
        let path = format!("/v1/checkout_sessions/{}/expire", session.str("id"));
        let expire = async || match &key {
            Some(key) => shop.post_with_key(&path, key, &json!({})).await,
            None => shop.send(shop.request(reqwest::Method::POST, &path)).await,
        };
        let begun = expire().await.expect(202);
        assert_eq!(begun.str("status"), "creating");
        assert_eq!(begun.header("idempotent-replayed"), None);
        // Whoever wants to pay is not sent to a page that is about to go; the refusal keeps no key.
        let again = fresh_key();
        shop.post_with_key(&checkout, &again, &checkout_body())
            .await
            .problem(409, "checkout_session_conflict");
        app.advance(3).await;
        app.work().await;
        assert_eq!(
            shop.session(session.str("id")).await["status"],
            "expired",
            "{key:?}"
        );
        let ended = expire().await.expect(200);
        assert_eq!(ended.str("status"), "expired");
        let replayed = key.as_ref().map(|_| "true");
        assert_eq!(ended.header("idempotent-replayed"), replayed);
        assert_eq!(shop.order(&order).await["status"], "open");
        let other = shop
            .post_with_key(&checkout, &again, &checkout_body())
            .await
            .expect(201);
        assert_ne!(other.str("id"), session.str("id"));
        // Whoever repeats the request until there is a page is told that there will be none.
        for _ in 0..2 {
            begin().await.problem(409, "checkout_session_conflict");
        }
    }
    assert_eq!(app.requests("checkout.session.expire").await.len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_an_open_page_whose_end_is_under_way() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.fault(json!({"on": "checkout.session.expire", "do": "status:503"}))
        .await;
    let path = format!("/v1/checkout_sessions/{}/expire", payable.session);
    shop.post(&path, &json!({})).await.expect(202);
    let checkout = format!("/v1/orders/{}/checkout_sessions", payable.order);
    let again = fresh_key();
    shop.post_with_key(&checkout, &again, &checkout_body())
        .await
        .problem(409, "checkout_session_conflict");
    app.advance(60).await;
    shop.post_with_key(&checkout, &again, &checkout_body())
        .await
        .problem(409, "checkout_session_conflict");
    // Where nothing does the background work it would never be ended, and serves like one whose end is far off.
    app.advance(240).await;
    let open = shop.check_out(&payable.order).await.expect(200);
    assert_eq!(open.str("id"), payable.session);
    app.work().await;
    assert_eq!(shop.session(&payable.session).await["status"], "expired");
    let other = shop
        .post_with_key(&checkout, &again, &checkout_body())
        .await
        .expect(201);
    assert_ne!(other.str("id"), payable.session);
    app.finish().await;
}

/// An open page that somebody wants ended, which the provider does not answer.
async fn to_be_ended(app: &TestApp, shop: &Actor) -> Payable {
    let payable = shop.payable().await;
    app.fault(json!({"on": "checkout.session.expire", "do": "status:503", "times": "always"}))
        .await;
    let path = format!("/v1/checkout_sessions/{}/expire", payable.session);
    shop.post(&path, &json!({})).await.expect(202);
    payable
}

/// While its end is not tried again for hours, the page serves whoever wants to pay.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_end_waits_for_long_serves_until_then() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = to_be_ended(&app, &shop).await;
    for _ in 0..8 {
        app.advance(1_800).await;
        app.work().await;
    }
    let joined = shop.check_out(&payable.order).await.expect(200);
    assert_eq!(joined.str("id"), payable.session);
    app.heal().await;
    app.advance(12 * 3_600).await;
    app.work().await;
    assert_eq!(shop.session(&payable.session).await["status"], "expired");
    app.finish().await;
}

/// The provider answers again after long, or somebody has begun to work again: what was held back is sent at once.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_a_page_whose_end_was_held_back_until_now() {
    for restart in [false, true] {
        let app = TestApp::quiet().await;
        let shop = app.merchant().await;
        let payable = to_be_ended(&app, &shop).await;
        let (store, account) = (&app.services.store, app.services.account.id);
        if restart {
            let claimed = store.claim_calls(account, 10).await.expect("calls");
            assert!(claimed.is_empty(), "not yet");
            app.advance(60).await;
            let claimed = store.claim_calls(account, 10).await.expect("calls");
            assert_eq!(claimed.len(), 1);
        }
        app.advance(600).await;
        let joined = shop.check_out(&payable.order).await.expect(200);
        assert_eq!(joined.str("id"), payable.session, "nobody ends it");
        match restart {
            true => store.release_leases().await.expect("released"),
            false => {
                store.wake_calls(account).await.expect("woken");
            }
        }
        let refused = shop.check_out(&payable.order).await;
        refused.problem(409, "checkout_session_conflict");
        app.heal().await;
        app.work().await;
        assert_eq!(shop.session(&payable.session).await["status"], "expired");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_time_is_up_is_not_checked_out_any_more() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let payable = shop.payable().await;
    app.advance(24 * 3_600).await;
    for order in [&order, &payable.order] {
        assert_eq!(shop.order(order).await["status"], "open", "no worker yet");
        shop.check_out(order).await.problem(409, "order_closed");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_for_two_cancellations_at_once_ends_one_of_them() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..4 {
        let key = fresh_key();
        let (first, second) = (shop.payable().await, shop.payable().await);
        let paths = [&first, &second].map(|one| format!("/v1/orders/{}/cancel", one.order));
        let none = json!({});
        let (a, b) = tokio::join!(
            shop.post_with_key(&paths[0], &key, &none),
            shop.post_with_key(&paths[1], &key, &none)
        );
        let (path, refused) = match a.status {
            200 => (&paths[0], b),
            _ => (&paths[1], a),
        };
        refused.problem(422, "idempotency_key_reused");
        let again = shop.post_with_key(path, &key, &none).await.expect(200);
        assert_eq!(again.str("status"), "cancelled");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_late_is_held_when_the_policy_says_so() {
    let app = TestApp::with(Setup {
        workers: false,
        webhooks: false,
        settings: vec![("orders.late_payments", "hold".into())],
        ..Setup::default()
    })
    .await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    cancel(&shop, &payable.order).await.expect(200);
    shop.late_money(&app, &payable).await;
    app.work().await;
    let order = shop.order(&payable.order).await;
    assert_eq!(order["review"], "paid_after_cancel");
    assert!(shop.refunds_of(&payable.order).await.is_empty());
    app.finish().await;
}

/// An order with an open session whose money will only be reserved.
async fn to_be_reserved(shop: &Actor) -> Payable {
    let order = shop.place_order().await.str("id").to_owned();
    let mut body = checkout_body();
    body["capture"] = json!("manual");
    let path = format!("/v1/orders/{order}/checkout_sessions");
    let session = shop.post(&path, &body).await.expect(201);
    Payable {
        order,
        session: session.str("id").to_owned(),
        at_provider: session.str("provider_session_id").to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_reserved_after_the_cancellation_is_released() {
    const RESERVED: &str = "payment_intent.amount_capturable_updated";
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = to_be_reserved(&shop).await;
    cancel(&shop, &payable.order).await.expect(200);
    let twin = to_be_reserved(&shop).await;
    app.pay(&twin).await;
    let event = app.provider_event(RESERVED, &twin).await;
    app.deliver_as(event, &payable).await;
    let late = shop.payment_of(&payable.order).await;
    assert_eq!(late["status"], "authorized");
    app.work().await;
    let late = shop.payment_of(&payable.order).await;
    assert_eq!(late["status"], "voided");
    assert_eq!(app.requests("payment_intent.cancel").await.len(), 1);
    assert!(shop.refunds_of(&payable.order).await.is_empty());
    let order = shop.order(&payable.order).await;
    assert_eq!(order["status"], "cancelled");
    assert_eq!(order["review"], Value::Null);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unpaid_orders_expire_once_the_provider_says_they_cannot_be_paid() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let bare = shop.place_order().await.str("id").to_owned();
    let payable = shop.payable().await;
    let paid = shop.payable().await;
    app.advance(23 * 3_600).await;
    app.work().await;
    assert_eq!(shop.order(&bare).await["status"], "open");
    app.pay(&paid).await;
    app.advance(2 * 3_600).await;
    app.work().await;
    app.advance(120).await;
    app.work().await;
    assert_eq!(shop.order(&bare).await["status"], "expired");
    assert_eq!(shop.order(&payable.order).await["status"], "expired");
    let kept = shop.order(&paid.order).await;
    assert_eq!(
        (&kept["status"], &kept["payment_status"]),
        (&json!("open"), &json!("paid")),
        "its webhook was lost, the provider was asked"
    );
    assert_eq!(app.story(&bare).await, ["order.created", "order.expired"]);
    cancel(&shop, &bare).await.problem(409, "order_closed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_order_with_a_session_under_way_waits_for_its_outcome() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    session_completed_alone(&app, &payable).await;
    app.advance(25 * 3_600).await;
    let mut looked_at = Vec::new();
    for minutes in [0, 0, 30, 45, 0] {
        app.advance(minutes * 60).await;
        looked_at.push(app.services.expire_orders().await.expect("a round"));
    }
    assert_eq!(looked_at, [1, 0, 0, 1, 0], "once an hour");
    assert_eq!(shop.order(&payable.order).await["status"], "open");
    app.at_session(&payable, "settle", json!({"outcome": "failed"}))
        .await;
    let event = app.provider_event("checkout.session.async_payment_failed", &payable);
    app.deliver(&event.await).await.expect(200);
    assert_eq!(shop.order(&payable.order).await["status"], "expired");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_reserved_in_time_keeps_its_order_open() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = to_be_reserved(&shop).await;
    app.advance(23 * 3_600).await;
    app.pay(&payable).await;
    app.advance(2 * 3_600).await;
    // Nobody knows of it yet when the order's time is up.
    assert_eq!(app.services.expire_orders().await.expect("a round"), 1);
    let event = app.provider_event("payment_intent.amount_capturable_updated", &payable);
    app.deliver(&event.await).await.expect(200);
    app.work().await;
    let kept = shop.order(&payable.order).await;
    assert_eq!(
        (&kept["status"], &kept["payment_status"]),
        (&json!("open"), &json!("authorized"))
    );
    assert!(app.requests("payment_intent.cancel").await.is_empty());
    // One that was found unpaid, and is not any more once it is locked.
    let (shop, order) = (app.shop.id, payable.order.parse().expect("an id"));
    let store = &app.services.store;
    let begun = store.write(|tx| async move {
        let shop = tx.shop(shop);
        shop.lock_order(order).await?;
        shop.begin_expiry(order, 60_000).await
    });
    assert!(!begun.await.expect("a write"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_on_request_and_another_capture_begun() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    let path = format!("/v1/checkout_sessions/{}/expire", payable.session);
    let ended = shop.post(&path, &json!({})).await.expect(200);
    assert_eq!(ended.str("status"), "expired");
    assert_eq!(ended.json["url"], Value::Null);
    shop.post(&path, &json!({})).await.expect(200);
    assert_eq!(shop.order(&payable.order).await["status"], "open");
    shop.check_out(&payable.order).await.expect(201);
    let paid = shop.payable().await;
    app.pay(&paid).await;
    let path = format!("/v1/checkout_sessions/{}/expire", paid.session);
    shop.post(&path, &json!({}))
        .await
        .problem(409, "already_paid");
    app.finish().await;
}
