//! Payment providers: the trait the use cases speak, and its adapters.
//!
//! An adapter knows a provider's wire and nothing of Till's database. It builds the exact bytes of a call
//! before the call is made (they are stored first), sends them, and says what is *known* afterwards: an answer
//! that was lost is [`CallResult::Unknown`], never a failure.

pub mod stripe;

use async_trait::async_trait;

use crate::domain::access::Mode;
pub use crate::domain::call::CallRequest;
use crate::domain::checkout::Capture;
use crate::domain::ids::{CheckoutSessionId, OrderId, RefundId};
use crate::domain::money::Money;
use crate::domain::observed::Observed;
use crate::domain::refund::RefundReason;
use crate::domain::time::Timestamp;

/// A payment provider: one adapter with one account's credentials.
#[async_trait]
pub trait PaymentProvider: Send + Sync {
    /// The provider's name in paths, rows and answers, such as `stripe`.
    fn name(&self) -> &'static str;

    /// Whether the configured credentials move real money.
    fn mode(&self) -> Mode;

    /// Whether this amount can be charged exactly.
    ///
    /// # Errors
    /// [`NotChargeable`] when the provider cannot represent the amount or does not know the currency.
    fn chargeable(&self, amount: Money) -> Result<(), NotChargeable>;

    /// The exact request that creates a hosted checkout session.
    ///
    /// # Errors
    /// [`NotChargeable`] when an amount cannot be represented.
    fn create_session(&self, session: &NewSession) -> Result<CallRequest, NotChargeable>;

    /// The exact request that makes a session unpayable.
    fn expire_session(&self, provider_session_id: &str) -> CallRequest;

    /// The exact request that takes reserved money, all of it or less; what is left is released.
    ///
    /// # Errors
    /// [`NotChargeable`] when the amount cannot be represented.
    fn capture(&self, intent: &str, amount: Money) -> Result<CallRequest, NotChargeable>;

    /// The exact request that releases reserved money.
    fn void(&self, intent: &str) -> CallRequest;

    /// The exact request that gives money back.
    ///
    /// # Errors
    /// [`NotChargeable`] when the amount cannot be represented.
    fn refund(&self, refund: &RefundAsk) -> Result<CallRequest, NotChargeable>;

    /// Where people look at an intent in the provider's own console; none where there is no such page.
    fn dashboard(&self, intent: &str) -> Option<String>;

    /// Sends a call once, under its idempotency key.
    async fn send(&self, call: &CallRequest, idempotency_key: &str) -> Outcome;

    /// Asks for the present state of an object.
    ///
    /// # Errors
    /// [`FetchError`] when the object does not exist or no answer could be had.
    async fn fetch(&self, reference: &Reference) -> Result<Observed, FetchError>;

    /// The intent that made a charge; none for a charge that no intent made.
    ///
    /// # Errors
    /// [`FetchError`] when the charge does not exist or no answer could be had.
    async fn intent_of(&self, charge: &str) -> Result<Option<String>, FetchError>;

    /// Every refund of an intent's money, whoever made it.
    ///
    /// # Errors
    /// [`FetchError`] when no answer, or not the whole one, could be had.
    async fn refunds_of(&self, intent: &str) -> Result<Vec<Observed>, FetchError>;

    /// The provider's id of the session that carries these marks; none when there surely is none among those
    /// made at that time.
    ///
    /// # Errors
    /// [`FetchError`] when no answer, or not the whole one, could be had.
    async fn find_session(&self, sought: &SoughtSession) -> Result<Option<String>, FetchError>;

    /// Makes one harmless request, to see whether the provider can be reached and takes the credentials.
    ///
    /// # Errors
    /// Why no answer could be had.
    async fn probe(&self) -> Result<Probe, Ambiguity>;

    /// Checks that a webhook comes from the provider.
    ///
    /// # Errors
    /// [`SignatureError`] when no active secret signed these bytes at a time near `now`.
    fn verify(
        &self,
        signature_header: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Verified, SignatureError>;

    /// The name of the request header that carries the webhook signature.
    fn signature_header(&self) -> &'static str;

    /// Reads a verified webhook body.
    ///
    /// # Errors
    /// [`MalformedEvent`] when the bytes are not an event of this provider.
    fn parse_event(&self, body: &[u8]) -> Result<Notice, MalformedEvent>;
}

/// What a new hosted checkout session is to charge, and for what.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Our session id; sent as a mark.
    pub session: CheckoutSessionId,
    /// Our order id; sent as a mark and as the reference people see.
    pub order: OrderId,
    /// The shop's order number, for descriptions.
    pub order_number: String,
    /// This database's id; sent as a mark.
    pub deployment: String,
    /// What the customer pays; the lines sum to it or are replaced by one summary line.
    pub amount: Money,
    /// One entry a line of the order: what it says, and its total.
    pub lines: Vec<(String, Money)>,
    /// When the money is taken.
    pub capture: Capture,
    /// Where the customer goes after paying; the provider's own placeholders are not used.
    pub success_url: String,
    /// Where the customer goes when giving up.
    pub cancel_url: String,
    /// The customer's address for the provider's receipt form, when known.
    pub customer_email: Option<String>,
    /// When the session stops being payable.
    pub expires_at: Timestamp,
}

/// A session that may have been created, to be looked for among all of the account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoughtSession {
    /// Our session id, as it was sent as a mark.
    pub session: CheckoutSessionId,
    /// This database's id, as it was sent as a mark.
    pub deployment: String,
    /// When it can have been created at the earliest.
    pub from: Timestamp,
    /// When it can have been created at the latest.
    pub until: Timestamp,
}

