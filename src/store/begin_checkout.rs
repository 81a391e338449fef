//! Beginning checkouts: a command as data. The session, the call that makes it at the provider and the caller's key
//! are one transaction's, for one checkout or for all that wait.
//!
//! The orders are locked first, in the order of their ids; what is read afterwards nobody changes before the end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use entity::{
    checkout_session, idempotency_key, line_item, order, provider_attempt, provider_call,
};

use super::batch::Member;
use super::bulk::{self, Cells, Wanted};
use super::calls::{self, ClaimedCall, NewCall};
use super::checkouts::{self, NewSessionRow, SessionRecord};
use super::failpoint::Step;
use super::idempotency::{KeyClaim, key_row};
use super::orders::{OrderRecord, record};
use super::{Constraint, Engine, Store, StoreError, Tx};
use crate::domain::call::{CallKind, CallStatus};
use crate::domain::checkout::Unstartable;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::time::Timestamp;

/// Decides what a checkout of an order comes to; the store knows no provider.
pub trait CheckoutPlan: Send + Sync {
    /// From the order as it is under its lock, and its sessions that are live or young.
    ///
    /// # Errors
    /// Why it cannot be started now.
    fn plan(
        &self,
        order: &OrderRecord,
        sessions: &[SessionRecord],
    ) -> Result<CheckoutStep, Unstartable>;
}

/// What a checkout of an order comes to.
#[derive(Debug)]
pub enum CheckoutStep {
    /// The live session serves.
    Join(SessionRecord),
    /// The live session is not made yet: it is to be looked at first, and nothing is written.
    LookFirst,
    /// A new session, and the call that makes it.
    Create(Box<(NewSessionRow, NewCall)>),
}

/// A checkout to be begun.
#[derive(Clone)]
pub struct BeginCheckout {
    /// Its shop.
    pub shop: ShopId,
    /// Its order.
    pub order: OrderId,
    /// The caller's key.
    pub key: KeyClaim,
    /// From when on sessions are young.
    pub since: Timestamp,
    /// Decides.
    pub plan: Arc<dyn CheckoutPlan>,
}

/// What became of it.
#[derive(Debug)]
pub enum Begun {
    /// A new session; its call is ours to send.
    New(Box<(SessionRecord, ClaimedCall)>),
    /// The order has a live session already.
    Live(SessionRecord),
    /// As planned; nothing was written.
    LookFirst,
    /// The key was used before.
    KeyKnown,
    /// The shop has no such order.
    NoOrder,
    /// It cannot be started now; nothing was written.
    Refused(Unstartable),
}

impl Store {
    /// Begins a checkout, together with those that others begin at the moment.
    ///
    /// # Errors
    /// The database's; [`StoreError::Full`] when too many wait.
    pub async fn begin_checkout(&self, command: BeginCheckout) -> Result<Begun, StoreError> {
        self.checkouts.submit(self, command).await
    }
}

impl Tx {
    /// Begins a checkout as part of this transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_checkout(&self, command: &BeginCheckout) -> Result<Begun, StoreError> {
        let begun = begin(self, &[command]).await?.pop();
        begun.ok_or_else(|| StoreError::Corrupt("a set without outcomes".to_owned()))
    }
}

impl Member for BeginCheckout {
    type Outcome = Begun;

    fn claims(&self) -> Vec<String> {
        let KeyClaim {
            kind, route, key, ..
        } = &self.key;
        vec![
            format!("order {}", self.order),
            format!("key {} {kind} {route} {key}", self.shop),
        ]
    }

    async fn run(
        store: &Store,
        set: &[Arc<Self>],
        patience: Duration,
    ) -> Result<Vec<Begun>, StoreError> {
        let members: Vec<&BeginCheckout> = set.iter().map(AsRef::as_ref).collect();
        let members = &members;
        let begun = store
            .write_set(Step::CheckoutBegin, patience, |tx| async move {
                begin(&tx, members).await
            })
            .await;
        match begun {
            // Another process took the key in the same moment; whoever asked looks up what came of it.
            Err(StoreError::Conflict(Constraint::IdempotencyKey)) if set.len() == 1 => {
                Ok(vec![Begun::KeyKnown])
            }
            begun => begun,
        }
    }
}

