//! Everything about one order, of one moment: what its page shows.

use std::collections::HashMap;

use super::checkout::CheckoutSession;
use super::ids::RefundId;
use super::money::Money;
use super::order::Order;
use super::payment::Payment;
use super::refund::{Refund, RefundOrigin};
use super::settlement::Reason;
use super::settlement::fold::DisputeState;
use super::time::Timestamp;
use super::timeline::TimelineEntry;

/// An order with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// The order as callers see it.
    pub order: Order,
    /// What it costs.
    pub total: Money,
    /// Whether a cancellation is under way.
    pub closing: bool,
    /// When it was paid for the first time.
    pub paid_at: Option<Timestamp>,
    /// When it was cancelled or expired.
    pub closed_at: Option<Timestamp>,
    /// Its payments, the newest first.
    pub payments: Vec<PaymentSheet>,
    /// Its checkout sessions, the newest first.
    pub sessions: Vec<CheckoutSession>,
    /// Its open questions, the oldest first.
    pub open_reviews: Vec<Reason>,
    /// What happened, causes before effects.
    pub timeline: Vec<TimelineEntry>,
    /// What was sent to the provider and what it reported, redacted, by the id of the entry.
    pub raw: HashMap<String, String>,
}

/// A payment with what went back of it.
#[derive(Debug, Clone)]
pub struct PaymentSheet {
    /// The payment as callers see it.
    pub payment: Payment,
    /// Whether its money is the order's; otherwise it is in suspense.
    pub belongs: bool,
    /// Reserved and still capturable.
    pub authorized: Money,
    /// What the provider kept.
    pub fee: Money,
    /// Its refunds, the newest first.
    pub refunds: Vec<RefundSheet>,
    /// Its disputes.
    pub disputes: Vec<DisputeSheet>,
}

/// A refund, and who wanted it.
#[derive(Debug, Clone)]
pub struct RefundSheet {
    /// The refund as callers see it.
    pub refund: Refund,
    /// Who wanted it.
    pub origin: RefundOrigin,
}

/// A dispute.
#[derive(Debug, Clone)]
pub struct DisputeSheet {
    /// What is known of it.
    pub state: DisputeState,
    /// Taken and not given back.
    pub taken: Money,
    /// When Till learned of it.
    pub opened_at: Option<Timestamp>,
}

impl Dossier {
    /// A refund of the order.
    #[must_use]
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        let refunds = self.payments.iter().flat_map(|payment| &payment.refunds);
        let mut refunds = refunds.map(|sheet| &sheet.refund);
        refunds.find(|refund| refund.id == id)
    }
}
