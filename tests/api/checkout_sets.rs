//! Checkouts that come at once share transactions: fewer statements, and each gets its own answer.

use futures::future::join_all;
use serde_json::json;

use crate::harness::actor::{checkout_body, fresh_key};
use crate::harness::{Setup, TestApp};

/// The most statements one checkout may take, the beginnings and ends of its two transactions aside.
const ALONE: u64 = 13;
const MEMBERS: u64 = 32;

/// A silent Till in which so many checkouts may share a transaction.
async fn in_sets(batch: u32) -> TestApp {
    TestApp::with(Setup {
        settings: vec![
            ("database.batch", batch.into()),
            ("database.max_connections", 4.into()),
            ("http.sessions_per_order", 1_000.into()),
        ],
        ..Setup::default()
    })
    .await
}

async fn orders(app: &TestApp, count: u64) -> Vec<String> {
    let shop = app.merchant().await;
    let placed = (0..count).map(|_| shop.place_order());
    let placed = join_all(placed).await;
    placed
        .iter()
        .map(|order| order.str("id").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_alone_takes_few_statements() {
    let app = in_sets(64).await;
    let orders = orders(&app, 2).await;
    let shop = app.merchant().await;
    shop.check_out(&orders[0]).await.expect(201);
    let before = app.services.store.statements();
    shop.check_out(&orders[1]).await.expect(201);
    let taken = app.services.store.statements() - before;
    println!("a checkout alone: {taken} statements");
    assert!(taken <= ALONE, "{taken} statements");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkouts_that_wait_share_their_statements() {
    let app = in_sets(64).await;
    let orders = orders(&app, MEMBERS + 1).await;
    let shop = app.merchant().await;
    shop.check_out(&orders[0]).await.expect(201);
    let before = app.services.store.statements();
    let answers = join_all(orders[1..].iter().map(|order| shop.check_out(order))).await;
    let taken = app.services.store.statements() - before;
    for answer in answers {
        assert_eq!(answer.expect(201).json["status"], "open");
    }
    println!("{MEMBERS} checkouts at once: {taken} statements");
    assert!(
        taken < MEMBERS * 3,
        "{taken} statements for {MEMBERS} checkouts"
    );
    app.finish().await;
}

/// Good checkouts beside repeats, orders that are not there or cannot be paid, and a key used for two orders.
#[tokio::test(flavor = "multi_thread")]
async fn each_checkout_of_a_set_gets_its_own_answer() {
    for batch in [1, 5, 64] {
        let app = in_sets(batch).await;
        let shop = app.merchant().await;
        let orders = orders(&app, 12).await;
        let cancelled = &orders[0];
        let path = format!("/v1/orders/{cancelled}/cancel");
        shop.post(&path, &json!({})).await.expect(200);
        let manual = {
            let mut body = checkout_body();
            body["capture"] = "manual".into();
            body
        };
        let other = shop.place_order().await.str("id").to_owned();
        let path = |order: &str| format!("/v1/orders/{order}/checkout_sessions");
        shop.post(&path(&other), &manual).await.expect(201);
        let shared = fresh_key();
        let mut wanted = Vec::new();
        for order in &orders[1..10] {
            wanted.push((order.clone(), fresh_key(), 201));
        }
        wanted.push((cancelled.clone(), fresh_key(), 409));
        wanted.push((other.clone(), fresh_key(), 409));
        wanted.push((
            "ord_01h45ytscbebyvny4gc8cr8ma2".to_owned(),
            fresh_key(),
            404,
        ));
        // Of two orders under one key the first that comes has it, and the other is refused.
        wanted.push((orders[10].clone(), shared.clone(), 0));
        wanted.push((orders[11].clone(), shared.clone(), 0));
        let body = checkout_body();
        let sent = wanted.iter().map(|(order, key, _)| {
            let (path, body, shop) = (path(order), &body, &shop);
            async move { shop.post_with_key(&path, key, body).await }
        });
        let answers = join_all(sent).await;
        let mut of_shared = Vec::new();
        for ((order, key, status), answer) in wanted.iter().zip(&answers) {
            match status {
                0 => of_shared.push(answer.status),
                _ => assert_eq!(answer.status, *status, "sets of {batch}: {answer:?}"),
            }
            let again = shop.post_with_key(&path(order), key, &body).await;
            assert_eq!(again.status, answer.status, "sets of {batch}: {again:?}");
            if answer.status == 201 {
                assert_eq!(again.json, answer.json, "the first answer, again");
            }
        }
        of_shared.sort_unstable();
        assert_eq!(of_shared, [201, 422], "sets of {batch}");
        let made = app.count("SELECT COUNT(*) FROM checkout_session").await;
        assert_eq!(made, 11, "one for each that was allowed");
        app.finish().await;
    }
}

/// Ten requests for one order at once, each with a key of its own: one session, and all are told of it.
#[tokio::test(flavor = "multi_thread")]
async fn one_order_gets_one_session_however_sets_fall() {
    for batch in [1, 3, 64] {
        let app = in_sets(batch).await;
        let shop = app.merchant().await;
        let order = shop.place_order().await.str("id").to_owned();
        let answers = join_all((0..10).map(|_| shop.check_out(&order))).await;
        let mut sessions: Vec<&str> = answers.iter().map(|answer| answer.str("id")).collect();
        sessions.dedup();
        assert_eq!(sessions.len(), 1, "sets of {batch}");
        for answer in &answers {
            assert!(matches!(answer.status, 200..=202), "{answer:?}");
        }
        let made = app.count("SELECT COUNT(*) FROM provider_call").await;
        assert_eq!(made, 1, "sets of {batch}");
        app.finish().await;
    }
}
