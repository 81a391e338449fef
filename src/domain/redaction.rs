//! What a provider sent, without what it may say of people: for those who look into why something happened.
//!
//! Texts are shown only under names that are known to hold ids, words and codes. So a field a provider adds tomorrow
//! is hidden until somebody decides otherwise. Numbers and yes-or-no say nothing of a person and stay.

use serde_json::{Map, Value};

/// What stands in the place of a text that is not shown.
pub const HIDDEN: &str = "[hidden]";

/// The names of fields whose texts are ids, words or codes.
const SHOWN: &[&str] = &[
    "account",
    "api_version",
    "balance_transaction",
    "brand",
    "cancellation_reason",
    "capture_method",
    "charge",
    "checkout_session",
    "client_reference_id",
    "code",
    "country",
    "currency",
    "decline_code",
    "destination_details",
    "event_id",
    "failure_code",
    "failure_reason",
    "funding",
    "id",
    "idempotency_key",
    "latest_charge",
    "message_code",
    "mode",
    "network_status",
    "object",
    "outcome",
    "payment_intent",
    "payment_method",
    "payment_method_types",
    "payment_status",
    "pending_reason",
    "reason",
    "refund",
    "request",
    "risk_level",
    "seller_message_code",
    "source",
    "status",
    "submit_type",
    "till_deployment",
    "till_order",
    "till_refund",
    "till_session",
    "type",
    "ui_mode",
];

/// A copy in which every text is hidden that may say something of a person.
#[must_use]
pub fn redacted(value: &Value) -> Value {
    under("", value)
}

fn under(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), under(name, value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| under(name, item)).collect()),
        Value::String(_) if !SHOWN.contains(&name) => Value::from(HIDDEN),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ids_words_and_codes_are_shown() {
        let said = json!({
            "id": "evt_1",
            "created": 5,
            "livemode": false,
            "data": {"object": {
                "status": "complete",
                "customer_details": {"email": "ada@example.com", "name": "Ada", "phone": null},
                "metadata": {"till_order": "ord_1", "note": "for Ada"},
                "url": "https://checkout.example/c/pay",
                "something_new": ["Ada"],
            }},
        });
        let shown = redacted(&said);
        assert_eq!(shown["id"], "evt_1");
        assert_eq!(shown["created"], 5);
        let object = &shown["data"]["object"];
        assert_eq!(object["status"], "complete");
        assert_eq!(object["metadata"]["till_order"], "ord_1");
        for (pointer, why) in [
            ("/customer_details/email", "an address"),
            ("/customer_details/name", "a name"),
            ("/metadata/note", "a shop's own note"),
            ("/url", "whoever has it can pay"),
            ("/something_new/0", "nobody knows what it is"),
        ] {
            assert_eq!(object.pointer(pointer), Some(&json!(HIDDEN)), "{why}");
        }
        assert!(object["customer_details"]["phone"].is_null());
        assert!(!shown.to_string().contains("Ada"));
    }
}
