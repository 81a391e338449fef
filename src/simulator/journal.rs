//! What happened, for tests that compare two sides: every request received, every effect it had,
//! every webhook tried.
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const ENTRY_LIMIT: usize = 100_000;

/// What an entry is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A request to the API.
    #[default]
    Request,
    /// A change of state.
    Effect,
    /// A try to deliver an event.
    Webhook,
}

/// One line of the journal; what doesn't apply is left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Counts up from 1.
    pub seq: u64,
    /// Simulated time, RFC 3339.
    pub at: String,
    /// What it is about.
    pub kind: EntryKind,
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The endpoint's name, such as `refund.create`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The key that came with the request or caused the effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The request, or the one that caused the effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `Stripe-Version` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_version: Option<String>,
    /// The request's parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// The answer's status, ours or the webhook receiver's; absent while none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The fault that fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What changed, such as `refund.created`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The object that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// The event, of an effect or a webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The event's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The webhook's try, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Whether the answer was a stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<bool>,
    /// Why a webhook got no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The newest entries.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    last_seq: u64,
}

impl Journal {
    /// Adds an entry, numbered.
    pub fn add(&mut self, mut entry: Entry) -> &Entry {
        self.last_seq += 1;
        entry.seq = self.last_seq;
        self.restore(entry);
        self.entries.back().expect("an entry was just added")
    }

    /// Adds an entry that has its number already.
    pub fn restore(&mut self, entry: Entry) {
        self.last_seq = self.last_seq.max(entry.seq);
        if self.entries.len() == ENTRY_LIMIT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The entry with the number, to be completed.
    pub fn edit(&mut self, seq: u64) -> Option<&mut Entry> {
        let at = self
            .entries
            .binary_search_by_key(&seq, |entry| entry.seq)
            .ok()?;
        self.entries.get_mut(at)
    }

    /// Entries after a number, of a kind.
    pub fn since<'a>(
        &'a self,
        seq: u64,
        kind: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Entry> + 'a {
        let start = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.iter().skip(start).filter(move |entry| {
            kind.is_none_or(|kind| {
                kind == match entry.kind {
                    EntryKind::Request => "request",
                    EntryKind::Effect => "effect",
                    EntryKind::Webhook => "webhook",
                }
            })
        })
    }

    /// Forgets the entries, but not the count.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
