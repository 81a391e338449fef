//! Amounts as people type them: with a dot or a comma before the decimals, with separators between thousands, with the
//! currency beside them. What can be read in two ways is refused, and money is never guessed.

use super::currency::Currency;
use super::money::{AmountError, Money};

/// What may stand between thousands.
const BETWEEN_THOUSANDS: [char; 8] = [
    ' ', '\u{a0}', '\u{2009}', '\u{202f}', '\'', '\u{2019}', '.', ',',
];

/// Signs of currencies that are one currency's alone, or are taken for one.
const SIGNS: [(&str, &str); 3] = [("\u{20ac}", "EUR"), ("\u{a3}", "GBP"), ("$", "USD")];

/// Why what was typed is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// Nothing that reads as an amount.
    #[error("is not an amount")]
    NoAmount,
    /// In another currency than the money is.
    #[error("is in another currency")]
    OtherCurrency,
    /// One separator with three digits behind it: thousands or decimals. Each is given so that it has one meaning;
    /// no decimals where the currency does not have so many.
    #[error("can be read in two ways")]
    TwoWays {
        /// What to write when the separator stands between thousands.
        thousands: String,
        /// What to write when it stands before decimals.
        decimals: Option<String>,
    },
    /// An amount that the currency cannot have.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// Reads an amount of a currency.
///
/// Digits may have one dot or comma before the decimals. Between thousands may stand spaces, apostrophes, or the other
/// of dot and comma; groups are of three digits then. The currency may stand before or behind, as its code or, for the
/// euro, the pound and the US dollar, as its sign. A single dot or comma with three digits behind it is read only
/// where it can have one meaning: in a currency without decimals, after more than three digits, or after a zero.
///
/// # Errors
/// See [`TypedError`].
pub fn typed_amount(text: &str, currency: Currency) -> Result<Money, TypedError> {
    let digits = without_currency(text.trim(), currency)?;
    let separator = |c: char| matches!(c, '.' | ',');
    let kinds = ['.', ','].map(|kind| digits.matches(kind).count());
    let (whole, decimals) = match (digits.rfind(separator), kinds) {
        (None, _) => (digits, ""),
        // Several of one kind stand between thousands.
        (Some(_), [0, 2..=usize::MAX] | [2..=usize::MAX, 0]) => (digits, ""),
        (Some(at), kinds) => {
            let (whole, rest) = digits.split_at(at);
            let decimals = rest.get(1..).unwrap_or_default();
            let once = kinds.iter().sum::<usize>() == 1;
            let group = once && is_group(decimals) && may_lead_groups(whole);
            match (group, currency.exponent()) {
                (true, 0) => (digits, ""),
                (true, _) => return Err(two_ways(whole, decimals, currency)),
                (false, _) if decimals.is_empty() => return Err(TypedError::NoAmount),
                (false, _) => (whole, decimals),
            }
        }
    };
    let whole = without_groups(whole)?;
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TypedError::NoAmount);
    }
    let text = match decimals {
        "" => whole,
        decimals => format!("{whole}.{decimals}"),
    };
    Ok(Money::parse(&text, currency)?)
}

