//! The catalogue: what a shop sells and for how much.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::currency::Currency;
use super::forms;
use super::ids::ProductId;
use super::money::{MAX_TOTAL_MINOR, Money};
use super::text;
use super::time::Timestamp;

/// The most currencies a product may have a price in.
pub const MAX_PRICES: usize = 50;
/// The most a stock may hold.
pub const MAX_ON_HAND: i64 = 1_000_000_000;
/// The tax category of a product that names none.
pub const STANDARD_TAX: &str = "standard";

/// A product as pricing needs it: its name and its price in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedProduct {
    /// The SKU.
    pub sku: String,
    /// What the line says.
    pub name: String,
    /// The price of one.
    pub unit_price: Money,
}

/// The price list an order is priced with.
#[derive(Debug, Clone, Default)]
pub struct PriceList(Vec<PricedProduct>);

impl PriceList {
    /// A price list of these products.
    #[must_use]
    pub fn new(products: Vec<PricedProduct>) -> Self {
        PriceList(products)
    }

    /// The product with this SKU, priced in this currency.
    #[must_use]
    pub fn find(&self, sku: &str, currency: Currency) -> Option<&PricedProduct> {
        self.0
            .iter()
            .find(|product| product.sku == sku && product.unit_price.currency() == currency)
    }
}

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Always `product`.
    #[schema(example = "product")]
    pub object: &'static str,
    /// What orders name it by; unique in the shop.
    #[schema(value_type = forms::Sku)]
    pub sku: String,
    /// What the lines of orders say.
    #[schema(value_type = forms::Name)]
    pub name: String,
    /// More about it.
    #[schema(value_type = Option<forms::Prose>, required = true)]
    pub description: Option<String>,
    /// The price of one in each currency it is sold in: ISO 4217 code to decimal string.
    #[schema(value_type = forms::Prices)]
    pub prices: BTreeMap<Currency, Money>,
    /// How it is taxed.
    #[schema(example = "standard", pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub tax_category: String,
    /// Whether it is sold.
    pub active: bool,
    /// What is there of it; null is without limit.
    #[schema(required = true)]
    pub stock: Option<Stock>,
    /// When it was first stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What is there of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    /// How many.
    #[schema(example = 10, minimum = 0, maximum = 1_000_000_000)]
    pub on_hand: i64,
}

/// A product to be stored under its SKU: what was given, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProduct {
    /// The SKU.
    pub sku: String,
    /// What a line says.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// Its prices, one a currency, sorted by currency.
    pub prices: Vec<Money>,
    /// How it is taxed.
    pub tax_category: String,
    /// Whether it is sold.
    pub active: bool,
    /// How many there are; none is without limit.
    pub on_hand: Option<i64>,
}

impl NewProduct {
    /// An active product of the standard tax category, without a limit.
    #[must_use]
    pub fn new(sku: &str, name: &str, mut prices: Vec<Money>) -> Self {
        prices.sort_by_key(|price| price.currency());
        NewProduct {
            sku: sku.to_owned(),
            name: name.to_owned(),
            description: None,
            prices,
            tax_category: STANDARD_TAX.to_owned(),
            active: true,
            on_hand: None,
        }
    }

    /// Whether an order's lines would be the same of either: their name, their price, and whether there are any.
    #[must_use]
    pub fn sells_as(&self, other: &NewProduct) -> bool {
        (&self.name, &self.prices, self.active) == (&other.name, &other.prices, other.active)
    }
}

/// A product as it is given, in `PUT` and in files; everything but the name and the prices has a default.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductRequest)]
pub struct ProductInput {
    /// The SKU; in `PUT` it may be left out, and otherwise must be the path's.
    #[serde(default)]
    #[schema(value_type = Option<forms::Sku>)]
    pub sku: Option<String>,
    /// What the lines of orders say.
    #[schema(value_type = forms::Name)]
    name: String,
    /// More about it.
    #[serde(default)]
    #[schema(value_type = Option<forms::Prose>)]
    description: Option<String>,
    /// The price of one in each currency, 1 to 50 of them: ISO 4217 code to decimal string.
    #[schema(value_type = forms::Prices)]
    prices: BTreeMap<String, String>,
    /// How it is taxed; `standard` when not given.
    #[serde(default)]
    #[schema(example = "standard", pattern = "^[A-Za-z0-9._-]{1,64}$")]
    tax_category: Option<String>,
    /// Whether it is sold; yes when not given.
    #[serde(default)]
    active: Option<bool>,
    /// What is there of it; null, or not given, is without limit.
    #[serde(default)]
    stock: Option<Stock>,
}

/// One thing that is wrong with a product: a JSON pointer into it, and what is expected there.
pub type ProductFault = (String, String);

