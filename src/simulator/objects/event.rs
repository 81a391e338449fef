//! `event`: a fact, with a snapshot of its object as it was then.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::simulator::table::Row;

/// The account's API version, which shapes events whatever the requests' version is.
pub const API_VERSION: &str = "2026-08-26.dahlia";

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// Such as `checkout.session.completed`.
    pub kind: String,
    /// Whose snapshot it holds.
    pub object_id: String,
    /// The JSON text that is sent and signed, the same bytes on each try.
    pub body: String,
}

impl Row for Event {
    const NOUN: &'static str = "event";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn links(&self) -> Vec<String> {
        vec![format!("type={}", self.kind)]
    }
}

impl Event {
    /// The object as the API shows it.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body was written from JSON")
    }
}
