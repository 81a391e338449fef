//! A Till of its own for every test: fresh database, fresh simulator, real HTTP, a clock that can be turned.
//!
//! A test ends with [`TestApp::finish`], which checks what must always hold; forgetting it fails the test.

pub mod actor;
pub mod database;
pub mod filled;
pub mod person;
pub mod plans;
pub mod story;
mod vandal;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use till::app;
use till::clock::Clock;
use till::config::Config;
use till::domain::access::{KeyKind, Mode, Scopes};
use till::domain::currency::Currency;
use till::domain::money::Money;
use till::domain::verify::Check;
use till::front::{Front, Limits};
use till::service::{Services, catalogue, keys};
use till::simulator::{Simulator, SimulatorConfig};
use till::store::Store;
use till::store::catalogue::NewProduct;
use till::store::shops::ShopRecord;
use till::worker;

pub use actor::{Actor, Answer};
use database::TestDatabase;
pub use story::Payable;

/// Whether a text has a word as one of its own, not as a part of a longer one.
///
/// The ids of providers are random letters and digits, and so have any short word in them now and then.
pub fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric())
        .any(|one| one == word)
}

/// A running Till with its provider.
pub struct TestApp {
    /// Where Till listens.
    pub base_url: String,
    /// Its use cases, for turning the workers by hand.
    pub services: Arc<Services>,
    /// Its clock.
    pub clock: Clock,
    /// Its provider.
    pub simulator: Option<Simulator>,
    /// Where the provider listens.
    pub simulator_url: String,
    /// What the provider signs webhooks with.
    pub webhook_secret: String,
    /// The shop most tests use.
    pub shop: ShopRecord,
    /// Plain HTTP, without redirects.
    pub http: reqwest::Client,
    config: Config,
    database: TestDatabase,
    front: Front,
    webhooks: bool,
    workers: Option<worker::Workers>,
    expect_open_calls: bool,
    expect_broken: bool,
    database_lost: bool,
    finished: bool,
}

/// How a [`TestApp`] differs from the usual one.
#[derive(Default)]
pub struct Setup {
    /// Runs the background loops; otherwise a test turns them with [`TestApp::work`].
    pub workers: bool,
    /// Lets the simulator's webhooks arrive; otherwise they are lost.
    pub webhooks: bool,
    /// Talks to this address instead of the simulator.
    pub provider_url: Option<String>,
    /// How long a provider call may take, in milliseconds; 10,000 when not given.
    pub timeout_ms: Option<u64>,
    /// Further settings, by their names in `Rocket.toml`.
    pub settings: Vec<(&'static str, Value)>,
}

impl TestApp {
    /// The usual one: webhooks arrive, the background loops run.
    pub async fn start() -> TestApp {
        TestApp::with(Setup {
            workers: true,
            webhooks: true,
            ..Setup::default()
        })
        .await
    }

    /// A silent one: no webhook arrives and nothing happens in the background.
    pub async fn quiet() -> TestApp {
        TestApp::with(Setup::default()).await
    }

    /// A quiet one that gives up early on a provider that does not answer.
    pub async fn impatient() -> TestApp {
        TestApp::with(Setup {
            timeout_ms: Some(1_000),
            ..Setup::default()
        })
        .await
    }

    /// One that gets the simulator's webhooks, but whose loops only turn when told to.
    pub async fn listening() -> TestApp {
        TestApp::with(Setup {
            webhooks: true,
            ..Setup::default()
        })
        .await
    }

    /// One of one's own.
    pub async fn with(setup: Setup) -> TestApp {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::create().await;
        let simulator = Simulator::start(SimulatorConfig::default())
            .await
            .expect("the simulator starts");
        let simulator_url = simulator.base_url();
        let webhook_secret = simulator.webhook_secret();
        let provider_url = setup
            .provider_url
            .clone()
            .unwrap_or_else(|| simulator_url.clone());
        let config = config(&database, &provider_url, &webhook_secret, &setup);
        let clock = Clock::system();
        let store = app::open_store(&config, clock.clone())
            .await
            .expect("the database opens");
        let shop = keys::find_shop(&store, None)
            .await
            .expect("the default shop");
        sample_catalogue(&store, &shop).await;
        let services = app::build_services(&config, store, clock.clone())
            .await
            .expect("the services");
        let front = serve(&config, services.clone()).await;
        let base_url = format!("http://{}", front.address());
        if setup.webhooks {
            simulator.set_webhook_url(&format!("{base_url}/webhooks/stripe"));
        }
        let workers = setup.workers.then(|| worker::Workers::start(&services));
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // The server closes a connection that was idle for 5 s, maybe just as a request is sent on it.
            .pool_idle_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(60))
            .build()
            .expect("an HTTP client");
        TestApp {
            base_url,
            services,
            clock,
            simulator: Some(simulator),
            simulator_url,
            webhook_secret,
            shop,
            http,
            config,
            database,
            front,
            webhooks: setup.webhooks,
            workers,
            expect_open_calls: false,
            expect_broken: false,
            database_lost: false,
            finished: false,
        }
    }

