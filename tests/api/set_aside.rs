//! A row that cannot be read is set aside and everybody else is served. Rows are broken in the database, past every
//! constraint, beside healthy ones that are due at the same time.

use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::json;
use till::domain::verify::Report;

use crate::harness::{Actor, TestApp};

const HOUR_S: i64 = 3_600;

async fn deed(vandal: &DatabaseConnection, sql: &str) {
    let done = vandal.execute_unprepared(sql).await.expect(sql);
    assert!(done.rows_affected() > 0, "{sql}");
}

/// Whether a row of a table is due within the next hour, or was.
async fn is_due_soon(app: &TestApp, table: &str, due: &str, which: &str) -> bool {
    let soon = app.clock.now().ms() + HOUR_S * 1_000;
    let sql = format!("SELECT COUNT(*) FROM {table} WHERE {which} AND {due} <= {soon}");
    app.count(&sql).await > 0
}

async fn report_of(app: &TestApp) -> Report {
    app.services.store.verify().await.expect("a report")
}

/// Whether the report names a row.
fn names(report: &Report, check: &str, id: &str) -> bool {
    let mut findings = report.findings.iter();
    findings.any(|finding| finding.check.as_str() == check && finding.id == id)
}

/// A checkout whose creation got no answer.
async fn unanswered(app: &TestApp, shop: &Actor) -> (String, String) {
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    let session = shop.check_out(&order).await.expect(202);
    let session = session.str("id").to_owned();
    let call = format!("SELECT id FROM provider_call WHERE subject_id = '{session}'");
    let call = app.texts(&call).await.remove(0);
    (session, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_cannot_be_read_leave_the_others_served() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (bodiless, bodiless_call) = unanswered(&app, &shop).await;
    let (strange, strange_call) = unanswered(&app, &shop).await;
    let (recounted, recounted_call) = unanswered(&app, &shop).await;
    let (healthy, _) = unanswered(&app, &shop).await;
    let vandal = app.vandal().await;
    for (set, call) in [
        ("body = NULL", &bodiless_call),
        ("kind = 'rumour'", &strange_call),
        // Its first try would be noted twice.
        ("attempt_count = 0", &recounted_call),
    ] {
        let due = app.clock.now().ms() - 1;
        let sql = format!("UPDATE provider_call SET {set}, next_at = {due} WHERE id = '{call}'");
        deed(&vandal, &sql).await;
    }
    app.advance(3).await;
    app.work().await;
    assert_eq!(shop.session(&healthy).await["status"], "open");
    assert!(names(&report_of(&app).await, "call_stuck", &bodiless_call));
    for (session, call) in [
        (&bodiless, &bodiless_call),
        (&strange, &strange_call),
        (&recounted, &recounted_call),
    ] {
        assert_eq!(shop.session(session).await["status"], "creating");
        let which = format!("id = '{call}'");
        assert!(!is_due_soon(&app, "provider_call", "next_at", &which).await);
    }
    app.advance(HOUR_S).await;
    app.work().await;
    assert_eq!(app.effects("checkout.session.created").await.len(), 1);
    // Nobody asks for them, and yet they are not forgotten.
    let report = report_of(&app).await;
    for call in [&bodiless_call, &strange_call, &recounted_call] {
        assert!(names(&report, "lease_expired", call), "{report:#?}");
    }
    // What was mended is sent when its time comes; the count of its tries has moved on by itself.
    let mend =
        format!("UPDATE provider_call SET kind = 'session_create' WHERE id = '{strange_call}'");
    deed(&vandal, &mend).await;
    vandal.close().await.expect("closes");
    app.advance(6 * HOUR_S).await;
    app.work().await;
    assert_eq!(shop.session(&strange).await["status"], "open");
    assert_eq!(shop.session(&recounted).await["status"], "open");
    assert_eq!(shop.session(&bodiless).await["status"], "creating");
    assert!(names(&report_of(&app).await, "call_stuck", &bodiless_call));
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_call_does_not_use_up_the_probe() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, broken) = unanswered(&app, &shop).await;
    let (healthy, _) = unanswered(&app, &shop).await;
    let vandal = app.vandal().await;
    let first = format!("UPDATE provider_call SET body = NULL, next_at = 1 WHERE id = '{broken}'");
    deed(&vandal, &first).await;
    vandal.close().await.expect("closes");
    app.advance(3).await;
    let claimed = app
        .services
        .store
        .claim_calls(app.services.account.id, 1)
        .await
        .expect("a claim");
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].subject_id, healthy);
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overdue_orders_that_cannot_be_read_leave_the_others_closed() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut orders = Vec::new();
    for _ in 0..22 {
        orders.push(shop.place_order().await.str("id").to_owned());
    }
    let healthy = orders.pop().expect("the last");
    let vandal = app.vandal().await;
    // More than one round looks at.
    let broken = format!("UPDATE \"order\" SET currency = 'XXX' WHERE id <> '{healthy}'");
    deed(&vandal, &broken).await;
    vandal.close().await.expect("closes");
    app.advance(24 * HOUR_S).await;
    let mut closed = Vec::new();
    for _ in 0..3 {
        closed.push(app.services.expire_orders().await.expect("a round"));
    }
    assert_eq!(closed, [0, 1, 0], "none is looked at again");
    assert_eq!(shop.order(&healthy).await["status"], "expired");
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_its_bytes_leaves_the_others_applied() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut orders = Vec::new();
    for _ in 0..2 {
        let payable = shop.payable().await;
        app.pay(&payable).await;
        let event = app
            .provider_event("checkout.session.completed", &payable)
            .await;
        app.deliver(&event).await.expect(200);
        orders.push(payable.order);
    }
    let vandal = app.vandal().await;
    let pending = "UPDATE provider_event SET verdict = 'pending', next_at = 1";
    deed(&vandal, pending).await;
    let broken = format!("order_id = '{}'", orders[0]);
    let gone = format!("UPDATE provider_event SET raw = NULL WHERE {broken}");
    deed(&vandal, &gone).await;
    vandal.close().await.expect("closes");
    app.work().await;
    let verdicts = |order: &str| {
        let sql = format!("SELECT verdict FROM provider_event WHERE order_id = '{order}'");
        let app = &app;
        async move { app.texts(&sql).await }
    };
    assert_eq!(verdicts(&orders[1]).await, ["applied"]);
    assert_eq!(verdicts(&orders[0]).await, ["pending"]);
    assert!(!is_due_soon(&app, "provider_event", "next_at", &broken).await);
    app.advance(HOUR_S).await;
    let id = format!("SELECT id FROM provider_event WHERE {broken}");
    let id = app.texts(&id).await.remove(0);
    assert!(names(&report_of(&app).await, "lease_expired", &id));
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_session_leaves_the_others_asked_about() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let broken = shop.payable().await;
    let healthy = shop.payable().await;
    app.pay(&broken).await;
    app.pay(&healthy).await;
    let vandal = app.vandal().await;
    let which = format!("id = '{}'", broken.session);
    let strange = format!("UPDATE checkout_session SET capture = 'someday' WHERE {which}");
    deed(&vandal, &strange).await;
    vandal.close().await.expect("closes");
    app.advance(10).await;
    app.work().await;
    assert_eq!(shop.order(&healthy.order).await["payment_status"], "paid");
    assert_eq!(shop.order(&broken.order).await["payment_status"], "unpaid");
    assert!(!is_due_soon(&app, "checkout_session", "next_poll_at", &which).await);
    app.advance(HOUR_S).await;
    let report = report_of(&app).await;
    assert!(
        names(&report, "lease_expired", &broken.session),
        "{report:#?}"
    );
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_payment_leaves_the_others_asked_about() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, broken) = shop.paid(&app).await;
    let (_, healthy) = shop.paid(&app).await;
    let vandal = app.vandal().await;
    deed(&vandal, "UPDATE payment SET next_poll_at = 1").await;
    let which = format!("id = '{broken}'");
    let strange = format!("UPDATE payment SET status = 'rumoured' WHERE {which}");
    deed(&vandal, &strange).await;
    vandal.close().await.expect("closes");
    let asked = app.services.poll_due_payments().await.expect("a round");
    assert_eq!(asked, 1);
    assert_eq!(app.requests("payment_intent.retrieve").await.len(), 1);
    let of_healthy = format!("id = '{healthy}' AND lease_token IS NULL AND poll_count = 1");
    let polled = format!("SELECT COUNT(*) FROM payment WHERE {of_healthy}");
    assert_eq!(app.count(&polled).await, 1);
    assert!(!is_due_soon(&app, "payment", "next_poll_at", &which).await);
    app.advance(HOUR_S).await;
    let report = report_of(&app).await;
    assert!(names(&report, "lease_expired", &broken), "{report:#?}");
    app.expect_broken();
    app.finish().await;
}
