//! CORS for the routes a browser calls with a publishable key.
//!
//! Any origin may call them, and none sends cookies: the key and the order token are in headers, so there is
//! nothing a foreign page could borrow. All other paths answer no preflight.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Method, Status};
use rocket::route::{self, Handler, Route};
use rocket::{Data, Request, Response};

use super::allowed_methods::Pattern;

/// The paths a publishable key reaches, with the methods it may use there.
const PUBLISHABLE: &[(&str, &str)] = &[
    ("/v1/orders", "POST"),
    ("/v1/orders/<id>", "GET"),
    ("/v1/orders/<id>/checkout_sessions", "POST"),
    ("/v1/checkout_sessions/<id>", "GET"),
    ("/v1/products", "GET"),
    ("/v1/products/<sku>", "GET"),
];

const ALLOW_HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Order-Token, Request-Id";
const EXPOSE_HEADERS: &str = "Request-Id, Idempotent-Replayed, Retry-After, Location";

/// What lets browsers read an answer.
pub const READABLE: [(&str, &str); 2] = [
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", EXPOSE_HEADERS),
];
const MAX_AGE_S: &str = "600";

/// The `OPTIONS` routes that answer preflights. They are not part of the API document.
pub fn preflight_routes() -> Vec<Route> {
    PUBLISHABLE
        .iter()
        .map(|(path, methods)| Route::new(Method::Options, path, Preflight(methods)))
        .collect()
}

#[derive(Clone)]
struct Preflight(&'static str);

#[rocket::async_trait]
impl Handler for Preflight {
    async fn handle<'r>(&self, _: &'r Request<'_>, _: Data<'r>) -> route::Outcome<'r> {
        let response = Response::build()
            .status(Status::NoContent)
            .raw_header("Access-Control-Allow-Methods", self.0)
            .raw_header("Access-Control-Allow-Headers", ALLOW_HEADERS)
            .raw_header("Access-Control-Max-Age", MAX_AGE_S)
            .finalize();
        route::Outcome::Success(response)
    }
}

/// Lets browsers read the answers, problems included: a page that gets a 403 should be able to say so.
pub struct Cors(Vec<Pattern>);

impl Cors {
    /// For the paths a publishable key reaches.
    pub fn for_publishable_keys() -> Self {
        Self(
            PUBLISHABLE
                .iter()
                .map(|(path, _)| Pattern::new(path))
                .collect(),
        )
    }
}

#[rocket::async_trait]
impl Fairing for Cors {
    fn info(&self) -> Info {
        Info {
            name: "CORS for publishable keys",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if !self.0.iter().any(|pattern| pattern.matches(request.uri())) {
            return;
        }
        response.set_raw_header("Access-Control-Allow-Origin", "*");
        if response.status() != Status::NoContent || request.method() != Method::Options {
            response.set_raw_header("Access-Control-Expose-Headers", EXPOSE_HEADERS);
        }
    }
}
