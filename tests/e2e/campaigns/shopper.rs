//! A shop's server as it should be written: every request has a key, is repeated until it is answered, and gets
//! a new key only once it was refused for good. It writes down what it was promised.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::agreement::{House, all_of, cents};
use crate::harness::client::{Answer, checkout_body, checkout_path};

/// What Till has acknowledged.
#[derive(Default)]
pub struct Promised {
    /// Every order, with what was refunded of it in cents.
    pub orders: Mutex<BTreeMap<String, i64>>,
    /// How often each status was answered.
    pub statuses: Mutex<BTreeMap<u16, u32>>,
}

/// One way through the shop.
pub struct Shopper<'a, H: House> {
    /// The server, or servers.
    pub house: &'a H,
    /// What it promises.
    pub promised: &'a Promised,
}

impl<H: House> Shopper<'_, H> {
    /// Orders, pays and, if asked to, has 5.00 given back.
    pub async fn trip(&self, refund: bool) {
        let body = json!({
            "currency": "EUR",
            "line_items": [{"name": "Mug", "unit_price": "12.50", "quantity": 2}],
        });
        let order = self.insist("/v1/orders", &body).await.expect(201);
        let order = order["id"].as_str().expect("an id").to_owned();
        self.promised.note(&order, 0);
        let session = self.session(&order).await;
        self.house.provider().pay(&session).await;
        if !refund {
            return;
        }
        let path = format!("/v1/orders/{order}");
        let give_up = Instant::now() + self.house.patience();
        while self.get(&path).await["payment_status"] != "paid" {
            assert!(Instant::now() < give_up, "{path} is never paid");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let path = format!("/v1/orders/{order}/refunds");
        let refund = self.insist(&path, &json!({"amount": "5.00"})).await;
        refund.expect(201);
        self.promised.note(&order, 500);
    }

    /// A checkout; one the provider did not make as asked is begun anew.
    async fn session(&self, order: &str) -> Value {
        loop {
            let answer = self.insist(&checkout_path(order), &checkout_body()).await;
            match answer.status {
                200 | 201 => return answer.json,
                502 => {}
                other => panic!("{other}: {}", answer.json),
            }
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.house.ask(&Method::GET, path, None, None).await;
        answer.expect(200)
    }

    /// A POST with a key of its own, repeated until there is a last word.
    async fn insist(&self, path: &str, body: &Value) -> Answer {
        let key = uuid::Uuid::new_v4().to_string();
        let began = Instant::now();
        loop {
            let answer = self
                .house
                .ask(&Method::POST, path, Some(&key), Some(body))
                .await;
            self.promised.count(answer.status);
            let again = ["idempotency_in_progress", "provider_unavailable"];
            let again = again.iter().any(|code| answer.json["code"] == *code);
            if answer.status != 202 && !again {
                return answer;
            }
            let waited = began.elapsed();
            assert!(
                waited < self.house.patience(),
                "{path} has no last word after {waited:?}: {}",
                answer.json
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Promised {
    fn count(&self, status: u16) {
        let mut statuses = self.statuses.lock().expect("not poisoned");
        *statuses.entry(status).or_default() += 1;
    }

    fn note(&self, order: &str, refunded: i64) {
        let mut orders = self.orders.lock().expect("not poisoned");
        orders.insert(order.to_owned(), refunded);
    }

    /// How often a status was answered.
    pub fn answered(&self, status: u16) -> u32 {
        let statuses = self.statuses.lock().expect("not poisoned");
        statuses.get(&status).copied().unwrap_or_default()
    }

    /// Promises that were not kept: an order that is not there, or not as it was promised.
    pub async fn broken(&self, house: &impl House) -> Vec<String> {
        let mut kept = BTreeMap::new();
        for order in all_of(house.shop(), "/v1/orders").await {
            let id = order["id"].as_str().expect("an id").to_owned();
            let paid = (
                cents(&order["amount_paid"]),
                cents(&order["amount_refunded"]),
            );
            kept.insert(id, paid);
        }
        let orders = self.orders.lock().expect("not poisoned").clone();
        let mut broken: Vec<String> = orders
            .iter()
            .filter(|(id, refunded)| kept.get(*id) != Some(&(2_500, **refunded)))
            .map(|(id, refunded)| format!("{id}: promised {refunded}, kept {:?}", kept.get(id)))
            .collect();
        let strangers = kept.keys().filter(|id| !orders.contains_key(*id));
        broken.extend(strangers.map(|id| format!("{id}: nobody was told of it")));
        broken
    }
}
