//! Several filters on one list of orders: they find what a plain filter in memory finds, page by page in both
//! directions, and the rarest of them is what the database looks orders up by. States are planted in the database, so
//! that every one of them is there.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use till::domain::time::Timestamp;
use till::store::Engine;

use crate::harness::actor::two_mugs;
use crate::harness::{Actor, TestApp, eventually};

/// How many orders are of every kind.
const ORDERS: usize = 24;
/// More than are counted of a filter.
const MANY: i64 = 1_200;
/// How often a list is asked for: more than the executions after which PostgreSQL may plan a statement once and for all.
const TIMES: i64 = 20;
/// The most entries of indexes that are read for one of them.
const MOST: i64 = 100;

const STATUS: [&str; 4] = ["open", "completed", "cancelled", "expired"];
const PAYMENT: [&str; 5] = ["unpaid", "paid", "refunded", "disputed", "pending"];
const FULFILMENT: [&str; 3] = ["unfulfilled", "partially_fulfilled", "fulfilled"];
const REVIEW: [&str; 3] = ["NULL", "'dispute'", "'amount_mismatch'"];
const EMAILS: [&str; 3] = ["Ada@Example.com", "grace@example.com", "ada@example.com"];

type Filter = (&'static str, String);

fn address(filters: &[&Filter], rest: &str) -> String {
    let mut address = format!("/v1/orders?{rest}");
    for (name, value) in filters {
        address.push_str(&format!("&{name}={}", value.replace('+', "%2B")));
    }
    address
}

async fn page(shop: &Actor, address: &str) -> (Vec<Value>, bool) {
    let page = shop.get(address).await.expect(200).json;
    let orders = page["data"].as_array().expect("a list").clone();
    (orders, page["has_more"].as_bool().expect("a flag"))
}

fn id(order: &Value) -> &str {
    order["id"].as_str().expect("an id")
}

/// Whether an order, as callers see it, passes a filter.
fn passes(order: &Value, (name, value): &Filter) -> bool {
    let placed = || order["created_at"].as_str().and_then(Timestamp::parse);
    let bound = || Timestamp::parse(value);
    match *name {
        "email" => {
            let email = order["customer"]["email"].as_str();
            email.is_some_and(|email| email.eq_ignore_ascii_case(value))
        }
        "created_after" => placed() > bound(),
        "created_before" => placed() < bound(),
        "q" => order["line_items"][0]["sku"] == value.as_str(),
        _ => order[*name] == value.as_str(),
    }
}

/// Orders of every kind, newest first, as the whole list shows them.
async fn of_every_kind(app: &TestApp, shop: &Actor) -> Vec<Value> {
    for at in 0..ORDERS {
        app.advance(1).await;
        let mut body = two_mugs();
        body["reference"] = json!(format!("web-{at}"));
        body["customer"]["email"] = json!(EMAILS[at % EMAILS.len()]);
        body["line_items"][0]["sku"] = json!(if at % 4 == 0 { "shirt" } else { "mug" });
        shop.post("/v1/orders", &body).await.expect(201);
    }
    app.work().await;
    let (placed, _) = page(shop, "/v1/orders?limit=100").await;
    let vandal = app.vandal().await;
    for (at, order) in placed.iter().enumerate() {
        // Most of them open, unpaid and unfulfilled, as they are in a shop; the others in every mixture.
        let word = |of: &[&'static str], step: usize| match at % 3 {
            0 => of[0],
            _ => of[at / step % of.len()],
        };
        let sql = format!(
            "UPDATE \"order\" SET status = '{}', payment_status = '{}', fulfilment_status = '{}', review = {} \
             WHERE id = '{}'",
            word(&STATUS, 1),
            word(&PAYMENT, 1),
            word(&FULFILMENT, 2),
            word(&REVIEW, 3),
            id(order)
        );
        vandal.execute_unprepared(&sql).await.expect("planted");
    }
    vandal.close().await.expect("closes");
    page(shop, "/v1/orders?limit=100").await.0
}

/// Every page of two, one way, in the list's order.
async fn paged(shop: &Actor, filters: &[&Filter], cursor: &str, from: Option<&str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last = from.map(str::to_owned);
    loop {
        let place = last.map(|last| format!("&{cursor}={last}"));
        let rest = format!("limit=2{}", place.unwrap_or_default());
        let (orders, more) = page(shop, &address(filters, &rest)).await;
        assert!(orders.len() <= 2 && (orders.len() == 2 || !more), "{rest}");
        let ids = orders.iter().map(|order| id(order).to_owned());
        match cursor {
            "ending_before" => found.splice(..0, ids).for_each(drop),
            _ => found.extend(ids),
        }
        let end = match cursor {
            "ending_before" => found.first(),
            _ => found.last(),
        };
        last = end.cloned();
        if !more {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_filters_finds_what_a_plain_filter_finds() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let all = of_every_kind(&app, &shop).await;
    assert_eq!(all.len(), ORDERS);
    let (oldest, middle) = (id(&all[ORDERS - 1]), &all[ORDERS / 2]["created_at"]);
    let (early, late) = (&all[ORDERS - 5]["created_at"], &all[4]["created_at"]);
    let text = |time: &Value| time.as_str().expect("a time").to_owned();
    let words = |name, words: &[&str]| {
        let words = words.iter().map(|word| (name, (*word).to_owned()));
        words.collect::<Vec<Filter>>()
    };
    let filters: Vec<Filter> = [
        words("status", &STATUS),
        words("payment_status", &PAYMENT),
        words("fulfilment_status", &FULFILMENT),
        words("review", &["dispute", "amount_mismatch"]),
        words("email", &["ada@example.com", "GRACE@example.com", "nobody"]),
        words("reference", &["web-3", "web-12"]),
        words("q", &["mug", "shirt"]),
        vec![
            ("created_after", text(middle)),
            ("created_after", text(early)),
            ("created_before", text(middle)),
            ("created_before", text(late)),
        ],
    ]
    .concat();
    let mut sets: Vec<Vec<&Filter>> = Vec::new();
    for (at, one) in filters.iter().enumerate() {
        sets.push(vec![one]);
        let others = filters[at..].iter().filter(|other| other.0 != one.0);
        sets.extend(others.map(|other| vec![one, other]));
    }
    // The one pair that has an index of its own, with each of the others.
    let [open, unpaid] = [&filters[0], &filters[STATUS.len()]];
    let others = filters.iter().skip(STATUS.len() + PAYMENT.len());
    sets.extend(others.map(|other| vec![open, unpaid, other]));
    let mut empty = 0;
    for set in sets {
        let wanted = all
            .iter()
            .filter(|order| set.iter().all(|filter| passes(order, filter)));
        let wanted: Vec<&str> = wanted.map(id).collect();
        empty += usize::from(wanted.is_empty());
        let found = paged(&shop, &set, "starting_after", None).await;
        assert_eq!(found, wanted, "{set:?}");
        let back = paged(&shop, &set, "ending_before", Some(oldest)).await;
        let newer = wanted.into_iter().filter(|wanted| *wanted != oldest);
        assert_eq!(
            back,
            newer.collect::<Vec<_>>(),
            "{set:?}, towards the newest"
        );
    }
    assert!(empty > 10, "some exclude each other");
    app.expect_broken();
    app.finish().await;
}

/// Puts in orders that are like one but for these columns: most of them `common`, three of them `rare`.
async fn plant(app: &TestApp, like: &str, common: &[(&str, &str)], rare: &[(&str, &str)]) {
    let mut cells: BTreeMap<&str, String> = [
        (
            "id",
            "substr(id, 1, length(id) - 6) || substr(CAST(1000000 + n AS text), 2)".to_owned(),
        ),
        ("number", "number + n".to_owned()),
    ]
    .into();
    for (column, common) in common {
        let rare = rare.iter().find(|(rare, _)| rare == column);
        let rare = rare.map_or(common, |(_, rare)| rare);
        let cell = format!("CASE WHEN n % 400 = 0 THEN '{rare}' ELSE '{common}' END");
        cells.insert(column, cell);
    }
    for column in "shop_id currency tax_included subtotal_minor discount_minor shipping_minor tax_minor total_minor \
                   customer_email metadata token_key event_seq expires_at actor created_at updated_at \
                   status payment_status fulfilment_status"
        .split_whitespace()
    {
        cells.entry(column).or_insert_with(|| column.to_owned());
    }
    let columns: Vec<&str> = cells.keys().copied().collect();
    let cells: Vec<&str> = cells.values().map(String::as_str).collect();
    let sql = format!(
        "INSERT INTO \"order\" ({}) WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq \
         WHERE n < {MANY}) SELECT {} FROM \"order\", seq WHERE id = '{like}'",
        columns.join(", "),
        cells.join(", ")
    );
    let vandal = app.vandal().await;
    vandal.execute_unprepared(&sql).await.expect(&sql);
    if app.services.store.engine() == Engine::Postgres {
        let gathers = "ANALYZE \"order\"";
        vandal.execute_unprepared(gathers).await.expect(gathers);
    }
    vandal.close().await.expect("closes");
}

/// The steps in which SQLite makes the only list of orders that was asked for.
async fn steps_of_the_list(app: &TestApp) -> Vec<String> {
    let texts = app.services.store.texts().into_iter();
    let mut lists = texts.filter(|text| {
        let of_orders = text.starts_with("SELECT \"order\".\"id\"");
        of_orders && text.contains("ORDER BY") && text.contains("LIMIT")
    });
    let list = lists.next().expect("the list");
    assert_eq!(lists.next(), None, "one list");
    let look = app.look().await;
    let explain = format!("EXPLAIN QUERY PLAN {list}");
    let explain = Statement::from_string(look.get_database_backend(), explain);
    let steps = look.query_all_raw(explain).await.expect("a plan");
    look.close().await.expect("closes");
    let steps = steps.into_iter().map(|step| step.try_get_by_index(3));
    steps.collect::<Result<_, _>>().expect("steps")
}

/// How many entries of the indexes of orders were read.
async fn read(app: &TestApp) -> i64 {
    let sql = "SELECT CAST(SUM(idx_tup_read) AS BIGINT) FROM pg_stat_user_indexes WHERE relname = 'order'";
    app.count(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rarest_of_several_filters_leads() {
    type Cells = [(&'static str, &'static str)];
    // What most orders are, what three are, what is asked for, and the index that should be used.
    let cases: [(&Cells, &Cells, &str, &str); 5] = [
        (
            &[("status", "open"), ("fulfilment_status", "unfulfilled")],
            &[("fulfilment_status", "fulfilled")],
            "status=open&fulfilment_status=fulfilled",
            "order_fulfilment_status_idx",
        ),
        (
            &[("status", "open"), ("payment_status", "paid")],
            &[("payment_status", "disputed")],
            "status=open&payment_status=disputed",
            "order_payment_status_idx",
        ),
        (
            &[("status", "open"), ("payment_status", "unpaid")],
            &[("status", "cancelled")],
            "status=cancelled&payment_status=unpaid",
            "order_status_idx",
        ),
        (
            &[("status", "expired"), ("payment_status", "unpaid")],
            &[("payment_status", "paid")],
            "status=expired&payment_status=paid",
            "order_payment_status_idx",
        ),
        (
            &[("status", "open"), ("payment_status", "paid")],
            &[("payment_status", "unpaid")],
            "status=open&payment_status=unpaid",
            "order_waiting_idx",
        ),
    ];
    for (common, rare, query, index) in cases {
        let mut app = TestApp::quiet().await;
        let sqlite = app.services.store.engine() == Engine::Sqlite;
        let shop = app.merchant().await;
        let like = shop.place_order().await.str("id").to_owned();
        plant(&app, &like, common, rare).await;
        let before = if sqlite { 0 } else { read(&app).await };
        for _ in 0..TIMES {
            let (found, more) = page(&shop, &format!("/v1/orders?limit=100&{query}")).await;
            // The one they are made like is among them when it is as they are.
            assert!((3..=4).contains(&found.len()) && !more, "{query}");
        }
        if sqlite {
            let steps = steps_of_the_list(&app).await;
            assert!(
                steps.len() == 1 && steps[0].contains(index),
                "{query}: {steps:?}"
            );
        } else {
            // A connection tells what it has read when it is used again, a second later at the earliest.
            let mut taken = 0;
            eventually("what was read is told", async || {
                shop.get("/health/ready").await.expect(200);
                taken = read(&app).await - before;
                taken >= 3 * TIMES
            })
            .await;
            assert!(
                taken <= MOST * TIMES,
                "{query}: {taken} entries in {TIMES} lists"
            );
        }
        app.expect_broken();
        app.finish().await;
    }
}