/// What is known of a set's orders, under their locks.
struct Known {
    /// The database's time.
    now: Timestamp,
    orders: HashMap<String, order::Model>,
    lines: HashMap<String, Vec<line_item::Model>>,
    sessions: HashMap<String, Vec<SessionRecord>>,
    /// Keys that were used before: shop, kind, route and key.
    keys: HashSet<[String; 4]>,
}

/// A page whose end is tried again later than this serves until then: after an outage it may be hours. One whose end is
/// overdue as long is ended by nobody at present, and serves as well.
const SOON_MS: i64 = 120_000;

/// What is to be written of a set.
#[derive(Default)]
struct Rows {
    keys: Vec<idempotency_key::Model>,
    sessions: Vec<checkout_session::Model>,
    calls: Vec<provider_call::Model>,
    attempts: Vec<provider_attempt::Model>,
}

/// Begins checkouts of different orders.
async fn begin(tx: &Tx, set: &[&BeginCheckout]) -> Result<Vec<Begun>, StoreError> {
    let mut known = read(tx, set).await?;
    let mut rows = Rows::default();
    let mut begun = Vec::with_capacity(set.len());
    for one in set {
        begun.push(one.decide(tx, &mut known, &mut rows)?);
    }
    rows.write(tx).await?;
    Ok(begun)
}

impl BeginCheckout {
    fn decide(&self, tx: &Tx, known: &mut Known, rows: &mut Rows) -> Result<Begun, StoreError> {
        if known.keys.contains(&named(self)) {
            return Ok(Begun::KeyKnown);
        }
        let id = self.order.to_string();
        let order = known.orders.remove(&id);
        let Some(order) = order.filter(|order| order.shop_id == self.shop.to_string()) else {
            return Ok(Begun::NoOrder);
        };
        let order = record(order, known.lines.remove(&id).unwrap_or_default())?;
        let sessions = known.sessions.remove(&id).unwrap_or_default();
        let step = match self.plan.plan(&order, &sessions) {
            Ok(step) => step,
            Err(why) => return Ok(Begun::Refused(why)),
        };
        let key = |resource: String| key_row(&tx.clock, self.shop, &self.key, &resource, None);
        Ok(match step {
            CheckoutStep::Join(live) => {
                rows.keys.push(key(live.id.to_string()));
                Begun::Live(live)
            }
            CheckoutStep::LookFirst => Begun::LookFirst,
            CheckoutStep::Create(new) => {
                let (session, call) = *new;
                let session = checkouts::row_of(self.shop, session, tx.clock.now());
                let (call, call_row, attempt) =
                    calls::claimed_rows(tx, self.shop, &call, known.now)?;
                rows.keys.push(key(session.id.clone()));
                rows.sessions.push(session.clone());
                rows.calls.push(call_row);
                rows.attempts.push(attempt);
                Begun::New(Box::new((SessionRecord::try_from(session)?, call)))
            }
        })
    }
}

impl Rows {
    async fn write(self, tx: &Tx) -> Result<(), StoreError> {
        let mut parts = bulk::Parts::on(tx.engine);
        parts.insert::<idempotency_key::Entity>(&self.keys);
        parts.insert::<checkout_session::Entity>(&self.sessions);
        parts.insert::<provider_call::Entity>(&self.calls);
        parts.insert::<provider_attempt::Entity>(&self.attempts);
        parts.carry_out(tx).await
    }
}

fn named(one: &BeginCheckout) -> [String; 4] {
    let KeyClaim {
        kind, route, key, ..
    } = &one.key;
    [
        one.shop.to_string(),
        kind.to_string(),
        route.clone().into_owned(),
        key.clone(),
    ]
}

