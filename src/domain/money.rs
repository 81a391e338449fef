//! Money: a whole number of minor units and its currency, with checked arithmetic only.
//!
//! An amount never becomes a float and never loses its currency. On the wire it is a decimal string with
//! exactly the currency's digits; input may have fewer digits, never more, and nothing but digits and one dot.

use std::fmt;

use serde::{Serialize, Serializer};

use super::currency::Currency;

/// The most an order may cost, in minor units of any currency.
pub const MAX_TOTAL_MINOR: i64 = 1_000_000_000_000;

/// An amount of money in the minor units of its currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why an arithmetic step on money is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The two amounts are of different currencies.
    #[error("amounts of different currencies cannot be combined")]
    CurrencyMismatch,
    /// The result does not fit.
    #[error("the amount is too large")]
    Overflow,
}

/// Why a decimal string is not an amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits and at most one dot between digits.
    #[error("must be a decimal string such as \"12.50\": digits, and a dot before the decimals")]
    Malformed,
    /// More decimals than the currency has.
    #[error("has more decimal digits than the currency allows")]
    TooPrecise,
    /// Beyond what Till calculates with.
    #[error("is too large")]
    TooLarge,
}

impl Money {
    /// An amount of `minor` units.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Money { minor, currency }
    }

    /// Nothing, in a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Money { minor: 0, currency }
    }

    /// The number of minor units (cents, yen, fils).
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether this is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    /// Different currencies, or a sum that does not fit.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor);
        Ok(Money::new(
            minor.ok_or(MoneyError::Overflow)?,
            self.currency,
        ))
    }

    /// The difference of two amounts of one currency; it may be negative.
    ///
    /// # Errors
    /// Different currencies, or a difference that does not fit.
    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor);
        Ok(Money::new(
            minor.ok_or(MoneyError::Overflow)?,
            self.currency,
        ))
    }

    /// The amount taken `quantity` times.
    ///
    /// # Errors
    /// A product that does not fit.
    pub fn checked_mul(self, quantity: u32) -> Result<Money, MoneyError> {
        let minor = self.minor.checked_mul(i64::from(quantity));
        Ok(Money::new(
            minor.ok_or(MoneyError::Overflow)?,
            self.currency,
        ))
    }

    /// The sum of many amounts of one currency.
    ///
    /// # Errors
    /// As [`Money::checked_add`].
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Money>,
    ) -> Result<Money, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Money::zero(currency), Money::checked_add)
    }

    /// Splits the amount in proportion to `weights` by largest remainder: the parts always sum to the whole,
    /// each is within one minor unit of its exact share, and equal remainders favour the earlier part.
    ///
    /// Weights of zero get nothing; when all are zero, or there are none, the first part gets everything.
    #[must_use]
    pub fn allocate(self, weights: &[u64]) -> Vec<Money> {
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let sign = self.minor.signum();
        let whole = u128::from(self.minor.unsigned_abs());
        if total == 0 {
            let mut parts = vec![Money::zero(self.currency); weights.len()];
            if let Some(first) = parts.first_mut() {
                *first = self;
            }
            return parts;
        }
        // whole < 2^63 and a weight < 2^64, so every product fits in 128 bits.
        let exact = |weight: &u64| whole.saturating_mul(u128::from(*weight));
        let mut floors: Vec<u128> = weights
            .iter()
            .map(|weight| exact(weight).checked_div(total).unwrap_or(0))
            .collect();
        let given: u128 = floors.iter().sum();
        let mut left = whole.saturating_sub(given);
        let mut order: Vec<usize> = (0..weights.len()).collect();
        let remainder = |at: usize| {
            weights
                .get(at)
                .map_or(0, |weight| exact(weight).checked_rem(total).unwrap_or(0))
        };
        order.sort_by(|a, b| remainder(*b).cmp(&remainder(*a)).then(a.cmp(b)));
        for at in order {
            if left == 0 {
                break;
            }
            if let Some(floor) = floors.get_mut(at) {
                *floor = floor.saturating_add(1);
                left = left.saturating_sub(1);
            }
        }
        floors
            .into_iter()
            .map(|part| {
                let part = i64::try_from(part).expect("a part is no larger than the whole");
                Money::new(part.saturating_mul(sign), self.currency)
            })
            .collect()
    }

    /// Reads a decimal string such as `"12.50"`.
    ///
    /// # Errors
    /// A sign, exponent, separator or non-ASCII digit; more decimals than the currency has; a number that
    /// does not fit.
    pub fn parse(text: &str, currency: Currency) -> Result<Money, AmountError> {
        let digits = usize::from(currency.exponent());
        let (whole, decimals) = match text.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return Err(AmountError::Malformed),
            None => (text, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return Err(AmountError::Malformed);
        }
        if decimals.len() > digits {
            return Err(AmountError::TooPrecise);
        }
        let mut minor: i64 = 0;
        let padding = digits.saturating_sub(decimals.len());
        let zeros = std::iter::repeat_n(b'0', padding);
        for byte in whole.bytes().chain(decimals.bytes()).chain(zeros) {
            let digit = i64::from(byte.saturating_sub(b'0'));
            minor = minor
                .checked_mul(10)
                .and_then(|minor| minor.checked_add(digit))
                .ok_or(AmountError::TooLarge)?;
        }
        Ok(Money::new(minor, currency))
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch)
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.exponent());
        let sign = if self.minor < 0 { "-" } else { "" };
        let width = digits.saturating_add(1);
        let text = format!("{:0>width$}", self.minor.unsigned_abs());
        let (whole, decimals) = text.split_at(text.len().saturating_sub(digits));
        if digits == 0 {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{decimals}")
        }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", self.currency)
    }
}

