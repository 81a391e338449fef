//! What shops and the provider do to a server: orders, checkouts, payments, webhooks and reads.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::http::{Connection, Load, Outcome, Request, Until, per_second};
use crate::process::{cpu_ms, until_quiet};
use crate::site::{Server, Site, WEBHOOK_SECRET};

/// How many connections load a server.
pub const CONNECTIONS: usize = 64;
/// How many orders are paid before any is measured: enough that every connection keeps its statements and their plans,
/// which PostgreSQL makes anew for the first five executions, and SQLite for each size of a set.
const WARM_UP: usize = 1_000;
/// How many customers pay at once.
const CUSTOMERS: usize = 64;
/// How long background work may take to come to rest.
const REST: Duration = Duration::from_secs(20);

/// The request of an order of two lines; each `series` names its orders and its keys by itself.
pub fn order(authorization: &str, series: &str, number: usize) -> Request {
    let headers = format!("{authorization}Idempotency-Key: {series}-{number}\r\n");
    let body = format!(
        r#"{{"currency":"EUR","reference":"{series}-{number}","customer":{{"email":"{series}{number}@example.com","name":"Ada"}},"line_items":[{{"sku":"mug","quantity":2}},{{"sku":"poster","quantity":1}}]}}"#
    );
    Request::post("/v1/orders", &headers, &body)
}

/// Places orders, as fast as they are taken or at a pace.
pub async fn place(site: &Site, time: Duration, pace: Option<f64>) -> anyhow::Result<Outcome> {
    place_series(site, "load", time, pace).await
}

/// The same as fast as they are taken, beside orders that are there.
pub async fn place_as(
    site: &Site,
    series: &'static str,
    time: Duration,
) -> anyhow::Result<Outcome> {
    place_series(site, series, time, None).await
}

async fn place_series(
    site: &Site,
    series: &'static str,
    time: Duration,
    pace: Option<f64>,
) -> anyhow::Result<Outcome> {
    let authorization = site.authorization();
    let load = Load {
        port: site.port,
        connections: CONNECTIONS,
        until: Until::Elapsed(time),
        status: 201,
        pace,
    };
    load.run(move |number| order(&authorization, series, number))
        .await
}

/// Of so many orders the server still has the answers that it gave.
pub const REMEMBERED: usize = 1_000;
/// Read in turns, of so many it has forgotten each when its turn comes again: it keeps 4 MiB of answers, which are more
/// than a KiB each.
pub const FORGOTTEN: usize = 8_000;

/// Places orders, so that there are enough to read.
pub async fn place_some(site: &Site, count: usize) -> anyhow::Result<()> {
    let authorization = site.authorization();
    let load = Load {
        port: site.port,
        connections: CONNECTIONS,
        until: Until::Done(count),
        status: 201,
        pace: None,
    };
    let placed = load.run(move |number| order(&authorization, "read", number));
    placed.await.map(drop)
}

/// Reads so many orders by their ids, again and again.
pub async fn read(site: &Site, count: usize, time: Duration) -> anyhow::Result<Outcome> {
    let rows = site.rows(&format!(
        r#"SELECT id FROM "order" ORDER BY id DESC LIMIT {count}"#
    ))?;
    let ids = rows.iter().filter_map(|row| row["id"].as_str());
    let paths: Vec<String> = ids.map(|id| format!("/v1/orders/{id}")).collect();
    if paths.len() < count {
        bail!("only {} orders to read", paths.len());
    }
    let authorization = site.authorization();
    let load = Load {
        port: site.port,
        connections: CONNECTIONS,
        until: Until::Elapsed(time),
        status: 200,
        pace: None,
    };
    load.run(move |number| Request::get(&paths[number * 7 % paths.len()], &authorization))
        .await
}

/// Asks the empty handler.
pub async fn read_nothing(port: u16, time: Duration) -> anyhow::Result<Outcome> {
    let load = Load {
        port,
        connections: CONNECTIONS,
        until: Until::Elapsed(time),
        status: 200,
        pace: None,
    };
    load.run(|_| Request::get("/", "")).await
}

/// An order that can be paid.
struct Payable {
    order: String,
    at_provider: String,
}

/// A customer's connections.
struct Customer {
    site: Site,
    till: Connection,
    provider: Connection,
}

