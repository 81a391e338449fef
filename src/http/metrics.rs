//! `/metrics`, and the counting of every request.
//!
//! A request is counted under its route's template, never under its address: that may hold anything, and would
//! make a series a guess. What no route took is counted as `unmatched`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::ContentType;
use rocket::request::{FromRequest, Outcome};
use rocket::response::{self, Responder, Response};
use rocket::{Data, Request, State};
use subtle::ConstantTimeEq;

use super::problem::{Problem, Refused, fail};
use super::problem_catalogue::Code;
use super::request_id::RequestId;
use crate::metrics::{Label, Metrics};
use crate::service::Services;

/// Counts and times every request.
pub struct Measured(pub Arc<Metrics>);

/// When a request began; nothing for one Rocket could not parse.
struct Began(Option<Instant>);

#[rocket::async_trait]
impl Fairing for Measured {
    fn info(&self) -> Info {
        Info {
            name: "metrics",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| Began(Some(Instant::now())));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let route = request.route().map_or(Cow::Borrowed("unmatched"), |route| {
            Cow::Owned(template(route.uri.path()))
        });
        let method: Label = match request.route() {
            Some(_) => Cow::Borrowed(request.method().as_str()),
            // A diverted request has a method of ours, not its own.
            None => Cow::Borrowed("any"),
        };
        let code = response.status().code;
        let took = match request.local_cache(|| Began(None)) {
            Began(Some(began)) => began.elapsed(),
            Began(None) => Duration::ZERO,
        };
        tracing::debug!(
            request.id = RequestId::of(request).as_str(),
            http.method = %method,
            http.route = %route,
            http.status = code,
            duration_us = took.as_micros(),
            "answered {method} {route} with {code}"
        );
        let status = Cow::Owned(code.to_string());
        self.0.http_requests.count([method, route.clone(), status]);
        if !took.is_zero() {
            self.0.http_request_duration.observe([route], took);
        }
    }
}

/// A route's path as the API document writes it.
fn template(path: &str) -> String {
    path.replace('<', "{").replace('>', "}")
}

/// What a scraper must send, if anything.
#[derive(Default)]
pub struct MetricsToken(Option<String>);

impl MetricsToken {
    /// This token, or none.
    #[must_use]
    pub fn new(token: Option<String>) -> Self {
        Self(token)
    }

    fn admits(&self, authorization: Option<&str>) -> bool {
        let Some(token) = &self.0 else { return true };
        let given = authorization.and_then(|text| text.split_once(' '));
        given.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case("bearer")
                && bool::from(given.trim().as_bytes().ct_eq(token.as_bytes()))
        })
    }
}

/// A request that may read the metrics.
pub struct Scraper;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Scraper {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let Some(token) = request.rocket().state::<MetricsToken>() else {
            let problem = Problem::new(Code::InternalError, "The server is not ready.");
            return fail(request, problem);
        };
        if token.admits(request.headers().get_one("Authorization")) {
            return Outcome::Success(Scraper);
        }
        let detail = "Send the metrics token as `Authorization: Bearer …`.";
        fail(request, Problem::new(Code::Unauthenticated, detail))
    }
}

/// Metrics as text.
pub struct Text(String);

impl<'r> Responder<'r, 'static> for Text {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let kind = ContentType::new("text", "plain");
        let kind = kind.with_params([("version", "0.0.4"), ("charset", "utf-8")]);
        Response::build_from(self.0.respond_to(request)?)
            .header(kind)
            .raw_header("Cache-Control", "no-store")
            .ok()
    }
}

/// Metrics for Prometheus
///
/// Needs `Authorization: Bearer` with the metrics token when one is configured.
#[utoipa::path(
    get, path = "/metrics", tag = "Health", operation_id = "metrics",
    responses(
        (status = 200, description = "Every metric, in Prometheus' text format", body = String, content_type = "text/plain"),
    ),
    extensions(("x-problems" = json!(["unauthenticated"]))),
    security((), ("metrics_token" = [])),
)]
#[rocket::get("/metrics")]
pub async fn scrape(_scraper: Scraper, services: &State<Arc<Services>>) -> Text {
    Text(services.metrics_text().await)
}

#[cfg(test)]
mod tests {
    //! Who may scrape.

    use super::*;

    #[test]
    fn a_configured_token_must_be_sent_exactly() {
        let token = MetricsToken::new(Some("0123456789abcdef".to_owned()));
        assert!(token.admits(Some("Bearer 0123456789abcdef")));
        assert!(token.admits(Some("bearer 0123456789abcdef")));
        for wrong in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer 0123456789abcde"),
            Some("Bearer 0123456789abcdef0"),
            Some("Basic 0123456789abcdef"),
        ] {
            assert!(!token.admits(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_token_anybody_may() {
        assert!(MetricsToken::default().admits(None));
    }
}