/// A refund to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundAsk {
    /// Our refund id; sent as a mark.
    pub refund: RefundId,
    /// Our order id; sent as a mark.
    pub order: OrderId,
    /// This database's id; sent as a mark.
    pub deployment: String,
    /// The intent whose money goes back.
    pub intent: String,
    /// How much of it.
    pub amount: Money,
    /// Why.
    pub reason: Option<RefundReason>,
}

/// What is known after one try of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The HTTP status, when an answer began to arrive.
    pub http_status: Option<u16>,
    /// The provider's own id of the request, for its support.
    pub provider_request_id: Option<String>,
    /// How long the provider asked us to wait before the next try, in milliseconds.
    pub retry_after_ms: Option<i64>,
    /// What the answer means.
    pub result: CallResult,
}

/// What one try of a call proved.
#[derive(Debug, Clone)]
pub enum CallResult {
    /// It was done; this is the object as it is now.
    Succeeded(Box<Observed>),
    /// The provider refused it for good: nothing was done and the same bytes will never be accepted.
    Declined(Decline),
    /// Nothing is proved: it may or may not have been done. Repeat with the same key, or look it up.
    Unknown(Ambiguity),
}

impl CallResult {
    /// The word stored with the try.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            CallResult::Succeeded(_) => "succeeded",
            CallResult::Declined(_) => "declined",
            CallResult::Unknown(why) => why.as_str(),
        }
    }
}

/// A definitive refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// The provider's short code.
    pub code: String,
    /// The provider's sentence, safe to show to staff.
    pub message: String,
}

/// Why a try proved nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// No connection was made: not a byte was sent.
    NotSent,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Connection,
    /// A 5xx answer.
    ServerError,
    /// A 5xx answer the provider keeps for the key: every repeat will get the same.
    StoredError,
    /// The answer was cut, too large, or not what the API promises.
    BadAnswer,
    /// A redirect, which is never followed.
    Redirect,
    /// Another request with this key is being executed.
    InUse,
    /// The provider asked us to slow down.
    RateLimited,
    /// The provider says the key belongs to other parameters.
    KeyMismatch,
    /// Till did not send it: the provider has not been answering, or too much is under way.
    TurnedAway,
}

impl Ambiguity {
    /// The word stored with the try.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Ambiguity::NotSent => "not_sent",
            Ambiguity::Timeout => "timeout",
            Ambiguity::Connection => "connection",
            Ambiguity::ServerError => "server_error",
            Ambiguity::StoredError => "stored_error",
            Ambiguity::BadAnswer => "bad_answer",
            Ambiguity::Redirect => "redirect",
            Ambiguity::InUse => "in_use",
            Ambiguity::RateLimited => "rate_limited",
            Ambiguity::KeyMismatch => "key_mismatch",
            Ambiguity::TurnedAway => "turned_away",
        }
    }
}

/// An object to fetch, by the provider's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A checkout session, with its intent included.
    Session(String),
    /// A payment intent.
    Intent(String),
    /// A refund.
    Refund(String),
    /// A dispute.
    Dispute(String),
}

/// Why an object could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The provider has no such object.
    #[error("the provider has no such object")]
    NotFound,
    /// The provider refused to show it, for instance because the key is wrong.
    #[error("the provider refused the request: {0}")]
    Refused(String),
    /// No usable answer.
    #[error("the provider gave no usable answer ({})", .0.as_str())]
    Unavailable(Ambiguity),
}

/// What one harmless request found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The HTTP status of the answer.
    pub http_status: u16,
    /// Whether the provider takes the credentials; none when the answer does not say.
    pub accepted: Option<bool>,
    /// The mode the provider says they are for, when it says so.
    pub mode: Option<Mode>,
    /// The provider's time as it answered, to the second.
    pub server_time: Option<Timestamp>,
}

/// An amount the provider cannot charge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotChargeable(pub String);

/// A webhook whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which of the configured secrets signed it, counted from 0.
    pub secret_index: usize,
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature header.
    #[error("the signature header is missing")]
    Missing,
    /// The header is not of the provider's form.
    #[error("the signature header is malformed")]
    Malformed,
    /// No active secret made this signature.
    #[error("no active webhook secret matches the signature")]
    NoMatch,
    /// The signature was made too long ago, or too far in the future.
    #[error("the signature's timestamp is outside the tolerance of 300 seconds")]
    Stale,
}

/// A verified webhook, read.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The provider's event id.
    pub event_id: String,
    /// The provider's event type.
    pub event_type: String,
    /// The API version the body was written in.
    pub api_version: Option<String>,
    /// Whether it is about real money.
    pub live: bool,
    /// The connected account the event names, when it names one.
    pub external_account: Option<String>,
    /// When the provider says it happened.
    pub created: Option<Timestamp>,
    /// The provider's id of the object the event is about.
    pub object_id: Option<String>,
    /// The intent that object is or belongs to.
    pub intent_id: Option<String>,
    /// The charge that object is or belongs to.
    pub charge_id: Option<String>,
    /// What it says, or none for an event type Till does not act on.
    pub observed: Option<Observed>,
    /// Why its object cannot be read, when it is or may be one of ours: the event is kept all the same.
    pub unreadable: Option<Unreadable>,
}

/// An object that says what no such object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with it.
    pub why: String,
    /// Whether it says itself that it is ours. A dispute does not, nor does a refund made at the provider: it is ours when
    /// its payment is.
    pub ours: bool,
}

/// Bytes that are not an event of the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event of this provider: {0}")]
pub struct MalformedEvent(pub String);
