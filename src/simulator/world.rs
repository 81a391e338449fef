//! Everything the provider knows, behind one lock that is held for the length of one request's work
//! and never across an await.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::{Clock, rfc3339};
use super::faults::{Faults, matches_name};
use super::idempotency::{Keys, StoredKey};
use super::ids::Random;
use super::journal::{Entry, EntryKind, Journal};
use super::objects::balance::Transaction;
use super::objects::charge::Charge;
use super::objects::dispute::Dispute;
use super::objects::event::{API_VERSION, Event};
use super::objects::intent::{Intent, IntentStatus};
use super::objects::refund::Refund;
use super::objects::session::{Session, SessionStatus};
use super::outbox::{Delivery, Outbox};
use super::state::{self, Meta, Record, StateLog};
use super::table::Table;

/// Something that happens when simulated time reaches it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A session expires.
    Session(String),
    /// An authorisation lapses.
    Authorisation(String),
}

/// What the present changes are caused by.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    /// The API request, unless the customer or time did it.
    pub request_id: Option<String>,
    /// Its key.
    pub idempotency_key: Option<String>,
}

/// How a world is made.
#[derive(Debug, Clone, Default)]
pub struct WorldConfig {
    /// For repeatable runs.
    pub seed: Option<u64>,
    /// Where the state is kept.
    pub state_file: Option<PathBuf>,
    /// Overrides what the state file says.
    pub webhook_url: Option<String>,
    /// Overrides what the state file says.
    pub webhook_secret: Option<String>,
    /// Overrides what the state file says.
    pub enabled_events: Option<Vec<String>>,
    /// The waits before the second try and those after it.
    pub retry_schedule: Vec<Duration>,
}

/// The provider's state.
#[derive(Debug)]
pub struct World {
    /// How it was made.
    pub config: WorldConfig,
    /// Simulated time.
    pub clock: Clock,
    /// Identifiers.
    pub ids: Random,
    /// Settings that survive a restart.
    pub meta: Meta,
    /// Where the simulator listens.
    pub base_url: String,
    /// Who is at it now.
    pub cause: Cause,
    /// Checkout sessions.
    pub sessions: Table<Session>,
    /// Payment intents.
    pub intents: Table<Intent>,
    /// Charges.
    pub charges: Table<Charge>,
    /// Refunds.
    pub refunds: Table<Refund>,
    /// Disputes.
    pub disputes: Table<Dispute>,
    /// Balance transactions.
    pub transactions: Table<Transaction>,
    /// Events.
    pub events: Table<Event>,
    /// Idempotency keys.
    pub keys: Keys,
    /// What happened.
    pub journal: Journal,
    /// What goes wrong.
    pub faults: Faults,
    /// Webhooks on their way.
    pub outbox: Outbox,
    /// What time will bring, by the second it is due.
    pub alarms: BTreeSet<(i64, Alarm)>,
    log: Option<StateLog>,
}

impl World {
    /// A world as the state file left it, or a new one.
    pub fn open(config: WorldConfig) -> io::Result<World> {
        let records = config.state_file.as_deref().map(state::read).transpose()?;
        let mut world = World::empty(config, 0);
        for record in records.unwrap_or_default() {
            world.restore(record);
        }
        world.meta.starts += 1;
        let (seed, starts) = (world.config.seed, world.meta.starts);
        world.ids = Random::new(seed, starts);
        world.faults = Faults::new(Random::new(seed, starts.wrapping_add(1 << 32)));
        world.clock.offset_ms = world.meta.offset_ms;
        world.settle_webhook_settings();
        world.set_alarms();
        world.keys.prune(world.clock.now_ms());
        world.write_anew()?;
        Ok(world)
    }

    fn empty(config: WorldConfig, starts: u64) -> World {
        let stream = starts.wrapping_add(1 << 32);
        World {
            clock: Clock::default(),
            ids: Random::new(config.seed, starts),
            faults: Faults::new(Random::new(config.seed, stream)),
            meta: Meta {
                starts,
                ..Meta::default()
            },
            base_url: String::new(),
            cause: Cause::default(),
            sessions: Table::default(),
            intents: Table::default(),
            charges: Table::default(),
            refunds: Table::default(),
            disputes: Table::default(),
            transactions: Table::default(),
            events: Table::default(),
            keys: Keys::default(),
            journal: Journal::default(),
            outbox: Outbox::default(),
            alarms: BTreeSet::new(),
            log: None,
            config,
        }
    }

