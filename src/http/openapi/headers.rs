//! The headers of answers, and the one of requests, that belong to no handler of their own.

use serde_json::json;
use utoipa::Modify;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};

use super::refusals::operations;

/// Describes the headers once and refers to them where they are sent.
pub struct Headers;

impl Modify for Headers {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, header) in all() {
            components.headers.insert(name.to_owned(), header.into());
        }
        let given = ParameterBuilder::new()
            .name("Request-Id")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "An id of the caller's for this request, for logs on both sides: 1 to 128 letters, digits, underscores \
                 or hyphens. Anything else is replaced, and not refused.",
            ))
            .schema(Some(text().examples(["web-7f3a"])))
            .build();
        components
            .parameters
            .insert("RequestId".to_owned(), given.into());
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let request_id = RefOr::Ref(Ref::new("#/components/parameters/RequestId"));
                operation
                    .parameters
                    .get_or_insert_default()
                    .push(request_id);
                let replays = takes_key(operation);
                for (status, answer) in &mut operation.responses.responses {
                    let RefOr::T(answer) = answer else { continue };
                    // What the provider or a payment decided is kept like any other answer.
                    let kept = status.starts_with('2') || matches!(status.as_str(), "409" | "502");
                    let made = matches!(status.as_str(), "201" | "202");
                    let names = [
                        ("Request-Id", true),
                        ("Location", made),
                        ("Retry-After", status == "202"),
                        ("Idempotent-Replayed", replays && kept),
                    ];
                    for (name, _) in names.into_iter().filter(|(_, sent)| *sent) {
                        answer.headers.insert(name.to_owned(), reference(name));
                    }
                }
            }
        }
    }
}

/// Whether an operation keeps its answers for those who ask again.
fn takes_key(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "Idempotency-Key"),
    )
}

/// A reference to a header.
pub fn reference(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

/// Every header an answer may have, described.
fn all() -> Vec<(&'static str, Header)> {
    let matching = |pattern: &str, example: &str| text().pattern(Some(pattern)).examples([example]);
    let seconds = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Integer))
        .minimum(Some(0))
        .examples([json!(2)]);
    [
        (
            "Request-Id",
            "The id of this request: the caller's, or one made for it. It leads to the request in the log.",
            matching("^[A-Za-z0-9_-]{1,128}$", "req_0193a6f0c1d27c3b9d2e4f5a6b7c8d9e"),
        ),
        (
            "Location",
            "The path of what was made, or is being made.",
            matching("^/v1/[a-z_]+/[A-Za-z0-9._-]+$", "/v1/orders/ord_01kq8rm5ahf2aaemq4p7v9w0xc"),
        ),
        (
            "Idempotent-Replayed",
            "There when this is the stored answer to an earlier request with the same `Idempotency-Key`.",
            matching("^true$", "true"),
        ),
        ("Retry-After", "When to come back, in seconds.", seconds),
        (
            "RateLimit-Policy",
            "What is allowed: the limit `q` in a window of `w` seconds.",
            matching(r#"^"[a-z_]+";q=[0-9]+;w=[0-9]+$"#, r#""orders";q=60;w=60"#),
        ),
        (
            "RateLimit",
            "What is left: `r` more, and `t` seconds until there is more.",
            matching(r#"^"[a-z_]+";r=[0-9]+;t=[0-9]+$"#, r#""orders";r=0;t=12"#),
        ),
        ("WWW-Authenticate", "How to prove who calls: with a key.", matching("^Bearer$", "Bearer")),
    ]
    .into_iter()
    .map(|(name, description, schema)| {
        let header = HeaderBuilder::new().description(Some(description)).schema(Some(schema));
        (name, header.build())
    })
    .collect()
}
