//! Orders that come at once share transactions: fewer statements, and no member feels its neighbours.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt as _, join_all};
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Trace};
use till::domain::currency::Currency;
use till::domain::order::{Customer, Metadata};
use till::domain::pricing::{PricingError, WantedLine};
use till::provider::Reference;
use till::store::idempotency::KeyClaim;
use till::store::polling::ClaimedSession;
use till::store::settle::{Settle, Settled, Source};
use till::store::{Engine, PlaceOrder, Placed, StoreError};
use tokio::sync::Barrier;

use crate::harness::actor::{fresh_key, two_mugs};
use crate::harness::story::Held;
use crate::harness::{Payable, Setup, TestApp};

/// The most statements one order may take, with the beginning and the end of its transaction.
const ALONE: u64 = 8;
const MEMBERS: u64 = 64;
/// How many connections a Till in these tests has to PostgreSQL.
const CONNECTIONS: usize = 4;
/// The most statements one webhook may take, the beginning and the end of its transaction aside.
const WEBHOOK_ALONE: u64 = 10;
const COMPLETED: &str = "checkout.session.completed";

/// A silent Till in which so many commands may share a transaction.
pub(crate) async fn in_sets(batch: u32) -> TestApp {
    in_sets_on(batch, 4).await
}

pub(crate) async fn in_sets_on(batch: u32, connections: u32) -> TestApp {
    TestApp::with(Setup {
        settings: vec![
            ("database.batch", batch.into()),
            ("database.max_connections", connections.into()),
        ],
        ..Setup::default()
    })
    .await
}

/// An order as the service hands it to the store.
pub fn command(app: &TestApp, key: &str, reference: Option<&str>, sku: &str) -> PlaceOrder {
    PlaceOrder {
        id: app.clock.id(),
        shop: app.shop.id,
        mode: Mode::Test,
        currency: Currency::from_code("EUR").expect("EUR"),
        reference: reference.map(str::to_owned),
        customer: Customer::default(),
        shipping_address: None,
        billing_address: None,
        metadata: Metadata::default(),
        lines: vec![WantedLine::Sku {
            sku: sku.to_owned(),
            quantity: 2,
        }],
        chargeable: Arc::new(|_| Ok(())),
        key: KeyClaim {
            kind: KeyKind::Secret,
            route: "POST /v1/orders".into(),
            key: key.to_owned(),
            fingerprint: "5".repeat(64),
        },
        token_key: 1,
        expires_at: app.clock.now().plus_ms(60_000_000),
        trace: Trace {
            request_id: None,
            actor: "system".to_owned(),
        },
    }
}

