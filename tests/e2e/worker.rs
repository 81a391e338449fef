//! `till worker`: the background work alone, which can be looked at, too.

use std::time::Duration;

use crate::harness::{Client, Process, Sandbox, free_port};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_port_shows_its_health_and_its_numbers_and_nothing_else() {
    let sandbox = Sandbox::new().await;
    let (_simulator, simulator) = sandbox.simulator_for(free_port()).await;
    let mut command = sandbox.till_for(&["worker"], &simulator);
    command
        .env("TILL_WORKER__PORT", "0")
        .env("TILL_METRICS__TOKEN", "a-token-for-the-scraper");
    let mut worker = Process::start(command);
    let url = worker.line("The worker listens on ").await;
    let (anybody, scraper) = (
        Client::new(&url, None),
        Client::new(&url, Some("a-token-for-the-scraper")),
    );
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(anybody.get(path).await.expect(200)["status"], "ok");
    }
    anybody.get("/metrics").await.expect(401);
    let metrics = scraper.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    for series in [
        r#"till_queue_depth{queue="provider_calls"} 0"#,
        r#"till_http_requests_total{method="GET",route="/health/live",status="200"} 1"#,
        r#"state="in_use""#,
        "till_database_connections_max{",
        "till_panics_total 0",
    ] {
        assert!(
            metrics.text.contains(series),
            "no {series} in {}",
            metrics.text
        );
    }
    for path in ["/v1/orders", "/docs", "/openapi.json", "/webhooks/stripe"] {
        let absent = anybody.get(path).await.expect(404);
        assert_eq!(absent["code"], "not_found", "{path}");
        let asked = anybody.request(reqwest::Method::OPTIONS, path);
        let asked = Client::send(asked).await.expect("an answer");
        assert_eq!((asked.status, asked.header("allow")), (404, None), "{path}");
    }
    worker.terminate();
    worker.finish(PATIENCE).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_port_listens_nowhere_and_a_taken_one_is_explained() {
    let sandbox = Sandbox::new().await;
    let (_simulator, simulator) = sandbox.simulator_for(free_port()).await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let mut command = sandbox.till_for(&["worker"], &simulator);
    // Its own server's, not this one's.
    command.env("ROCKET_PORT", &port);
    let worker = Process::start(command);
    crate::harness::eventually("the worker runs", 10, async || {
        worker.said().contains("the worker runs")
    })
    .await;
    worker.terminate();
    let ended = worker.finish(PATIENCE).await.success();
    assert!(!ended.stdout.contains("listens"), "{}", ended.stdout);

    let mut command = sandbox.till_for(&["worker"], &simulator);
    command.env("TILL_WORKER__PORT", &port);
    let ended = Process::start(command).finish(PATIENCE).await;
    ended
        .exit(1)
        .complains_of(&["cannot listen", "TILL_WORKER__PORT"]);
    let log = sandbox.folder.join("till.db-wal");
    assert!(!log.exists(), "the database is closed");
}
