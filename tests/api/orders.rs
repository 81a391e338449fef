//! Placing and reading orders: the answer is the contract's to the letter, prices come from where they must,
//! and a refusal leaves nothing. Orders are placed over HTTP and whole bodies compared.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scopes};
use till::domain::time::{DAY_MS, Timestamp};

use crate::harness::actor::two_mugs;
use crate::harness::{Actor, Answer, TestApp};

const UNICODE: &str = "Zoë \u{202e}مرحبا\u{202c} 👩\u{200d}🚀 e\u{301} 名前 \u{feff}x";

fn one_line(currency: &str, unit_price: &str) -> Value {
    json!({
        "currency": currency,
        "line_items": [{"name": "Engraving", "unit_price": unit_price, "quantity": 1}],
    })
}

async fn read_with_token(browser: &Actor, id: &str, token: Option<&str>) -> Answer {
    let mut request = browser.request(Method::GET, &format!("/v1/orders/{id}"));
    if let Some(token) = token {
        request = request.header("Order-Token", token);
    }
    browser.send(request).await
}

/// The body of a problem without the request's own id.
fn without_request_id(answer: &Answer) -> String {
    answer.text.replace(answer.str("request_id"), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_has_exactly_the_shape_of_the_contract() {
    let app = TestApp::quiet().await;
    let address = json!({"name": "Ada", "line1": "Weg 1", "line2": null, "city": "Köln", "state": null,
        "postal_code": "50667", "country": "DE", "phone": "+49 221 1"});
    let wanted = json!({
        "currency": "EUR", "reference": "web-1001",
        "customer": {"email": "ada@example.com", "name": "Ada"},
        "line_items": [
            {"sku": "mug", "quantity": 2},
            {"name": "Engraving", "unit_price": "4.5", "quantity": 3},
        ],
        "discount_code": null, "shipping_method": null,
        "shipping_address": address, "billing_address": null,
        "metadata": {"cart": "77"},
    });
    let merchant = app.merchant().await;
    let placed = merchant.post("/v1/orders", &wanted).await.expect(201);
    let got = &placed.json;
    let line = |at: usize, field: &str| got["line_items"][at][field].clone();
    let expected = json!({
        "id": got["id"], "object": "order", "number": "1001", "reference": "web-1001",
        "status": "open", "payment_status": "unpaid", "fulfilment_status": "unfulfilled",
        "review": null, "currency": "EUR", "tax_included": false,
        "subtotal": "38.50", "discount_total": "0.00", "shipping_total": "0.00",
        "tax_total": "0.00", "total": "38.50",
        "amount_authorized": "0.00", "amount_paid": "0.00", "amount_refunded": "0.00",
        "amount_disputed": "0.00",
        "customer": {"email": "ada@example.com", "name": "Ada"},
        "line_items": [
            {"id": line(0, "id"), "object": "line_item", "sku": "mug", "name": "Mug",
             "quantity": 2, "unit_price": "12.50", "subtotal": "25.00", "discount": "0.00",
             "tax": "0.00", "total": "25.00", "created_at": line(0, "created_at")},
            {"id": line(1, "id"), "object": "line_item", "sku": null, "name": "Engraving",
             "quantity": 3, "unit_price": "4.50", "subtotal": "13.50", "discount": "0.00",
             "tax": "0.00", "total": "13.50", "created_at": line(1, "created_at")},
        ],
        "shipping_address": address, "billing_address": null,
        "metadata": {"cart": "77"}, "livemode": false,
        "created_at": got["created_at"], "expires_at": got["expires_at"],
        "client_token": got["client_token"],
    });
    assert_eq!(*got, expected);
    assert!(placed.str("id").starts_with("ord_"));
    assert!(line(0, "id").as_str().expect("an id").starts_with("li_"));
    assert!(placed.str("client_token").starts_with("ot_"));
    assert_eq!(placed.header("content-type"), Some("application/json"));
    assert_eq!(placed.header("idempotent-replayed"), None);

    let mut read = expected;
    read.as_object_mut()
        .expect("an object")
        .remove("client_token");
    let location = placed.header("location").expect("a Location");
    assert_eq!(location, format!("/v1/orders/{}", placed.str("id")));
    assert_eq!(merchant.get(location).await.expect(200).json, read);
    assert_eq!(
        merchant.get("/v1/orders").await.expect(200).json["data"],
        json!([read])
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_null_or_empty() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let wanted = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
    let order = merchant.post("/v1/orders", &wanted).await.expect(201).json;
    assert_eq!(order["reference"], Value::Null);
    assert_eq!(order["customer"], json!({"email": null, "name": null}));
    assert_eq!(order["shipping_address"], Value::Null);
    assert_eq!(order["metadata"], json!({}));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_have_milliseconds_and_an_order_expires_after_a_day() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let before = app.clock.now();
    let order = merchant.place_order().await;
    let after = app.clock.now();
    for field in ["created_at", "expires_at"] {
        let text = order.str(field);
        assert_eq!(
            (text.len(), &text[19..20], &text[23..]),
            (24, ".", "Z"),
            "{text}"
        );
    }
    let time = |field| Timestamp::parse(order.str(field)).expect("a time");
    assert!(before <= time("created_at") && time("created_at") <= after);
    let expires = time("expires_at");
    assert!(before.plus_ms(DAY_MS) <= expires && expires <= after.plus_ms(DAY_MS));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_have_exactly_the_digits_of_their_currency() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    for (currency, given, shown, zero) in [
        ("EUR", "59.97", "59.97", "0.00"),
        ("EUR", "7", "7.00", "0.00"),
        ("EUR", "0.5", "0.50", "0.00"),
        ("EUR", "007.10", "7.10", "0.00"),
        ("EUR", "9999999999.99", "9999999999.99", "0.00"),
        ("JPY", "5997", "5997", "0"),
        ("KWD", "5.99", "5.990", "0.000"),
        ("KWD", "3", "3.000", "0.000"),
        ("ISK", "1500", "1500", "0"),
    ] {
        let placed = merchant
            .post("/v1/orders", &one_line(currency, given))
            .await
            .expect(201);
        let order = merchant.order(placed.str("id")).await;
        for field in ["subtotal", "total"] {
            assert_eq!(order[field], shown, "{currency} {given} {field}");
        }
        for field in [
            "discount_total",
            "shipping_total",
            "tax_total",
            "amount_authorized",
            "amount_paid",
            "amount_refunded",
            "amount_disputed",
        ] {
            assert_eq!(order[field], zero, "{currency} {field}");
        }
        let line = &order["line_items"][0];
        assert_eq!(
            (&line["unit_price"], &line["total"]),
            (&json!(shown), &json!(shown))
        );
        assert_eq!(
            (&line["discount"], &line["tax"]),
            (&json!(zero), &json!(zero))
        );
    }
    let yen = json!({"currency": "JPY", "line_items": [{"sku": "mug", "quantity": 3}]});
    let order = merchant.post("/v1/orders", &yen).await.expect(201).json;
    assert_eq!(
        (&order["total"], &order["line_items"][0]["unit_price"]),
        (&json!("4500"), &json!("1500"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_begin_at_1001_and_no_two_orders_of_a_shop_share_one() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut numbers: Vec<String> = Vec::new();
    for _ in 0..5 {
        numbers.push(merchant.place_order().await.str("number").to_owned());
    }
    assert_eq!(numbers, ["1001", "1002", "1003", "1004", "1005"]);
    let placed = join_all((0..40).map(|_| merchant.place_order())).await;
    numbers.extend(placed.iter().map(|order| order.str("number").to_owned()));
    let unique: BTreeSet<u32> = numbers
        .iter()
        .map(|n| n.parse().expect("a number"))
        .collect();
    assert_eq!(unique.len(), 45);
    assert!(
        unique.iter().all(|number| (1001..1101).contains(number)),
        "{unique:?}"
    );
    let last = merchant
        .place_order()
        .await
        .str("number")
        .parse::<u32>()
        .expect("a number");
    assert!(unique.iter().all(|number| *number < last), "numbers rise");

    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    assert_eq!(other.place_order().await.str("number"), "1001");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_token_is_in_the_201_and_its_replays_and_nowhere_else() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let first = merchant
        .post_with_key("/v1/orders", "once", &two_mugs())
        .await
        .expect(201);
    let again = merchant
        .post_with_key("/v1/orders", "once", &two_mugs())
        .await
        .expect(201);
    let token = first.str("client_token");
    assert_eq!(again.str("client_token"), token);
    let id = first.str("id");
    for path in [format!("/v1/orders/{id}"), "/v1/orders".to_owned()] {
        let read = merchant.get(&path).await.expect(200);
        assert!(
            !read.text.contains("client_token") && !read.text.contains(token),
            "{path}"
        );
    }
    let browser = app.storefront().await;
    let read = read_with_token(&browser, id, Some(token)).await.expect(200);
    assert!(!read.text.contains("client_token") && !read.text.contains(token));
    assert_ne!(merchant.place_order().await.str("client_token"), token);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_key_prices_its_own_lines_and_free_ones_too() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let wanted = json!({"currency": "EUR", "line_items": [
        {"name": "Gift wrap", "unit_price": "0", "quantity": 9999},
        {"name": "Penny", "unit_price": "0.01", "quantity": 9999},
        {"sku": "mug", "quantity": 1},
        {"sku": "mug", "quantity": 2},
    ]});
    let order = merchant.post("/v1/orders", &wanted).await.expect(201).json;
    assert_eq!(order["total"], "137.49");
    let totals: Vec<&Value> = (0..4).map(|at| &order["line_items"][at]["total"]).collect();
    assert_eq!(totals, ["0.00", "99.99", "12.50", "25.00"]);
    let lines = vec![json!({"sku": "mug", "quantity": 1}); 100];
    let hundred = json!({"currency": "EUR", "line_items": lines});
    let order = merchant.post("/v1/orders", &hundred).await.expect(201).json;
    assert_eq!(order["total"], "1250.00");
    assert_eq!(order["line_items"].as_array().expect("lines").len(), 100);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_reference_names_its_order_to_secret_keys_only() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut wanted = two_mugs();
    wanted["reference"] = json!("web-7");
    let first = merchant.post("/v1/orders", &wanted).await.expect(201);
    let refused = merchant
        .post("/v1/orders", &wanted)
        .await
        .problem(409, "reference_taken");
    assert_eq!(refused.str("order_id"), first.str("id"));

    let browser = app.storefront().await;
    let refused = browser
        .post("/v1/orders", &wanted)
        .await
        .problem(409, "reference_taken");
    assert!(!refused.text.contains("ord_"), "{}", refused.text);
    assert_eq!(app.orders_stored().await, 1);

    // In letter case and in another shop it is another reference.
    let other = app.another_shop("other", Mode::Test).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    other.post("/v1/orders", &wanted).await.expect(201);
    wanted["reference"] = json!("WEB-7");
    merchant.post("/v1/orders", &wanted).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_orders_with_one_reference_at_once_one_is_placed() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut wanted = two_mugs();
    wanted["reference"] = json!("web-8");
    let answers = join_all((0..20).map(|_| merchant.post("/v1/orders", &wanted))).await;
    let (placed, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((placed.len(), refused.len()), (1, 19));
    for answer in refused {
        let answer = answer.problem(409, "reference_taken");
        assert_eq!(answer.str("order_id"), placed[0].str("id"));
    }
    assert_eq!((app.orders_stored().await, app.keys_stored().await), (1, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_nothing_is_paid_at_once_and_says_so_once() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let wanted = json!({"currency": "EUR", "line_items": [{"sku": "free", "quantity": 2}]});
    let placed = merchant
        .post_with_key("/v1/orders", "free", &wanted)
        .await
        .expect(201);
    assert_eq!(placed.str("total"), "0.00");
    assert_eq!(
        (placed.str("status"), placed.str("payment_status")),
        ("open", "paid")
    );
    merchant
        .post_with_key("/v1/orders", "free", &wanted)
        .await
        .expect(201);
    let id = placed.str("id");
    assert_eq!(merchant.order(id).await["payment_status"], "paid");
    merchant.check_out(id).await.problem(409, "nothing_to_pay");
    app.work().await;
    let events = |kind: &str| {
        format!("SELECT COUNT(*) FROM event WHERE order_id = '{id}' AND type = '{kind}'")
    };
    assert_eq!(app.count(&events("order.created")).await, 1);
    assert_eq!(app.count(&events("order.paid")).await, 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM ledger_entry").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_names_skus_and_pays_the_catalogues_price() {
    let app = TestApp::quiet().await;
    let browser = app.storefront().await;
    let placed = browser.post("/v1/orders", &two_mugs()).await.expect(201);
    assert_eq!(
        (placed.str("total"), &placed.json["line_items"][0]["name"]),
        ("25.00", &json!("Mug"))
    );
    for (line, pointers) in [
        (
            json!({"name": "Mug", "unit_price": "0.01", "quantity": 1}),
            vec!["name", "unit_price"],
        ),
        (
            json!({"name": "Mug", "unit_price": "0.00", "quantity": 1}),
            vec!["name", "unit_price"],
        ),
        (
            json!({"sku": "mug", "unit_price": "0.01", "quantity": 1}),
            vec!["unit_price"],
        ),
        (
            json!({"sku": "mug", "name": "Cheap mug", "quantity": 1}),
            vec!["name"],
        ),
    ] {
        let wanted =
            json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}, line]});
        let refused = browser
            .post("/v1/orders", &wanted)
            .await
            .problem(422, "invalid_request");
        for field in pointers {
            let pointer = format!("/line_items/1/{field}");
            assert!(
                refused.pointers().contains(&pointer.as_str()),
                "{}",
                refused.text
            );
        }
    }
    assert_eq!(app.orders_stored().await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_reads_an_order_only_with_its_token() {
    let app = TestApp::quiet().await;
    let browser = app.storefront().await;
    let mine = browser.post("/v1/orders", &two_mugs()).await.expect(201);
    let other = browser.post("/v1/orders", &two_mugs()).await.expect(201);
    let (id, token) = (mine.str("id"), mine.str("client_token"));
    let read = read_with_token(&browser, id, Some(token)).await.expect(200);
    assert_eq!(read.str("id"), id);
    // Another key of the shop reads it as well: the token is the order's, not the key's.
    let second = app.storefront().await;
    read_with_token(&second, id, Some(token)).await.expect(200);

    read_with_token(&browser, id, None)
        .await
        .problem(403, "forbidden");
    let absent = format!("ord_{}", "0".repeat(26));
    read_with_token(&browser, &absent, None)
        .await
        .problem(403, "forbidden");
    let nothing = read_with_token(&browser, &absent, Some(token))
        .await
        .problem(404, "not_found");
    let cut = &token[..token.len() - 1];
    for wrong in [
        other.str("client_token"),
        cut,
        "ot_",
        "",
        "x",
        &token.to_uppercase(),
    ] {
        let refused = read_with_token(&browser, id, Some(wrong))
            .await
            .problem(404, "not_found");
        assert_eq!(
            without_request_id(&refused),
            without_request_id(&nothing),
            "{wrong}"
        );
    }
    let foreign = app.another_shop("other", Mode::Test).await;
    let foreign = app
        .actor(&foreign, KeyKind::Publishable, Scopes::all())
        .await;
    let refused = read_with_token(&foreign, id, Some(token))
        .await
        .problem(404, "not_found");
    assert_eq!(without_request_id(&refused), without_request_id(&nothing));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_metadata_come_back_byte_for_byte() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let long_value = "ü".repeat(500);
    let mut metadata: serde_json::Map<String, Value> = (0..46)
        .map(|at| (format!("k{at}"), json!(at.to_string())))
        .collect();
    metadata.insert("ключ/~ \"x\"".to_owned(), json!(UNICODE));
    metadata.insert("ö".repeat(40), json!(long_value));
    metadata.insert("empty".to_owned(), json!(""));
    metadata.insert("quoted".to_owned(), json!("{\"a\": [1, \"\\u0041\"]}"));
    let mut wanted = two_mugs();
    wanted["metadata"] = Value::Object(metadata);
    wanted["reference"] = json!(UNICODE);
    wanted["customer"]["name"] = json!(UNICODE);
    wanted["shipping_address"] = json!({"line1": UNICODE, "country": "DE"});
    wanted["line_items"] = json!([{"name": UNICODE, "unit_price": "1.00", "quantity": 1}]);
    let placed = merchant.post("/v1/orders", &wanted).await.expect(201);
    let read = merchant.order(placed.str("id")).await;
    let listed = merchant.get("/v1/orders").await.expect(200).json["data"][0].clone();
    for order in [&placed.json, &read, &listed] {
        assert_eq!(order["metadata"], wanted["metadata"]);
        for got in [
            &order["reference"],
            &order["customer"]["name"],
            &order["shipping_address"]["line1"],
            &order["line_items"][0]["name"],
        ] {
            assert_eq!(got.as_str().expect("text").as_bytes(), UNICODE.as_bytes());
        }
    }
    // Escapes of a text are that text.
    let escaped = r#"{"currency":"EUR","line_items":[{"sku":"mug","quantity":1}],"metadata":{"k":"\ud83d\ude80 \u00fc"}}"#;
    let placed = merchant
        .post_text("/v1/orders", "escaped", escaped)
        .await
        .expect(201);
    assert_eq!(placed.json["metadata"]["k"], "🚀 ü");
    app.finish().await;
}

/// A set's rows travel to the database in its own notation, where these signs mean something.
#[tokio::test(flavor = "multi_thread")]
async fn signs_that_a_database_reads_as_its_own_are_texts() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let texts = [
        "a,b", ",", "(x)", ")", "\"", "\"\"", "\"a\",b", "\\", "\\\"", "\\\\", "\\,", "NULL",
        "null", "{}", "{a,b}", "'", "$1", "?", "()", "(,)", "a\\nb", "\\x00", "a  b",
    ];
    let orders: Vec<Value> = texts
        .iter()
        .map(|text| {
            json!({
                "currency": "EUR", "reference": text, "customer": {"name": text},
                "line_items": [{"name": text, "unit_price": "1.00", "quantity": 1}],
            })
        })
        .collect();
    // At once, so that they meet in sets.
    let placed = join_all(
        orders
            .iter()
            .map(|order| merchant.post("/v1/orders", order)),
    )
    .await;
    for (text, placed) in texts.iter().zip(placed) {
        let read = merchant.order(placed.expect(201).str("id")).await;
        let got = [
            &read["reference"],
            &read["customer"]["name"],
            &read["line_items"][0]["name"],
        ];
        assert_eq!(got, [text; 3]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_the_provider_cannot_charge_is_refused_and_nothing_is_stored() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    for (currency, price) in [
        ("KWD", "1.001"),
        ("BHD", "0.005"),
        ("CLF", "1.0000"),
        ("IQD", "5.000"),
        ("EUR", "10000000000.00"),
    ] {
        let refused = merchant
            .post("/v1/orders", &one_line(currency, price))
            .await;
        refused.problem(422, "amount_not_chargeable");
    }
    // What is judged is the total, not its parts.
    let wanted = json!({"currency": "KWD", "line_items": [
        {"name": "a", "unit_price": "1.001", "quantity": 10},
    ]});
    assert_eq!(app.orders_stored().await, 0);
    assert_eq!(app.keys_stored().await, 0);
    assert_eq!(app.count("SELECT COUNT(*) FROM event").await, 0);
    let order = merchant.post("/v1/orders", &wanted).await.expect(201);
    assert_eq!(order.str("total"), "10.010");
    app.finish().await;
}

/// Answers are kept with the row they were made of: whatever changes in it, whoever changes it, is seen at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_row_by_whatever_means_is_seen_by_the_next_read() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let id = shop.place_order().await.str("id").to_owned();
    let changes = [
        ("status", "'cancelled'", json!("cancelled")),
        ("payment_status", "'paid'", json!("paid")),
        ("fulfilment_status", "'fulfilled'", json!("fulfilled")),
        ("review", "'dispute'", json!("dispute")),
        ("metadata", r#"'{"a":"b"}'"#, json!({"a": "b"})),
        ("shipping_address", "NULL", Value::Null),
    ];
    let look = app.look().await;
    for (column, text, wanted) in changes {
        assert_eq!(shop.order(&id).await, shop.order(&id).await);
        let sql = format!("UPDATE \"order\" SET {column} = {text} WHERE id = '{id}'");
        look.execute_unprepared(&sql).await.expect("changed");
        assert_eq!(shop.order(&id).await[column], wanted, "{column}");
    }
    let sql =
        format!("UPDATE \"order\" SET customer_email = NULL, paid_minor = 1 WHERE id = '{id}'");
    look.execute_unprepared(&sql).await.expect("changed");
    let order = shop.order(&id).await;
    assert_eq!(order["customer"]["email"], Value::Null);
    assert_eq!(order["amount_paid"], "0.01");
    let other = app.another_shop("other", Mode::Live).await;
    let other = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    let sql = format!("UPDATE \"order\" SET paid_minor = 2 WHERE id = '{id}'");
    look.execute_unprepared(&sql).await.expect("changed");
    other.get(&format!("/v1/orders/{id}")).await.expect(404);
    let order = shop.order(&id).await;
    assert_eq!(order["amount_paid"], "0.02");
    assert_eq!(order["livemode"], false, "whoever else asked");
    look.close().await.expect("closes");
    // The order says what its facts do not.
    app.expect_broken();
    app.finish().await;
}
