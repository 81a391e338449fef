//! The tools: what they print, what they refuse, and that they work beside a running server.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::harness::{Client, Process, Sandbox, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself() {
    let sandbox = Sandbox::new().await;
    let mut waiting = VecDeque::from([Vec::<String>::new()]);
    let mut seen = Vec::new();
    while let Some(command) = waiting.pop_front() {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        words.push("--help");
        let help = sandbox.run(&words).await.success().stdout;
        assert!(help.contains("Usage: till"), "{command:?}: {help}");
        let about = help.lines().next().unwrap_or_default();
        assert!(
            about.len() > 10 && !about.starts_with("Usage"),
            "{command:?} says nothing of itself"
        );
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().expect("a name");
            if name != "help" {
                let mut deeper = command.clone();
                deeper.push(name.to_owned());
                waiting.push_back(deeper);
            }
        }
        seen.push(command.join(" "));
    }
    for name in [
        "serve",
        "demo",
        "worker",
        "migrate up",
        "migrate down",
        "migrate status",
        "shop create",
        "key create",
        "key list",
        "key revoke",
        "staff create",
        "staff reset",
        "staff disable",
        "staff enable",
        "staff list",
        "simulator",
        "openapi",
    ] {
        assert!(
            seen.iter().any(|command| command == name),
            "no `{name}` among {seen:?}"
        );
    }
}

