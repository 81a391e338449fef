//! One decorator for every handler: its span, with the request's id, method and route.
//!
//! Rocket runs each request in a task of its own with no hook around it, so the span is wrapped around the
//! route's handler; the guards run inside it.

use rocket::route::{Handler, Outcome, Route};
use rocket::{Data, Request};
use tracing::Instrument;

use super::request_id::RequestId;

#[derive(Clone)]
struct Traced(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for Traced {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let route = request
            .route()
            .map_or_else(String::new, |route| route.uri.to_string());
        let span = tracing::info_span!(
            "request",
            request.id = %RequestId::of(request).as_str(),
            http.method = %request.method(),
            http.route = %route,
        );
        self.0.handle(request, data).instrument(span).await
    }
}

/// The routes, each in its span.
#[must_use]
pub fn traced(routes: Vec<Route>) -> Vec<Route> {
    routes
        .into_iter()
        .map(|mut route| {
            route.handler = Box::new(Traced(route.handler));
            route
        })
        .collect()
}
