//! What is looked up for an order does not grow with its shop, although PostgreSQL plans statements while there is
//! hardly anything to look through, and keeps those plans.

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;
use till::store::Engine;

use crate::harness::{TestApp, eventually};

/// How many orders are paid, and as many wait to be.
const ORDERS: i64 = 100;

/// The most rows of one table that are looked at for one of them, with all the background does. To walk through the
/// others once would be a hundred on average.
const MOST: i64 = 20;

/// The time an order has to be paid, and a minute.
const DAY_S: i64 = 24 * 60 * 60 + 60;

/// Longer than a session or a call that failed once is left alone.
const LONG_S: i64 = 30 * 60;

/// The least that is, or not all of it is told yet.
const LEAST: i64 = 4;

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
    // The server gathers what it knows of a table in its own time. Should it do so while there are some dozen rows, it plans
    // to go through them, and finds out a minute later, which is longer than this takes.
    let look = app.look().await;
    let rest = "DO $$ DECLARE t record; BEGIN FOR t IN SELECT oid::regclass AS name FROM pg_class \
                WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP \
                EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', t.name); END LOOP; END $$";
    look.execute_unprepared(rest).await.expect("it rests");
    look.close().await.expect("closes");
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
            "{table}: {read} rows are looked at for an order"
        );
    }
    app.finish().await;
}

/// An order stays open when it is paid, and its time passes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn paid_orders_are_not_gone_through_for_those_whose_time_is_up() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    for _ in 0..2 {
        let payable = merchant.payable().await;
        app.pay(&payable).await;
        let event = app.provider_event("checkout.session.completed", &payable);
        app.deliver(&event.await).await.expect(200);
    }
    let waiting = merchant.place_order().await;
    let store = &app.services.store;
    let look = app.look().await;
    let gathers = "ANALYZE \"order\"";
    look.execute_unprepared(gathers).await.expect(gathers);
    let entries = match store.engine() {
        Engine::Sqlite => {
            "SELECT CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE idx = 'order_overdue_idx'"
        }
        Engine::Postgres => {
            "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'order_overdue_idx'"
        }
    };
    assert_eq!(app.count(entries).await, 1);
    if store.engine() == Engine::Sqlite {
        // What it knows of so few would change its plans.
        let forgets = "DROP TABLE IF EXISTS sqlite_stat1; DROP TABLE IF EXISTS sqlite_stat4";
        look.execute_unprepared(forgets).await.expect(forgets);
    }
    look.close().await.expect("closes");
    assert!(store.overdue_orders(10).await.expect("none").is_empty());
    app.advance(DAY_S).await;
    let overdue = store.overdue_orders(10).await.expect("one");
    let overdue: Vec<String> = overdue.iter().map(|(_, id)| id.to_string()).collect();
    assert_eq!(overdue, [waiting.str("id")]);
    app.finish().await;
}

/// What a test ends with, see the harness, on what is sent at a start and when the provider is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_provider_that_is_back_do_not_go_through_what_is_done() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    merchant.payable().await;
    let order = merchant.place_order().await;
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    merchant.check_out(order.str("id")).await.expect(202);
    app.advance(LONG_S).await;
    let store = &app.services.store;
    let claims = async || {
        let sessions = store
            .claim_sessions(app.services.account.id, 10)
            .await
            .expect("sessions")
            .len();
        let calls = store
            .claim_calls(app.services.account.id, 10)
            .await
            .expect("calls")
            .len();
        [sessions, calls]
    };
    assert_eq!(claims().await, [1, 1], "each is due");
    assert_eq!(claims().await, [0, 0], "somebody is at it");
    store.release_leases().await.expect("released");
    assert_eq!(claims().await, [1, 1], "whoever was at it is gone");
    store.release_leases().await.expect("released");
    let account = app.services.account.id;
    store.wake_calls(account).await.expect("woken");
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

/// How many of a table's rows were looked at for an order, through an index or not. Entries of rows that are gone are left
/// out: how often they are read again is up to the longest transaction in the whole cluster, which other tests have part in.
async fn read_of(app: &TestApp, table: &str) -> i64 {
    let read = format!(
        "SELECT CAST(COALESCE(idx_tup_fetch, 0) + seq_tup_read AS BIGINT) FROM pg_stat_user_tables \
         WHERE relname = '{table}'"
    );
    app.count(&read).await / (2 * ORDERS)
}
