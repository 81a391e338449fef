//! The store's transactions: all or nothing, repeated when they collide, and never half silently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};
use till::clock::Clock;
use till::domain::access::Mode;
use till::domain::ids::{OrderId, ShopId};
use till::store::{Constraint, DatabaseSettings, Store, StoreError};
use tokio::sync::Barrier;

use crate::harness::TestApp;
use crate::harness::database::{TestDatabase, postgres_server};

async fn open() -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let settings = DatabaseSettings {
        url: database.url(),
        max_connections: 4,
        batch: 64,
    };
    let store = Store::open(&settings, Clock::system())
        .await
        .expect("opens");
    store.migrate_up().await.expect("migrates");
    (database, store)
}

async fn close(database: TestDatabase, store: Store) {
    store.close().await.expect("closes");
    database.destroy().await;
}

async fn shop_names(store: &Store) -> Vec<String> {
    let shops = store.shops().await.expect("shops");
    shops.into_iter().map(|shop| shop.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_in_an_error_leaves_nothing() {
    let (database, store) = open().await;
    let outcome: Result<(), StoreError> = store
        .write(|tx| async move {
            tx.insert_shop("half", Mode::Test, &[]).await?;
            Err(StoreError::Corrupt("a change of mind".to_owned()))
        })
        .await;
    assert!(
        matches!(outcome, Err(StoreError::Corrupt(_))),
        "{outcome:?}"
    );
    assert!(shop_names(&store).await.is_empty());
    // The connection is whole: the next transaction commits.
    store
        .write(|tx| async move { tx.insert_shop("whole", Mode::Test, &[]).await })
        .await
        .expect("commits");
    assert_eq!(shop_names(&store).await, ["whole"]);
    close(database, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_failure_never_commits_half_or_pretends_to() {
    let (database, store) = open().await;
    store
        .write(|tx| async move { tx.insert_shop("taken", Mode::Test, &[]).await })
        .await
        .expect("commits");
    let outcome: Result<&str, StoreError> = store
        .write(|tx| async move {
            tx.insert_shop("first", Mode::Test, &[]).await?;
            let refused = tx.insert_shop("taken", Mode::Test, &[]).await;
            assert!(
                matches!(refused, Err(StoreError::Conflict(Constraint::ShopName))),
                "{refused:?}"
            );
            let behind = tx.insert_shop("behind", Mode::Test, &[]).await;
            assert!(behind.is_err(), "nothing is sent behind a failure");
            Ok("as if nothing had happened")
        })
        .await;
    assert!(
        matches!(outcome, Err(StoreError::Corrupt(_))),
        "{outcome:?}"
    );
    assert_eq!(shop_names(&store).await, ["taken"]);
    close(database, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collision_runs_the_whole_closure_again_on_a_clean_slate() {
    let (database, store) = open().await;
    let runs = &AtomicU32::new(0);
    store
        .write(|tx| async move {
            // A row left over from the run before would be refused.
            tx.insert_shop("once", Mode::Test, &[]).await?;
            match runs.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Err(collision()),
                _ => Ok(()),
            }
        })
        .await
        .expect("commits at last");
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(shop_names(&store).await, ["once"]);

    runs.store(0, Ordering::SeqCst);
    let never: Result<(), StoreError> = store
        .write(|_| async move {
            runs.fetch_add(1, Ordering::SeqCst);
            Err(collision())
        })
        .await;
    assert!(matches!(never, Err(StoreError::Collision(_))), "{never:?}");
    assert!(
        (2..=20).contains(&runs.load(Ordering::SeqCst)),
        "it gives up after {runs:?}"
    );
    close(database, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_errors_are_not_repeated() {
    let (database, store) = open().await;
    let runs = &AtomicU32::new(0);
    for name in ["one", "one"] {
        let _ = store
            .write(|tx| async move {
                runs.fetch_add(1, Ordering::SeqCst);
                tx.insert_shop(name, Mode::Test, &[]).await
            })
            .await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    close(database, store).await;
}

fn collision() -> StoreError {
    StoreError::Collision(DbErr::Custom("a rival".to_owned()))
}

/// Two transactions that lock two orders in opposite turn: PostgreSQL ends one of them, and it runs again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_resolved_by_running_the_loser_again() {
    if postgres_server().is_none() {
        return;
    }
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut orders = Vec::new();
    for _ in 0..2 {
        let order = merchant.place_order().await;
        orders.push(order.str("id").parse::<OrderId>().expect("an id"));
    }
    let met = Arc::new(Barrier::new(2));
    let runs = Arc::new(AtomicU32::new(0));
    let lock_both = |first: OrderId, second: OrderId| {
        let (services, shop) = (app.services.clone(), app.shop.id);
        let (met, runs) = (met.clone(), runs.clone());
        tokio::spawn(
            async move { cross(&services.store, shop, [first, second], &met, &runs).await },
        )
    };
    let one = lock_both(orders[0], orders[1]);
    let other = lock_both(orders[1], orders[0]);
    one.await.expect("no panic").expect("commits");
    other.await.expect("no panic").expect("commits");
    assert!(
        runs.load(Ordering::SeqCst) >= 3,
        "nobody had to run again: {runs:?}"
    );
    app.finish().await;
}

async fn cross(
    store: &Store,
    shop: ShopId,
    orders: [OrderId; 2],
    met: &Barrier,
    runs: &AtomicU32,
) -> Result<(), StoreError> {
    store
        .write(|tx| async move {
            tx.shop(shop).lock_order(orders[0]).await?;
            // Only the first two runs wait for each other, each holding what the other wants.
            if runs.fetch_add(1, Ordering::SeqCst) < 2 {
                met.wait().await;
            }
            tx.shop(shop).lock_order(orders[1]).await?;
            Ok(())
        })
        .await
}

/// Another process writes to the file: short holds are waited out, long ones are a collision and repeated.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_file_is_waited_for() {
    if postgres_server().is_some() {
        return;
    }
    let (database, store) = open().await;
    let rival = database.connect().await;
    for (name, held) in [("short", 300), ("longer than SQLite waits", 5_600)] {
        rival
            .execute_unprepared("BEGIN IMMEDIATE")
            .await
            .expect("the write lock");
        let release = async {
            tokio::time::sleep(Duration::from_millis(held)).await;
            rival.execute_unprepared("COMMIT").await.expect("released");
        };
        let write = store.write(|tx| async move { tx.insert_shop(name, Mode::Test, &[]).await });
        let (written, ()) = tokio::join!(write, release);
        written.expect(name);
    }
    assert_eq!(shop_names(&store).await.len(), 2);
    rival.close().await.expect("closes");
    close(database, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_writers_of_one_row_all_get_through() {
    let (database, store) = open().await;
    let store = Arc::new(store);
    let writers: Vec<_> = (0..100)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = format!("shop {}", at % 10);
                let name = &name;
                store
                    .write(|tx| async move { tx.insert_shop(name, Mode::Test, &[]).await })
                    .await
            })
        })
        .collect();
    let mut made = 0;
    for writer in writers {
        match writer.await.expect("no panic") {
            Ok(_) => made += 1,
            Err(StoreError::Conflict(Constraint::ShopName)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((made, shop_names(&store).await.len()), (10, 10));
    close(
        database,
        Arc::into_inner(store).expect("nobody else has it"),
    )
    .await;
}