    /// A server of the default shop: a new secret key with every right.
    pub async fn merchant(&self) -> Actor {
        self.actor(&self.shop, KeyKind::Secret, Scopes::all()).await
    }

    /// A browser of the default shop: a new publishable key.
    pub async fn storefront(&self) -> Actor {
        self.actor(&self.shop, KeyKind::Publishable, Scopes::all())
            .await
    }

    /// Anybody with a new key of a shop.
    pub async fn actor(&self, shop: &ShopRecord, kind: KeyKind, scopes: Scopes) -> Actor {
        let store = &self.services.store;
        let key = keys::create_key(store, &self.clock, shop.clone(), kind, scopes)
            .await
            .expect("a key");
        Actor::new(self, Some(key.text))
    }

    /// Somebody without a key.
    pub fn anonymous(&self) -> Actor {
        Actor::new(self, None)
    }

    /// Another shop, with the same catalogue.
    pub async fn another_shop(&self, name: &str, mode: Mode) -> ShopRecord {
        let store = &self.services.store;
        let shop = keys::create_shop(store, name, mode, &[])
            .await
            .expect("a shop");
        sample_catalogue(store, &shop).await;
        shop
    }

    /// Turns Till's clock and the simulator's.
    pub async fn advance(&self, seconds: i64) {
        self.clock.advance(seconds * 1_000);
        self.simulate("clock/advance", &json!({ "seconds": seconds }))
            .await;
    }

    /// Does what is due, until nothing is. Returns how much was done.
    pub async fn work(&self) -> u64 {
        let mut all = 0;
        for _ in 0..1_000 {
            let done = worker::run_once(&self.services)
                .await
                .expect("the workers' round");
            all += done;
            if done == 0 {
                return all;
            }
        }
        panic!("the workers never came to rest");
    }

    /// Tells the simulator to do something: `POST /_simulator/{act}`.
    pub async fn simulate(&self, act: &str, body: &Value) -> Value {
        let url = format!("{}/_simulator/{act}", self.simulator_url);
        let answer = self
            .http
            .post(url)
            .json(body)
            .send()
            .await
            .expect("the simulator answers");
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .expect("the simulator answers with JSON");
        assert!(status.is_success(), "the simulator refused {act}: {body}");
        body
    }

    /// The simulator's journal of one kind: `request`, `effect` or `webhook`.
    pub async fn journal(&self, kind: &str) -> Vec<Value> {
        let url = format!("{}/_simulator/journal?kind={kind}", self.simulator_url);
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .expect("the simulator answers");
        let body: Value = answer.json().await.expect("a journal");
        body["data"].as_array().expect("a list").clone()
    }

    /// Sends bytes to the webhook endpoint, signed with the endpoint's secret now.
    pub async fn deliver(&self, event: &Value) -> Answer {
        let body = serde_json::to_vec(event).expect("JSON");
        self.deliver_raw(Some(&self.signed(&body)), body).await
    }

    /// The signature of these bytes, made with the endpoint's secret now.
    pub fn signed(&self, body: &[u8]) -> String {
        sign(&self.webhook_secret, self.clock.now().seconds(), body)
    }

    /// Sends bytes to the webhook endpoint as they are.
    pub async fn deliver_raw(&self, signature: Option<&str>, body: Vec<u8>) -> Answer {
        let mut request = self
            .http
            .post(format!("{}/webhooks/stripe", self.base_url))
            .header("Content-Type", "application/json")
            .body(body);
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        Answer::read(request.send().await.expect("Till answers")).await
    }

    /// A provider call may still be open when the test ends.
    pub fn expect_open_calls(&mut self) {
        self.expect_open_calls = true;
    }

    /// The database may be broken when the test ends: the test broke it.
    pub fn expect_broken(&mut self) {
        self.expect_broken = true;
    }

    /// Takes the database away from Till for the rest of the test.
    pub async fn lose_database(&mut self) {
        self.services
            .store
            .close()
            .await
            .expect("the database closes");
        self.database_lost = true;
    }

