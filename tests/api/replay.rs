//! Replaying stored events: what an older version ignored is applied, what was given up gets another chance, what was
//! applied changes nothing, and a dry run writes nothing at all.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use till::service::ServiceError;
use till::service::replay::{ReplayOutcome, Replayed};

use crate::harness::{Payable, TestApp};

const COMPLETED: &str = "checkout.session.completed";
const SUCCEEDED: &str = "payment_intent.succeeded";

async fn paid(app: &TestApp) -> (Payable, Value) {
    let payable = app.merchant().await.payable().await;
    app.pay(&payable).await;
    let event = app.provider_event(COMPLETED, &payable).await;
    (payable, event)
}

/// Stores an event as an older version left it.
pub async fn left(app: &TestApp, event: &Value, verdict: &str) {
    // Of a type nobody acts on, so that it is only kept.
    let mut unknown = event.clone();
    unknown["type"] = json!("checkout.session.pondered");
    app.deliver(&unknown).await.expect(200);
    assert_eq!(app.verdict(event).await, "ignored");
    let hex: String = serde_json::to_vec(event)
        .expect("JSON")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let look = app.look().await;
    let bytes = match look.get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("x'{hex}'"),
        _ => format!("'\\x{hex}'::bytea"),
    };
    let sql = format!(
        "UPDATE provider_event SET raw = {bytes}, verdict = '{verdict}' WHERE event_id = '{}'",
        event["id"].as_str().expect("an id")
    );
    look.execute_unprepared(&sql).await.expect(&sql);
    look.close().await.expect("closes");
}

async fn replay(app: &TestApp, event: &Value, dry_run: bool) -> Replayed {
    let id = event["id"].as_str().expect("an id");
    let replayed = app.services.replay(id, dry_run).await;
    replayed.expect("a replay")
}

