//! Disputes: opened, decided, money taken and given back.

use serde_json::{Value, json};

use crate::harness::{Actor, Payable, TestApp};

/// Delivers every dispute event of the provider that Till has not seen.
async fn deliver_all(app: &TestApp) {
    for kind in [
        "created",
        "updated",
        "closed",
        "funds_withdrawn",
        "funds_reinstated",
    ] {
        for event in app.provider_events(&format!("charge.dispute.{kind}")).await {
            app.deliver(&event).await.expect(200);
        }
    }
}

async fn dispute(app: &TestApp, paid: &Payable, body: Value) -> String {
    let act = format!("sessions/{}/dispute", paid.at_provider);
    let dispute = app.simulate(&act, &body).await;
    deliver_all(app).await;
    dispute["id"].as_str().expect("an id").to_owned()
}

async fn close(app: &TestApp, dispute: &str, outcome: &str) {
    let act = format!("disputes/{dispute}/close");
    app.simulate(&act, &json!({"outcome": outcome})).await;
    deliver_all(app).await;
}

async fn refund(shop: &Actor, paid: &Payable) -> crate::harness::Answer {
    let path = format!("/v1/orders/{}/refunds", paid.order);
    shop.post(&path, &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_about_our_payment_is_kept_and_what_is_not_ours_ends_as_foreign() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    // It names the charge.
    let succeeded = app.provider_event("payment_intent.succeeded", &paid).await;
    app.deliver(&succeeded).await.expect(200);
    let act = format!("sessions/{}/dispute", paid.at_provider);
    app.simulate(&act, &json!({})).await;
    let event = app
        .provider_events("charge.dispute.created")
        .await
        .remove(0);
    let changed = |id: &str, path: &[(&str, Value)]| {
        let mut event = event.clone();
        event["id"] = json!(id);
        event["data"]["object"]["status"] = json!("needs_something_new");
        for (field, value) in path {
            event["data"]["object"][*field] = value.clone();
        }
        event
    };
    let ours = changed("evt_ours", &[]);
    let by_charge = changed("evt_charge", &[("payment_intent", Value::Null)]);
    let theirs = [("payment_intent", json!("pi_x")), ("charge", json!("ch_x"))];
    let theirs = changed("evt_theirs", &theirs);
    let mut live = changed("evt_live", &[]);
    live["livemode"] = json!(true);
    for (event, verdict) in [
        (&ours, "pending unreadable"),
        (&by_charge, "pending unreadable"),
        (&theirs, "pending unreadable"),
        (&live, "quarantined wrong_mode"),
    ] {
        for _ in 0..2 {
            app.deliver(event).await.expect(200);
        }
        assert_eq!(app.verdict(event).await, verdict, "{event}");
    }
    for _ in 0..6 {
        app.advance(3_600).await;
        app.work().await;
    }
    assert_eq!(app.verdict(&ours).await, "pending unreadable");
    assert_eq!(app.verdict(&by_charge).await, "pending unreadable");
    assert_eq!(app.verdict(&theirs).await, "foreign");
    assert_eq!(app.verdict(&live).await, "quarantined wrong_mode");
    assert_eq!(shop.order(&paid.order).await["payment_status"], "paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_takes_the_money_and_a_won_one_gives_it_back() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let id = dispute(&app, &paid, json!({})).await;
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "disputed");
    assert_eq!(order["amount_disputed"], "25.00");
    assert_eq!(order["review"], "dispute");
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "disputes_held EUR 2500",
            "provider_clearing EUR 0",
            "sales EUR -2500"
        ]
    );
    refund(&shop, &paid).await.problem(409, "payment_disputed");
    close(&app, &id, "won").await;
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["amount_disputed"], "0.00");
    assert_eq!(order["review"], Value::Null);
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "disputes_held EUR 0",
            "provider_clearing EUR 2500",
            "sales EUR -2500"
        ]
    );
    let story = app.story(&paid.order).await;
    for told in ["dispute.opened", "dispute.closed"] {
        let times = story.iter().filter(|kind| *kind == told).count();
        assert_eq!(times, 1, "{told} in {story:?}");
    }
    refund(&shop, &paid).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_dispute_is_a_loss() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let id = dispute(&app, &paid, json!({})).await;
    close(&app, &id, "lost").await;
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "charged_back");
    assert_eq!(order["review"], Value::Null);
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "dispute_losses EUR 2500",
            "disputes_held EUR 0",
            "provider_clearing EUR 0",
            "sales EUR -2500"
        ]
    );
    refund(&shop, &paid).await.problem(409, "payment_disputed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inquiry_takes_nothing_and_its_money_can_go_back() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let id = dispute(&app, &paid, json!({"inquiry": true})).await;
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["review"], "dispute");
    close(&app, &id, "warning_closed").await;
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    refund(&shop, &paid).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_whose_end_nobody_told_is_asked_about() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let id = dispute(&app, &paid, json!({})).await;
    let act = format!("disputes/{id}/close");
    app.simulate(&act, &json!({"outcome": "won"})).await;
    app.advance(7 * 3_600).await;
    app.work().await;
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["review"], Value::Null);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_back_after_the_decision_is_asked_about() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let id = dispute(&app, &paid, json!({})).await;
    let act = format!("disputes/{id}/close");
    let decided = json!({"outcome": "won", "reinstate": false});
    app.simulate(&act, &decided).await;
    deliver_all(&app).await;
    let held = app.balances(&paid.order).await;
    assert_eq!(held[0], "disputes_held EUR 2500");
    // Nobody is told of it.
    let act = format!("disputes/{id}/reinstate");
    app.simulate(&act, &json!({})).await;
    app.advance(7 * 3_600).await;
    app.work().await;
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "disputes_held EUR 0",
            "provider_clearing EUR 2500",
            "sales EUR -2500"
        ]
    );
    let asked = app.requests("dispute.retrieve").await.len();
    app.advance(7 * 3_600).await;
    app.work().await;
    assert_eq!(
        app.requests("dispute.retrieve").await.len(),
        asked,
        "what is settled is not asked about again"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_of_a_payment_nobody_knows_yet_waits_for_it() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let id = dispute(&app, &payable, json!({})).await;
    assert!(id.starts_with("dp_"));
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    app.advance(5).await;
    app.work().await;
    let order = shop.order(&payable.order).await;
    assert_eq!(
        order["payment_status"], "disputed",
        "its payment was asked for"
    );
    app.finish().await;
}

