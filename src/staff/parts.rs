//! The parts pages are made of: each is one function, used in templates as in `{{ parts::money(total) }}`.
//!
//! They are templates themselves, in `templates/parts/`, and escape what they are given; so a page may show them as
//! they are. Pages use these instead of markup of their own. Askama passes a template's fields by reference and
//! everything else as it is; so they take both.

use askama::Template;
use askama::filters::HtmlSafe;

use super::words;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

/// A value, or a reference to one however deep: templates hand over both.
pub trait Given<T> {
    /// The value.
    fn given(&self) -> T;
}

impl<T, G: Given<T> + ?Sized> Given<T> for &G {
    fn given(&self) -> T {
        (**self).given()
    }
}

macro_rules! given {
    ($($type:ty)*) => {$(
        impl Given<$type> for $type {
            fn given(&self) -> $type {
                *self
            }
        }
    )*};
}

given! { Tone Money Timestamp }

/// Makes a part: its struct, shown without being escaped once more.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? = $path:literal { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Template)]
        #[template(path = $path, config = "src/staff/templates/askama.toml")]
        pub struct $name $(<$life>)? { $($field: $type,)* }

        impl $(<$life>)? HtmlSafe for $name $(<$life>)? {}
    };
}

/// What a state means to the reader; always shown with its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Neutral,
    /// As it should be.
    Good,
    /// Under way.
    Info,
    /// Needs a look.
    Warn,
    /// Went wrong.
    Bad,
}

impl Tone {
    /// The class it has in the style sheet.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Tone::Neutral => "neutral",
            Tone::Good => "good",
            Tone::Info => "info",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
        }
    }
}

part! {
    /// A state, as a word with a quiet colour.
    Badge<'a> = "parts/badge.html" { tone: Tone, text: &'a str, }
}

/// A state, as a word with a quiet colour.
#[must_use]
pub fn badge(tone: impl Given<Tone>, text: &str) -> Badge<'_> {
    let tone = tone.given();
    Badge { tone, text }
}

part! {
    /// What a code says, with the code for whoever needs it.
    Coded<'a> = "parts/coded.html" { text: Option<&'a str>, code: &'a str, }
}

/// What a code says, with the code for whoever needs it; the code alone where there are no words for it.
#[must_use]
pub fn coded<'a>(text: Option<&'a str>, code: &'a str) -> Coded<'a> {
    Coded { text, code }
}

part! {
    /// An amount with its currency; the script writes its digits as the reader's language does.
    Amount = "parts/money.html" { number: String, plain: String, currency: &'static str, negative: bool, }
}

/// An amount with its currency, with separators between thousands.
#[must_use]
pub fn money(money: impl Given<Money>) -> Amount {
    let money = money.given();
    Amount {
        number: number(&money),
        plain: plain(&money),
        currency: money.currency().code(),
        negative: money.minor() < 0,
    }
}

/// An amount as text, for titles and sentences: `−1,234.50 EUR`.
#[must_use]
pub fn money_text(money: &Money) -> String {
    format!("{} {}", number(money), money.currency().code())
}

/// The digits of an amount without its sign, as programs read them: `1234.50`.
#[must_use]
pub fn plain(money: &Money) -> String {
    number(money)
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '.')
        .collect()
}

fn number(money: &Money) -> String {
    let digits = money.minor().unsigned_abs().to_string();
    let exponent = usize::from(money.currency().exponent());
    let padded = format!("{digits:0>width$}", width = exponent + 1);
    let (whole, fraction) = padded.split_at(padded.len() - exponent);
    let mut text = String::new();
    if money.minor() < 0 {
        text.push_str(words::parts::MINUS);
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

part! {
    /// A point in time; the script rewrites it to the reader's zone.
    When = "parts/when.html" { iso: String, text: String, }
}

/// A point in time.
#[must_use]
pub fn when(at: impl Given<Timestamp>) -> When {
    let at = at.given();
    When {
        iso: at.to_string(),
        text: when_text(&at),
    }
}

/// A point in time as text: `3 May 2026, 14:02 UTC`.
#[must_use]
pub fn when_text(at: &Timestamp) -> String {
    let iso = at.to_string();
    let part = |range: std::ops::Range<usize>| iso.get(range).unwrap_or_default();
    let month: usize = part(5..7).parse().unwrap_or(1);
    let month = words::parts::MONTHS.get(month.saturating_sub(1));
    format!(
        "{} {} {}, {} {}",
        part(8..10).trim_start_matches('0'),
        month.copied().unwrap_or_default(),
        part(0..4),
        part(11..16),
        words::parts::UTC
    )
}

part! {
    /// What would be here, and how it comes about.
    Empty<'a> = "parts/empty.html" { title: &'a str, text: &'a str, command: Option<&'a str>, }
}

/// What would be here, and how it comes about.
#[must_use]
pub fn empty<'a>(title: &'a str, text: &'a str) -> Empty<'a> {
    Empty {
        title,
        text,
        command: None,
    }
}

impl<'a> Empty<'a> {
    /// With the command that makes one.
    #[must_use]
    pub fn command(mut self, command: &'a str) -> Self {
        self.command = Some(command);
        self
    }
}

part! {
    /// A field of a form with its label, and what is wrong with it.
    Field<'a> = "parts/field.html" {
        name: &'a str,
        label: &'a str,
        value: &'a str,
        kind: &'a str,
        autocomplete: &'a str,
        hint: Option<&'a str>,
        wrong: Option<&'a str>,
        required: bool,
    }
}

