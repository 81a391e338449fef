//! What tests of money tell and look up: orders with a session, faults, the provider's side, the stored side.

use std::sync::Arc;

use reqwest::Method;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use till::app;
use till::clock::Clock;
use till::config::Config;
use till::front::Front;
use till::service::Services;
use till::store::Store;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Actor, TestApp, serve};

/// An order with an open session.
#[derive(Debug, Clone)]
pub struct Payable {
    /// The order's id.
    pub order: String,
    /// The session's id.
    pub session: String,
    /// The provider's id of the session.
    pub at_provider: String,
}

impl Actor {
    /// An order of two mugs (25.00 EUR) with an open session.
    pub async fn payable(&self) -> Payable {
        let order = self.place_order().await.str("id").to_owned();
        let session = self.check_out(&order).await.expect(201);
        Payable {
            order,
            session: session.str("id").to_owned(),
            at_provider: session.str("provider_session_id").to_owned(),
        }
    }

    /// An order of two mugs (25.00 EUR), paid, with its payment's id.
    pub async fn paid(&self, app: &TestApp) -> (Payable, String) {
        let payable = self.payable().await;
        app.pay(&payable).await;
        let event = app.provider_event("checkout.session.completed", &payable);
        app.deliver(&event.await).await.expect(200);
        let payment = self.payment_of(&payable.order).await;
        assert_eq!(payment["status"], "captured", "{payment}");
        let id = payment["id"].as_str().expect("an id").to_owned();
        (payable, id)
    }

    /// An order of two mugs (25.00 EUR) whose money is reserved, with its payment's id.
    pub async fn reserved(&self, app: &TestApp) -> (Payable, String) {
        let order = self.place_order().await.str("id").to_owned();
        let mut body = super::actor::checkout_body();
        body["capture"] = json!("manual");
        let path = format!("/v1/orders/{order}/checkout_sessions");
        let session = self.post(&path, &body).await.expect(201);
        let payable = Payable {
            order,
            session: session.str("id").to_owned(),
            at_provider: session.str("provider_session_id").to_owned(),
        };
        app.pay(&payable).await;
        let event = app.provider_event("payment_intent.amount_capturable_updated", &payable);
        app.deliver(&event.await).await.expect(200);
        let payment = self.payment_of(&payable.order).await;
        assert_eq!(payment["status"], "authorized", "{payment}");
        let id = payment["id"].as_str().expect("an id").to_owned();
        (payable, id)
    }

    /// An order that was paid twice: with the payment that is the order's, and the one that is not.
    pub async fn paid_twice(&self, app: &TestApp) -> (Payable, Value, Value) {
        let old = self.payable().await;
        app.at_session(&old, "expire", json!({})).await;
        let refresh = format!("/v1/checkout_sessions/{}?refresh=true", old.session);
        self.get(&refresh).await.expect(200);
        let second = self.check_out(&old.order).await.expect(201);
        let new = Payable {
            session: second.str("id").to_owned(),
            at_provider: second.str("provider_session_id").to_owned(),
            ..old.clone()
        };
        app.pay(&new).await;
        // The old tab was paid after all; the money of another order's session stands for it.
        let twin = self.payable().await;
        app.pay(&twin).await;
        let mut first = app.provider_event("payment_intent.succeeded", &twin).await;
        first["data"]["object"]["metadata"]["till_session"] = json!(old.session);
        first["data"]["object"]["metadata"]["till_order"] = json!(old.order);
        app.deliver(&first).await.expect(200);
        let kept = self.payment_of(&old.order).await;
        let event = app.provider_event("payment_intent.succeeded", &new).await;
        app.deliver(&event).await.expect(200);
        let duplicate = self.payment_of(&old.order).await;
        let order = self.order(&old.order).await;
        assert_eq!(order["payment_status"], "paid", "{order}");
        assert_eq!(order["review"], "duplicate_payment", "{order}");
        assert_ne!(kept["id"], duplicate["id"]);
        (new, kept, duplicate)
    }

    /// A payment that the provider took although the session was ended: as when its answer crossed ours.
    pub async fn late_money(&self, app: &TestApp, payable: &Payable) {
        let twin = self.payable().await;
        app.pay(&twin).await;
        let event = app.provider_event("payment_intent.succeeded", &twin).await;
        app.deliver_as(event, payable).await;
    }