    /// A connection of the test's own, to look with, never to change.
    pub async fn look(&self) -> sea_orm::DatabaseConnection {
        self.database.connect().await
    }

    /// The mounted routes of the console, as method and path.
    pub async fn console_routes(&self) -> Vec<String> {
        let server = app::server(&self.config, self.services.clone());
        let server = server.ignite().await.expect("it ignites");
        server
            .routes()
            .filter(|route| route.uri.path().starts_with("/staff"))
            .map(|route| format!("{} {}", route.method, route.uri.path()))
            .collect()
    }

    /// One number from the database.
    pub async fn count(&self, sql: &str) -> i64 {
        use sea_orm::ConnectionTrait;
        let look = self.look().await;
        let statement = sea_orm::Statement::from_string(look.get_database_backend(), sql);
        let row = look
            .query_one_raw(statement)
            .await
            .expect(sql)
            .expect("a row");
        let count = row.try_get_by_index(0).expect("a number");
        look.close().await.expect("closes");
        count
    }

    /// How many orders are stored, of all shops.
    pub async fn orders_stored(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM \"order\"").await
    }

    /// How many idempotency keys are stored.
    pub async fn keys_stored(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM idempotency_key").await
    }

    /// Stops Till and checks what must always hold.
    pub async fn finish(mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop().await;
        }
        if self.webhooks && self.simulator.is_some() {
            // One that is being answered now may still write.
            let silent = json!({ "url": null });
            self.simulate("webhook", &silent).await;
            self.front.quiet().await;
        }
        if !self.database_lost && !self.expect_broken {
            self.work().await;
        }
        if !self.database_lost {
            let look = self.look().await;
            let long = plans::long_ways(&look, &self.services.store.texts()).await;
            look.close().await.expect("closes");
            assert!(
                long.is_empty(),
                "statements that go through all there is: {long:#?}"
            );
        }
        for (sql, what) in [
            (
                "SELECT COUNT(*) FROM event WHERE position IS NULL",
                "events without a place in the feed",
            ),
            (
                "SELECT COUNT(*) FROM shop LEFT JOIN search_cursor ON shop_id = shop.id \
                 WHERE event_position > COALESCE(position, 0)",
                "shops whose search is behind their feed",
            ),
            (
                "SELECT COUNT(*) FROM (SELECT 1 FROM ledger_entry e JOIN ledger_account a \
                 ON a.id = e.ledger_account_id GROUP BY a.currency \
                 HAVING SUM(e.debit_minor) <> SUM(e.credit_minor)) unbalanced",
                "currencies out of balance",
            ),
            (
                "SELECT COUNT(*) FROM (SELECT 1 FROM ledger_entry GROUP BY ledger_transaction_id \
                 HAVING SUM(debit_minor) <> SUM(credit_minor)) unbalanced",
                "ledger transactions out of balance",
            ),
            (
                "SELECT COUNT(*) FROM ledger_entry e JOIN ledger_transaction t \
                 ON t.id = e.ledger_transaction_id WHERE t.order_id <> e.order_id",
                "ledger entries of another order than their transaction's",
            ),
            (
                "SELECT COUNT(*) FROM (SELECT 1 FROM checkout_session \
                 WHERE status IN ('creating', 'open', 'processing') \
                 GROUP BY order_id HAVING COUNT(*) > 1) twice",
                "orders with two live sessions",
            ),
        ] {
            assert!(self.expect_broken || self.count(sql).await == 0, "{what}");
        }
        let lost = UNCHECKED.map(|(table, column, target)| {
            format!(
                "SELECT 1 FROM {table} AS r LEFT JOIN {target} AS target ON target.id = r.{column} \
                 WHERE r.{column} IS NOT NULL AND target.id IS NULL"
            )
        });
        let lost = format!(
            "SELECT COUNT(*) FROM ({}) AS lost",
            lost.join(" UNION ALL ")
        );
        assert!(
            self.expect_broken || self.count(&lost).await == 0,
            "rows that name something that is not there"
        );
        self.verify().await;
        if !self.expect_open_calls && !self.expect_broken {
            let open = "SELECT COUNT(*) FROM provider_call WHERE status IN ('sending', 'unknown')";
            assert_eq!(
                self.count(open).await,
                0,
                "provider calls without an outcome"
            );
        }
        self.front.stop();
        if let Some(simulator) = self.simulator.take() {
            simulator.stop().await;
        }
        if !self.database_lost {
            self.services
                .store
                .close()
                .await
                .expect("the database closes");
        }
        self.database.destroy().await;
        self.finished = true;
    }
}

