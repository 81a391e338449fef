//! An order's state in sentences. Each `{}` is an amount or a time.

use crate::domain::settlement::Reason;

words! {
    UNPAID = "Waiting for payment of {}, until {}.";
    DECLINED = "The last try to pay was refused.";
    CLOSING = "It is being cancelled; the provider has not confirmed that it can no longer be paid.";
    CANCELLED_UNPAID_ON = "Cancelled on {}, before anything was paid.";
    CANCELLED_UNPAID = "Cancelled before anything was paid.";
    EXPIRED_ON = "Not paid in time, so it expired on {}.";
    EXPIRED = "Not paid in time, so it expired.";
    PENDING = "Payment of {} is under way; the bank has not confirmed it yet.";
    AUTHORIZED = "{} is reserved, but has not been captured yet.";
    PARTIALLY_PAID = "{} of {} paid; {} is still to be paid.";
    FREE = "There is nothing to pay.";
    PAID_ON = "Paid {} on {}.";
    PAID = "Paid {}.";
    REFUNDED_PART = "{} refunded.";
    REFUNDED = "All of it, {}, was refunded.";
    DISPUTED = "The customer's bank has taken {} back and nothing is decided yet.";
    LOST = "{} was lost in a dispute.";
    CHARGED_BACK = "The customer's bank took it back for good: {} was lost.";
    REFUND_PENDING = "A refund of {} is on its way.";
    RETURNED = "{} arrived and went back to the customer.";
    ANOTHER_RETURNED = "Another {} arrived and went back to the customer.";
    SUSPENSE = "{} arrived that does not belong to this order.";
    CANCELLED = "The order is cancelled.";
    CANCELLED_ON = "Cancelled on {}.";
    NOT_SHIPPED = "Not shipped yet.";
    PARTLY_SHIPPED = "Partly shipped.";
    SHIPPED = "Shipped.";
    NOTHING_OPEN = "Nothing is open.";
}

/// An open question.
#[must_use]
pub const fn review(reason: Reason) -> &'static str {
    match reason {
        Reason::AmountMismatch => "Needs a look: the amounts differ.",
        Reason::CurrencyMismatch => "Needs a look: the currencies differ.",
        Reason::PaidAfterCancel => "Needs a look: it was paid after it was closed.",
        Reason::DuplicatePayment => "Needs a look: it was paid twice.",
        Reason::OutcomeUnknown => {
            "Needs a look: the provider's answer was lost, and nobody knows what it did."
        }
        Reason::UnmatchedPayment => "Needs a look: money arrived that no order is known for.",
        Reason::Dispute => "Needs a look: the customer's bank asks for the money.",
        Reason::ProviderDeclinedRefund => "Needs a look: a refund failed.",
    }
}
