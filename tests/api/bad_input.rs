//! Bad input: each is refused with a problem and a pointer, stores nothing and burns no key. One key goes
//! through whole tables of bad bodies, and then places a good order as if nothing had happened.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::actor::{checkout_body, two_mugs};
use crate::harness::{Actor, Answer, TestApp};

const KEY: &str = "one-key-for-all";

/// An order of one line, both as JSON text.
fn order_of(line: &str) -> String {
    format!(r#"{{"currency":"EUR","line_items":[{line}]}}"#)
}

fn priced(currency: &str, unit_price: &str) -> String {
    let line = format!(r#"{{"name":"Mug","unit_price":{unit_price},"quantity":1}}"#);
    format!(r#"{{"currency":"{currency}","line_items":[{line}]}}"#)
}

/// An order of a mug with one more field.
fn with(field: &str, value: &str) -> String {
    format!(r#"{{"currency":"EUR","line_items":[{{"sku":"mug","quantity":1}}],"{field}":{value}}}"#)
}

/// A 4xx problem with this pointer among its errors.
#[track_caller]
fn refused(answer: &Answer, pointer: Option<&str>, case: &str) {
    assert!(
        (400..500).contains(&answer.status),
        "{case}: {} {}",
        answer.status,
        answer.text
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{case}"
    );
    let pointers = answer.pointers();
    match pointer {
        Some(pointer) => {
            assert_eq!(answer.status, 422, "{case}: {}", answer.text);
            assert!(pointers.contains(&pointer), "{case}: {}", answer.text);
        }
        None => assert!(pointers.is_empty(), "{case}: {}", answer.text),
    }
}

/// Sends every body with one key, then a good one with it: nothing was stored and the key was not burnt.
async fn all_refused(app: &TestApp, actor: &Actor, cases: &[(String, Option<&str>)]) {
    let before = (app.orders_stored().await, app.keys_stored().await);
    for (body, pointer) in cases {
        let answer = actor.post_text("/v1/orders", KEY, body.clone()).await;
        refused(&answer, *pointer, body);
    }
    assert_eq!(
        (app.orders_stored().await, app.keys_stored().await),
        before,
        "nothing is stored"
    );
    let good = actor
        .post_with_key("/v1/orders", KEY, &two_mugs())
        .await
        .expect(201);
    assert_eq!(
        good.header("idempotent-replayed"),
        None,
        "the key was not burnt"
    );
    assert_eq!(good.str("total"), "25.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_none_are_refused() {
    let app = TestApp::quiet().await;
    let price = Some("/line_items/0/unit_price");
    let huge = format!("\"1{}\"", "0".repeat(30));
    let mut cases: Vec<(String, Option<&str>)> = [
        r#""-1""#,
        r#""-0""#,
        r#""1e3""#,
        r#""1E3""#,
        r#""+5""#,
        r#""1_000""#,
        r#""1,000""#,
        r#""1,5""#,
        r#""1.005""#,
        r#""1.000""#,
        r#""""#,
        r#"" ""#,
        r#"" 1""#,
        r#""1 ""#,
        r#""1.""#,
        r#"".5""#,
        r#"".""#,
        r#""1.2.3""#,
        r#""NaN""#,
        r#""Infinity""#,
        r#""0x10""#,
        r#""٣""#,
        r#""１""#,
        r#""½""#,
        r#""1\u0000""#,
        r#""€1""#,
        r#""1 EUR""#,
        "1.00",
        "1",
        "0",
        "-1",
        "true",
        "null",
        "{}",
        "[]",
        r#"["1"]"#,
        huge.as_str(),
        r#""10000000000.01""#,
        r#""9223372036854775808""#,
    ]
    .iter()
    .map(|amount| (priced("EUR", amount), price))
    .collect();
    cases.extend([r#""0.5""#, r#""1.0""#, r#""1.""#].map(|yen| (priced("JPY", yen), price)));
    cases.extend([r#""1.0001""#, r#""0.0005""#].map(|fils| (priced("KWD", fils), price)));
    cases
        .extend(["NaN", "Infinity", "01", "+1", "1.", "0x1"].map(|bad| (priced("EUR", bad), None)));
    // Past the limit in sum, though each part is within it.
    let dear = r#"{"name":"Mug","unit_price":"9999999999.99","quantity":2}"#;
    cases.push((order_of(dear), Some("/line_items")));
    let dear = r#"{"name":"Mug","unit_price":"9999999999.99","quantity":9999}"#;
    cases.push((order_of(&vec![dear; 100].join(",")), Some("/line_items")));
    all_refused(&app, &app.merchant().await, &cases).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quantities_lines_currencies_and_skus_that_are_none_are_refused() {
    let app = TestApp::quiet().await;
    let mut cases: Vec<(String, Option<&str>)> = [
        "0",
        "-1",
        "1.5",
        "2.0",
        "1e2",
        "10000",
        "4294967296",
        "4294967297",
        r#""2""#,
        "null",
        "true",
        "[]",
        "18446744073709551616",
    ]
    .iter()
    .map(|quantity| format!(r#"{{"sku":"mug","quantity":{quantity}}}"#))
    .map(|line| (order_of(&line), Some("/line_items/0/quantity")))
    .collect();
    let mug = r#"{"sku":"mug","quantity":1}"#;
    let lines = Some("/line_items");
    cases.extend([
        (order_of(r#"{"sku":"mug"}"#), Some("/line_items/0/quantity")),
        (
            order_of(&format!("{mug},{}", r#"{"sku":"mug","quantity":0}"#)),
            Some("/line_items/1/quantity"),
        ),
        (order_of(""), lines),
        (order_of(&vec![mug; 101].join(",")), lines),
        (r#"{"currency":"EUR"}"#.to_owned(), lines),
        (r#"{"currency":"EUR","line_items":null}"#.to_owned(), lines),
        (r#"{"currency":"EUR","line_items":{}}"#.to_owned(), lines),
        (r#"{"currency":"EUR","line_items":"mug"}"#.to_owned(), lines),
        (order_of("null"), Some("/line_items/0")),
        (order_of("[]"), Some("/line_items/0")),
        (order_of(r#""mug""#), Some("/line_items/0")),
        (order_of("{}"), Some("/line_items/0/quantity")),
    ]);
    for currency in [
        r#""XXX""#,
        r#""XAU""#,
        r#""eur""#,
        r#""Eur""#,
        r#""EURO""#,
        r#""EU""#,
        r#""""#,
        r#""EUR ""#,
        r#""€""#,
        r#""EU\u0000""#,
        r#""ＥＵＲ""#,
        "978",
        "null",
        r#"["EUR"]"#,
    ] {
        let body = format!(r#"{{"currency":{currency},"line_items":[{mug}]}}"#);
        cases.push((body, Some("/currency")));
    }
    cases.push((format!(r#"{{"line_items":[{mug}]}}"#), Some("/currency")));
    let long = format!(r#""{}""#, "a".repeat(65));
    for sku in [
        r#""no-such-sku""#,
        r#""MUG""#,
        r#""mug ""#,
        r#""""#,
        r#""mug\u0000""#,
        r#""a b""#,
        r#""mügen""#,
        r#""../mug""#,
        r#""mug' OR '1'='1""#,
        long.as_str(),
        "1",
        "null",
        r#"{"sku":"mug"}"#,
    ] {
        let line = format!(r#"{{"sku":{sku},"quantity":1}}"#);
        cases.push((order_of(&line), Some("/line_items/0/sku")));
    }
    // A price in this currency is missing.
    let dollars = format!(r#"{{"currency":"USD","line_items":[{mug}]}}"#);
    cases.push((dollars, Some("/line_items/0/sku")));
    cases.push((
        order_of(&format!("{mug},{}", r#"{"sku":"cup","quantity":1}"#)),
        Some("/line_items/1/sku"),
    ));
    all_refused(&app, &app.merchant().await, &cases).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_both_or_neither_of_the_two_kinds_are_refused() {
    let app = TestApp::quiet().await;
    let at = |field: &'static str| Some(field);
    let cases = [
        (
            r#"{"sku":"mug","name":"Mug","unit_price":"1.00","quantity":1}"#,
            at("/line_items/0/sku"),
        ),
        (
            r#"{"sku":"mug","unit_price":"1.00","quantity":1}"#,
            at("/line_items/0/sku"),
        ),
        (
            r#"{"sku":"mug","name":"Mug","quantity":1}"#,
            at("/line_items/0/sku"),
        ),
        (
            r#"{"name":"Mug","quantity":1}"#,
            at("/line_items/0/unit_price"),
        ),
        (
            r#"{"unit_price":"1.00","quantity":1}"#,
            at("/line_items/0/name"),
        ),
        (r#"{"quantity":1}"#, at("/line_items/0/sku")),
        (
            r#"{"sku":"mug","quantity":1,"price":"1.00"}"#,
            at("/line_items/0/price"),
        ),
    ]
    .map(|(line, pointer)| (order_of(line), pointer));
    all_refused(&app, &app.merchant().await, &cases).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_too_long_hollow_or_hold_control_characters_are_refused() {
    let app = TestApp::quiet().await;
    let mut cases: Vec<(String, Option<&str>)> = Vec::new();
    let text = |length: usize| "ü".repeat(length);
    let bad_everywhere = [
        "",
        "   ",
        "\\u0000",
        "a\\u0000b",
        "\\u0007",
        "a\\nb",
        "\\u001b[31m",
        "\\u0085",
        "4242 4242 4242 4242",
        "4242424242424242",
        "378282246310005",
        "paid with 4242-4242-4242-4242, exp 12/30",
    ];
    for bad in bad_everywhere {
        cases.push((
            with("customer", &format!(r#"{{"name":"{bad}"}}"#)),
            Some("/customer/name"),
        ));
        cases.push((
            with("reference", &format!(r#""{bad}""#)),
            Some("/reference"),
        ));
        let address = format!(r#"{{"line1":"{bad}"}}"#);
        cases.push((
            with("shipping_address", &address),
            Some("/shipping_address/line1"),
        ));
        cases.push((
            with("billing_address", &address),
            Some("/billing_address/line1"),
        ));
        let line = format!(r#"{{"name":"{bad}","unit_price":"1.00","quantity":1}}"#);
        cases.push((order_of(&line), Some("/line_items/0/name")));
    }
    let line = format!(
        r#"{{"name":"{}","unit_price":"1.00","quantity":1}}"#,
        text(201)
    );
    cases.extend([
        (order_of(&line), Some("/line_items/0/name")),
        (
            with("reference", &format!(r#""{}""#, text(65))),
            Some("/reference"),
        ),
        (with("reference", "7"), Some("/reference")),
        (
            with("customer", &format!(r#"{{"name":"{}"}}"#, text(201))),
            Some("/customer/name"),
        ),
        (with("customer", r#"{"name":7}"#), Some("/customer/name")),
        (with("customer", r#""Ada""#), Some("/customer")),
        (with("customer", "[]"), Some("/customer")),
        (
            with("shipping_address", r#"{"country":"de"}"#),
            Some("/shipping_address/country"),
        ),
        (
            with("shipping_address", r#"{"country":"DEU"}"#),
            Some("/shipping_address/country"),
        ),
        (
            with("shipping_address", r#"{"street":"x"}"#),
            Some("/shipping_address/street"),
        ),
        (
            with(
                "billing_address",
                &format!(r#"{{"postal_code":"{}"}}"#, text(33)),
            ),
            Some("/billing_address/postal_code"),
        ),
        (with("billing_address", "[]"), Some("/billing_address")),
        (with("discount_code", r#""SUMMER""#), Some("/discount_code")),
        (
            with("shipping_method", r#""express""#),
            Some("/shipping_method"),
        ),
    ]);
    let long = format!("{}@example.com", "a".repeat(243));
    for email in [
        "ada",
        "ada@",
        "@example.com",
        "a@b@c",
        "a b@example.com",
        "a@exam ple.com",
        "a@b\\u0000",
        "a@b\\n",
        "",
        "\\u00a0a@b",
        long.as_str(),
    ] {
        cases.push((
            with("customer", &format!(r#"{{"email":"{email}"}}"#)),
            Some("/customer/email"),
        ));
    }
    cases.push((with("customer", r#"{"email":5}"#), Some("/customer/email")));
    all_refused(&app, &app.merchant().await, &cases).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_beyond_its_limits_is_refused() {
    let app = TestApp::quiet().await;
    let object =
        |entries: Vec<(String, Value)>| Value::Object(entries.into_iter().collect()).to_string();
    let one = |key: &str, value: Value| object(vec![(key.to_owned(), value)]);
    let whole = Some("/metadata");
    let cases = [
        (
            object((0..51).map(|at| (format!("k{at}"), json!("v"))).collect()),
            whole,
        ),
        (one(&"k".repeat(41), json!("v")), whole),
        (one("", json!("v")), whole),
        (one("a\0b", json!("v")), whole),
        (one("4242424242424242", json!("v")), whole),
        (
            one("a/b~c", json!("v".repeat(501))),
            Some("/metadata/a~1b~0c"),
        ),
        (one("k", json!("a\0b")), Some("/metadata/k")),
        (one("k", json!("4242 4242 4242 4242")), Some("/metadata/k")),
        (one("k", json!(1)), Some("/metadata/k")),
        (one("k", json!(null)), Some("/metadata/k")),
        (one("k", json!({"nested": "v"})), Some("/metadata/k")),
        (one("k", json!(["v"])), Some("/metadata/k")),
        ("[]".to_owned(), whole),
        (r#""v""#.to_owned(), whole),
        (r#"{"k":"1","k":"1"}"#.to_owned(), Some("/metadata/k")),
    ]
    .map(|(metadata, pointer)| (with("metadata", &metadata), pointer));
    let merchant = app.merchant().await;
    all_refused(&app, &merchant, &cases).await;
    // No refusal repeats what it refuses.
    for (key, value) in [
        ("CANARY é 7\u{7}", "v"),
        ("secret CANARY", "\0"),
        ("4242424242424242", "\0"),
    ] {
        let body = with("metadata", &one(key, json!(value)));
        let answer = merchant.post_text("/v1/orders", "canary", body).await;
        refused(&answer, whole, key);
        assert!(
            !answer.text.contains("CANARY") && !answer.text.contains("42424242"),
            "{}",
            answer.text
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_no_orders_are_refused() {
    let app = TestApp::quiet().await;
    let good = two_mugs().to_string();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let nested = |levels: usize| {
        with(
            "metadata",
            &format!(r#"{}"x"{}"#, r#"{"k":"#.repeat(levels), "}".repeat(levels)),
        )
    };
    let whole = Some("");
    let mut cases = vec![
        ("[]".to_owned(), whole),
        ("null".to_owned(), whole),
        ("5".to_owned(), whole),
        (r#""order""#.to_owned(), whole),
        (format!("[{good}]"), whole),
        (nested(2), Some("/metadata/k")),
    ];
    for text in [
        "",
        " ",
        "{",
        "}",
        "{]",
        "nul",
        "'{}'",
        "\u{feff}{}",
        "{\"currency\":\"EUR\",}",
        "{currency:\"EUR\"}",
        "{\"currency\":\"EUR\" \"line_items\":[]}",
        "// comment\n{}",
        "{}{}",
        "\0",
        "{\"currency\":\"EU\u{1}R\"}",
        "{\"reference\":\"\\x41\"}",
        "currency=EUR",
    ] {
        cases.push((text.to_owned(), None));
    }
    cases.push((format!("{good} x"), None));
    // Lone surrogates are no text: alone, reversed, at the end, in a key.
    for half in [
        "\\ud800",
        "\\udc00",
        "\\udc00\\ud800",
        "Ada \\ud83d",
        "\\ud83dx",
        "\\ud83d\\u0041",
    ] {
        cases.push((with("reference", &format!("\"{half}\"")), None));
        cases.push((with("customer", &format!(r#"{{"name":"{half}"}}"#)), None));
        cases.push((with("metadata", &format!(r#"{{"{half}":"x"}}"#)), None));
    }
    for field in ["currency", "line_items"] {
        let value = if field == "currency" {
            r#""EUR""#
        } else {
            "[]"
        };
        let pointer = if field == "currency" {
            "/currency"
        } else {
            "/line_items"
        };
        cases.push((with(field, value), Some(pointer)));
    }
    let twice = r#"{"sku":"mug","quantity":1,"quantity":1}"#;
    cases.push((order_of(twice), Some("/line_items/0/quantity")));
    let merchant = app.merchant().await;
    all_refused(&app, &merchant, &cases).await;
    for body in [deep, nested(40)] {
        let answer = merchant.post_text("/v1/orders", "deep", body).await;
        assert!([400, 413, 422].contains(&answer.status), "{}", answer.text);
    }
    for bytes in [
        &b"{\"currency\":\"\xff\"}"[..],
        b"{\"currency\":\"EUR\",\"reference\":\"\xed\xa0\x80\"}",
        b"\xff\xfe{\0}\0",
    ] {
        let answer = merchant
            .post_text("/v1/orders", "bytes", bytes.to_vec())
            .await;
        answer.problem(400, "malformed_json");
    }
    assert_eq!(app.orders_stored().await, 1);
    app.finish().await;
}

/// What a browser may try to say about its order, as fields of the order, its lines and its customer.
const FORGED: &[(&str, &str)] = &[
    ("total", r#""0.01""#),
    ("subtotal", r#""0.01""#),
    ("discount_total", r#""24.99""#),
    ("shipping_total", r#""0.00""#),
    ("tax_total", r#""0.00""#),
    ("tax_included", "true"),
    ("amount", r#""0.01""#),
    ("amount_paid", r#""25.00""#),
    ("amount_authorized", r#""25.00""#),
    ("amount_refunded", r#""25.00""#),
    ("amount_disputed", r#""0.00""#),
    ("price", r#""0.01""#),
    ("prices", r#"{"EUR":"0.01"}"#),
    ("unit_price", r#""0.01""#),
    ("total_minor", "1"),
    ("paid_minor", "2500"),
    ("status", r#""completed""#),
    ("payment_status", r#""paid""#),
    ("fulfilment_status", r#""fulfilled""#),
    ("review", "null"),
    ("paid", "true"),
    ("paid_at", r#""2026-01-01T00:00:00.000Z""#),
    ("shop", r#""other""#),
    ("shop_id", r#""shop_00000000000000000000000000""#),
    ("tenant", r#""other""#),
    ("id", r#""ord_00000000000000000000000000""#),
    ("object", r#""order""#),
    ("number", r#""1""#),
    ("client_token", r#""ot_x""#),
    ("token_key", "1"),
    ("livemode", "true"),
    ("mode", r#""live""#),
    ("created_at", r#""2020-01-01T00:00:00.000Z""#),
    ("updated_at", "0"),
    ("expires_at", r#""2999-01-01T00:00:00.000Z""#),
    ("actor", r#""system""#),
    ("request_id", r#""mine""#),
    ("event_seq", "0"),
    ("provider", r#""none""#),
    ("provider_account_id", r#""pa_00000000000000000000000000""#),
    ("capture", r#""manual""#),
    ("discount", r#""100%""#),
    ("coupon", r#""FREE""#),
    ("payments", "[]"),
    ("refunds", "[]"),
    ("events", "[]"),
    ("scopes", r#"["orders:write"]"#),
    ("admin", "true"),
    ("__proto__", r#"{"admin":true}"#),
    ("constructor", "null"),
    ("Currency", r#""JPY""#),
    ("CURRENCY", r#""JPY""#),
    ("lineItems", "[]"),
];
const FORGED_IN_A_LINE: &[(&str, &str)] = &[
    ("unit_price", r#""0.01""#),
    ("name", r#""Cheap""#),
    ("price", r#""0.01""#),
    ("total", r#""0.01""#),
    ("subtotal", r#""0.01""#),
    ("discount", r#""24.99""#),
    ("tax", r#""0.00""#),
    ("amount", "1"),
    ("unit_price_minor", "1"),
    ("currency", r#""JPY""#),
    ("id", r#""li_x""#),
    ("object", r#""line_item""#),
    ("product_id", r#""prod_x""#),
    ("price_id", r#""price_x""#),
    ("refunded_quantity", "1"),
    ("position", "0"),
    ("order_id", r#""ord_x""#),
    ("created_at", "0"),
    ("Quantity", "1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_cannot_forge_a_price_a_state_a_shop_an_id_or_a_date() {
    let app = TestApp::quiet().await;
    let mut cases: Vec<(String, String)> = Vec::new();
    for (field, value) in FORGED {
        cases.push((with(field, value), format!("/{field}")));
    }
    for (field, value) in FORGED_IN_A_LINE {
        let line = format!(r#"{{"sku":"mug","quantity":2,"{field}":{value}}}"#);
        cases.push((order_of(&line), format!("/line_items/0/{field}")));
    }
    for (field, value) in [
        ("id", r#""cus_1""#),
        ("role", r#""admin""#),
        ("created_at", "0"),
    ] {
        let customer = format!(r#"{{"email":"ada@example.com","{field}":{value}}}"#);
        cases.push((with("customer", &customer), format!("/customer/{field}")));
    }
    let inline = r#"{"name":"Mug","unit_price":"0.01","quantity":1}"#;
    cases.push((order_of(inline), "/line_items/0/unit_price".to_owned()));
    let nulls =
        r#"{"sku":"mug","quantity":1},{"sku":null,"name":"Mug","unit_price":"0.00","quantity":1}"#;
    cases.push((order_of(nulls), "/line_items/1/unit_price".to_owned()));
    assert!(cases.len() >= 60, "{}", cases.len());
    let cases: Vec<(String, Option<&str>)> = cases
        .iter()
        .map(|(body, pointer)| (body.clone(), Some(pointer.as_str())))
        .collect();
    let browser = app.storefront().await;
    all_refused(&app, &browser, &cases).await;
    // A field whose name cannot stand in a pointer is refused all the same.
    for field in [
        "$where",
        "currency ",
        "line_items[0]",
        "сurrency",
        "a.b c",
        "",
    ] {
        let answer = browser
            .post_text("/v1/orders", "odd", with(field, "1"))
            .await;
        assert_eq!(answer.status, 422, "{field}: {}", answer.text);
    }
    assert_eq!(app.orders_stored().await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_headers_and_the_address_say_changes_no_order() {
    let app = TestApp::quiet().await;
    let browser = app.storefront().await;
    let request = |path: &str| {
        let request = browser.request(Method::POST, path);
        request
            .header("Idempotency-Key", "k")
            .header("X-Shop", "other")
            .header("X-HTTP-Method-Override", "DELETE")
            .header("X-Forwarded-For", "127.0.0.1")
            .header("Order-Token", "ot_x")
            .json(&two_mugs())
    };
    let path = "/v1/orders?total=0.01&shop=other&_method=DELETE";
    let refused = browser.send(request(path)).await;
    let refused = refused.problem(422, "invalid_request");
    assert_eq!(refused.pointers(), ["/total", "/shop", "/_method"]);
    let placed = browser.send(request("/v1/orders")).await.expect(201);
    assert_eq!(
        (placed.str("total"), placed.str("status")),
        ("25.00", "open")
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkouts_with_bad_bodies_are_refused_and_never_reach_the_provider() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let order = merchant.place_order().await;
    let browser = app.storefront().await;
    let long = format!("https://shop.example/{}", "a".repeat(2_048));
    let bad_urls = [
        r#""""#,
        r#""/thanks""#,
        r#""shop.example""#,
        r#""//shop.example/""#,
        r#""https://""#,
        r#""https:///path""#,
        r#""ftp://shop.example""#,
        r#""javascript:alert(1)""#,
        r#""data:text/html,x""#,
        r#""https://user@shop.example/""#,
        r#""https://a b.example/""#,
        // Providers refuse these, and that must not come to light as a 502.
        r#""https://exämple.de/""#,
        r#""https://sh>op.example/""#,
        r#""https://1.2.3.256/""#,
        r#""https://shop.example:65536/""#,
        r#"" https://shop.example/""#,
        r#""https://shop.example/\u0000""#,
        r#""https://shop.example/\n""#,
        r#""HTTPS""#,
        "null",
        "5",
        "[]",
        "{}",
    ];
    let long = format!("\"{long}\"");
    let good = r#""https://shop.example/ok""#;
    let mut cases: Vec<(String, Option<String>)> = Vec::new();
    for bad in bad_urls.iter().chain([&long.as_str()]) {
        let body = format!(r#"{{"success_url":{bad},"cancel_url":{good}}}"#);
        cases.push((body, Some("/success_url".to_owned())));
        let body = format!(r#"{{"success_url":{good},"cancel_url":{bad}}}"#);
        cases.push((body, Some("/cancel_url".to_owned())));
    }
    for capture in [r#""later""#, r#""Automatic""#, r#""""#, "5", "true", "{}"] {
        let body = format!(r#"{{"success_url":{good},"cancel_url":{good},"capture":{capture}}}"#);
        cases.push((body, Some("/capture".to_owned())));
    }
    for field in [
        "amount",
        "currency",
        "status",
        "url",
        "order_id",
        "id",
        "expires_at",
        "provider",
        "provider_session_id",
        "metadata",
        "mode",
        "line_items",
        "customer_email",
        "shop_id",
        "total",
    ] {
        let body = format!(r#"{{"success_url":{good},"cancel_url":{good},"{field}":"0.01"}}"#);
        cases.push((body, Some(format!("/{field}"))));
    }
    cases.push((
        format!(r#"{{"success_url":{good}}}"#),
        Some("/cancel_url".to_owned()),
    ));
    cases.push((
        format!(r#"{{"cancel_url":{good}}}"#),
        Some("/success_url".to_owned()),
    ));
    for (body, pointer) in [
        ("[]", Some("")),
        ("null", Some("")),
        ("", None),
        ("{", None),
    ] {
        cases.push((body.to_owned(), pointer.map(str::to_owned)));
    }
    let twice = format!(r#"{{"success_url":{good},"success_url":{good},"cancel_url":{good}}}"#);
    cases.push((twice, Some("/success_url".to_owned())));
    let surrogate =
        format!(r#"{{"success_url":"https://shop.example/\ud800","cancel_url":{good}}}"#);
    cases.push((surrogate, None));

    let path = format!("/v1/orders/{}/checkout_sessions", order.str("id"));
    for actor in [&merchant, &browser] {
        for (body, pointer) in &cases {
            let request = actor
                .request(Method::POST, &path)
                .header("Idempotency-Key", KEY);
            let request = request.header("Content-Type", "application/json");
            let request = request.header("Order-Token", order.str("client_token"));
            let answer = actor.send(request.body(body.clone())).await;
            refused(&answer, pointer.as_deref(), body);
        }
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM checkout_session").await, 0);
    assert_eq!(app.count("SELECT COUNT(*) FROM provider_call").await, 0);
    assert_eq!(app.keys_stored().await, 1, "the order's");
    assert!(
        app.journal("request").await.is_empty(),
        "the provider heard nothing"
    );
    let session = merchant
        .post_with_key(&path, KEY, &checkout_body())
        .await
        .expect(201);
    assert_eq!(
        (session.header("idempotent-replayed"), session.str("amount")),
        (None, "25.00")
    );
    app.finish().await;
}
