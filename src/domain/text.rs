//! Text callers give: bounds and forms, each rule once.

use serde::{Serialize as _, Serializer};

use super::card_number::{has_card_within, holds_card_number};

/// Why a text is refused; the sentence follows the name of the field.
pub type TextError = String;

/// A text of 1 to `max` characters without control characters, kept exactly as given.
///
/// # Errors
/// An empty or too long text, or one with NUL or other control characters.
pub fn plain(text: &str, max: usize) -> Result<String, TextError> {
    bounded(text, max, char::is_control)
}

/// A text as [`plain`], which may have line breaks and tabs.
///
/// # Errors
/// As [`plain`].
pub fn prose(text: &str, max: usize) -> Result<String, TextError> {
    bounded(text, max, |c| c.is_control() && !"\n\r\t".contains(c))
}

fn bounded(text: &str, max: usize, refused: fn(char) -> bool) -> Result<String, TextError> {
    let count = text.chars().count();
    if count == 0 || text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if count > max {
        return Err(format!("must have at most {max} characters"));
    }
    if text.chars().any(refused) {
        return Err("must not contain control characters".to_owned());
    }
    if holds_card_number(text) {
        return Err(CARD_NUMBER.to_owned());
    }
    Ok(text.to_owned())
}

/// Why a text with a card's number is refused.
pub const CARD_NUMBER: &str = "looks like a card number, which Till must never receive";

/// A text of signs, not of words, in which a card's number may have been put by mistake.
fn without_card(text: &str) -> Result<String, TextError> {
    match has_card_within(text) {
        true => Err(CARD_NUMBER.to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// A SKU: letters, digits, dot, underscore and hyphen.
///
/// # Errors
/// Anything else, or more than 64 characters.
pub fn sku(text: &str) -> Result<String, TextError> {
    let fits = (1..=64).contains(&text.len());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if fits && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 letters, digits, dots, underscores or hyphens".to_owned())
    }
}

/// A SKU that is to be stored, or a word like it.
///
/// # Errors
/// As [`sku`], and a card's number. Numbers of 14 digits are let through: many barcodes have as many.
pub fn new_sku(text: &str) -> Result<String, TextError> {
    let text = sku(text)?;
    match text.bytes().filter(u8::is_ascii_digit).count() {
        0..=14 => Ok(text),
        _ => without_card(&text),
    }
}

/// An e-mail address, checked only for what every address has.
///
/// # Errors
/// No single `@` with something on both sides, white space, control characters, more than 254 characters, or a card's
/// number.
pub fn email(text: &str) -> Result<String, TextError> {
    let wrong = || "must be an e-mail address of at most 254 characters".to_owned();
    if text.chars().count() > 254 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong());
    }
    match text.rsplit_once('@') {
        Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !local.contains('@') =>
        {
            without_card(text)
        }
        _ => Err(wrong()),
    }
}