impl Customer {
    async fn new(site: &Site) -> anyhow::Result<Customer> {
        Ok(Customer {
            site: site.clone(),
            till: Connection::open(site.port).await?,
            provider: Connection::open(site.provider_port()?).await?,
        })
    }

    /// Places an order and starts its checkout.
    async fn check_out(&mut self, series: &str, number: usize) -> anyhow::Result<Payable> {
        let authorization = self.site.authorization();
        let request = order(&authorization, series, number);
        let placed = self.till.send(&request).await?.json(201)?;
        let order = placed["id"].as_str().context("no id")?.to_owned();
        let headers = format!("{authorization}Idempotency-Key: {series}-checkout-{number}\r\n");
        let body = r#"{"success_url":"https://shop.example/thanks","cancel_url":"https://shop.example/cart"}"#;
        let path = format!("/v1/orders/{order}/checkout_sessions");
        let request = Request::post(&path, &headers, body);
        let answer = self.till.send(&request).await?;
        // 202: the provider takes longer than one waits, and the worker goes on.
        let waits = answer.status == 202;
        let mut session = answer.json(if waits { 202 } else { 201 })?;
        if waits {
            session = self.until_open(&session).await?;
        }
        let at_provider = session["provider_session_id"].as_str();
        Ok(Payable {
            order,
            at_provider: at_provider
                .context("no session at the provider")?
                .to_owned(),
        })
    }

    async fn until_open(&mut self, session: &Value) -> anyhow::Result<Value> {
        let id = session["id"].as_str().context("no id")?;
        let path = format!("/v1/checkout_sessions/{id}");
        let now = self.until(&path, |session| session["provider_session_id"].is_string());
        now.await?.context("a checkout was not opened")
    }

    async fn pay(&mut self, payable: &Payable) -> anyhow::Result<()> {
        let path = format!("/_simulator/sessions/{}/pay", payable.at_provider);
        let request = Request::post(&path, "", "");
        self.provider.send(&request).await?.expect(200)?;
        Ok(())
    }

    /// The session as the provider shows it.
    async fn session(&mut self, payable: &Payable) -> anyhow::Result<Value> {
        let path = format!("/v1/checkout/sessions/{}", payable.at_provider);
        let request = Request::get(&path, "Authorization: Bearer sk_test_simulator\r\n");
        self.provider.send(&request).await?.json(200)
    }

    async fn until_paid(&mut self, order: &str) -> anyhow::Result<()> {
        let path = format!("/v1/orders/{order}");
        let now = self.until(&path, |order| order["payment_status"] == "paid");
        now.await?
            .with_context(|| format!("order {order} was not paid"))?;
        Ok(())
    }

