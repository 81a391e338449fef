//! Products: put, read, listed, imported, and sold at their price.

use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scope, Scopes};
use till::domain::catalogue::{Coverage, NewProduct};
use till::domain::currency::Currency;
use till::domain::money::Money;
use till::service::catalogue;

use crate::harness::{Actor, Answer, TestApp};

async fn put(actor: &Actor, sku: &str, body: &Value) -> Answer {
    let request = actor.request(reqwest::Method::PUT, &format!("/v1/products/{sku}"));
    actor.send(request.json(body)).await
}

fn euros(cents: i64) -> Money {
    Money::new(cents, Currency::from_code("EUR").expect("EUR"))
}

/// What an order is refused for is never only remembered.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_was_refused_sells_as_soon_as_it_is_mended() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let priced = |fils: &str| json!({"name": "Cup", "prices": {"KWD": fils}});
    put(&shop, "cup", &priced("5.997")).await.expect(201);
    let order = json!({"currency": "KWD", "line_items": [{"sku": "cup", "quantity": 1}]});
    for _ in 0..2 {
        let refused = shop.post("/v1/orders", &order).await;
        refused.problem(422, "amount_not_chargeable");
    }
    put(&shop, "cup", &priced("6.000")).await.expect(200);
    let sold = shop.post("/v1/orders", &order).await.expect(201);
    assert_eq!(sold.str("total"), "6.000");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_created_then_replaced_as_a_whole() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let body = json!({
        "sku": "cup", "name": "Cup", "description": "Two\nlines", "prices": {"JPY": "900", "EUR": "7.5"},
        "tax_category": "reduced", "active": false, "stock": {"on_hand": 10},
    });
    let made = put(&shop, "cup", &body).await.expect(201);
    assert_eq!(made.header("location"), Some("/v1/products/cup"));
    assert!(made.str("id").starts_with("prod_"));
    assert_eq!(
        made.json,
        json!({
            "id": made.json["id"], "object": "product", "sku": "cup", "name": "Cup",
            "description": "Two\nlines", "prices": {"EUR": "7.50", "JPY": "900"},
            "tax_category": "reduced", "active": false, "stock": {"on_hand": 10},
            "created_at": made.json["created_at"],
        })
    );
    assert_eq!(
        shop.get("/v1/products/cup").await.expect(200).json,
        made.json
    );

    let again = put(
        &shop,
        "cup",
        &json!({"name": "Cup 2", "prices": {"KWD": "1.005"}}),
    )
    .await;
    let again = again.expect(200);
    assert_eq!(again.header("location"), None);
    assert_eq!(
        again.json,
        json!({
            "id": made.json["id"], "object": "product", "sku": "cup", "name": "Cup 2",
            "description": null, "prices": {"KWD": "1.005"}, "tax_category": "standard",
            "active": true, "stock": null, "created_at": made.json["created_at"],
        })
    );
    assert_eq!(
        shop.get("/v1/products/cup").await.expect(200).json,
        again.json
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_priced_with_what_was_put_last_and_inactive_is_not_sold() {
    let app = TestApp::quiet().await;
    let (shop, browser) = (app.merchant().await, app.storefront().await);
    put(
        &shop,
        "mug",
        &json!({"name": "Mug", "prices": {"EUR": "3.33"}}),
    )
    .await
    .expect(200);
    assert_eq!(shop.place_order().await.json["total"], "6.66");
    let hidden = json!({"name": "Mug", "prices": {"EUR": "3.33"}, "active": false});
    put(&shop, "mug", &hidden).await.expect(200);
    let order = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
    let refused = browser.post("/v1/orders", &order).await;
    assert_eq!(
        refused.problem(422, "invalid_request").pointers(),
        ["/line_items/0/sku"]
    );
    let line = |sku: &str| json!({"sku": sku, "quantity": 1});
    let lines = [line("mug"), line("shirt"), line("cup")];
    let order = json!({"currency": "EUR", "line_items": lines});
    let refused = browser.post("/v1/orders", &order).await;
    let refused = refused.problem(422, "invalid_request");
    assert_eq!(
        refused.pointers(),
        ["/line_items/0/sku", "/line_items/2/sku"],
        "all that are wrong at once"
    );

    // A browser sees what is sold, and everything a caller of the shop's own.
    browser
        .get("/v1/products/mug")
        .await
        .problem(404, "not_found");
    shop.get("/v1/products/mug").await.expect(200);
    browser.get("/v1/products/shirt").await.expect(200);
    assert_eq!(skus(&browser.get("/v1/products").await), ["free", "shirt"]);
    assert_eq!(
        skus(&shop.get("/v1/products").await),
        ["free", "shirt", "mug"]
    );
    app.finish().await;
}

fn skus(list: &Answer) -> Vec<&str> {
    let data = list.json["data"].as_array().expect("a list");
    data.iter()
        .map(|product| product["sku"].as_str().expect("a SKU"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_products_are_refused_with_a_pointer_and_nothing_is_stored() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let good = json!({"name": "Cup", "prices": {"EUR": "1"}});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let many: serde_json::Map<_, _> = Currency::all()
        .take(51)
        .map(|currency| (currency.code().to_owned(), json!("1")))
        .collect();
    for (body, pointer) in [
        (with("sku", json!("other")), "/sku"),
        (with("name", json!("")), "/name"),
        (with("name", json!("x".repeat(201))), "/name"),
        (with("name", json!("a\u{0}b")), "/name"),
        (with("name", json!("4242 4242 4242 4242")), "/name"),
        (
            with("description", json!("x".repeat(2_001))),
            "/description",
        ),
        (with("description", json!("")), "/description"),
        (with("prices", json!({})), "/prices"),
        (with("prices", Value::Object(many)), "/prices"),
        (with("prices", json!({"eur": "1"})), "/prices"),
        (with("prices", json!({"EUR": 1})), "/prices/EUR"),
        (with("prices", json!({"EUR": "-1"})), "/prices/EUR"),
        (with("prices", json!({"EUR": "1.005"})), "/prices/EUR"),
        (with("prices", json!({"EUR": "1e3"})), "/prices/EUR"),
        (with("prices", json!({"JPY": "0.5"})), "/prices/JPY"),
        (with("prices", json!({"EUR": "99999999999"})), "/prices/EUR"),
        (with("tax_category", json!("a b")), "/tax_category"),
        (with("active", json!("yes")), "/active"),
        (with("stock", json!({"on_hand": -1})), "/stock/on_hand"),
        (with("stock", json!({"on_hand": 1.5})), "/stock/on_hand"),
        (
            with("stock", json!({"on_hand": 1, "held": 1})),
            "/stock/held",
        ),
        (with("id", json!("prod_x")), "/id"),
        (json!({"prices": {"EUR": "1"}}), "/name"),
        (json!({"name": "Cup"}), "/prices"),
    ] {
        let refused = put(&shop, "cup", &body)
            .await
            .problem(422, "invalid_request");
        assert_eq!(refused.pointers(), [pointer], "{body}");
    }
    let request = shop.request(reqwest::Method::PUT, "/v1/products/cup");
    let twice = r#"{"name":"Cup","prices":{"EUR":"1","EUR":"2"}}"#;
    let request = request
        .header("Content-Type", "application/json")
        .body(twice);
    let refused = shop.send(request).await.problem(422, "invalid_request");
    assert_eq!(refused.pointers(), ["/prices/EUR"]);
    for sku in ["a%20b", "a%2Fb", "%C3%A9", &"x".repeat(65)] {
        let refused = put(&shop, sku, &good).await.problem(422, "invalid_request");
        assert_eq!(refused.pointers(), ["/sku"], "{sku}");
        let absent = shop.get(&format!("/v1/products/{sku}")).await;
        absent.problem(404, "not_found");
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM product").await, 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_and_whose_is_what() {
    let app = TestApp::quiet().await;
    let (shop, browser) = (app.merchant().await, app.storefront().await);
    let body = json!({"name": "Cup", "prices": {"EUR": "1"}});
    put(&browser, "cup", &body).await.problem(403, "forbidden");
    put(&app.anonymous(), "cup", &body)
        .await
        .problem(401, "unauthenticated");
    app.anonymous()
        .get("/v1/products")
        .await
        .problem(401, "unauthenticated");
    let only = |scope: Scope| scope.to_string().parse::<Scopes>().expect("a scope");
    let reader = app
        .actor(&app.shop, KeyKind::Secret, only(Scope::OrdersRead))
        .await;
    reader.get("/v1/products").await.expect(200);
    put(&reader, "cup", &body).await.problem(403, "forbidden");
    let writer = app
        .actor(&app.shop, KeyKind::Secret, only(Scope::CatalogueWrite))
        .await;
    put(&writer, "cup", &body).await.expect(201);
    writer
        .get("/v1/products/cup")
        .await
        .problem(403, "forbidden");

    let other = app.another_shop("other", Mode::Test).await;
    let foreigner = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    foreigner
        .get("/v1/products/cup")
        .await
        .problem(404, "not_found");
    assert_eq!(skus(&foreigner.get("/v1/products").await).len(), 3);
    put(&foreigner, "cup", &body).await.expect(201);
    put(
        &foreigner,
        "mug",
        &json!({"name": "Theirs", "prices": {"EUR": "9"}}),
    )
    .await
    .expect(200);
    assert_eq!(shop.get("/v1/products/mug").await.json["name"], "Mug");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_paged_by_id_newest_first() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for sku in ["a", "b", "c"] {
        put(&shop, sku, &json!({"name": sku, "prices": {"EUR": "1"}}))
            .await
            .expect(201);
    }
    let first = shop.get("/v1/products?limit=2").await.expect(200);
    assert_eq!(
        (first.str("object"), first.str("url")),
        ("list", "/v1/products")
    );
    assert_eq!(skus(&first), ["c", "b"]);
    assert_eq!(first.json["has_more"], true);
    let (newest, last) = (&first.json["data"][0]["id"], &first.json["data"][1]["id"]);
    let (newest, last) = (
        newest.as_str().expect("an id"),
        last.as_str().expect("an id"),
    );
    // A product that is replaced, or added, moves no page.
    put(&shop, "a", &json!({"name": "new", "prices": {"EUR": "2"}}))
        .await
        .expect(200);
    put(&shop, "d", &json!({"name": "d", "prices": {"EUR": "1"}}))
        .await
        .expect(201);
    let next = shop
        .get(&format!("/v1/products?limit=9&starting_after={last}"))
        .await;
    assert_eq!(skus(&next), ["a", "free", "shirt", "mug"]);
    assert_eq!(next.json["has_more"], false);
    assert_eq!(next.json["data"][0]["prices"], json!({"EUR": "2.00"}));
    let newer = shop
        .get(&format!("/v1/products?ending_before={newest}"))
        .await;
    assert_eq!(skus(&newer), ["d"]);
    for (query, pointer) in [
        ("starting_after=mug", "/starting_after"),
        ("limit=0", "/limit"),
        ("sku=mug", "/sku"),
    ] {
        let refused = shop.get(&format!("/v1/products?{query}")).await;
        assert_eq!(
            refused.problem(422, "invalid_request").pointers(),
            [pointer]
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_puts_of_one_sku_make_one_product() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let puts = (0..12).map(|n| {
        let shop = shop.clone();
        let body =
            json!({"name": format!("Cup {n}"), "prices": {"EUR": format!("{n}.00"), "JPY": "1"}});
        tokio::spawn(async move { put(&shop, "cup", &body).await.status })
    });
    let mut created = 0;
    for put in puts.collect::<Vec<_>>() {
        match put.await.expect("an answer") {
            201 => created += 1,
            status => assert_eq!(status, 200),
        }
    }
    assert_eq!(created, 1);
    let stored = shop.get("/v1/products/cup").await.expect(200).json;
    let euros = stored["prices"]["EUR"].as_str().expect("a price");
    assert_eq!(
        stored["name"],
        format!("Cup {}", euros.trim_end_matches(".00"))
    );
    app.finish().await;
}

/// Orders that were priced before are priced anew when this rises.
async fn version(app: &TestApp) -> i64 {
    app.count("SELECT MAX(catalogue_version) FROM shop").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_as_before_leaves_the_orders_alone_that_are_being_placed() {
    let app = TestApp::quiet().await;
    let (shop, store) = (app.merchant().await, &app.services.store);
    let mut cup = json!({"name": "Cup", "prices": {"JPY": "9", "EUR": "7.50"}});
    let made = put(&shop, "cup", &cup).await.expect(201);
    let first = version(&app).await;
    let again = put(&shop, "cup", &cup).await.expect(200);
    assert_eq!(again.json, made.json, "as it is");
    for (field, value) in [
        ("stock", json!({"on_hand": 3})),
        ("description", json!("More")),
        ("tax_category", json!("reduced")),
    ] {
        cup[field] = value.clone();
        put(&shop, "cup", &cup).await.expect(200);
        let stored = shop.get("/v1/products/cup").await.expect(200);
        assert_eq!(stored.json[field], value);
    }
    let file = [
        NewProduct::new("cup", "Cup", vec![euros(800)]),
        NewProduct::new("free", "Nothing", vec![euros(0)]),
    ];
    let import = async |dry_run| {
        catalogue::import(store, app.shop.id, &file, Coverage::Everything, dry_run)
            .await
            .expect("an import")
    };
    assert_eq!(import(true).await.changed, ["cup", "free"]);
    assert_eq!(version(&app).await, first, "nothing that an order shows");
    assert_eq!(import(false).await.changed, ["cup", "free"]);
    assert_eq!(version(&app).await, first + 1, "once for all of them");
    assert_eq!(import(false).await.unchanged, 2);
    assert_eq!(version(&app).await, first + 1);
    let mut last = first + 1;
    for (field, value) in [
        ("name", json!("Mug")),
        ("prices", json!({"EUR": "7.50"})),
        ("prices", json!({"EUR": "7.50", "JPY": "10"})),
        ("active", json!(false)),
        ("active", json!(true)),
    ] {
        cup[field] = value;
        put(&shop, "cup", &cup).await.expect(200);
        last += 1;
        assert_eq!(version(&app).await, last, "{cup}");
    }
    let new = json!({"name": "New", "prices": {"EUR": "1"}});
    put(&shop, "new", &new).await.expect(201);
    assert_eq!(version(&app).await, last + 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_creates_changes_and_leaves_alone() {
    let app = TestApp::quiet().await;
    let (shop, store) = (app.merchant().await, &app.services.store);
    let kept = json!({"name": "Kept", "description": "Kept", "prices": {"EUR": "1", "JPY": "1"},
        "tax_category": "reduced", "active": false, "stock": {"on_hand": 5}});
    put(&shop, "kept", &kept).await.expect(201);
    let mut file = vec![
        NewProduct::new("new", "New", vec![euros(100)]),
        NewProduct::new("kept", "Renamed", vec![euros(200)]),
        NewProduct::new(
            "free",
            "Nothing",
            vec![
                euros(0),
                Money::new(0, Currency::from_code("JPY").expect("JPY")),
            ],
        ),
    ];
    file.extend((0..1_200).map(|n| NewProduct::new(&format!("many-{n}"), "Many", vec![euros(n)])));
    let import = async |coverage, dry_run| {
        catalogue::import(store, app.shop.id, &file, coverage, dry_run)
            .await
            .expect("an import")
    };
    let planned = import(Coverage::Prices, true).await;
    assert_eq!(app.count("SELECT COUNT(*) FROM product").await, 4);
    let done = import(Coverage::Prices, false).await;
    assert_eq!(planned, done);
    assert_eq!((done.created.len(), done.unchanged), (1_201, 1));
    assert_eq!(done.changed, ["kept"]);
    let merged = shop.get("/v1/products/kept").await.expect(200).json;
    assert_eq!(
        (&merged["name"], &merged["prices"]),
        (&json!("Renamed"), &json!({"EUR": "2.00"}))
    );
    for field in ["description", "tax_category", "active", "stock"] {
        assert_eq!(merged[field], kept[field], "{field}");
    }
    assert_eq!(import(Coverage::Prices, false).await.unchanged, file.len());
    // The whole product, as a JSON file says it.
    assert_eq!(import(Coverage::Everything, false).await.changed, ["kept"]);
    let replaced = shop.get("/v1/products/kept").await.expect(200).json;
    assert_eq!(
        (&replaced["active"], &replaced["stock"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        shop.get("/v1/products/many-1199").await.json["prices"],
        json!({"EUR": "11.99"})
    );
    app.finish().await;
}
