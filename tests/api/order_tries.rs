//! An order is tried until it is placed, whatever happens to the catalogue while it is priced and whichever number it was
//! given; and what cannot be placed for no known reason is asked for again later, with the same key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend};
use till::store::Placed;

use crate::batching::command;
use crate::harness::actor::{fresh_key, two_mugs};
use crate::harness::{Actor, TestApp};

/// A connection that waits for nobody.
async fn impatient(app: &TestApp) -> DatabaseConnection {
    let look = app.look().await;
    let setting = match look.get_database_backend() {
        DbBackend::Sqlite => "PRAGMA busy_timeout = 0",
        _ => "SET lock_timeout = 1",
    };
    look.execute_unprepared(setting).await.expect(setting);
    look
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_outrun_each_time_holds_the_catalogue_until_it_is_placed() {
    let app = TestApp::quiet().await;
    let rival = impatient(&app).await;
    let (outrun, kept_out) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (outrun.clone(), kept_out.clone());
    let look = rival.clone();
    let change = "UPDATE shop SET catalogue_version = catalogue_version + 1";
    let order = till::store::PlaceOrder {
        // Between its price and its insertion somebody changes the catalogue, whenever he can.
        chargeable: Arc::new(move |_| {
            let changed = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(look.execute_unprepared(change))
            });
            let (outrun, kept_out) = &counts;
            let count = if changed.is_ok() { outrun } else { kept_out };
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }),
        ..command(&app, &fresh_key(), None, "mug")
    };
    let store = app.services.store.clone();
    let placed = tokio::spawn(async move { store.place_order(order).await });
    let placed = placed.await.expect("no panic");
    assert!(matches!(placed, Ok(Placed::New(_))), "{placed:?}");
    let counted = [outrun, kept_out].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counted, [3, 1]);
    rival.close().await.expect("closes");
    // Nothing is left of the tries, and whoever comes next need not hold anything.
    assert_eq!(app.orders_stored().await, 1);
    let next = app.merchant().await.place_order().await;
    assert_eq!(next.str("number"), "1002");
    app.finish().await;
}

/// As after a failover to a standby that had not heard of the last blocks.
async fn forget_numbers(app: &TestApp) {
    let look = app.look().await;
    let back = "UPDATE shop SET next_number = 1001";
    look.execute_unprepared(back).await.expect(back);
    look.close().await.expect("closes");
}

fn number(order: &crate::harness::Answer) -> u32 {
    order.str("number").parse().expect("a number")
}

async fn place(shop: &Actor, reference: Option<&str>) -> u32 {
    let mut body = two_mugs();
    if let Some(reference) = reference {
        body["reference"] = reference.into();
    }
    number(&shop.post("/v1/orders", &body).await.expect(201))
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_handed_out_again_are_left_for_new_ones() {
    for reference in [None, Some("named")] {
        let app = TestApp::quiet().await;
        let shop = app.merchant().await;
        // All of this process's first block.
        for wanted in 1001..1021 {
            assert_eq!(place(&shop, None).await, wanted);
        }
        forget_numbers(&app).await;
        let first = place(&shop, reference).await;
        assert!(first > 1020, "{first}");
        assert_eq!(place(&shop, None).await, first + 1, "its block goes on");
        // Another process that has just begun, and both at once.
        forget_numbers(&app).await;
        let other = app.another_process().await;
        let front = app.serve(other.clone()).await;
        let newcomer = shop.at(&format!("http://{}", front.address()));
        let second = place(&newcomer, reference.map(|_| "another")).await;
        assert!(second > first + 1, "{second}");
        assert_eq!(place(&newcomer, None).await, second + 1);
        let orders = (0..30).map(|at| place(if at % 2 == 0 { &shop } else { &newcomer }, None));
        futures::future::join_all(orders).await;
        // A key and a reference that are known are no reason to doubt a number.
        let last = place(&shop, Some("known")).await;
        for _ in 0..2 {
            let mut again = two_mugs();
            again["reference"] = "known".into();
            let refused = shop.post("/v1/orders", &again).await;
            refused.problem(409, "reference_taken");
        }
        assert_eq!(place(&shop, None).await, last + 1);
        front.stop();
        other.store.close().await.expect("closes");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_no_known_reason_may_be_asked_for_again() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let look = app.look().await;
    let (make, unmake) = match look.get_database_backend() {
        DbBackend::Sqlite => (
            "CREATE TRIGGER unseen BEFORE INSERT ON \"order\" BEGIN SELECT RAISE(IGNORE); END",
            "DROP TRIGGER unseen",
        ),
        _ => (
            "CREATE FUNCTION unseen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER unseen BEFORE INSERT ON \"order\" FOR EACH ROW EXECUTE FUNCTION unseen()",
            "DROP TRIGGER unseen ON \"order\"; DROP FUNCTION unseen",
        ),
    };
    look.execute_unprepared(make).await.expect(make);
    let (key, body) = (fresh_key(), two_mugs().to_string());
    let refused = shop.post_text("/v1/orders", &key, body.clone()).await;
    let refused = refused.problem(503, "database_unavailable");
    assert_eq!(refused.header("retry-after"), Some("2"));
    look.execute_unprepared(unmake).await.expect(unmake);
    look.close().await.expect("closes");
    assert_eq!(app.keys_stored().await, 0, "its key is as good as new");
    let placed = shop.post_text("/v1/orders", &key, body).await;
    placed.expect(201);
    app.finish().await;
}