fn is_group(digits: &str) -> bool {
    digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether digits may stand before the first separator of thousands: one to three, and no zero in front.
fn may_lead_groups(digits: &str) -> bool {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && (1..=3).contains(&digits.len()) && !digits.starts_with('0')
}

fn two_ways(whole: &str, decimals: &str, currency: Currency) -> TypedError {
    TypedError::TwoWays {
        thousands: format!("{whole}{decimals}"),
        // Where three decimals are possible, a zero in front says that these are some.
        decimals: (currency.exponent() > 2).then(|| format!("0{whole}.{decimals}")),
    }
}

/// The digits of a whole number, without what stands between its groups.
fn without_groups(whole: &str) -> Result<String, TypedError> {
    let between = whole.chars().find(|c| !c.is_ascii_digit());
    let groups: Vec<&str> = match between {
        Some(c) if BETWEEN_THOUSANDS.contains(&c) => whole.split(c).collect(),
        Some(_) => return Err(TypedError::NoAmount),
        None => vec![whole],
    };
    match groups.as_slice() {
        [] | [""] => Err(TypedError::NoAmount),
        [_] => Ok(whole.to_owned()),
        [first, rest @ ..]
            if may_lead_groups(first) && rest.iter().all(|group| is_group(group)) =>
        {
            Ok(groups.concat())
        }
        _ => Err(TypedError::NoAmount),
    }
}

/// What is left when the currency in front or behind is taken away.
fn without_currency(text: &str, currency: Currency) -> Result<&str, TypedError> {
    let is_digit = |c: char| c.is_ascii_digit();
    let first = text.find(is_digit).ok_or(TypedError::NoAmount)?;
    let (front, rest) = text.split_at(first);
    let digits = rest.trim_end_matches(|c| !is_digit(c));
    let behind = rest.strip_prefix(digits).unwrap_or_default();
    for beside in [front.trim(), behind.trim()] {
        let sign = SIGNS.iter().find(|(sign, _)| *sign == beside);
        let code = sign.map_or(beside, |(_, code)| code);
        let letters = code.chars().all(char::is_alphabetic);
        match code.eq_ignore_ascii_case(currency.code()) {
            _ if code.is_empty() => {}
            true => {}
            false if letters => return Err(TypedError::OtherCurrency),
            false => return Err(TypedError::NoAmount),
        }
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    //! Whatever people type is read as they mean it or refused, and never as something else.

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, code: &str) -> Result<String, TypedError> {
        let currency = Currency::from_code(code).expect(code);
        typed_amount(text, currency).map(|money| money.to_string())
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (typed, code, amount) in [
            ("5.50", "EUR", "5.50"),
            ("5,50", "EUR", "5.50"),
            (" 5,5 ", "EUR", "5.50"),
            ("5", "EUR", "5.00"),
            ("5 EUR", "EUR", "5.00"),
            ("5eur", "EUR", "5.00"),
            ("EUR 5,50", "EUR", "5.50"),
            ("\u{20ac}5.50", "EUR", "5.50"),
            ("5,50\u{a0}\u{20ac}", "EUR", "5.50"),
            ("$5.50", "USD", "5.50"),
            ("1,234.56", "EUR", "1234.56"),
            ("1.234,56", "EUR", "1234.56"),
            ("1 234,56", "EUR", "1234.56"),
            ("1\u{202f}234,56", "EUR", "1234.56"),
            ("1'234.50", "CHF", "1234.50"),
            ("1,234,567", "EUR", "1234567.00"),
            ("1.234.567,8", "EUR", "1234567.80"),
            ("1250", "EUR", "1250.00"),
            ("3.900 JPY", "JPY", "3900"),
            ("3,900", "JPY", "3900"),
            ("05.997", "KWD", "5.997"),
            ("0,997", "KWD", "0.997"),
            ("1234.500", "KWD", "1234.500"),
            ("1 234,500", "KWD", "1234.500"),
        ] {
            assert_eq!(read(typed, code).as_deref(), Ok(amount), "{typed} {code}");
        }
    }

    #[test]
    fn what_has_two_meanings_has_none() {
        for (typed, code, decimals) in [
            ("1.250", "EUR", None),
            ("1,250", "EUR", None),
            ("EUR 12.500", "EUR", None),
            ("5.997", "KWD", Some("05.997")),
            ("5,997", "KWD", Some("05.997")),
        ] {
            let Err(TypedError::TwoWays {
                thousands,
                decimals: found,
            }) = read(typed, code)
            else {
                panic!("{typed} {code} was read");
            };
            assert_eq!(found.as_deref(), decimals, "{typed}");
            // What is proposed instead has one meaning.
            for proposed in found.into_iter().chain([thousands]) {
                assert!(read(&proposed, code).is_ok(), "{proposed}");
            }
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        use AmountError::{TooLarge, TooPrecise};
        for (typed, code, why) in [
            ("", "EUR", TypedError::NoAmount),
            ("five", "EUR", TypedError::NoAmount),
            ("-5", "EUR", TypedError::NoAmount),
            ("5-", "EUR", TypedError::NoAmount),
            ("5.", "EUR", TypedError::NoAmount),
            (",50", "EUR", TypedError::NoAmount),
            ("1e3", "EUR", TypedError::NoAmount),
            ("5 00", "EUR", TypedError::NoAmount),
            ("12,34,567", "EUR", TypedError::NoAmount),
            ("1,234.567.890", "EUR", TypedError::NoAmount),
            ("1.234,567,890", "EUR", TypedError::NoAmount),
            ("1,234 567", "EUR", TypedError::NoAmount),
            ("0,123,456", "EUR", TypedError::NoAmount),
            ("\u{665}", "EUR", TypedError::NoAmount),
            ("5 USD", "EUR", TypedError::OtherCurrency),
            ("$5", "AUD", TypedError::OtherCurrency),
            ("5 pieces", "EUR", TypedError::OtherCurrency),
            ("0.001", "EUR", TooPrecise.into()),
            ("1,234.567", "EUR", TooPrecise.into()),
            ("3,9", "JPY", TooPrecise.into()),
            ("99999999999999999999", "EUR", TooLarge.into()),
        ] {
            assert_eq!(read(typed, code), Err(why), "{typed} {code}");
        }
    }

    /// An amount as it is written in some language.
    fn written(money: Money, thousands: &str, point: &str) -> String {
        let text = money.to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && whole.len().saturating_sub(at).is_multiple_of(3) {
                grouped.push_str(thousands);
            }
            grouped.push(digit);
        }
        match decimals {
            "" => grouped,
            decimals => format!("{grouped}{point}{decimals}"),
        }
    }

    proptest! {
        #[test]
        fn an_amount_is_read_as_it_was_written_or_not_at_all(
            minor in prop_oneof![0..10_000i64, 0..=i64::MAX],
            currency in prop::sample::select(Currency::all().collect::<Vec<_>>()),
            (thousands, point) in prop::sample::select(vec![
                (",", "."), (".", ","), ("\u{a0}", ","), ("\u{202f}", ","), ("\u{2019}", "."), ("", "."), ("", ","),
            ]),
            behind in any::<bool>(),
        ) {
            let money = Money::new(minor, currency);
            let text = written(money, thousands, point);
            let text = match behind {
                true => format!("{text} {}", currency.code()),
                false => text,
            };
            match typed_amount(&text, currency) {
                Ok(read) => prop_assert_eq!(read, money),
                Err(TypedError::TwoWays { .. }) => {}
                Err(why) => prop_assert!(false, "{} {:?}", text, why),
            }
        }

        #[test]
        fn nothing_else_than_digits_makes_an_amount(text in "[0-9 .,'A-Za-z$-]{0,12}") {
            let currency = Currency::from_code("EUR").expect("EUR");
            if let Ok(read) = typed_amount(&text, currency) {
                let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                let (typed, read) = (digits(&text), digits(&read.to_string()));
                let typed = typed.trim_start_matches('0');
                let read = read.trim_start_matches('0');
                prop_assert!(read.starts_with(typed) || typed.is_empty(), "{} {}", text, read);
            }
        }
    }
}
