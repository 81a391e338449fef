//! Where an order stands, as far as people decide on it: what is offered, foretold and done is read from one value.
//!
//! Its version changes whenever anything in it does. A form carries the version it was drawn from, and what it asks
//! for is refused when the order has another by then: nobody moves money on a page that is no longer true.

use serde::Serialize;

use super::call::CallKind;
use super::checkout::{Capture, SessionStatus};
use super::currency::Currency;
use super::ids::{CheckoutSessionId, LineItemId, OrderId, PaymentId, RefundId, ReviewId};
use super::money::Money;
use super::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use super::payment::PaymentWord;
use super::refund::{RefundReason, RefundStatus};
use super::resolution::{Case, CaseMoney, Resolution, possible};
use super::settlement::Reason;
use super::time::Timestamp;

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The order.
    pub order: OrderId,
    /// The number people use.
    pub number: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Where its money stands.
    pub payment_status: PaymentStatus,
    /// How much of it has been shipped.
    pub fulfilment: FulfilmentStatus,
    /// The currency of its amounts.
    pub currency: Currency,
    /// What it costs.
    pub total: Money,
    /// Reserved.
    pub authorized: Money,
    /// Captured and the order's.
    pub paid: Money,
    /// Of it, given back.
    pub refunded: Money,
    /// Of it, taken by disputes and not given back.
    pub disputed: Money,
    /// A cancellation is under way.
    pub cancel_requested: bool,
    /// Its lines.
    pub lines: Vec<LineStanding>,
    /// Its checkout sessions, oldest first.
    pub sessions: Vec<SessionStanding>,
    /// Its payments, oldest first.
    pub payments: Vec<PaymentStanding>,
    /// Its refunds, oldest first.
    pub refunds: Vec<RefundStanding>,
    /// Its questions, open and answered, oldest first.
    pub reviews: Vec<ReviewStanding>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineStanding {
    /// The line.
    pub id: LineItemId,
    /// What it says.
    pub name: String,
    /// How many were ordered.
    pub quantity: u32,
    /// How many are refunded, or about to be.
    pub refunded: u32,
    /// What it adds to the order's total.
    pub total: Money,
}

/// A checkout session of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionStanding {
    /// The session.
    pub id: CheckoutSessionId,
    /// The provider's id of it.
    pub provider_id: Option<String>,
    /// Where it stands.
    pub status: SessionStatus,
    /// What it charges.
    pub amount: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// When the money is taken.
    pub capture: Capture,
    /// The page to pay on, while it can be paid.
    pub url: Option<String>,
    /// Where the customer goes after paying.
    pub success_url: String,
    /// Where the customer goes when giving up.
    pub cancel_url: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// A payment of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentStanding {
    /// The payment.
    pub id: PaymentId,
    /// The provider's intent.
    pub intent: String,
    /// The session it was made through.
    pub session: Option<CheckoutSessionId>,
    /// Where it stands.
    pub status: PaymentWord,
    /// The currency of its amounts.
    pub currency: Currency,
    /// What the intent asks for.
    pub requested: Money,
    /// Captured in all.
    pub captured: Money,
    /// Reserved and still capturable.
    pub reserved: Money,
    /// Given back.
    pub refunded: Money,
    /// On its way back.
    pub returning: Money,
    /// Taken by disputes and not given back.
    pub disputed: Money,
    /// What nobody has taken back or is about to.
    pub left: Money,
    /// Captured, and neither given back nor lost for good.
    pub here: Money,
    /// It is the order's.
    pub belongs: bool,
    /// Somebody said that it is the order's.
    pub accepted: bool,
    /// Which of a capture and a release is under way, or was carried out.
    pub ending: Option<CallKind>,
    /// Why the last try was refused.
    pub failure_code: Option<String>,
    /// Its disputes that are not decided.
    pub open_disputes: Vec<OpenDispute>,
    /// When it was first seen.
    pub created_at: Timestamp,
}

/// A dispute that is not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenDispute {
    /// The provider's id of it.
    pub id: String,
    /// Taken by it and not given back: nothing while the bank only asks.
    pub taken: Money,
}

/// A refund of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundStanding {
    /// The refund.
    pub id: RefundId,
    /// The payment it goes back from.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why it was asked for.
    pub reason: Option<RefundReason>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The lines it gives back, when it was asked for by lines.
    pub lines: Vec<(LineItemId, u32)>,
    /// When it was asked for, or first seen.
    pub created_at: Timestamp,
}

