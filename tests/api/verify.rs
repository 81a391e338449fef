//! `till verify`: every check is seen to fail. Faults are planted in the database, past every constraint, and the
//! report must name exactly the rows that were touched.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseBackend};
use serde_json::json;
use till::domain::verify::Report;
use till::service::verify::verify;

use crate::harness::{Payable, TestApp};

const COMPLETED: &str = "checkout.session.completed";

async fn paid(app: &TestApp, orders: usize) -> Vec<Payable> {
    let shop = app.merchant().await;
    let mut paid = Vec::with_capacity(orders);
    for _ in 0..orders {
        let payable = shop.payable().await;
        app.pay(&payable).await;
        let event = app.provider_event(COMPLETED, &payable).await;
        app.deliver(&event).await.expect(200);
        paid.push(payable);
    }
    paid
}

async fn report_of(app: &TestApp) -> Report {
    verify(&app.services.store).await.expect("a report")
}

/// `check table id` of everything found.
fn found(report: &Report) -> BTreeSet<String> {
    let findings = report.findings.iter();
    findings
        .map(|finding| format!("{} {} {}", finding.check, finding.table, finding.id))
        .collect()
}

/// What is done to an order, and what must be said of it: `check table`, then a query for the row's id. In both
/// `$o` is the order and `$s` its session.
struct Fault {
    deeds: &'static [&'static str],
    findings: &'static [(&'static str, &'static str)],
}

const ORDER: &str = "SELECT '$o'";
const SESSION: &str = "SELECT '$s'";
const PAYMENT: &str = "SELECT id FROM payment WHERE order_id = '$o'";
const POSTED: &str = "SELECT id FROM ledger_transaction WHERE order_id = '$o'";
const CALL: &str = "SELECT id FROM provider_call WHERE order_id = '$o'";
const TOLD: &str = "SELECT id FROM provider_event WHERE order_id = '$o'";
const KEY: &str = "SELECT id FROM idempotency_key WHERE resource_id = '$o'";
const SHOP: &str = "SELECT shop_id FROM \"order\" WHERE id = '$o'";

const fn fault(
    deeds: &'static [&'static str],
    findings: &'static [(&'static str, &'static str)],
) -> Fault {
    Fault { deeds, findings }
}

