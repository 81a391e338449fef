//! What an operation may refuse with: from the codes its handler names, and those its shape brings along.
//!
//! A handler names its own codes as `x-problems`. Whoever asks for a key brings 401, whoever takes a body 413;
//! so each answer is documented where it can occur, and nowhere else.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

use super::super::problem_catalogue::Code;
use super::headers;

/// Where a handler names its codes; the member is not in the document itself.
const NAMED: &str = "x-problems";

/// Adds the answers that are problems, and an example of each problem.
pub struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut OpenApi) {
        let mut seen = BTreeMap::new();
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
                for code in codes(operation) {
                    let same = by_status.entry(code.status()).or_default();
                    if !same.contains(&code) {
                        same.push(code);
                    }
                }
                for (status, codes) in by_status {
                    seen.extend(codes.iter().map(|code| (code.as_str(), *code)));
                    let answer = answer(status, &codes);
                    let answers = &mut operation.responses.responses;
                    answers.insert(status.to_string(), answer.into());
                }
            }
        }
        let components = document.components.get_or_insert_default();
        for (name, code) in seen {
            let example = ExampleBuilder::new()
                .summary(code.entry().title)
                .value(Some(example(code)));
            components
                .examples
                .insert(name.to_owned(), example.build().into());
        }
    }
}

/// The operations of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

/// Every code an operation may answer with.
fn codes(operation: &mut Operation) -> Vec<Code> {
    let named = operation
        .extensions
        .as_mut()
        .and_then(|all| all.remove(NAMED));
    let mut codes: Vec<Code> = match named {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter_map(Code::find)
            .collect(),
        _ => Vec::new(),
    };
    let given = |place: &ParameterIn, name: Option<&str>| {
        operation
            .parameters
            .iter()
            .flatten()
            .any(|parameter| match parameter {
                RefOr::T(parameter) => {
                    parameter.parameter_in == *place
                        && name.is_none_or(|name| parameter.name == name)
                }
                RefOr::Ref(_) => false,
            })
    };
    let required = operation.parameters.iter().flatten().any(|parameter| {
        matches!(parameter, RefOr::T(parameter) if parameter.name == "Idempotency-Key"
            && parameter.required == Required::True)
    });
    let keyed = operation.security.iter().flatten().any(|scheme| {
        serde_json::to_value(scheme).is_ok_and(|scheme| scheme.get("secret_key").is_some())
    });
    if keyed {
        codes.extend([
            Code::Unauthenticated,
            Code::Forbidden,
            Code::DatabaseUnavailable,
        ]);
    }
    // A parameter nobody reads is refused, by those that know none, too.
    if keyed || given(&ParameterIn::Query, None) {
        codes.push(Code::InvalidRequest);
    }
    let has_key = given(&ParameterIn::Header, Some("Idempotency-Key"));
    if has_key {
        if required {
            codes.push(Code::IdempotencyKeyMissing);
        }
        codes.extend([
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyInProgress,
            Code::IdempotencyKeyReused,
        ]);
    }
    // What is to be done once may come with an empty object, described or not.
    let takes_body = operation.request_body.is_some() || has_key;
    if takes_body {
        codes.extend([
            Code::BodyTruncated,
            Code::RequestTimeout,
            Code::PayloadTooLarge,
            Code::UnsupportedMediaType,
            Code::Overloaded,
        ]);
    }
    if takes_body && keyed {
        codes.push(Code::MalformedJson);
    }
    codes.extend([Code::UriTooLong, Code::InternalError]);
    codes
}

/// An answer of one status, whichever of these codes it has.
fn answer(status: u16, codes: &[Code]) -> Response {
    let texts = codes
        .iter()
        .map(|code| format!("{} (`{}`)", code.entry().title, code.as_str()));
    let examples = codes.iter().map(|code| {
        let place = format!("#/components/examples/{}", code.as_str());
        (code.as_str(), RefOr::Ref(Ref::new(place)))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build();
    let description = texts.collect::<Vec<_>>().join("; ");
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build();
    let waits = codes
        .iter()
        .any(|code| code.default_retry_after_s().is_some());
    let names = [
        ("WWW-Authenticate", status == 401),
        ("RateLimit-Policy", status == 429),
        ("RateLimit", status == 429),
        ("Retry-After", waits),
    ];
    for (name, _) in names.into_iter().filter(|(_, sent)| *sent) {
        response
            .headers
            .insert(name.to_owned(), headers::reference(name));
    }
    response
}

/// A problem with this code as it is sent.
fn example(code: Code) -> Value {
    let entry = code.entry();
    let mut problem = json!({
        "type": format!("/problems/{}", entry.code),
        "title": entry.title,
        "status": entry.status,
        "detail": entry.title.to_owned() + ".",
        "code": entry.code,
        "request_id": "req_0193a6f0c1d27c3b9d2e4f5a6b7c8d9e",
    });
    match code {
        Code::InvalidRequest => {
            problem["detail"] = "1 field is not valid.".into();
            problem["errors"] =
                json!([{"pointer": "/line_items/0/quantity", "detail": "must be 1 to 9,999"}]);
        }
        Code::ReferenceTaken => {
            problem["detail"] = "Another order of this shop has this reference.".into();
            problem["order_id"] = "ord_01kq8rm5ahf2aaemq4p7v9w0xc".into();
        }
        _ => {}
    }
    problem
}

#[cfg(test)]
mod tests {
    //! What handlers name is in the catalogue.

    use utoipa::OpenApi as _;

    use super::*;

    #[test]
    fn every_code_a_handler_names_is_in_the_catalogue() {
        let bare = serde_json::to_value(super::super::Handlers::openapi()).expect("JSON");
        let mut named = 0;
        for item in bare["paths"].as_object().expect("paths").values() {
            for operation in item.as_object().expect("an item").values() {
                for code in operation[NAMED].as_array().into_iter().flatten() {
                    let code = code.as_str().expect("a code");
                    assert!(Code::find(code).is_some(), "{code} is in no catalogue");
                    named += 1;
                }
            }
        }
        assert!(named > 10, "{named} codes are named");
    }
}