    fn settle_webhook_settings(&mut self) {
        if let Some(secret) = self.config.webhook_secret.clone() {
            self.set_secret(secret);
        }
        if self.meta.webhook_secret.is_empty() {
            self.meta.webhook_secret = self.ids.token("whsec_", 32);
        }
        if self.meta.old_secret.is_empty() {
            self.meta.old_secret = self.ids.token("whsec_", 32);
        }
        if let Some(url) = self.config.webhook_url.clone() {
            self.meta.webhook_url = Some(url);
        }
        if let Some(enabled) = self.config.enabled_events.clone() {
            self.meta.enabled_events = enabled;
        }
    }

    /// Rolls the webhook secret; the one before becomes the old one.
    pub fn set_secret(&mut self, secret: String) {
        if secret != self.meta.webhook_secret {
            self.meta.old_secret = std::mem::replace(&mut self.meta.webhook_secret, secret);
        }
    }

    fn restore(&mut self, record: Record<'_>) {
        match record {
            Record::Meta(meta) => self.meta = meta.into_owned(),
            Record::Session(row) => _ = self.sessions.restore(row.into_owned()),
            Record::Intent(row) => _ = self.intents.restore(row.into_owned()),
            Record::Charge(row) => _ = self.charges.restore(row.into_owned()),
            Record::Refund(row) => _ = self.refunds.restore(row.into_owned()),
            Record::Dispute(row) => _ = self.disputes.restore(row.into_owned()),
            Record::Transaction(row) => _ = self.transactions.restore(row.into_owned()),
            Record::Event(row) => _ = self.events.restore(row.into_owned()),
            Record::Key(key) => self.keys.store(key.into_owned()),
            Record::Effect(entry) => self.journal.restore(entry.into_owned()),
            Record::Delivery(delivery) => {
                self.outbox.done(delivery.id);
                self.outbox.put(delivery.into_owned());
            }
            Record::Delivered(id) => self.outbox.done(id),
        }
    }

    fn set_alarms(&mut self) {
        let open = self
            .sessions
            .all()
            .iter()
            .filter(|row| row.status == SessionStatus::Open);
        let expiries = open.map(|row| (row.expires_at, Alarm::Session(row.id.clone())));
        let held = |row: &&Intent| row.status == IntentStatus::RequiresCapture;
        let lapses = self.intents.all().iter().filter(held).filter_map(|row| {
            row.capture_before
                .map(|at| (at, Alarm::Authorisation(row.id.clone())))
        });
        self.alarms = expiries.chain(lapses).collect();
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let Some(path) = &self.config.state_file else {
            return Ok(());
        };
        let effects = self.journal.since(0, Some("effect"));
        let records = std::iter::once(Record::Meta(Cow::Borrowed(&self.meta)))
            .chain(
                self.sessions
                    .all()
                    .iter()
                    .map(|row| Record::Session(Cow::Borrowed(row))),
            )
            .chain(
                self.intents
                    .all()
                    .iter()
                    .map(|row| Record::Intent(Cow::Borrowed(row))),
            )
            .chain(
                self.charges
                    .all()
                    .iter()
                    .map(|row| Record::Charge(Cow::Borrowed(row))),
            )
            .chain(
                self.refunds
                    .all()
                    .iter()
                    .map(|row| Record::Refund(Cow::Borrowed(row))),
            )
            .chain(
                self.disputes
                    .all()
                    .iter()
                    .map(|row| Record::Dispute(Cow::Borrowed(row))),
            )
            .chain(
                self.transactions
                    .all()
                    .iter()
                    .map(|row| Record::Transaction(Cow::Borrowed(row))),
            )
            .chain(
                self.events
                    .all()
                    .iter()
                    .map(|row| Record::Event(Cow::Borrowed(row))),
            )
            .chain(self.keys.all().map(|key| Record::Key(Cow::Borrowed(key))))
            .chain(effects.map(|entry| Record::Effect(Cow::Borrowed(entry))))
            .chain(
                self.outbox
                    .all()
                    .map(|row| Record::Delivery(Cow::Borrowed(row))),
            );
        self.log = Some(StateLog::create(path, records)?);
        Ok(())
    }

