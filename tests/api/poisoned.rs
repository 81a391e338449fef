//! A member of a set whose row the database refuses harms nobody but itself.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseBackend};
use serde_json::json;

use crate::batching::{in_sets, paid_at_provider, release_later};
use crate::harness::TestApp;
use crate::harness::actor::fresh_key;
use crate::harness::story::Held;

/// How many come at once.
const MEMBERS: usize = 12;
/// Which of them is refused.
const REFUSED: usize = 5;

/// From now on the database fails at rows of this table with this value, for no reason Till knows of.
async fn refuse(app: &TestApp, table: &str, column: &str, value: &str) {
    let look = app.look().await;
    let sqls = match look.get_database_backend() {
        DatabaseBackend::Sqlite => vec![format!(
            "CREATE TRIGGER refuses BEFORE INSERT ON \"{table}\" WHEN NEW.{column} = '{value}' \
             BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
        )],
        _ => vec![
            format!(
                "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF NEW.{column} = '{value}' THEN RAISE 'on purpose'; END IF; RETURN NEW; END $$"
            ),
            format!(
                "CREATE TRIGGER refuses BEFORE INSERT ON \"{table}\" FOR EACH ROW EXECUTE FUNCTION refuses()"
            ),
        ],
    };
    for sql in &sqls {
        look.execute_unprepared(sql).await.expect(sql);
    }
    look.close().await.expect("closes");
}

/// Undoes [`refuse`].
async fn refuse_no_more(app: &TestApp, table: &str) {
    let look = app.look().await;
    let sqls = match look.get_database_backend() {
        DatabaseBackend::Sqlite => vec!["DROP TRIGGER refuses".to_owned()],
        _ => vec![
            format!("DROP TRIGGER refuses ON \"{table}\""),
            "DROP FUNCTION refuses()".to_owned(),
        ],
    };
    for sql in &sqls {
        look.execute_unprepared(sql).await.expect(sql);
    }
    look.close().await.expect("closes");
}

/// Lets nobody insert an order until it is released, so that those who come form sets.
async fn hold_orders(app: &TestApp) -> Held {
    let held = app.hold("none").await;
    if held.0.get_database_backend() == DatabaseBackend::Postgres {
        let lock = "LOCK TABLE \"order\" IN SHARE MODE";
        held.0.execute_unprepared(lock).await.expect("a lock");
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_the_database_refuses_fails_alone() {
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    refuse(&app, "order", "reference", &format!("web-{REFUSED}")).await;
    let bodies: Vec<_> = (0..MEMBERS)
        .map(|number| {
            let line = json!({"name": "Mug", "unit_price": "12.50", "quantity": 2});
            let reference = format!("web-{number}");
            json!({"currency": "EUR", "reference": reference, "line_items": [line]})
        })
        .collect();
    let keys: Vec<String> = (0..MEMBERS).map(|_| fresh_key()).collect();
    let held = hold_orders(&app).await;
    let placing = bodies
        .iter()
        .zip(&keys)
        .map(|(body, key)| shop.post_with_key("/v1/orders", key, body));
    let (answers, ()) = tokio::join!(join_all(placing), release_later(held));
    for (number, answer) in answers.into_iter().enumerate() {
        match number {
            REFUSED => answer.problem(500, "internal_error"),
            _ => answer.expect(201),
        };
    }
    assert_eq!(app.orders_stored().await, 11);
    refuse_no_more(&app, "order").await;
    // It left nothing, its key included.
    shop.post_with_key("/v1/orders", &keys[REFUSED], &bodies[REFUSED])
        .await
        .expect(201);
    app.finish().await;
}

/// Another process, stopped in the middle of inserting an order, has its reference. On SQLite nobody else writes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_somebody_elses_keeps_no_neighbour_waiting() {
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    if app.services.store.engine() == till::store::Engine::Sqlite {
        return app.finish().await;
    }
    let model = shop.place_order().await;
    let copy = format!(
        "CREATE TEMP TABLE copy AS SELECT * FROM \"order\" WHERE id = '{}'; \
         UPDATE copy SET id = 'ord_00000000000000000000000000', number = 900001, reference = 'web-{REFUSED}'; \
         INSERT INTO \"order\" SELECT * FROM copy",
        model.str("id")
    );
    let held = app.hold_by(&copy).await;
    let place = |number: usize| {
        let line = json!({"name": "Mug", "unit_price": "12.50", "quantity": 2});
        let body =
            json!({"currency": "EUR", "reference": format!("web-{number}"), "line_items": [line]});
        let shop = shop.clone();
        tokio::spawn(async move { shop.post("/v1/orders", &body).await })
    };
    let waits = place(REFUSED);
    let neighbours = (0..MEMBERS).filter(|number| *number != REFUSED).map(place);
    let neighbours = join_all(neighbours.collect::<Vec<_>>());
    let neighbours = tokio::time::timeout(Duration::from_secs(20), neighbours);
    for placed in neighbours.await.expect("far sooner than it lets go") {
        placed.expect("no panic").expect(201);
    }
    assert!(!waits.is_finished(), "what it waits for is still held");
    held.release().await;
    waits.await.expect("no panic").expect(201);
    app.finish().await;
}

/// It is old enough to be given up, and may be applied now. On SQLite nobody else writes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_order_is_held_is_not_given_up_for_that() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    if app.services.store.engine() == till::store::Engine::Sqlite {
        return app.finish().await;
    }
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let act = format!("sessions/{}/dispute", payable.at_provider);
    app.simulate(&act, &json!({})).await;
    let events = app.provider_events("charge.dispute.created");
    let event = events.await.remove(0);
    app.deliver(&event).await.expect(200);
    assert_eq!(app.verdict(&event).await, "pending order_unknown");
    app.advance(25 * 3_600).await;
    let paid = app.provider_event("checkout.session.completed", &payable);
    app.deliver(&paid.await).await.expect(200);
    let held = app.hold(&payable.order).await;
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&event).await, "pending order_unknown");
    held.release().await;
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&event).await, "applied");
    app.finish().await;
}