/// An absolute `http` or `https` address of at most 2,048 characters, whose host every provider can read: a
/// name of ASCII letters, digits, hyphens and underscores, or an IPv4 address.
///
/// # Errors
/// Another scheme, another host, white space or control characters, user information, a port that is none, too long, or
/// with a card's number.
pub fn url(text: &str) -> Result<String, TextError> {
    let wrong = || {
        "must be an absolute http or https URL of at most 2,048 characters, its host in ASCII"
            .to_owned()
    };
    if text.chars().count() > 2_048 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong());
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if !["https", "http"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme))
    {
        return Err(wrong());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if is_host(host) && port.is_none_or(is_port) {
        without_card(&text.replace("%20", " "))?;
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

/// A name whose last part begins with a letter, as one that begins with a digit is read as a number; or an
/// IPv4 address.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_name = last.starts_with(|c: char| c.is_ascii_alphabetic()) && host.split('.').all(label);
    let byte = |part: &str| {
        part.parse::<u8>()
            .is_ok_and(|byte| byte.to_string() == part)
    };
    is_name || (host.split('.').count() == 4 && host.split('.').all(byte))
}

fn is_port(port: &str) -> bool {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    digits && port.parse::<u16>().is_ok()
}

/// Serialises an amount without the zeros that say nothing, so that `5`, `5.0` and `05.00` are one request. What is no
/// amount stays as it is.
///
/// # Errors
/// The serialiser's.
pub fn as_shortest_amount<S: Serializer>(amount: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(shortest_amount(amount))
}

/// The same of an amount that may be left out.
///
/// # Errors
/// The serialiser's.
pub fn as_shortest_amount_if_any<S: Serializer>(
    amount: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    amount.as_deref().map(shortest_amount).serialize(serializer)
}

fn shortest_amount(text: &str) -> &str {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(decimals) {
        return text;
    }
    let short = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    let without = short.trim_start_matches('0');
    match without.is_empty() || without.starts_with('.') {
        // One nought stands before the point.
        true => short
            .get(short.len().saturating_sub(without.len()).saturating_sub(1)..)
            .unwrap_or(short),
        false => without,
    }
}

/// The origin of an absolute address, as browsers write it: its scheme and host in lower case, and its port unless it is
/// the scheme's own.
#[must_use]
pub fn origin(url: &str) -> String {
    let written = written_origin(url).to_ascii_lowercase();
    let own_port = match written.starts_with("http:") {
        true => ":80",
        false => ":443",
    };
    match written.strip_suffix(own_port) {
        Some(without) => without.to_owned(),
        None => written,
    }
}

fn written_origin(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at.saturating_add(3));
    let rest = url.get(after_scheme..).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    url.get(..after_scheme.saturating_add(end)).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_every_script_and_refuse_control_characters() {
        for good in ["Ada", "مرحبا", "👩‍🚀", "O'Neil \u{202e}x", "名前"] {
            assert_eq!(plain(good, 200).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "  ",
            "a\0b",
            "a\u{7}",
            &"x".repeat(201),
            "4242 4242 4242 4242",
        ] {
            assert!(plain(bad, 200).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn amounts_without_zeros_that_say_nothing() {
        for (text, short) in [
            ("5", "5"),
            ("05.00", "5"),
            ("5.10", "5.1"),
            ("0.50", "0.5"),
            ("00", "0"),
            ("0.00", "0"),
            ("100", "100"),
            ("5.", "5."),
            (".50", ".50"),
            ("+5.0", "+5.0"),
            ("5.0e1", "5.0e1"),
            ("", ""),
        ] {
            assert_eq!(shortest_amount(text), short, "{text}");
        }
    }

    #[test]
    fn origins_are_as_browsers_write_them() {
        for (url, said) in [
            ("https://Shop.Example/a?b#c", "https://shop.example"),
            ("HTTPS://shop.example:443", "https://shop.example"),
            ("https://shop.example:8443/", "https://shop.example:8443"),
            ("http://localhost:80/x", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("https://shop.example:80", "https://shop.example:80"),
        ] {
            assert_eq!(origin(url), said);
        }
    }

    #[test]
    fn addresses() {
        for good in ["ada@example.com", "a+b@localhost", "ü@exämple.de"] {
            assert!(email(good).is_ok(), "{good}");
        }
        for bad in ["ada", "@b", "a@", "a b@c", "a@b@c", "a@b\n"] {
            assert!(email(bad).is_err(), "{bad}");
        }
        for good in [
            "https://shop.example/ok?o={ORDER_ID}",
            "http://127.0.0.1:3000/x",
            "http://localhost:00080?ä",
            "https://xn--exmple-cua.de#x",
            "https://a_b.c-d.e1",
            "HTTPS://shop.example/4006381333932",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "ftp://x",
            "/relative",
            "https://",
            "https://u@h/",
            "javascript:alert(1)",
            "https://a b",
            "https://exämple.de",
            "https://shop.example.",
            "https://1.2.3",
            "https://1.2.3.256",
            "https://shop.example:",
            "https://shop.example:65536",
            "https://shop.example:+80",
            "https://sh>op.example",
            "https://[::1]/",
            "https://shop.example/?card=4242424242424242",
            "shop.example",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(email("4242424242424242@example.com").is_err());
        assert!(new_sku("4242-4242-4242-4242").is_err());
        for kept in ["30084518196793", "39681705337428", "mug-4006381333932"] {
            assert!(new_sku(kept).is_ok(), "{kept}");
        }
        assert!(url("https://a.example/?c=4242%204242%204242%204242").is_err());
    }
}
