//! The loss of the PostgreSQL server under load: its synchronous standby is promoted, every acknowledged order is
//! there, and orders are acknowledged again within ten seconds. Till knows both addresses and is told nothing.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::campaigns::size;
use crate::harness::cluster::{Cluster, Member};
use crate::harness::{Fleet, Sandbox, eventually, postgres_server, texts_at};

const CLIENTS: usize = 8;
/// From the promotion until an order is acknowledged.
const RECOVERED: Duration = Duration::from_secs(10);

/// What was acknowledged, and when.
#[derive(Default)]
pub struct Taken {
    orders: Mutex<Vec<(String, Instant)>>,
    refused: Mutex<Vec<Duration>>,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_is_lost_when_the_primary_is_killed() {
    lose_the_primary(async |primary| primary.signal("KILL")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_is_lost_when_the_primary_is_shut_down() {
    lose_the_primary(async |primary| primary.does("shut").await).await;
}

/// As when its machine loses power: no connection is closed, no packet is refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_order_is_lost_when_the_primary_goes_silent() {
    lose_the_primary(async |primary| primary.signal("STOP")).await;
}

async fn lose_the_primary(lose: impl AsyncFn(&Member)) {
    if postgres_server().is_none() {
        return;
    }
    let cluster = Cluster::pair().await;
    let hosts = format!("{},{}", cluster.primary.host(), cluster.standby().host());
    follow(&cluster, &hosts, lose).await;
}

/// The primary is lost under load, and the standby promoted; Till knows them by these hosts.
pub async fn follow(cluster: &Cluster, hosts: &str, lose: impl AsyncFn(&Member)) {
    let mut sandbox = Sandbox::on(Some(cluster.primary.url.clone())).await;
    let name = sandbox.database_name().expect("PostgreSQL").to_owned();
    sandbox.address = Some(format!("postgres://postgres@{hosts}/{name}"));
    let mut fleet = Fleet::new(sandbox, 2, 1).await;
    let taken = Taken::default();
    let accident = async {
        taken.grows_by(50).await;
        lose(&cluster.primary).await;
        // Until somebody, or something, decides to promote the standby.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let lost_at = Instant::now();
        cluster.standby().does("promote").await;
        let recovered = taken.first_since(lost_at).await - lost_at;
        taken.grows_by(200).await;
        taken.over.store(true, Ordering::SeqCst);
        recovered
    };
    let clients = join_all((0..CLIENTS).map(|_| taken.keep_ordering(&fleet)));
    let (recovered, _) = tokio::join!(accident, clients);
    fleet.all_live().await;
    fleet.sandbox.moves_to(&cluster.standby().url);
    let lost = taken.lost(&fleet.sandbox).await;
    println!(
        "failover: recovered {recovered:?} after the promotion; {}; lost {lost}",
        taken.told()
    );
    assert_eq!(lost, 0, "acknowledged orders that are not there");
    assert!(recovered <= RECOVERED, "{recovered:?}");
    fleet.sandbox.run(&["verify", "--json"]).await.success();
}

/// PostgreSQL ends no wait for a standby because of a limit of ours: that would acknowledge what only one server has.
/// It takes twenty seconds to see nothing, so only the long run looks.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_while_the_standby_is_away() {
    if postgres_server().is_none() || size(0, 1) == 0 {
        return;
    }
    let cluster = Cluster::pair().await;
    let sandbox = Sandbox::on(Some(cluster.primary.url.clone())).await;
    let fleet = Fleet::new(sandbox, 1, 0).await;
    let taken = Taken::default();
    let away = async {
        taken.grows_by(10).await;
        cluster.standby().signal("STOP");
        // Longer than the longest limit there is; what was on its way may still arrive.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let waiting_since = Instant::now();
        tokio::time::sleep(Duration::from_secs(17)).await;
        let meanwhile = taken.since(waiting_since);
        cluster.standby().signal("CONT");
        taken.grows_by(10).await;
        taken.over.store(true, Ordering::SeqCst);
        meanwhile
    };
    let clients = join_all((0..CLIENTS).map(|_| taken.keep_ordering(&fleet)));
    let (meanwhile, _) = tokio::join!(away, clients);
    assert_eq!(meanwhile, 0, "acknowledged without the standby");
    assert_eq!(taken.lost(&fleet.sandbox).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_alone_is_refused_with_what_to_give_instead() {
    if postgres_server().is_none() {
        return;
    }
    let cluster = Cluster::pair().await;
    let mut sandbox = Sandbox::on(Some(cluster.primary.url.clone())).await;
    let name = sandbox.database_name().expect("PostgreSQL").to_owned();
    eventually("the standby has the database", 10, async || {
        let ask = format!("SELECT datname FROM pg_database WHERE datname = '{name}'");
        !texts_at(&cluster.standby().url, &ask).await.is_empty()
    })
    .await;
    let host = cluster.standby().host();
    sandbox.address = Some(format!("postgres://postgres@{host}/{name}"));
    let refused = sandbox.run(&["migrate", "up"]).await;
    assert!(!refused.status.success());
    refused.complains_of(&["is a standby", "ONE:5432,OTHER:5432"]);
    let doctor = sandbox.run(&["doctor"]).await;
    assert!(
        doctor.stdout.contains("in_recovery = true"),
        "{}",
        doctor.stdout
    );
}

impl Taken {
    /// Places one order after the other, each with its key until it is acknowledged.
    pub async fn keep_ordering(&self, fleet: &Fleet) {
        let body = json!({
            "currency": "EUR",
            "line_items": [{"name": "Mug", "unit_price": "12.50", "quantity": 2}],
        });
        while !self.over.load(Ordering::SeqCst) {
            let key = uuid::Uuid::new_v4().to_string();
            let give_up = Instant::now() + Duration::from_secs(60);
            loop {
                let asked = Instant::now();
                let answer = fleet.next_shop().try_post("/v1/orders", &key, &body).await;
                match answer {
                    Ok(answer) if answer.status == 201 => {
                        let id = answer.json["id"].as_str().expect("an id").to_owned();
                        let mut orders = self.orders.lock().expect("not poisoned");
                        orders.push((id, Instant::now()));
                        break;
                    }
                    Ok(answer) => assert!(
                        answer.status == 503 || answer.json["code"] == "idempotency_in_progress",
                        "{}: {}",
                        answer.status,
                        answer.text
                    ),
                    Err(_) => {}
                }
                self.note_refusal(asked.elapsed());
                assert!(Instant::now() < give_up, "an order is never acknowledged");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn note_refusal(&self, after: Duration) {
        self.refused.lock().expect("not poisoned").push(after);
    }

    /// How many were acknowledged since.
    pub fn since(&self, moment: Instant) -> usize {
        let orders = self.orders.lock().expect("not poisoned");
        orders.iter().filter(|(_, at)| *at > moment).count()
    }

    /// Waits until so many more are acknowledged.
    pub async fn grows_by(&self, more: usize) {
        let now = Instant::now();
        eventually("orders are taken", 60, async || self.since(now) >= more).await;
    }

    /// Waits for the first that is acknowledged after a moment, and says when.
    pub async fn first_since(&self, moment: Instant) -> Instant {
        eventually("an order is taken", 60, async || self.since(moment) > 0).await;
        let orders = self.orders.lock().expect("not poisoned");
        let later = orders.iter().filter(|(_, at)| *at > moment);
        later.map(|(_, at)| *at).min().expect("there is one")
    }

    /// Ends the load.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// How many acknowledged orders are not there. Each key has made one order.
    pub async fn lost(&self, sandbox: &Sandbox) -> usize {
        let stored = texts_at(&sandbox.database_url(), "SELECT id FROM \"order\"").await;
        let count = stored.len();
        let stored: BTreeSet<String> = stored.into_iter().collect();
        let orders = self.orders.lock().expect("not poisoned");
        assert_eq!(
            count,
            orders.len(),
            "orders, and keys they were placed with"
        );
        let lost = orders.iter().filter(|(id, _)| !stored.contains(id));
        lost.count()
    }

    /// What it came to, in words.
    pub fn told(&self) -> String {
        let orders = self.orders.lock().expect("not poisoned").len();
        let refused = self.refused.lock().expect("not poisoned");
        let longest = refused.iter().max().copied().unwrap_or_default();
        format!(
            "{orders} orders acknowledged, {} tries were not, the longest after {longest:?}",
            refused.len()
        )
    }

    /// How many tries were not answered with an order.
    pub fn refused(&self) -> usize {
        self.refused.lock().expect("not poisoned").len()
    }
}