/// Customers ask again every second, and there are fewer connections than customers. On SQLite nobody else writes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn asking_about_an_order_that_is_held_takes_no_connection_from_others() {
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    if app.services.store.engine() == till::store::Engine::Sqlite {
        return app.finish().await;
    }
    let (payable, other) = (shop.payable().await, shop.payable().await);
    app.pay(&payable).await;
    let held = app.hold(&payable.order).await;
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", payable.session);
    let asked = join_all((0..8).map(|_| shop.get(&refresh)));
    let asked = tokio::time::timeout(Duration::from_secs(20), asked);
    for answer in asked.await.expect("far sooner than others give up") {
        assert_eq!(answer.expect(200).str("status"), "open", "as it was known");
    }
    app.advance(25 * 3_600).await;
    let expired = tokio::time::timeout(Duration::from_secs(20), app.services.expire_orders());
    let expired = expired.await.expect("soon").expect("a round");
    assert_eq!(expired, 1, "the other one's turn comes");
    held.release().await;
    let asked = shop.get(&refresh).await.expect(200);
    assert_eq!(asked.str("status"), "complete");
    app.work().await;
    assert_eq!(shop.order(&other.order).await["status"], "expired");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_the_database_refuses_fails_alone_and_is_taken_when_it_comes_again() {
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    let (payables, events) = paid_at_provider(&app, MEMBERS).await;
    let refused = events[REFUSED]["id"].as_str().expect("an id");
    refuse(&app, "provider_event", "event_id", refused).await;
    let held = app.hold(&payables[0].order).await;
    let deliveries = join_all(events.iter().map(|event| app.deliver(event)));
    let (answers, ()) = tokio::join!(deliveries, release_later(held));
    for (number, answer) in answers.into_iter().enumerate() {
        match number {
            REFUSED => answer.problem(500, "internal_error"),
            _ => answer.expect(200),
        };
        let order = shop.order(&payables[number].order).await;
        let paid = order["payment_status"] == "paid";
        assert_eq!(paid, number != REFUSED, "{number}");
    }
    refuse_no_more(&app, "provider_event").await;
    app.deliver(&events[REFUSED]).await.expect(200);
    let order = shop.order(&payables[REFUSED].order).await;
    assert_eq!(order["payment_status"], "paid");
    app.finish().await;
}
