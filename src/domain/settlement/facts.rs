//! Facts: single things known about an object, each true for ever once it was true.

use crate::domain::access::words;
use crate::domain::checkout::Capture;
use crate::domain::ids::{CheckoutSessionId, FactId, OrderId, RefundId};
use crate::domain::money::Money;
use crate::domain::observed::{
    Observed, ObservedDispute, ObservedDisputeStatus, ObservedIntent, ObservedIntentStatus,
    ObservedLapse, ObservedRefund, ObservedRefundStatus, ObservedSession, ObservedSessionPayment,
    ObservedSessionStatus,
};

words! {
    /// What a fact says.
    FactKind {
        /// Session: the provider made it.
        Opened = "opened",
        /// Session: the customer is done.
        Completed = "completed",
        /// Session: it can no longer be paid.
        SessionExpired = "session_expired",
        /// Session: the provider refused to make it, it was given up before anybody had its URL, or the
        /// answer was not what we asked for. The code says which.
        Rejected = "rejected",
        /// Payment: one try was refused; the object is that try's charge, or the intent when none is named.
        Declined = "declined",
        /// Payment: the money is under way.
        Processing = "processing",
        /// Payment: the money is reserved.
        Authorized = "authorized",
        /// Payment: a delayed method failed for good.
        Failed = "failed",
        /// Payment: the reservation was released, or the intent given up.
        Voided = "voided",
        /// Payment: the reservation lapsed.
        Expired = "expired",
        /// Payment: so much has been captured in all.
        Captured = "captured",
        /// Refund: asked for.
        RefundPending = "refund_pending",
        /// Refund: the money went back.
        RefundSucceeded = "refund_succeeded",
        /// Refund: the money did not go back, or came back.
        RefundFailed = "refund_failed",
        /// Refund: called off.
        RefundCancelled = "refund_cancelled",
        /// Dispute: the customer's bank asks for the money.
        DisputeOpened = "dispute_opened",
        /// Dispute: an inquiry ended without money moving.
        DisputeWarningClosed = "dispute_warning_closed",
        /// Dispute: decided for the shop.
        DisputeWon = "dispute_won",
        /// Dispute: decided for the customer.
        DisputeLost = "dispute_lost",
        /// Dispute: so much has been taken in all.
        DisputeWithdrawn = "dispute_withdrawn",
        /// Dispute: so much has been given back in all.
        DisputeReinstated = "dispute_reinstated",
        /// Payment: so much has the provider kept in all.
        Fee = "fee",
        /// Decision: the order is cancelled.
        OrderCancelled = "order_cancelled",
        /// Decision: the order ran out of time.
        OrderExpired = "order_expired",
        /// Decision by staff: this payment belongs to the order.
        PaymentAccepted = "payment_accepted",
    }
}

impl FactKind {
    /// Whether the fact is a decision of ours or of people, not a report.
    #[must_use]
    pub const fn is_decision(self) -> bool {
        matches!(
            self,
            FactKind::OrderCancelled | FactKind::OrderExpired | FactKind::PaymentAccepted
        )
    }

    /// The rank among a payment's facts; the highest wins.
    #[must_use]
    pub const fn payment_rank(self) -> Option<u8> {
        match self {
            FactKind::Declined => Some(1),
            FactKind::Processing => Some(2),
            FactKind::Authorized => Some(3),
            FactKind::Failed => Some(4),
            FactKind::Voided => Some(5),
            FactKind::Expired => Some(6),
            FactKind::Captured => Some(7),
            FactKind::Opened
            | FactKind::Completed
            | FactKind::SessionExpired
            | FactKind::Rejected
            | FactKind::RefundPending
            | FactKind::RefundSucceeded
            | FactKind::RefundFailed
            | FactKind::RefundCancelled
            | FactKind::DisputeOpened
            | FactKind::DisputeWarningClosed
            | FactKind::DisputeWon
            | FactKind::DisputeLost
            | FactKind::DisputeWithdrawn
            | FactKind::DisputeReinstated
            | FactKind::Fee
            | FactKind::OrderCancelled
            | FactKind::OrderExpired
            | FactKind::PaymentAccepted => None,
        }
    }

    /// The rank among a refund's facts.
    #[must_use]
    pub const fn refund_rank(self) -> Option<u8> {
        match self {
            FactKind::RefundPending => Some(1),
            FactKind::RefundSucceeded => Some(2),
            FactKind::RefundFailed => Some(3),
            FactKind::RefundCancelled => Some(4),
            _ => None,
        }
    }

