//! Stripe's minor units, from its own documentation and deliberately not from Till's table: if one
//! of the two is wrong, the other must not agree with it.

const ZERO_DECIMAL: [&str; 15] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
];
const THREE_DECIMAL: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];
/// Sent with two decimals that must be zero.
const WHOLE_ONLY: [&str; 2] = ["isk", "ugx"];

/// Currencies that Stripe charges in.
const SUPPORTED: &str = "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd \
    bob brl bsd bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp \
    gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw \
    kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio \
    nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos \
    srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer \
    zar zmw";

/// The most that a card payment can be: twelve digits.
pub const AMOUNT_MAX: i64 = 999_999_999_999;

/// Whether Stripe can charge in the currency.
pub fn is_supported(currency: &str) -> bool {
    currency.len() == 3 && SUPPORTED.split(' ').any(|known| known == currency)
}

/// Why an amount can't be charged in its currency, if so.
pub fn fault_in(amount: i64, currency: &str) -> Option<String> {
    if WHOLE_ONLY.contains(&currency) && amount % 100 != 0 {
        return Some(format!(
            "Invalid amount. Amounts in {currency} must be a multiple of 100 (no decimal part)."
        ));
    }
    if THREE_DECIMAL.contains(&currency) && amount % 10 != 0 {
        return Some(format!(
            "Invalid amount. Three-decimal amounts in {currency} must end in 0 (the last digit is \
             not supported)."
        ));
    }
    None
}

/// An amount for people, such as `1,234.50 USD` or `5 UGX`.
pub fn display(amount: i64, currency: &str) -> String {
    let digits = match currency {
        c if ZERO_DECIMAL.contains(&c) => 0,
        c if THREE_DECIMAL.contains(&c) => 3,
        _ => 2,
    };
    let scale = 10_u64.pow(digits);
    let magnitude = amount.unsigned_abs();
    let mut text = grouped(magnitude / scale);
    let hidden = WHOLE_ONLY.contains(&currency) && magnitude.is_multiple_of(scale);
    if digits > 0 && !hidden {
        let width = usize::try_from(digits).unwrap_or(2);
        text.push_str(&format!(".{:0width$}", magnitude % scale));
    }
    let sign = if amount < 0 { "-" } else { "" };
    format!("{sign}{text} {}", currency.to_uppercase())
}

fn grouped(whole: u64) -> String {
    let digits = whole.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_with_their_own_digits() {
        assert_eq!(display(123_450, "usd"), "1,234.50 USD");
        assert_eq!(display(500, "jpy"), "500 JPY");
        assert_eq!(display(500, "ugx"), "5 UGX");
        assert_eq!(display(5_120, "kwd"), "5.120 KWD");
        assert_eq!(display(-7, "eur"), "-0.07 EUR");
    }

    #[test]
    fn special_currencies_refuse_what_stripe_refuses() {
        assert!(fault_in(550, "isk").is_some());
        assert!(fault_in(5_124, "kwd").is_some());
        assert!(fault_in(500, "isk").is_none());
        assert!(fault_in(1, "usd").is_none());
        assert!(is_supported("mga") && !is_supported("xyz") && !is_supported("USD"));
    }
}