/// A question about an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewStanding {
    /// The question.
    pub id: ReviewId,
    /// Which time of being open this is, or was the last.
    pub opening: i64,
    /// Why people have to look.
    pub reason: Reason,
    /// About what.
    pub subject: String,
    /// Whether it waits for an answer.
    pub open: bool,
    /// Somebody has seen it, and its cause is still there.
    pub acknowledged: bool,
    /// When it was opened last.
    pub opened_at: Timestamp,
    /// When it must be answered.
    pub due_at: Option<Timestamp>,
    /// What somebody decided of it last.
    pub resolution: Option<Resolution>,
    /// Who closed it: a member of staff, or `system` when its cause was gone.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<Timestamp>,
}

impl Standing {
    /// A short text that is another whenever anything here is.
    #[must_use]
    pub fn version(&self) -> String {
        let text = serde_json::to_string(self).expect("a standing has string keys only");
        // FNV-1a: nobody gains by forging it, whoever may decide may decide on what is true now.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// The questions that wait for an answer, oldest first.
    #[must_use]
    pub fn open_reviews(&self) -> Vec<&ReviewStanding> {
        let mut open: Vec<&ReviewStanding> =
            self.reviews.iter().filter(|review| review.open).collect();
        open.sort_by_key(|review| (review.opened_at, review.id));
        open
    }

    /// A payment of the order.
    #[must_use]
    pub fn payment(&self, id: PaymentId) -> Option<&PaymentStanding> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    /// The payment whose money a question is about.
    #[must_use]
    pub fn money_of(&self, review: &ReviewStanding) -> Option<&PaymentStanding> {
        let subject = review.subject.as_str();
        let payments = || self.payments.iter();
        let named = payments().find(|payment| payment.id.to_string() == subject);
        let disputed = || {
            payments().find(|payment| {
                payment
                    .open_disputes
                    .iter()
                    .any(|dispute| dispute.id == subject)
            })
        };
        let refunded = || {
            let refund = self
                .refunds
                .iter()
                .find(|refund| refund.id.to_string() == subject)?;
            self.payment(refund.payment)
        };
        // Of several payments through one session the one whose money is nobody's.
        let through = || {
            let of_it = |payment: &&PaymentStanding| {
                payment.session.is_some_and(|id| id.to_string() == subject)
            };
            let asked = payments()
                .filter(of_it)
                .find(|payment| !payment.belongs && payment.here.minor() > 0);
            asked.or_else(|| payments().find(of_it))
        };
        named.or_else(disputed).or_else(refunded).or_else(through)
    }

    /// How much a customer's bank has taken, where a question is about that.
    #[must_use]
    pub fn taken_in(&self, review: &ReviewStanding) -> Option<Money> {
        let payments = self.payments.iter();
        let mut open = payments.flat_map(|payment| &payment.open_disputes);
        let about = open.find(|dispute| dispute.id == review.subject)?;
        Some(about.taken)
    }

    /// What decides about what can be done about a question.
    #[must_use]
    pub fn case(&self, review: &ReviewStanding) -> Case {
        // Money that is the order's already needs no answer: what was asked about it can only be acknowledged.
        let of_money = matches!(
            review.reason,
            Reason::AmountMismatch
                | Reason::CurrencyMismatch
                | Reason::PaidAfterCancel
                | Reason::DuplicatePayment
        );
        let about = self.money_of(review);
        let about = about.filter(|payment| !(of_money && payment.belongs));
        let money = about.map(|payment| CaseMoney {
            same_currency: payment.currency == self.currency,
            here: payment.here.minor() > 0,
            reserved: payment.status == PaymentWord::Authorized,
            processing: payment.status == PaymentWord::Processing,
            returnable: payment.left.minor() > 0,
            leaving: payment.returning.minor() > 0 || payment.disputed.minor() > 0,
        });
        Case {
            reason: review.reason,
            money,
        }
    }

    /// What can be done about a question now; nothing when it is answered.
    #[must_use]
    pub fn resolutions(&self, review: &ReviewStanding) -> Vec<Resolution> {
        if review.open {
            possible(self.case(review))
        } else {
            Vec::new()
        }
    }
}