    /// What a path shows once it is as wanted; none when that takes too long.
    async fn until(
        &mut self,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Option<Value>> {
        let request = Request::get(path, &self.site.authorization());
        let started = Instant::now();
        while started.elapsed() < REST {
            let now = self.till.send(&request).await?.json(200)?;
            if wanted(&now) {
                return Ok(Some(now));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(None)
    }
}

/// What paying orders came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paid {
    /// Orders in a second, from placed to paid.
    pub rate: f64,
    /// The processor time of server and database for each, in milliseconds; none when work was left over before or
    /// after, which would be counted wrongly.
    pub cpu_ms: Option<f64>,
}

/// Pays the first orders of a server. They prepare statements on every connection, which is done once in its life.
pub async fn pay_first(site: &Site) -> anyhow::Result<()> {
    let first: Vec<_> = (0..CUSTOMERS)
        .map(|first| tokio::spawn(keep_paying(site.clone(), "first", first, WARM_UP)))
        .collect();
    for task in first {
        task.await??;
    }
    Ok(())
}

/// Takes orders from placed to paid: by checkout, the simulator's page and its own signed webhooks. All that follows
/// in the background is counted in.
pub async fn pay(
    site: &Site,
    server: &Server,
    series: &'static str,
    count: usize,
) -> anyhow::Result<Paid> {
    let quiet_before = until_quiet(&server.roots, REST).await?;
    let before = cpu_ms(&server.roots)?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..CUSTOMERS)
        .map(|first| tokio::spawn(keep_paying(site.clone(), series, first, count)))
        .collect();
    let mut orders = Vec::new();
    for task in tasks {
        orders.extend(task.await??);
    }
    let elapsed = started.elapsed();
    let quiet = until_quiet(&server.roots, REST).await? && quiet_before;
    let cpu = cpu_ms(&server.roots)? - before;
    all_paid(site, &orders).await?;
    let each = cpu / f64::from(u32::try_from(orders.len())?);
    Ok(Paid {
        rate: per_second(orders.len(), elapsed),
        cpu_ms: quiet.then_some(each),
    })
}

async fn keep_paying(
    site: Site,
    series: &'static str,
    first: usize,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let mut customer = Customer::new(&site).await?;
    let mut orders = Vec::new();
    for number in (first..count).step_by(CUSTOMERS) {
        let payable = customer.check_out(series, number).await?;
        customer.pay(&payable).await?;
        orders.push(payable.order);
    }
    // The last one only: to ask about each would be measured, too.
    if let Some(last) = orders.last() {
        customer.until_paid(last).await?;
    }
    Ok(orders)
}

async fn all_paid(site: &Site, orders: &[String]) -> anyhow::Result<()> {
    let mut customer = Customer::new(site).await?;
    for order in orders {
        customer.until_paid(order).await?;
    }
    Ok(())
}

/// How webhooks are taken.
pub struct Delivered {
    /// In the order in which their orders were placed.
    pub in_order: Outcome,
    /// Each of an order that was placed long before or after its neighbours'.
    pub far_apart: Outcome,
}

/// Delivers the webhooks of sessions that were just paid, one a session, as fast as they are taken: so many in each
/// order.
pub async fn deliver(site: &Site, server: &Server, count: usize) -> anyhow::Result<Delivered> {
    let tasks: Vec<_> = (0..CUSTOMERS)
        .map(|first| tokio::spawn(prepare(site.clone(), first, 2 * count)))
        .collect();
    let mut ready = Vec::new();
    for task in tasks {
        ready.extend(task.await??);
    }
    // Ids of orders are sorted as they were placed.
    ready.sort();
    let near = ready.split_off(count);
    let mut far: Vec<Option<(String, String)>> = ready.into_iter().map(Some).collect();
    let steps = (0..CUSTOMERS).flat_map(|first| (first..count).step_by(CUSTOMERS));
    let far: Vec<(String, String)> = steps.filter_map(|at| far[at].take()).collect();
    until_quiet(&server.roots, REST).await?;
    let far_apart = take(site, far).await?;
    until_quiet(&server.roots, REST).await?;
    let in_order = take(site, near).await?;
    Ok(Delivered {
        in_order,
        far_apart,
    })
}

/// Delivers webhooks as they stand, each with the order that it pays.
async fn take(site: &Site, webhooks: Vec<(String, String)>) -> anyhow::Result<Outcome> {
    let (orders, bodies): (Vec<String>, Vec<String>) = webhooks.into_iter().unzip();
    let signed: Vec<String> = bodies.iter().map(|body| sign(body)).collect();
    let load = Load {
        port: site.port,
        connections: CONNECTIONS,
        until: Until::Done(bodies.len()),
        status: 200,
        pace: None,
    };
    let make =
        move |number: usize| Request::post("/webhooks/stripe", &signed[number], &bodies[number]);
    let outcome = load.run(make).await?;
    all_paid(site, &orders).await?;
    Ok(outcome)
}

/// Orders with sessions, and for each the event that says that its session was paid.
async fn prepare(site: Site, first: usize, count: usize) -> anyhow::Result<Vec<(String, String)>> {
    let mut customer = Customer::new(&site).await?;
    let mut ready = Vec::new();
    for number in (first..count).step_by(CUSTOMERS) {
        let payable = customer.check_out("hook", number).await?;
        let mut session = customer.session(&payable).await?;
        session["status"] = "complete".into();
        session["payment_status"] = "paid".into();
        session["payment_intent"] = format!("pi_bench{number}").into();
        session["url"] = Value::Null;
        let event = json!({
            "id": format!("evt_bench{number}"),
            "object": "event",
            "api_version": "2026-08-26.dahlia",
            "created": session["created"],
            "data": {"object": session},
            "livemode": false,
            "pending_webhooks": 1,
            "request": {"id": null, "idempotency_key": null},
            "type": "checkout.session.completed",
        });
        ready.push((payable.order, event.to_string()));
    }
    Ok(ready)
}

/// The header that says when a body was signed, and its signature.
fn sign(body: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes())
        .expect("HMAC takes keys of every length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    let signature: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Stripe-Signature: t={seconds},v1={signature}\r\n")
}
