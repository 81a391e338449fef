//! Pricing: from what was asked for to what it costs. Prices of SKUs always come from the catalogue.

use super::catalogue::PriceList;
use super::currency::Currency;
use super::money::{MAX_TOTAL_MINOR, Money};

/// A line as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum WantedLine {
    /// A product of the catalogue.
    Sku {
        /// Which.
        sku: String,
        /// How many.
        quantity: u32,
    },
    /// Something the caller names and prices.
    Inline {
        /// What the line says.
        name: String,
        /// The price of one.
        unit_price: Money,
        /// How many.
        quantity: u32,
    },
}

/// A line with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// The catalogue's SKU, if it has one.
    pub sku: Option<String>,
    /// What the line says.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one.
    pub unit_price: Money,
    /// Quantity times price.
    pub subtotal: Money,
    /// Its share of the discount.
    pub discount: Money,
    /// Its tax.
    pub tax: Money,
    /// What it adds to the order's total.
    pub total: Money,
}

/// An order's amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The lines.
    pub lines: Vec<PricedLine>,
    /// Whether prices contain the tax.
    pub tax_included: bool,
    /// The lines before discount, shipping and tax.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What shipping costs.
    pub shipping: Money,
    /// The tax, added or contained.
    pub tax: Money,
    /// What the customer pays.
    pub total: Money,
}

/// Why something cannot be priced, and which lines are to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// No active product has this SKU, or none with a price in the order's currency.
    #[error("no active product with this SKU has a price in the order's currency")]
    UnknownSku {
        /// The lines, counted from 0.
        lines: Vec<usize>,
    },
    /// The order would cost more than Till takes.
    #[error("the order's total is above 1,000,000,000,000 minor units")]
    TotalTooLarge,
}

/// Prices the lines. Discounts, shipping and tax are nothing until a catalogue defines them; the identities
/// that hold between the amounts are the same with and without.
///
/// # Errors
/// An unknown SKU, or a total beyond the limit.
pub fn quote(
    currency: Currency,
    wanted: &[WantedLine],
    prices: &PriceList,
) -> Result<Quote, PricingError> {
    let zero = Money::zero(currency);
    let mut lines = Vec::with_capacity(wanted.len());
    let mut unknown = Vec::new();
    for (at, line) in wanted.iter().enumerate() {
        match price_line(line, currency, prices)? {
            Some(line) => lines.push(line),
            None => unknown.push(at),
        }
    }
    if !unknown.is_empty() {
        return Err(PricingError::UnknownSku { lines: unknown });
    }
    let sum = |amount: fn(&PricedLine) -> Money| {
        Money::sum(currency, lines.iter().map(amount)).map_err(|_| PricingError::TotalTooLarge)
    };
    let (subtotal, total) = (sum(|line| line.subtotal)?, sum(|line| line.total)?);
    if total.minor() > MAX_TOTAL_MINOR {
        return Err(PricingError::TotalTooLarge);
    }
    Ok(Quote {
        lines,
        tax_included: false,
        subtotal,
        discount: zero,
        shipping: zero,
        tax: zero,
        total,
    })
}

/// A line with its price; none when its SKU has none.
fn price_line(
    line: &WantedLine,
    currency: Currency,
    prices: &PriceList,
) -> Result<Option<PricedLine>, PricingError> {
    let (sku, name, unit_price, quantity) = match line {
        WantedLine::Sku { sku, quantity } => {
            let Some(product) = prices.find(sku, currency) else {
                return Ok(None);
            };
            let name = product.name.clone();
            (Some(sku.clone()), name, product.unit_price, *quantity)
        }
        WantedLine::Inline {
            name,
            unit_price,
            quantity,
        } => (None, name.clone(), *unit_price, *quantity),
    };
    let subtotal = unit_price
        .checked_mul(quantity)
        .map_err(|_| PricingError::TotalTooLarge)?;
    let zero = Money::zero(currency);
    Ok(Some(PricedLine {
        sku,
        name,
        quantity,
        unit_price,
        subtotal,
        discount: zero,
        tax: zero,
        total: subtotal,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, which is what it is for"
    )]

    use super::*;
    use crate::domain::catalogue::PricedProduct;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn total_is_the_sum_of_its_positive_lines(
            lines in proptest::collection::vec((0_i64..1_000_000_000, 1_u32..=9_999), 1..100),
        ) {
            let eur = Currency::from_code("EUR").expect("EUR");
            let wanted: Vec<WantedLine> = lines
                .iter()
                .map(|(price, quantity)| WantedLine::Inline {
                    name: "x".into(),
                    unit_price: Money::new(*price, eur),
                    quantity: *quantity,
                })
                .collect();
            let exact: i128 = lines.iter().map(|(p, q)| i128::from(*p) * i128::from(*q)).sum();
            match quote(eur, &wanted, &PriceList::default()) {
                Ok(quote) => {
                    prop_assert_eq!(i128::from(quote.total.minor()), exact);
                    let parts = quote.subtotal.minor() - quote.discount.minor()
                        + quote.shipping.minor() + quote.tax.minor();
                    prop_assert_eq!(parts, quote.total.minor());
                }
                Err(error) => {
                    prop_assert_eq!(error, PricingError::TotalTooLarge);
                    prop_assert!(exact > i128::from(MAX_TOTAL_MINOR));
                }
            }
        }
    }

    #[test]
    fn a_sku_costs_what_the_catalogue_says() {
        let eur = Currency::from_code("EUR").expect("EUR");
        let prices = PriceList::new(vec![PricedProduct {
            sku: "mug".into(),
            name: "Mug".into(),
            unit_price: Money::new(1_250, eur),
        }]);
        let line = |sku: &str| WantedLine::Sku {
            sku: sku.into(),
            quantity: 2,
        };
        let quote_of = |sku: &str, currency| quote(currency, &[line(sku)], &prices);
        assert_eq!(quote_of("mug", eur).map(|q| q.total.minor()), Ok(2_500));
        let unknown = Err(PricingError::UnknownSku { lines: vec![0] });
        assert_eq!(quote_of("cup", eur), unknown);
        let usd = Currency::from_code("USD").expect("USD");
        assert_eq!(quote_of("mug", usd), unknown);
    }
}
