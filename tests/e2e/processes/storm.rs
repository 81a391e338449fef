//! Servers and workers that are killed, stopped for longer than a lease and started again, under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::campaigns::shopper::{Promised, Shopper};
use crate::campaigns::size;
use crate::harness::agreement::{audit, differences};
use crate::harness::random::Random;
use crate::harness::{Fleet, Sandbox, postgres_server};

const CLIENTS: usize = 12;
/// The servers, then the workers.
const SERVERS: [usize; 2] = [0, 1];
const WORKERS: [usize; 2] = [2, 3];
/// Longer than a lease (20 s) and than an idle transaction may last (15 s).
const STOPPED: Duration = Duration::from_secs(22);
/// By when both sides must agree after the storm.
const QUIET: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_once_whichever_process_is_killed_stopped_or_restarted() {
    if postgres_server().is_none() {
        return;
    }
    weather(Sandbox::new().await).await;
}

/// The storm, on the database of a sandbox.
pub async fn weather(sandbox: Sandbox) {
    let rounds = size(1, 8);
    let mut random = Random::announced("processes");
    let fleet = Fleet::new(sandbox, SERVERS.len(), WORKERS.len()).await;
    let (promised, over) = (Promised::default(), AtomicBool::new(false));
    let shopper = Shopper {
        house: &fleet,
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
    let began = Instant::now();
    let storm = async {
        let mut kills = 0;
        for round in 0..rounds {
            kills += one_round(&fleet, &mut random, round).await;
        }
        over.store(true, Ordering::SeqCst);
        kills
    };
    let (_, kills) = tokio::join!(clients, storm);
    let stormed = began.elapsed();
    fleet.all_live().await;
    let quiet = Instant::now();
    let (mut apart, mut broken) = (differences(&fleet).await, promised.broken(&fleet).await);
    while !(apart.none() && broken.is_empty()) && quiet.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(500)).await;
        (apart, broken) = (differences(&fleet).await, promised.broken(&fleet).await);
    }
    let orders = promised.orders.lock().expect("not poisoned").clone();
    let refunds = orders.values().filter(|refunded| **refunded > 0).count();
    println!(
        "processes: {kills} kills and {} stops of {STOPPED:?} in {stormed:?}, {} orders acknowledged, missing or \
         otherwise {}; {apart}; quiet after {:?}; HTTP 500 {}",
        2 * rounds,
        orders.len(),
        broken.len(),
        quiet.elapsed(),
        promised.answered(500),
    );
    assert!(orders.len() > CLIENTS, "there was no load");
    let made = fleet.provider.effects("checkout.session.created").await;
    assert_eq!(made, orders.len(), "sessions at the provider");
    let given = fleet.provider.effects("refund.created").await;
    assert_eq!(given, refunds, "refunds at the provider");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(apart.none(), "{apart}");
    assert_eq!(promised.answered(500), 0, "HTTP 500");
    audit(&fleet.sandbox, &fleet.provider).await;
}

/// One server and one worker are stopped, and the others are killed again and again meanwhile; returns how often.
async fn one_round(fleet: &Fleet, random: &mut Random, round: usize) -> usize {
    let stopped = [SERVERS[(round + 1) % 2], WORKERS[(round + 1) % 2]];
    let killed = [SERVERS[round % 2], WORKERS[round % 2]];
    tokio::time::sleep(random.pause(500, 1_500)).await;
    for at in stopped {
        fleet.signal(at, "STOP").await;
    }
    let until = Instant::now() + STOPPED;
    let mut kills = 0;
    while Instant::now() < until {
        tokio::time::sleep(random.pause(1_000, 4_000)).await;
        let at = killed[kills % 2];
        fleet.kill(at).await;
        tokio::time::sleep(random.pause(50, 500)).await;
        fleet.start(at).await;
        kills += 1;
    }
    for at in stopped {
        fleet.signal(at, "CONT").await;
    }
    // What they thought was theirs is not; they find out before they are killed as well.
    tokio::time::sleep(random.pause(500, 1_500)).await;
    for at in stopped {
        fleet.kill(at).await;
        fleet.start(at).await;
        kills += 1;
    }
    kills
}