    /// The rank among a dispute's facts; its running totals have none.
    #[must_use]
    pub const fn dispute_rank(self) -> Option<u8> {
        match self {
            FactKind::DisputeOpened => Some(1),
            FactKind::DisputeWarningClosed => Some(2),
            FactKind::DisputeWon => Some(3),
            FactKind::DisputeLost => Some(4),
            _ => None,
        }
    }
}

/// A fact before it is known to be new: what it says, without where it came from.
///
/// Facts are unique by order, account, object, kind and amount (those that carry money over all orders, see migration
/// 18), so a webhook, a poll and a call's answer about one capture are one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactDraft {
    /// What it says.
    pub kind: FactKind,
    /// The provider's id of the object it is about (or ours, for a decision), never of the messenger.
    pub object: String,
    /// The intent the object belongs to.
    pub intent: Option<String>,
    /// Our session the object belongs to.
    pub session: Option<CheckoutSessionId>,
    /// Our refund the object is.
    pub refund: Option<RefundId>,
    /// The amount, where it carries money.
    pub amount: Option<Money>,
    /// A short code that explains it.
    pub code: Option<String>,
}

/// A recorded fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its id.
    pub id: FactId,
    /// What it says.
    pub said: FactDraft,
}

impl FactDraft {
    /// A fact about one of our sessions.
    #[must_use]
    pub fn session(kind: FactKind, object: &str, session: CheckoutSessionId) -> Self {
        FactDraft {
            kind,
            object: object.to_owned(),
            intent: None,
            session: Some(session),
            refund: None,
            amount: None,
            code: None,
        }
    }

    /// A decision of ours about a whole order.
    #[must_use]
    pub fn decision(kind: FactKind, order: OrderId) -> Self {
        FactDraft {
            kind,
            object: order.to_string(),
            intent: None,
            session: None,
            refund: None,
            amount: None,
            code: None,
        }
    }

    /// A refund of ours that the provider never made.
    #[must_use]
    pub fn refused_refund(refund: RefundId, intent: &str, amount: Money, code: &str) -> Self {
        FactDraft {
            kind: FactKind::RefundFailed,
            object: refund.to_string(),
            intent: Some(intent.to_owned()),
            session: None,
            refund: Some(refund),
            amount: Some(amount),
            code: Some(code.to_owned()),
        }
    }

    /// A fact about a payment intent.
    #[must_use]
    pub fn payment(kind: FactKind, intent: &str, session: CheckoutSessionId) -> Self {
        FactDraft {
            kind,
            object: intent.to_owned(),
            intent: Some(intent.to_owned()),
            session: Some(session),
            refund: None,
            amount: None,
            code: None,
        }
    }

    /// The fact with an amount.
    #[must_use]
    pub fn of(mut self, amount: Money) -> Self {
        self.amount = Some(amount);
        self
    }

