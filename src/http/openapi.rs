//! The API document. It is made from the handlers themselves, so it cannot say what they do not do.

use rocket::http::ContentType;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::problem::ProblemBody;
use super::{
    checkout_sessions, docs, events, health, ledger, metrics, orders, products, timeline, webhooks,
};

/// The document's source.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Till",
        description = "Orders, checkouts and payments. Amounts are decimal strings with exactly the currency's \
                       digits; times are RFC 3339 in UTC; errors are RFC 9457 problems.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        orders::create, orders::list, orders::get, timeline::get,
        checkout_sessions::create, checkout_sessions::get,
        products::put, products::list, products::get,
        events::list, events::get,
        ledger::trial_balance, ledger::transactions, ledger::transaction,
        webhooks::receive, webhooks::receive_for_account,
        health::live, health::ready, metrics::scrape, document, docs::read,
    ),
    components(schemas(ProblemBody, crate::domain::settlement::Reason)),
    tags(
        (name = "Orders", description = "What was ordered and where its money stands"),
        (name = "Checkout", description = "Pages customers pay on"),
        (name = "Products", description = "What the shop sells and for how much"),
        (name = "Events", description = "What happened, to follow"),
        (name = "Ledger", description = "The shop's books: what money came, went, and is owed"),
        (name = "Webhooks in", description = "What providers report"),
        (name = "Health", description = "Whether Till can do its work, and how much it does"),
        (name = "Documents", description = "This document, for programs and for people"),
    ),
    modifiers(&Keys, &Refusals),
)]
pub struct Document;

/// The two kinds of key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, text) in [
            ("secret_key", "A secret key, `sk_…`: for servers only."),
            (
                "publishable_key",
                "A publishable key, `pk_…`: may be in a browser.",
            ),
        ] {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(text.to_owned());
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The refusals any operation may answer with, said once.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
        for (path, item) in &mut document.paths.paths {
            let keyed = path.starts_with("/v1/");
            for operation in [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.delete,
            ]
            .into_iter()
            .flatten()
            {
                let mut texts = vec![(
                    "500",
                    "A fault of ours; the request id leads to it in the log",
                )];
                if keyed {
                    texts.push(("400", "Not understood"));
                    texts.push(("401", "No valid key"));
                    texts.push(("403", "The key lacks the right"));
                    texts.push(("404", "No such object in this shop"));
                    texts.push(("422", "Understood, but not valid"));
                    texts.push(("503", "The database or the provider cannot be reached"));
                }
                if operation.request_body.is_some() {
                    texts.push(("408", "The body came too slowly"));
                    texts.push(("413", "The body is too large"));
                    texts.push(("415", "The body is not application/json"));
                    texts.push(("503", "The database cannot be reached"));
                }
                for (status, text) in texts {
                    let known = operation.responses.responses.contains_key(status);
                    if known {
                        continue;
                    }
                    let content = ContentBuilder::new()
                        .schema(Some(Ref::from_schema_name("Problem")))
                        .build();
                    let response = ResponseBuilder::new()
                        .description(text)
                        .content("application/problem+json", content)
                        .build();
                    operation
                        .responses
                        .responses
                        .insert(status.to_owned(), response.into());
                }
            }
        }
    }
}

/// The document as JSON text, the same in every build.
#[must_use]
pub fn text() -> String {
    Document::openapi()
        .to_pretty_json()
        .expect("the document has string keys only")
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "Documents", operation_id = "openapi",
    responses((status = 200, description = "The API document", body = Object)),
    security(()),
)]
#[rocket::get("/openapi.json")]
pub fn document() -> (ContentType, String) {
    (ContentType::JSON, text())
}