/// On the wire an amount is its decimal string; the currency stands beside it.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "the oracle counts in 128 bits, far from their limits"
    )]

    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::from_code("EUR").expect("EUR"))
    }

    #[test]
    fn shows_exactly_the_digits_of_the_currency() {
        for (minor, code, shown) in [
            (5997, "EUR", "59.97"),
            (5997, "JPY", "5997"),
            (5997, "KWD", "5.997"),
            (5, "EUR", "0.05"),
            (0, "EUR", "0.00"),
            (-5, "EUR", "-0.05"),
            (7, "CLF", "0.0007"),
        ] {
            let currency = Currency::from_code(code).expect(code);
            assert_eq!(Money::new(minor, currency).to_string(), shown);
        }
    }

    #[test]
    fn input_may_have_fewer_digits_but_never_more() {
        let eur = Currency::from_code("EUR").expect("EUR");
        let jpy = Currency::from_code("JPY").expect("JPY");
        assert_eq!(Money::parse("1", eur).map(Money::minor), Ok(100));
        assert_eq!(Money::parse("1.5", eur).map(Money::minor), Ok(150));
        assert_eq!(Money::parse("1.005", eur), Err(AmountError::TooPrecise));
        assert_eq!(Money::parse("0.5", jpy), Err(AmountError::TooPrecise));
        for text in [
            "", ".", "1.", ".5", "-1", "+5", "1e3", "1_000", "1,5", " 1", "1 ", "٥", "NaN", "0x1",
            "1.2.3", "Infinity",
        ] {
            assert_eq!(
                Money::parse(text, eur),
                Err(AmountError::Malformed),
                "{text}"
            );
        }
        let huge = "9".repeat(30);
        assert_eq!(Money::parse(&huge, eur), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn every_amount_of_every_currency_round_trips(minor in 0..i64::MAX) {
            for currency in Currency::all() {
                let money = Money::new(minor, currency);
                prop_assert_eq!(Money::parse(&money.to_string(), currency), Ok(money));
            }
        }

        /// A decimal library reads what is shown and shows what is read.
        #[test]
        fn a_decimal_library_agrees_in_every_currency(minor in 0..i64::MAX) {
            for currency in Currency::all() {
                let money = Money::new(minor, currency);
                let decimal = Decimal::new(minor, u32::from(currency.exponent()));
                prop_assert_eq!(money.to_string(), decimal.to_string());
                prop_assert_eq!(money.to_string().parse::<Decimal>(), Ok(decimal));
                let shortest = decimal.normalize().to_string();
                prop_assert_eq!(Money::parse(&shortest, currency), Ok(money));
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}") {
            let _ = Money::parse(&text, Currency::from_code("KWD").expect("KWD"));
        }

        #[test]
        fn allocation_sums_to_the_whole_and_is_fair(
            minor in -1_000_000_000_000_i64..1_000_000_000_000,
            weights in proptest::collection::vec(0_u64..10_000_000, 1..40),
        ) {
            let whole = eur(minor);
            let parts = whole.allocate(&weights);
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(Money::sum(whole.currency(), parts.iter().copied()), Ok(whole));
            let total: u64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                if total > 0 {
                    let exact = i128::from(minor) * i128::from(*weight);
                    let off = i128::from(part.minor()) * i128::from(total) - exact;
                    prop_assert!(off.abs() < i128::from(total), "within one unit of its share");
                }
            }
        }

        #[test]
        fn addition_is_checked(a in any::<i64>(), b in any::<i64>()) {
            let sum = eur(a).checked_add(eur(b));
            match a.checked_add(b) {
                Some(minor) => prop_assert_eq!(sum, Ok(eur(minor))),
                None => prop_assert_eq!(sum, Err(MoneyError::Overflow)),
            }
        }
    }
}
