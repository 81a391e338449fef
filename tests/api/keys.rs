//! API keys: nothing without a valid one, nothing beyond its rights, and no secret in the database. A table of
//! every route under /v1 is called with every kind of key; it must name all that are mounted.

use std::time::Duration;

use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scope, Scopes};
use till::domain::ids::ApiKeyId;
use till::service::keys;

use crate::harness::actor::{checkout_body, fresh_key, two_mugs};
use crate::harness::{Actor, Answer, TestApp, eventually};

/// A route under /v1 and who may call it.
pub struct V1Route {
    /// The method.
    pub method: &'static str,
    /// The path, with `<id>` or `<sku>` for the object it is about.
    pub path: &'static str,
    /// The scope a secret key needs.
    pub scope: Scope,
    /// Whether publishable keys may call it.
    pub publishable: bool,
    /// What the path names: the prefix of its ids, or `sku`.
    pub id: Option<&'static str>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    scope: Scope,
    publishable: bool,
    id: Option<&'static str>,
) -> V1Route {
    V1Route {
        method,
        path,
        scope,
        publishable,
        id,
    }
}

/// Every route under /v1.
pub const V1: &[V1Route] = &[
    route("POST", "/v1/orders", Scope::OrdersWrite, true, None),
    route("GET", "/v1/orders", Scope::OrdersRead, false, None),
    route(
        "GET",
        "/v1/orders/<id>",
        Scope::OrdersRead,
        true,
        Some("ord"),
    ),
    route(
        "GET",
        "/v1/orders/<id>/timeline",
        Scope::OrdersRead,
        false,
        Some("ord"),
    ),
    route(
        "POST",
        "/v1/orders/<id>/checkout_sessions",
        Scope::OrdersWrite,
        true,
        Some("ord"),
    ),
    route(
        "GET",
        "/v1/checkout_sessions/<id>",
        Scope::OrdersRead,
        true,
        Some("cs"),
    ),
    route(
        "POST",
        "/v1/orders/<id>/cancel",
        Scope::OrdersWrite,
        false,
        Some("ord"),
    ),
    route(
        "POST",
        "/v1/checkout_sessions/<id>/expire",
        Scope::OrdersWrite,
        false,
        Some("cs"),
    ),
    route("GET", "/v1/payments", Scope::OrdersRead, false, None),
    route(
        "GET",
        "/v1/payments/<id>",
        Scope::OrdersRead,
        false,
        Some("pay"),
    ),
    route(
        "POST",
        "/v1/payments/<id>/capture",
        Scope::PaymentsWrite,
        false,
        Some("pay"),
    ),
    route(
        "POST",
        "/v1/payments/<id>/void",
        Scope::PaymentsWrite,
        false,
        Some("pay"),
    ),
    route(
        "POST",
        "/v1/orders/<id>/refunds",
        Scope::RefundsWrite,
        false,
        Some("ord"),
    ),
    route("GET", "/v1/refunds", Scope::OrdersRead, false, None),
    route(
        "GET",
        "/v1/refunds/<id>",
        Scope::OrdersRead,
        false,
        Some("re"),
    ),
    route(
        "PUT",
        "/v1/products/<sku>",
        Scope::CatalogueWrite,
        false,
        Some("sku"),
    ),
    route(
        "GET",
        "/v1/products/<sku>",
        Scope::OrdersRead,
        true,
        Some("sku"),
    ),
    route("GET", "/v1/products", Scope::OrdersRead, true, None),
    route("GET", "/v1/events", Scope::EventsRead, false, None),
    route(
        "GET",
        "/v1/events/<id>",
        Scope::EventsRead,
        false,
        Some("evt"),
    ),
    route(
        "GET",
        "/v1/ledger/trial_balance",
        Scope::LedgerRead,
        false,
        None,
    ),
    route(
        "GET",
        "/v1/ledger/transactions",
        Scope::LedgerRead,
        false,
        None,
    ),
    route(
        "GET",
        "/v1/ledger/transactions/<id>",
        Scope::LedgerRead,
        false,
        Some("ltx"),
    ),
];

