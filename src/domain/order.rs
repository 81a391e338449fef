//! Orders: their words and their public shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::access::words;
use super::currency::Currency;
use super::forms;
use super::ids::{LineItemId, OrderId};
use super::time::Timestamp;

words! {
    /// Where an order stands.
    OrderStatus {
        /// Being worked on.
        Open = "open",
        /// Paid and shipped.
        Completed = "completed",
        /// Called off.
        Cancelled = "cancelled",
        /// Not paid in time.
        Expired = "expired",
    }
}

impl OrderStatus {
    /// Whether it was cancelled, or has expired: no money is wanted for it any more.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, OrderStatus::Cancelled | OrderStatus::Expired)
    }
}

words! {
    /// Where an order's money stands.
    PaymentStatus {
        /// Nothing has arrived.
        Unpaid = "unpaid",
        /// The money is under way.
        Pending = "pending",
        /// The money is reserved.
        Authorized = "authorized",
        /// Some of it was captured.
        PartiallyPaid = "partially_paid",
        /// All of it was captured.
        Paid = "paid",
        /// Some of it was given back or lost.
        PartiallyRefunded = "partially_refunded",
        /// All of it was given back.
        Refunded = "refunded",
        /// The customer's bank has taken it and nothing is decided.
        Disputed = "disputed",
        /// It was lost in a dispute.
        ChargedBack = "charged_back",
    }
}

words! {
    /// How much of an order has been shipped.
    FulfilmentStatus {
        /// Nothing.
        Unfulfilled = "unfulfilled",
        /// Some of it.
        PartiallyFulfilled = "partially_fulfilled",
        /// All of it.
        Fulfilled = "fulfilled",
    }
}

/// Free data of the caller, sorted by key.
pub type Metadata = BTreeMap<String, String>;

/// A postal address. Only the country is checked; everything else is kept as given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who it is for.
    #[serde(default)]
    #[schema(value_type = Option<forms::Name>)]
    pub name: Option<String>,
    /// Street and number.
    #[serde(default)]
    #[schema(value_type = Option<forms::AddressLine>)]
    pub line1: Option<String>,
    /// What else is needed to find it.
    #[serde(default)]
    #[schema(value_type = Option<forms::AddressLine>)]
    pub line2: Option<String>,
    /// The town.
    #[serde(default)]
    #[schema(value_type = Option<forms::Name>)]
    pub city: Option<String>,
    /// The state, province or county.
    #[serde(default)]
    #[schema(value_type = Option<forms::Name>)]
    pub state: Option<String>,
    /// The postal code.
    #[serde(default)]
    #[schema(value_type = Option<forms::PostalCode>)]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    #[serde(default)]
    #[schema(value_type = Option<forms::Country>)]
    pub country: Option<String>,
    /// A telephone number for the carrier.
    #[serde(default)]
    #[schema(value_type = Option<forms::Phone>)]
    pub phone: Option<String>,
}

/// Who ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Customer {
    /// Their e-mail address; null when not given, or erased.
    #[schema(value_type = Option<forms::EmailAddress>, required = true)]
    pub email: Option<String>,
    /// Their name; null when not given, or erased.
    #[schema(value_type = Option<forms::Name>, required = true)]
    pub name: Option<String>,
}

