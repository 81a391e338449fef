//! Comparing both sides: what the provider holds of every payment, and what Till says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Client, Phoenix};

/// A payment's captured and refunded money, in cents.
type Money = (i64, i64);

/// Where the sides differ.
#[derive(Debug, Default)]
pub struct Differences {
    /// How many payments were compared.
    pub payments: usize,
    /// Captured or refunded there, and not here.
    pub there_not_here: Vec<String>,
    /// Captured or refunded here, and not there.
    pub here_not_there: Vec<String>,
}

impl Differences {
    /// Whether there are none.
    pub fn none(&self) -> bool {
        self.there_not_here.is_empty() && self.here_not_there.is_empty()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Differences {
            payments,
            there_not_here,
            here_not_there,
        } = self;
        write!(
            f,
            "{payments} payments compared, there and not here {}, here and not there {}",
            there_not_here.len(),
            here_not_there.len()
        )?;
        for line in there_not_here.iter().chain(here_not_there).take(10) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// Every object of a list, page by page.
pub async fn all_of(client: &Client, list: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let mut path = format!("{list}?limit=100");
        if let Some(last) = all.last() {
            let last = last["id"].as_str().expect("an id");
            path.push_str(&format!("&starting_after={last}"));
        }
        let page = client.get(&path).await.expect(200);
        all.extend(page["data"].as_array().expect("a list").iter().cloned());
        if page["has_more"] != true {
            return all;
        }
    }
}

/// Cents, of a decimal string with two digits.
pub fn cents(amount: &Value) -> i64 {
    let text = amount.as_str().expect("an amount");
    text.replace('.', "").parse().expect("an amount")
}

async fn there(phoenix: &Phoenix) -> BTreeMap<String, Money> {
    let mut money = BTreeMap::new();
    for intent in all_of(&phoenix.provider, "/v1/payment_intents").await {
        let id = intent["id"].as_str().expect("an id").to_owned();
        let received = intent["amount_received"].as_i64().expect("an amount");
        money.insert(id, (received, 0));
    }
    for refund in all_of(&phoenix.provider, "/v1/refunds").await {
        let intent = refund["payment_intent"].as_str().expect("an intent");
        if refund["status"] == "succeeded" {
            let payment = money.get_mut(intent).expect("a refund of an intent");
            payment.1 += refund["amount"].as_i64().expect("an amount");
        }
    }
    money
}

async fn here(phoenix: &Phoenix) -> BTreeMap<String, Money> {
    let payments = all_of(&phoenix.shop, "/v1/payments").await;
    let money = payments.iter().map(|payment| {
        let id = payment["provider_payment_id"].as_str().expect("an id");
        let captured = cents(&payment["amount_captured"]);
        (
            id.to_owned(),
            (captured, cents(&payment["amount_refunded"])),
        )
    });
    money.collect()
}

/// Compares every payment.
pub async fn differences(phoenix: &Phoenix) -> Differences {
    let (there, here) = (there(phoenix).await, here(phoenix).await);
    let mut found = Differences {
        payments: there.len(),
        ..Differences::default()
    };
    for id in there.keys().chain(here.keys()) {
        let at = |side: &BTreeMap<String, Money>| side.get(id).copied().unwrap_or_default();
        let (theirs, ours) = (at(&there), at(&here));
        let line = format!("{id}: there {theirs:?}, here {ours:?}");
        if (theirs.0 > ours.0 || theirs.1 > ours.1) && !found.there_not_here.contains(&line) {
            found.there_not_here.push(line.clone());
        }
        if (ours.0 > theirs.0 || ours.1 > theirs.1) && !found.here_not_there.contains(&line) {
            found.here_not_there.push(line);
        }
    }
    found
}
