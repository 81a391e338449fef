//! Goal: staff find an order by whatever they have in hand, in every shop only its own, page by page.
//! Method: orders placed and paid over HTTP, the workers turned by hand, `q` asked for each term; the query's
//! own SQL is explained on the database of the run.

use std::collections::BTreeSet;

use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scopes};
use till::domain::search::{Search, Word};
use till::store::search::matching;

use crate::harness::{Actor, TestApp};

/// The ids `GET /v1/orders` finds with this query string.
async fn list(actor: &Actor, query: &str) -> Vec<String> {
    let answer = actor.get(&format!("/v1/orders?{query}")).await.expect(200);
    let orders = answer.json["data"].as_array().expect("a list").clone();
    let id = |order: &Value| order["id"].as_str().expect("an id").to_owned();
    orders.iter().map(id).collect()
}

/// The ids found by a search.
async fn find(actor: &Actor, q: &str) -> Vec<String> {
    let q: String = q.bytes().map(|byte| format!("%{byte:02X}")).collect();
    list(actor, &format!("q={q}")).await
}

async fn place(actor: &Actor, reference: &str, name: &str, line: &str, price: &str) -> String {
    let body = json!({
        "currency": "EUR",
        "reference": reference,
        "customer": {"email": format!("{}@Example.com", name.replace(' ', ".")), "name": name},
        "line_items": [{"name": line, "unit_price": price, "quantity": 1}],
    });
    let placed = actor.post("/v1/orders", &body).await.expect(201);
    placed.str("id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_by_everything_people_have_in_hand() {
    let app = TestApp::listening().await;
    let shop = app.merchant().await;
    let wanted = place(
        &shop,
        "PO 4711/A",
        "Annabel Lovelace",
        "T-Shirt, XL",
        "31.70",
    )
    .await;
    let other = place(&shop, "web-9", "Grace Hopper", "Cup", "8.00").await;
    let mugs = shop.place_order().await.str("id").to_owned();
    let session = shop.check_out(&wanted).await.expect(201);
    let at_provider = session.str("provider_session_id").to_owned();
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    crate::harness::eventually("the order is paid", async || {
        shop.order(&wanted).await["payment_status"] == "paid"
    })
    .await;
    app.work().await;
    let order = shop.order(&wanted).await;
    let number = order["number"].as_str().expect("a number");
    let look = app.look().await;
    let payment = "SELECT provider_payment_id FROM payment";
    let payment = Statement::from_string(look.get_database_backend(), payment);
    let payment = look.query_one_raw(payment).await.expect("a payment");
    let payment: String = payment.expect("a row").try_get_by_index(0).expect("an id");
    look.close().await.expect("closes");
    let hash_number = format!("#{number}");
    for q in [
        wanted.as_str(),
        number,
        &hash_number,
        "4711/a",
        "po",
        "annabel.lovelace@example.com",
        "ANNABEL.LOVELACE@EXAMPLE.COM",
        "annabel.lovelace",
        "ann",
        "LOVE",
        "lovelace ANN",
        "t-shirt",
        "shirt",
        "xl",
        "31.70",
        "31.7",
        at_provider.as_str(),
        session.str("id"),
        payment.as_str(),
        &payment[..payment.len() - 2],
        " annabel   31.70 ",
    ] {
        assert_eq!(find(&shop, q).await, [wanted.as_str()], "{q}");
    }
    assert_eq!(find(&shop, "MUG").await, [mugs.as_str()], "a SKU");
    assert_eq!(find(&shop, "hopper").await, [other.as_str()]);
    for q in [
        "lo",
        "an",
        "ovelace",
        "annabel hopper",
        "%",
        "a_a",
        "31_70",
        "'",
    ] {
        assert!(find(&shop, q).await.is_empty(), "{q}");
    }
    assert_eq!(
        find(&shop, "example annabel").await.len(),
        0,
        "a domain is no term"
    );
    assert_eq!(find(&shop, " ").await.len(), 3, "no word finds all");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_sees_its_own_shop_and_joins_the_other_filters() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let record = app.another_shop("other", Mode::Test).await;
    let foreign = app.actor(&record, KeyKind::Secret, Scopes::all()).await;
    let ours = place(&shop, "r-1", "Ada Lovelace", "Cup", "8.00").await;
    let cheap = place(&shop, "r-2", "Ada Byron", "Cup", "7.00").await;
    let theirs = place(&foreign, "r-1", "Ada Lovelace", "Cup", "8.00").await;
    app.work().await;
    assert_eq!(find(&shop, "ada").await, [cheap.clone(), ours.clone()]);
    assert_eq!(find(&foreign, "ada").await, [theirs.as_str()]);
    assert!(find(&foreign, &ours).await.is_empty());
    assert_eq!(list(&shop, "q=ada&reference=r-1").await, [ours.as_str()]);
    assert!(list(&shop, "q=ada&payment_status=paid").await.is_empty());
    assert_eq!(list(&shop, "q=ada+8.00&status=open").await, [ours]);
    let browser = app.storefront().await;
    browser.get("/v1/orders?q=ada").await.expect(403);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_stand_still_while_orders_come_in() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut placed = Vec::new();
    for at in 0..12 {
        placed.push(place(&shop, &format!("page-{at}"), "Ada", "Cup", "8.00").await);
    }
    app.work().await;
    placed.reverse();
    let mut read: Vec<String> = Vec::new();
    let mut query = "q=page&limit=5".to_owned();
    while read.len() < 12 {
        let page = list(&shop, &query).await;
        assert!(!page.is_empty());
        read.extend(page);
        let after = read.last().expect("an order");
        query = format!("q=page&limit=5&starting_after={after}");
        place(
            &shop,
            &format!("page-late-{}", read.len()),
            "Ada",
            "Cup",
            "8.00",
        )
        .await;
        app.work().await;
    }
    assert_eq!(read, placed, "each once, newest first");
    let newer = list(
        &shop,
        &format!("q=page&limit=2&ending_before={}", placed[3]),
    )
    .await;
    assert_eq!(newer, placed[1..3]);
    app.finish().await;
}

/// Forty orders, so that `bulk` begins more terms than are looked up one by one; every third is Ada's, every fourth
/// of cups.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_rare_and_common_words_hold_what_a_look_at_every_order_finds() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut placed: Vec<(usize, String)> = Vec::new();
    for at in 0..40 {
        let name = if at % 3 == 0 { "Ada" } else { "Grace" };
        let line = if at % 4 == 0 { "Cup" } else { "Cupboard" };
        let id = place(&shop, &format!("bulk-{at}"), name, line, "8.00").await;
        placed.insert(0, (at, id));
    }
    app.work().await;
    let cancelled = &placed[39 - 36].1;
    let none = json!({});
    shop.post(&format!("/v1/orders/{cancelled}/cancel"), &none)
        .await
        .expect(200);
    app.work().await;
    let is = |at: usize, of: usize| at.is_multiple_of(of);
    let questions: [(&str, &dyn Fn(usize) -> bool); 9] = [
        ("q=bulk", &|_| true),
        ("q=ada", &|at| is(at, 3)),
        ("q=bulk+ada", &|at| is(at, 3)),
        ("q=cup", &|_| true),
        ("q=cup+ada", &|at| is(at, 3)),
        ("q=cupboard+grace+bulk", &|at| !is(at, 4) && !is(at, 3)),
        ("q=ada&status=open", &|at| is(at, 3) && at != 36),
        ("q=bulk+ada&status=cancelled", &|at| at == 36),
        ("q=cup+bulk&email=ada@example.com", &|at| is(at, 3)),
    ];
    for (question, holds) in questions {
        let wanted = placed.iter().filter(|(at, _)| holds(*at));
        let wanted: Vec<&String> = wanted.map(|(_, id)| id).collect();
        let mut query = format!("{question}&limit=3");
        let mut read = Vec::new();
        loop {
            let page = list(&shop, &query).await;
            let Some(last) = page.last() else { break };
            query = format!("{question}&limit=3&starting_after={last}");
            read.extend(page);
        }
        assert!(
            read.iter().eq(wanted.iter().copied()),
            "{question}: {read:?}"
        );
        let oldest = wanted.last().expect("an order");
        let query = format!("{question}&limit=3&ending_before={oldest}");
        let newer = wanted.len() - 1;
        let page = list(&shop, &query).await;
        assert!(
            page.iter()
                .eq(wanted[newer.saturating_sub(3)..newer].iter().copied()),
            "{question}, upwards: {page:?}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_searches_are_answered_and_long_ones_refused() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    shop.place_order().await;
    app.work().await;
    for q in ["q=%F4%8F%BF%BF%F4%8F%BF%BF%F4%8F%BF%BF", "q="] {
        shop.get(&format!("/v1/orders?{q}")).await.expect(200);
    }
    for q in ["q=%00", "q=mug%00x", "q=%FF%FE%FD"] {
        let refused = shop.get(&format!("/v1/orders?{q}")).await;
        let refused = refused.problem(422, "invalid_request");
        assert_eq!(refused.pointers(), ["/q"]);
    }
    let words = "q=1+2+3+4+5+6+7+8+9";
    for q in [format!("q={}", "x".repeat(201)), words.to_owned()] {
        let refused = shop.get(&format!("/v1/orders?{q}")).await;
        let refused = refused.problem(422, "invalid_request");
        assert_eq!(refused.pointers(), ["/q"]);
    }
    list(&shop, &format!("q={}", "x".repeat(200))).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_far_behind_the_feed_passes_nothing() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    // More than one round takes, from positions of one digit to those of three: 9 is before 10.
    const ORDERS: i64 = 130;
    for _ in 0..ORDERS {
        shop.place_order().await;
    }
    app.work().await;
    let indexed = "SELECT COUNT(DISTINCT order_id) FROM order_term";
    assert_eq!(app.count(indexed).await, ORDERS);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_without_terms_is_indexed_anew_from_its_feed() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut placed = BTreeSet::new();
    for at in 0..120 {
        placed.insert(place(&shop, &format!("old-{at}"), "Ada", "Cup", "8.00").await);
    }
    app.work().await;
    let terms = app.count("SELECT COUNT(*) FROM order_term").await;
    // As a database that was filled before there was a search.
    let look = app.look().await;
    for table in ["order_term", "search_cursor"] {
        let sql = format!("DELETE FROM {table}");
        look.execute_unprepared(&sql).await.expect("emptied");
    }
    look.close().await.expect("closes");
    assert!(find(&shop, "old").await.is_empty());
    let store = &app.services.store;
    let (one, two) = tokio::join!(
        store.index_orders(app.shop.id),
        store.index_orders(app.shop.id)
    );
    one.expect("indexes");
    two.expect("indexes or leaves it to the other");
    app.work().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM order_term").await, terms);
    let page = list(&shop, "q=old&limit=100").await;
    assert_eq!(page.len(), 100);
    assert!(page.iter().all(|id| placed.contains(id)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_word_is_one_range_of_the_index() {
    let app = TestApp::quiet().await;
    let look = app.look().await;
    let backend = look.get_database_backend();
    if backend == DbBackend::Postgres {
        let small = "SET enable_seqscan = off; SET enable_bitmapscan = off";
        look.execute_unprepared(small).await.expect("set");
    }
    let search = Search::parse("xl lovelace").expect("a search");
    assert_eq!(search.words.len(), 2);
    for word in &search.words {
        let matching = matching(app.shop.id, word);
        let (explain, matching) = match backend {
            DbBackend::Postgres => ("EXPLAIN", matching.to_string(PostgresQueryBuilder)),
            _ => ("EXPLAIN QUERY PLAN", matching.to_string(SqliteQueryBuilder)),
        };
        let sql = format!(
            "{explain} SELECT * FROM \"order\" WHERE shop_id = '{}' AND id IN ({matching}) \
             ORDER BY id DESC LIMIT 11",
            app.shop.id
        );
        let rows = look
            .query_all_raw(Statement::from_string(backend, sql))
            .await;
        let column = if backend == DbBackend::Postgres { 0 } else { 3 };
        let lines = rows.expect("a plan").into_iter().map(|row| {
            let line: String = row.try_get_by_index(column).expect("a line");
            line
        });
        let plan: String = lines.collect::<Vec<_>>().join("\n");
        let condition = match (backend, word) {
            (DbBackend::Postgres, Word::Whole(_)) => "(term = 'xl'::text)",
            (DbBackend::Postgres, Word::Prefix { .. }) => {
                "(term >= 'lovelace'::text) AND (term < 'lovelacf'::text)"
            }
            (_, Word::Whole(_)) => "(shop_id=? AND term=?",
            (_, Word::Prefix { .. }) => "(shop_id=? AND term>? AND term<?)",
        };
        assert!(plan.contains(condition), "{plan}");
        assert!(!plan.contains("SCAN order_term"), "{plan}");
        assert!(!plan.contains("Filter: ((term"), "{plan}");
        if backend == DbBackend::Postgres {
            assert!(plan.contains("order_term_pkey"), "{plan}");
        }
    }
    look.close().await.expect("closes");
    app.finish().await;
}
