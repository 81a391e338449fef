//! The overview of a shop, and what stands in its place while there is no shop.

use crate::domain::settlement::Reason;

words! {
    TITLE = "Overview";
    NO_SHOP = "There is no shop yet";
    NO_SHOP_TEXT = "Shops are made on the server. As soon as there is one, its orders and payments are here.";
    NO_SHOP_COMMAND = "till shop create NAME --mode test";
    READ_AT = "Read";
    REFRESH = "Refresh";
    PROBLEMS = "What needs a look";
    NO_PROBLEMS = "Nothing is open";
    NO_PROBLEMS_TEXT = "No review waits, every call has an outcome, every webhook is applied, and nobody has waited long to pay.";
    SINCE = "oldest since";
    UNKNOWN_CALLS = "Calls whose outcome is unknown";
    FAILING_CALLS = "Calls tried three times and more without an outcome";
    ORDERLESS = "Payments with our mark that no order is known for";
    DEAD = "Webhooks that were given up";
    QUARANTINED = "Webhooks that are not believed";
    PENDING = "Webhooks that wait";
    UNPAID = "Orders unpaid for too long";
    TODAY = "Today so far";
    LAST_WEEK = "Same weekday last week, up to the same time";
    COMPARED = "Today against last week";
    UTC_DAYS = "Days are UTC days.";
    FIGURE = "Figure";
    SALES = "Sales";
    REFUNDS = "Refunds";
    PAYMENTS = "Payments";
    CHECKOUTS = "Checkouts begun";
    SUCCESS = "Checkouts paid, of those that ended";
    TIME_MEDIAN = "Time to paid, half within";
    TIME_P95 = "Time to paid, 95 of 100 within";
    LAG_MEDIAN = "Webhook lag, half within";
    LAG_P95 = "Webhook lag, 95 of 100 within";
    SERIES = "The last 14 days";
    SUCCESS_BY_DAY = "Checkouts paid, of those that ended, by day";
    TIME_BY_DAY = "Time from order to paid, by day";
    RATE = "Paid";
    MEDIAN = "Half within";
    P95 = "95 of 100 within";
    HEALTH = "Provider health";
    DEFINITIONS = "What the figures are";
    DEFINITIONS_TEXT = "Sales are captured money that is an order's, by when it was posted to the ledger; refunds are what of it went back. Checkouts count on the day they began. Time to paid is from placing the order to its money being posted, over the newest 2,000; webhook lag is from the event at the provider to its facts being recorded, over the newest 500.";
    NO_VALUES = "There is nothing to draw yet.";
}

/// The title of a currency's money by day.
#[must_use]
pub fn money_by_day(currency: &str) -> String {
    format!("Sales and refunds by day, {currency}")
}

/// What a chart says: its highest and its last value.
#[must_use]
pub fn summary(highest: &str, on: &str, last: &str) -> String {
    format!("Highest: {highest} on {on}. Today so far: {last}.")
}

/// Why people have to look, as they say it.
#[must_use]
pub const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::AmountMismatch => "Reviews: the amounts differ",
        Reason::CurrencyMismatch => "Reviews: the currencies differ",
        Reason::PaidAfterCancel => "Reviews: paid after the order was closed",
        Reason::DuplicatePayment => "Reviews: paid twice",
        Reason::OutcomeUnknown => "Reviews: outcome unknown",
        Reason::UnmatchedPayment => "Reviews: money for no order",
        Reason::Dispute => "Reviews: disputed by the customer's bank",
        Reason::ProviderDeclinedRefund => "Reviews: a refund failed",
    }
}