/// A field of a form.
#[must_use]
pub fn field<'a>(name: &'a str, label: &'a str, value: &'a str) -> Field<'a> {
    Field {
        name,
        label,
        value,
        kind: "text",
        autocomplete: "off",
        hint: None,
        wrong: None,
        required: false,
    }
}

impl<'a> Field<'a> {
    /// Of another type than text: `email`, `password`, `search`, `date`.
    #[must_use]
    pub fn kind(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    /// What browsers may fill in.
    #[must_use]
    pub fn autocomplete(mut self, autocomplete: &'a str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    /// With a sentence that helps.
    #[must_use]
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// With what is wrong with it, if anything is.
    #[must_use]
    pub fn wrong(mut self, wrong: Option<&'a str>) -> Self {
        self.wrong = wrong;
        self
    }

    /// That must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

part! {
    /// The ways to the newer and the older page of a list.
    Pager<'a> = "parts/pager.html" { newer: Option<&'a str>, older: Option<&'a str>, }
}

/// The ways to the newer and the older page of a list: their addresses, where there are such pages.
#[must_use]
pub fn pager<'a>(newer: Option<&'a str>, older: Option<&'a str>) -> Pager<'a> {
    Pager { newer, older }
}

part! {
    /// A sentence above the page: what was done, or what went wrong.
    Flash<'a> = "parts/flash.html" { tone: Tone, text: &'a str, }
}

/// A sentence above the page: what was done, or what went wrong.
#[must_use]
pub fn flash(tone: impl Given<Tone>, text: &str) -> Flash<'_> {
    let tone = tone.given();
    Flash { tone, text }
}

part! {
    /// The hidden fields of a form that acts.
    Hidden<'a> = "parts/hidden.html" { token: &'a str, key: String, }
}

/// The hidden fields of a form that acts: its session's token, and a key that is this drawing's alone, so that a form
/// sent twice acts once.
#[must_use]
pub fn hidden(token: &str) -> Hidden<'_> {
    hidden_with(token, fresh_key())
}

/// As [`hidden`], with a key that was drawn before.
#[must_use]
pub fn hidden_with(token: &str, key: String) -> Hidden<'_> {
    Hidden { token, key }
}

/// A key that no form had before.
#[must_use]
pub fn fresh_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::currency::Currency;

    #[test]
    fn amounts_have_separators_a_minus_sign_and_their_currency() {
        for (minor, code, shown) in [
            (0, "EUR", "0.00 EUR"),
            (5, "EUR", "0.05 EUR"),
            (123_450, "EUR", "1,234.50 EUR"),
            (-99_999_999_999, "EUR", "−999,999,999.99 EUR"),
            (1_500, "JPY", "1,500 JPY"),
            (100, "JPY", "100 JPY"),
            (5_997, "KWD", "5.997 KWD"),
        ] {
            let currency = Currency::from_code(code).expect(code);
            assert_eq!(money_text(&Money::new(minor, currency)), shown);
        }
    }

    #[test]
    fn times_read_as_people_write_them() {
        let at = Timestamp::parse("2026-05-03T14:02:59.999Z").expect("a time");
        assert_eq!(when_text(&at), "3 May 2026, 14:02 UTC");
    }

    #[test]
    fn parts_escape_what_they_are_given() {
        let evil = "<b>\"'&";
        let shown = badge(Tone::Bad, evil).render().expect("renders");
        assert!(!shown.contains("<b>"), "{shown}");
        let shown = field(evil, evil, evil).hint(evil).wrong(Some(evil));
        let shown = shown.render().expect("renders");
        assert!(!shown.contains("<b>") && !shown.contains("=\"<"), "{shown}");
    }
}