/// Hands commands to the store while every connection that could write is taken, so that they wait together.
pub(crate) async fn together(
    app: &TestApp,
    commands: Vec<PlaceOrder>,
) -> Vec<Result<Placed, StoreError>> {
    let store = &app.services.store;
    let connections = match store.engine() {
        till::store::Engine::Sqlite => 1,
        till::store::Engine::Postgres => CONNECTIONS,
    };
    let (taken, gate) = (
        &Barrier::new(connections + 1),
        &Barrier::new(connections + 1),
    );
    let holders = (0..connections).map(|_| {
        store.write(|_| async move {
            taken.wait().await;
            gate.wait().await;
            Ok::<_, StoreError>(())
        })
    });
    let members = async {
        taken.wait().await;
        let members = commands.into_iter().map(|one| async move {
            let placing = AssertUnwindSafe(store.place_order(one)).catch_unwind();
            placing.await.unwrap_or(Err(StoreError::Panicked))
        });
        let members = join_all(members);
        let open = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            gate.wait().await;
        };
        tokio::join!(members, open).0
    };
    let (held, members) = tokio::join!(join_all(holders), members);
    assert!(held.iter().all(Result::is_ok), "{held:?}");
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_alone_takes_few_statements() {
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    shop.place_order().await;
    let before = app.services.store.statements();
    shop.place_order().await;
    let taken = app.services.store.statements() - before + 2;
    println!("an order alone: {taken} statements");
    assert!(taken <= ALONE, "{taken} statements");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_read_with_its_lines_in_one_statement() {
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let before = app.services.store.statements();
    assert_eq!(shop.order(&order).await["line_items"][0]["quantity"], 2);
    // Whether the key was still known from a moment ago is not what is counted here.
    assert!(app.services.store.statements() - before <= 2);
    assert_eq!(shop.order(&order).await["id"], order.as_str());
    assert!(app.services.store.statements() - before <= 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_wait_share_their_statements() {
    let app = in_sets(64).await;
    let commands = (0..MEMBERS).map(|_| command(&app, &fresh_key(), None, "mug"));
    let commands: Vec<_> = commands.collect();
    // Their prices are known from now on: how many ask for them at once is not what is counted here.
    let first = command(&app, &fresh_key(), None, "mug");
    let first = app.services.store.place_order(first).await;
    assert!(matches!(first, Ok(Placed::New(_))), "{first:?}");
    let before = app.services.store.statements();
    let placed = together(&app, commands).await;
    let taken = app.services.store.statements() - before;
    for one in &placed {
        assert!(matches!(one, Ok(Placed::New(_))), "{one:?}");
    }
    println!("{MEMBERS} orders that waited: {taken} statements");
    assert!(taken < MEMBERS, "{taken} statements for {MEMBERS} orders");
    let mut numbers: Vec<String> = Vec::new();
    for one in placed {
        let Ok(Placed::New(one)) = one else { continue };
        numbers.push(one.order.number.clone());
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len() as u64, MEMBERS, "a number each");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_of_a_set_gets_its_own_answer() {
    let app = in_sets(64).await;
    let store = &app.services.store;
    let used = command(&app, "used", Some("taken"), "mug");
    let first = store.place_order(used.clone()).await.expect("placed");
    let Placed::New(first) = first else {
        panic!("{first:?}")
    };
    // Their prices are known from now on, so that those who come in one order wait in one order.
    for sku in ["shirt", "free"] {
        let one = store.place_order(command(&app, &fresh_key(), None, sku));
        assert!(matches!(one.await, Ok(Placed::New(_))));
    }
    let panicking = PlaceOrder {
        chargeable: Arc::new(|_| panic!("on purpose")),
        ..command(&app, &fresh_key(), None, "mug")
    };
    let commands = vec![
        command(&app, &fresh_key(), None, "mug"),
        command(&app, "used", None, "mug"),
        command(&app, &fresh_key(), Some("taken"), "mug"),
        command(&app, &fresh_key(), None, "nothing"),
        PlaceOrder {
            chargeable: Arc::new(|_| Err("because".to_owned())),
            ..command(&app, &fresh_key(), None, "mug")
        },
        command(&app, "twice", Some("new"), "shirt"),
        command(&app, "twice", Some("new"), "shirt"),
        command(&app, "other", Some("new"), "shirt"),
        command(&app, &fresh_key(), None, "free"),
    ];
    for commands in [
        commands.clone(),
        // The same again: what was placed is known now. And one that panics.
        [commands, vec![panicking]].concat(),
    ] {
        let second = commands.len() == 10;
        let outcomes = together(&app, commands).await;
        let said: Vec<String> = outcomes.iter().map(|one| said(one, &first)).collect();
        let wanted = [
            if second { "known" } else { "new" },
            "known first",
            "taken by first",
            "no such product",
            "because",
            if second { "known" } else { "new" },
            "known",
            "taken",
            if second { "known" } else { "new" },
            "panicked",
        ];
        assert_eq!(said, wanted[..said.len()]);
    }
    // A refusal burns no key.
    assert_eq!(app.keys_stored().await, 4 + 2);
    app.finish().await;
}

fn said(outcome: &Result<Placed, StoreError>, first: &till::domain::order::PlacedOrder) -> String {
    match outcome {
        Ok(Placed::New(_)) => "new".to_owned(),
        Ok(Placed::Known(known)) if known.resource_id == first.order.id.to_string() => {
            "known first".to_owned()
        }
        Ok(Placed::Known(_)) => "known".to_owned(),
        Ok(Placed::ReferenceTaken(order)) if *order == first.order.id => {
            "taken by first".to_owned()
        }
        Ok(Placed::ReferenceTaken(_)) => "taken".to_owned(),
        Ok(Placed::Refused(PricingError::UnknownSku { .. })) => "no such product".to_owned(),
        Ok(Placed::Refused(other)) => other.to_string(),
        Ok(Placed::NotChargeable(why)) => why.clone(),
        Err(StoreError::Panicked) => "panicked".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_takes_nobody_with_it() {
    let app = in_sets(64).await;
    let commands: Vec<_> = (0..16)
        .map(|_| command(&app, &fresh_key(), None, "mug"))
        .collect();
    let store = &app.services.store;
    let leaving = commands.iter().cloned().map(|one| {
        let store = (**store).clone();
        let task = tokio::spawn(async move { store.place_order(one).await });
        async move {
            tokio::task::yield_now().await;
            task.abort();
            let _ = task.await;
        }
    });
    let staying: Vec<_> = (0..16)
        .map(|_| command(&app, &fresh_key(), None, "mug"))
        .collect();
    let staying = join_all(staying.into_iter().map(|one| store.place_order(one)));
    let (placed, _) = tokio::join!(staying, join_all(leaving));
    for one in &placed {
        assert!(matches!(one, Ok(Placed::New(_))), "{one:?}");
    }
    // Whether those who left had been placed is open; asking again with the same key says so, once.
    let again = join_all(commands.into_iter().map(|one| store.place_order(one))).await;
    assert!(
        again
            .iter()
            .all(|one| matches!(one, Ok(Placed::New(_) | Placed::Known(_))))
    );
    assert_eq!(app.orders_stored().await, 32);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_given_up_as_it_begins_is_not_the_next_ones() {
    let app = in_sets(64).await;
    let store = &app.services.store;
    for polls in (0..400).map(|round| round % 8) {
        let mut given_up = std::pin::pin!(store.write(|_| async { Ok::<_, StoreError>(()) }));
        for _ in 0..polls {
            if given_up.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // Each connection's turn comes: what is placed on it is there for all others.
    let orders = 4 * CONNECTIONS;
    for _ in 0..orders {
        let placed = store.place_order(command(&app, &fresh_key(), None, "mug"));
        let placed = placed.await;
        assert!(matches!(placed, Ok(Placed::New(_))), "{placed:?}");
    }
    let stored = app.orders_stored().await;
    assert_eq!(usize::try_from(stored).expect("a count"), orders);
    app.finish().await;
}

/// Orders that are paid at the provider, with the webhooks that tell of it.
pub(crate) async fn paid_at_provider(app: &TestApp, orders: usize) -> (Vec<Payable>, Vec<Value>) {
    let shop = app.merchant().await;
    let (mut payables, mut events) = (Vec::new(), Vec::new());
    for _ in 0..orders {
        let payable = shop.payable().await;
        app.pay(&payable).await;
        events.push(app.provider_event(COMPLETED, &payable).await);
        payables.push(payable);
    }
    (payables, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_alone_takes_few_statements() {
    let app = in_sets(64).await;
    let (payables, events) = paid_at_provider(&app, 2).await;
    // The first of a currency makes its accounts.
    app.deliver(&events[0]).await.expect(200);
    let before = app.services.store.statements();
    app.deliver(&events[1]).await.expect(200);
    let taken = app.services.store.statements() - before;
    println!("a webhook alone: {taken} statements");
    assert!(taken <= WEBHOOK_ALONE, "{taken} statements");
    let shop = app.merchant().await;
    for payable in &payables {
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    }
    app.finish().await;
}

/// Holds an order until the others of its round wait.
pub(crate) async fn release_later(held: Held) {
    tokio::time::sleep(Duration::from_millis(200)).await;
    held.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_wait_share_their_statements() {
    let app = in_sets(64).await;
    let (payables, events) = paid_at_provider(&app, 66).await;
    // Nothing is known of the shop's ledger yet: the first set makes its accounts, not each of its members.
    let before = app.services.store.statements();
    // One of them is held up until the others wait.
    let held = app.hold(&payables[0].order).await;
    let deliveries = join_all(events.iter().map(|event| app.deliver(event)));
    let (answers, ()) = tokio::join!(deliveries, release_later(held));
    let taken = app.services.store.statements() - before;
    for answer in answers {
        answer.expect(200);
    }
    println!("66 webhooks at once: {taken} statements");
    assert!(taken < 66, "{taken} statements for 66 webhooks");
    let shop = app.merchant().await;
    for payable in &payables {
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    }
    app.finish().await;
}

/// A process that was stopped in the middle of a transaction holds its orders until the server ends it.
#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_held_for_long_hold_up_nobody_else() {
    /// As many as there are lanes, and one more.
    const HELD: usize = 3;
    let app = in_sets(64).await;
    let shop = app.merchant().await;
    let (payables, events) = paid_at_provider(&app, 8).await;
    if app.services.store.engine() == Engine::Sqlite {
        // Whoever writes holds all of it.
        return app.finish().await;
    }
    let other = shop.place_order().await.str("id").to_owned();
    let (stuck_orders, stuck_events) = (&payables[..HELD], &events[..HELD]);
    let mut held = Vec::new();
    for payable in stuck_orders {
        held.push(app.hold(&payable.order).await);
    }
    let stuck = join_all(stuck_events.iter().map(|event| app.deliver(event)));
    let ends = join_all(stuck_orders.iter().map(|one| shop.check_out(&one.order)));
    let others = async {
        let answers = join_all(events[HELD..].iter().map(|event| app.deliver(event))).await;
        for answer in answers {
            answer.expect(200);
        }
        shop.check_out(&other).await.expect(201);
        for one in held {
            one.release().await;
        }
    };
    let (stuck, ends, ()) = tokio::join!(stuck, ends, others);
    for answer in stuck {
        answer.expect(200);
    }
    for answer in ends {
        assert!([200, 409].contains(&answer.status), "{}", answer.text);
    }
    for payable in &payables {
        assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_polls_share_their_statements_and_a_late_one_harms_nobody() {
    let app = in_sets(64).await;
    paid_at_provider(&app, 10).await;
    app.advance(10).await;
    let store = &app.services.store;
    let stalled = store
        .claim_sessions(app.services.account.id, 20)
        .await
        .expect("a claim")
        .remove(9);
    app.advance(25).await;
    let mut claimed = store
        .claim_sessions(app.services.account.id, 20)
        .await
        .expect("a claim");
    assert_eq!(claimed.len(), 10);
    let late = claimed
        .iter()
        .position(|one| one.session.id == stalled.session.id);
    let mine = claimed.remove(late.expect("claimed again"));
    let mut answers = Vec::new();
    for one in claimed.iter().chain([&stalled]) {
        answers.push(answered(&app, one).await);
    }
    let before = store.statements();
    let held = app.hold(&claimed[0].session.order.to_string()).await;
    let settling = join_all(answers.iter().map(|one| store.settle(one)));
    let (settled, ()) = tokio::join!(settling, release_later(held));
    let taken = store.statements() - before;
    let (late, in_time) = settled.split_last().expect("ten");
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    for one in in_time {
        assert!(matches!(one, Ok(Settled::Applied { .. })), "{one:?}");
    }
    println!("10 answers to polls at once: {taken} statements");
    assert!(taken < 34, "{taken} statements for 10 answers");
    let paid = "SELECT COUNT(*) FROM event WHERE type = 'order.paid'";
    assert_eq!(app.count(paid).await, 9);
    let settled = store.settle(&answered(&app, &mine).await).await;
    assert!(
        matches!(settled, Ok(Settled::Applied { .. })),
        "{settled:?}"
    );
    assert_eq!(app.count(paid).await, 10);
    app.finish().await;
}

/// What is settled once the provider has shown a claimed session.
async fn answered(app: &TestApp, claimed: &ClaimedSession) -> Settle {
    let id = claimed.session.provider_session_id.clone();
    let shown = Reference::Session(id.expect("an id at the provider"));
    let shown = app
        .services
        .provider
        .fetch(&shown)
        .await
        .expect("an answer");
    Settle {
        account: app.services.account.clone(),
        deployment: app.services.deployment.clone(),
        trace: Trace::system(),
        source: Source::Poll(claimed.clone()),
        observed: vec![shown],
        drafts: Vec::new(),
        follow_ups: app.services.follow_ups(),
        auto_refund: false,
        waiting: None,
    }
}

/// Good webhooks beside repeated ones, lies, and others' objects, all at once, in sets of every size.
#[tokio::test(flavor = "multi_thread")]
async fn each_webhook_of_a_set_gets_its_own_verdict() {
    for batch in [1, 2, 7, 64] {
        in_a_set_of_each_kind(batch).await;
    }
}

/// The event as it would be of a session that Till has not made.
pub(crate) fn somebody_elses(event: &Value, number: usize) -> Value {
    let mut event = altered(event, "metadata", json!({}));
    let object = &mut event["data"]["object"];
    object["id"] = json!(format!("cs_of_somebody_{number}"));
    object["payment_intent"] = json!(format!("pi_of_somebody_{number}"));
    object["client_reference_id"] = Value::Null;
    event
}

async fn in_a_set_of_each_kind(batch: u32) {
    let app = in_sets(batch).await;
    let (payables, events) = paid_at_provider(&app, 24).await;
    app.deliver(&events[0]).await.expect(200);
    let mut sent = Vec::new();
    for (event, at) in events[1..].iter().zip(0..) {
        sent.push(match at % 4 {
            // Less money than was asked for: not believed, and fetched.
            0 => altered(event, "amount_total", json!(1)),
            // Without our marks: the provider's own id of it is known all the same.
            1 => altered(event, "metadata", json!({})),
            2 => somebody_elses(event, at),
            _ => event.clone(),
        });
        // Twice at once.
        sent.push(sent[sent.len() - 1].clone());
    }
    sent.push(events[0].clone());
    // One of them is held up until the others wait.
    let held = app.hold(&payables[4].order).await;
    let deliveries = join_all(sent.iter().map(|event| app.deliver(event)));
    let (answers, ()) = tokio::join!(deliveries, release_later(held));
    for answer in answers {
        answer.expect(200);
    }
    let shop = app.merchant().await;
    let mut verdicts = Vec::new();
    for (payable, at) in payables[1..].iter().zip(0..) {
        let order = shop.order(&payable.order).await;
        let event = &sent[2 * at];
        let (wanted, verdict) = match at % 4 {
            0 => ("unpaid", "quarantined amount_mismatch"),
            2 => ("unpaid", "foreign"),
            _ => ("paid", "applied"),
        };
        assert_eq!(order["payment_status"], wanted, "{at}");
        assert_eq!(app.verdict(event).await, verdict, "{at}");
        verdicts.push(order["review"].as_str().map(str::to_owned));
    }
    assert_eq!(verdicts.iter().flatten().count(), 6, "{verdicts:?}");
    let stored = app.count("SELECT COUNT(*) FROM provider_event").await;
    assert_eq!(stored, 24, "each is kept once");
    app.finish().await;
}

fn altered(event: &Value, field: &str, value: Value) -> Value {
    let mut event = event.clone();
    event["data"]["object"][field] = value;
    event
}

/// Over HTTP, with sets of every size allowed: the same answers.
#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_sets_changes_no_answer() {
    for batch in [1, 2, 7, 64] {
        let app = in_sets(batch).await;
        let shop = app.merchant().await;
        let mut body = two_mugs();
        body["reference"] = json!("only one");
        let plain = two_mugs();
        let keys: Vec<String> = (0..20).map(|_| fresh_key()).collect();
        // Each key twice, and twenty orders with one reference.
        let twice = keys
            .iter()
            .chain(&keys)
            .map(|key| shop.post_with_key("/v1/orders", key, &plain));
        let named = (0..20).map(|_| shop.post("/v1/orders", &body));
        let (twice, named) = tokio::join!(join_all(twice), join_all(named));
        assert!(twice.iter().all(|answer| answer.status == 201));
        let replayed = twice
            .iter()
            .filter(|answer| answer.header("idempotent-replayed").is_some());
        assert_eq!(replayed.count(), 20, "at {batch}");
        let made = named.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1, "at {batch}");
        for answer in named {
            if answer.status != 201 {
                answer.problem(409, "reference_taken");
            }
        }
        assert_eq!(app.orders_stored().await, 21);
        app.finish().await;
    }
}
