//! The start: a schema this program cannot take further is refused with what to do, and of processes that start at
//! once one migrates.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::harness::{Process, Sandbox, Server, connect, eventually, free_port, postgres_server};

const PATIENCE: Duration = Duration::from_secs(20);

/// Changes the database behind Till's back.
async fn tamper(sandbox: &Sandbox, sql: &[&str]) {
    let url = match sandbox.database_url().strip_prefix("sqlite://") {
        Some(file) => format!("sqlite://{}", sandbox.folder.join(file).display()),
        None => sandbox.database_url(),
    };
    let connection = connect(&url).await;
    for statement in sql {
        let changed = connection.execute_unprepared(statement).await;
        changed.expect(statement);
    }
    connection.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_newer_or_migrated_in_part_is_refused_with_what_to_do() {
    let later =
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m30000101_000001_later', 0)";
    let gap = "DELETE FROM seaql_migrations WHERE version LIKE '%_000002_%'";
    let cases: [(&[&str], &[&str]); 4] = [
        (
            &[later],
            &[
                "newer than this program",
                "m30000101_000001_later",
                "later one",
            ],
        ),
        (
            &[gap],
            &[
                "migrated in part",
                "_000002_orders",
                "restore the last backup",
            ],
        ),
        (
            &["DELETE FROM seaql_migrations"],
            &["no record of its migrations", "TILL_DATABASE__URL"],
        ),
        (
            &["DROP TABLE seaql_migrations"],
            &["no record of its migrations", "TILL_DATABASE__URL"],
        ),
    ];
    for (statements, words) in cases {
        let sandbox = Sandbox::new().await;
        sandbox.run(&["migrate", "up"]).await.success();
        tamper(&sandbox, statements).await;
        for command in [
            &["serve", "--with-simulator"][..],
            &["migrate", "up"],
            &["migrate", "down"],
            &["key", "create", "--kind", "secret"],
        ] {
            let ended = sandbox.run(command).await.exit(1).complains_of(words);
            assert!(!ended.stdout.contains("listens"), "{}", ended.stdout);
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        }
        let doctor = sandbox.run(&["doctor"]).await.exit(1).stdout;
        let schema = doctor.lines().find(|line| line.contains(" schema "));
        let schema = schema.expect("a word on the schema");
        assert!(schema.starts_with("failed"), "{doctor}");
        assert!(words.iter().all(|word| doctor.contains(word)), "{doctor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_processes_that_start_at_once_one_migrates_and_the_others_go_on() {
    let sandbox = Sandbox::new().await;
    let (_simulator, simulator) = sandbox.simulator_for(free_port()).await;
    if postgres_server().is_none() {
        // One process has the file; the other is told so, and nothing is half done.
        let start = || Process::start(sandbox.till_for(&["serve"], &simulator));
        let (one, other) = (start(), start());
        let settled = async |process: &Process| {
            let said = process.said();
            said.contains("listens on") || said.contains("another Till process")
        };
        eventually("both have decided", 20, async || {
            settled(&one).await && settled(&other).await
        })
        .await;
        let (winner, loser) = match one.said().contains("listens on") {
            true => (one, other),
            false => (other, one),
        };
        let ended = loser.finish(PATIENCE).await.exit(1);
        ended.complains_of(&["another Till process has", "stop it first"]);
        let server = Server::listening(winner).await;
        server
            .client(&sandbox.secret_key().await)
            .place_order()
            .await;
        return;
    }
    let starts: Vec<Process> = (0..4)
        .map(|_| Process::start(sandbox.till_for(&["serve"], &simulator)))
        .collect();
    let mut servers = Vec::new();
    for process in starts {
        servers.push(Server::listening(process).await);
    }
    let key = sandbox.secret_key().await;
    let order = servers[0].client(&key).place_order().await;
    for server in &servers {
        assert_eq!(server.client(&key).order(&order).await["total"], "25.00");
    }
    let status = sandbox
        .run(&["migrate", "status", "--json"])
        .await
        .success();
    let applied = status.json()["applied"].as_array().expect("a list").len();
    tamper(
        &sandbox,
        &["CREATE UNIQUE INDEX once ON seaql_migrations (version)"],
    )
    .await;
    assert!(applied >= 6, "{}", status.stdout);
}
