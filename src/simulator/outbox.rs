//! Webhooks that wait to be sent.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// An event on its way to the merchant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivery {
    /// Counts up.
    pub id: u64,
    /// The event.
    pub event: String,
    /// The next try, from 1.
    pub attempt: u32,
    /// Simulated milliseconds of the next try.
    pub due_ms: u64,
    /// Whether faults leave it alone: it is the outcome of one.
    pub exempt: bool,
    /// An additional copy: sent once, not tried again.
    pub copy: bool,
}

/// All deliveries that are not done.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: BTreeMap<u64, Delivery>,
    due: BTreeSet<(u64, u64)>,
    held: BTreeSet<u64>,
    last_id: u64,
}

impl Outbox {
    /// Adds a delivery of an event.
    pub fn add(&mut self, event: &str, due_ms: u64, copy: bool) -> Delivery {
        let id = self.last_id + 1;
        let event = event.to_owned();
        let delivery = Delivery {
            id,
            event,
            attempt: 1,
            due_ms,
            exempt: copy,
            copy,
        };
        self.put(delivery.clone());
        delivery
    }

    /// An empty one that goes on counting, so that a delivery under way is not taken for a new one.
    pub fn emptied(&self) -> Outbox {
        Outbox {
            last_id: self.last_id,
            ..Outbox::default()
        }
    }

    /// Adds the delivery, or gives it a new time.
    pub fn put(&mut self, delivery: Delivery) {
        self.last_id = self.last_id.max(delivery.id);
        self.due.insert((delivery.due_ms, delivery.id));
        self.waiting.insert(delivery.id, delivery);
    }

    /// Holds the delivery until another one was sent, at the latest until it is due.
    pub fn hold(&mut self, delivery: Delivery) {
        self.held.insert(delivery.id);
        self.put(delivery);
    }

    /// Another delivery was sent: those that were held are due now.
    pub fn release_held(&mut self, now_ms: u64) {
        for id in std::mem::take(&mut self.held) {
            if let Some(delivery) = self.waiting.get_mut(&id)
                && self.due.remove(&(delivery.due_ms, id))
            {
                delivery.due_ms = now_ms;
                self.due.insert((now_ms, id));
            }
        }
    }

    /// Takes the first delivery that is due; it stays known until it is done.
    pub fn take_due(&mut self, now_ms: u64) -> Option<Delivery> {
        let &(due_ms, id) = self.due.first()?;
        if due_ms > now_ms {
            return None;
        }
        self.due.pop_first();
        self.held.remove(&id);
        self.waiting.get(&id).cloned()
    }

    /// Forgets a delivery.
    pub fn done(&mut self, id: u64) {
        if let Some(delivery) = self.waiting.remove(&id) {
            self.due.remove(&(delivery.due_ms, id));
        }
    }

    /// When the next one is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.due.first().map(|&(due_ms, _)| due_ms)
    }

    /// Every delivery that is not done.
    pub fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.waiting.values()
    }
}
