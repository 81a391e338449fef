//! `till verify` as an operator uses it: beside a running server, and in a cron job that reads its exit code.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Client, Sandbox, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn verify_says_all_is_well_beside_a_running_server() {
    let sandbox = Sandbox::new().await;
    let (server, simulator) = sandbox.serve_with_simulator().await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    let session = shop.check_out(&order).await;
    Client::new(&simulator, None).pay(&session).await;
    shop.until_paid(&order).await;
    let verified = sandbox.run(&["verify"]).await.success();
    assert!(verified.stdout.contains("order 1"), "{}", verified.stdout);
    assert!(
        verified.stdout.ends_with("All is well.\n"),
        "{}",
        verified.stdout
    );
    let verified = sandbox.run(&["verify", "--json"]).await.success().json();
    assert_eq!(verified["ok"], true);
    assert_eq!(verified["findings"], Value::Array(Vec::new()));
    assert_eq!(verified["examined"]["ledger_entry"], 2);
    server.process.terminate();
    server
        .process
        .finish(Duration::from_secs(20))
        .await
        .success();
    sandbox.run(&["verify"]).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_works_beside_a_running_server_and_changes_nothing_that_was_applied() {
    let sandbox = Sandbox::new().await;
    let (server, simulator) = sandbox.serve_with_simulator().await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    let session = shop.check_out(&order).await;
    Client::new(&simulator, None).pay(&session).await;
    shop.until_paid(&order).await;
    let since = ["replay", "--since", "2020-01-01T00:00:00Z", "--json"];
    let replayed = sandbox.run(&since).await.success().json();
    assert_eq!(replayed["applied"], 0, "{replayed}");
    assert_eq!(replayed["failed"], 0, "{replayed}");
    let first = replayed["events"][0]["event_id"]
        .as_str()
        .expect("an event");
    let dry = sandbox.run(&["replay", first, "--dry-run"]).await.success();
    assert!(
        dry.stdout.contains("Nothing was written."),
        "{}",
        dry.stdout
    );
    for (arguments, words) in [
        (&["replay"][..], &["--since"][..]),
        (
            &["replay", "evt_x", "--since", "2020-01-01T00:00:00Z"],
            &["--since"],
        ),
        (
            &["replay", "--since", "yesterday"],
            &["yesterday", "2026-01-31T12:00:00Z"],
        ),
        (&["replay", "evt_nobody"], &["evt_nobody", "pev_"]),
    ] {
        sandbox.run(arguments).await.exit(2).complains_of(words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_without_a_database_or_its_schema_says_what_to_do() {
    let sandbox = Sandbox::new().await;
    if crate::harness::postgres_server().is_none() {
        let refused = sandbox.run(&["verify"]).await.exit(2);
        refused.complains_of(&["there is no database", "TILL_DATABASE__URL"]);
    }
    sandbox.run(&["migrate", "up"]).await.success();
    sandbox.run(&["verify"]).await.success();
    sandbox.run(&["migrate", "down"]).await.success();
    let refused = sandbox.run(&["verify"]).await.exit(1);
    refused.complains_of(&["till migrate up"]);
}

/// The files beside the database.
fn files(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(&sandbox.folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_sees_one_moment_while_a_server_starts_and_leaves_no_trace_of_its_own() {
    let sandbox = Sandbox::new().await;
    let port = free_port();
    let (_provider, simulator) = sandbox.simulator_for(port).await;
    let server = sandbox.serve_for(&simulator, port, &[]).await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    for _ in 0..3 {
        let order = shop.place_order().await;
        let session = shop.check_out(&order).await;
        Client::new(&simulator, None).pay(&session).await;
    }
    let stop = async |server: crate::harness::Server| {
        server.process.terminate();
        let ended = server.process.finish(Duration::from_secs(20)).await;
        ended.success();
    };
    stop(server).await;
    let before = files(&sandbox);
    let verified = sandbox.run(&["verify"]).await.success();
    assert!(
        verified.stdout.ends_with("All is well.\n"),
        "{}",
        verified.stdout
    );
    assert_eq!(files(&sandbox), before);

    for _ in 0..3 {
        let starting = async {
            let server = sandbox.serve_for(&simulator, port, &[]).await;
            let shop = server.client(&key);
            let order = shop.place_order().await;
            shop.check_out(&order).await;
            server
        };
        let looking = async {
            for _ in 0..5 {
                let verified = sandbox.run(&["verify"]).await.success();
                assert!(
                    verified.stdout.ends_with("All is well.\n"),
                    "{}",
                    verified.stdout
                );
            }
        };
        let (server, ()) = tokio::join!(starting, looking);
        stop(server).await;
    }
}
