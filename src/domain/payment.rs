//! Payments: one intent at the provider each.

use serde::Serialize;

use super::access::words;
use super::currency::Currency;
use super::ids::{AccountId, CheckoutSessionId, OrderId, PaymentId};
use super::money::Money;
use super::page::Span;
use super::settlement::{FactKind, PaymentState};
use super::time::Timestamp;

words! {
    /// Where a payment stands.
    PaymentWord {
        /// The money is under way.
        Processing = "processing",
        /// The money is reserved.
        Authorized = "authorized",
        /// The money was captured.
        Captured = "captured",
        /// The reservation was released.
        Voided = "voided",
        /// The last try was refused; the intent may still be paid.
        Failed = "failed",
        /// The reservation lapsed.
        Expired = "expired",
    }
}

/// The word for what is known of a payment.
#[must_use]
pub fn word_of(state: &PaymentState) -> PaymentWord {
    match state.rank {
        Some(FactKind::Captured) => PaymentWord::Captured,
        Some(FactKind::Authorized) => PaymentWord::Authorized,
        Some(FactKind::Voided) => PaymentWord::Voided,
        Some(FactKind::Expired) => PaymentWord::Expired,
        Some(FactKind::Declined | FactKind::Failed) => PaymentWord::Failed,
        _ => PaymentWord::Processing,
    }
}

/// A payment as callers see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Payment {
    /// The payment's id.
    pub id: PaymentId,
    /// Always `payment`.
    #[schema(example = "payment")]
    pub object: &'static str,
    /// The order it pays.
    pub order_id: OrderId,
    /// The session it was made through.
    #[schema(required = true)]
    pub checkout_session_id: Option<CheckoutSessionId>,
    /// The provider.
    #[schema(example = "stripe")]
    pub provider: String,
    /// The provider's own id of the intent.
    pub provider_payment_id: String,
    /// Where it stands.
    pub status: PaymentWord,
    /// What the intent asks for.
    #[schema(value_type = super::forms::Amount)]
    pub amount: Money,
    /// What was captured.
    #[schema(value_type = super::forms::Amount)]
    pub amount_captured: Money,
    /// What was given back.
    #[schema(value_type = super::forms::Amount)]
    pub amount_refunded: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Why the last try was refused.
    #[schema(required = true, pattern = "^[A-Za-z0-9_.-]{1,255}$")]
    pub failure_code: Option<String>,
    /// When it was first seen.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Which payments staff look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Where they stand.
    pub status: Option<PaymentWord>,
    /// Those of one order.
    pub order: Option<OrderId>,
    /// The provider's id of the intent or of its charge.
    pub provider_id: Option<String>,
    /// When they were first seen.
    pub seen: Span,
}

/// A payment as staff see it.
#[derive(Debug, Clone)]
pub struct PaymentFile {
    /// What callers see, too.
    pub payment: Payment,
    /// The number of its order.
    pub order_number: String,
    /// The provider account it was made with.
    pub account: AccountId,
    /// The provider's id of the charge.
    pub provider_charge_id: Option<String>,
    /// Whether its captured money is the order's.
    pub belongs: bool,
    /// What of it is about to go back, or went back, by refunds of ours.
    pub reserved: Money,
    /// What the provider gave back without us.
    pub refunded_elsewhere: Money,
    /// What an open or lost dispute has taken.
    pub disputed: Money,
    /// When the provider is asked about it again, if at all.
    pub next_poll_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
}
