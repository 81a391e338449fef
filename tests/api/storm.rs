//! The storm: ten thousand deliveries of the events of two thousand paid orders, shuffled and duplicated, sixteen
//! at once. Each order must be paid once, each capture posted once, and the ledger balanced.

use std::time::Instant;

use futures::stream::{self, StreamExt};
use serde_json::Value;

use crate::harness::{Payable, TestApp};

const ORDERS: usize = 2_000;
/// How often each order's events are delivered: 10,000 deliveries in all.
const COMPLETED_COPIES: usize = 3;
const SUCCEEDED_COPIES: usize = 2;
const AT_ONCE: usize = 16;

/// A shuffle that is the same at every run (xorshift and Fisher–Yates).
fn shuffled<T>(mut items: Vec<T>) -> Vec<T> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for at in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let below = u64::try_from(at + 1).expect("fits");
        let other = usize::try_from(state % below).expect("fits");
        items.swap(at, other);
    }
    items
}

async fn two_thousand_paid_at_the_provider(app: &TestApp) {
    let shop = app.merchant().await;
    let payables: Vec<Payable> = stream::iter(0..ORDERS)
        .map(|_| shop.payable())
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    stream::iter(&payables)
        .for_each_concurrent(AT_ONCE, |payable| app.pay(payable))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_shuffled_deliveries_pay_two_thousand_orders_once_each() {
    let started = Instant::now();
    let app = TestApp::quiet().await;
    two_thousand_paid_at_the_provider(&app).await;
    let completed = app.provider_events("checkout.session.completed").await;
    let succeeded = app.provider_events("payment_intent.succeeded").await;
    assert_eq!((completed.len(), succeeded.len()), (ORDERS, ORDERS));
    let copies = |events: Vec<Value>, count: usize| {
        events.into_iter().flat_map(move |event| vec![event; count])
    };
    let deliveries: Vec<Value> = copies(completed, COMPLETED_COPIES)
        .chain(copies(succeeded, SUCCEEDED_COPIES))
        .collect();
    assert_eq!(deliveries.len(), 10_000);
    println!("arranged in {:?}", started.elapsed());

    let delivering = Instant::now();
    stream::iter(shuffled(deliveries))
        .for_each_concurrent(AT_ONCE, |event| {
            let app = &app;
            async move {
                app.deliver(&event).await.expect(200);
            }
        })
        .await;
    println!("delivered in {:?}", delivering.elapsed());

    let orders = i64::try_from(ORDERS).expect("fits");
    for (sql, expected) in [
        (
            "SELECT COUNT(*) FROM event WHERE type = 'order.paid'",
            orders,
        ),
        (
            "SELECT COUNT(DISTINCT order_id) FROM event WHERE type = 'order.paid'",
            orders,
        ),
        (
            "SELECT COUNT(*) FROM \"order\" WHERE payment_status = 'paid' AND paid_minor = total_minor",
            orders,
        ),
        (
            "SELECT COUNT(*) FROM payment WHERE status = 'captured'",
            orders,
        ),
        ("SELECT COUNT(*) FROM payment", orders),
        (
            "SELECT COUNT(*) FROM provider_fact WHERE kind = 'captured'",
            orders,
        ),
        ("SELECT COUNT(*) FROM ledger_transaction", orders),
        ("SELECT COUNT(*) FROM ledger_entry", 2 * orders),
        (
            "SELECT COUNT(*) FROM provider_event WHERE verdict = 'applied'",
            2 * orders,
        ),
        ("SELECT COUNT(*) FROM provider_event", 2 * orders),
        ("SELECT COUNT(*) FROM event", 4 * orders),
        ("SELECT COUNT(*) FROM review", 0),
        (
            "SELECT CAST(SUM(debit_minor) AS BIGINT) FROM ledger_entry",
            2_500 * orders,
        ),
        (
            "SELECT CAST(SUM(credit_minor) AS BIGINT) FROM ledger_entry",
            2_500 * orders,
        ),
    ] {
        assert_eq!(app.count(sql).await, expected, "{sql}");
    }
    app.finish().await;
}
