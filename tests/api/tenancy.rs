//! Two shops: what belongs to the other one is not there. Every route is called with a foreign, an absent and
//! many malformed ids, and the answers must be the same to the byte.

use reqwest::Method;
use serde_json::json;
use till::domain::access::{KeyKind, Mode, Scopes};

use crate::harness::{Answer, TestApp};
use crate::keys::{V1, V1Route};

/// Everything of an answer but what is the request's own.
fn essence(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let own = answer.header("request-id").expect("a request id");
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date" && *name != "request-id");
    let mut headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    headers.sort();
    (answer.status, answer.text.replace(own, ""), headers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_an_absent_and_a_malformed_id_are_one_and_the_same() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    let theirs = other.place_order().await;
    let session = other.check_out(theirs.str("id")).await.expect(201);
    let paid = other.payable().await;
    app.pay(&paid).await;
    let event = app
        .provider_event("checkout.session.completed", &paid)
        .await;
    app.deliver(&event).await.expect(200);
    let posted = other.get("/v1/ledger/transactions").await.expect(200);
    let posted = posted.json["data"][0]["id"].as_str().expect("an id");
    let told = app.texts("SELECT id FROM event ORDER BY id LIMIT 1").await;
    let told = told[0].clone();
    let mine = merchant.place_order().await;
    let browser = app.storefront().await;
    let cup = json!({"name": "Cup", "prices": {"EUR": "7.00"}});
    let put = other.request(Method::PUT, "/v1/products/their_cup");
    other.send(put.json(&cup)).await.expect(201);
    // A PUT makes what is absent; it has a test of its own.
    let about_one = |route: &&V1Route| route.id.is_some() && route.method != "PUT";
    for route in V1.iter().filter(about_one) {
        let prefix = route.id.expect("it takes an id");
        let act = route.path.rsplit('/').next().unwrap_or_default();
        let foreign = match (prefix, act) {
            ("cs", "expire") => other.payable().await.session,
            ("cs", _) => session.str("id").to_owned(),
            ("sku", _) => "their_cup".to_owned(),
            ("ltx", _) => posted.to_owned(),
            ("evt", _) => told.clone(),
            ("pay", "capture" | "void") => other.reserved(&app).await.1,
            ("pay", _) => other.paid(&app).await.1,
            ("re", _) => {
                let (paid, _) = other.paid(&app).await;
                let path = format!("/v1/orders/{}/refunds", paid.order);
                let refund = other.post(&path, &json!({})).await;
                refund.expect(201).str("id").to_owned()
            }
            (_, "refunds") => other.paid(&app).await.0.order,
            (_, "cancel") => other.place_order().await.str("id").to_owned(),
            _ => theirs.str("id").to_owned(),
        };
        let foreign = foreign.as_str();
        // The other shop sees it: it is there.
        assert!(
            route.call(&other, foreign, None).await.status < 300,
            "{}",
            route.path
        );
        let keys = app.keys_stored().await;
        let absent = format!("{prefix}_{}", "0".repeat(26));
        let (_, suffix) = foreign.split_once('_').expect("an id");
        let malformed = [
            prefix.to_owned(),
            format!("{prefix}_"),
            format!("{prefix}_x"),
            suffix.to_owned(),
            format!("li_{suffix}"),
            foreign.to_uppercase(),
            format!("{foreign}0"),
            format!("{foreign}%00"),
            format!("{foreign}%20"),
            format!("{foreign}%2F.."),
            foreign[..foreign.len() - 1].to_owned(),
            "%00".to_owned(),
            "%FF".to_owned(),
            "%F0%9F%98%80".to_owned(),
            "1%27%20OR%20%271%27=%271".to_owned(),
            "*".to_owned(),
            "%25".to_owned(),
            "x".repeat(4_000),
        ];
        let nothing = route
            .call(&merchant, &absent, None)
            .await
            .problem(404, "not_found");
        let nothing = essence(&nothing);
        let mut ids = vec![foreign.to_owned()];
        ids.extend(malformed);
        for id in ids {
            let answer = route.call(&merchant, &id, None).await;
            assert_eq!(
                essence(&answer),
                nothing,
                "{} {} {id}",
                route.method,
                route.path
            );
            for token in [theirs.str("client_token"), mine.str("client_token")] {
                if route.publishable {
                    let answer = route.call(&browser, &id, Some(token)).await;
                    assert_eq!(
                        essence(&answer),
                        nothing,
                        "pk {} {} {id}",
                        route.method,
                        route.path
                    );
                }
            }
        }
        assert_eq!(app.keys_stored().await, keys, "{} burnt a key", route.path);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_the_shops_own_orders_only() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    let theirs = other.place_order().await.str("id").to_owned();
    let mine = merchant.place_order().await.str("id").to_owned();
    let later = other.place_order().await.str("id").to_owned();
    let ids = async |query: &str| -> Vec<String> {
        let list = merchant
            .get(&format!("/v1/orders{query}"))
            .await
            .expect(200);
        assert_eq!(list.json["has_more"], false, "{query}");
        let orders = list.json["data"].as_array().expect("a list");
        orders
            .iter()
            .map(|order| order["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    for query in ["", "?email=ada@example.com", "?status=open", "?limit=1"] {
        assert_eq!(ids(query).await, [mine.as_str()], "{query}");
    }
    // A foreign id is a place in time and nothing more.
    assert_eq!(
        ids(&format!("?starting_after={later}")).await,
        [mine.as_str()]
    );
    assert_eq!(
        ids(&format!("?ending_before={theirs}")).await,
        [mine.as_str()]
    );
    assert!(ids(&format!("?starting_after={theirs}")).await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_sells_from_its_own_catalogue_only() {
    let app = TestApp::quiet().await;
    let store = &app.services.store;
    let bare = till::service::keys::create_shop(store, "bare", Mode::Test, &[])
        .await
        .expect("a shop");
    for kind in [KeyKind::Secret, KeyKind::Publishable] {
        let actor = app.actor(&bare, kind, Scopes::all()).await;
        let wanted = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
        let refused = actor
            .post("/v1/orders", &wanted)
            .await
            .problem(422, "invalid_request");
        assert_eq!(refused.pointers(), ["/line_items/0/sku"]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_of_the_same_sku_in_another_shop_is_another_product() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    let before = other.get("/v1/products/mug").await.expect(200).text;
    let put = merchant.request(Method::PUT, "/v1/products/mug");
    let cheap = json!({"name": "Cheap", "prices": {"EUR": "0.01"}});
    merchant.send(put.json(&cheap)).await.expect(200);
    assert_eq!(other.get("/v1/products/mug").await.expect(200).text, before);
    assert_eq!(other.place_order().await.str("total"), "25.00");
    assert_eq!(merchant.place_order().await.str("total"), "0.02");
    app.finish().await;
}