/// What a replay may change, as text.
pub async fn stored(app: &TestApp) -> Vec<String> {
    let mut stored = app
        .texts(
            "SELECT event_id || verdict || CAST(attempt_count AS TEXT) || COALESCE(CAST(settled_at AS TEXT), '-') \
             || COALESCE(lease_token, '-') FROM provider_event ORDER BY id",
        )
        .await;
    for table in [
        "provider_fact",
        "ledger_entry",
        "ledger_account",
        "event",
        "payment",
    ] {
        let count = app.count(&format!("SELECT COUNT(*) FROM {table}")).await;
        stored.push(format!("{table} {count}"));
    }
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_an_older_version_did_not_know_is_applied_by_a_replay() {
    for verdict in ["ignored", "foreign", "dead"] {
        let app = TestApp::quiet().await;
        let shop = app.merchant().await;
        let (payable, event) = paid(&app).await;
        left(&app, &event, verdict).await;
        let before = stored(&app).await;

        let dry = replay(&app, &event, true).await;
        assert_eq!(dry.outcome, ReplayOutcome::Applied, "{dry:?}");
        assert_eq!(dry.verdict, verdict);
        assert_eq!(dry.before.expect("labels").payment_status, "unpaid");
        assert_eq!(dry.after.clone().expect("labels").payment_status, "paid");
        assert_eq!(dry.ledger_transactions, 1);
        let captured = dry
            .facts
            .iter()
            .any(|fact| fact.starts_with("captured 25.00 EUR"));
        assert!(captured, "{:?}", dry.facts);
        assert_eq!(stored(&app).await, before, "nothing was written");
        assert_eq!(shop.order(&payable.order).await["payment_status"], "unpaid");

        let done = replay(&app, &event, false).await;
        assert_eq!(done.outcome, ReplayOutcome::Applied);
        assert_eq!((done.facts, done.after), (dry.facts, dry.after));
        assert_eq!(app.verdict(&event).await, "applied");
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");

        // What was applied changes nothing, by either id.
        let before = stored(&app).await;
        let again = replay(&app, &event, false).await;
        assert_eq!(again.outcome, ReplayOutcome::Unchanged);
        let ours = app.services.replay(&again.id.to_string(), false).await;
        assert_eq!(ours.expect("a replay").outcome, ReplayOutcome::Unchanged);
        assert_eq!(stored(&app).await, before);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_is_not_ours_stays_as_it_is() {
    let app = TestApp::quiet().await;
    let (_, event) = paid(&app).await;
    let mut foreign = event.clone();
    foreign["id"] = json!("evt_foreign");
    foreign["data"]["object"]["id"] = json!("cs_test_of_somebody_else");
    foreign["data"]["object"]["payment_intent"] = json!("pi_of_somebody_else");
    foreign["data"]["object"]["metadata"] = json!({});
    let mut live = event.clone();
    live["id"] = json!("evt_live");
    live["livemode"] = json!(true);
    let mut unknown = event.clone();
    unknown["id"] = json!("evt_unknown");
    unknown["type"] = json!("balance.available");
    let mut elsewhere = event.clone();
    elsewhere["id"] = json!("evt_elsewhere");
    elsewhere["account"] = json!("acct_somebody_else");
    for event in [&foreign, &live, &unknown, &elsewhere] {
        app.deliver(event).await.expect(200);
    }
    // Ignored by a version that did not look at whose it was.
    let mut ignored_live = live.clone();
    ignored_live["id"] = json!("evt_ignored_live");
    ignored_live["livemode"] = json!(false);
    left(&app, &ignored_live, "ignored").await;
    let look = app.look().await;
    let raw = "UPDATE provider_event SET raw = (SELECT raw FROM provider_event WHERE event_id = 'evt_live') \
               WHERE event_id = 'evt_ignored_live'";
    look.execute_unprepared(raw).await.expect(raw);
    look.close().await.expect("closes");

    let before = stored(&app).await;
    for event in [&foreign, &live, &unknown, &elsewhere, &ignored_live] {
        let replayed = replay(&app, event, false).await;
        assert_eq!(replayed.outcome, ReplayOutcome::Unchanged, "{replayed:?}");
        assert!(replayed.note.is_some(), "{replayed:?}");
    }
    assert_eq!(stored(&app).await, before);
    for id in ["evt_nobody", "pev_01kq8rm5ahf2aaemq4p7v9w0xd", ""] {
        let missing = app.services.replay(id, false).await;
        assert!(matches!(missing, Err(ServiceError::NotFound)), "{id}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn since_a_time_replays_what_arrived_then_in_order() {
    let app = TestApp::quiet().await;
    let (_, early) = paid(&app).await;
    left(&app, &early, "ignored").await;
    app.advance(60).await;
    let since = app.clock.now();
    let mut late = Vec::new();
    for _ in 0..3 {
        let (_, event) = paid(&app).await;
        left(&app, &event, "ignored").await;
        late.push(event["id"].as_str().expect("an id").to_owned());
    }
    let all = app.services.replay_since(since, "", false).await;
    let all = all.expect("replays");
    let ids: Vec<&str> = all.iter().map(|one| one.event_id.as_str()).collect();
    assert_eq!(ids, late);
    assert!(all.iter().all(|one| one.outcome == ReplayOutcome::Applied));
    assert_eq!(app.verdict(&early).await, "ignored");
    let last = all[2].id.to_string();
    let more = app.services.replay_since(since, &last, false).await;
    assert!(more.expect("replays").is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_still_asked_when_its_event_is_given_up_and_a_replay_answers_it() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, mut event) = paid(&app).await;
    event["data"]["object"]["amount_total"] = json!(1);
    app.fault(json!({"on": "checkout.session.retrieve", "do": "status:503", "times": "always"}))
        .await;
    app.deliver(&event).await.expect(200);
    for hours in [1, 6, 12, 7, 2] {
        app.work().await;
        assert_eq!(
            app.reviews(&payable.order).await,
            ["amount_mismatch open"],
            "{hours}"
        );
        app.advance(hours * 3_600).await;
    }
    app.work().await;
    assert_eq!(app.verdict(&event).await, "dead amount_mismatch");
    assert_eq!(
        app.count("SELECT COUNT(*) FROM provider_event WHERE next_at IS NOT NULL")
            .await,
        0
    );
    // The money arrives otherwise; the question stays.
    let succeeded = app.provider_event(SUCCEEDED, &payable).await;
    app.deliver(&succeeded).await.expect(200);
    let order = shop.order(&payable.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["review"], "amount_mismatch");

    // Given up is to be seen.
    app.clock.advance(6_000);
    let metrics = app.anonymous().get("/metrics").await.expect(200).text;
    assert!(
        metrics.contains("till_queue_depth{queue=\"provider_events_dead\"} 1\n"),
        "{metrics}"
    );
    let ready = app.anonymous().get("/health/ready?deep=1").await;
    assert_eq!(ready.expect(200).json["checks"]["event_dead"], 1);
    let report = app.services.store.verify().await.expect("a report");
    assert_eq!((report.broken(), report.warnings()), (0, 1), "{report:#?}");

    // A replay that gets no answer changes nothing.
    let before = stored(&app).await;
    let failed = replay(&app, &event, false).await;
    assert_eq!(failed.outcome, ReplayOutcome::Failed, "{failed:?}");
    assert_eq!(stored(&app).await, before);
    app.heal().await;
    let dry = replay(&app, &event, true).await;
    assert_eq!(dry.outcome, ReplayOutcome::Applied);
    assert_eq!(
        dry.before.expect("labels").review.as_deref(),
        Some("amount_mismatch")
    );
    assert_eq!(dry.after.expect("labels").review, None);
    assert_eq!(stored(&app).await, before);
    replay(&app, &event, false).await;
    assert_eq!(app.verdict(&event).await, "applied");
    assert!(shop.order(&payable.order).await["review"].is_null());
    assert_eq!(
        app.reviews(&payable.order).await,
        ["amount_mismatch resolved system"]
    );
    app.finish().await;
}

/// The question about a refund is answered by the refund, not by the session it goes back through.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_asks_about_the_refund_that_was_not_believed() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, _) = shop.paid(&app).await;
    app.fault(json!({"on": "refund.create", "do": "reset_mid_response"}))
        .await;
    let path = format!("/v1/orders/{}/refunds", payable.order);
    let body = json!({"amount": "5.00"});
    shop.post(&path, &body).await.expect(202);
    let mut told = app.provider_events("refund.created").await;
    let mut told = told.pop().expect("the provider tells");
    told["data"]["object"]["amount"] = json!(501);
    app.deliver(&told).await.expect(200);
    assert_eq!(app.verdict(&told).await, "quarantined amount_mismatch");
    let replayed = replay(&app, &told, false).await;
    assert_eq!(replayed.outcome, ReplayOutcome::Applied, "{replayed:?}");
    let order = shop.order(&payable.order).await;
    assert_eq!(order["amount_refunded"], "5.00", "{order}");
    assert_eq!(order["review"], Value::Null);
    app.advance(10).await;
    app.work().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_object_was_fetched_instead_is_left_alone() {
    let app = TestApp::quiet().await;
    let (payable, mut event) = paid(&app).await;
    event["data"]["object"]["amount_total"] = json!(1);
    app.deliver(&event).await.expect(200);
    assert_eq!(app.verdict(&event).await, "quarantined amount_mismatch");
    app.work().await;
    assert_eq!(app.verdict(&event).await, "applied");
    let story = app.story(&payable.order).await;
    assert!(story.contains(&"order.paid".to_owned()), "{story:?}");
    for dry_run in [true, false] {
        let replayed = replay(&app, &event, dry_run).await;
        assert_eq!(replayed.outcome, ReplayOutcome::Unchanged, "{replayed:?}");
    }
    assert_eq!(app.verdict(&event).await, "applied");
    assert_eq!(app.story(&payable.order).await, story);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_somebody_works_on_is_left_to_them() {
    let app = TestApp::quiet().await;
    let (_, event) = paid(&app).await;
    left(&app, &event, "ignored").await;
    let id = replay(&app, &event, true).await.id;
    let store = &app.services.store;
    let held = store.claim_event(id).await.expect("a claim").expect("it");
    assert!(store.claim_event(id).await.expect("a claim").is_none());
    let refused = replay(&app, &event, false).await;
    assert_eq!(refused.outcome, ReplayOutcome::Failed);
    store.release_event(&held).await.expect("released");
    let done = replay(&app, &event, false).await;
    assert_eq!(done.outcome, ReplayOutcome::Applied);
    app.finish().await;
}
