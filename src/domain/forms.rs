//! The forms of texts on the wire, as the API document states them.
//!
//! Each type here stands for a text and is never made: it names the form in the document, where requests and
//! answers refer to it. The checks are in [`text`](super::text) and [`money`](super::money); the tests below
//! hold the two together.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::catalogue::MAX_PRICES;
use super::currency::Currency;
use super::money::MAX_TOTAL_MINOR;

/// Text on one line: something to see, and no control character.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
/// As [`PLAIN`], or nothing at all.
const PLAIN_OR_EMPTY: &str = r"^([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*)?$";
/// Text that may have tabs and line breaks.
const PROSE: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// No control character.
const VISIBLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const SKU: &str = "^[A-Za-z0-9._-]{1,64}$";
const EMAIL: &str = r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+$";
const WEB_URL: &str = r"^https?://(([A-Za-z0-9_-]+\.)*[A-Za-z][A-Za-z0-9_-]*|((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]))(:([0-9]{1,4}|[0-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#][^\s\u0000-\u001f\u007f-\u009f]*)?$";

/// A form of text: its bounds in characters, its pattern, and an example.
struct Form {
    text: &'static str,
    min: usize,
    max: Option<usize>,
    pattern: Cow<'static, str>,
    example: &'static str,
}

impl Form {
    fn schema(self) -> Object {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .description(Some(sentence(self.text)))
            .min_length((self.min > 0).then_some(self.min))
            .max_length(self.max)
            .pattern(Some(self.pattern))
            .examples([self.example])
            .build()
    }
}

/// A doc comment as a text of the document.
pub(super) fn sentence(doc: &str) -> String {
    doc.trim().to_owned()
}

macro_rules! forms {
    ($($(#[doc = $doc:literal])+ $name:ident: $min:literal to $max:expr, $pattern:expr, $example:literal;)*) => {$(
        $(#[doc = $doc])+
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let form = Form {
                    text: concat!($($doc),+),
                    min: $min,
                    max: $max,
                    pattern: $pattern.into(),
                    example: $example,
                };
                form.schema().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

forms! {
    /// What orders name a product by.
    Sku: 1 to Some(64), SKU, "mug";
    /// The name of a person or a thing. Not a card number.
    Name: 1 to Some(200), PLAIN, "Ada Lovelace";
    /// A line of an address. Not a card number.
    AddressLine: 1 to Some(200), PLAIN, "12 St James's Square";
    /// A postal code.
    PostalCode: 1 to Some(32), PLAIN, "10115";
    /// A telephone number.
    Phone: 1 to Some(32), PLAIN, "+49 30 1234567";
    /// ISO 3166-1 alpha-2, upper case.
    Country: 2 to Some(2), "^[A-Z]{2}$", "DE";
    /// The shop's own reference. Not a card number.
    Reference: 1 to Some(64), PLAIN, "web-1001";
    /// Text that may have line breaks. Not a card number.
    Prose: 1 to Some(2000), PROSE, "Holds 300 ml.";
    /// An e-mail address.
    EmailAddress: 3 to Some(254), EMAIL, "ada@example.com";
    /// An absolute http or https address. Its host is a name in ASCII, or an IPv4 address.
    WebUrl: 8 to Some(2048), WEB_URL, "https://shop.example/thanks?order={ORDER_ID}";
    /// A price: a decimal string with at most the digits of its currency, and at most a million million of its
    /// smallest unit.
    Price: 1 to None, any_price_pattern(), "12.50";
    /// An amount of money: a decimal string with exactly the currency's digits.
    Amount: 1 to Some(20), r"^[0-9]+(\.[0-9]{2,4})?$", "59.97";
}

/// What [`Money::parse`](super::money::Money::parse) takes in a currency of so many digits, up to the most an
/// order may cost.
fn price_pattern(exponent: u8) -> String {
    let digits = MAX_TOTAL_MINOR.ilog10();
    match u32::from(exponent) {
        0 => format!("^0*([0-9]{{1,{digits}}}|10{{{digits}}})$"),
        decimals => {
            let whole = digits.saturating_sub(decimals);
            format!(
                r"^0*([0-9]{{1,{whole}}}(\.[0-9]{{1,{decimals}}})?|10{{{whole}}}(\.0{{1,{decimals}}})?)$"
            )
        }
    }
}

/// What some currency takes.
fn any_price_pattern() -> String {
    let digits = MAX_TOTAL_MINOR.ilog10();
    let decimals = Currency::all().map(Currency::exponent).max().unwrap_or(0);
    format!(r"^0*([0-9]{{1,{digits}}}(\.[0-9]{{1,{decimals}}})?|10{{{digits}}})$")
}

fn price(exponent: u8) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(Some(price_pattern(exponent)))
}

/// The price of one in each currency it is sold in: ISO 4217 code to a decimal string with at most the
/// currency's digits.
pub enum Prices {}

impl PartialSchema for Prices {
    fn schema() -> RefOr<Schema> {
        // Most currencies have two digits; the others are named, each group with a pattern of its own.
        let usual = 2;
        let mut groups = serde_json::Map::new();
        for exponent in 0..=9 {
            let codes = Currency::all().filter(|code| code.exponent() == exponent);
            let codes: Vec<&str> = codes.map(Currency::code).collect();
            if exponent != usual && !codes.is_empty() {
                let group = json!({"type": "string", "pattern": price_pattern(exponent)});
                groups.insert(format!("^({})$", codes.join("|")), group);
            }
        }
        let codes = Currency::all().map(Currency::code);
        let names = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .enum_values(Some(codes))
            .build();
        // The keyword has no place in utoipa's type; what is flattened into it does.
        let groups = [("patternProperties", Value::Object(groups))];
        ObjectBuilder::new()
            .description(Some(
                "The price of one in each currency it is sold in: ISO 4217 code to a decimal string with at most \
                 the currency's digits.",
            ))
            .property_names(Some(names))
            .additional_properties(Some(Schema::from(price(usual).build())))
            .extensions(Some(groups.into_iter().collect::<Extensions>()))
            .min_properties(Some(1))
            .max_properties(Some(MAX_PRICES))
            .examples([json!({"EUR": "12.50", "JPY": "1500"})])
            .build()
            .into()
    }
}

impl ToSchema for Prices {
    fn name() -> Cow<'static, str> {
        "Prices".into()
    }
}

/// The caller's own data: at most 50 keys of 40 characters, each with a text of up to 500.
pub enum Metadata {}

impl PartialSchema for Metadata {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let names = text()
            .min_length(Some(1))
            .max_length(Some(40))
            .pattern(Some(VISIBLE));
        let values = text().max_length(Some(500)).pattern(Some(PLAIN_OR_EMPTY));
        ObjectBuilder::new()
            .description(Some(
                "The caller's own data: at most 50 keys of 40 characters, each with a text of up to 500. No card \
                 numbers.",
            ))
            .property_names(Some(names.build()))
            .additional_properties(Some(Schema::from(values.build())))
            .max_properties(Some(50))
            .examples([json!({"cart": "8814"})])
            .build()
            .into()
    }
}

impl ToSchema for Metadata {
    fn name() -> Cow<'static, str> {
        "Metadata".into()
    }
}

/// The schema of a closed list of words: the words, and what each means.
pub(super) fn words(text: &str, all: &[(&str, &str)]) -> RefOr<Schema> {
    let meanings = all
        .iter()
        .map(|(word, meaning)| format!("\n- `{word}`: {}", sentence(meaning)));
    let description = format!("{}\n{}", sentence(text), meanings.collect::<String>());
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(description))
        .enum_values(Some(all.iter().map(|(word, _)| *word)))
        .build()
        .into()
}

