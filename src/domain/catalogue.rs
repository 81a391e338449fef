//! The catalogue: what a shop sells and for how much.

use super::currency::Currency;
use super::money::Money;

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
