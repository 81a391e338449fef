//! `kill -9` at the worst moments: what was acknowledged is there, and nothing was done twice.

use std::time::Duration;

use crate::harness::client::{checkout_body, checkout_path};
use crate::harness::{Client, Sandbox, Server, eventually, free_port};

/// How long recovery may take: the lease of the dead process, and the first retry.
const RECOVERY_S: u64 = 60;

/// A server and a provider as separate processes, so that one can die without the other.
struct Scene {
    sandbox: Sandbox,
    provider: Client,
    simulator: String,
    _simulator_process: crate::harness::Process,
    port: u16,
}

impl Scene {
    async fn set() -> Scene {
        let sandbox = Sandbox::new().await;
        let port = free_port();
        let (process, simulator) = sandbox.simulator_for(port).await;
        Scene {
            provider: Client::new(&simulator, None),
            sandbox,
            simulator,
            _simulator_process: process,
            port,
        }
    }

    async fn serve(&self, more: &[(&str, &str)]) -> Server {
        self.sandbox
            .serve_for(&self.simulator, self.port, more)
            .await
    }

    /// The client repeats its request, as clients do, until it has the session; then the customer pays.
    async fn the_order_ends_paid_with_one_session(
        &self,
        key: &str,
        order: &str,
        idempotency: &str,
    ) {
        let server = self.serve(&[]).await;
        let shop = server.client(key);
        let (path, body) = (checkout_path(order), checkout_body());
        let mut session = None;
        eventually("the repeated request is answered", RECOVERY_S, async || {
            let answer = shop
                .try_post(&path, idempotency, &body)
                .await
                .expect("an answer");
            match answer.status {
                200 | 201 => session = Some(answer.json),
                202 | 409 => {}
                other => panic!("{other}: {}", answer.json),
            }
            session.is_some()
        })
        .await;
        self.provider.pay(&session.expect("a session")).await;
        shop.until_paid(order).await;
        assert_eq!(shop.order(order).await["amount_paid"], "25.00");
        assert_eq!(
            self.provider.effects("checkout.session.created").await,
            1,
            "sessions at the provider"
        );
        let orders = shop.get("/v1/orders").await.expect(200);
        assert_eq!(orders["data"].as_array().map(Vec::len), Some(1), "{orders}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_providers_success_and_our_commit() {
    let scene = Scene::set().await;
    let server = scene.serve(&[]).await;
    let key = scene.sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    scene
        .provider
        .fault("checkout.session.create", "delay:8000")
        .await;
    let (caller, path) = (shop.clone(), checkout_path(&order));
    let asked =
        tokio::spawn(async move { caller.try_post(&path, "once-only", &checkout_body()).await });
    eventually("the provider has made the session", 10, async || {
        scene.provider.effects("checkout.session.created").await == 1
    })
    .await;
    server.process.kill().await;
    assert!(
        asked.await.expect("not panicked").is_err(),
        "nobody can have answered"
    );
    scene.provider.delete("/_simulator/faults").await;
    scene
        .the_order_ends_paid_with_one_session(&key, &order, "once-only")
        .await;
}

/// The same moment to the instruction, and with the answer already read.
#[tokio::test(flavor = "multi_thread")]
async fn aborted_with_the_providers_answer_in_hand() {
    if !cfg!(feature = "failpoints") {
        return;
    }
    let scene = Scene::set().await;
    let server = scene
        .serve(&[("FAILPOINTS", "send_session_create.after=return")])
        .await;
    let key = scene.sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    let asked = shop
        .try_post(&checkout_path(&order), "once-only", &checkout_body())
        .await;
    assert!(asked.is_err(), "nobody can have answered: {asked:?}");
    let ended = server.process.finish(Duration::from_secs(10)).await;
    assert_eq!(ended.status.code(), None, "it was to be aborted: {ended:?}");
    assert_eq!(scene.provider.effects("checkout.session.created").await, 1);
    scene
        .the_order_ends_paid_with_one_session(&key, &order, "once-only")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_order_survives() {
    let scene = Scene::set().await;
    let server = scene.serve(&[]).await;
    let key = scene.sandbox.secret_key().await;
    let shop = server.client(&key);
    let (told, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (shop, told) = (shop.clone(), told.clone());
            tokio::spawn(async move {
                let body = serde_json::json!({
                    "currency": "EUR",
                    "line_items": [{"name": "Mug", "unit_price": "12.50", "quantity": 2}],
                });
                loop {
                    let key = uuid::Uuid::new_v4().to_string();
                    let Ok(answer) = shop.try_post("/v1/orders", &key, &body).await else {
                        return;
                    };
                    let order = answer.expect(201);
                    let id = order["id"].as_str().expect("an id").to_owned();
                    told.send(id).expect("somebody listens");
                }
            })
        })
        .collect();
    let mut orders = Vec::new();
    while orders.len() < 40 {
        orders.push(acknowledged.recv().await.expect("an order"));
    }
    server.process.kill().await;
    for writer in writers {
        writer.await.expect("every answer was an order");
    }
    drop(told);
    while let Some(order) = acknowledged.recv().await {
        orders.push(order);
    }
    let server = scene.serve(&[]).await;
    let shop = server.client(&key);
    for order in &orders {
        assert_eq!(shop.order(order).await["total"], "25.00");
    }
}

/// The customer paid while nobody was there to hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_made_while_the_server_was_dead_is_found() {
    let scene = Scene::set().await;
    let server = scene.serve(&[]).await;
    let key = scene.sandbox.secret_key().await;
    let shop = server.client(&key);
    let order = shop.place_order().await;
    let session = shop.check_out(&order).await;
    server.process.kill().await;
    scene.provider.pay(&session).await;
    let server = scene.serve(&[]).await;
    server.client(&key).until_paid(&order).await;
}
