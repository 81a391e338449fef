//! What people may see of what a provider said or was sent.
//!
//! *Everything is hidden but what is listed.* Providers add fields as they please, and customers type into any of
//! them; so a value is shown only when its name is known to hold nothing personal, and looks like it. Card data,
//! secrets, names and addresses are on no list.

use serde_json::{Map, Value};

use super::card_number::holds_card_number;

/// What stands in place of a hidden value.
pub const HIDDEN: &str = "(hidden)";
/// The most characters of one redacted text: deeply nested bytes become many when they are laid out.
const MAX_CHARS: usize = 64 * 1_024;
/// The most characters of a value that is shown.
const MAX_VALUE_CHARS: usize = 200;
/// Names beginning so among the free data are Till's own marks.
const OUR_MARKS: &str = "till_";

/// Names whose values say what an object is and where it stands.
const SHOWN: &[&str] = &[
    "amount",
    "amount_capturable",
    "amount_captured",
    "amount_details",
    "amount_discount",
    "amount_due",
    "amount_received",
    "amount_refunded",
    "amount_reversed",
    "amount_shipping",
    "amount_subtotal",
    "amount_tax",
    "amount_to_capture",
    "amount_total",
    "api_version",
    "automatic_tax",
    "available_on",
    "balance_transaction",
    "canceled_at",
    "cancellation_reason",
    "capture_before",
    "capture_method",
    "captured",
    "charge",
    "client_reference_id",
    "code",
    "count",
    "created",
    "currency",
    "decline_code",
    "dispute",
    "disputed",
    "due_by",
    "expires_at",
    "failure_balance_transaction",
    "failure_code",
    "failure_reason",
    "fee",
    "has_evidence",
    "has_more",
    "id",
    "intent",
    "is_charge_refundable",
    "latest_charge",
    "livemode",
    "mode",
    "net",
    "network_decline_code",
    "network_status",
    "object",
    "outcome",
    "paid",
    "payment_intent",
    "payment_status",
    "pending_webhooks",
    "quantity",
    "reason",
    "refund",
    "refunded",
    "reporting_category",
    "request",
    "risk_level",
    "seller_message",
    "status",
    "submission_count",
    "total_count",
    "type",
    "unit_amount",
];

/// A JSON text as people may see it, laid out; none when it is no JSON.
#[must_use]
pub fn json(text: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(text).ok()?;
    Some(laid_out(&shown(&value, None)))
}

/// A form as people may see it: its fields in order, one a line.
#[must_use]
pub fn form(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let fields = text.split('&').filter(|field| !field.is_empty());
    let lines = fields.map(|field| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let (name, value) = (decoded(name), decoded(value));
        let parts: Vec<&str> = name
            .split(['[', ']'])
            .filter(|part| !part.is_empty())
            .collect();
        let of_metadata = parts.iter().rev().nth(1) == Some(&"metadata");
        let last = parts.last().copied().unwrap_or_default();
        let name = if parts.iter().all(|part| is_name(part)) {
            name.as_str()
        } else {
            HIDDEN
        };
        let known = if of_metadata {
            last.starts_with(OUR_MARKS)
        } else {
            is_shown(last)
        };
        let value = if known && is_harmless(&value) {
            value.as_str()
        } else {
            HIDDEN
        };
        format!("{name} = {value}")
    });
    let lines: Vec<String> = lines.collect();
    Some(cut(lines.join("\n")))
}

fn is_shown(name: &str) -> bool {
    SHOWN.binary_search(&name).is_ok()
}

/// A value as people may see it; `name` is what it is called where it stands.
fn shown(value: &Value, name: Option<&str>) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => match name {
            Some(name) if is_shown(name) && is_harmless(&number.to_string()) => value.clone(),
            _ => Value::from(HIDDEN),
        },
        Value::String(text) => match name {
            Some(name) if is_shown(name) && is_harmless(text) => value.clone(),
            _ => Value::from(HIDDEN),
        },
        Value::Array(items) => items.iter().map(|item| shown(item, name)).collect(),
        Value::Object(fields) if name == Some("metadata") => Value::Object(marks(fields)),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let shown = shown(value, Some(name));
                match is_name(name) {
                    true => (name.clone(), shown),
                    false => (HIDDEN.to_owned(), Value::from(HIDDEN)),
                }
            });
            Value::Object(fields.collect())
        }
    }
}

/// Of somebody's free data, only our own marks.
fn marks(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in fields {
        let ours = name.starts_with(OUR_MARKS) && is_name(name);
        match value {
            Value::String(text) if ours && is_harmless(text) => {
                kept.insert(name.clone(), value.clone());
            }
            _ => {
                kept.insert(HIDDEN.to_owned(), Value::from(HIDDEN));
            }
        }
    }
    kept
}

/// Whether it is a name as providers give them, not a text of somebody's.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= 60 && name.bytes().all(plain) && !holds_card_number(name)
}

/// Whether a text can be an id, a word, a time or an amount, and no secret or card number.
fn is_harmless(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-.:,".contains(c);
    let secret = ["sk_", "rk_", "pk_", "whsec_", "ot_"];
    text.chars().count() <= MAX_VALUE_CHARS
        && text.chars().all(plain)
        && !secret.iter().any(|begin| text.starts_with(begin))
        && !text.contains("_secret_")
        && !holds_card_number(text)
}