/// A webhook of a dispute that names its charge and no intent, delivered.
async fn disputed_by_charge(app: &TestApp, paid: &Payable) -> Value {
    let act = format!("sessions/{}/dispute", paid.at_provider);
    app.simulate(&act, &json!({})).await;
    let events = app.provider_events("charge.dispute.created");
    let mut event = events.await.remove(0);
    event["data"]["object"]["payment_intent"] = Value::Null;
    app.deliver(&event).await.expect(200);
    event
}

/// The order is known by its session alone, and nobody has said which charge its intent made. A charge no intent made is
/// not of a payment of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_names_a_charge_alone_belongs_to_the_intent_that_made_it() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let event = disputed_by_charge(&app, &paid).await;
    assert_eq!(app.verdict(&event).await, "pending order_unknown");
    let mut theirs = event.clone();
    theirs["id"] = json!("evt_theirs");
    theirs["data"]["object"]["charge"] = json!("ch_of_somebody_else");
    app.deliver(&theirs).await.expect(200);
    app.services.retry_due_events().await.expect("not yet");
    app.advance(5).await;
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&theirs).await, "foreign");
    assert_eq!(app.verdict(&event).await, "applied");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_the_provider_does_not_show_now_is_asked_for_again() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let event = disputed_by_charge(&app, &paid).await;
    app.fault(json!({"on": "charge.retrieve", "do": "status:503"}))
        .await;
    app.advance(5).await;
    app.work().await;
    assert_eq!(app.verdict(&event).await, "pending not_fetched");
    app.advance(60).await;
    app.work().await;
    assert_eq!(app.verdict(&event).await, "applied");
    let order = shop.order(&paid.order).await;
    assert_eq!(order["payment_status"], "disputed");
    app.finish().await;
}
