//! What derived schemas leave out: kinds that have one value, lists by name, and how the fields of a line exclude
//! each other.

use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ArrayItems, Components, Object, Schema};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use super::refusals::operations;

/// Lists are generic here and have names there: `List_Order` becomes `OrderList`.
const LISTS: &[(&str, &str, &str)] = &[
    ("List_Order", "OrderList", "Order"),
    ("List_Product", "ProductList", "Product"),
    ("List_Payment", "PaymentList", "Payment"),
    ("List_Refund", "RefundList", "Refund"),
    ("List_Event", "EventList", "Event"),
    (
        "List_LedgerTransaction",
        "LedgerTransactionList",
        "LedgerTransaction",
    ),
];

/// Completes the schemas.
pub struct Shapes;

impl Modify for Shapes {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (derived, name, entry) in LISTS {
            name_list(components, derived, name, entry);
        }
        for schema in components.schemas.values_mut() {
            if let RefOr::T(schema) = schema {
                for_objects(schema, &mut fix_kind);
            }
        }
        if let Some(RefOr::T(Schema::Object(line))) = components.schemas.get_mut("LineItemRequest")
        {
            exclude(line);
        }
        if let Some(RefOr::T(Schema::Object(refund))) = components.schemas.get_mut("RefundRequest")
        {
            exclude_share(refund);
        }
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                for answer in operation.responses.responses.values_mut() {
                    if let RefOr::T(answer) = answer {
                        answer.content.values_mut().for_each(rename_list);
                    }
                }
            }
        }
    }
}

fn name_list(components: &mut Components, derived: &str, name: &str, entry: &str) {
    let Some(mut list) = components.schemas.remove(derived) else {
        return;
    };
    if let RefOr::T(Schema::Object(object)) = &mut list
        && let Some(RefOr::T(Schema::Array(data))) = object.properties.get_mut("data")
    {
        data.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(entry).into()));
        data.max_items = Some(100);
    }
    components.schemas.insert(name.to_owned(), list);
}

fn rename_list(content: &mut RefOr<Content>) {
    let RefOr::T(content) = content else { return };
    for (derived, name, _) in LISTS {
        if let Some(RefOr::Ref(reference)) = &mut content.schema
            && reference.ref_location.ends_with(&format!("/{derived}"))
        {
            *reference = Ref::from_schema_name(*name);
        }
    }
}

fn for_objects(schema: &mut Schema, change: &mut dyn FnMut(&mut Object)) {
    match schema {
        Schema::Object(object) => change(object),
        Schema::AllOf(all) => {
            for part in &mut all.items {
                if let RefOr::T(part) = part {
                    for_objects(part, change);
                }
            }
        }
        _ => {}
    }
}

/// `object` says what a thing is, and always the same of the same.
fn fix_kind(object: &mut Object) {
    if let Some(RefOr::T(Schema::Object(kind))) = object.properties.get_mut("object") {
        kind.enum_values = kind.example.clone().map(|only| vec![only]);
    }
}

/// A refund is of an amount or of lines, or of neither.
fn exclude_share(refund: &mut Object) {
    let either: Value = json!([
        {
            "title": "By amount, or all that is left",
            "properties": {"line_items": {"type": "null"}},
        },
        {
            "title": "By lines",
            "required": ["line_items"],
            "properties": {"amount": {"type": "null"}, "line_items": {"type": "array", "items": {}}},
        },
    ]);
    refund.extensions = Some([("anyOf", either)].into_iter().collect::<Extensions>());
}

/// A line has a SKU, or a name and a price.
fn exclude(line: &mut Object) {
    let either: Value = json!([
        {
            "title": "From the catalogue",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "name": {"type": "null"}, "unit_price": {"type": "null"}},
        },
        {
            "title": "Priced by the caller",
            "required": ["name", "unit_price"],
            "properties": {"sku": {"type": "null"}, "name": {"type": "string"}, "unit_price": {"type": "string"}},
        },
    ]);
    // utoipa has objects or alternatives, not both; what is flattened into an object is both.
    line.extensions = Some([("anyOf", either)].into_iter().collect::<Extensions>());
}
