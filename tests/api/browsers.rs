//! Browsers: what a publishable key may call answers them from any page, nothing else does, and whom an order is
//! counted for is the socket's address or what the one configured header says.

use reqwest::Method;
use std::collections::BTreeSet;

use crate::harness::actor::{fresh_key, two_mugs};
use crate::harness::{Actor, Answer, Setup, TestApp};
use crate::keys::V1;

const ORIGIN: &str = "https://shop.example";

async fn preflight(actor: &Actor, path: &str, method: &str) -> Answer {
    let request = actor.request(Method::OPTIONS, path);
    let request = request.header("Origin", ORIGIN);
    let request = request.header("Access-Control-Request-Method", method);
    let wanted = "authorization, content-type, idempotency-key, order-token, request-id";
    actor
        .send(request.header("Access-Control-Request-Headers", wanted))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_lets_through_what_publishable_keys_may_call_and_nothing_else() {
    let app = TestApp::quiet().await;
    let nobody = app.anonymous();
    for route in V1 {
        let path = route.path_of("ord_1");
        let same_path = V1.iter().filter(|other| other.path == route.path);
        let allowed: BTreeSet<&str> = same_path
            .filter(|other| other.publishable)
            .map(|other| other.method)
            .collect();
        let answer = preflight(&nobody, &path, route.method).await;
        let named = answer.header("access-control-allow-methods");
        let named: BTreeSet<&str> = named.map_or_else(BTreeSet::new, |named| {
            named.split(',').map(str::trim).collect()
        });
        assert_eq!(named, allowed, "{} {path}", route.method);
        let open = !allowed.is_empty();
        assert_eq!(answer.status == 204, open, "{} {path}", route.method);
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, open.then_some("*"), "{} {path}", route.method);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        // Problems can be read by the page too.
        let mut request = nobody.request(
            Method::from_bytes(route.method.as_bytes()).expect("a method"),
            &path,
        );
        request = request.header("Origin", ORIGIN);
        let answer = nobody.send(request).await.expect(401);
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, open.then_some("*"), "{} {path}", route.method);
    }
    for (path, method) in [
        ("/webhooks/stripe", "POST"),
        ("/metrics", "GET"),
        ("/health/live", "GET"),
        ("/openapi.json", "GET"),
        ("/v1/nothing", "GET"),
        ("/", "GET"),
    ] {
        let answer = preflight(&nobody, path, method).await;
        assert!([404, 405].contains(&answer.status), "{path}");
        let plain = nobody.request(Method::GET, path).header("Origin", ORIGIN);
        for answer in [answer, nobody.send(plain).await] {
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
    }
    app.finish().await;
}

async fn place(browser: &Actor, headers: &[(&str, &str)]) -> u16 {
    let mut request = browser
        .request(Method::POST, "/v1/orders")
        .header("Idempotency-Key", fresh_key());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.send(request.json(&two_mugs())).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_address_is_what_the_configured_header_says_and_no_other_one() {
    let app = TestApp::with(Setup {
        settings: vec![
            ("http.client_ip_header", "X-Edge-Client".into()),
            ("http.orders_per_minute", 2.into()),
        ],
        ..Setup::default()
    })
    .await;
    let browser = app.storefront().await;
    // Two for each address the proxy names, however it is written.
    for addresses in [
        ["203.0.113.1", "::ffff:203.0.113.1", "203.0.113.1"],
        ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"],
    ] {
        for (at, address) in addresses.iter().enumerate() {
            let status = place(&browser, &[("X-Edge-Client", address)]).await;
            assert_eq!(status, if at < 2 { 201 } else { 429 }, "{address}");
        }
    }
    // What a client says elsewhere, and what is no address in the right place, is the socket's address.
    for (at, header) in [
        ("X-Real-IP", "198.51.100.1"),
        ("X-Edge-Client", "nobody"),
        ("X-Forwarded-For", "198.51.100.2"),
        ("Forwarded", "for=198.51.100.3"),
        ("X-Edge-Client", ""),
        ("X-Edge-Client", "198.51.100.4, 198.51.100.5"),
    ]
    .into_iter()
    .enumerate()
    {
        let status = place(&browser, &[header]).await;
        assert_eq!(status, if at < 2 { 201 } else { 429 }, "{header:?}");
    }
    app.finish().await;
}
