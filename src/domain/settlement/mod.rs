//! Settlement: from everything that is known of an order's money to the one state that follows.
//!
//! *Facts in, state out.* Webhooks, polls, answers to our calls and decisions by people arrive as [`Fact`]s.
//! The fold looks at the whole set at once, so the order in which facts arrive, and how often, cannot matter,
//! and a fact about one object cannot change what another object proved.
//!
//! | object | ranks, the highest wins |
//! |---|---|
//! | payment | declined < processing < authorized < failed < voided < expired < captured |
//! | refund | pending < succeeded < failed < cancelled |
//! | dispute | opened < warning_closed < won < lost; withdrawn and reinstated are running totals |
//! | session | rejected, opened, completed, expired: see [`session_status`](fold::session_status) |
//!
//! `captured`, `withdrawn` and `reinstated` are cumulative: of several facts the largest amount counts.

pub mod belonging;
pub mod facts;
pub mod fold;
pub mod foresee;
pub mod labels;
#[cfg(test)]
pub(super) mod laws;
pub mod reviews;

pub use facts::{Fact, FactDraft, FactKind, drafts_of};
pub use fold::{OrderState, PaymentState, RefundState, fold};
pub use foresee::{Foreseen, Supposed, foresee};
pub use reviews::{Reason, ReviewKey};

use super::checkout::Capture;
use super::ids::{CheckoutSessionId, OrderId, PaymentId, RefundId};
use super::money::Money;
use super::order::FulfilmentStatus;

/// What the fold needs to know of an order beside the facts: the terms that never change by facts.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The order.
    pub order: OrderId,
    /// What it costs.
    pub total: Money,
    /// How much of it has been shipped.
    pub fulfilment: FulfilmentStatus,
    /// Its checkout sessions.
    pub sessions: Vec<SessionTerms>,
    /// Its payments.
    pub payments: Vec<PaymentTerms>,
    /// The refunds that have a row, ours and the provider's.
    pub refunds: Vec<RefundTerms>,
    /// Refunds of money that was not the order's when they were made, by a policy or by people: they do not say
    /// that anybody took the payment for the order's.
    pub suspense_refunds: Vec<RefundId>,
    /// Open questions whose cause is not a fact, such as a webhook that was not believed.
    pub flags: Vec<ReviewKey>,
}

/// What a checkout session was made to charge.
#[derive(Debug, Clone)]
pub struct SessionTerms {
    /// Our session.
    pub id: CheckoutSessionId,
    /// The provider's id, once it is known.
    pub object: Option<String>,
    /// What it charges.
    pub amount: Money,
    /// When the money is taken.
    pub capture: Capture,
}

/// What a payment was asked for.
#[derive(Debug, Clone)]
pub struct PaymentTerms {
    /// Our payment.
    pub id: PaymentId,
    /// The provider's intent.
    pub intent: String,
    /// The session it was made through.
    pub session: Option<CheckoutSessionId>,
    /// What the intent asks for, as the provider says.
    pub requested: Money,
}

/// A refund we wanted, or somebody made at the provider.
#[derive(Debug, Clone)]
pub struct RefundTerms {
    /// Our refund.
    pub id: RefundId,
    /// The provider's id, once it is known.
    pub object: Option<String>,
    /// The payment it goes back from.
    pub payment: PaymentId,
    /// What was asked for.
    pub amount: Money,
    /// Whether we asked for it.
    pub ours: bool,
    /// The refund that failed and that this one was sent for again.
    pub repeats: Option<RefundId>,
}

impl Terms {
    /// The session a payment was made through.
    #[must_use]
    pub fn session_of(&self, payment: &PaymentTerms) -> Option<&SessionTerms> {
        let wanted = payment.session?;
        self.sessions.iter().find(|session| session.id == wanted)
    }

    /// Whether a payment's intent asks for exactly what its session was made to charge.
    #[must_use]
    pub fn is_valid(&self, payment: &PaymentTerms) -> bool {
        self.session_of(payment)
            .is_some_and(|session| session.amount == payment.requested)
    }
}
