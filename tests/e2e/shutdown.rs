//! SIGTERM: what is being answered is answered, and the process ends soon, with exit code 0.

use std::time::{Duration, Instant};

use crate::harness::client::{checkout_body, checkout_path};
use crate::harness::{Client, Sandbox, eventually, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_waits_for_the_provider_is_answered_before_the_end() {
    let sandbox = Sandbox::new().await;
    let port = free_port();
    let (_simulator, simulator) = sandbox.simulator_for(port).await;
    let provider = Client::new(&simulator, None);
    let server = sandbox.serve_for(&simulator, port, &[]).await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    provider
        .fault("checkout.session.create", "delay:1500")
        .await;
    let (caller, path) = (shop.clone(), checkout_path(&order));
    let asked = tokio::spawn(async move { caller.post(&path, &checkout_body()).await });
    eventually("the provider has the request", 10, async || {
        provider.effects("checkout.session.created").await == 1
    })
    .await;
    let told = Instant::now();
    server.process.terminate();
    let session = asked.await.expect("an answer").expect(201);
    assert_eq!(session["status"], "open");
    let ended = server
        .process
        .finish(Duration::from_secs(15))
        .await
        .success();
    assert!(
        told.elapsed() < Duration::from_secs(6),
        "took {:?} to end",
        told.elapsed()
    );
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_up_the_end() {
    let sandbox = Sandbox::new().await;
    let (server, _) = sandbox.serve_with_simulator().await;
    let idle = Client::new(&server.url, None);
    idle.get("/health/ready").await.expect(200);
    let told = Instant::now();
    server.process.terminate();
    server
        .process
        .finish(Duration::from_secs(15))
        .await
        .success();
    assert!(
        told.elapsed() < Duration::from_secs(3),
        "took {:?} to end",
        told.elapsed()
    );
}