/// The schema of an id with this prefix: a TypeID over any UUID.
pub(super) fn id(text: &str, prefix: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(format!("The id of {}", lower_first(&sentence(text)))))
        .pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
        .examples([format!("{prefix}_01kq8rm5ahf2aaemq4p7v9w0xc")])
        .build()
        .into()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

impl PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .description(Some("An active ISO 4217 currency, upper case."))
            .enum_values(Some(Currency::all().map(Currency::code)))
            .examples(["EUR"])
            .build()
            .into()
    }
}

impl ToSchema for Currency {
    fn name() -> Cow<'static, str> {
        "Currency".into()
    }
}

#[cfg(test)]
mod tests {
    //! The patterns of the document and the checks of the server take the same texts.

    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::string::string_regex;

    use super::*;
    use crate::domain::card_number::holds_card_number;
    use crate::domain::ids::OrderId;
    use crate::domain::money::Money;
    use crate::domain::text;

    /// Texts a pattern matches.
    fn matching(pattern: &str) -> impl Strategy<Value = String> + use<> {
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        string_regex(bare).expect("a pattern")
    }

    proptest! {
        #[test]
        fn what_a_pattern_matches_is_taken(
            plain in matching(PLAIN), prose in matching(PROSE), sku in matching(SKU),
            email in matching(EMAIL), url in matching(WEB_URL),
        ) {
            let texts = [&plain, &prose, &sku, &email, &url];
            prop_assume!(!texts.into_iter().any(|text| holds_card_number(text)));
            prop_assert!(text::plain(&plain, 200).is_ok(), "{plain:?}");
            prop_assert!(text::prose(&prose, 200).is_ok(), "{prose:?}");
            prop_assert!(text::sku(&sku).is_ok(), "{sku:?}");
            prop_assert!(text::email(&email).is_ok(), "{email:?}");
            prop_assert!(text::url(&url).is_ok(), "{url:?}");
        }

        #[test]
        fn the_prices_of_the_document_are_those_up_to_the_most_an_order_may_cost(
            kind in 0_usize..4, which in any::<proptest::sample::Index>(),
        ) {
            let exponent = [0, 2, 3, 4][kind];
            let all: Vec<Currency> = Currency::all().filter(|c| c.exponent() == exponent).collect();
            let currency = *which.get(&all);
            let strategy = matching(&price_pattern(exponent));
            let mut runner = proptest::test_runner::TestRunner::deterministic();
            for _ in 0..20 {
                let text = strategy.new_tree(&mut runner).expect("a text").current();
                let money = Money::parse(&text, currency);
                prop_assert!(money.is_ok_and(|money| money.minor() <= MAX_TOTAL_MINOR), "{text} {currency}");
            }
        }

        #[test]
        fn an_id_of_the_document_is_an_id(text in matching("^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$")) {
            prop_assert!(text.parse::<OrderId>().is_ok(), "{text}");
        }
    }
}
