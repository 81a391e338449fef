//! The list of orders.

use crate::domain::money::Money;
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use crate::domain::order_view::{Counted, Facet, OrderView};
use crate::domain::settlement::Reason;

words! {
    TITLE = "Orders";
    VIEWS = "Saved views";
    FILTERS = "Filters";
    STATUS = "Order";
    PAYMENT = "Payment";
    FULFILMENT = "Goods";
    REVIEW = "Question";
    FROM = "Placed from (UTC)";
    TO = "Placed to (UTC)";
    HOURS = "Unpaid for hours";
    HOURS_EMPTY = "When empty:";
    SEARCH = "Search";
    ANY = "Any";
    SHOW = "Show orders";
    REMOVE = "Remove";
    CLEAR = "Remove all filters";
    ACTIVE = "Shown are only orders with";
    UNCLEAR = "A part of the address was not understood and is left out.";
    TOO_MUCH = "This search has too many words. Try fewer.";
    COUNTS_NOTE = "Numbers count all orders of the shop that have this, without the other filters.";
    NUMBER = "Order";
    PLACED = "Placed";
    CUSTOMER = "Customer";
    TOTAL = "Total";
    NO_CUSTOMER = "No customer given";
    NONE = "There are no orders yet";
    NONE_TEXT = "Orders are here as soon as a shop front places one.";
    NONE_COMMAND = "till demo --once";
    NONE_FOUND = "No order is like that";
    NONE_FOUND_TEXT = "Remove a filter, or search for less: a number, an e-mail address, a name, a SKU or an amount. The beginning of a word finds it from three characters on; shorter words must be whole.";
    EXPORT = "Take all of these away as";
    CSV = "CSV";
    NDJSON = "NDJSON";
    EXPORT_UNCLEAR = "A filter in the address is not understood. Nothing was exported.";
}

/// A saved view.
#[must_use]
pub const fn view(view: OrderView) -> &'static str {
    match view {
        OrderView::InReview => "In review",
        OrderView::UnpaidTooLong => "Unpaid too long",
        OrderView::PaidToday => "Paid today (UTC)",
        OrderView::Refunded => "Refunded",
        OrderView::Disputed => "Disputed",
    }
}

/// Where an order stands.
#[must_use]
pub const fn status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Open => "Open",
        OrderStatus::Completed => "Completed",
        OrderStatus::Cancelled => "Cancelled",
        OrderStatus::Expired => "Expired",
    }
}

/// Where an order's money stands.
#[must_use]
pub const fn payment(payment: PaymentStatus) -> &'static str {
    match payment {
        PaymentStatus::Unpaid => "Unpaid",
        PaymentStatus::Pending => "Under way",
        PaymentStatus::Authorized => "Reserved",
        PaymentStatus::PartiallyPaid => "Partly paid",
        PaymentStatus::Paid => "Paid",
        PaymentStatus::PartiallyRefunded => "Partly refunded",
        PaymentStatus::Refunded => "Refunded",
        PaymentStatus::Disputed => "Disputed",
        PaymentStatus::ChargedBack => "Charged back",
    }
}

/// Where an order's money stands, to filter by: what waits for payment and what was closed unpaid are one.
#[must_use]
pub const fn payment_filter(payment: PaymentStatus) -> &'static str {
    match payment {
        PaymentStatus::Unpaid => "Unpaid or waiting",
        other => self::payment(other),
    }
}

/// Where an order's money stands, in a list: an open order that is unpaid waits.
#[must_use]
pub const fn payment_of(kind: PaymentStatus, order: OrderStatus) -> &'static str {
    match (kind, order) {
        (PaymentStatus::Unpaid, OrderStatus::Open) => "Waiting for payment",
        (kind, _) => payment(kind),
    }
}

/// Where an order's money stands, of which so much was refunded: what is gone otherwise was lost in a dispute.
#[must_use]
pub fn payment_told(kind: PaymentStatus, order: OrderStatus, refunded: Money) -> &'static str {
    match kind {
        PaymentStatus::PartiallyRefunded if refunded.is_zero() => "Partly lost in a dispute",
        kind => payment_of(kind, order),
    }
}

/// How much of an order has been shipped.
#[must_use]
pub const fn fulfilment(fulfilment: FulfilmentStatus) -> &'static str {
    match fulfilment {
        FulfilmentStatus::Unfulfilled => "Not shipped",
        FulfilmentStatus::PartiallyFulfilled => "Partly shipped",
        FulfilmentStatus::Fulfilled => "Shipped",
    }
}

/// An open question, in short.
#[must_use]
pub const fn review(reason: Reason) -> &'static str {
    match reason {
        Reason::AmountMismatch => "Amounts differ",
        Reason::CurrencyMismatch => "Currencies differ",
        Reason::PaidAfterCancel => "Paid after the order was closed",
        Reason::DuplicatePayment => "Paid twice",
        Reason::OutcomeUnknown => "Outcome unknown",
        Reason::UnmatchedPayment => "Money for no order",
        Reason::Dispute => "Disputed",
        Reason::ProviderDeclinedRefund => "A refund failed",
    }
}

/// What a facet counts.
#[must_use]
pub const fn facet(facet: Facet) -> &'static str {
    match facet {
        Facet::All => "All",
        Facet::View(one) => view(one),
        Facet::Status(one) => status(one),
        Facet::Payment(one) => payment_filter(one),
        Facet::Fulfilment(one) => fulfilment(one),
    }
}

/// A count, which may have stopped at its bound.
#[must_use]
pub fn count(count: Counted) -> String {
    let grouped = |count: u64| match (count.checked_div(1_000), count.checked_rem(1_000)) {
        (Some(thousands), Some(rest)) if thousands > 0 => format!("{thousands},{rest:03}"),
        _ => count.to_string(),
    };
    match count {
        Counted::Exactly(count) => grouped(count),
        Counted::MoreThan(count) => format!("{}+", grouped(count)),
    }
}
