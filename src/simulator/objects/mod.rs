//! The provider's objects: what is kept of each, and how it looks on the wire.
pub mod balance;
pub mod charge;
pub mod dispute;
pub mod event;
pub mod intent;
pub mod refund;
pub mod session;

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Free text pairs that the merchant attached.
pub type Metadata = BTreeMap<String, String>;

/// An address of which nothing is known.
pub fn no_address() -> Value {
    json!({ "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null })
}

/// Stripe's list object.
pub fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "data": data, "has_more": has_more, "url": url })
}

/// One object with the fields of both.
fn joined(mut first: Value, mut second: Value) -> Value {
    if let (Some(fields), Some(more)) = (first.as_object_mut(), second.as_object_mut()) {
        fields.append(more);
    }
    first
}
