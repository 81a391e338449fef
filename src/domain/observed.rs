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
    /// A refund of an intent's money.
    Refund(ObservedRefund),
    /// A customer's bank asking for an intent's money.
    Dispute(ObservedDispute),
    /// A reservation that lapsed before it was captured.
    Lapsed(ObservedLapse),
}

impl Observed {
    /// Our marks on the object.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        match self {
            Observed::Session(session) => &session.marks,
            Observed::Intent(intent) => &intent.marks,
            Observed::Refund(refund) => &refund.marks,
            Observed::Dispute(dispute) => &dispute.marks,
            Observed::Lapsed(lapse) => &lapse.marks,
        }
    }

    /// The provider's id of the object.
    #[must_use]
    pub fn provider_id(&self) -> &str {
        match self {
            Observed::Session(session) => &session.provider_id,
            Observed::Intent(intent) => &intent.provider_id,
            Observed::Refund(refund) => &refund.provider_id,
            Observed::Dispute(dispute) => &dispute.provider_id,
            Observed::Lapsed(lapse) => &lapse.charge,
        }
    }

    /// The provider's id of the intent the object is, or belongs to.
    #[must_use]
    pub fn intent_id(&self) -> Option<&str> {
        match self {
            Observed::Session(session) => session.intent_id(),
            Observed::Intent(intent) => Some(&intent.provider_id),
            Observed::Refund(refund) => refund.intent.as_deref(),
            Observed::Dispute(dispute) => dispute.intent.as_deref(),
            Observed::Lapsed(lapse) => lapse.intent.as_deref(),
        }
    }

    /// The provider's id of the charge the object is, or belongs to.
    #[must_use]
    pub fn charge_id(&self) -> Option<&str> {
        match self {
            Observed::Session(_) => None,
            Observed::Intent(intent) => intent.charge.as_deref(),
            Observed::Refund(refund) => refund.charge.as_deref(),
            Observed::Dispute(dispute) => dispute.charge.as_deref(),
            Observed::Lapsed(lapse) => Some(&lapse.charge),
        }
    }

    /// The object, now that the intent of its charge is known.
    #[must_use]
    pub fn of_intent(mut self, intent: String) -> Self {
        let known = match &mut self {
            Observed::Session(session) => &mut session.intent,
            Observed::Intent(_) => return self,
            Observed::Refund(refund) => &mut refund.intent,
            Observed::Dispute(dispute) => &mut dispute.intent,
            Observed::Lapsed(lapse) => &mut lapse.intent,
        };
        known.get_or_insert(intent);
        self
    }

    /// Whether the object says nothing without the payment it is about: refunds, disputes and lapsed
    /// reservations are judged by their intent.
    #[must_use]
    pub fn needs_payment(&self) -> bool {
        match self {
            Observed::Session(_) | Observed::Intent(_) => false,
            Observed::Refund(_) | Observed::Dispute(_) | Observed::Lapsed(_) => true,
        }
    }

    /// What the provider was asked to charge, where the object says so.
    #[must_use]
    pub fn requested(&self) -> Option<Money> {
        match self {
            Observed::Session(session) => Some(session.amount),
            Observed::Intent(intent) => Some(intent.amount),
            Observed::Refund(_) | Observed::Dispute(_) | Observed::Lapsed(_) => None,
        }
    }

    /// Whether the provider moved real money for this object, where the object says so.
    #[must_use]
    pub fn live(&self) -> Option<bool> {
        match self {
            Observed::Session(session) => Some(session.live),
            Observed::Intent(intent) => Some(intent.live),
            Observed::Refund(_) => None,
            Observed::Dispute(dispute) => Some(dispute.live),
            Observed::Lapsed(lapse) => Some(lapse.live),
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

/// A refund as the provider showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRefund {
    /// The provider's id.
    pub provider_id: String,
    /// Our marks; none on a refund somebody made at the provider.
    pub marks: Marks,
    /// The intent whose money goes back.
    pub intent: Option<String>,
    /// The charge whose money goes back.
    pub charge: Option<String>,
    /// Where it stands.
    pub status: ObservedRefundStatus,
    /// How much goes back.
    pub amount: Money,
    /// Why it failed, as a short code.
    pub failure: Option<String>,
}

/// Where a provider's refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedRefundStatus {
    /// The money is on its way, or waits for the customer.
    Pending,
    /// The money went back.
    Succeeded,
    /// The money did not go back, or came back.
    Failed,
    /// It was called off.
    Cancelled,
}

/// A dispute as the provider showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedDispute {
    /// The provider's id.
    pub provider_id: String,
    /// Our marks, which disputes have only if somebody put them there.
    pub marks: Marks,
    /// The intent whose money is disputed.
    pub intent: Option<String>,
    /// The charge whose money is disputed.
    pub charge: Option<String>,
    /// Where it stands.
    pub status: ObservedDisputeStatus,
    /// When it must be answered, while it can be.
    pub due_at: Option<Timestamp>,
    /// What has been taken in all.
    pub withdrawn: Money,
    /// What has been given back in all.
    pub reinstated: Money,
    /// Whether it moves real money.
    pub live: bool,
}

/// Where a provider's dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObservedDisputeStatus {
    /// Nothing is decided.
    Open,
    /// An inquiry ended without a dispute.
    WarningClosed,
    /// Decided for the shop.
    Won,
    /// Decided for the customer.
    Lost,
}

/// A reservation that lapsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLapse {
    /// The charge that held it.
    pub charge: String,
    /// Our marks on the charge.
    pub marks: Marks,
    /// The charge's intent.
    pub intent: Option<String>,
    /// Whether it was real money.
    pub live: bool,
}

/// Why a try to pay failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedFailure {
    /// The provider's short code, such as `card_declined`.
    pub code: String,
    /// The charge of that try, when one was made.
    pub charge: Option<String>,
}
