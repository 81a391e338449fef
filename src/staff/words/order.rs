//! An order's page.

use crate::domain::checkout::{Capture, SessionStatus};
use crate::domain::payment::PaymentWord;
use crate::domain::refund::{RefundOrigin, RefundReason, RefundStatus};
use crate::domain::settlement::FactKind;
use crate::domain::settlement::fold::DisputeState;

words! {
    ORDER = "Order";
    NO_CUSTOMER = "no customer given";
    LINES = "What was bought";
    NAME = "Name";
    SKU = "SKU";
    QUANTITY = "Pieces";
    UNIT_PRICE = "Each";
    LINE_DISCOUNT = "Discount";
    LINE_TAX = "Tax";
    LINE_TOTAL = "Total";
    SUBTOTAL = "Lines";
    DISCOUNT = "Discount";
    SHIPPING = "Shipping";
    TAX = "Tax";
    TAX_CONTAINED = "Tax, contained in the total";
    TOTAL = "Total";
    PAID = "Paid";
    RESERVED = "Reserved";
    REFUNDED = "Refunded";
    DISPUTED = "Taken by disputes";
    PAYMENTS = "Payments";
    NO_PAYMENTS = "Nothing was paid yet";
    NO_PAYMENTS_TEXT = "A payment is here as soon as the provider tells of one.";
    ASKED = "To be charged, by the provider";
    CAPTURED = "Captured";
    KEPT = "Kept by the provider";
    AT_PROVIDER = "At the provider";
    SUSPENSE = "Not the order's money";
    FAILURE = "Why it was refused";
    REFUNDS = "Refunds";
    DISPUTES = "Disputes";
    WANTED_BY = "Wanted by";
    REASON = "Reason";
    FOR_LINES = "For";
    TAKEN = "Taken by the bank";
    SESSIONS = "Checkouts";
    AMOUNT = "Amount";
    STATE = "State";
    BEGAN = "Began";
    PAYABLE_UNTIL = "Payable until";
    CAPTURE = "The money is";
    CUSTOMER = "Customer";
    EMAIL = "E-mail";
    ERASED = "None, or erased";
    SHIPPING_ADDRESS = "Shipping address";
    BILLING_ADDRESS = "Billing address";
    METADATA = "Data of the shop";
    FACTS = "About the order";
    ID = "Id";
    NUMBER = "Number";
    REFERENCE = "Reference";
    PLACED = "Placed";
    EXPIRES = "Expires unpaid";
    STATUS = "Order";
    GOODS = "Goods";
    OTHER_ORDERS = "Other orders of this customer";
    TIMELINE = "What happened";
    MORE = "What happened after that";
    RAW = "As the API gives it";
    PROBLEM = "Problem";
}

/// How many of a line were given back.
#[must_use]
pub fn returned(count: u32) -> String {
    format!("{count} refunded")
}

/// Where a payment stands.
#[must_use]
pub fn payment(status: PaymentWord) -> &'static str {
    super::payments::status(status)
}

/// Where a refund stands.
#[must_use]
pub fn refund(status: RefundStatus) -> &'static str {
    super::payments::refund_status(status)
}

/// Who wanted a refund.
#[must_use]
pub fn origin(origin: RefundOrigin) -> &'static str {
    super::payments::refund_origin(origin)
}

/// Why money was given back.
#[must_use]
pub fn refund_reason(reason: RefundReason) -> &'static str {
    super::payments::refund_reason(reason)
}

/// Where a dispute stands.
#[must_use]
pub fn dispute(state: &DisputeState) -> &'static str {
    match state.rank {
        FactKind::DisputeWon => "Won",
        FactKind::DisputeLost => "Lost",
        FactKind::DisputeWarningClosed => "Asked about, and closed",
        _ if state.withdrawn_minor == 0 => "Open: the bank asks, and has taken nothing",
        _ => "Open: the bank has taken the money",
    }
}

/// Where a checkout session stands.
#[must_use]
pub const fn session(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Creating => "Being made",
        SessionStatus::Open => "Can be paid",
        SessionStatus::Processing => "Money under way",
        SessionStatus::Complete => "Completed",
        SessionStatus::Expired => "Over",
        SessionStatus::Failed => "Failed",
    }
}

/// When the money of a session is taken.
#[must_use]
pub const fn capture(capture: Capture) -> &'static str {
    match capture {
        Capture::Automatic => "captured when the customer pays",
        Capture::Manual => "reserved first, captured later",
    }
}
