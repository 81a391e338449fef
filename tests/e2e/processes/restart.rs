//! A PostgreSQL server that is started again: connections from before are not used any more, so that it costs the
//! requests that were under way and no others.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::failover::Taken;
use crate::harness::cluster::Cluster;
use crate::harness::{Fleet, Sandbox, execute, postgres_server};

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_database_costs_only_what_was_under_way() {
    if postgres_server().is_none() {
        return;
    }
    let cluster = Cluster::alone().await;
    let sandbox = Sandbox::on(Some(cluster.primary.url.clone())).await;
    let fleet = Fleet::new(sandbox, 1, 0).await;

    let taken = Taken::default();
    let restarted = async {
        taken.grows_by(100).await;
        cluster.primary.does("restart").await;
        let up = Instant::now();
        let recovered = taken.first_since(up).await - up;
        taken.grows_by(100).await;
        taken.end();
        recovered
    };
    let clients = join_all((0..CLIENTS).map(|_| taken.keep_ordering(&fleet)));
    let (recovered, _) = tokio::join!(restarted, clients);
    println!("restart: recovered after {recovered:?}; {}", taken.told());
    assert!(recovered < Duration::from_secs(10), "{recovered:?}");
    assert!(taken.refused() < 10 * CLIENTS, "{}", taken.told());
    assert_eq!(taken.lost(&fleet.sandbox).await, 0);
    fleet.sandbox.run(&["verify", "--json"]).await.success();
}

/// As a firewall or a restart in the night does: nobody is to notice.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_while_nobody_uses_them_cost_nothing() {
    if postgres_server().is_none() {
        return;
    }
    let cluster = Cluster::alone().await;
    let sandbox = Sandbox::on(Some(cluster.primary.url.clone())).await;
    let fleet = Fleet::new(sandbox, 1, 0).await;
    join_all((0..CLIENTS).map(|_| fleet.next_shop().place_order())).await;
    // So long every connection must have been idle.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'till'";
    execute(&cluster.primary.url, cut).await;
    for _ in 0..2 * CLIENTS {
        fleet.next_shop().place_order().await;
    }
}
