//! Stripe's minor units: what one unit of an integer `amount` is worth, currency by currency.
//!
//! Stripe counts some currencies otherwise than ISO 4217 (ISK, UGX and MGA) and accepts some amounts only when
//! they are round, so a conversion is either exact or refused: nothing is ever rounded. Which of these
//! currencies an account may charge in depends on its country; Stripe answers that itself.

use crate::domain::currency::Currency;
use crate::domain::money::Money;
use crate::provider::NotChargeable;

/// Currencies whose amounts Stripe counts in whole units.
const ZERO_DECIMAL: [&str; 15] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];

/// Currencies Stripe counts in thousandths, of which it takes only whole hundredths.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// Currencies without minor units that Stripe still counts in hundredths, which must be zero.
const WHOLE_AS_TWO_DECIMAL: [&str; 2] = ["ISK", "UGX"];

/// Codes that nobody can be charged in: units of account and funds codes, and currencies with more decimals
/// than Stripe's two for anything it does not list (IQD and LYD have three).
const NOT_CHARGED: [&str; 12] = [
    "BOV", "CHE", "CHW", "CLF", "COU", "IQD", "LYD", "MXV", "USN", "UYI", "UYW", "XAD",
];

/// The most Stripe's `amount` can be: twelve digits.
const MAX_WIRE: i64 = 999_999_999_999;

/// How a currency is counted on Stripe's wire.
struct Counting {
    /// Decimal digits of the wire's integer.
    digits: u8,
    /// What the integer must be a multiple of.
    multiple: i64,
}

fn counting(currency: Currency) -> Option<Counting> {
    let code = currency.code();
    let (digits, multiple) = if NOT_CHARGED.contains(&code) {
        return None;
    } else if ZERO_DECIMAL.contains(&code) {
        (0, 1)
    } else if THREE_DECIMAL.contains(&code) {
        (3, 10)
    } else if WHOLE_AS_TWO_DECIMAL.contains(&code) {
        (2, 100)
    } else {
        (2, 1)
    };
    Some(Counting { digits, multiple })
}

/// The integer Stripe wants for an amount.
///
/// # Errors
/// [`NotChargeable`] when no integer stands for exactly this amount, or Stripe refuses the one that does.
pub fn to_wire(amount: Money) -> Result<i64, NotChargeable> {
    let currency = amount.currency();
    let refuse = |why: &str| Err(NotChargeable(format!("{amount} {currency}: {why}")));
    let Some(counting) = counting(currency) else {
        return refuse("Stripe does not charge in this currency");
    };
    if amount.minor() < 0 {
        return refuse("Stripe does not charge negative amounts");
    }
    let Some(wire) = rescale(amount.minor(), currency.exponent(), counting.digits) else {
        return refuse("Stripe counts this currency in larger units");
    };
    if wire > MAX_WIRE {
        return refuse("Stripe charges at most twelve digits");
    }
    if wire.checked_rem(counting.multiple) != Some(0) {
        return refuse("Stripe takes only rounder amounts of this currency");
    }
    Ok(wire)
}

/// The amount that an integer of Stripe's stands for, in the currency of a lower-case code.
///
/// What Stripe says is read even when Till could not have asked for it, as long as it can be said exactly.
/// None for an unknown code, a negative number, or an amount that is not whole in ISO's minor units.
#[must_use]
pub fn from_wire(wire: i64, code: &str) -> Option<Money> {
    if wire < 0 || !code.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let currency = Currency::from_code(&code.to_ascii_uppercase()).ok()?;
    let minor = rescale(wire, counting(currency)?.digits, currency.exponent())?;
    Some(Money::new(minor, currency))
}