impl V1Route {
    /// The path of one object.
    pub fn path_of(&self, id: &str) -> String {
        self.path.replace("<id>", id).replace("<sku>", id)
    }

    /// Whether a publishable key needs the order's token.
    pub fn needs_token(&self) -> bool {
        self.publishable && matches!(self.id, Some("ord" | "cs"))
    }

    /// Calls it with a body it takes and, when it needs one, this id.
    pub async fn call(&self, actor: &Actor, id: &str, token: Option<&str>) -> Answer {
        let body = if self.path.ends_with("checkout_sessions") {
            checkout_body()
        } else if self.id == Some("sku") {
            json!({"name": "Mug", "prices": {"EUR": "0.50"}})
        } else if self.id.is_some() {
            json!({})
        } else {
            two_mugs()
        };
        let method = Method::from_bytes(self.method.as_bytes()).expect("a method");
        let mut request = actor.request(method, &self.path_of(id));
        if self.method != "GET" {
            request = request.header("Idempotency-Key", fresh_key()).json(&body);
        }
        if let Some(token) = token {
            request = request.header("Order-Token", token);
        }
        actor.send(request).await
    }
}

#[test]
fn the_table_names_every_route_under_v1() {
    let mut mounted: Vec<String> = till::http::api_routes()
        .iter()
        .filter(|route| route.uri.path().starts_with("/v1"))
        .map(|route| format!("{} {}", route.method, route.uri.path()))
        .collect();
    let mut named: Vec<String> = V1
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    mounted.sort();
    named.sort();
    assert_eq!(mounted, named);
}

/// The answer without the request's own id.
fn text_of(answer: &Answer) -> String {
    answer.text.replace(answer.str("request_id"), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_key_every_route_answers_401_and_does_not_say_why() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let order = merchant.place_order().await.str("id").to_owned();
    let good = merchant.key.clone().expect("a key");
    let revoked = app.merchant().await;
    keys::revoke_key(&app.services.store, revoked.key_id())
        .await
        .expect("revoked");
    let unknown = format!("sk_test_{}_{}", "0".repeat(26), "a".repeat(43));
    let (head, secret) = good.rsplit_once('_').expect("a key");
    let headers = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(good.clone()),
        Some(format!("Basic {good}")),
        Some(format!("Token {good}")),
        Some(format!("Bearer {good} {good}")),
        Some(format!("Bearer {good}x")),
        Some(format!("Bearer {}", &good[..good.len() - 1])),
        Some(format!("Bearer {head}_{}", "A".repeat(43))),
        Some(format!(
            "Bearer {head}_{}",
            secret.chars().rev().collect::<String>()
        )),
        Some(format!("Bearer {head}")),
        Some(format!("Bearer {secret}")),
        Some(format!("Bearer {}", good.replace("sk_test", "sk_live"))),
        Some(format!("Bearer {}", good.replace("sk_test", "pk_test"))),
        Some(format!("Bearer {}", good.to_uppercase())),
        Some(format!("Bearer {unknown}")),
        Some(format!("Bearer {}", revoked.key.clone().expect("a key"))),
        Some("Bearer ключ".to_owned()),
        Some(format!("Bearer {}", "x".repeat(4_000))),
    ];
    let nobody = app.anonymous();
    let mut told: Option<String> = None;
    for header in headers {
        for route in V1 {
            let path = route.path_of(&order);
            let method = Method::from_bytes(route.method.as_bytes()).expect("a method");
            let mut request = nobody.request(method, &path).header("Idempotency-Key", "k");
            if route.method != "GET" {
                request = request.json(&two_mugs());
            }
            if let Some(header) = &header {
                request = request.header("Authorization", header);
            }
            let answer = nobody.send(request).await.problem(401, "unauthenticated");
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer"),
                "{header:?}"
            );
            let text = text_of(&answer);
            assert_eq!(
                told.get_or_insert_with(|| text.clone()),
                &text,
                "{header:?}"
            );
        }
    }
    assert_eq!((app.orders_stored().await, app.keys_stored().await), (1, 1));
    // The scheme's case does not matter; the key's does.
    let request = nobody.request(Method::GET, "/v1/orders");
    let request = request.header("Authorization", format!("bEARER {good}"));
    nobody.send(request).await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_stops_working_at_once_and_others_go_on() {
    let app = TestApp::quiet().await;
    let (one, two) = (app.merchant().await, app.merchant().await);
    let id = one.place_order().await.str("id").to_owned();
    keys::revoke_key(&app.services.store, one.key_id())
        .await
        .expect("revoked");
    one.get(&format!("/v1/orders/{id}"))
        .await
        .problem(401, "unauthenticated");
    two.get(&format!("/v1/orders/{id}")).await.expect(200);
    app.finish().await;
}