    /// The newest payment of an order.
    pub async fn payment_of(&self, order: &str) -> Value {
        let mut payments = self.payments_of(order).await.into_iter();
        payments.next().unwrap_or_default()
    }

    /// The payments of an order, newest first.
    pub async fn payments_of(&self, order: &str) -> Vec<Value> {
        let list = self.get(&format!("/v1/payments?order_id={order}")).await;
        let list = list.expect(200).json["data"].clone();
        list.as_array().expect("a list").clone()
    }

    /// The refunds of an order, newest first.
    pub async fn refunds_of(&self, order: &str) -> Vec<Value> {
        let list = self
            .get(&format!("/v1/refunds?order_id={order}&limit=100"))
            .await;
        list.expect(200).json["data"]
            .as_array()
            .expect("a list")
            .clone()
    }

    /// A session as it is now.
    pub async fn session(&self, id: &str) -> Value {
        let path = format!("/v1/checkout_sessions/{id}");
        self.get(&path).await.expect(200).json
    }
}

impl TestApp {
    /// Delivers an event as if it were about another session.
    pub async fn deliver_as(&self, mut event: Value, payable: &Payable) {
        event["id"] = json!(format!("evt_late_{}", payable.session));
        event["data"]["object"]["metadata"]["till_session"] = json!(payable.session);
        event["data"]["object"]["metadata"]["till_order"] = json!(payable.order);
        self.deliver(&event).await.expect(200);
    }

    /// Adds to the simulator's fault script.
    pub async fn fault(&self, script: Value) {
        self.simulate("faults", &script).await;
    }

    /// Ends all faults.
    pub async fn heal(&self) {
        let url = format!("{}/_simulator/faults", self.simulator_url);
        let request = self.http.request(Method::DELETE, url);
        let answer = request.send().await.expect("the simulator answers");
        assert!(answer.status().is_success());
    }

    /// The customer pays by card.
    pub async fn pay(&self, payable: &Payable) {
        self.at_session(payable, "pay", json!({})).await;
    }

    /// Something happens to a session at the provider.
    pub async fn at_session(&self, payable: &Payable, act: &str, body: Value) {
        let act = format!("sessions/{}/{act}", payable.at_provider);
        self.simulate(&act, &body).await;
    }

    /// How often something happened at the provider.
    pub async fn effects(&self, effect: &str) -> Vec<Value> {
        let mut journal = self.journal("effect").await;
        journal.retain(|entry| entry["effect"] == effect);
        journal
    }

    /// What the provider was asked to do, by the name of the operation.
    pub async fn requests(&self, operation: &str) -> Vec<Value> {
        let mut journal = self.journal("request").await;
        journal.retain(|entry| entry["operation"] == operation);
        journal
    }

