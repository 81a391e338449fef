//! Webhooks: who is believed, and that what is believed is stored and applied exactly once, in any order, or not
//! acknowledged. Events are the simulator's own, delivered by hand so that each test decides when.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Payable, TestApp, eventually, sign};

const COMPLETED: &str = "checkout.session.completed";
const SUCCEEDED: &str = "payment_intent.succeeded";

/// How many events are stored.
async fn stored(app: &TestApp) -> i64 {
    app.count("SELECT COUNT(*) FROM provider_event").await
}

/// A paid order whose events have not been delivered yet.
async fn paid(app: &TestApp) -> (Payable, Value) {
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let event = app.provider_event(COMPLETED, &payable).await;
    (payable, event)
}

/// Makes the signature header for a body.
type MakeHeader<'a> = Box<dyn Fn(&[u8]) -> String + 'a>;

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_turns_an_order_paid_with_its_ledger_and_its_events() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = paid(&app).await;
    app.deliver(&event).await.expect(200);
    let order = shop.order(&payable.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["amount_paid"], "25.00");
    assert_eq!(order["status"], "open");
    assert_eq!(shop.session(&payable.session).await["status"], "complete");
    assert!(shop.session(&payable.session).await["url"].is_null());
    let payment = "SELECT status || ' ' || CAST(amount_minor AS TEXT) || ' ' || CAST(captured_minor AS TEXT) \
                   || ' ' || currency || ' ' || provider_payment_id FROM payment";
    let intent = event["data"]["object"]["payment_intent"]
        .as_str()
        .expect("an intent");
    assert_eq!(
        app.texts(payment).await,
        [format!("captured 2500 2500 EUR {intent}")]
    );
    assert_eq!(
        app.balances(&payable.order).await,
        ["provider_clearing EUR 2500", "sales EUR -2500"]
    );
    assert_eq!(app.postings(&payable.order).await, 1);
    assert_eq!(
        app.story(&payable.order).await,
        [
            "order.created",
            "payment.captured",
            "checkout_session.completed",
            "order.paid"
        ]
    );
    // The intent's own event says nothing new.
    app.deliver(&app.provider_event(SUCCEEDED, &payable).await)
        .await
        .expect(200);
    assert_eq!(app.story(&payable.order).await.len(), 4);
    assert_eq!(app.postings(&payable.order).await, 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM payment").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_stripes_libraries_accept_is_believed() {
    let app = TestApp::quiet().await;
    let (_, event) = paid(&app).await;
    let secret = app.webhook_secret.clone();
    assert!(secret.starts_with("whsec_"));
    let now = app.clock.now().seconds();
    let hex = |key: &str, at: i64, body: &[u8]| {
        sign(key, at, body)
            .rsplit_once("v1=")
            .expect("v1")
            .1
            .to_owned()
    };
    // Each accepted header comes with an event of its own, so that a duplicate cannot hide a refusal.
    let body_of = |name: &str| {
        let mut copy = event.clone();
        copy["id"] = json!(format!("evt_{name}"));
        serde_json::to_vec(&copy).expect("JSON")
    };
    let good = |body: &[u8]| hex(&secret, now, body);
    let wrong = "0".repeat(64);
    let accepted: Vec<(&str, MakeHeader)> = vec![
        ("plain", Box::new(|b| format!("t={now},v1={}", good(b)))),
        (
            "second_v1",
            Box::new(|b| format!("t={now},v1={wrong},v1={}", good(b))),
        ),
        (
            "first_v1",
            Box::new(|b| format!("t={now},v1={},v1={wrong}", good(b))),
        ),
        (
            "v0_beside",
            Box::new(|b| format!("t={now},v0={wrong},v1={},v2=x", good(b))),
        ),
        (
            "signature_first",
            Box::new(|b| format!("v1={},t={now}", good(b))),
        ),
        ("old_299", Box::new(|b| sign(&secret, now - 295, b))),
        ("early_299", Box::new(|b| sign(&secret, now + 299, b))),
    ];
    for (name, header) in &accepted {
        let body = body_of(name);
        let answer = app.deliver_raw(Some(&header(&body)), body).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
    }
    let kept = stored(&app).await;
    assert_eq!(kept, i64::try_from(accepted.len()).expect("few"));

    let body = body_of("refused");
    let signature = good(&body);
    let mut flipped = signature.clone();
    flipped.replace_range(0..1, if signature.starts_with('0') { "1" } else { "0" });
    let bare_secret = secret.trim_start_matches("whsec_");
    let refused: Vec<(&str, Option<String>)> = vec![
        ("no header", None),
        ("an empty header", Some(String::new())),
        ("no timestamp", Some(format!("v1={signature}"))),
        ("no signature", Some(format!("t={now}"))),
        ("v0 only", Some(format!("t={now},v0={signature}"))),
        ("a flipped bit", Some(format!("t={now},v1={flipped}"))),
        (
            "a cut signature",
            Some(format!("t={now},v1={}", &signature[..62])),
        ),
        (
            "upper case",
            Some(format!("t={now},v1={}", signature.to_uppercase())),
        ),
        (
            "another timestamp",
            Some(format!("t={},v1={signature}", now + 1)),
        ),
        ("no number", Some(format!("t=soon,v1={signature}"))),
        ("another secret", Some(sign("whsec_another", now, &body))),
        (
            "the secret without its prefix",
            Some(sign(bare_secret, now, &body)),
        ),
        ("an empty secret", Some(sign("", now, &body))),
        ("301 s old", Some(sign(&secret, now - 301, &body))),
        ("301 s early", Some(sign(&secret, now + 305, &body))),
        ("a day old", Some(sign(&secret, now - 86_400, &body))),
        ("time 0", Some(sign(&secret, 0, &body))),
        ("a negative time", Some(sign(&secret, -1, &body))),
        ("the end of time", Some(sign(&secret, i64::MAX, &body))),
    ];
    for (name, header) in &refused {
        let answer = app.deliver_raw(header.as_deref(), body.clone()).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
        answer.problem(400, "invalid_signature");
    }
    // The same JSON in other bytes is not what was signed.
    let pretty = serde_json::to_vec_pretty(&event).expect("JSON");
    let answer = app
        .deliver_raw(Some(&format!("t={now},v1={signature}")), pretty)
        .await;
    answer.problem(400, "invalid_signature");
    assert_eq!(
        stored(&app).await,
        kept,
        "what is not believed is not stored"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_events_change_nothing_and_are_not_kept() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = paid(&app).await;
    let body = serde_json::to_vec(&event).expect("JSON");
    app.deliver_raw(None, body.clone())
        .await
        .problem(400, "invalid_signature");
    let forged = sign("whsec_guessed", app.clock.now().seconds(), &body);
    app.deliver_raw(Some(&forged), body)
        .await
        .problem(400, "invalid_signature");
    assert_eq!(stored(&app).await, 0);
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_not_signed_with_the_present_secret_are_refused_until_they_are() {
    let app = TestApp::listening().await;
    let shop = app.merchant().await;
    for fault in ["old_secret", "forge"] {
        app.fault(json!({"webhook": "*", "do": fault, "times": "always"}))
            .await;
        let payable = shop.payable().await;
        app.pay(&payable).await;
        eventually("the webhook was refused", async || {
            let tried = app.journal("webhook").await;
            tried
                .iter()
                .any(|try_| try_["fault"] == fault && try_["status"] == 400)
        })
        .await;
        assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
        app.heal().await;
        // Its own retry, signed as it should be.
        app.simulate("clock/advance", &json!({"seconds": 2})).await;
        eventually("the order is paid", async || {
            shop.order(&payable.order).await["payment_status"] == "paid"
        })
        .await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_delivered_ten_times_at_once_has_one_effect() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..5 {
        let (payable, event) = paid(&app).await;
        let copies = (0..10).map(|_| app.deliver(&event));
        for answer in futures::future::join_all(copies).await {
            answer.expect(200);
        }
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
        assert_eq!(app.postings(&payable.order).await, 1);
        assert_eq!(app.story(&payable.order).await.len(), 4);
        assert_eq!(app.verdict(&event).await, "applied");
    }
    assert_eq!(stored(&app).await, 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_events_about_one_payment_at_once_are_one_payment() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..10 {
        let (payable, completed) = paid(&app).await;
        let succeeded = app.provider_event(SUCCEEDED, &payable).await;
        let refresh = format!("/v1/checkout_sessions/{}?refresh=true", payable.session);
        let (first, second, third) = tokio::join!(
            app.deliver(&completed),
            app.deliver(&succeeded),
            shop.get(&refresh)
        );
        first.expect(200);
        second.expect(200);
        third.expect(200);
        assert_eq!(app.postings(&payable.order).await, 1);
        assert_eq!(app.story(&payable.order).await.len(), 4);
        assert_eq!(
            app.balances(&payable.order).await,
            ["provider_clearing EUR 2500", "sales EUR -2500"]
        );
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM payment").await, 10);
    assert_eq!(
        app.count("SELECT COUNT(*) FROM provider_event WHERE verdict <> 'applied'")
            .await,
        0
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_unknown_types_are_kept_and_acknowledged() {
    let app = TestApp::quiet().await;
    let event = json!({
        "id": "evt_unknown", "object": "event", "type": "customer.created", "livemode": false,
        "created": app.clock.now().seconds(), "data": {"object": {"id": "cus_1", "object": "customer"}},
    });
    app.deliver(&event).await.expect(200);
    assert_eq!(app.verdict(&event).await, "ignored");
    app.deliver(&event).await.expect(200);
    assert_eq!(stored(&app).await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_deployment_is_foreign_even_with_our_ids_in_it() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, mut event) = paid(&app).await;
    let object = &mut event["data"]["object"];
    object["id"] = json!("cs_test_of_somebody_else");
    object["payment_intent"] = json!("pi_of_somebody_else");
    object["metadata"]["till_deployment"] = json!("another");
    app.deliver(&event).await.expect(200);
    assert_eq!(app.verdict(&event).await, "foreign");
    let mut unmarked = event.clone();
    unmarked["id"] = json!("evt_unmarked");
    unmarked["data"]["object"]["metadata"] = json!({});
    app.deliver(&unmarked).await.expect(200);
    assert_eq!(app.verdict(&unmarked).await, "foreign");
    let order = shop.order(&payable.order).await;
    assert_eq!(order["payment_status"], "unpaid");
    assert!(order["review"].is_null());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_ours_about_an_unknown_order_waits_a_day_and_is_dead_then() {
    let app = TestApp::quiet().await;
    let (_, mut event) = paid(&app).await;
    let object = &mut event["data"]["object"];
    object["id"] = json!("cs_test_lost");
    object["payment_intent"] = json!("pi_lost");
    object["metadata"]["till_session"] = json!("cs_01kq8rm5ahf2aaemq4p7v9w0xd");
    app.deliver(&event).await.expect(200);
    assert_eq!(app.verdict(&event).await, "pending order_unknown");
    for hours in [1, 5, 12] {
        app.advance(hours * 3_600).await;
        app.work().await;
        assert_eq!(app.verdict(&event).await, "pending order_unknown");
    }
    app.advance(7 * 3_600).await;
    app.work().await;
    assert_eq!(app.verdict(&event).await, "dead order_unknown");
    app.advance(86_400).await;
    assert_eq!(app.verdict(&event).await, "dead order_unknown");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_the_wrong_mode_or_account_is_quarantined_and_posts_nothing() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = paid(&app).await;
    let mut live = event.clone();
    live["id"] = json!("evt_live");
    live["livemode"] = json!(true);
    live["data"]["object"]["livemode"] = json!(true);
    let mut half_live = event.clone();
    half_live["id"] = json!("evt_half_live");
    half_live["data"]["object"]["livemode"] = json!(true);
    let mut elsewhere = event.clone();
    elsewhere["id"] = json!("evt_elsewhere");
    elsewhere["account"] = json!("acct_somebody_else");
    for (event, verdict) in [
        (&live, "quarantined wrong_mode"),
        (&half_live, "quarantined wrong_mode"),
        (&elsewhere, "quarantined wrong_account"),
    ] {
        app.deliver(event).await.expect(200);
        assert_eq!(app.verdict(event).await, verdict);
    }
    app.work().await;
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    assert_eq!(
        app.count("SELECT COUNT(*) FROM provider_fact WHERE kind = 'captured'")
            .await,
        0
    );
    assert!(app.balances(&payable.order).await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_about_other_money_is_not_believed_and_the_fetched_object_settles() {
    for (fault, reason) in [
        ("wrong_amount", "amount_mismatch"),
        ("wrong_currency", "currency_mismatch"),
    ] {
        let app = TestApp::listening().await;
        let shop = app.merchant().await;
        let payable = shop.payable().await;
        app.fault(json!([
            {"webhook": SUCCEEDED, "do": "drop"},
            {"webhook": COMPLETED, "do": fault},
        ]))
        .await;
        app.pay(&payable).await;
        let event = app.provider_event(COMPLETED, &payable).await;
        eventually("the webhook came", async || {
            !app.verdict(&event).await.is_empty()
        })
        .await;
        assert_eq!(app.verdict(&event).await, format!("quarantined {reason}"));
        let order = shop.order(&payable.order).await;
        assert_eq!(order["payment_status"], "unpaid");
        assert_eq!(order["review"], reason);
        assert_eq!(
            app.reviews(&payable.order).await,
            [format!("{reason} open")]
        );
        assert!(app.balances(&payable.order).await.is_empty());
        assert_eq!(
            app.story(&payable.order).await,
            ["order.created", "order.review"]
        );

        app.work().await;
        let order = shop.order(&payable.order).await;
        assert_eq!(order["payment_status"], "paid");
        assert!(order["review"].is_null());
        assert_eq!(app.verdict(&event).await, "applied");
        assert_eq!(
            app.reviews(&payable.order).await,
            [format!("{reason} resolved system")]
        );
        assert_eq!(
            app.balances(&payable.order).await,
            ["provider_clearing EUR 2500", "sales EUR -2500"]
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signed_lie_about_the_amount_makes_an_order_paid() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    // The provider cannot be asked, so that only the events speak.
    app.fault(json!({"on": "checkout.session.retrieve", "do": "status:503", "times": "always"}))
        .await;
    let lies: [(&str, Value, &str); 8] = [
        ("amount_total", json!(1), "quarantined amount_mismatch"),
        ("amount_total", json!(0), "quarantined amount_mismatch"),
        ("amount_total", json!(2_499), "quarantined amount_mismatch"),
        ("amount_total", json!(2_501), "quarantined amount_mismatch"),
        ("currency", json!("jpy"), "quarantined currency_mismatch"),
        ("currency", json!("usd"), "quarantined currency_mismatch"),
        ("amount_total", json!(-2_500), "pending unreadable"),
        ("amount_total", json!("2500"), "pending unreadable"),
    ];
    for (at, (field, lie, verdict)) in lies.iter().enumerate() {
        let (payable, mut event) = paid(&app).await;
        event["id"] = json!(format!("evt_lie_{at}"));
        event["data"]["object"][*field] = lie.clone();
        app.deliver(&event).await.expect(200);
        assert_eq!(app.verdict(&event).await, *verdict, "{field} {lie}");
        app.work().await;
        let order = shop.order(&payable.order).await;
        assert_eq!(order["payment_status"], "unpaid", "{field} {lie}");
        assert_eq!(order["amount_paid"], "0.00", "{field} {lie}");
        assert!(
            app.balances(&payable.order).await.is_empty(),
            "{field} {lie}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_waited_for_its_payment_is_doubted_like_any_other() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, completed) = paid(&app).await;
    // Without our marks nobody knows whose it is; and it lies.
    let mut early = app.provider_event(SUCCEEDED, &payable).await;
    let object = &mut early["data"]["object"];
    object["metadata"] = json!({});
    object["amount"] = json!(9_999);
    object["amount_received"] = json!(9_999);
    app.deliver(&early).await.expect(200);
    assert_eq!(app.verdict(&early).await, "foreign");
    app.deliver(&completed).await.expect(200);
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&early).await, "quarantined amount_mismatch");
    let order = shop.order(&payable.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["review"], "amount_mismatch");
    app.work().await;
    assert_eq!(app.verdict(&early).await, "applied");
    let order = shop.order(&payable.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert!(order["review"].is_null());
    assert_eq!(
        app.balances(&payable.order).await,
        ["provider_clearing EUR 2500", "sales EUR -2500"]
    );
    assert_eq!(
        app.count("SELECT COUNT(*) FROM provider_fact WHERE amount_minor = 9999")
            .await,
        0
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_intent_of_a_foreign_order_never_pays_ours() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let unpaid = shop.payable().await;
    let (theirs, event) = paid(&app).await;
    // The marks name one order, the provider's own id another: the id is what was paid.
    let mut crossed = event.clone();
    crossed["data"]["object"]["metadata"]["till_session"] = json!(unpaid.session);
    crossed["data"]["object"]["metadata"]["till_order"] = json!(unpaid.order);
    app.deliver(&crossed).await.expect(200);
    assert_eq!(shop.order(&unpaid.order).await["payment_status"], "unpaid");
    assert_eq!(shop.order(&theirs.order).await["payment_status"], "paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_the_provider_really_took_in_another_amount_goes_to_suspense() {
    for (fault, reason, balances) in [
        (
            "wrong_amount",
            "amount_mismatch",
            ["provider_clearing EUR 2501", "suspense EUR -2501"],
        ),
        (
            "wrong_currency",
            "currency_mismatch",
            ["provider_clearing USD 2500", "suspense USD -2500"],
        ),
    ] {
        let app = TestApp::listening().await;
        let shop = app.merchant().await;
        let payable = shop.payable().await;
        app.fault(json!([
            {"webhook": SUCCEEDED, "do": "drop"},
            {"webhook": COMPLETED, "do": fault},
            {"on": "checkout.session.retrieve", "do": fault, "times": "always"},
        ]))
        .await;
        app.pay(&payable).await;
        let event = app.provider_event(COMPLETED, &payable).await;
        eventually("the webhook came", async || {
            !app.verdict(&event).await.is_empty()
        })
        .await;
        app.work().await;
        assert_eq!(app.verdict(&event).await, "applied");
        let order = shop.order(&payable.order).await;
        assert_eq!(order["payment_status"], "unpaid");
        assert_eq!(order["amount_paid"], "0.00");
        assert_eq!(order["review"], reason);
        assert_eq!(app.balances(&payable.order).await, balances);
        assert_eq!(
            app.reviews(&payable.order).await,
            [format!("{reason} open")]
        );
        assert!(
            !app.story(&payable.order)
                .await
                .contains(&"order.paid".to_owned())
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_overtakes_the_creations_answer_is_applied() {
    let app = TestApp::listening().await;
    let shop = app.merchant().await;
    for _ in 0..5 {
        let order = shop.place_order().await.str("id").to_owned();
        let before = app.effects("checkout.session.created").await.len();
        app.fault(json!({"on": "checkout.session.create", "do": "delay:1000"}))
            .await;
        let create = tokio::spawn({
            let (shop, order) = (shop.clone(), order.clone());
            async move { shop.check_out(&order).await }
        });
        eventually("the provider has the session", async || {
            app.effects("checkout.session.created").await.len() > before
        })
        .await;
        let made = app
            .effects("checkout.session.created")
            .await
            .pop()
            .expect("one");
        let at_provider = made["object_id"].as_str().expect("an id");
        app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
            .await;
        eventually("the order is paid", async || {
            shop.order(&order).await["payment_status"] == "paid"
        })
        .await;
        assert!(!create.is_finished(), "the creation is still unanswered");
        let answer = create.await.expect("an answer").expect(201);
        assert_eq!(answer.json["status"], "complete");
        assert!(
            answer.json["url"].is_null(),
            "what is paid is not offered again"
        );
        assert_eq!(shop.order(&order).await["payment_status"], "paid");
        assert_eq!(app.postings(&order).await, 1);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_payment_is_pending_until_it_succeeds() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.at_session(&payable, "pay", json!({"method": "delayed"}))
        .await;
    app.deliver(&app.provider_event(COMPLETED, &payable).await)
        .await
        .expect(200);
    assert_eq!(shop.session(&payable.session).await["status"], "processing");
    app.deliver(
        &app.provider_event("payment_intent.processing", &payable)
            .await,
    )
    .await
    .expect(200);
    assert_eq!(
        shop.order(&payable.order).await["payment_status"],
        "pending"
    );
    assert!(app.balances(&payable.order).await.is_empty());
    app.at_session(&payable, "settle", json!({"outcome": "succeeded"}))
        .await;
    let event = app
        .provider_event("checkout.session.async_payment_succeeded", &payable)
        .await;
    app.deliver(&event).await.expect(200);
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    assert_eq!(
        app.story(&payable.order).await,
        [
            "order.created",
            "order.payment_pending",
            "payment.captured",
            "checkout_session.completed",
            "order.paid"
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_payment_that_fails_frees_the_order_for_a_new_checkout() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.at_session(&payable, "pay", json!({"method": "delayed"}))
        .await;
    app.at_session(&payable, "settle", json!({"outcome": "failed"}))
        .await;
    // Backwards: the failure first.
    for kind in [
        "checkout.session.async_payment_failed",
        "payment_intent.payment_failed",
        COMPLETED,
        "payment_intent.processing",
    ] {
        app.deliver(&app.provider_event(kind, &payable).await)
            .await
            .expect(200);
    }
    assert_eq!(shop.session(&payable.session).await["status"], "failed");
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    assert!(app.balances(&payable.order).await.is_empty());
    let again = shop.check_out(&payable.order).await.expect(201);
    assert_ne!(again.str("id"), payable.session);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_try_leaves_the_session_open_and_can_still_be_paid() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.at_session(&payable, "decline", json!({})).await;
    let declined = app
        .provider_event("payment_intent.payment_failed", &payable)
        .await;
    app.deliver(&declined).await.expect(200);
    assert_eq!(shop.session(&payable.session).await["status"], "open");
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    let failure = "SELECT status || ' ' || failure_code FROM payment";
    assert_eq!(app.texts(failure).await, ["failed generic_decline"]);
    app.pay(&payable).await;
    app.deliver(&app.provider_event(SUCCEEDED, &payable).await)
        .await
        .expect(200);
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    assert_eq!(app.texts("SELECT status FROM payment").await, ["captured"]);
    app.deliver(&app.provider_event(COMPLETED, &payable).await)
        .await
        .expect(200);
    assert_eq!(app.postings(&payable.order).await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decline_that_arrives_after_the_payment_changes_nothing() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.at_session(&payable, "decline", json!({})).await;
    app.pay(&payable).await;
    app.deliver(&app.provider_event(COMPLETED, &payable).await)
        .await
        .expect(200);
    app.deliver(
        &app.provider_event("payment_intent.payment_failed", &payable)
            .await,
    )
    .await
    .expect(200);
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    assert_eq!(shop.session(&payable.session).await["status"], "complete");
    let payment = "SELECT status || COALESCE(failure_code, '') FROM payment";
    assert_eq!(app.texts(payment).await, ["captured"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_expired_of_an_old_session_never_touches_a_paid_order() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let old = shop.payable().await;
    app.at_session(&old, "expire", json!({})).await;
    let expired = app.provider_event("checkout.session.expired", &old).await;
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", old.session);
    assert_eq!(
        shop.get(&refresh).await.expect(200).json["status"],
        "expired"
    );
    let second = shop.check_out(&old.order).await.expect(201);
    let new = Payable {
        session: second.str("id").to_owned(),
        at_provider: second.str("provider_session_id").to_owned(),
        ..old.clone()
    };
    app.pay(&new).await;
    app.deliver(&app.provider_event(COMPLETED, &new).await)
        .await
        .expect(200);
    let paid = shop.order(&old.order).await;
    assert_eq!(paid["payment_status"], "paid");
    app.deliver(&expired).await.expect(200);
    assert_eq!(app.verdict(&expired).await, "applied");
    assert_eq!(shop.order(&old.order).await, paid);
    assert_eq!(shop.session(&new.session).await["status"], "complete");

    // Even an `expired` about the very session that was paid.
    let mut about_paid = expired;
    about_paid["id"] = json!("evt_expired_late");
    about_paid["data"]["object"]["id"] = json!(new.at_provider);
    about_paid["data"]["object"]["metadata"]["till_session"] = json!(new.session);
    app.deliver(&about_paid).await.expect(200);
    assert_eq!(shop.order(&old.order).await["payment_status"], "paid");
    assert_eq!(shop.session(&new.session).await["status"], "complete");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_from_two_sessions_of_one_order_is_a_duplicate_and_kept_apart() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let old = shop.payable().await;
    // Till learns of an expiry that the provider never made, so the old tab can still be paid.
    app.at_session(&old, "expire", json!({})).await;
    let mut old_paid = {
        let (other, _) = paid(&app).await;
        app.provider_event(COMPLETED, &other).await
    };
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", old.session);
    shop.get(&refresh).await.expect(200);
    let second = shop.check_out(&old.order).await.expect(201);
    let new = Payable {
        session: second.str("id").to_owned(),
        at_provider: second.str("provider_session_id").to_owned(),
        ..old.clone()
    };
    app.pay(&new).await;
    app.deliver(&app.provider_event(COMPLETED, &new).await)
        .await
        .expect(200);
    old_paid["id"] = json!("evt_old_tab");
    old_paid["data"]["object"]["id"] = json!(old.at_provider);
    old_paid["data"]["object"]["payment_intent"] = json!("pi_old_tab");
    old_paid["data"]["object"]["metadata"]["till_session"] = json!(old.session);
    app.deliver(&old_paid).await.expect(200);
    let order = shop.order(&old.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["amount_paid"], "25.00");
    assert_eq!(order["review"], "duplicate_payment");
    let paid_events = app.story(&old.order).await;
    assert_eq!(
        paid_events
            .iter()
            .filter(|kind| *kind == "order.paid")
            .count(),
        1
    );
    assert_eq!(
        app.balances(&old.order).await,
        [
            "provider_clearing EUR 5000",
            "sales EUR -2500",
            "suspense EUR -2500"
        ]
    );
    app.finish().await;
}

/// What was captured counts for ever once it is believed: a webhook alone cannot say that it is not what was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_lies_about_what_was_captured_is_looked_into() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for (manual, lie) in [(false, 2_501), (false, 2_499), (false, 0), (true, 2_501)] {
        let (payable, told) = if manual {
            let (payable, payment) = shop.reserved(&app).await;
            let path = format!("/v1/payments/{payment}/capture");
            app.fault(json!({"on": "payment_intent.capture", "do": "reset_mid_response"}))
                .await;
            shop.post(&path, &json!({})).await.expect(202);
            let told = app.provider_event("payment_intent.succeeded", &payable);
            (payable.clone(), told.await)
        } else {
            let payable = shop.payable().await;
            app.pay(&payable).await;
            let told = app.provider_event("payment_intent.succeeded", &payable);
            (payable.clone(), told.await)
        };
        let mut lying = told;
        lying["data"]["object"]["amount_received"] = json!(lie);
        app.deliver(&lying).await.expect(200);
        let verdict = app.verdict(&lying).await;
        assert_eq!(verdict, "quarantined amount_mismatch", "{lie}");
        app.advance(10).await;
        app.work().await;
        assert_eq!(app.verdict(&lying).await, "applied", "{lie}");
        let order = shop.order(&payable.order).await;
        assert_eq!(order["amount_paid"], "25.00", "{lie} {order}");
        assert_eq!(order["payment_status"], "paid", "{lie} {order}");
        assert_eq!(order["review"], Value::Null, "{lie} {order}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_nothing_is_acknowledged() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = paid(&app).await;
    let services = app.another_process().await;
    let front = app.serve(services.clone()).await;
    let url = format!("http://{}", front.address());
    services.store.close().await.expect("closes");
    let body = serde_json::to_vec(&event).expect("JSON");
    let signature = sign(&app.webhook_secret, app.clock.now().seconds(), &body);
    let post = app
        .http
        .post(format!("{url}/webhooks/stripe"))
        .body(body.clone());
    let post = post.header("Content-Type", "application/json");
    let answer = post
        .header("Stripe-Signature", &signature)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(stored(&app).await, 0);
    // A forgery is refused all the same: nothing is looked up before the signature holds.
    let post = app.http.post(format!("{url}/webhooks/stripe")).body(body);
    assert_eq!(post.send().await.expect("an answer").status(), 400);
    front.stop();
    app.deliver(&event).await.expect(200);
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_bytes_that_are_no_event_are_refused() {
    let app = TestApp::quiet().await;
    let now = app.clock.now().seconds();
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"id":"evt_1","object":"event"}"#,
        r#"{"id":"evt 1","object":"event","type":"a.b","livemode":false,"data":{"object":{}}}"#,
        r#"{"id":"evt_1","object":"invoice","type":"a.b","livemode":false,"data":{"object":{}}}"#,
        r#"{"id":"evt_1","id":"evt_2","object":"event","type":"a.b","livemode":false,"data":{"object":{}}}"#,
    ] {
        let signature = sign(&app.webhook_secret, now, body.as_bytes());
        let answer = app
            .deliver_raw(Some(&signature), body.as_bytes().to_vec())
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        answer.problem(400, "malformed_event");
    }
    assert_eq!(stored(&app).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absurd_object_of_ours_is_kept_and_the_money_found_by_polling() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = paid(&app).await;
    let mut absurd = event.clone();
    absurd["data"]["object"]["status"] = json!("upside_down");
    app.deliver(&absurd).await.expect(200);
    assert_eq!(app.verdict(&absurd).await, "pending unreadable");
    app.deliver(&absurd).await.expect(200);
    assert_eq!(stored(&app).await, 1);
    assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");
    app.advance(11).await;
    app.work().await;
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_sent_twice_late_and_out_of_order_end_as_one_payment() {
    let app = TestApp::listening().await;
    let shop = app.merchant().await;
    app.fault(json!([
        {"webhook": COMPLETED, "do": "duplicate:4", "times": "always"},
        {"webhook": SUCCEEDED, "do": "reorder", "times": "always"},
        {"webhook": "charge.succeeded", "do": "delay:300", "times": "always"},
    ]))
    .await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    eventually("all is delivered", async || {
        let tried = app.journal("webhook").await;
        tried
            .iter()
            .filter(|webhook| webhook["status"] == 200)
            .count()
            >= 8
    })
    .await;
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    assert_eq!(app.story(&payable.order).await.len(), 4);
    assert_eq!(app.postings(&payable.order).await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_hangs_up_does_not_stop_what_its_event_began() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = paid(&app).await;
    let body = serde_json::to_vec(&event).expect("JSON");
    let signature = sign(&app.webhook_secret, app.clock.now().seconds(), &body);
    // The order's row is held, so that the settlement has to wait while the sender leaves.
    let held = app.hold(&payable.order).await;
    let post = app
        .http
        .post(format!("{}/webhooks/stripe", app.base_url))
        .body(body);
    let post = post
        .header("Content-Type", "application/json")
        .header("Stripe-Signature", signature);
    let left = post.timeout(Duration::from_millis(300)).send().await;
    assert!(left.is_err(), "the sender left without an answer");
    held.release().await;
    eventually("the order is paid", async || {
        shop.order(&payable.order).await["payment_status"] == "paid"
    })
    .await;
    app.finish().await;
}