/// How often the database is asked when a crowd shows one key at the same moment; all of it learns the key.
async fn asked_by_a_crowd(app: &TestApp, key: ApiKeyId) -> u64 {
    let store = &app.services.store;
    let before = store.statements();
    let known = futures::future::join_all((0..300).map(|_| store.key(key))).await;
    assert!(known.iter().all(|key| matches!(key, Ok(Some(_)))));
    store.statements() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_one_key_asks_the_database_once() {
    let mut app = TestApp::quiet().await;
    let key = app.merchant().await.key_id();
    assert_eq!(asked_by_a_crowd(&app, key).await, 1);
    assert_eq!(asked_by_a_crowd(&app, key).await, 0);
    let unknown: ApiKeyId = app.clock.id();
    assert!(matches!(app.services.store.key(unknown).await, Ok(None)));
    // Nor does a crowd queue up for a database that is gone.
    app.lose_database().await;
    let store = &app.services.store;
    let all = futures::future::join_all((0..300).map(|_| store.key(unknown))).await;
    assert!(all.iter().all(Result::is_err));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_use_is_asked_for_again_by_one_of_the_crowd() {
    let app = TestApp::quiet().await;
    let key = app.merchant().await.key_id();
    asked_by_a_crowd(&app, key).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(350)).await;
        let before = app.services.store.statements();
        asked_by_a_crowd(&app, key).await;
        eventually("it is asked for again", async || {
            app.services.store.statements() > before
        })
        .await;
        // Two, if so much time has passed that it was not known any more.
        assert!(app.services.store.statements() - before <= 2);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_key_may_do_what_its_scopes_name_and_nothing_else() {
    let app = TestApp::quiet().await;
    let order = app
        .merchant()
        .await
        .place_order()
        .await
        .str("id")
        .to_owned();
    for scope in Scope::ALL {
        let actor = app
            .actor(&app.shop, KeyKind::Secret, Scopes::new(vec![*scope]))
            .await;
        for route in V1 {
            let answer = route.call(&actor, &order, None).await;
            if route.scope == *scope {
                assert!(
                    answer.status < 300 || [404, 409].contains(&answer.status),
                    "{}",
                    answer.text
                );
            } else {
                let answer = answer.problem(403, "forbidden");
                assert!(
                    answer.str("detail").contains(route.scope.as_str()),
                    "{}",
                    answer.text
                );
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_reaches_what_browsers_need_and_nothing_else() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let browser = app.storefront().await;
    let placed = merchant.place_order().await;
    let (id, token) = (placed.str("id"), placed.str("client_token"));
    let session = merchant.check_out(id).await.expect(201);
    for route in V1 {
        let id = match route.id {
            Some("cs") => session.str("id"),
            Some("sku") => "mug",
            _ => id,
        };
        let with_token = route.call(&browser, id, Some(token)).await;
        if route.publishable {
            assert!(
                with_token.status < 300,
                "{} {}",
                route.path,
                with_token.text
            );
            if route.needs_token() {
                route
                    .call(&browser, id, None)
                    .await
                    .problem(403, "forbidden");
            }
        } else {
            with_token.problem(403, "forbidden");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_live_shop_say_so_and_so_do_its_orders() {
    let app = TestApp::quiet().await;
    let shop = app.another_shop("live", Mode::Live).await;
    let merchant = app.actor(&shop, KeyKind::Secret, Scopes::all()).await;
    let key = merchant.key.clone().expect("a key");
    assert!(key.starts_with("sk_live_"));
    assert_eq!(merchant.place_order().await.json["livemode"], true);
    let mut forged = merchant.clone();
    forged.key = Some(key.replace("sk_live", "sk_test"));
    forged
        .get("/v1/orders")
        .await
        .problem(401, "unauthenticated");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_holds_no_secret_that_was_given_out() {
    let app = TestApp::start().await;
    let (merchant, browser) = (app.merchant().await, app.storefront().await);
    let placed = browser.place_order().await;
    browser
        .post("/v1/orders", &json!({"currency": "EUR", "line_items": []}))
        .await
        .expect(422);
    let session = merchant.check_out(placed.str("id")).await.expect(201);
    let at_provider = session.str("provider_session_id");
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    eventually("the order is paid", async || {
        merchant.order(placed.str("id")).await["payment_status"] == "paid"
    })
    .await;
    let dump = dump(&app).await;
    let holds = |text: &str| {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        dump.contains(text) || dump.to_ascii_lowercase().contains(&hex)
    };
    assert!(
        holds(placed.str("id")) && holds(at_provider),
        "the dump holds what is stored"
    );
    for actor in [&merchant, &browser] {
        let key = actor.key.as_deref().expect("a key");
        let (_, secret) = key.rsplit_once('_').expect("a secret part");
        assert!(!holds(key) && !holds(secret), "an API key is stored");
        assert!(holds(&till::secrets::hash(secret)), "its hash is");
    }
    let token = placed.str("client_token");
    for secret in [
        token,
        &token[3..],
        app.webhook_secret.as_str(),
        "sk_test_harness",
        "AAECAwQFBgcICQ",
    ] {
        assert!(!holds(secret), "{secret} is stored");
    }
    app.finish().await;
}

/// Every column of every row as text; bytes as hex.
async fn dump(app: &TestApp) -> String {
    let look = app.look().await;
    let backend = look.get_database_backend();
    let texts = async |sql: String| -> Vec<String> {
        let rows = look
            .query_all_raw(Statement::from_string(backend, &sql))
            .await
            .expect(&sql);
        rows.iter()
            .map(|row| row.try_get_by_index(0).expect("text"))
            .collect()
    };
    let sqlite = backend == DatabaseBackend::Sqlite;
    let tables = if sqlite {
        texts("SELECT name FROM sqlite_master WHERE type = 'table'".to_owned()).await
    } else {
        texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'".to_owned()).await
    };
    assert!(tables.len() > 15, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        let row = if sqlite {
            let columns = texts(format!("SELECT name FROM pragma_table_info('{table}')")).await;
            let quoted = columns.iter().map(|column| format!("quote(\"{column}\")"));
            quoted.collect::<Vec<_>>().join(" || ' ' || ")
        } else {
            "row_to_json(t)::text".to_owned()
        };
        dump.push_str(
            &texts(format!("SELECT {row} FROM \"{table}\" t"))
                .await
                .join("\n"),
        );
    }
    look.close().await.expect("closes");
    dump
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_the_same_for_all_it_does_and_its_id_is_written_down() {
    let app = TestApp::quiet().await;
    let merchant = app.merchant().await;
    let request = merchant
        .request(Method::POST, "/v1/orders")
        .json(&two_mugs());
    let request = request
        .header("Idempotency-Key", "k")
        .header("Request-Id", "req-of-mine");
    let placed: Value = merchant.send(request).await.expect(201).json;
    let id = placed["id"].as_str().expect("an id");
    let actor = merchant.key_id();
    for (table, column) in [("\"order\"", "id"), ("event", "order_id")] {
        let sql = format!(
            "SELECT COUNT(*) FROM {table} WHERE {column} = '{id}' AND actor = '{actor}' \
             AND request_id = 'req-of-mine'"
        );
        assert_eq!(app.count(&sql).await, 1, "{table}");
    }
    app.finish().await;
}
