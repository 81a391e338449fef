//! The inbox as staff see it: what the provider reported, what became of it, and what it changed.

use super::access::words;
use super::ids::{AccountId, FactId, LedgerTransactionId, OrderId, ProviderEventId};
use super::money::Money;
use super::page::Span;
use super::settlement::Reason;
use super::time::Timestamp;

words! {
    /// What became of an event of the provider.
    EventVerdict {
        /// Its facts are recorded.
        Applied = "applied",
        /// It could not be applied yet, and is tried again.
        Pending = "pending",
        /// It was not believed; its object is fetched instead.
        Quarantined = "quarantined",
        /// It is about nothing of ours.
        Foreign = "foreign",
        /// Till does not act on its type.
        Ignored = "ignored",
        /// It was given up.
        Dead = "dead",
    }
}

impl EventVerdict {
    /// Whether something is still to be done about it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            EventVerdict::Pending | EventVerdict::Quarantined | EventVerdict::Dead => true,
            EventVerdict::Applied | EventVerdict::Foreign | EventVerdict::Ignored => false,
        }
    }
}

/// Which events staff look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// What became of them.
    pub verdict: Option<EventVerdict>,
    /// Why, as a short code.
    pub reason: Option<String>,
    /// The provider's type of them.
    pub kind: Option<String>,
    /// Those about one order.
    pub order: Option<OrderId>,
    /// When they arrived.
    pub received: Span,
}

/// Why an event about something of ours was not applied when its order is not known.
pub const ORDER_UNKNOWN: &str = "order_unknown";

/// The reason of an event that says that one order was paid with another one's payment.
pub const PAYMENT_OF_ANOTHER: &str = "payment_of_another_order";

/// Why an event was not applied whose object says what no such object says.
pub const UNREADABLE: &str = "unreadable";

/// Whether a reason is that an event was not believed: its object, fetched, decides then, however often it is tried.
#[must_use]
pub fn is_doubt(reason: &str) -> bool {
    reason == PAYMENT_OF_ANOTHER || reason.parse::<Reason>().is_ok()
}

/// An event of the provider.
#[derive(Debug, Clone)]
pub struct InboxFile {
    /// Our id of it.
    pub id: ProviderEventId,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub kind: String,
    /// What became of it.
    pub verdict: EventVerdict,
    /// Why, when that is not plain.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// The order it is about, with its number.
    pub order: Option<(OrderId, String)>,
    /// The account it was sent for.
    pub account: AccountId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When its facts were recorded.
    pub settled_at: Option<Timestamp>,
    /// The request it came in.
    pub request_id: Option<String>,
}

/// An event with all there is to know of it.
#[derive(Debug, Clone)]
pub struct InboxStory {
    /// The event.
    pub event: InboxFile,
    /// The signature it came with.
    pub signature: Option<String>,
    /// The place in the configuration of the secret that verified it, from 0.
    pub secret_index: i64,
    /// The API version it was written in.
    pub api_version: Option<String>,
    /// Whether it is about real money.
    pub live: bool,
    /// The object it is about.
    pub object_id: Option<String>,
    /// The intent that object belongs to.
    pub intent_id: Option<String>,
    /// The charge that object belongs to.
    pub charge_id: Option<String>,
    /// What it said, byte for byte; none when its bytes are gone. It may name people.
    pub body: Option<Vec<u8>>,
    /// What it was the first to tell.
    pub facts: Vec<ToldFact>,
}

/// A fact that an event was the first to tell.
#[derive(Debug, Clone)]
pub struct ToldFact {
    /// The fact.
    pub id: FactId,
    /// What it says.
    pub kind: String,
    /// The provider's id of what it is about.
    pub object: String,
    /// Its amount, if it is about money.
    pub amount: Option<Money>,
    /// The ledger transaction that was posted for it.
    pub transaction: Option<LedgerTransactionId>,
}