    /// Every event of the provider of one type, oldest first.
    pub async fn provider_events(&self, kind: &str) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let mut url = format!("{}/v1/events?type={kind}&limit=100", self.simulator_url);
            if let Some(last) = events.last() {
                url.push_str(&format!(
                    "&starting_after={}",
                    last["id"].as_str().expect("an id")
                ));
            }
            let request = self.http.get(url).bearer_auth("sk_test_harness");
            let answer = request.send().await.expect("the simulator answers");
            let page: Value = answer.json().await.expect("a list");
            events.extend(page["data"].as_array().expect("a list").iter().cloned());
            if page["has_more"] != true {
                events.reverse();
                return events;
            }
        }
    }

    /// The newest event of a type about a payable's session, or about its intent.
    pub async fn provider_event(&self, kind: &str, payable: &Payable) -> Value {
        let mut events = self.provider_events(kind).await;
        events.retain(|event| {
            event["data"]["object"]["metadata"]["till_session"] == payable.session.as_str()
        });
        events
            .pop()
            .unwrap_or_else(|| panic!("no {kind} about {payable:?}"))
    }

    /// The first column of every row.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let look = self.look().await;
        let statement = Statement::from_string(look.get_database_backend(), sql);
        let rows = look.query_all_raw(statement).await.expect(sql);
        let texts = rows
            .iter()
            .map(|row| row.try_get_by_index(0).expect("a text"))
            .collect();
        look.close().await.expect("closes");
        texts
    }

    /// The types of an order's events, in sequence.
    pub async fn story(&self, order: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT type FROM event WHERE order_id = '{order}' ORDER BY sequence"
        ))
        .await
    }

    /// What became of an event of the provider; empty when it is not stored.
    pub async fn verdict(&self, event: &Value) -> String {
        let id = event["id"].as_str().expect("an event id");
        let sql = format!(
            "SELECT verdict || COALESCE(' ' || reason, '') FROM provider_event WHERE event_id = '{id}'"
        );
        self.texts(&sql).await.pop().unwrap_or_default()
    }

    /// An order's questions: reason, status and who closed it.
    pub async fn reviews(&self, order: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT reason || ' ' || status || COALESCE(' ' || resolved_by, '') FROM review \
             WHERE order_id = '{order}' ORDER BY reason"
        ))
        .await
    }

    /// An order's ledger accounts with their balances, debits positive.
    pub async fn balances(&self, order: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT a.name || ' ' || a.currency || ' ' || \
             CAST(SUM(e.debit_minor) - SUM(e.credit_minor) AS TEXT) \
             FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
             WHERE e.order_id = '{order}' GROUP BY a.name, a.currency ORDER BY a.name"
        ))
        .await
    }

    /// How many ledger transactions an order has.
    pub async fn postings(&self, order: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM ledger_transaction WHERE order_id = '{order}'");
        self.count(&sql).await
    }

    /// A second process over the same database: a store and use cases of its own.
    pub async fn another_process(&self) -> Arc<Services> {
        self.process_with(self.clock.clone()).await
    }

    /// A second process on a machine whose clock is wrong by so many minutes.
    pub async fn process_wrong_by(&self, minutes: i64) -> Arc<Services> {
        self.process_with(self.clock.wrong_by(minutes * 60_000))
            .await
    }

    /// A second process with the key of another provider account, at an address where nobody answers.
    pub async fn process_of_another_account(&self) -> Arc<Services> {
        let mut config = self.config.clone();
        config.providers.stripe.api_key = Some("sk_live_harness".to_owned());
        config.providers.stripe.base_url = "https://192.0.2.1".to_owned();
        process(&config, self.clock.clone()).await
    }

    /// A second process of the same account, which finds the provider at another address.
    pub async fn process_at(&self, provider_url: &str) -> Arc<Services> {
        let mut config = self.config.clone();
        config.providers.stripe.base_url = provider_url.to_owned();
        process(&config, self.clock.clone()).await
    }

    async fn process_with(&self, clock: Clock) -> Arc<Services> {
        process(&self.config, clock).await
    }

    /// An HTTP server in front of it; stop it with the handle.
    pub async fn serve(&self, services: Arc<Services>) -> Front {
        serve(&self.config, services).await
    }
}

async fn process(config: &Config, clock: Clock) -> Arc<Services> {
    let store = Store::open(&config.database(), clock.clone()).await;
    let store = Arc::new(store.expect("the database opens"));
    let services = app::build_services(config, store, clock).await;
    services.expect("the services")
}

/// The address of a provider that has one answer, given as it goes over the wire, to whatever it is asked.
pub async fn provider_that_says(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asked = [0; 16_384];
            let _ = client.read(&mut asked).await;
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

/// A lock of the test's own on an order.
pub struct Held(pub sea_orm::DatabaseConnection);

impl Held {
    /// Lets go of it.
    pub async fn release(self) {
        self.0
            .execute_unprepared("ROLLBACK")
            .await
            .expect("the lock ends");
        self.0.close().await.expect("closes");
    }
}

impl TestApp {
    /// Holds an order (on SQLite: the whole database) against every writer.
    pub async fn hold(&self, order: &str) -> Held {
        let lock = format!("SELECT id FROM \"order\" WHERE id = '{order}' FOR NO KEY UPDATE");
        self.hold_by(&lock).await
    }

    /// A transaction of the test's own that has carried out this on PostgreSQL, and nothing on SQLite, where it is the only
    /// one that may write.
    pub async fn hold_by(&self, statement: &str) -> Held {
        let look = self.look().await;
        match look.get_database_backend() {
            sea_orm::DbBackend::Sqlite => {
                look.execute_unprepared("BEGIN IMMEDIATE")
                    .await
                    .expect("a lock");
            }
            _ => {
                look.execute_unprepared("BEGIN")
                    .await
                    .expect("a transaction");
                look.execute_unprepared(statement).await.expect(statement);
            }
        }
        Held(look)
    }
}
