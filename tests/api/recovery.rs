//! Recovery: lost webhooks heal by polling, lost answers by repeating, and what two workers claim is done by one.
//! Turns the clock instead of waiting, and compares with the provider's journal.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use till::domain::call::{CallKind, CallStatus};
use till::domain::settlement::{FactDraft, FactKind};
use till::store::calls::{AttemptNote, ClaimedCall};
use till::store::settle::{Settle, Source};
use till::store::{Engine, StoreError};
use till::worker;

use crate::harness::story::provider_that_says;
use crate::harness::{Setup, TestApp, eventually};

fn note() -> AttemptNote {
    AttemptNote {
        duration_ms: 1,
        http_status: None,
        outcome: "timeout".to_owned(),
        provider_request_id: None,
        message: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_webhooks_are_all_lost_is_paid_by_the_first_poll() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    app.work().await;
    assert!(
        app.requests("checkout.session.retrieve").await.is_empty(),
        "too early to ask"
    );
    app.advance(10).await;
    app.work().await;
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    assert_eq!(shop.session(&payable.session).await["status"], "complete");
    assert_eq!(
        app.balances(&payable.order).await,
        ["provider_clearing EUR 2500", "sales EUR -2500"]
    );
    // What is complete is not asked about again.
    app.advance(86_400).await;
    app.work().await;
    assert_eq!(app.requests("checkout.session.retrieve").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_sessions_are_polled_on_the_schedule() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    shop.payable().await;
    let mut polled = 0;
    // Ages in seconds at which a poll is due, each looked at a second early and a second late.
    let mut age = 0;
    for due in [10, 30, 60, 120, 300, 900, 1_800, 3_600, 5_400] {
        app.advance(due - 2 - age).await;
        app.work().await;
        assert_eq!(
            app.requests("checkout.session.retrieve").await.len(),
            polled,
            "before {due} s"
        );
        app.advance(3).await;
        app.work().await;
        polled += 1;
        assert_eq!(
            app.requests("checkout.session.retrieve").await.len(),
            polled,
            "after {due} s"
        );
        age = due + 1;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_arrives_after_the_poll_says_nothing_new() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    app.advance(10).await;
    app.work().await;
    let story = app.story(&payable.order).await;
    for kind in ["payment_intent.succeeded", "checkout.session.completed"] {
        app.deliver(&app.provider_event(kind, &payable).await)
            .await
            .expect(200);
    }
    assert_eq!(app.story(&payable.order).await, story);
    assert_eq!(app.postings(&payable.order).await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ran_out_is_found_expired_and_a_new_checkout_works() {
    // The order lives for two days; its first session at most for one.
    let app = TestApp::with(Setup {
        workers: false,
        webhooks: false,
        settings: vec![("orders.expire_after_s", 172_800.into())],
        ..Setup::default()
    })
    .await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let first = shop.check_out(&order).await.expect(201);
    app.advance(24 * 3_600).await;
    app.work().await;
    app.advance(60).await;
    app.work().await;
    let session = shop.session(first.str("id")).await;
    assert_eq!(session["status"], "expired");
    assert!(session["url"].is_null());
    assert_eq!(shop.order(&order).await["payment_status"], "unpaid");
    let second = shop.check_out(&order).await.expect(201);
    assert_ne!(second.str("id"), first.str("id"));
    assert_eq!(app.effects("checkout.session.created").await.len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_payment_whose_webhooks_are_lost_is_polled_to_its_end() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for (outcome, status, session_status) in [
        ("succeeded", "paid", "complete"),
        ("failed", "unpaid", "failed"),
    ] {
        let payable = shop.payable().await;
        app.at_session(&payable, "pay", json!({"method": "delayed"}))
            .await;
        app.advance(10).await;
        app.work().await;
        assert_eq!(
            shop.order(&payable.order).await["payment_status"],
            "pending"
        );
        assert_eq!(shop.session(&payable.session).await["status"], "processing");
        app.at_session(&payable, "settle", json!({"outcome": outcome}))
            .await;
        app.advance(3_600).await;
        app.work().await;
        assert_eq!(shop.order(&payable.order).await["payment_status"], status);
        assert_eq!(
            shop.session(&payable.session).await["status"],
            session_status
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_without_an_answer_is_asked_again() {
    for fault in [
        "status:500",
        "status:429",
        "garbage",
        "truncate",
        "reset_mid_response",
        "timeout_before",
        "redirect",
    ] {
        let app = TestApp::impatient().await;
        let shop = app.merchant().await;
        let payable = shop.payable().await;
        app.pay(&payable).await;
        app.fault(json!({"on": "checkout.session.retrieve", "do": fault, "times": 2}))
            .await;
        app.advance(10).await;
        app.work().await;
        assert_eq!(
            shop.order(&payable.order).await["payment_status"],
            "unpaid",
            "after {fault}"
        );
        assert_eq!(
            shop.session(&payable.session).await["status"],
            "open",
            "after {fault}"
        );
        app.advance(11).await;
        app.work().await;
        app.advance(11).await;
        app.work().await;
        assert_eq!(
            shop.order(&payable.order).await["payment_status"],
            "paid",
            "after {fault}"
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_asks_the_provider_now() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let path = format!("/v1/checkout_sessions/{}", payable.session);
    assert_eq!(shop.get(&path).await.expect(200).json["status"], "open");
    let refreshed = shop.get(&format!("{path}?refresh=true")).await.expect(200);
    assert_eq!(refreshed.json["status"], "complete");
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_the_provider_does_not_answer_shows_what_is_known() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.fault(json!({"on": "checkout.session.retrieve", "do": "timeout_before"}))
        .await;
    let path = format!("/v1/checkout_sessions/{}?refresh=true", payable.session);
    assert_eq!(shop.get(&path).await.expect(200).json["status"], "open");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_keeps_its_key_and_bytes_through_many_failures() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "status:503", "times": 6}))
        .await;
    let open = shop.check_out(&order).await.expect(202);
    // The waits grow: 2 s, 5 s, 15 s, 1 min, 5 min, 15 min.
    for (at, wait) in [2, 5, 15, 60, 300, 900].into_iter().enumerate() {
        let tried = app.requests("checkout.session.create").await.len();
        assert_eq!(tried, at + 1);
        app.advance(wait - 1).await;
        app.work().await;
        assert_eq!(
            app.requests("checkout.session.create").await.len(),
            tried,
            "{wait} s are not over"
        );
        app.advance(2).await;
        app.work().await;
    }
    assert_eq!(shop.session(open.str("id")).await["status"], "open");
    let requests = app.requests("checkout.session.create").await;
    assert_eq!(requests.len(), 7);
    for request in &requests {
        assert_eq!(request["idempotency_key"], requests[0]["idempotency_key"]);
        assert_eq!(request["params"], requests[0]["params"]);
        assert_eq!(request["stripe_version"], requests[0]["stripe_version"]);
    }
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    let attempts = app
        .texts("SELECT outcome FROM provider_attempt ORDER BY number")
        .await;
    assert_eq!(attempts.len(), 7);
    assert_eq!(attempts[5..], ["server_error", "succeeded"]);
    // The bytes hold personal data and are not needed any more.
    assert_eq!(
        app.count("SELECT COUNT(*) FROM provider_call WHERE body IS NOT NULL")
            .await,
        0
    );
    app.finish().await;
}

/// A provider that is asked too often: every answer says when to come back.
async fn busy_provider(retry_after_s: u32) -> String {
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {retry_after_s}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    provider_that_says(answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_provider_says_when_it_is_asked_again() {
    let mut app = TestApp::with(Setup {
        provider_url: Some(busy_provider(90).await),
        ..Setup::default()
    })
    .await;
    app.expect_open_calls();
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    shop.check_out(&order).await.expect(202);
    for (seconds, sent) in [(85, 0), (6, 1), (85, 0), (6, 1)] {
        app.advance(seconds).await;
        let round = app.services.send_due_calls().await;
        assert_eq!(round.expect("a round"), sent, "after {seconds} s more");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_send_one_call_twice() {
    const ORDERS: usize = 24;
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    app.fault(json!({"on": "checkout.session.create", "do": "status:429", "times": ORDERS}))
        .await;
    for _ in 0..ORDERS {
        let order = shop.place_order().await.str("id").to_owned();
        shop.check_out(&order).await.expect(202);
    }
    app.heal().await;
    app.advance(5).await;
    let other = app.another_process().await;
    let rounds = async |services: &till::service::Services| {
        for _ in 0..5 {
            worker::run_once(services).await.expect("a round");
        }
    };
    tokio::join!(
        rounds(&app.services),
        rounds(&other),
        rounds(&other),
        rounds(&app.services)
    );
    other.store.close().await.expect("closes");
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    for request in app.requests("checkout.session.create").await {
        *by_key
            .entry(request["idempotency_key"].to_string())
            .or_default() += 1;
    }
    assert_eq!(by_key.len(), ORDERS);
    assert!(
        by_key.values().all(|sent| *sent == 2),
        "the first try and one repeat: {by_key:?}"
    );
    assert_eq!(app.effects("checkout.session.created").await.len(), ORDERS);
    assert_eq!(
        app.count("SELECT COUNT(*) FROM checkout_session WHERE status = 'open'")
            .await,
        24
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_lease_lasts_by_the_databases_clock() {
    let app = TestApp::quiet().await;
    // On SQLite one process serves, by one clock.
    if app.services.store.engine() == Engine::Sqlite {
        return app.finish().await;
    }
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let other = app.process_wrong_by(-10).await;
    let front = app.serve(other.clone()).await;
    let url = format!("http://{}", front.address());
    app.fault(json!({"on": "checkout.session.create", "do": "delay:1500"}))
        .await;
    let first = tokio::spawn({
        let (shop, order) = (shop.at(&url), order.clone());
        async move { shop.check_out(&order).await }
    });
    eventually("the provider has the session", async || {
        app.effects("checkout.session.created").await.len() == 1
    })
    .await;
    let claimed = app
        .services
        .store
        .claim_calls(app.services.account.id, 10)
        .await
        .expect("a claim");
    assert!(claimed.is_empty(), "it is the other process's");
    // A repeat at the first process knows that the call is in flight.
    let session = app.texts("SELECT id FROM checkout_session").await.remove(0);
    let kind = CallKind::SessionCreate;
    let known = app.services.store.call_state(kind, &session).await;
    assert_eq!(
        known.expect("a state"),
        Some((CallStatus::Sending, true)),
        "in flight"
    );
    first.await.expect("an answer").expect(201);
    front.stop();
    other.store.close().await.expect("closes");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_expire_and_calls_are_due_by_the_databases_clock() {
    for wrong_by_minutes in [-10, 10] {
        let app = TestApp::quiet().await;
        if app.services.store.engine() == Engine::Sqlite {
            return app.finish().await;
        }
        let shop = app.merchant().await;
        let payable = shop.payable().await;
        let other = app.process_wrong_by(wrong_by_minutes).await;
        app.advance(24 * 3_600 - 300).await;
        let early = other.expire_orders().await.expect("a round");
        assert_eq!(early, 0, "{wrong_by_minutes} min: it has five minutes left");
        app.advance(360).await;
        let due = other.expire_orders().await.expect("a round");
        assert_eq!(due, 1, "{wrong_by_minutes} min: its time is up");
        let sent = app.services.send_due_calls().await.expect("a round");
        assert_eq!(
            sent, 1,
            "{wrong_by_minutes} min: its session is to be ended now"
        );
        assert_eq!(shop.order(&payable.order).await["status"], "expired");
        other.store.close().await.expect("closes");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_ask_about_a_session_once() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..20 {
        let payable = shop.payable().await;
        app.pay(&payable).await;
    }
    app.advance(10).await;
    let other = app.another_process().await;
    let (first, second) = tokio::join!(app.services.poll_due_sessions(), other.poll_due_sessions());
    let mut polled = first.expect("a round") + second.expect("a round");
    polled += app.services.poll_due_sessions().await.expect("a round");
    polled += app.services.poll_due_sessions().await.expect("a round");
    assert_eq!(polled, 20);
    assert_eq!(app.requests("checkout.session.retrieve").await.len(), 20);
    other.store.close().await.expect("closes");
    let paid = "SELECT COUNT(*) FROM event WHERE type = 'order.paid'";
    assert_eq!(app.count(paid).await, 20);
    app.finish().await;
}

/// The only call that is due, claimed.
async fn claim_one(app: &TestApp) -> ClaimedCall {
    let mut claimed = app
        .services
        .store
        .claim_calls(app.services.account.id, 10)
        .await
        .expect("a claim");
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

/// What a worker would write that was told the call was refused.
fn refused(app: &TestApp, call: ClaimedCall) -> Settle {
    let session = call.subject_id.parse().expect("a session id");
    let rejected = FactDraft::session(FactKind::Rejected, &call.subject_id, session);
    Settle {
        account: app.services.account.clone(),
        deployment: app.services.deployment.clone(),
        trace: call.trace.clone(),
        source: Source::Call {
            call,
            status: CallStatus::Declined,
            note: note(),
        },
        observed: Vec::new(),
        drafts: vec![rejected.because("stale")],
        follow_ups: app.services.follow_ups(),
        auto_refund: false,
        waiting: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stalled_past_its_lease_changes_nothing() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    let open = shop.check_out(&order).await.expect(202);
    app.advance(3).await;
    let stalled = claim_one(&app).await;
    let store = &app.services.store;
    assert!(
        store
            .claim_calls(app.services.account.id, 10)
            .await
            .expect("a claim")
            .is_empty(),
        "it is somebody's"
    );
    app.advance(25).await;
    let claimed = claim_one(&app).await;
    assert_ne!(stalled.token, claimed.token);
    assert_eq!(stalled.idempotency_key, claimed.idempotency_key);
    assert_eq!(stalled.request, claimed.request);

    let late = store.settle(&refused(&app, stalled.clone())).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    let late = store.call_unknown(&stalled, 0, &note()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(shop.session(open.str("id")).await["status"], "creating");
    assert_eq!(app.count("SELECT COUNT(*) FROM provider_fact").await, 0);

    app.services
        .perform(claimed.clone())
        .await
        .expect("the call is made");
    let session = shop.session(open.str("id")).await;
    assert_eq!(session["status"], "open");
    let late = store.settle(&refused(&app, claimed)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(shop.session(open.str("id")).await, session);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_died_while_sending_is_followed_up_when_its_lease_ends() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    let open = shop.check_out(&order).await.expect(202);
    app.advance(3).await;
    // Claimed by a process that is never heard of again.
    claim_one(&app).await;
    app.advance(10).await;
    app.work().await;
    assert_eq!(shop.session(open.str("id")).await["status"], "creating");
    app.advance(15).await;
    app.work().await;
    assert_eq!(shop.session(open.str("id")).await["status"], "open");
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_poll_changes_nothing_and_the_session_is_asked_about_again() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    app.advance(10).await;
    let store = &app.services.store;
    let stalled = store
        .claim_sessions(app.services.account.id, 10)
        .await
        .expect("a claim")
        .remove(0);
    assert!(
        store
            .claim_sessions(app.services.account.id, 10)
            .await
            .expect("a claim")
            .is_empty()
    );
    app.advance(25).await;
    let claimed = store
        .claim_sessions(app.services.account.id, 10)
        .await
        .expect("a claim")
        .remove(0);
    assert_ne!(stalled.token, claimed.token);
    store
        .poll_failed(&stalled, 86_400_000)
        .await
        .expect("no error");
    store.poll_failed(&claimed, 0).await.expect("no error");
    app.work().await;
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sessions_of_a_paid_order_are_expired_at_the_provider() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let old = shop.payable().await;
    app.at_session(&old, "pay", json!({"method": "delayed"}))
        .await;
    app.at_session(&old, "settle", json!({"outcome": "failed"}))
        .await;
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", old.session);
    assert_eq!(
        shop.get(&refresh).await.expect(200).json["status"],
        "failed"
    );
    let second = shop.check_out(&old.order).await.expect(201);
    // The failed attempt's money arrives after all: the open session must not take it twice.
    let mut event: Value = app
        .provider_event("checkout.session.async_payment_failed", &old)
        .await;
    event["id"] = json!("evt_money_after_all");
    event["type"] = json!("checkout.session.async_payment_succeeded");
    event["data"]["object"]["payment_status"] = json!("paid");
    app.deliver(&event).await.expect(200);
    assert_eq!(shop.order(&old.order).await["payment_status"], "paid");
    app.work().await;
    let expired = app.effects("checkout.session.expired").await;
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0]["object_id"], second.json["provider_session_id"]);
    assert_eq!(shop.session(second.str("id")).await["status"], "expired");
    assert_eq!(shop.order(&old.order).await["payment_status"], "paid");
    app.finish().await;
}
