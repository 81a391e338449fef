//! `kill -9` at random moments, under twenty clients that repeat themselves until they are answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::shopper::{Promised, Shopper};
use super::size;
use crate::harness::Phoenix;
use crate::harness::agreement::differences;
use crate::harness::random::Random;

const CLIENTS: usize = 20;
/// By when both sides must agree after the last kill.
const QUIET: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_however_often_the_server_is_killed() {
    let kills = size(4, 60);
    let mut random = Random::announced("kills");
    // Checkouts whose call is interrupted wait for a dead process's lease, which the storm may end again.
    let phoenix = Phoenix::new(&[], &[])
        .await
        .patient(Duration::from_secs(300));
    let (promised, over) = (Promised::default(), AtomicBool::new(false));
    let shopper = Shopper {
        house: &phoenix,
        promised: &promised,
    };
    let clients = join_all((0..CLIENTS).map(|client| {
        let (shopper, over) = (&shopper, &over);
        async move {
            let mut trips = client;
            while !over.load(Ordering::SeqCst) {
                shopper.trip(trips % 2 == 0).await;
                trips += 1;
            }
        }
    }));
    let killer = async {
        let mut unbalanced = 0;
        for _ in 0..kills {
            tokio::time::sleep(random.pause(300, 1_800)).await;
            phoenix.kill().await;
            unbalanced += usize::from(!phoenix.unbalanced().await.is_empty());
            phoenix.rise().await;
        }
        over.store(true, Ordering::SeqCst);
        unbalanced
    };
    let began = Instant::now();
    let ((), unbalanced) = tokio::join!(async { drop(clients.await) }, killer);
    let stormed = began.elapsed();
    let quiet = Instant::now();
    let (mut apart, mut broken) = (differences(&phoenix).await, promised.broken(&phoenix).await);
    while !(apart.none() && broken.is_empty()) && quiet.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(500)).await;
        (apart, broken) = (differences(&phoenix).await, promised.broken(&phoenix).await);
    }
    let orders = promised.orders.lock().expect("not poisoned").len();
    println!(
        "kills: {kills} kills in {stormed:?}, {orders} orders acknowledged, missing or otherwise {}; {apart}; \
         quiet after {:?}; trial balance unequal in {unbalanced} of {kills} samples; HTTP 500 {}",
        broken.len(),
        quiet.elapsed(),
        promised.answered(500),
    );
    // Each order was checked out under one key.
    let made = phoenix.provider.effects("checkout.session.created").await;
    assert_eq!(made, orders, "sessions at the provider");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(apart.none(), "{apart}");
    assert_eq!(unbalanced, 0, "samples in which debits were not credits");
    assert_eq!(promised.answered(500), 0, "HTTP 500");
    assert_eq!(phoenix.deaths(), 0, "it died only when it was killed");
    phoenix.verify().await;
}
