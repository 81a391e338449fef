//! Every status a client can meet, brought about over real HTTP: each is a problem of the catalogue whose page says
//! what to do next, and nothing of the request is repeated in it. (500 after a panic is in `src/http/tests`: no
//! route of the application panics.)

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use till::domain::access::{KeyKind, Scopes};
use till::http::problem_catalogue::Code;

use crate::harness::actor::{checkout_body, fresh_key, two_mugs};
use crate::harness::{Actor, Answer, Setup, TestApp};

/// Sent in every header and body that is refused here.
const CANARY: &str = "canaryOfARefusal";

/// One answer of each kind, from an application whose provider and database are well.
async fn refusals(app: &TestApp) -> Vec<Answer> {
    let (merchant, browser) = (app.merchant().await, app.storefront().await);
    let mut forged = app.anonymous();
    forged.key = Some(format!("sk_test_{CANARY}"));
    let scopes: Scopes = "orders:read".parse().expect("scopes");
    let reader = app.actor(&app.shop, KeyKind::Secret, scopes).await;
    let send = async |actor: &Actor, method: Method, path: &str, kind: &str, body: String| {
        let request = actor
            .request(method, path)
            .header("X-Canary", CANARY)
            .header("Cookie", CANARY)
            .header("Idempotency-Key", fresh_key())
            .header("Content-Type", kind);
        actor.send(request.body(body)).await
    };
    let json = "application/json";
    let (get, post, orders) = (Method::GET, Method::POST, "/v1/orders");
    let none = String::new;
    let free = json!({"currency": "EUR", "line_items": [{"sku": "free", "quantity": 1}]});
    let free = merchant.post(orders, &free).await.expect(201);
    let free_checkout = format!("/v1/orders/{}/checkout_sessions", free.str("id"));
    let unknown = json!({"currency": "EUR", "line_items": [{"sku": CANARY, "quantity": 1}]});
    let large = format!("\"{}\"", CANARY.repeat(20_000));
    let mut all = vec![
        send(&merchant, post.clone(), orders, json, format!("{{{CANARY}")).await,
        send(&forged, get.clone(), orders, json, none()).await,
        send(&reader, post.clone(), orders, json, two_mugs().to_string()).await,
        send(&browser, get.clone(), orders, json, none()).await,
        send(&merchant, get.clone(), &format!("/{CANARY}"), json, none()).await,
        send(&merchant, Method::DELETE, orders, json, none()).await,
        send(
            &merchant,
            post.clone(),
            &free_checkout,
            json,
            checkout_body().to_string(),
        )
        .await,
        send(&merchant, post.clone(), orders, json, large).await,
        send(
            &merchant,
            get.clone(),
            &format!("/v1/{}", CANARY.repeat(600)),
            json,
            none(),
        )
        .await,
        send(
            &merchant,
            post.clone(),
            orders,
            "text/plain",
            CANARY.to_owned(),
        )
        .await,
        send(&merchant, post.clone(), orders, json, unknown.to_string()).await,
        send(
            &merchant,
            get,
            &format!("/v1/orders?limit={CANARY}"),
            json,
            none(),
        )
        .await,
        app.deliver_raw(Some(CANARY), CANARY.into()).await,
    ];
    for _ in 0..2 {
        let placed = two_mugs().to_string();
        all.push(send(&browser, post.clone(), orders, json, placed).await);
    }
    // Two days apart, the provider finds the session's end too far in the future.
    app.clock.advance(2 * 86_400_000);
    let order = merchant.place_order().await.str("id").to_owned();
    all.push(merchant.check_out(&order).await);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_a_problem_of_the_catalogue_that_says_what_to_do_next() {
    let mut app = TestApp::with(Setup {
        settings: vec![("http.orders_per_minute", 1.into())],
        ..Setup::default()
    })
    .await;
    let nobody = app.anonymous();
    let mut all = refusals(&app).await;
    all.retain(|answer| answer.status >= 400);
    let pages = all.iter().map(|answer| answer.str("type").to_owned());
    for page in pages.collect::<BTreeSet<_>>() {
        let request = nobody.request(Method::GET, &page);
        let page = nobody.send(request.header("Accept", "text/html")).await;
        assert!(page.expect(200).text.contains("<p>"));
    }
    app.work().await;
    app.lose_database().await;
    all.push(nobody.get("/health/ready").await);
    let mut met = BTreeSet::new();
    for answer in all {
        met.insert(answer.status);
        let code = Code::find(answer.str("code")).expect("a code of the catalogue");
        let answer = answer.problem(code.status(), code.as_str());
        let page = format!("/problems/{}", code.as_str());
        assert_eq!(answer.str("type"), page);
        assert_eq!(answer.str("title"), code.entry().title);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
        assert!(
            !format!("{:?}", answer.headers).contains(CANARY),
            "{:?}",
            answer.headers
        );
        let waits = answer.header("retry-after").is_some();
        assert_eq!(waits, matches!(answer.status, 429 | 503), "{}", answer.text);
        assert_eq!(answer.header("allow").is_some(), answer.status == 405);
        assert_eq!(
            answer.header("www-authenticate"),
            (answer.status == 401).then_some("Bearer")
        );
        assert_eq!(
            answer.pointers().is_empty(),
            answer.status != 422,
            "{}",
            answer.text
        );
    }
    let wanted = [
        400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 429, 502, 503,
    ];
    assert_eq!(met, BTreeSet::from(wanted));
    app.finish().await;
}
