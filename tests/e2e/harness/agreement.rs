//! Comparing both sides: what the provider holds of every payment, and what Till says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::client::Answer;
use super::{Client, Sandbox};

/// A shop's server, or several, beside a provider: requests are repeated until they are answered.
pub trait House {
    /// The provider.
    fn provider(&self) -> &Client;
    /// The shop, by its secret key.
    fn shop(&self) -> &Client;
    /// How long clients repeat themselves.
    fn patience(&self) -> Duration;
    /// Sends a request until it is answered with anything but 503.
    async fn ask(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer;
}

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

async fn there(house: &impl House) -> BTreeMap<String, Money> {
    let mut money = BTreeMap::new();
    for intent in all_of(house.provider(), "/v1/payment_intents").await {
        let id = intent["id"].as_str().expect("an id").to_owned();
        let received = intent["amount_received"].as_i64().expect("an amount");
        money.insert(id, (received, 0));
    }
    for refund in all_of(house.provider(), "/v1/refunds").await {
        let intent = refund["payment_intent"].as_str().expect("an intent");
        if refund["status"] == "succeeded" {
            let payment = money.get_mut(intent).expect("a refund of an intent");
            payment.1 += refund["amount"].as_i64().expect("an amount");
        }
    }
    money
}

async fn here(house: &impl House) -> BTreeMap<String, Money> {
    let payments = all_of(house.shop(), "/v1/payments").await;
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
pub async fn differences(house: &impl House) -> Differences {
    let (there, here) = (there(house).await, here(house).await);
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

/// What happened at a provider since an entry of its journal.
pub async fn effects(provider: &Client, since: u64) -> Vec<Value> {
    let path = format!("/_simulator/journal?kind=effect&since={since}");
    let journal = provider.get(&path).await.expect(200);
    journal["data"].as_array().expect("a list").clone()
}

/// What must hold whatever happened: nothing was done twice under one key, no acknowledged webhook is missing,
/// debits are credits, and `till verify` finds nothing.
pub async fn audit(sandbox: &Sandbox, provider: &Client) {
    let mut by_key: BTreeMap<(String, String), u32> = BTreeMap::new();
    for effect in effects(provider, 0).await {
        if let Some(key) = effect["idempotency_key"].as_str() {
            let what = (key.to_owned(), effect["effect"].to_string());
            *by_key.entry(what).or_default() += 1;
        }
    }
    by_key.retain(|_, count| *count > 1);
    assert!(
        by_key.is_empty(),
        "effects of one key at the provider: {by_key:?}"
    );
    let lost = acknowledged_and_lost(sandbox, provider).await;
    assert!(
        lost.is_empty(),
        "webhooks answered 200 that are not stored: {lost:?}"
    );
    let unbalanced = unbalanced(sandbox).await;
    assert!(
        unbalanced.is_empty(),
        "debits are not credits: {unbalanced:?}"
    );
    sandbox.run(&["verify", "--json"]).await.success();
}

/// The provider's events that were answered with 200 and are not in the inbox.
async fn acknowledged_and_lost(sandbox: &Sandbox, provider: &Client) -> Vec<String> {
    let journal = provider.get("/_simulator/journal?kind=webhook").await;
    let journal = journal.expect(200);
    let stored = sandbox.texts("SELECT event_id FROM provider_event").await;
    let stored: BTreeSet<String> = stored.into_iter().collect();
    let tries = journal["data"].as_array().expect("a list");
    let acknowledged = tries.iter().filter(|attempt| attempt["status"] == 200);
    let mut lost: Vec<String> = acknowledged
        .filter_map(|attempt| attempt["event_id"].as_str())
        .filter(|event| !stored.contains(*event))
        .map(str::to_owned)
        .collect();
    lost.dedup();
    lost
}

/// The ledger's currencies in which debits are not credits, shop by shop.
pub async fn unbalanced(sandbox: &Sandbox) -> Vec<String> {
    sandbox
        .texts(
            "SELECT a.shop_id || ' ' || a.currency FROM ledger_entry e \
             JOIN ledger_account a ON a.id = e.ledger_account_id \
             GROUP BY a.shop_id, a.currency HAVING SUM(e.debit_minor) <> SUM(e.credit_minor)",
        )
        .await
}