fn laid_out(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value);
    cut(text.expect("a value with string keys always serialises"))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        None => text,
        Some((at, _)) => {
            let mut text = text;
            text.truncate(at);
            text.push('…');
            text
        }
    }
}

/// A form's text, decoded; what is not well encoded stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digits = (ahead.next().and_then(hex), ahead.next().and_then(hex));
                match digits {
                    (Some(high), Some(low)) => {
                        bytes.push(high.wrapping_shl(4) | low);
                        rest = ahead;
                    }
                    _ => bytes.push(byte),
                }
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    //! Nothing personal and nothing secret passes, wherever it stands.

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(SHOWN.is_sorted(), "it is searched by halves");
    }

    #[test]
    fn what_an_object_is_stays_and_whom_it_is_about_goes() {
        let event = json!({
            "id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1_700_000_000,
            "livemode": false,
            "data": {"object": {
                "id": "ch_1", "amount": 2_500, "currency": "eur", "status": "succeeded",
                "metadata": {"till_order": "ord_1", "note": "for Ada", "Ada Lovelace": "x"},
                "client_secret": "pi_1_secret_abc", "receipt_url": "https://pay.example/receipts/x",
                "receipt_email": "ada@example.com", "description": "Ada's mug",
                "billing_details": {"email": "ada@example.com", "name": "Ada", "phone": "+49 30 1",
                    "address": {"line1": "Street 1", "postal_code": "10115", "country": "DE"}},
                "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242",
                    "exp_month": 12, "exp_year": 2_031, "fingerprint": "fp", "three_d_secure": null}},
                "refunds": {"data": [{"id": "re_1", "amount": 100, "reason": "requested_by_customer"}]},
            }},
        });
        let text = json(event.to_string().as_bytes()).expect("JSON");
        let read: Value = serde_json::from_str(&text).expect("JSON again");
        let object = &read["data"]["object"];
        assert_eq!(read["type"], "charge.succeeded");
        assert_eq!(object["amount"], 2_500);
        assert_eq!(object["metadata"]["till_order"], "ord_1");
        assert_eq!(object["refunds"]["data"][0]["id"], "re_1");
        assert_eq!(
            object["payment_method_details"]["card"]["exp_month"],
            HIDDEN
        );
        for gone in [
            "Ada",
            "ada@",
            "4242",
            "visa",
            "2031",
            "12,",
            "secret_abc",
            "https",
            "Street",
            "10115",
            "DE",
            "+49",
            "fp",
        ] {
            assert!(
                !text.contains(&format!("\"{gone}")) && !text.contains(gone),
                "{gone}: {text}"
            );
        }
    }

    #[test]
    fn a_known_name_does_not_let_a_secret_through() {
        for (name, value) in [
            ("id", "sk_test_123"),
            ("reason", "ada@example.com"),
            ("code", "4242 4242 4242 4242"),
            ("status", "4242424242424242"),
            ("type", "whsec_x"),
            ("payment_intent", "pi_1_secret_2"),
            ("object", "<script>"),
        ] {
            let text = json(json!({ name: value }).to_string().as_bytes()).expect("JSON");
            assert!(!text.contains(value), "{text}");
            let text =
                form(format!("{name}={}", value.replace(' ', "+")).as_bytes()).expect("a form");
            assert!(!text.contains(value), "{text}");
        }
        let text = json(br#"{"amount": 4242424242424242}"#).expect("JSON");
        assert!(!text.contains("4242"), "{text}");
    }

    #[test]
    fn a_form_shows_its_fields_in_order() {
        let body = b"mode=payment&line_items[0][quantity]=1&line_items%5B0%5D[price_data][unit_amount]=2500\
            &customer_email=ada%40example.com&metadata[till_order]=ord_1&metadata[gift]=yes\
            &success_url=https%3A%2F%2Fshop.example&metadata[Ada+L]=1&broken=%zz";
        let text = form(body).expect("a form");
        assert_eq!(
            text,
            "mode = payment\nline_items[0][quantity] = 1\nline_items[0][price_data][unit_amount] = 2500\n\
             customer_email = (hidden)\nmetadata[till_order] = ord_1\nmetadata[gift] = (hidden)\n\
             success_url = (hidden)\n(hidden) = (hidden)\nbroken = (hidden)"
        );
    }

    #[test]
    fn what_is_laid_out_is_bounded() {
        let deep = format!(
            "{}{}{}",
            "[".repeat(100),
            "1,".repeat(15_000) + "1",
            "]".repeat(100)
        );
        let text = json(deep.as_bytes()).expect("JSON");
        assert!(text.chars().count() <= MAX_CHARS + 1);
        assert!(json(b"{").is_none() && form(&[0xff]).is_none());
    }

    proptest! {
        /// Whatever the shape, a text with an @ or a space of somebody's is nowhere in what is shown.
        #[test]
        fn no_personal_text_passes(
            names in prop::collection::vec("[a-z_]{1,12}|email|name|status|metadata", 1..6),
            person in "[A-Z][a-z]{2,8}@[a-z]{3,8}\\.com",
        ) {
            let mut value = json!(person);
            for name in &names {
                value = json!({ name.as_str(): [value] });
            }
            let text = json(value.to_string().as_bytes()).expect("JSON");
            prop_assert!(!text.contains(&person), "{}", text);
        }
    }
}
