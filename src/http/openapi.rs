//! The API document. It is made from the handlers themselves, so it cannot say what they do not do.

use rocket::http::ContentType;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

mod examples;
mod headers;
mod refusals;
mod shapes;

use examples::Examples;
use headers::Headers;
use refusals::Refusals;
use shapes::Shapes;

use super::problem::ProblemBody;
use super::{
    checkout_sessions, closing, docs, events, health, ledger, metrics, orders, payments, products,
    refunds, timeline, webhooks,
};

/// The document's source: what the handlers say of themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Till",
        description = "Orders, checkouts and payments. Amounts are decimal strings with exactly the currency's \
                       digits; times are RFC 3339 in UTC; errors are RFC 9457 problems.",
        contact(name = "The people who run this server"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        orders::create, orders::list, orders::get, timeline::get,
        checkout_sessions::create, checkout_sessions::get,
        closing::cancel_order, closing::expire_session,
        payments::get, payments::list, payments::capture, payments::void,
        refunds::create, refunds::get, refunds::list,
        products::put, products::list, products::get,
        events::list, events::get,
        ledger::trial_balance, ledger::transactions, ledger::transaction,
        webhooks::receive, webhooks::receive_for_account,
        health::live, health::ready, metrics::scrape, document, docs::read,
    ),
    components(schemas(ProblemBody, crate::domain::ids::AccountId)),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Orders", description = "What was ordered and where its money stands"),
        (name = "Checkout", description = "Pages customers pay on"),
        (name = "Payments", description = "Money at the provider: reserved, taken, released"),
        (name = "Refunds", description = "Money that goes back"),
        (name = "Products", description = "What the shop sells and for how much"),
        (name = "Events", description = "What happened, to follow"),
        (name = "Ledger", description = "The shop's books: what money came, went, and is owed"),
        (name = "Webhooks in", description = "What providers report"),
        (name = "Health", description = "Whether Till can do its work, and how much it does"),
        (name = "Documents", description = "This document, for programs and for people"),
    ),
    modifiers(&Keys),
)]
struct Handlers;

/// The document: what the handlers say, completed by what follows from it.
pub struct Document;

impl OpenApi for Document {
    fn openapi() -> utoipa::openapi::OpenApi {
        let mut document = Handlers::openapi();
        let steps: [&dyn Modify; 4] = [&Refusals, &Shapes, &Examples, &Headers];
        for step in steps {
            step.modify(&mut document);
        }
        document
    }
}

/// The two kinds of key, and the token of `/metrics`.
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
            (
                "metrics_token",
                "The token of the setting `TILL_METRICS__TOKEN`; not needed where none is set.",
            ),
        ] {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(text.to_owned());
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
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
///
/// It is made from the server's own routes, and the same in every process of one version.
#[utoipa::path(
    get, path = "/openapi.json", tag = "Documents", operation_id = "openapi",
    responses((status = 200, description = "The API document", body = Object)),
    security(()),
)]
#[rocket::get("/openapi.json")]
pub fn document() -> (ContentType, String) {
    (ContentType::JSON, text())
}