/// Locks the orders of a set and reads what belongs to them.
async fn read(tx: &Tx, set: &[&BeginCheckout]) -> Result<Known, StoreError> {
    let mut ids: Vec<String> = set.iter().map(|one| one.order.to_string()).collect();
    // Two sets that lock in one order wait for each other instead of colliding.
    ids.sort();
    ids.dedup();
    let orders = lock(tx, &ids).await?;
    let engine = tx.engine;
    let of_orders = bulk::among(engine, "order_id");
    let orders_list = bulk::list(engine, ids.iter().map(String::as_str));
    let since = set.iter().map(|one| one.since.ms()).min().unwrap_or(0);
    let live = checkouts::LIVE.join("', '");
    let ends = format!(
        "{of_orders} AND kind = '{}' AND status || '' IN ('{}', '{}') \
         AND next_at BETWEEN {now} - {SOON_MS} AND {now} + {SOON_MS}",
        CallKind::SessionExpire,
        CallStatus::Sending,
        CallStatus::Unknown,
        now = tx.now_sql(),
    );
    let names: Vec<[String; 4]> = set.iter().map(|one| named(one)).collect();
    let names = names.iter().map(|name| name.each_ref().map(String::as_str));
    let (keys, keys_named) = bulk::keyed(
        engine,
        "idempotency_key",
        ["shop_id", "key_kind", "route", "key"],
        "",
        &names.collect(),
    );
    let parts = vec![
        Wanted::rows::<line_item::Entity>(of_orders.clone(), vec![orders_list.clone()]),
        Wanted::rows::<checkout_session::Entity>(
            format!("{of_orders} AND (status IN ('{live}') OR created_at > ?)"),
            vec![orders_list.clone(), since.into()],
        ),
        Wanted::columns(&["subject_id"], "provider_call", ends, vec![orders_list]),
        Wanted::columns(
            &["t.shop_id", "t.key_kind", "t.route", "t.key"],
            &keys,
            "TRUE".to_owned(),
            keys_named,
        ),
        // Only now: the locks may have been waited for.
        Wanted::columns(
            &[tx.now_sql().as_str()],
            "(SELECT 1) AS one",
            "TRUE".to_owned(),
            Vec::new(),
        ),
    ];
    let mut parts = bulk::read(tx.conn(), engine, parts).await?.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let mut known = Known {
        now: tx.clock.now(),
        orders,
        lines: HashMap::new(),
        sessions: HashMap::new(),
        keys: HashSet::new(),
    };
    for row in next() {
        let line = row.model::<line_item::Entity>()?;
        known
            .lines
            .entry(line.order_id.clone())
            .or_default()
            .push(line);
    }
    known
        .lines
        .values_mut()
        .for_each(|lines| lines.sort_by_key(|line| line.position));
    let sessions = next();
    let mut ends = HashSet::new();
    for row in next() {
        ends.insert(row.text(0)?.to_owned());
    }
    for row in sessions {
        let session = row.model::<checkout_session::Entity>()?;
        let of = known.sessions.entry(session.order_id.clone()).or_default();
        let is_ended = ends.contains(&session.id);
        let session = SessionRecord::try_from(session)?;
        of.push(SessionRecord {
            ending: session.ending || is_ended,
            ..session
        });
    }
    for row in next() {
        known.keys.insert(key_of(&row)?);
    }
    for row in next() {
        known.now = Timestamp::from_ms(row.number(0)?);
    }
    Ok(known)
}

fn key_of(row: &Cells) -> Result<[String; 4], StoreError> {
    let text = |at| row.text(at).map(str::to_owned);
    Ok([text(0)?, text(1)?, text(2)?, text(3)?])
}

/// Locks orders.
async fn lock(tx: &Tx, ids: &[String]) -> Result<HashMap<String, order::Model>, StoreError> {
    let (among, listed) = (
        bulk::among(tx.engine, "id"),
        bulk::list(tx.engine, ids.iter().map(String::as_str)),
    );
    let (waits, patience) = tx.waits();
    let wanted = match tx.engine {
        // The write transaction is the lock.
        Engine::Sqlite => {
            Wanted::rows::<order::Entity>(format!("{among} ORDER BY id"), vec![listed])
        }
        Engine::Postgres => Wanted::rows::<order::Entity>(
            format!("{among} AND {waits} ORDER BY id FOR NO KEY UPDATE"),
            vec![listed, patience],
        ),
    };
    let rows = bulk::read(tx.conn(), tx.engine, vec![wanted]).await?.pop();
    let mut orders = HashMap::new();
    for row in rows.unwrap_or_default() {
        let order = row.model::<order::Entity>()?;
        orders.insert(order.id.clone(), order);
    }
    Ok(orders)
}