/// Moves the decimal point of `value`, or nothing when a digit would be lost or the result does not fit.
fn rescale(value: i64, from_digits: u8, to_digits: u8) -> Option<i64> {
    let power = |digits: u8| 10_i64.checked_pow(u32::from(digits));
    if to_digits >= from_digits {
        value.checked_mul(power(to_digits - from_digits)?)
    } else {
        let divisor = power(from_digits - to_digits)?;
        let exact = value.checked_rem(divisor)? == 0;
        if exact {
            value.checked_div(divisor)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(text: &str, code: &str) -> Money {
        let currency = Currency::from_code(code).expect(code);
        Money::parse(text, currency).expect(text)
    }

    #[test]
    fn amounts_are_counted_as_stripe_documents() {
        for (text, code, wire) in [
            ("10.00", "USD", 1_000),
            ("10.45", "HUF", 1_045),
            ("800.45", "TWD", 80_045),
            ("500", "JPY", 500),
            ("5", "ISK", 500),
            ("5", "UGX", 500),
            ("12", "MGA", 12),
            ("5.120", "KWD", 5_120),
            ("5.130", "TND", 5_130),
            ("1", "CLP", 1),
            ("0", "EUR", 0),
            ("9999999999.99", "EUR", 999_999_999_999),
        ] {
            let amount = money(text, code);
            assert_eq!(to_wire(amount), Ok(wire), "{text} {code}");
            assert_eq!(from_wire(wire, &code.to_lowercase()), Some(amount));
        }
    }

    #[test]
    fn what_cannot_be_charged_exactly_is_refused() {
        for (text, code) in [
            ("12.50", "MGA"),
            ("5.124", "KWD"),
            ("0.001", "BHD"),
            ("1.000", "IQD"),
            ("1.000", "LYD"),
            ("1.0000", "CLF"),
            ("1", "UYI"),
            ("1.00", "USN"),
            ("10000000000.00", "EUR"),
            ("10000000000", "ISK"),
        ] {
            assert!(to_wire(money(text, code)).is_err(), "{text} {code}");
        }
        let negative = Money::new(-1, money("1", "EUR").currency());
        assert!(to_wire(negative).is_err());
    }

    #[test]
    fn what_cannot_be_said_exactly_is_not_read() {
        for (wire, code) in [
            (550, "isk"),
            (501, "ugx"),
            (-1, "eur"),
            (100, "EUR"),
            (100, "Eur"),
            (100, "btc"),
            (100, ""),
            (100, "clf"),
            (i64::MAX, "mga"),
        ] {
            assert_eq!(from_wire(wire, code), None, "{wire} {code}");
        }
        // Odd thousandths cannot be asked for, but can be reported.
        assert_eq!(from_wire(5_124, "kwd"), Some(money("5.124", "KWD")));
    }

    #[test]
    fn every_listed_code_exists() {
        let listed = ZERO_DECIMAL.iter().chain(&THREE_DECIMAL);
        for code in listed.chain(&WHOLE_AS_TWO_DECIMAL).chain(&NOT_CHARGED) {
            assert!(Currency::from_code(code).is_ok(), "{code}");
        }
    }

    #[test]
    fn no_chargeable_currency_has_more_decimals_than_its_wire_except_ariary() {
        for currency in Currency::all() {
            let Some(counting) = counting(currency) else {
                continue;
            };
            let finer = currency.exponent() > counting.digits;
            assert_eq!(finer, currency.code() == "MGA", "{currency}");
        }
    }

    proptest! {
        #[test]
        fn every_currency_round_trips_or_is_refused(minor in 0..10_000_000_000_000_i64) {
            for currency in Currency::all() {
                let amount = Money::new(minor, currency);
                if let Ok(wire) = to_wire(amount) {
                    let code = currency.code().to_lowercase();
                    prop_assert_eq!(from_wire(wire, &code), Some(amount));
                }
            }
        }

        #[test]
        fn whatever_the_wire_says_is_read_exactly_or_not_at_all(wire in any::<i64>()) {
            for currency in Currency::all() {
                let code = currency.code().to_lowercase();
                let again = from_wire(wire, &code).map(to_wire);
                if let Some(Ok(again)) = again {
                    prop_assert_eq!(again, wire);
                }
            }
        }

        #[test]
        fn whole_amounts_of_every_chargeable_currency_can_be_charged(whole in 0..1_000_000_i64) {
            for currency in Currency::all() {
                let unit = 10_i64.pow(u32::from(currency.exponent()));
                let charged = to_wire(Money::new(whole * unit, currency)).is_ok();
                prop_assert_eq!(charged, !NOT_CHARGED.contains(&currency.code()));
            }
        }
    }
}
