//! `/metrics`: the committed list of names, what makes each number move, and who may read them.
//!
//! Every test does something over HTTP and reads the numbers as Prometheus would.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::ConnectionTrait as _;
use serde_json::json;

use crate::harness::{Actor, Setup, TestApp, eventually};

/// Names, kinds and labels: dashboards and alerts are built on them.
const COMMITTED: &str = include_str!("metrics.txt");

/// What a scrape said: kinds by name, and values by `name{labels}`.
struct Scrape {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
    text: String,
}

impl Scrape {
    /// Reads the text strictly: a sample belongs to the family announced before it.
    fn parse(text: &str) -> Scrape {
        let (mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(announced) = line.strip_prefix("# TYPE ") {
                let (name, kind) = announced.split_once(' ').expect("a name and a kind");
                family = name.to_owned();
                assert!(kinds.insert(family.clone(), kind.to_owned()).is_none());
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                assert!(series.starts_with(&family), "{line} is not of {family}");
                let value = value.parse().expect("a number");
                let before = samples.insert(series.to_owned(), value);
                assert!(before.is_none(), "{series} is there twice");
            }
        }
        let text = text.to_owned();
        Scrape {
            kinds,
            samples,
            text,
        }
    }

    #[track_caller]
    fn get(&self, series: &str) -> f64 {
        let value = self.samples.get(series).copied();
        value.unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// The label names of a family's samples, without a histogram's own.
    fn labels(&self, family: &str) -> BTreeSet<String> {
        let mut labels = BTreeSet::new();
        for series in self.samples.keys() {
            let (name, rest) = series.split_once('{').unwrap_or((series, ""));
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|base| self.kinds.contains_key(*base))
                .unwrap_or(name);
            if base == family {
                let pairs = rest.trim_end_matches('}').split("\",");
                labels.extend(pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
            }
        }
        labels.remove("le");
        labels
    }
}

async fn scrape(who: &Actor) -> Scrape {
    Scrape::parse(&who.get("/metrics").await.expect(200).text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_are_the_committed_ones_and_a_paid_order_moves_the_numbers() {
    let app = TestApp::start().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let session = shop.check_out(&order).await.expect(201);
    let at_provider = session.str("provider_session_id").to_owned();
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    eventually("the order is paid", async || {
        shop.order(&order).await["payment_status"] == "paid"
    })
    .await;
    shop.get("/v1/orders/ord_NOT-AN-ID?q=ada@example.com").await;
    shop.get("/v1/no/such/route")
        .await
        .problem(404, "not_found");

    let answer = app.anonymous().get("/metrics").await.expect(200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let scrape = Scrape::parse(&answer.text);

    let found: Vec<String> = scrape
        .kinds
        .iter()
        .map(|(name, kind)| {
            let labels = scrape.labels(name);
            let words = [name.clone(), kind.clone()].into_iter().chain(labels);
            words.collect::<Vec<String>>().join(" ")
        })
        .collect();
    let committed: Vec<&str> = COMMITTED.lines().collect();
    assert_eq!(found, committed, "names, kinds or labels changed");

    assert!((scrape.get("till_orders_placed_total") - 1.0).abs() < f64::EPSILON);
    for series in [
        r#"till_http_requests_total{method="POST",route="/v1/orders",status="201"}"#,
        r#"till_http_requests_total{method="POST",route="/v1/orders/{id}/checkout_sessions",status="201"}"#,
        r#"till_http_requests_total{method="POST",route="/webhooks/{provider}",status="200"}"#,
        r#"till_http_requests_total{method="any",route="unmatched",status="404"}"#,
        r#"till_http_request_duration_seconds_count{route="/v1/orders"}"#,
        r#"till_http_request_duration_seconds_bucket{route="/v1/orders",le="+Inf"}"#,
        r#"till_provider_calls_total{kind="session_create",outcome="succeeded"}"#,
        r#"till_webhooks_total{verdict="applied"}"#,
        r#"till_webhook_secret_used_total{secret="0"}"#,
        "till_settlement_lag_seconds_count",
    ] {
        assert!(scrape.get(series) >= 1.0, "{series}");
    }
    for typed in ["NOT-AN-ID", "no/such", "ada@", &order, &at_provider] {
        assert!(!answer.text.contains(typed), "{typed} is in the metrics");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_counted_by_verdict() {
    let app = TestApp::quiet().await;
    app.deliver_raw(Some("t=1,v1=00"), b"{}".to_vec())
        .await
        .problem(400, "invalid_signature");
    app.deliver(&json!({"no": "event"}))
        .await
        .problem(400, "malformed_event");
    let event = json!({
        "id": "evt_metrics", "object": "event", "type": "customer.created", "created": 1,
        "livemode": false, "data": {"object": {"id": "cus_1", "object": "customer"}},
    });
    app.deliver(&event).await.expect(200);
    app.deliver(&event).await.expect(200);
    let scrape = scrape(&app.anonymous()).await;
    for verdict in ["bad_signature", "malformed", "ignored", "duplicate"] {
        let series = format!(r#"till_webhooks_total{{verdict="{verdict}"}}"#);
        assert!(scrape.get(&series) >= 1.0, "{series}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_counted_and_held_for_five_seconds() {
    let mut app = TestApp::with(Setup {
        provider_url: Some("http://127.0.0.1:9".to_owned()),
        ..Setup::default()
    })
    .await;
    app.expect_open_calls();
    let anybody = app.anonymous();
    let depth = |scrape: &Scrape, queue: &str| {
        scrape.get(&format!(r#"till_queue_depth{{queue="{queue}"}}"#))
    };
    let before = scrape(&anybody).await;
    for queue in [
        "provider_calls",
        "checkout_sessions",
        "provider_events",
        "provider_events_dead",
        "events_unplaced",
    ] {
        assert!(depth(&before, queue) < 0.5, "{queue}");
        let age = format!(r#"till_queue_oldest_age_seconds{{queue="{queue}"}}"#);
        assert!(before.get(&age) < 0.5, "{queue}");
    }
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    shop.check_out(&order).await;
    let held = scrape(&anybody).await;
    assert!(depth(&held, "provider_calls") < 0.5, "not counted again");
    let outcome = r#"till_provider_calls_total{kind="session_create",outcome="not_sent"}"#;
    assert!(held.get(outcome) >= 1.0, "{}", held.text);

    // SQLite places events as they are inserted.
    let look = app.look().await;
    let unplace = "UPDATE event SET position = NULL";
    look.execute_unprepared(unplace).await.expect(unplace);
    look.close().await.expect("closes");

    app.clock.advance(6_000);
    let after = scrape(&anybody).await;
    assert!(depth(&after, "provider_calls") > 0.5);
    assert!(depth(&after, "events_unplaced") > 0.5);
    let age = r#"till_queue_oldest_age_seconds{queue="provider_calls"}"#;
    assert!(after.get(age) >= 6.0, "{}", after.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_works_is_in_use_and_no_pool_is_above_its_limit() {
    let app = TestApp::quiet().await;
    let anybody = app.anonymous();
    let sum = |scrape: &Scrape, wanted: &str| {
        let series = scrape.samples.iter();
        let series = series.filter(|(name, _)| name.contains(wanted));
        series.map(|(_, value)| *value).sum::<f64>()
    };
    let in_use = r#",state="in_use"}"#;
    // A connection goes back to its pool a moment after its work.
    let at_rest = async |what: &str| {
        eventually(what, async || sum(&scrape(&anybody).await, in_use) < 0.5).await;
    };
    at_rest("nothing is in use").await;
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let (store, waited_for) = (app.services.store.clone(), go_on.clone());
    let writing = tokio::spawn(async move {
        let write = store.write(|_| {
            let (began, waited_for) = (began.clone(), waited_for.clone());
            async move {
                began.send(()).expect("the test listens");
                waited_for.notified().await;
                Ok::<_, till::store::StoreError>(())
            }
        });
        write.await
    });
    begun.recv().await.expect("a transaction");
    // What the page itself is read with may be on its way back.
    eventually("the writer alone is in use", async || {
        (sum(&scrape(&anybody).await, in_use) - 1.0).abs() < 0.5
    })
    .await;
    go_on.notify_one();
    writing.await.expect("no panic").expect("commits");
    at_rest("the writer is done").await;
    let after = scrape(&anybody).await;
    let most = sum(&after, "till_database_connections_max{");
    assert!(sum(&after, "till_database_connections{") <= most && most >= 6.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_token_keeps_others_out() {
    let app = TestApp::with(Setup {
        settings: vec![("metrics.token", "metrics-token-0123456789".into())],
        ..Setup::default()
    })
    .await;
    let refused = app.anonymous().get("/metrics").await;
    let refused = refused.problem(401, "unauthenticated");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert!(!refused.text.contains("metrics-token"));
    app.merchant()
        .await
        .get("/metrics")
        .await
        .problem(401, "unauthenticated");
    let mut scraper = app.anonymous();
    scraper.key = Some("metrics-token-0123456789".to_owned());
    let answer = scraper.get("/metrics").await.expect(200);
    assert!(!answer.text.contains("metrics-token"));
    app.finish().await;
}

#[test]
fn a_token_that_is_easily_guessed_is_refused_at_the_start() {
    use till::config::Config;
    for short in ["", "secret", "with blanks in its text"] {
        let figment = Config::base().merge(("metrics.token", short));
        let error = Config::from_figment(figment).expect_err(short).to_string();
        assert!(error.contains("TILL_METRICS__TOKEN"), "{error}");
    }
    let figment = Config::base().merge(("metrics.token", 1_234_567_890_123_456_u64));
    let error = Config::from_figment(figment).expect_err("a number");
    assert!(!error.to_string().contains("1234567890123456"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panic_is_counted() {
    let app = TestApp::quiet().await;
    till::telemetry::count_panics(app.services.metrics.clone());
    let panicked = tokio::spawn(async { panic!("for the test") }).await;
    assert!(panicked.is_err());
    let scrape = scrape(&app.anonymous()).await;
    assert!(scrape.get("till_panics_total") >= 1.0);
    app.finish().await;
}
