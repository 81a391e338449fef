//! The API's endpoints: their names, their addresses, and what each does under the world's lock.
pub mod expand;
mod intents;
mod reads;
mod refunds;
mod sessions;

use serde_json::Value;

use super::failure::Failure;
use super::params::Params;
use super::world::World;

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    SessionCreate,
    SessionList,
    SessionRetrieve,
    SessionLines,
    SessionExpire,
    IntentRetrieve,
    IntentList,
    IntentCapture,
    IntentCancel,
    RefundCreate,
    RefundList,
    RefundRetrieve,
    ChargeRetrieve,
    ChargeList,
    DisputeRetrieve,
    DisputeList,
    EventRetrieve,
    EventList,
    TransactionRetrieve,
    TransactionList,
    Balance,
    Account,
}

/// The endpoints' names, as fault scripts and the journal use them.
pub const NAMES: [&str; 22] = [
    "checkout.session.create",
    "checkout.session.list",
    "checkout.session.retrieve",
    "checkout.session.line_items",
    "checkout.session.expire",
    "payment_intent.retrieve",
    "payment_intent.list",
    "payment_intent.capture",
    "payment_intent.cancel",
    "refund.create",
    "refund.list",
    "refund.retrieve",
    "charge.retrieve",
    "charge.list",
    "dispute.retrieve",
    "dispute.list",
    "event.retrieve",
    "event.list",
    "balance_transaction.retrieve",
    "balance_transaction.list",
    "balance.retrieve",
    "account.retrieve",
];

impl Operation {
    /// Its name.
    pub fn name(self) -> &'static str {
        // The order of the names is the order of the variants.
        #[expect(clippy::as_conversions, reason = "a fieldless enum's number")]
        NAMES[self as usize]
    }

    /// The endpoint at an address, with the identifier in it.
    pub fn at(method: &str, path: &str) -> Option<(Operation, String)> {
        use Operation::*;
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (operation, id) = match (method, &segments[..]) {
            ("POST", ["v1", "checkout", "sessions"]) => (SessionCreate, ""),
            ("GET", ["v1", "checkout", "sessions"]) => (SessionList, ""),
            ("GET", ["v1", "checkout", "sessions", id]) => (SessionRetrieve, *id),
            ("GET", ["v1", "checkout", "sessions", id, "line_items"]) => (SessionLines, *id),
            ("POST", ["v1", "checkout", "sessions", id, "expire"]) => (SessionExpire, *id),
            ("GET", ["v1", "payment_intents"]) => (IntentList, ""),
            ("GET", ["v1", "payment_intents", id]) => (IntentRetrieve, *id),
            ("POST", ["v1", "payment_intents", id, "capture"]) => (IntentCapture, *id),
            ("POST", ["v1", "payment_intents", id, "cancel"]) => (IntentCancel, *id),
            ("POST", ["v1", "refunds"]) => (RefundCreate, ""),
            ("GET", ["v1", "refunds"]) => (RefundList, ""),
            ("GET", ["v1", "refunds", id]) => (RefundRetrieve, *id),
            ("GET", ["v1", "charges"]) => (ChargeList, ""),
            ("GET", ["v1", "charges", id]) => (ChargeRetrieve, *id),
            ("GET", ["v1", "disputes"]) => (DisputeList, ""),
            ("GET", ["v1", "disputes", id]) => (DisputeRetrieve, *id),
            ("GET", ["v1", "events"]) => (EventList, ""),
            ("GET", ["v1", "events", id]) => (EventRetrieve, *id),
            ("GET", ["v1", "balance_transactions"]) => (TransactionList, ""),
            ("GET", ["v1", "balance_transactions", id]) => (TransactionRetrieve, *id),
            ("GET", ["v1", "balance"]) => (Balance, ""),
            ("GET", ["v1", "account"]) => (Account, ""),
            _ => return None,
        };
        Some((operation, id.to_owned()))
    }

    /// Executes the endpoint.
    pub fn run(self, world: &mut World, id: &str, mut params: Params) -> Result<Value, Failure> {
        use Operation::*;
        let wishes = expand::Wishes::take(self, &mut params)?;
        let mut answer = match self {
            SessionCreate => sessions::create(world, params),
            SessionList => sessions::list(world, params),
            SessionRetrieve => sessions::retrieve(world, id, params),
            SessionLines => sessions::lines(world, id, params),
            SessionExpire => sessions::expire(world, id, params),
            IntentRetrieve => intents::retrieve(world, id, params),
            IntentList => intents::list(world, params),
            IntentCapture => intents::capture(world, id, params),
            IntentCancel => intents::cancel(world, id, params),
            RefundCreate => refunds::create(world, params),
            RefundList => refunds::list(world, params),
            RefundRetrieve => refunds::retrieve(world, id, params),
            ChargeRetrieve => reads::charge(world, id, params),
            ChargeList => reads::charges(world, params),
            DisputeRetrieve => reads::dispute(world, id, params),
            DisputeList => reads::disputes(world, params),
            EventRetrieve => reads::event(world, id, params),
            EventList => reads::events(world, params),
            TransactionRetrieve => reads::transaction(world, id, params),
            TransactionList => reads::transactions(world, params),
            Balance => reads::balance(world, params),
            Account => reads::account(world, params),
        }?;
        wishes.fulfil(world, &mut answer);
        Ok(answer)
    }
}

/// The list object for a page of objects.
fn page_json(url: &str, page: (Vec<Value>, bool)) -> Value {
    super::objects::list(url, page.0, page.1)
}