/// As in `till key create | head -n 1`: whoever has read enough must not be told of a panic.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_nobody_reads_ends_a_command_quietly() {
    let sandbox = Sandbox::new().await;
    for words in [&["key", "create"][..], &["key", "list"], &["openapi"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = sandbox.till(words);
        let command = command.stdout(writer).stderr(std::process::Stdio::piped());
        let told = command.output().await.expect("it runs");
        let errors = String::from_utf8_lossy(&told.stderr);
        assert!(!errors.contains("panic"), "{words:?}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_exits_2_and_says_what_is_right() {
    let sandbox = Sandbox::new().await;
    sandbox
        .run(&["shop", "create", "taken", "--mode", "test"])
        .await
        .success();
    for (arguments, words) in [
        (&["sell"][..], &["unrecognized subcommand"][..]),
        (&[], &["Usage: till"]),
        (&["serve", "--fast"], &["--fast"]),
        (&["key", "create"], &["--kind"]),
        (
            &["key", "create", "--kind", "golden"],
            &["secret", "publishable"],
        ),
        (
            &["key", "create", "--kind", "secret", "--shop", "nowhere"],
            &["nowhere", "till shop create"],
        ),
        (
            &[
                "key",
                "create",
                "--kind",
                "secret",
                "--scopes",
                "orders:eat",
            ],
            &["orders:eat", "orders:read"],
        ),
        (&["key", "revoke", "no-id"], &["key_"]),
        (
            &["key", "revoke", "key_01jzzzzzzzzzzzzzzzzzzzzzzz"],
            &["till key list"],
        ),
        (&["shop", "create", "taken", "--mode", "test"], &["taken"]),
        (&["shop", "create", "", "--mode", "test"], &["name"]),
        (
            &["shop", "create", "x", "--mode", "real"],
            &["test", "live"],
        ),
        (&["migrate"], &["Usage: till migrate"]),
        (&["simulator", "--port", "many"], &["--port"]),
    ] {
        sandbox.run(arguments).await.exit(2).complains_of(words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_document_needs_nothing_and_leaves_nothing() {
    let sandbox = Sandbox::new().await;
    let document = Process::start(sandbox.bare(&["openapi"]))
        .finish(Duration::from_secs(5))
        .await;
    let document = document.success().json();
    assert_eq!(
        document["openapi"].as_str().map(|version| &version[..3]),
        Some("3.1")
    );
    assert!(document["paths"]["/v1/orders"]["post"].is_object());
    assert!(
        std::fs::read_dir(&sandbox.folder)
            .expect("a folder")
            .next()
            .is_none()
    );
}

/// An empty answer about a database that was made for it would be a lie about the one that was meant.
#[tokio::test(flavor = "multi_thread")]
async fn who_looks_in_the_wrong_folder_is_told_and_leaves_nothing() {
    let sandbox = Sandbox::on(None).await;
    for arguments in [
        &["key", "list"][..],
        &["key", "revoke", "key_01jzzzzzzzzzzzzzzzzzzzzzzz"],
        &["staff", "list"],
        &["staff", "reset", "ada@example.com", "--generate"],
        &["staff", "disable", "ada@example.com"],
        &["staff", "enable", "ada@example.com"],
        &["verify"],
    ] {
        let told = sandbox.run(arguments).await.exit(2);
        told.complains_of(&["no database at till.db", "TILL_DATABASE__URL"]);
    }
    let command = sandbox.till_for(
        &["replay", "--since", "2026-01-01T00:00:00Z"],
        "http://127.0.0.1:9",
    );
    let told = Process::start(command).finish(Duration::from_secs(5)).await;
    told.exit(2).complains_of(&["no database at till.db"]);
    let mut left = std::fs::read_dir(&sandbox.folder).expect("a folder");
    assert!(left.next().is_none());
}

/// A log beside a SQLite file says that somebody has it open: `till verify` and whoever copies the file go by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_has_ended_has_closed_its_database() {
    let sandbox = Sandbox::on(None).await;
    let sheet = sandbox.folder.join("goods.csv");
    std::fs::write(&sheet, "sku,name,currency,price\nMUG,Mug,EUR,12.90\n").expect("a file");
    let unknown = "key_01jzzzzzzzzzzzzzzzzzzzzzzz";
    for (arguments, code) in [
        (&["migrate", "up"][..], 0),
        (&["migrate", "status"], 0),
        (&["shop", "create", "one", "--mode", "test"], 0),
        (&["shop", "create", "one", "--mode", "test"], 2),
        (&["key", "create", "--kind", "secret"], 0),
        (&["key", "list"], 0),
        (&["key", "revoke", unknown], 2),
        (&["staff", "list"], 0),
        (&["staff", "enable", "nobody@shop.example"], 2),
        (&["catalogue", "import", "goods.csv"], 0),
        (&["catalogue", "import", "goods.csv", "--shop", "two"], 2),
        (&["migrate", "down"], 0),
    ] {
        let ended = sandbox.run(arguments).await;
        let said = ended.stdout.clone() + &ended.stderr;
        ended.exit(code);
        assert!(sandbox.folder.join("till.db").exists(), "{arguments:?}");
        let log = sandbox.folder.join("till.db-wal");
        assert!(!log.exists(), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_beside_the_server_works_and_a_revoked_one_does_not() {
    let sandbox = Sandbox::new().await;
    let (server, _simulator) = sandbox.serve_with_simulator().await;
    let made = sandbox
        .run(&["key", "create", "--kind", "secret", "--json"])
        .await
        .success()
        .json();
    let mut fields: Vec<&str> = made
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["id", "key", "kind", "shop"]);
    assert_eq!(
        (made["kind"].as_str(), made["shop"].as_str()),
        (Some("secret"), Some("default"))
    );
    let (id, key) = (
        made["id"].as_str().expect("an id"),
        made["key"].as_str().expect("a key"),
    );
    assert!(
        key.starts_with("sk_test_") && id.starts_with("key_"),
        "{made}"
    );
    let shop = server.client(key);
    shop.get("/v1/orders").await.expect(200);

    let listed = sandbox.run(&["key", "list", "--json"]).await.success();
    assert!(!listed.stdout.contains(key), "a list never shows a key");
    assert_eq!(listed.json()[0]["id"], id);
    assert!(listed.json()[0]["revoked_at"].is_null());
    sandbox.run(&["key", "revoke", id]).await.success();
    let revoked = Instant::now();
    eventually("the key is refused", 5, async || {
        shop.get("/v1/orders").await.status == 401
    })
    .await;
    assert!(
        revoked.elapsed() < Duration::from_secs(1),
        "took {:?}",
        revoked.elapsed()
    );
    sandbox.run(&["key", "revoke", id]).await.success();
    let listed = sandbox
        .run(&["key", "list", "--json"])
        .await
        .success()
        .json();
    assert!(listed[0]["revoked_at"].is_string(), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shops_have_their_own_keys_scopes_and_mode() {
    let sandbox = Sandbox::new().await;
    let shop = sandbox
        .run(&[
            "shop",
            "create",
            "Döner & Söhne",
            "--mode",
            "live",
            "--json",
        ])
        .await;
    let shop = shop.success().json();
    assert!(
        shop["id"].as_str().expect("an id").starts_with("shop_"),
        "{shop}"
    );
    assert_eq!(
        (shop["name"].as_str(), shop["mode"].as_str()),
        (Some("Döner & Söhne"), Some("live"))
    );
    let make = [
        "key",
        "create",
        "--kind",
        "publishable",
        "--shop",
        "Döner & Söhne",
        "--json",
    ];
    let key = sandbox.run(&make).await.success().json();
    assert!(
        key["key"].as_str().expect("a key").starts_with("pk_live_"),
        "{key}"
    );
    let make = [
        "key",
        "create",
        "--kind",
        "secret",
        "--scopes",
        "orders:read",
    ];
    let shown = sandbox.run(&make).await.success().stdout;
    assert!(
        shown.starts_with("sk_test_") && shown.contains("shown once"),
        "{shown}"
    );
    let listed = sandbox
        .run(&["key", "list", "--json"])
        .await
        .success()
        .json();
    assert_eq!(listed[0]["scopes"], "orders:read", "{listed}");
    assert_eq!(listed[1]["shop"], "Döner & Söhne", "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_goes_up_and_down() {
    let sandbox = Sandbox::new().await;
    let count = |ended: &crate::harness::Finished, field: &str| {
        ended.json()[field]
            .as_array()
            .map(Vec::len)
            .expect("a list")
    };
    let status = sandbox.run(&["migrate", "status", "--json"]).await.exit(1);
    let all = count(&status, "pending");
    assert!(
        all >= 5 && count(&status, "applied") == 0,
        "{}",
        status.stdout
    );
    let up = sandbox.run(&["migrate", "up", "--json"]).await.success();
    assert_eq!((count(&up, "applied"), count(&up, "pending")), (all, 0));
    sandbox.run(&["migrate", "status"]).await.success();
    let down = sandbox.run(&["migrate", "down", "--json"]).await.success();
    assert_eq!(
        (count(&down, "applied"), count(&down, "pending")),
        (all - 1, 1)
    );
    sandbox.run(&["migrate", "status"]).await.exit(1);
    let down = sandbox
        .run(&["migrate", "down", "--steps", "99", "--json"])
        .await
        .success();
    assert_eq!(count(&down, "applied"), 0);
    let up = sandbox.run(&["migrate", "up"]).await.success();
    assert_eq!(
        up.stdout
            .lines()
            .filter(|line| line.starts_with("applied "))
            .count(),
        all
    );
    sandbox.run(&["migrate", "up"]).await.success();
    // What nobody could make again stays unless it is said twice.
    let key = ["key", "create", "--kind", "secret"];
    sandbox.run(&key).await.success();
    let all_down = ["migrate", "down", "--steps", "99"];
    let refused = sandbox.run(&all_down).await.exit(1);
    refused.complains_of(&["api_key", "shop", "backup", "--discard-data"]);
    sandbox.run(&["migrate", "status"]).await.success();
    let keys = sandbox.run(&["key", "list", "--json"]).await.success();
    assert_eq!(keys.json().as_array().map(Vec::len), Some(1));
    let discard = [&all_down[..], &["--discard-data"]].concat();
    sandbox.run(&discard).await.success();
    sandbox.run(&["migrate", "status"]).await.exit(1);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    use std::io::Read as _;
    let mut till = std::process::Command::new(env!("CARGO_BIN_EXE_till"))
        .arg("openapi")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("till runs");
    let mut first = [0; 10];
    let mut out = till.stdout.take().expect("its output");
    out.read_exact(&mut first).expect("it begins");
    drop(out);
    let ended = till.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_says_where_it_listens_and_remembers() {
    let sandbox = Sandbox::new().await;
    let events = ["--webhook-events", "refund.*,charge.refunded"];
    let (simulator, url) = sandbox.simulator_with(1, &events).await;
    Client::new(&url, None)
        .get("/_simulator/health")
        .await
        .expect(200);
    simulator.terminate();
    let ended = simulator.finish(Duration::from_secs(5)).await.success();
    for words in [&url, "whsec_", "TILL_PROVIDERS__STRIPE__BASE_URL"] {
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
    assert!(sandbox.folder.join("provider.json").exists());
    let (_, port) = url.rsplit_once(':').expect("a port");
    let taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("free again");
    let refused = sandbox.run(&["simulator", "--port", port]).await;
    refused.exit(1).complains_of(&["can't listen", "--port"]);
    drop(taken);

    let (_simulator, url) = sandbox.simulator_for(1).await;
    let endpoint = Client::new(&url, None).get("/_simulator/webhook").await;
    assert_eq!(
        endpoint.expect(200)["enabled_events"],
        serde_json::json!(["refund.*", "charge.refunded"])
    );
}
