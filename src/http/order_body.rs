//! The body of a new order: from raw strings to a [`NewOrder`]. Raw strings stop here.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::{FieldError, Problem};
use super::strict_json;
use crate::domain::access::KeyKind;
use crate::domain::card_number::holds_card_number;
use crate::domain::currency::Currency;
use crate::domain::forms;
use crate::domain::money::{MAX_TOTAL_MINOR, Money};
use crate::domain::order::{Address, Customer, NewOrder};
use crate::domain::pricing::WantedLine;
use crate::domain::text;

/// The most lines an order may have.
const MAX_LINES: usize = 100;

/// An order to be placed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderRequest)]
pub struct OrderBody {
    /// ISO 4217, upper case.
    #[schema(value_type = Currency)]
    currency: String,
    /// The shop's own reference, unique in the shop for ever.
    #[serde(default)]
    #[schema(value_type = Option<forms::Reference>)]
    reference: Option<String>,
    /// Who orders.
    #[serde(default)]
    customer: Option<CustomerBody>,
    /// What is ordered.
    #[schema(min_items = 1, max_items = 100)]
    line_items: Vec<LineBody>,
    /// A discount code of the catalogue.
    #[serde(default)]
    #[schema(max_length = 64)]
    discount_code: Option<String>,
    /// A shipping method of the catalogue.
    #[serde(default)]
    #[schema(max_length = 64)]
    shipping_method: Option<String>,
    /// Where it goes.
    #[serde(default)]
    shipping_address: Option<Address>,
    /// Who is billed.
    #[serde(default)]
    billing_address: Option<Address>,
    /// The caller's own data: at most 50 keys of 40 characters, values of 500.
    #[serde(default)]
    #[schema(value_type = Option<forms::Metadata>)]
    metadata: Option<BTreeMap<String, String>>,
}

/// Who orders.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomerRequest)]
pub struct CustomerBody {
    /// Their e-mail address.
    #[serde(default)]
    #[schema(value_type = Option<forms::EmailAddress>)]
    email: Option<String>,
    /// Their name.
    #[serde(default)]
    #[schema(value_type = Option<forms::Name>)]
    name: Option<String>,
}

/// One line: a `sku` of the catalogue, or, with a secret key, a `name` and a `unit_price`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LineItemRequest)]
pub struct LineBody {
    /// A SKU of the catalogue; its price is the catalogue's.
    #[serde(default)]
    #[schema(value_type = Option<forms::Sku>)]
    sku: Option<String>,
    /// What the line says, when the caller prices it.
    #[serde(default)]
    #[schema(value_type = Option<forms::Name>)]
    name: Option<String>,
    /// The price of one, when the caller prices it.
    #[serde(default)]
    #[schema(value_type = Option<forms::Price>)]
    unit_price: Option<String>,
    /// How many, 1 to 9,999.
    #[schema(example = 2, minimum = 1, maximum = 9999)]
    quantity: u32,
}

/// Collects everything that is wrong, each with its place.
#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, pointer: &str, detail: impl Into<String>) {
        self.0.push(FieldError::new(pointer, detail));
    }

    /// The value, or its fault noted.
    fn keep<T>(&mut self, pointer: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|detail| self.add(pointer, detail)).ok()
    }

    fn text(&mut self, pointer: &str, value: Option<String>, max: usize) -> Option<String> {
        value.and_then(|value| self.keep(pointer, text::plain(&value, max)))
    }
}

impl OrderBody {
    /// Checks everything and says all that is wrong at once.
    ///
    /// # Errors
    /// 422 with a pointer for each fault.
    pub fn check(self, kind: KeyKind) -> Result<NewOrder, Problem> {
        let mut faults = Faults::default();
        let currency = Currency::from_code(&self.currency).map_err(|why| why.to_string());
        let currency = faults.keep("/currency", currency);
        if !(1..=MAX_LINES).contains(&self.line_items.len()) {
            faults.add("/line_items", "must have 1 to 100 lines");
        }
        let mut lines = Vec::with_capacity(self.line_items.len().min(MAX_LINES));
        for (at, line) in self.line_items.into_iter().take(MAX_LINES).enumerate() {
            lines.extend(line.check(at, currency, kind, &mut faults));
        }
        if self.discount_code.is_some() {
            faults.add("/discount_code", "this shop has no such discount code");
        }
        if self.shipping_method.is_some() {
            faults.add("/shipping_method", "this shop has no such shipping method");
        }
        let customer = self.customer.map(|customer| customer.check(&mut faults));
        let order = NewOrder {
            currency: currency.unwrap_or_else(any_currency),
            reference: faults.text("/reference", self.reference, 64),
            customer: customer.unwrap_or_default(),
            lines,
            shipping_address: address("/shipping_address", self.shipping_address, &mut faults),
            billing_address: address("/billing_address", self.billing_address, &mut faults),
            metadata: metadata(self.metadata.unwrap_or_default(), &mut faults),
        };
        if faults.0.is_empty() {
            Ok(order)
        } else {
            Err(Problem::invalid(faults.0))
        }
    }
}

