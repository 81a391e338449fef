//! What a provider said about one of its objects, in our words.
//!
//! An adapter turns an answer, a webhook or a fetched object into these values; from here on nobody knows
//! which provider it was. They are statements, not conclusions: [`super::settlement`] decides what they mean.

use super::money::Money;
use super::time::Timestamp;

/// The marks we put on everything we create at a provider, as it returned them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// Which Till database created the object.
    pub deployment: Option<String>,
    /// Our order id.
    pub order: Option<String>,
    /// Our checkout session id.
    pub session: Option<String>,
    /// Our refund id.
    pub refund: Option<String>,
}

/// One object of a provider, as it was when the provider spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for one settlement; a box would only be unpacked everywhere"
)]
pub enum Observed {
    /// A hosted checkout session.
    Session(ObservedSession),
    /// A payment intent: the object money moves on.
    Intent(ObservedIntent),
}

impl Observed {
    /// Our marks on the object.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        match self {
            Observed::Session(session) => &session.marks,
            Observed::Intent(intent) => &intent.marks,
        }
    }

    /// The provider's id of the object.
    #[must_use]
    pub fn provider_id(&self) -> &str {
        match self {
            Observed::Session(session) => &session.provider_id,
            Observed::Intent(intent) => &intent.provider_id,
        }
    }

    /// The provider's id of the intent the object is, or belongs to.
    #[must_use]
    pub fn intent_id(&self) -> Option<&str> {
        match self {
            Observed::Session(session) => session.intent_id(),
            Observed::Intent(intent) => Some(&intent.provider_id),
        }
    }

    /// Whether the provider moved real money for this object.
    #[must_use]
    pub fn live(&self) -> bool {
        match self {
            Observed::Session(session) => session.live,
            Observed::Intent(intent) => intent.live,
        }
    }
}

/// A checkout session as the provider showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSession {
    /// The provider's id.
    pub provider_id: String,
    /// Our marks.
    pub marks: Marks,
    /// Where it stands.
    pub status: ObservedSessionStatus,
    /// Whether its money has arrived.
    pub payment: ObservedSessionPayment,
    /// What the customer is asked to pay.
    pub amount: Money,
    /// The provider's id of its intent, once there is one.
    pub intent: Option<String>,
    /// The intent itself, when the provider included it.
    pub intent_object: Option<ObservedIntent>,
    /// The provider reported that a delayed method failed for good.
    pub delayed_payment_failed: bool,
    /// The hosted page, while it can be paid.
    pub url: Option<String>,
    /// When it can no longer be paid.
    pub expires_at: Option<Timestamp>,
    /// Whether it moves real money.
    pub live: bool,
}

impl ObservedSession {
    /// The provider's id of the session's intent, however it was given.
    #[must_use]
    pub fn intent_id(&self) -> Option<&str> {
        let included = self.intent_object.as_ref();
        self.intent
            .as_deref()
            .or(included.map(|intent| intent.provider_id.as_str()))
    }
}

/// Where a provider's session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedSessionStatus {
    /// The customer can still pay.
    Open,
    /// The customer is done; the money may still be under way.
    Complete,
    /// It can no longer be paid.
    Expired,
}

/// Whether a provider's session has its money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedSessionPayment {
    /// The money has arrived.
    Paid,
    /// It has not, or not yet.
    Unpaid,
    /// There was nothing to pay.
    NotRequired,
}

/// A payment intent as the provider showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIntent {
    /// The provider's id.
    pub provider_id: String,
    /// Our marks.
    pub marks: Marks,
    /// Where it stands.
    pub status: ObservedIntentStatus,
    /// What was asked for.
    pub amount: Money,
    /// What has been captured.
    pub captured: Money,
    /// The charge of its last try.
    pub charge: Option<String>,
    /// Why the last try failed, when it did.
    pub failure: Option<ObservedFailure>,
    /// Whether it moves real money.
    pub live: bool,
}

/// Where a provider's intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedIntentStatus {
    /// It waits for the customer: a payment method, a confirmation, a second factor.
    Waiting,
    /// The last try was refused; it waits for another payment method.
    NeedsPaymentMethod,
    /// The money is on its way.
    Processing,
    /// The money is reserved and can be captured.
    Authorized,
    /// The money was captured.
    Captured,
    /// It was given up; a reservation was released.
    Canceled,
}

/// Why a try to pay failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedFailure {
    /// The provider's short code, such as `card_declined`.
    pub code: String,
    /// The charge of that try, when one was made.
    pub charge: Option<String>,
}
