//! Payments and refunds.

use std::borrow::Borrow;

use crate::domain::payment::PaymentWord;
use crate::domain::refund::{RefundOrigin, RefundReason, RefundStatus};

words! {
    TITLE = "Payments";
    REFUNDS = "Refunds";
    PAYMENT = "Payment";
    REFUND = "Refund";
    EMPTY = "No payments yet";
    EMPTY_TEXT = "A payment is here as soon as a customer pays a checkout.";
    EMPTY_COMMAND = "till demo";
    NO_REFUNDS = "No refunds yet";
    NO_REFUNDS_TEXT = "Refunds are made on an order's page, by your shop's own programs, or at the provider.";
    CAPTURED = "Captured";
    REFUNDED = "Refunded";
    ASKED_FOR = "To be charged, by the provider";
    RESERVED = "Refunds of ours, done or under way";
    ELSEWHERE = "Refunded at the provider";
    DISPUTED = "Taken by disputes";
    CHARGE = "Charge at the provider";
    INTENT = "Payment at the provider";
    SESSION = "Checkout";
    BELONGS = "Whose money";
    BELONGS_YES = "The order's";
    BELONGS_NO = "Nobody's yet: it waits in suspense";
    BELONGS_GONE = "It was not the order's; none of it is here any more";
    BELONGS_NONE = "No money was taken";
    FAILURE = "Why the last try was refused";
    NEXT_POLL = "The provider is asked again";
    NEVER = "not any more: nothing is open";
    ASK = "Ask the provider now";
    ASK_TEXT = "Reads the payment, its refunds and its disputes at the provider and records what is new. It changes nothing there, and asking twice does no harm.";
    CALLS = "Calls about it";
    LEDGER = "Its ledger transactions";
    SEEN = "First seen";
    LINES = "Lines given back";
    ORIGIN = "Wanted by";
    REFUND_FAILED = "Why it failed";
    REFUND_ID = "Refund at the provider";
    NO_ID_YET = "not known yet";
}

/// Where a payment stands, as people say it.
#[must_use]
pub fn status(status: impl Borrow<PaymentWord>) -> &'static str {
    match status.borrow() {
        PaymentWord::Processing => "Under way",
        PaymentWord::Authorized => "Reserved",
        PaymentWord::Captured => "Captured",
        PaymentWord::Voided => "Released",
        PaymentWord::Failed => "Refused",
        PaymentWord::Expired => "Lapsed",
    }
}

/// Where a refund stands, as people say it.
#[must_use]
pub fn refund_status(status: impl Borrow<RefundStatus>) -> &'static str {
    match status.borrow() {
        RefundStatus::Pending => "On its way",
        RefundStatus::Succeeded => "Refunded",
        RefundStatus::Failed => "Failed",
    }
}

/// Why money was given back, as people say it.
#[must_use]
pub fn refund_reason(reason: impl Borrow<RefundReason>) -> &'static str {
    match reason.borrow() {
        RefundReason::Duplicate => super::actions::DUPLICATE,
        RefundReason::Fraudulent => super::actions::FRAUDULENT,
        RefundReason::RequestedByCustomer => super::actions::REQUESTED,
    }
}

/// Who wanted a refund, as people say it.
#[must_use]
pub fn refund_origin(origin: impl Borrow<RefundOrigin>) -> &'static str {
    match origin.borrow() {
        RefundOrigin::Request => "The shop or staff",
        RefundOrigin::Policy => "Till: the money was no order's",
        RefundOrigin::Provider => "Somebody at the provider",
    }
}

/// Where a payment stands, by the word it is stored as.
#[must_use]
pub fn word(stored: &str) -> &str {
    stored
        .parse::<PaymentWord>()
        .map_or(stored, |known| status(known))
}

/// What came of asking, by its code in the address.
#[must_use]
pub fn asked(code: &str) -> Option<(bool, &'static str)> {
    Some(match code {
        "asked" => (true, "The provider answered; what it shows is recorded."),
        "silent" => (
            false,
            "The provider gave no answer. Nothing was changed; it is asked again by itself.",
        ),
        _ => return None,
    })
}