/// Stands in for a currency that was refused; the order it is in is refused with it.
fn any_currency() -> Currency {
    Currency::all()
        .next()
        .expect("the table of currencies is not empty")
}

impl CustomerBody {
    fn check(self, faults: &mut Faults) -> Customer {
        let email = self.email.as_deref().map(text::email);
        Customer {
            email: email.and_then(|email| faults.keep("/customer/email", email)),
            name: faults.text("/customer/name", self.name, 200),
        }
    }
}

impl LineBody {
    fn check(
        self,
        at: usize,
        currency: Option<Currency>,
        kind: KeyKind,
        faults: &mut Faults,
    ) -> Option<WantedLine> {
        let place = |field: &str| format!("/line_items/{at}/{field}");
        if !(1..=9_999).contains(&self.quantity) {
            faults.add(&place("quantity"), "must be 1 to 9,999");
        }
        let quantity = self.quantity;
        if kind == KeyKind::Publishable {
            let priced = [
                ("name", self.name.is_some()),
                ("unit_price", self.unit_price.is_some()),
            ];
            for (field, _) in priced.iter().filter(|(_, given)| *given) {
                let detail =
                    "a publishable key may only name catalogue SKUs; the price is the catalogue's";
                faults.add(&place(field), detail);
            }
        }
        match (self.sku, self.name, self.unit_price) {
            (Some(sku), None, None) => {
                let sku = faults.keep(&place("sku"), text::sku(&sku))?;
                Some(WantedLine::Sku { sku, quantity })
            }
            (None, Some(name), Some(price)) => {
                let name = faults.keep(&place("name"), text::plain(&name, 200));
                let unit_price = faults.keep(&place("unit_price"), amount(&price, currency?));
                Some(WantedLine::Inline {
                    name: name?,
                    unit_price: unit_price?,
                    quantity,
                })
            }
            (Some(_), _, _) => {
                let detail = "give either `sku`, or `name` and `unit_price`, not both";
                faults.add(&place("sku"), detail);
                None
            }
            (None, name, price) => {
                let missing = match (name.is_some(), price.is_some()) {
                    (true, false) => "unit_price",
                    (false, true) => "name",
                    _ => "sku",
                };
                faults.add(
                    &place(missing),
                    "is missing: a line needs `sku`, or `name` and `unit_price`",
                );
                None
            }
        }
    }
}

fn amount(text: &str, currency: Currency) -> Result<Money, String> {
    let amount = Money::parse(text, currency).map_err(|why| why.to_string())?;
    if amount.minor() > MAX_TOTAL_MINOR {
        return Err("is too large".to_owned());
    }
    Ok(amount)
}

fn address(place: &str, address: Option<Address>, faults: &mut Faults) -> Option<Address> {
    let given = address?;
    let mut field = |name: &str, value: Option<String>, max: usize| {
        faults.text(&format!("{place}/{name}"), value, max)
    };
    let checked = Address {
        name: field("name", given.name, 200),
        line1: field("line1", given.line1, 200),
        line2: field("line2", given.line2, 200),
        city: field("city", given.city, 200),
        state: field("state", given.state, 200),
        postal_code: field("postal_code", given.postal_code, 32),
        country: field("country", given.country, 2),
        phone: field("phone", given.phone, 32),
    };
    let is_country =
        |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    if checked
        .country
        .as_ref()
        .is_some_and(|code| !is_country(code))
    {
        let detail = "must be an ISO 3166-1 country code of two upper-case letters";
        faults.add(&format!("{place}/country"), detail);
    }
    Some(checked)
}

fn metadata(given: BTreeMap<String, String>, faults: &mut Faults) -> BTreeMap<String, String> {
    if given.len() > 50 {
        faults.add("/metadata", "must have at most 50 keys");
    }
    for (key, value) in given.iter().take(50) {
        if holds_card_number(key) {
            faults.add("/metadata", format!("a key {}", text::CARD_NUMBER));
            continue;
        }
        let short = (1..=40).contains(&key.chars().count());
        if !short || key.chars().any(char::is_control) {
            faults.add(
                "/metadata",
                "keys must have 1 to 40 characters, none of them control characters",
            );
            continue;
        }
        let place = strict_json::pointer("/metadata", key);
        if !value.is_empty() {
            faults.keep(&place, text::plain(value, 500));
        }
    }
    given
}