/// References PostgreSQL does not check: table, column, and the table it refers to.
const UNCHECKED: [(&str, &str, &str); 21] = [
    ("idempotency_key", "shop_id", "shop"),
    ("line_item", "shop_id", "shop"),
    ("event", "shop_id", "shop"),
    ("order_term", "shop_id", "shop"),
    ("order_term", "order_id", "\"order\""),
    ("checkout_session", "shop_id", "shop"),
    ("payment", "shop_id", "shop"),
    ("payment", "provider_account_id", "provider_account"),
    ("provider_fact", "shop_id", "shop"),
    ("provider_fact", "provider_account_id", "provider_account"),
    ("provider_fact", "checkout_session_id", "checkout_session"),
    ("provider_call", "shop_id", "shop"),
    ("provider_call", "provider_account_id", "provider_account"),
    ("provider_attempt", "shop_id", "shop"),
    ("provider_event", "shop_id", "shop"),
    ("provider_event", "checkout_session_id", "checkout_session"),
    ("ledger_transaction", "shop_id", "shop"),
    ("ledger_entry", "shop_id", "shop"),
    ("ledger_entry", "order_id", "\"order\""),
    (
        "checkout_session",
        "provider_account_id",
        "provider_account",
    ),
    ("provider_event", "provider_account_id", "provider_account"),
];

impl TestApp {
    /// Everything `till verify` checks, but for what a test leaves open on purpose.
    async fn verify(&self) {
        if self.expect_broken || self.database_lost {
            return;
        }
        let store = &self.services.store;
        let mut report = store.verify().await.expect("a report");
        report.findings.retain(|finding| match finding.check {
            Check::CallStuck => !self.expect_open_calls,
            check => !check.is_warning(),
        });
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        assert!(
            self.finished || std::thread::panicking(),
            "a test must end with app.finish().await"
        );
    }
}

/// One to eight commands in a set.
fn rand_batch() -> u32 {
    u32::from(uuid::Uuid::new_v4().as_bytes()[0] % 8) + 1
}

fn config(
    database: &TestDatabase,
    provider_url: &str,
    webhook_secret: &str,
    setup: &Setup,
) -> Config {
    let mut figment = Config::base()
        .merge(("port", 0))
        .merge(("database.url", database.url()))
        .merge(("database.max_connections", 6))
        .merge(("providers.stripe.api_key", "sk_test_harness"))
        .merge(("providers.stripe.base_url", provider_url))
        .merge(("providers.stripe.webhook_secrets", vec![webhook_secret]))
        .merge((
            "providers.stripe.timeout_ms",
            setup.timeout_ms.unwrap_or(10_000),
        ))
        .merge((
            "secret_keys",
            vec!["1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
        ));
    if let Ok(batch) = std::env::var("TILL_TEST_BATCH") {
        let batch: u32 = match batch.as_str() {
            "random" => {
                let size = rand_batch();
                eprintln!("sets of up to {size}: TILL_TEST_BATCH={size} repeats it");
                size
            }
            size => size.parse().expect("a number or `random`"),
        };
        figment = figment.merge(("database.batch", batch));
    }
    for (name, value) in &setup.settings {
        figment = figment.merge((*name, value));
    }
    Config::from_figment(figment).expect("a configuration")
}

async fn serve(config: &Config, services: Arc<Services>) -> Front {
    let room = Arc::new(app::Room(services.clone()));
    let limits = Limits::with_connections(512);
    let front = Front::start(app::server(config, services), limits, Some(room)).await;
    front.expect("the server listens")
}

async fn sample_catalogue(store: &Store, shop: &ShopRecord) {
    let eur = Currency::from_code("EUR").expect("EUR");
    let jpy = Currency::from_code("JPY").expect("JPY");
    let product = |sku: &str, name: &str, cents: i64, yen: i64| {
        let prices = vec![Money::new(cents, eur), Money::new(yen, jpy)];
        NewProduct::new(sku, name, prices)
    };
    let products = [
        product("mug", "Mug", 1_250, 1_500),
        product("shirt", "T-shirt", 2_499, 3_000),
        product("free", "Nothing", 0, 0),
    ];
    catalogue::put_products(store, shop.id, &products)
        .await
        .expect("a catalogue");
}

/// A Stripe signature header, made independently of the adapter.
pub fn sign(secret: &str, timestamp_s: i64, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{timestamp_s}.").as_bytes());
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={timestamp_s},v1={hex}")
}

/// Waits until a condition holds; never sleeps longer than it must.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < give_up,
            "never came true: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
