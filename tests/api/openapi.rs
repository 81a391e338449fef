//! The API document is true: what is mounted is in it, what is in it is mounted, and it holds together. The
//! routes are read from the server, the document is read as a client reads it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::TestApp;

fn document() -> Value {
    serde_json::from_str(&till::http::openapi::text()).expect("JSON")
}

/// `METHOD /path/{parameter}` for every operation of the document.
fn documented(document: &Value) -> Vec<(String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            operations.push((
                format!("{} {path}", method.to_uppercase()),
                operation.clone(),
            ));
        }
    }
    operations
}

/// Calls `visit` with every object of a document.
fn walk<'d>(node: &'d Value, visit: &mut dyn FnMut(&'d serde_json::Map<String, Value>)) {
    match node {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| walk(value, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[test]
fn the_document_and_the_mounted_routes_are_the_same_set() {
    let mounted: BTreeSet<String> = till::http::api_routes()
        .iter()
        .map(|route| {
            let path = route.uri.path().replace('<', "{").replace('>', "}");
            format!("{} {path}", route.method)
        })
        .collect();
    let document = document();
    let documented: BTreeSet<String> = documented(&document)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(mounted, documented);
    assert!(mounted.len() >= 10);
}

#[test]
fn every_operation_has_an_id_of_its_own_a_tag_and_a_summary() {
    let document = document();
    let operations = documented(&document);
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut ids = BTreeSet::new();
    for (name, operation) in &operations {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is used twice");
        let tag = operation["tags"][0].as_str().expect("a tag");
        assert!(tags.contains(tag), "{name}: {tag}");
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn every_parameter_of_a_path_is_described() {
    for (name, operation) in documented(&document()) {
        let in_path: BTreeSet<&str> = name
            .split('{')
            .skip(1)
            .filter_map(|part| part.split('}').next())
            .collect();
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let described: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(in_path, described, "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    walk(&document, &mut |object| {
        if let Some(target) = object.get("$ref").and_then(Value::as_str) {
            let pointer = target
                .strip_prefix('#')
                .unwrap_or_else(|| panic!("{target} leads outside"));
            assert!(
                document.pointer(pointer).is_some(),
                "{target} leads nowhere"
            );
            used.insert(pointer.to_owned());
        }
    });
    assert!(used.len() > 5, "{used:?}");
    for name in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
        .keys()
    {
        assert!(
            used.contains(&format!("/components/schemas/{name}")),
            "{name} is used by nobody"
        );
    }
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .expect("schemes");
    for (name, operation) in documented(&document) {
        let allowed = operation["security"]
            .as_array()
            .unwrap_or_else(|| panic!("{name}: open?"));
        for scheme in allowed
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|one| one.keys())
        {
            assert!(schemes.contains_key(scheme), "{name}: {scheme}");
        }
    }
}

#[test]
fn the_security_of_each_route_is_what_keys_are_allowed() {
    let document = document();
    let operations = documented(&document);
    for route in crate::keys::V1 {
        let wanted = format!(
            "{} {}",
            route.method,
            route.path.replace('<', "{").replace('>', "}")
        );
        let (_, operation) = operations
            .iter()
            .find(|(name, _)| *name == wanted)
            .expect(&wanted);
        let schemes: Vec<&str> = operation["security"]
            .as_array()
            .expect("security")
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|one| one.keys().map(String::as_str))
            .collect();
        assert!(schemes.contains(&"secret_key"), "{wanted}");
        assert_eq!(
            schemes.contains(&"publishable_key"),
            route.publishable,
            "{wanted}"
        );
    }
}

#[test]
fn words_are_written_as_they_are_sent() {
    use till::domain::order::PaymentStatus;
    let document = document();
    let schemas = &document["components"]["schemas"];
    let words: Vec<&str> = PaymentStatus::ALL
        .iter()
        .map(|word| word.as_str())
        .collect();
    assert_eq!(schemas["PaymentStatus"]["enum"], serde_json::json!(words));
    for (name, schema) in schemas.as_object().expect("schemas") {
        for word in schema["enum"].as_array().into_iter().flatten() {
            let word = word.as_str().expect("a word");
            let lower = word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b"_.".contains(&b));
            assert!(lower || name == "Currency", "{name}: {word}");
        }
    }
}

/// Refusals are where they can occur: with the media type of problems, the header that says when to come back,
/// and an example of each code that has its status.
#[test]
fn every_refusal_is_a_problem_with_its_headers_and_examples() {
    let document = document();
    for (name, operation) in documented(&document) {
        let answers = operation["responses"].as_object().expect("answers");
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{name}"
        );
        for (status, answer) in answers {
            let headers = answer["headers"].as_object().expect("headers");
            assert!(headers.contains_key("Request-Id"), "{name} {status}");
            let waits = matches!(status.as_str(), "202" | "429" | "503");
            assert!(
                !waits || headers.contains_key("Retry-After"),
                "{name} {status}"
            );
            let made = matches!(status.as_str(), "201" | "202");
            assert_eq!(made, headers.contains_key("Location"), "{name} {status}");
            if status.starts_with('2') {
                continue;
            }
            let content = answer["content"].as_object().expect("content");
            let kinds: Vec<&String> = content.keys().collect();
            assert_eq!(kinds, ["application/problem+json"], "{name} {status}");
            let examples = content["application/problem+json"]["examples"].as_object();
            for code in examples.expect("examples").keys() {
                let example = &document["components"]["examples"][code]["value"];
                assert_eq!(example["status"].to_string(), *status, "{name} {code}");
                assert_eq!(example["code"], code.as_str(), "{name}");
            }
        }
        let has_key = operation.to_string().contains("\"Idempotency-Key\"");
        let takes_body = operation.get("requestBody").is_some() || has_key;
        assert_eq!(answers.contains_key("413"), takes_body, "{name}");
        let keyed = name.contains(" /v1/");
        assert_eq!(answers.contains_key("403"), keyed, "{name}");
    }
}

#[test]
fn every_answer_and_every_body_has_an_example() {
    for (name, operation) in documented(&document()) {
        let answers = operation["responses"].as_object().expect("answers");
        for (status, answer) in answers {
            for content in answer["content"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.values())
            {
                let shown = content.get("example").is_some() || content.get("examples").is_some();
                assert!(shown, "{name} {status}");
            }
        }
        let body = &operation["requestBody"]["content"]["application/json"];
        assert!(body.is_null() || body.get("example").is_some(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_that_is_served_is_this_one_and_answers_keep_to_it() {
    let app = TestApp::quiet().await;
    let served = app.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.text, till::http::openapi::text());
    assert!(served.str("openapi").starts_with("3.1"));

    // The fields of answers are the properties of their schemas, no more and no fewer.
    let merchant = app.merchant().await;
    let order = merchant.place_order().await;
    let session = merchant.check_out(order.str("id")).await.expect(201);
    let read = merchant.order(order.str("id")).await;
    for (name, answer) in [
        ("Order", &read),
        ("LineItem", &read["line_items"][0]),
        ("Customer", &read["customer"]),
        ("CheckoutSession", &session.json),
    ] {
        let schema = &served.json["components"]["schemas"][name];
        let keys = |value: &Value| -> BTreeSet<String> {
            value
                .as_object()
                .unwrap_or_else(|| panic!("{name}: {value}"))
                .keys()
                .cloned()
                .collect()
        };
        assert_eq!(keys(&schema["properties"]), keys(answer), "{name}");
    }
    app.finish().await;
}