impl ProductInput {
    /// Checks everything and says all that is wrong at once.
    ///
    /// # Errors
    /// Each fault with its pointer.
    pub fn check(self) -> Result<NewProduct, Vec<ProductFault>> {
        let mut faults = Vec::new();
        let mut keep = |pointer: &str, value: Result<String, String>| {
            value
                .map_err(|why| faults.push((pointer.to_owned(), why)))
                .ok()
        };
        let sku = match &self.sku {
            Some(given) => text::new_sku(given),
            None => Err("this field is required".to_owned()),
        };
        let sku = keep("/sku", sku);
        let name = keep("/name", text::plain(&self.name, 200));
        let description = self
            .description
            .and_then(|given| keep("/description", text::prose(&given, 2_000)));
        let tax_category = match self.tax_category {
            Some(given) => keep("/tax_category", text::new_sku(&given)),
            None => Some(STANDARD_TAX.to_owned()),
        };
        let on_hand = match self.stock.map(|stock| on_hand(stock.on_hand)) {
            Some(Err(why)) => {
                faults.push(("/stock/on_hand".to_owned(), why));
                None
            }
            Some(Ok(count)) => Some(count),
            None => None,
        };
        if !(1..=MAX_PRICES).contains(&self.prices.len()) {
            let detail = "must have 1 to 50 prices, each under its currency";
            faults.push(("/prices".to_owned(), detail.to_owned()));
        }
        let mut prices = Vec::with_capacity(self.prices.len().min(MAX_PRICES));
        for (code, amount) in self.prices.iter().take(MAX_PRICES) {
            match price(code, amount) {
                Ok(price) => prices.push(price),
                Err((PriceField::Currency, why)) => {
                    // A key that is no currency may be anything; it is not repeated.
                    faults.push(("/prices".to_owned(), format!("has a key that is {why}")));
                }
                Err((PriceField::Amount, why)) => faults.push((format!("/prices/{code}"), why)),
            }
        }
        match (sku, name, tax_category) {
            (Some(sku), Some(name), Some(tax_category)) if faults.is_empty() => Ok(NewProduct {
                sku,
                name,
                description,
                prices,
                tax_category,
                active: self.active.unwrap_or(true),
                on_hand,
            }),
            _ => Err(faults),
        }
    }
}

/// Which half of a price is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceField {
    /// The currency's code.
    Currency,
    /// The amount.
    Amount,
}

/// A price from its two texts.
///
/// # Errors
/// Which of the two is wrong, and why.
pub fn price(currency: &str, amount: &str) -> Result<Money, (PriceField, String)> {
    let currency =
        Currency::from_code(currency).map_err(|why| (PriceField::Currency, why.to_string()))?;
    let amount =
        Money::parse(amount, currency).map_err(|why| (PriceField::Amount, why.to_string()))?;
    if amount.minor() > MAX_TOTAL_MINOR {
        return Err((PriceField::Amount, "is too large".to_owned()));
    }
    Ok(amount)
}

/// How many there are of something.
///
/// # Errors
/// Less than none, or beyond [`MAX_ON_HAND`].
pub fn on_hand(count: i64) -> Result<i64, String> {
    if (0..=MAX_ON_HAND).contains(&count) {
        Ok(count)
    } else {
        Err("must be 0 to 1,000,000,000".to_owned())
    }
}

/// What an imported file speaks of; the rest of a product that is there already stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// The whole product.
    Everything,
    /// Its name and prices.
    Prices,
    /// Its name, prices and stock.
    PricesAndStock,
}

impl Coverage {
    /// What is to be stored for a product that is stored as `known`.
    #[must_use]
    pub fn merge(self, wanted: &NewProduct, known: &NewProduct) -> NewProduct {
        if self == Coverage::Everything {
            return wanted.clone();
        }
        let on_hand = match self {
            Coverage::PricesAndStock => wanted.on_hand,
            Coverage::Prices | Coverage::Everything => known.on_hand,
        };
        NewProduct {
            name: wanted.name.clone(),
            prices: wanted.prices.clone(),
            on_hand,
            ..known.clone()
        }
    }
}

/// What an import did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The SKUs that were new.
    pub created: Vec<String>,
    /// The SKUs that said something else.
    pub changed: Vec<String>,
    /// How many products were so already.
    pub unchanged: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(json: &str) -> ProductInput {
        serde_json::from_str(json).expect("the shape is right")
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let given = r#"{"sku":"mug","name":"Mug","prices":{"JPY":"1500","EUR":"12.5"}}"#;
        let product = input(given).check().expect("a product");
        let prices: Vec<String> = product.prices.iter().map(|p| format!("{p:?}")).collect();
        assert_eq!(prices, ["12.50 EUR", "1500 JPY"]);
        assert_eq!(product.tax_category, "standard");
        assert!(product.active && product.on_hand.is_none() && product.description.is_none());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let given = r#"{"sku":"a b","name":" ","description":"a\u0000","tax_category":"",
            "prices":{"EUR":"1.005","JPY":"-1","eur":"1","KWD":"99999999999999"},"stock":{"on_hand":-1}}"#;
        let faults = input(given).check().expect_err("faults");
        let mut pointers: Vec<&str> = faults.iter().map(|(at, _)| at.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(
            pointers,
            [
                "/description",
                "/name",
                "/prices",
                "/prices/EUR",
                "/prices/JPY",
                "/prices/KWD",
                "/sku",
                "/stock/on_hand",
                "/tax_category"
            ]
        );
        let empty = input(r#"{"name":"Mug","prices":{}}"#).check();
        let pointers: Vec<String> = empty
            .expect_err("faults")
            .into_iter()
            .map(|f| f.0)
            .collect();
        assert_eq!(pointers, ["/sku", "/prices"]);
    }

    #[test]
    fn a_price_list_leaves_alone_what_it_does_not_speak_of() {
        let mut known = NewProduct::new("mug", "Old", Vec::new());
        known.description = Some("Kept".to_owned());
        known.active = false;
        known.on_hand = Some(3);
        let mut wanted = NewProduct::new("mug", "New", Vec::new());
        wanted.on_hand = Some(9);
        let merged = Coverage::Prices.merge(&wanted, &known);
        assert_eq!((merged.name.as_str(), merged.on_hand), ("New", Some(3)));
        assert_eq!(merged.description.as_deref(), Some("Kept"));
        assert!(!merged.active);
        assert_eq!(
            Coverage::PricesAndStock.merge(&wanted, &known).on_hand,
            Some(9)
        );
        assert_eq!(Coverage::Everything.merge(&wanted, &known), wanted);
    }
}