/// An order as callers see it. Amounts are decimal strings with exactly the currency's digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Order {
    /// The order's id.
    pub id: OrderId,
    /// Always `order`.
    #[schema(example = "order")]
    pub object: String,
    /// The number people use: unique in the shop, from 1001.
    #[schema(example = "1001", pattern = "^[1-9][0-9]{3,}$")]
    pub number: String,
    /// The shop's own reference, unique in the shop for ever.
    #[schema(value_type = Option<forms::Reference>, required = true)]
    pub reference: Option<String>,
    /// Where the order stands.
    pub status: OrderStatus,
    /// Where its money stands.
    pub payment_status: PaymentStatus,
    /// How much of it has been shipped.
    pub fulfilment_status: FulfilmentStatus,
    /// The oldest open question about it, or null.
    #[schema(value_type = Option<super::settlement::Reason>, required = true)]
    pub review: Option<String>,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// Whether prices contain the tax.
    pub tax_included: bool,
    /// The lines before discount, shipping and tax.
    #[schema(value_type = forms::Amount)]
    pub subtotal: String,
    /// What was taken off.
    #[schema(value_type = forms::Amount)]
    pub discount_total: String,
    /// What shipping costs.
    #[schema(value_type = forms::Amount)]
    pub shipping_total: String,
    /// The tax, added or contained.
    #[schema(value_type = forms::Amount)]
    pub tax_total: String,
    /// What the customer pays.
    #[schema(value_type = forms::Amount)]
    pub total: String,
    /// Reserved, not yet captured or released.
    #[schema(value_type = forms::Amount)]
    pub amount_authorized: String,
    /// Captured and belonging to the order; not lowered by refunds.
    #[schema(value_type = forms::Amount)]
    pub amount_paid: String,
    /// Of it, given back.
    #[schema(value_type = forms::Amount)]
    pub amount_refunded: String,
    /// Of it, taken by disputes and not given back.
    #[schema(value_type = forms::Amount)]
    pub amount_disputed: String,
    /// Who ordered.
    pub customer: Customer,
    /// What was ordered.
    pub line_items: Vec<LineItem>,
    /// Where it goes.
    #[schema(required = true)]
    pub shipping_address: Option<Address>,
    /// Who is billed.
    #[schema(required = true)]
    pub billing_address: Option<Address>,
    /// The caller's own data.
    #[schema(value_type = forms::Metadata)]
    pub metadata: Metadata,
    /// Whether real money moves.
    pub livemode: bool,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it expires if it is not paid.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineItem {
    /// The line's id.
    pub id: LineItemId,
    /// Always `line_item`.
    #[schema(example = "line_item")]
    pub object: String,
    /// The catalogue's SKU; null for a line priced by the caller.
    #[schema(value_type = Option<forms::Sku>, required = true)]
    pub sku: Option<String>,
    /// What it says.
    #[schema(value_type = forms::Name)]
    pub name: String,
    /// How many.
    #[schema(example = 2, minimum = 1, maximum = 9999)]
    pub quantity: u32,
    /// The price of one.
    #[schema(value_type = forms::Amount)]
    pub unit_price: String,
    /// Quantity times price.
    #[schema(value_type = forms::Amount)]
    pub subtotal: String,
    /// Its share of the discount.
    #[schema(value_type = forms::Amount)]
    pub discount: String,
    /// Its tax.
    #[schema(value_type = forms::Amount)]
    pub tax: String,
    /// What it adds to the order's total.
    #[schema(value_type = forms::Amount)]
    pub total: String,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A placed order with the token its customer reads it by.
///
/// The token is derived, never stored: stored answers hold null here and a replay fills it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(description = "A placed order with the token its customer reads and pays it with.")]
pub struct PlacedOrder {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// Lets a browser read this order and pay it; only in this answer and its replays.
    #[schema(value_type = String, required = true, example = "ot_…")]
    pub client_token: Option<String>,
}

impl PlacedOrder {
    /// As JSON: the order's own, with the token behind it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let order = serde_json::to_string(&self.order);
        let mut text = order.expect("an order's fields always serialise");
        let token = serde_json::to_string(&self.client_token);
        let token = token.expect("a text always serialises");
        let end = text.pop();
        assert_eq!(end, Some('}'), "an order is a JSON object");
        text.push_str(",\"client_token\":");
        text.push_str(&token);
        text.push('}');
        text
    }
}

/// An order as a caller wants it, every text already checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewOrder {
    /// Its currency.
    pub currency: Currency,
    /// The shop's own reference.
    pub reference: Option<String>,
    /// Who orders.
    pub customer: Customer,
    /// What is ordered.
    pub lines: Vec<super::pricing::WantedLine>,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// Who is billed.
    pub billing_address: Option<Address>,
    /// The caller's own data.
    pub metadata: Metadata,
}

/// Why an order cannot be checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckoutRefusal {
    /// Its total is zero.
    NothingToPay,
    /// It was cancelled, has expired, or is being cancelled.
    OrderClosed,
    /// Money is already under way.
    PaymentProcessing,
    /// It has been paid, or the money is reserved.
    AlreadyPaid,
}

/// Whether an order can be checked out now: the first refusal that matches, in the order callers rely on.
///
/// # Errors
/// Why not.
pub fn may_check_out(
    total_minor: i64,
    status: OrderStatus,
    closing: bool,
    payment: PaymentStatus,
) -> Result<(), CheckoutRefusal> {
    if total_minor == 0 {
        return Err(CheckoutRefusal::NothingToPay);
    }
    if closing || status.is_closed() {
        return Err(CheckoutRefusal::OrderClosed);
    }
    match payment {
        PaymentStatus::Pending => Err(CheckoutRefusal::PaymentProcessing),
        PaymentStatus::Unpaid | PaymentStatus::PartiallyPaid => Ok(()),
        PaymentStatus::Authorized
        | PaymentStatus::Paid
        | PaymentStatus::PartiallyRefunded
        | PaymentStatus::Refunded
        | PaymentStatus::Disputed
        | PaymentStatus::ChargedBack => Err(CheckoutRefusal::AlreadyPaid),
    }
}

/// Which orders a list shows.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// Only of this customer, whatever the letter case.
    pub email: Option<String>,
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only placed after this time.
    pub created_after: Option<Timestamp>,
    /// Only placed before this time.
    pub created_before: Option<Timestamp>,
    /// Only found by this search.
    pub search: Option<super::search::Search>,
    /// What it is narrowed by besides.
    pub narrowing: super::order_view::Narrowing,
}
