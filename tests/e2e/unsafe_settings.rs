//! Settings that could lose or invent money refuse to start, at once, and say how to mend them.

use std::time::{Duration, Instant};

use crate::harness::{Process, Sandbox};

const API_KEY: &str = "TILL_PROVIDERS__STRIPE__API_KEY";
const BASE_URL: &str = "TILL_PROVIDERS__STRIPE__BASE_URL";
const SECRETS: &str = "TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS";
const DATABASE: &str = "TILL_DATABASE__URL";
const KEYS: &str = "TILL_SECRET_KEYS";

/// What is set, and words the refusal must have.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (&[], &[API_KEY, "--with-simulator", "till demo"]),
    (&[(API_KEY, "")], &[API_KEY]),
    (
        &[("TILL_DATABASE__BATCH", "0")],
        &["TILL_DATABASE__BATCH", "at least 1"],
    ),
    (
        &[("TILL_DATABASE__MAX_CONNECTIONS", "0")],
        &["TILL_DATABASE__MAX_CONNECTIONS", "at least 1"],
    ),
    (
        &[("ROCKET_TLS", "{certs=\"c.pem\",key=\"k.pem\"}")],
        &["ROCKET_TLS", "proxy"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "[\"whsec_a\",\"whsec_\"]"),
        ],
        &[SECRETS, "whsec_"],
    ),
    (
        &[("ROCKET_WORKERS", "0")],
        &["ROCKET_WORKERS", "at least 1"],
    ),
    (
        &[("TILL_ORDERS__EXPIRE_AFTER_S", "0")],
        &["TILL_ORDERS__EXPIRE_AFTER_S", "at least 1"],
    ),
    (
        &[("TILL_HTTP__CLIENT_IP_HEADER", "X Real")],
        &["TILL_HTTP__CLIENT_IP_HEADER", "X-Real-IP"],
    ),
    (
        &[("TILL_HTTP__CLIENT_IP_HEADER", "")],
        &["TILL_HTTP__CLIENT_IP_HEADER", "X-Real-IP"],
    ),
    (&[(API_KEY, "sk_test_a")], &[SECRETS, "whsec_"]),
    (&[(API_KEY, "sk_test_a"), (SECRETS, "[]")], &[SECRETS]),
    (
        &[(API_KEY, "pk_test_a"), (SECRETS, "whsec_a")],
        &["TILL_PROVIDERS__STRIPE__", "sk_test_"],
    ),
    (
        &[
            (API_KEY, "sk_live_a"),
            (SECRETS, "whsec_a"),
            (BASE_URL, "http://127.0.0.1:12111"),
        ],
        &["live key", API_KEY, BASE_URL],
    ),
    (
        &[
            (API_KEY, "rk_live_a"),
            (SECRETS, "whsec_a"),
            (BASE_URL, "http://LOCALHOST:12111"),
        ],
        &["live key", API_KEY, BASE_URL],
    ),
    (
        &[
            (API_KEY, "sk_live_a"),
            (SECRETS, "whsec_a"),
            (BASE_URL, "https://[0:0:0:0:0:0:0:1]:12111"),
        ],
        &["live key", API_KEY, BASE_URL],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            (BASE_URL, "http://stripe.example"),
        ],
        &["TILL_PROVIDERS__STRIPE__", "https", "loopback"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            (DATABASE, "postgres://till@127.0.0.1:1/till"),
        ],
        &[KEYS, "/dev/urandom"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            (KEYS, r#"["1:c2hvcnQ="]"#),
        ],
        &[KEYS],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            (DATABASE, "sqlite::memory:"),
        ],
        &[DATABASE, "sqlite://till.db"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            (DATABASE, "sqlite://:memory:"),
        ],
        &[DATABASE, "sqlite://till.db"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            (DATABASE, "mysql://x/y"),
        ],
        &[DATABASE, "postgres://"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            ("TILL_DATABASE__URI", "sqlite://till.db"),
        ],
        &["TILL_DATABASE__URI", "TILL_DATABASE__URL"],
    ),
    (
        &[
            (API_KEY, "sk_test_a"),
            (SECRETS, "whsec_a"),
            ("TILL_WORKER__ENABLED", "maybe"),
        ],
        &["TILL_WORKER__ENABLED", "true"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn unsafe_settings_refuse_to_start_and_say_how_to_mend_them() {
    for (settings, words) in CASES {
        let sandbox = Sandbox::new().await;
        let mut command = sandbox.bare(&["serve"]);
        command.envs(settings.iter().copied());
        let started = Instant::now();
        let ended = Process::start(command)
            .finish(Duration::from_secs(10))
            .await;
        let took = started.elapsed();
        let ended = ended.exit(2).complains_of(words);
        assert!(took < Duration::from_secs(2), "{settings:?} took {took:?}");
        let complaint = ended.stderr.trim();
        assert!(complaint.starts_with("error: "), "{complaint}");
        let again = complaint.split(": ").collect::<Vec<_>>();
        assert!(
            again.windows(2).all(|pair| pair[0] != pair[1]),
            "said twice: {complaint}"
        );
        assert!(!complaint.contains("sk_live_a"), "{complaint}");
        let left: Vec<_> = std::fs::read_dir(&sandbox.folder)
            .expect("a folder")
            .collect();
        assert!(
            left.is_empty(),
            "{settings:?} left something behind: {left:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulator_never_gets_a_live_key() {
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.bare(&["serve", "--with-simulator"]);
    command.env(API_KEY, "sk_live_a");
    let ended = Process::start(command)
        .finish(Duration::from_secs(10))
        .await;
    ended.exit(2).complains_of(&[API_KEY, "--with-simulator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_for_tests_is_refused_beside_a_live_shop() {
    let sandbox = Sandbox::new().await;
    let setting = ("TILL_DELIVERY__ALLOW_PRIVATE", "true");
    let live = ["shop", "create", "Real", "--mode", "live"];
    let made = Process::start(sandbox.bare(&live));
    made.finish(Duration::from_secs(10)).await.success();
    let mut command = sandbox.bare(&["serve", "--with-simulator"]);
    command.env(setting.0, setting.1);
    let ended = Process::start(command)
        .finish(Duration::from_secs(10))
        .await;
    ended.exit(2).complains_of(&[setting.0, "live shop"]);
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.bare(&["serve", "--with-simulator"]);
    command.env(setting.0, setting.1);
    Process::start(command).line("Till listens on ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.bare(&["serve", "--with-simulator"]);
    command.env(DATABASE, "sqlite://own.db");
    let mut process = Process::start(command);
    process.line("Till listens on ").await;
    let file = std::fs::metadata(sandbox.folder.join("own.key")).expect("a key file");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_is_named_once() {
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.bare(&["migrate", "status"]);
    command.env(DATABASE, "postgres://till@127.0.0.1:1/till");
    let ended = Process::start(command)
        .finish(Duration::from_secs(25))
        .await
        .exit(1);
    let ended = ended.complains_of(&["Connection refused"]);
    assert_eq!(
        ended
            .stderr
            .matches("the database is not available")
            .count(),
        1,
        "{}",
        ended.stderr
    );
}
