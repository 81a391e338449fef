//! The ledger as callers read it: an order's money is followed through the API and compared with its story.

use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scopes};

use crate::harness::{Actor, TestApp};

const COMPLETED: &str = "checkout.session.completed";

async fn paid_order(app: &TestApp, shop: &Actor) -> String {
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let event = app.provider_event(COMPLETED, &payable).await;
    app.deliver(&event).await.expect(200);
    payable.order
}

async fn transactions(shop: &Actor, query: &str) -> Value {
    let path = format!("/v1/ledger/transactions{query}");
    shop.get(&path).await.expect(200).json
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trial_balance_sums_every_account_by_currency() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let nothing = shop.get("/v1/ledger/trial_balance").await.expect(200).json;
    assert_eq!(
        nothing,
        json!({"object": "trial_balance", "balanced": true, "currencies": []})
    );
    for _ in 0..2 {
        paid_order(&app, &shop).await;
    }
    let balance = shop.get("/v1/ledger/trial_balance").await.expect(200);
    let eur = &balance.json["currencies"][0];
    assert_eq!(balance.json["balanced"], true);
    assert_eq!(eur["currency"], "EUR");
    assert_eq!(eur["debit"], "50.00");
    assert_eq!(eur["credit"], "50.00");
    let of = |name: &str| {
        let accounts = eur["accounts"].as_array().expect("accounts");
        let found = accounts.iter().find(|account| account["account"] == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(
        of("sales"),
        json!({"account": "sales", "debit": "0.00", "credit": "50.00"})
    );
    assert_eq!(of("provider_clearing")["debit"], "50.00");
    assert_eq!(of("suspense")["debit"], "0.00");
    // Another shop's books are its own.
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    let theirs = other.get("/v1/ledger/trial_balance").await.expect(200);
    assert_eq!(theirs.json["currencies"], json!([]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_listed_with_their_entries_and_the_fact_they_were_posted_for() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    assert_eq!(
        transactions(&shop, "").await,
        json!({"object": "list", "data": [], "has_more": false, "url": "/v1/ledger/transactions"})
    );
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(paid_order(&app, &shop).await);
    }
    orders.reverse();
    let list = transactions(&shop, "").await;
    let data = list["data"].as_array().expect("a list");
    let listed: Vec<&str> = data
        .iter()
        .filter_map(|one| one["order_id"].as_str())
        .collect();
    assert_eq!(listed, orders, "newest first");
    let first = &data[0];
    assert_eq!(first["object"], "ledger_transaction");
    assert_eq!(first["fact"]["kind"], "captured");
    assert_eq!(first["fact"]["source"], "webhook");
    let event = first["fact"]["source_id"].as_str().expect("a source");
    assert!(event.starts_with("pev_"), "{event}");
    let entries: Vec<String> = first["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| {
            format!(
                "{} {} {} {}",
                entry["account"], entry["debit"], entry["credit"], entry["currency"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        entries,
        ["provider_clearing 25.00 0.00 EUR", "sales 0.00 25.00 EUR"]
    );
    let alone = shop
        .get(&format!(
            "/v1/ledger/transactions/{}",
            first["id"].as_str().expect("an id")
        ))
        .await
        .expect(200);
    assert_eq!(&alone.json, first);
    // Pages, in both directions, and one order's.
    let ids: Vec<&str> = data.iter().filter_map(|one| one["id"].as_str()).collect();
    let page = transactions(&shop, "?limit=2").await;
    assert_eq!(page["has_more"], true);
    assert_eq!(page["data"][1]["id"], ids[1]);
    let rest = transactions(&shop, &format!("?starting_after={}", ids[1])).await;
    assert_eq!(rest["data"], json!([data[2]]));
    let before = transactions(&shop, &format!("?ending_before={}&limit=1", ids[2])).await;
    assert_eq!(before["data"], json!([data[1]]));
    assert_eq!(before["has_more"], true);
    let one = transactions(&shop, &format!("?order_id={}", orders[1])).await;
    assert_eq!(one["data"], json!([data[1]]));
    shop.get("/v1/ledger/transactions?order_id=ord_x")
        .await
        .problem(422, "invalid_request");
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    assert_eq!(transactions(&other, "").await["data"], json!([]));
    let theirs = transactions(&other, &format!("?order_id={}", orders[1])).await;
    assert_eq!(theirs["data"], json!([]));
    app.finish().await;
}
