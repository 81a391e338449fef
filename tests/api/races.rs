//! Races: two things that happen at the same moment, round after round, and the exact counts of what came of them.
//! A few rounds in every run, five hundred with `TILL_TEST_FULL`.

use serde_json::{Value, json};

use crate::harness::actor::fresh_key;
use crate::harness::{Actor, Payable, TestApp};

fn rounds() -> usize {
    match std::env::var_os("TILL_TEST_FULL") {
        Some(_) => 500,
        None => 15,
    }
}

async fn total(app: &TestApp, counted: &[(&str, usize)]) {
    for (sql, expected) in counted {
        let count = usize::try_from(app.count(sql).await).expect("a count");
        assert_eq!(count, *expected, "{sql}");
    }
}

const PAID: &str = "SELECT COUNT(*) FROM event WHERE type = 'order.paid'";
const PAYMENTS: &str = "SELECT COUNT(*) FROM payment";
const CAPTURES: &str = "SELECT COUNT(*) FROM provider_fact WHERE kind = 'captured'";
const POSTINGS: &str = "SELECT COUNT(*) FROM ledger_transaction";
const REVIEWS: &str = "SELECT COUNT(*) FROM review";

/// The customer pays; false when the provider would not have it any more.
async fn paid_in_time(app: &TestApp, payable: &Payable) -> bool {
    let url = format!(
        "{}/_simulator/sessions/{}/pay",
        app.simulator_url, payable.at_provider
    );
    let answer = app.http.post(url).json(&json!({})).send().await;
    answer.expect("the simulator answers").status().is_success()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_against_payment_has_one_winner() {
    let app = TestApp::start().await;
    let shop = app.merchant().await;
    let (mut cancelled, mut paid) = (0, 0);
    for round in 0..rounds() {
        let payable = shop.payable().await;
        let path = format!("/v1/orders/{}/cancel", payable.order);
        let key = fresh_key();
        let cancel = async {
            loop {
                let answer = shop.post_with_key(&path, &key, &json!({})).await;
                if answer.status != 202 {
                    return answer;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        // One is a little earlier than the other, by turns.
        let lead = std::time::Duration::from_millis(u64::try_from(round % 7).expect("fits") * 2);
        let pay = async {
            tokio::time::sleep(lead).await;
            paid_in_time(&app, &payable).await
        };
        let (answer, was_paid) = tokio::join!(cancel, pay);
        let order = shop.order(&payable.order).await;
        match answer.status {
            200 => {
                assert!(!was_paid, "paid and cancelled: {order}");
                assert_eq!(order["status"], "cancelled");
                assert_eq!(order["payment_status"], "unpaid");
                cancelled += 1;
            }
            409 => {
                assert!(was_paid, "neither paid nor cancelled: {order}");
                assert_eq!(answer.json["code"], "already_paid");
                assert_eq!(order["status"], "open");
                assert_eq!(order["payment_status"], "paid");
                paid += 1;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    println!("cancel against payment: {cancelled} cancelled, {paid} paid");
    assert_eq!(cancelled + paid, rounds());
    let counts = [
        (
            "SELECT COUNT(*) FROM event WHERE type = 'order.cancelled'",
            cancelled,
        ),
        (PAID, paid),
        (PAYMENTS, paid),
        (POSTINGS, paid),
        (REVIEWS, 0),
        ("SELECT COUNT(*) FROM refund", 0),
        (
            "SELECT COUNT(*) FROM \"order\" WHERE status = 'cancelled' AND paid_minor > 0",
            0,
        ),
    ];
    total(&app, &counts).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refund_against_refund_gives_back_once() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..rounds() {
        let (paid, _) = shop.paid(&app).await;
        let path = format!("/v1/orders/{}/refunds", paid.order);
        let (body, key) = (json!({"amount": "15.00"}), fresh_key());
        // The same request twice, and another one that leaves no room for both.
        let (first, again, other) = tokio::join!(
            shop.post_with_key(&path, &key, &body),
            shop.post_with_key(&path, &key, &body),
            shop.post(&path, &body),
        );
        let order = shop.order(&paid.order).await;
        assert_eq!(order["amount_refunded"], "15.00", "{order}");
        let won = [&first, &again].iter().any(|answer| answer.status == 201);
        assert_ne!(won, other.status == 201, "{} {}", first.text, other.text);
        let lost = if won { vec![other] } else { vec![first, again] };
        for answer in lost {
            answer.problem(409, "refund_exceeds_captured");
        }
    }
    let made = app.effects("refund.created").await.len();
    println!("refund against refund: {made} made");
    assert_eq!(made, rounds(), "refunds at the provider");
    let counts = [
        ("SELECT COUNT(*) FROM refund", rounds()),
        (
            "SELECT COUNT(*) FROM provider_call WHERE kind = 'refund_create'",
            rounds(),
        ),
        (
            "SELECT COUNT(*) FROM payment WHERE refund_reserved_minor <> 1500",
            0,
        ),
        (POSTINGS, 2 * rounds()),
        (REVIEWS, 0),
    ];
    total(&app, &counts).await;
    app.finish().await;
}

async fn paid_events(app: &TestApp, payable: &Payable) -> [Value; 2] {
    app.pay(payable).await;
    [
        app.provider_event("checkout.session.completed", payable)
            .await,
        app.provider_event("payment_intent.succeeded", payable)
            .await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_webhooks_at_once_are_one_payment() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..rounds() {
        let payable = shop.payable().await;
        let [completed, succeeded] = paid_events(&app, &payable).await;
        // Two events that say the same, each of them twice.
        let (one, two, three, four) = tokio::join!(
            app.deliver(&completed),
            app.deliver(&succeeded),
            app.deliver(&completed),
            app.deliver(&succeeded),
        );
        for answer in [one, two, three, four] {
            answer.expect(200);
        }
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    }
    let counts = [
        (PAID, rounds()),
        (PAYMENTS, rounds()),
        (CAPTURES, rounds()),
        (POSTINGS, rounds()),
        ("SELECT COUNT(*) FROM provider_event", 2 * rounds()),
        (
            "SELECT COUNT(*) FROM provider_event WHERE verdict = 'applied'",
            2 * rounds(),
        ),
        (REVIEWS, 0),
    ];
    total(&app, &counts).await;
    println!("two webhooks at once: {} payments", rounds());
    app.finish().await;
}

async fn refresh(shop: &Actor, payable: &Payable) {
    let path = format!("/v1/checkout_sessions/{}?refresh=true", payable.session);
    let session = shop.get(&path).await.expect(200);
    assert_eq!(session.str("status"), "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storefronts_poll_against_the_webhook_is_one_payment() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for _ in 0..rounds() {
        let payable = shop.payable().await;
        let [completed, _] = paid_events(&app, &payable).await;
        let ((), (), told) = tokio::join!(
            refresh(&shop, &payable),
            refresh(&shop, &payable),
            app.deliver(&completed),
        );
        told.expect(200);
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    }
    let counts = [
        (PAID, rounds()),
        (PAYMENTS, rounds()),
        (CAPTURES, rounds()),
        (POSTINGS, rounds()),
        (
            "SELECT COUNT(*) FROM provider_event WHERE verdict = 'applied'",
            rounds(),
        ),
        (REVIEWS, 0),
    ];
    total(&app, &counts).await;
    println!(
        "a storefront's poll against the webhook: {} payments",
        rounds()
    );
    app.finish().await;
}