    /// Writes what changed to the state file: to be called before the lock is given back.
    pub fn commit(&mut self) {
        // The tables' marks are taken even without a log, or they would pile up.
        let World {
            log,
            sessions,
            intents,
            charges,
            refunds,
            ..
        } = self;
        let mut push = |record: Record<'_>| {
            if let Some(log) = log {
                log.push(&record);
            }
        };
        sessions
            .changed()
            .for_each(|row| push(Record::Session(Cow::Borrowed(row))));
        intents
            .changed()
            .for_each(|row| push(Record::Intent(Cow::Borrowed(row))));
        charges
            .changed()
            .for_each(|row| push(Record::Charge(Cow::Borrowed(row))));
        refunds
            .changed()
            .for_each(|row| push(Record::Refund(Cow::Borrowed(row))));
        self.disputes
            .changed()
            .for_each(|row| push(Record::Dispute(Cow::Borrowed(row))));
        self.transactions
            .changed()
            .for_each(|row| push(Record::Transaction(Cow::Borrowed(row))));
        self.events
            .changed()
            .for_each(|row| push(Record::Event(Cow::Borrowed(row))));
        if let Some(log) = &mut self.log {
            log.commit();
        }
        self.cause = Cause::default();
    }

    fn note(&mut self, record: Record<'_>) {
        if let Some(log) = &mut self.log {
            log.push(&record);
        }
    }

    /// Keeps the settings.
    pub fn keep_meta(&mut self) {
        let meta = self.meta.clone();
        self.note(Record::Meta(Cow::Owned(meta)));
    }

    /// Keeps an answer under its key.
    pub fn keep_key(&mut self, key: StoredKey) {
        self.note(Record::Key(Cow::Borrowed(&key)));
        self.keys.store(key);
    }

    /// Keeps a delivery's next try.
    pub fn keep_delivery(&mut self, delivery: Delivery) {
        self.note(Record::Delivery(Cow::Borrowed(&delivery)));
        self.outbox.put(delivery);
    }

    /// Forgets a delivery.
    pub fn drop_delivery(&mut self, id: u64) {
        self.note(Record::Delivered(id));
        self.outbox.done(id);
    }

    /// Schedules an event for the merchant, if there is an address.
    pub fn deliver(&mut self, event: &str, due_ms: u64, copy: bool) {
        if self.meta.webhook_url.is_some() {
            let delivery = self.outbox.add(event, due_ms, copy);
            self.note(Record::Delivery(Cow::Owned(delivery)));
        }
    }

    /// Whether events of this type are sent to the merchant.
    fn sends(&self, kind: &str) -> bool {
        let mut enabled = self.meta.enabled_events.iter();
        self.meta.webhook_url.is_some() && enabled.any(|pattern| matches_name(pattern, kind))
    }

    /// A blank journal entry of this moment.
    pub fn entry(&self, kind: EntryKind) -> Entry {
        Entry {
            kind,
            at: rfc3339(self.clock.now_ms()),
            ..Entry::default()
        }
    }

    /// Journals a change of state.
    pub fn effect(&mut self, effect: &str, object_id: &str, event_id: Option<&str>) {
        let entry = Entry {
            effect: Some(effect.to_owned()),
            object_id: Some(object_id.to_owned()),
            event_id: event_id.map(str::to_owned),
            request_id: self.cause.request_id.clone(),
            idempotency_key: self.cause.idempotency_key.clone(),
            ..self.entry(EntryKind::Effect)
        };
        let kept = self.journal.add(entry).clone();
        self.note(Record::Effect(Cow::Owned(kept)));
    }

    /// A fact: it is journalled, listed and, if the merchant wants its type, sent.
    pub fn emit(&mut self, kind: &str, object_id: &str, object: Value) {
        let id = self.ids.id("evt_");
        let created = self.clock.now();
        let sends = self.sends(kind);
        let body = json!({
            "id": id, "object": "event", "api_version": API_VERSION, "created": created,
            "data": { "object": object }, "livemode": false,
            "pending_webhooks": u8::from(sends),
            "request": {
                "id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key
            },
            "type": kind
        });
        self.effect(kind, object_id, Some(&id));
        if sends {
            self.deliver(&id, self.clock.now_ms(), false);
        }
        let (kind, object_id, body) = (kind.to_owned(), object_id.to_owned(), body.to_string());
        self.events.put(Event {
            id,
            created,
            kind,
            object_id,
            body,
        });
    }

    /// Forgets everything but the settings of webhooks, and goes on counting starts so that no
    /// identifier comes twice.
    pub fn reset(&mut self) -> io::Result<()> {
        let mut fresh = World::empty(self.config.clone(), self.meta.starts + 1);
        fresh.meta.webhook_secret = self.meta.webhook_secret.clone();
        fresh.meta.old_secret = self.meta.old_secret.clone();
        fresh.meta.webhook_url = self.meta.webhook_url.clone();
        fresh.meta.enabled_events = self.meta.enabled_events.clone();
        fresh.base_url = self.base_url.clone();
        fresh.outbox = self.outbox.emptied();
        *self = fresh;
        self.write_anew()
    }
}
