//! Lists of orders: every filter, stable pages, and parameters that are refused by name. A dozen orders of
//! several kinds are listed in every way and compared with what was placed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::actor::two_mugs;
use crate::harness::{Actor, TestApp, eventually};

async fn page(actor: &Actor, query: &str) -> Value {
    actor
        .get(&format!("/v1/orders{query}"))
        .await
        .expect(200)
        .json
}

fn ids_of(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().expect("a list");
    data.iter()
        .map(|order| order["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// The ids a filter finds, newest first.
async fn find(actor: &Actor, parameters: &[(&str, &str)]) -> Vec<String> {
    let mut query = "?limit=100".to_owned();
    for (name, value) in parameters {
        query.push_str(&format!("&{name}="));
        value
            .bytes()
            .for_each(|byte| query.push_str(&format!("%{byte:02X}")));
    }
    let list = page(actor, &query).await;
    assert_eq!(list["has_more"], false);
    ids_of(&list)
}

async fn place(actor: &Actor, change: impl FnOnce(&mut Value)) -> String {
    let mut body = two_mugs();
    change(&mut body);
    actor
        .post("/v1/orders", &body)
        .await
        .expect(201)
        .str("id")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_the_shape_of_lists() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let empty = json!({"object": "list", "data": [], "has_more": false, "url": "/v1/orders"});
    assert_eq!(page(&merchant, "").await, empty);
    let mut placed = Vec::new();
    for _ in 0..11 {
        placed.push(place(&merchant, |_| {}).await);
    }
    placed.reverse();
    let list = page(&merchant, "").await;
    assert_eq!(list["has_more"], true, "ten is the default");
    assert_eq!(ids_of(&list), placed[..10], "newest first");
    assert_eq!(list["url"], "/v1/orders");
    let newest = merchant.order(&placed[0]).await;
    assert_eq!(list["data"][0], newest, "entries are whole orders");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_by_status_find_what_has_it() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let unpaid = place(&merchant, |_| {}).await;
    let free = place(&merchant, |body| {
        body["line_items"][0]["sku"] = json!("free")
    })
    .await;
    let paid = place(&merchant, |_| {}).await;
    let session = merchant.check_out(&paid).await.expect(201);
    let at_provider = session.str("provider_session_id");
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    eventually("the order is paid", async || {
        merchant.order(&paid).await["payment_status"] == "paid"
    })
    .await;
    let all = [paid.as_str(), free.as_str(), unpaid.as_str()];
    assert_eq!(
        find(&merchant, &[("payment_status", "paid")]).await,
        all[..2]
    );
    assert_eq!(
        find(&merchant, &[("payment_status", "unpaid")]).await,
        all[2..]
    );
    assert_eq!(find(&merchant, &[("status", "open")]).await, all);
    assert_eq!(
        find(&merchant, &[("fulfilment_status", "unfulfilled")]).await,
        all
    );
    for (name, words) in [
        ("status", "completed cancelled expired"),
        ("fulfilment_status", "partially_fulfilled fulfilled"),
        (
            "payment_status",
            "pending authorized partially_paid partially_refunded refunded disputed charged_back",
        ),
        (
            "review",
            "amount_mismatch currency_mismatch paid_after_cancel duplicate_payment outcome_unknown \
             unmatched_payment dispute provider_declined_refund",
        ),
    ] {
        for word in words.split_whitespace() {
            assert!(
                find(&merchant, &[(name, word)]).await.is_empty(),
                "{name}={word}"
            );
        }
    }
    let both = [("payment_status", "paid"), ("status", "open")];
    assert_eq!(find(&merchant, &both).await, all[..2]);
    assert!(
        find(
            &merchant,
            &[("payment_status", "paid"), ("status", "expired")]
        )
        .await
        .is_empty()
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_review_filter_finds_orders_with_that_question() {
    let app = TestApp::listening().await;
    let merchant = app.merchant().await;
    place(&merchant, |_| {}).await;
    let odd = place(&merchant, |_| {}).await;
    let session = merchant.check_out(&odd).await.expect(201);
    let wrong = json!({"webhook": "checkout.session.completed", "do": "wrong_amount", "times": 0});
    app.simulate("faults", &wrong).await;
    let at_provider = session.str("provider_session_id");
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    eventually("there is a question", async || {
        merchant.order(&odd).await["review"] == "amount_mismatch"
    })
    .await;
    assert_eq!(
        find(&merchant, &[("review", "amount_mismatch")]).await,
        [odd.as_str()]
    );
    assert!(find(&merchant, &[("review", "dispute")]).await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_found_in_any_letter_case_and_a_reference_exactly() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let email =
        |email: &'static str| move |body: &mut Value| body["customer"]["email"] = json!(email);
    let upper = place(&merchant, email("Grace.Hopper@Example.COM")).await;
    let lower = place(&merchant, email("grace.hopper@example.com")).await;
    let umlaut = place(&merchant, email("Österreich@exämple.de")).await;
    let plus = place(&merchant, email("ada+shop%41@example.com")).await;
    let reference = place(&merchant, |body| body["reference"] = json!("Web-1 %_'\"ü")).await;
    place(&merchant, |body| body["customer"] = Value::Null).await;
    for spelling in [
        "grace.hopper@example.com",
        "GRACE.HOPPER@EXAMPLE.COM",
        "gRACE.hopper@Example.com",
    ] {
        let found = find(&merchant, &[("email", spelling)]).await;
        assert_eq!(found, [lower.as_str(), upper.as_str()], "{spelling}");
    }
    for spelling in ["Österreich@exämple.de", "ÖsterREICH@exämple.DE"] {
        assert_eq!(
            find(&merchant, &[("email", spelling)]).await,
            [umlaut.as_str()],
            "{spelling}"
        );
    }
    let found = find(&merchant, &[("email", "ada+shop%41@example.com")]).await;
    assert_eq!(found, [plus.as_str()], "a query is decoded once");
    let list = page(&merchant, "?email=ada%2Bshop%2541@example.com&").await;
    assert_eq!(ids_of(&list), [plus.as_str()]);
    for nobody in [
        "grace.hopper@example.co",
        "%",
        "grace_hopper@example.com",
        "' OR '1'='1",
        "",
    ] {
        assert!(
            find(&merchant, &[("email", nobody)]).await.is_empty(),
            "{nobody}"
        );
    }
    assert_eq!(
        find(&merchant, &[("reference", "Web-1 %_'\"ü")]).await,
        [reference.as_str()]
    );
    for nothing in ["web-1 %_'\"ü", "Web-1%", "Web-1", ""] {
        assert!(
            find(&merchant, &[("reference", nothing)]).await.is_empty(),
            "{nothing}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn created_after_and_created_before_are_exclusive_and_take_any_offset() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        app.advance(3_600).await;
        let order = merchant.place_order().await;
        orders.push((
            order.str("id").to_owned(),
            order.str("created_at").to_owned(),
        ));
    }
    let [(first, _), (second, middle), (third, _)] = &orders[..] else {
        panic!("three")
    };
    assert_eq!(
        find(&merchant, &[("created_after", middle)]).await,
        [third.as_str()]
    );
    assert_eq!(
        find(&merchant, &[("created_before", middle)]).await,
        [first.as_str()]
    );
    let moved = till::domain::time::Timestamp::parse(middle).expect("a time");
    let (before, after) = (moved.plus_ms(-1).to_string(), moved.plus_ms(1).to_string());
    let window = [
        ("created_after", before.as_str()),
        ("created_before", after.as_str()),
    ];
    assert_eq!(find(&merchant, &window).await, [second.as_str()]);
    // The same moment, said in Kathmandu.
    let abroad = moved
        .plus_ms((5 * 60 + 45) * 60_000)
        .to_string()
        .replace('Z', "+05:45");
    assert_eq!(
        find(&merchant, &[("created_after", &abroad)]).await,
        [third.as_str()]
    );
    assert_eq!(
        find(&merchant, &[("created_after", "1970-01-01T00:00:00Z")])
            .await
            .len(),
        3
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_reach_every_order_once_in_both_directions() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut placed = Vec::new();
    for _ in 0..12 {
        placed.push(place(&merchant, |_| {}).await);
    }
    placed.reverse();
    for limit in [1, 5, 6, 12, 100] {
        let (mut seen, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let list = page(&merchant, &query).await;
            let ids = ids_of(&list);
            assert!(ids.len() <= limit);
            seen.extend(ids);
            assert_eq!(
                list["has_more"],
                seen.len() < 12,
                "limit {limit} after {}",
                seen.len()
            );
            if seen.len() >= 12 {
                break;
            }
            query = format!("?limit={limit}&starting_after={}", seen[seen.len() - 1]);
        }
        assert_eq!(seen, placed, "limit {limit}");
    }
    // Back up: each page is newest first, the pages go towards the newest.
    let list = page(&merchant, &format!("?limit=5&ending_before={}", placed[11])).await;
    assert_eq!(
        (ids_of(&list).as_slice(), &list["has_more"]),
        (&placed[6..11], &json!(true))
    );
    let list = page(&merchant, &format!("?limit=5&ending_before={}", placed[5])).await;
    assert_eq!(
        (ids_of(&list).as_slice(), &list["has_more"]),
        (&placed[..5], &json!(false))
    );
    let list = page(&merchant, &format!("?ending_before={}", placed[0])).await;
    assert_eq!((ids_of(&list).len(), &list["has_more"]), (0, &json!(false)));
    let list = page(&merchant, &format!("?starting_after={}", placed[11])).await;
    assert_eq!((ids_of(&list).len(), &list["has_more"]), (0, &json!(false)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stays_the_same_while_orders_are_added() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut old = Vec::new();
    for _ in 0..9 {
        old.push(place(&merchant, |_| {}).await);
    }
    old.reverse();
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    while seen.len() < 9 {
        let ids = ids_of(&page(&merchant, &query).await);
        assert_eq!(ids, ids_of(&page(&merchant, &query).await));
        seen.extend(ids);
        place(&merchant, |_| {}).await;
        query = format!("?limit=3&starting_after={}", seen[seen.len() - 1]);
    }
    assert_eq!(seen, old, "nothing twice, nothing missed, nothing new");
    let all: BTreeSet<String> = find(&merchant, &[]).await.into_iter().collect();
    assert_eq!(all.len(), 12);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_cursors_combine() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let mut free = Vec::new();
    for at in 0..8 {
        let sku = if at % 2 == 0 { "free" } else { "mug" };
        let id = place(&merchant, |body| body["line_items"][0]["sku"] = json!(sku)).await;
        if at % 2 == 0 {
            free.push(id);
        }
    }
    free.reverse();
    let first = page(&merchant, "?payment_status=paid&limit=3").await;
    assert_eq!(
        (ids_of(&first).as_slice(), &first["has_more"]),
        (&free[..3], &json!(true))
    );
    let query = format!("?payment_status=paid&limit=3&starting_after={}", free[2]);
    let last = page(&merchant, &query).await;
    assert_eq!(
        (ids_of(&last).as_slice(), &last["has_more"]),
        (&free[3..], &json!(false))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_not_understood_is_refused_by_name() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let id = merchant.place_order().await.str("id").to_owned();
    let both = format!("starting_after={id}&ending_before={id}");
    let cases = [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=ten", "/limit"),
        ("limit=1.5", "/limit"),
        ("limit=%2B5", "/limit"),
        ("limit=+5", "/limit"),
        ("limit=5%20", "/limit"),
        ("limit=0x5", "/limit"),
        ("limit=%D9%A5", "/limit"),
        ("limit=", "/limit"),
        ("limit=99999999999999999999", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("status=OPEN", "/status"),
        ("status=", "/status"),
        ("status=paid", "/status"),
        ("status=open%00", "/status"),
        ("payment_status=open", "/payment_status"),
        ("fulfilment_status=shipped", "/fulfilment_status"),
        ("review=maybe", "/review"),
        ("created_after=yesterday", "/created_after"),
        ("created_after=2026-02-30T00:00:00Z", "/created_after"),
        ("created_after=2026-01-01", "/created_after"),
        ("created_before=1767225600", "/created_before"),
        ("created_before=", "/created_before"),
        ("starting_after=nonsense", "/starting_after"),
        (
            "starting_after=li_00000000000000000000000000",
            "/starting_after",
        ),
        ("ending_before=", "/ending_before"),
        (both.as_str(), "/ending_before"),
        ("email=a%00b", "/email"),
        ("email=%FF", "/email"),
        ("reference=%00", "/reference"),
        ("reference=a%C3", "/reference"),
        ("nonsense=1", "/nonsense"),
        ("Status=open", "/Status"),
        ("%00=1", ""),
    ];
    for (query, pointer) in cases {
        let refused = merchant.get(&format!("/v1/orders?{query}")).await;
        let refused = refused.problem(422, "invalid_request");
        assert_eq!(refused.pointers(), [pointer], "{query}: {}", refused.text);
    }
    let several = merchant.get("/v1/orders?limit=0&status=x&nonsense=1").await;
    let several = several.problem(422, "invalid_request");
    assert_eq!(several.pointers(), ["/limit", "/status", "/nonsense"]);
    assert!(
        several
            .text
            .contains("must be open, completed, cancelled or expired")
    );
    app.finish().await;
}