    /// The fact with an explaining code.
    #[must_use]
    pub fn because(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// What makes two reports the same fact (within one provider account).
    #[must_use]
    pub fn identity(&self) -> (&str, FactKind, i64, &'static str) {
        let (minor, currency) = self
            .amount
            .map_or((0, ""), |amount| (amount.minor(), amount.currency().code()));
        (&self.object, self.kind, minor, currency)
    }
}

/// The facts an observed object proves, given the session of ours it belongs to.
///
/// The capture mode matters: a session's own total is what was captured only when capture is automatic; a
/// manual capture may take less, and only the intent says how much.
#[must_use]
pub fn drafts_of(
    observed: &Observed,
    session: CheckoutSessionId,
    capture: Capture,
) -> Vec<FactDraft> {
    match observed {
        Observed::Session(object) => session_drafts(object, session, capture),
        Observed::Intent(object) => intent_drafts(object, session),
        Observed::Refund(object) => refund_draft(object, session).into_iter().collect(),
        Observed::Dispute(object) => dispute_drafts(object, session),
        Observed::Lapsed(object) => lapse_draft(object, session).into_iter().collect(),
    }
}

/// None without an intent: such a refund is of nobody's money that Till knows.
fn refund_draft(object: &ObservedRefund, session: CheckoutSessionId) -> Option<FactDraft> {
    let kind = match object.status {
        ObservedRefundStatus::Pending => FactKind::RefundPending,
        ObservedRefundStatus::Succeeded => FactKind::RefundSucceeded,
        ObservedRefundStatus::Failed => FactKind::RefundFailed,
        ObservedRefundStatus::Cancelled => FactKind::RefundCancelled,
    };
    let mut draft = FactDraft::payment(kind, object.intent.as_deref()?, session).of(object.amount);
    draft.object.clone_from(&object.provider_id);
    draft.refund = object
        .marks
        .refund
        .as_deref()
        .and_then(|id| id.parse().ok());
    draft.code.clone_from(&object.failure);
    Some(draft)
}

fn dispute_drafts(object: &ObservedDispute, session: CheckoutSessionId) -> Vec<FactDraft> {
    let Some(intent) = object.intent.as_deref() else {
        return Vec::new();
    };
    let about = |kind| {
        let mut draft = FactDraft::payment(kind, intent, session);
        draft.object.clone_from(&object.provider_id);
        draft
    };
    let mut drafts = vec![about(FactKind::DisputeOpened)];
    match object.status {
        ObservedDisputeStatus::Open => {}
        ObservedDisputeStatus::WarningClosed => {
            drafts.push(about(FactKind::DisputeWarningClosed));
        }
        ObservedDisputeStatus::Won => drafts.push(about(FactKind::DisputeWon)),
        ObservedDisputeStatus::Lost => drafts.push(about(FactKind::DisputeLost)),
    }
    for (kind, amount) in [
        (FactKind::DisputeWithdrawn, object.withdrawn),
        (FactKind::DisputeReinstated, object.reinstated),
    ] {
        if !amount.is_zero() {
            drafts.push(about(kind).of(amount));
        }
    }
    drafts
}

fn lapse_draft(object: &ObservedLapse, session: CheckoutSessionId) -> Option<FactDraft> {
    let intent = object.intent.as_deref()?;
    Some(FactDraft::payment(FactKind::Expired, intent, session))
}

fn session_drafts(
    object: &ObservedSession,
    session: CheckoutSessionId,
    capture: Capture,
) -> Vec<FactDraft> {
    let about = |kind| FactDraft::session(kind, &object.provider_id, session);
    let mut drafts = vec![about(FactKind::Opened)];
    match object.status {
        ObservedSessionStatus::Open => {}
        ObservedSessionStatus::Complete => drafts.push(about(FactKind::Completed)),
        ObservedSessionStatus::Expired => drafts.push(about(FactKind::SessionExpired)),
    }
    if let Some(included) = &object.intent_object {
        drafts.extend(intent_drafts(included, session));
    }
    let Some(intent) = object.intent_id() else {
        return drafts;
    };
    let paid = object.payment == ObservedSessionPayment::Paid;
    let complete = object.status == ObservedSessionStatus::Complete;
    if paid && capture == Capture::Automatic && object.intent_object.is_none() {
        drafts.push(FactDraft::payment(FactKind::Captured, intent, session).of(object.amount));
    }
    let given_up = object.intent_object.as_ref().is_some_and(|intent| {
        matches!(
            intent.status,
            ObservedIntentStatus::NeedsPaymentMethod | ObservedIntentStatus::Canceled
        )
    });
    if object.delayed_payment_failed || (complete && !paid && given_up) {
        drafts.push(FactDraft::payment(FactKind::Failed, intent, session));
    }
    drafts
}

fn intent_drafts(object: &ObservedIntent, session: CheckoutSessionId) -> Vec<FactDraft> {
    let about = |kind| FactDraft::payment(kind, &object.provider_id, session);
    let mut drafts = Vec::new();
    if let Some(failure) = &object.failure {
        let mut declined = about(FactKind::Declined).because(&failure.code);
        if let Some(charge) = &failure.charge {
            declined.object.clone_from(charge);
        }
        drafts.push(declined);
    }
    match object.status {
        ObservedIntentStatus::Waiting | ObservedIntentStatus::NeedsPaymentMethod => {}
        ObservedIntentStatus::Processing => drafts.push(about(FactKind::Processing)),
        ObservedIntentStatus::Authorized => {
            drafts.push(about(FactKind::Authorized).of(object.amount));
        }
        ObservedIntentStatus::Captured => {
            drafts.push(about(FactKind::Captured).of(object.captured));
        }
        ObservedIntentStatus::Canceled => drafts.push(about(FactKind::Voided)),
    }
    drafts
}