const FAULTS: &[Fault] = &[
    fault(
        &["UPDATE \"order\" SET shipping_minor = 1 WHERE id = '$o'"],
        &[("order_total order", ORDER)],
    ),
    fault(
        &["UPDATE line_item SET subtotal_minor = 2400, total_minor = 2400 WHERE order_id = '$o'"],
        &[
            ("order_total order", ORDER),
            (
                "order_total line_item",
                "SELECT id FROM line_item WHERE order_id = '$o'",
            ),
        ],
    ),
    fault(
        &["UPDATE line_item SET total_minor = 2400 WHERE order_id = '$o'"],
        &[(
            "order_total line_item",
            "SELECT id FROM line_item WHERE order_id = '$o'",
        )],
    ),
    fault(
        &["UPDATE \"order\" SET payment_status = 'unpaid' WHERE id = '$o'"],
        &[("order_state order", ORDER)],
    ),
    fault(
        &["UPDATE \"order\" SET paid_minor = 2499 WHERE id = '$o'"],
        &[("order_state order", ORDER)],
    ),
    fault(
        &["UPDATE \"order\" SET refunded_minor = 1 WHERE id = '$o'"],
        &[("order_state order", ORDER)],
    ),
    fault(
        &["UPDATE \"order\" SET paid_at = NULL WHERE id = '$o'"],
        &[("order_state order", ORDER), ("paid_event order", ORDER)],
    ),
    fault(
        &["UPDATE payment SET captured_minor = 2501 WHERE order_id = '$o'"],
        &[("payment_state payment", PAYMENT)],
    ),
    fault(
        &["UPDATE payment SET status = 'failed' WHERE order_id = '$o'"],
        &[("payment_state payment", PAYMENT)],
    ),
    fault(
        &["UPDATE checkout_session SET status = 'open' WHERE id = '$s'"],
        &[("session_state checkout_session", SESSION)],
    ),
    fault(
        &[
            "INSERT INTO review (id, shop_id, order_id, reason, subject_id, status, opened_at) \
             SELECT 'rev_planted', shop_id, id, 'dispute', 'dp_x', 'open', 1 FROM \"order\" WHERE id = '$o'",
            "UPDATE \"order\" SET review = 'dispute' WHERE id = '$o'",
        ],
        &[("reviews review", "SELECT 'rev_planted'")],
    ),
    fault(
        &["UPDATE \"order\" SET review = 'dispute' WHERE id = '$o'"],
        &[("order_state order", ORDER)],
    ),
    // A webhook nobody believed, and nobody is asked about it.
    fault(
        &[
            "UPDATE provider_event SET verdict = 'quarantined', reason = 'amount_mismatch' WHERE order_id = '$o'",
        ],
        &[("reviews order", ORDER)],
    ),
    fault(
        &["UPDATE payment SET refund_reserved_minor = 2501 WHERE order_id = '$o'"],
        &[
            ("refund_limit payment", PAYMENT),
            ("payment_state payment", PAYMENT),
        ],
    ),
    fault(
        &["UPDATE \"order\" SET status = 'cancelled' WHERE id = '$o'"],
        &[
            ("order_state order", ORDER),
            ("cancelled_money order", ORDER),
        ],
    ),
    fault(
        &[
            "INSERT INTO checkout_session (id, shop_id, order_id, provider_account_id, status, amount_minor, currency, \
             capture, success_url, cancel_url, expires_at, actor, created_at, updated_at) \
             SELECT 'cs_00000000000000000000000001', shop_id, order_id, provider_account_id, 'creating', 1, 'EUR', \
             'automatic', 'x', 'x', 1, 'x', 1, 1 FROM checkout_session WHERE id = '$s'",
            "INSERT INTO checkout_session (id, shop_id, order_id, provider_account_id, status, amount_minor, currency, \
             capture, success_url, cancel_url, expires_at, actor, created_at, updated_at) \
             SELECT 'cs_00000000000000000000000002', shop_id, order_id, provider_account_id, 'creating', 1, 'EUR', \
             'automatic', 'x', 'x', 1, 'x', 1, 1 FROM checkout_session WHERE id = '$s'",
        ],
        &[("live_sessions order", ORDER)],
    ),
    fault(
        &["UPDATE ledger_entry SET debit_minor = 2600 WHERE order_id = '$o' AND debit_minor > 0"],
        &[
            ("ledger_transaction ledger_transaction", POSTED),
            ("ledger_balance order", ORDER),
            ("trial_balance shop", SHOP),
        ],
    ),
    // Balanced, and yet not what the facts say.
    fault(
        &[
            "UPDATE ledger_entry SET debit_minor = 2600 WHERE order_id = '$o' AND debit_minor > 0",
            "UPDATE ledger_entry SET credit_minor = 2600 WHERE order_id = '$o' AND credit_minor > 0",
        ],
        &[("ledger_balance order", ORDER)],
    ),
    fault(
        &["DELETE FROM ledger_entry WHERE order_id = '$o'"],
        &[
            ("ledger_transaction ledger_transaction", POSTED),
            ("ledger_balance order", ORDER),
        ],
    ),
    fault(
        &[
            "DELETE FROM ledger_entry WHERE order_id = '$o'",
            "DELETE FROM ledger_transaction WHERE order_id = '$o'",
        ],
        &[("ledger_balance order", ORDER)],
    ),
    fault(
        &["UPDATE ledger_transaction SET fact_id = 'fact_nobodys' WHERE order_id = '$o'"],
        &[("ledger_fact ledger_transaction", POSTED)],
    ),
    fault(
        &["DELETE FROM event WHERE order_id = '$o' AND sequence = 2"],
        &[(
            "event_sequence event",
            "SELECT id FROM event WHERE order_id = '$o' AND sequence = 3",
        )],
    ),
    fault(
        &["UPDATE \"order\" SET event_seq = 9 WHERE id = '$o'"],
        &[("event_sequence order", ORDER)],
    ),
    fault(
        &["UPDATE event SET type = 'order.review' WHERE order_id = '$o' AND type = 'order.paid'"],
        &[("paid_event order", ORDER)],
    ),
    fault(
        &[
            "UPDATE checkout_session SET lease_token = 'x', lease_until = 1, next_poll_at = 9999999999999 WHERE id = '$s'",
        ],
        &[("lease_expired checkout_session", SESSION)],
    ),
    // Somebody else did the work while it was held, or held what was done.
    fault(
        &[
            "UPDATE checkout_session SET lease_token = 'x', lease_until = 1 WHERE id = '$s'",
            "UPDATE payment SET lease_token = 'x', lease_until = 1 WHERE order_id = '$o'",
            "UPDATE provider_event SET lease_token = 'x', lease_until = 1 WHERE order_id = '$o'",
        ],
        &[],
    ),
    fault(
        &["UPDATE provider_call SET lease_token = 'x', lease_until = 1 WHERE order_id = '$o'"],
        &[("lease_expired provider_call", CALL)],
    ),
    fault(
        &[
            "UPDATE provider_call SET status = 'unknown', next_at = 1, body = $bytes WHERE order_id = '$o'",
        ],
        &[("call_stuck provider_call", CALL)],
    ),
    fault(
        &[
            "UPDATE provider_call SET status = 'sending', next_at = NULL, body = $bytes WHERE order_id = '$o'",
        ],
        &[("call_stuck provider_call", CALL)],
    ),
    fault(
        &[
            "UPDATE provider_call SET status = 'unknown', next_at = 9000000000000 WHERE order_id = '$o'",
        ],
        &[("call_stuck provider_call", CALL)],
    ),
    fault(
        &["UPDATE provider_event SET verdict = 'pending', next_at = 1 WHERE order_id = '$o'"],
        &[("event_stuck provider_event", TOLD)],
    ),
    fault(
        &["UPDATE provider_event SET verdict = 'pending' WHERE order_id = '$o'"],
        &[("event_stuck provider_event", TOLD)],
    ),
    fault(
        &[
            "UPDATE provider_event SET verdict = 'dead', reason = 'order_unknown' WHERE order_id = '$o'",
        ],
        &[("event_dead provider_event", TOLD)],
    ),
    fault(
        &[
            "UPDATE provider_event SET object_id = 'pi_1', intent_id = NULL, charge_id = NULL WHERE order_id = '$o'",
        ],
        &[("event_facts provider_event", TOLD)],
    ),
    fault(
        &["UPDATE idempotency_key SET answer_body = NULL WHERE resource_id = '$o'"],
        &[("stored_answer idempotency_key", KEY)],
    ),
    fault(
        &["UPDATE idempotency_key SET answer_body = '{' WHERE resource_id = '$o'"],
        &[("stored_answer idempotency_key", KEY)],
    ),
    fault(
        &[
            "UPDATE idempotency_key SET answer_body = '{\"id\": \"ord_x\"}' WHERE resource_id = '$o'",
        ],
        &[("stored_answer idempotency_key", KEY)],
    ),
    fault(
        &["UPDATE idempotency_key SET answer_status = 409 WHERE resource_id = '$o'"],
        &[("stored_answer idempotency_key", KEY)],
    ),
    fault(
        &["UPDATE idempotency_key SET resource_id = 'cs_gone' WHERE resource_id = '$s'"],
        &[(
            "stored_answer idempotency_key",
            "SELECT id FROM idempotency_key WHERE resource_id = 'cs_gone'",
        )],
    ),
    fault(
        &["UPDATE idempotency_key SET status = 'bound', created_at = 1 WHERE resource_id = '$s'"],
        &[(
            "open_answer idempotency_key",
            "SELECT id FROM idempotency_key WHERE resource_id = '$s'",
        )],
    ),
    fault(
        &["UPDATE provider_fact SET kind = 'rumour' WHERE order_id = '$o' AND kind = 'captured'"],
        &[("unreadable order", ORDER)],
    ),
    // Money without a fact that says so.
    fault(
        &["DELETE FROM provider_fact WHERE order_id = '$o' AND kind = 'captured'"],
        &[
            ("order_state order", ORDER),
            ("payment_state payment", PAYMENT),
            ("session_state checkout_session", SESSION),
            ("ledger_fact ledger_transaction", POSTED),
            ("ledger_balance order", ORDER),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_is_named_and_nothing_else_is() {
    let mut app = TestApp::quiet().await;
    // One more than faults: it stays as it is.
    let orders = paid(&app, FAULTS.len() + 1).await;
    app.work().await;
    let clean = report_of(&app).await;
    assert_eq!(found(&clean), BTreeSet::new());
    assert_eq!(
        clean.examined["order"],
        u64::try_from(orders.len()).expect("few")
    );
    let vandal = app.vandal().await;
    let bytes = match vandal.get_database_backend() {
        DatabaseBackend::Sqlite => "x'00'",
        _ => "'\\x00'::bytea",
    };
    let mut wanted = BTreeSet::new();
    for (fault, payable) in FAULTS.iter().zip(&orders) {
        let fill = |sql: &str| {
            let sql = sql.replace("$o", &payable.order);
            sql.replace("$s", &payable.session).replace("$bytes", bytes)
        };
        for deed in fault.deeds {
            let deed = fill(deed);
            let done = vandal.execute_unprepared(&deed).await.expect(&deed);
            assert!(done.rows_affected() > 0, "{deed}");
        }
        for (what, row) in fault.findings {
            let ids = app.texts(&fill(row)).await;
            assert_eq!(ids.len(), 1, "{row}");
            wanted.insert(format!("{what} {}", ids[0]));
        }
    }
    let feed = "UPDATE shop SET event_position = 1";
    vandal.execute_unprepared(feed).await.expect(feed);
    wanted.insert(format!("feed shop {}", app.shop.id));
    vandal.close().await.expect("closes");

    let report = report_of(&app).await;
    assert_eq!(found(&report), wanted, "{report:#?}");
    assert_eq!(report.warnings(), 2, "given up, and not asked for again");
    let seen: BTreeSet<&str> = report.counts.keys().map(|check| check.as_str()).collect();
    let all = till::domain::verify::Check::ALL;
    let all: BTreeSet<&str> = all.iter().map(|check| check.as_str()).collect();
    assert_eq!(seen, all, "every check was seen to fail");
    app.expect_broken();
    app.finish().await;
}

/// Answers that were never stored although the outcome is known: of every kind of request that has one later.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_nobody_fetched_is_named_for_every_kind_of_request() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let post = |path: String, body| {
        let shop = &shop;
        async move { shop.post(&path, &body).await }
    };
    let (paid, _) = shop.paid(&app).await;
    let refunds = format!("/v1/orders/{}/refunds", paid.order);
    let part = json!({"amount": "5.00"});
    post(refunds.clone(), part).await.expect(201);
    // The rest goes back at the provider, whose webhook is lost: the next one is refused.
    let intent = shop.payment_of(&paid.order).await["provider_payment_id"].clone();
    let act = format!("payment_intents/{}/refund", intent.as_str().expect("an id"));
    app.simulate(&act, &json!({"amount": 2000})).await;
    let refused = post(refunds, json!({})).await;
    refused.problem(502, "provider_rejected");
    let (_, captured) = shop.reserved(&app).await;
    let capture = post(format!("/v1/payments/{captured}/capture"), json!({})).await;
    capture.expect(200);
    let (_, voided) = shop.reserved(&app).await;
    let void = post(format!("/v1/payments/{voided}/void"), json!({})).await;
    void.expect(200);
    let bare = shop.place_order().await.str("id").to_owned();
    post(format!("/v1/orders/{bare}/cancel"), json!({}))
        .await
        .expect(200);
    let ended = shop.payable().await.session;
    post(format!("/v1/checkout_sessions/{ended}/expire"), json!({}))
        .await
        .expect(200);
    app.work().await;
    assert_eq!(found(&report_of(&app).await), BTreeSet::new());

    let vandal = app.vandal().await;
    let bound =
        "UPDATE idempotency_key SET status = 'bound', answer_status = NULL, answer_body = NULL";
    let late = |routes: &str| format!("{bound}, created_at = 1 WHERE route LIKE '{routes}'");
    for routes in ["%/refunds", "%/capture", "%/void", "%/cancel", "%/expire"] {
        let deed = late(routes);
        let done = vandal.execute_unprepared(&deed).await.expect(&deed);
        assert!(done.rows_affected() > 0, "{deed}");
    }
    let open = "SELECT id FROM idempotency_key WHERE status = 'bound'";
    let wanted: BTreeSet<String> = app.texts(open).await.into_iter().collect();
    assert_eq!(wanted.len(), 6, "two refunds, and one of each other kind");
    let report = report_of(&app).await;
    let named: BTreeSet<String> = report.findings.iter().map(|f| f.id.clone()).collect();
    assert_eq!(named, wanted, "{report:#?}");
    assert_eq!((report.broken(), report.warnings()), (0, 6));

    // What is still open, or was just asked for, is nobody's neglect.
    for deed in [
        "UPDATE provider_call SET status = 'unknown', next_at = 9000000000000, body = $bytes \
         WHERE kind IN ('refund_create', 'payment_capture', 'payment_void')",
        "UPDATE refund SET provider_refund_id = NULL",
        "UPDATE payment SET status = 'authorized'",
        "UPDATE \"order\" SET status = 'open', payment_status = 'unpaid'",
        "UPDATE checkout_session SET status = 'open'",
    ] {
        let bytes = match vandal.get_database_backend() {
            DatabaseBackend::Sqlite => "x'00'",
            _ => "'\\x00'::bytea",
        };
        let deed = deed.replace("$bytes", bytes);
        vandal.execute_unprepared(&deed).await.expect(&deed);
    }
    let report = report_of(&app).await;
    let open = report
        .findings
        .iter()
        .filter(|f| f.table == "idempotency_key");
    assert_eq!(open.count(), 0, "{report:#?}");
    vandal.close().await.expect("closes");
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_counts_what_the_cheap_checks_find() {
    let mut app = TestApp::quiet().await;
    let orders = paid(&app, 3).await;
    app.work().await;
    let anybody = app.anonymous();
    let path = "/health/ready?deep=1";
    let ready = anybody.get(path).await.expect(200).json;
    assert_eq!(
        ready,
        json!({"status": "ok", "checks": {
            "ledger_transaction": 0, "event_sequence": 0, "paid_event": 0, "call_stuck": 0,
            "event_stuck": 0, "event_dead": 0,
        }})
    );
    let shallow = anybody.get("/health/ready").await.expect(200).json;
    assert_eq!(shallow, json!({"status": "ok"}));
    for query in ["?deep=2", "?deep=yes", "?deeper=1"] {
        let answer = anybody.get(&format!("/health/ready{query}")).await;
        answer.problem(422, "invalid_request");
    }
    let vandal = app.vandal().await;
    let dead = format!(
        "UPDATE provider_event SET verdict = 'dead', reason = 'order_unknown' WHERE order_id = '{}'",
        orders[0].order
    );
    vandal.execute_unprepared(&dead).await.expect(&dead);
    // What was found is held for a moment.
    let held = anybody.get(path).await.expect(200).json;
    assert_eq!(held, ready);
    app.advance(6).await;
    let ready = anybody.get(path).await.expect(200).json;
    assert_eq!(ready["checks"]["event_dead"], 1, "a warning");
    for deed in [
        format!(
            "UPDATE ledger_entry SET debit_minor = 1 WHERE debit_minor > 0 AND order_id = '{}'",
            orders[1].order
        ),
        format!(
            "UPDATE \"order\" SET event_seq = 9, paid_at = NULL WHERE id = '{}'",
            orders[1].order
        ),
        format!(
            "UPDATE provider_event SET verdict = 'pending', next_at = 1 WHERE order_id = '{}'",
            orders[1].order
        ),
        format!(
            "UPDATE provider_call SET status = 'unknown', next_at = 1 WHERE order_id = '{}'",
            orders[2].order
        ),
    ] {
        vandal.execute_unprepared(&deed).await.expect(&deed);
    }
    vandal.close().await.expect("closes");
    app.advance(6).await;
    let broken = anybody.get(path).await.problem(503, "invariant_broken");
    let detail = broken.str("detail");
    for name in [
        "ledger_transaction",
        "event_sequence",
        "paid_event",
        "call_stuck",
        "event_stuck",
    ] {
        assert!(detail.contains(&format!("{name} 1")), "{detail}");
    }
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_beside_a_running_server_finds_nothing() {
    let app = TestApp::start().await;
    let shop = app.merchant().await;
    let busy = async {
        for _ in 0..15 {
            let payable = shop.payable().await;
            app.pay(&payable).await;
        }
    };
    let looking = async {
        for _ in 0..10 {
            let report = report_of(&app).await;
            assert_eq!(report.findings, [], "{report:?}");
        }
    };
    tokio::join!(busy, looking);
    app.finish().await;
}
