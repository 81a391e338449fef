//! What is looked up for an order does not grow with its shop, although PostgreSQL plans statements while there is
//! hardly anything to look through, and keeps those plans.

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use till::store::Engine;

use crate::harness::{TestApp, eventually};

/// How many orders are paid, and as many wait to be.
const ORDERS: i64 = 100;

/// The most entries of one table's indexes that are read for one of them, with all the background does. To walk through
/// the others once would be a hundred on average.
const MOST: i64 = 20;

/// The least that is, or not all of it is told yet.
const LEAST: i64 = 6;

const TABLES: [&str; 8] = [
    "order",
    "idempotency_key",
    "checkout_session",
    "provider_call",
    "provider_event",
    "provider_fact",
    "payment",
    "event",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_looked_up_without_going_through_the_others() {
    let app = TestApp::quiet().await;
    if app.services.store.engine() == Engine::Sqlite {
        // It makes its plans without looking at how much there is.
        return app.finish().await;
    }
    let merchant = app.merchant().await;
    for _ in 0..ORDERS {
        let payable = merchant.payable().await;
        app.pay(&payable).await;
        let event = app.provider_event("checkout.session.completed", &payable);
        app.deliver(&event.await).await.expect(200);
        merchant.payable().await;
        app.work().await;
    }
    // A connection tells what it has read when it is used again, a second later at the earliest.
    eventually("what was read is told", async || {
        merchant.get("/health/ready").await.expect(200);
        read_of(&app, "order").await >= LEAST && read_of(&app, "checkout_session").await >= LEAST
    })
    .await;
    for table in TABLES {
        let read = read_of(&app, table).await;
        assert!(
            read <= MOST,
            "{table}: {read} entries are read for an order"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_does_not_wait_for_who_refers_to_its_order() {
    let app = TestApp::quiet().await;
    if app.services.store.engine() == Engine::Sqlite {
        return app.finish().await;
    }
    let merchant = app.merchant().await;
    let payable = merchant.payable().await;
    app.pay(&payable).await;
    let event = app
        .provider_event("checkout.session.completed", &payable)
        .await;
    // As the search index holds it, and the check of every reference to it.
    let look = app.look().await;
    let held = look.begin().await.expect("a transaction");
    let lock = format!(
        "SELECT id FROM \"order\" WHERE id = '{}' FOR KEY SHARE",
        payable.order
    );
    held.execute_unprepared(&lock).await.expect("a lock");
    app.deliver(&event).await.expect(200);
    let verdict = app.verdict(&event).await;
    held.rollback().await.expect("lets go");
    look.close().await.expect("closes");
    assert_eq!(verdict, "applied");
    app.finish().await;
}

/// How many entries of a table's indexes were read for an order.
async fn read_of(app: &TestApp, table: &str) -> i64 {
    let read = format!(
        "SELECT CAST(COALESCE(SUM(idx_tup_read), 0) AS BIGINT) FROM pg_stat_user_indexes \
         WHERE relname = '{table}'"
    );
    app.count(&read).await / (2 * ORDERS)
}
