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

/// Orders come in from many callers and a checkout waits for its provider when the end is asked for. Whatever was
/// answered is there afterwards; whatever was not is done once when it is asked again with its key.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_under_load_loses_nothing_and_doubles_nothing() {
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
    let checkout = tokio::spawn(async move {
        let body = checkout_body();
        caller.try_post(&path, "one-checkout", &body).await
    });
    eventually("the provider has the request", 10, async || {
        provider.effects("checkout.session.created").await == 1
    })
    .await;
    let (told, mut first_orders) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (shop, told) = (shop.clone(), told.clone());
            tokio::spawn(async move {
                let (mut answered, body) = (Vec::new(), mug());
                loop {
                    let key = uuid::Uuid::new_v4().to_string();
                    match shop.try_post("/v1/orders", &key, &body).await {
                        Ok(answer) => answered.push((key, answer.expect(201))),
                        // Its connection was refused or closed before an answer began.
                        Err(_) => return (answered, key),
                    }
                    // The test has heard enough once its receiver is gone.
                    let _ = told.send(());
                }
            })
        })
        .collect();
    for _ in 0..40 {
        first_orders.recv().await.expect("an order");
    }
    let begun = Instant::now();
    server.process.terminate();
    let session = checkout.await.expect("no panic").expect("an answer");
    let session = session.expect(201);
    let ended = server.process.finish(Duration::from_secs(15)).await;
    let ended = ended.success();
    assert!(begun.elapsed() < Duration::from_secs(8), "{begun:?}");
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);

    let server = sandbox.serve_for(&simulator, port, &[]).await;
    let shop = server.client(&key);
    let (mut kept, mut again) = (0, Vec::new());
    for writer in writers {
        let (answered, unanswered) = writer.await.expect("every answer was an order");
        for (key, order) in answered {
            let id = order["id"].as_str().expect("an id");
            assert_eq!(shop.order(id).await["number"], order["number"]);
            kept += 1;
            if kept % 10 == 0 {
                let replay = shop.try_post("/v1/orders", &key, &mug()).await;
                let replay = replay.expect("an answer");
                assert_eq!(replay.header("idempotent-replayed"), Some("true"));
                assert_eq!(replay.json["id"], id);
            }
        }
        for _ in 0..2 {
            let repeat = shop.try_post("/v1/orders", &unanswered, &mug()).await;
            again.push(repeat.expect("an answer").expect(201)["id"].clone());
        }
    }
    assert!(kept >= 40, "{kept}");
    assert!(again.chunks(2).all(|pair| pair[0] == pair[1]), "{again:?}");
    let replay = shop
        .try_post(&checkout_path(&order), "one-checkout", &checkout_body())
        .await;
    assert_eq!(replay.expect("an answer").expect(201)["id"], session["id"]);
    assert_eq!(provider.effects("checkout.session.created").await, 1);
    provider.pay(&session).await;
    shop.until_paid(&order).await;
}

fn mug() -> serde_json::Value {
    serde_json::json!({
        "currency": "EUR",
        "line_items": [{"name": "Mug", "unit_price": "12.50", "quantity": 2}],
    })
}
