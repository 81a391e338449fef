//! The one translation of a failure to HTTP: RFC 9457 `application/problem+json`.
//!
//! What the client reads (`detail`, `errors`) and what the log reads (the cause) are different fields, so
//! that internal text cannot slip out: the cause is never serialised.

use std::error::Error;
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::outcome::Outcome;
use rocket::response::{self, Responder, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem_catalogue::Code;
use super::request_id::RequestId;
use super::throttle::{Decision, Policy};

/// One place in the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901) into the body; empty for the whole body.
    #[schema(example = "/line_items/0/quantity")]
    pub pointer: String,
    /// What was expected there. Never repeats the value.
    #[schema(example = "expected a whole number between 1 and 9999")]
    pub detail: String,
}

impl FieldError {
    /// An error at a JSON pointer.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// A problem as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// The address of the page that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid_request")]
    pub kind: String,
    /// The same short sentence for every problem with this code.
    #[schema(example = "The request is not valid")]
    pub title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 422)]
    pub status: u16,
    /// What went wrong this time.
    #[schema(example = "1 field is not valid.")]
    pub detail: &'a str,
    /// The stable identifier to branch on.
    pub code: Code,
    /// The id of this request, as in the header `Request-Id` and in the log.
    #[schema(example = "req_0193a6f0c1d27c3b9d2e4f5a6b7c8d9e")]
    pub request_id: &'a str,
    /// The places that are wrong, for bad input.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [FieldError],
    /// The order the reference belongs to, with `reference_taken` and a secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub order_id: Option<&'a str>,
}

/// A failure on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

/// The header of an answer that was given before.
pub const REPLAYED: &str = "Idempotent-Replayed";

/// Boxed, so that a `Result<_, Problem>` stays small.
#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    order_id: Option<String>,
    headers: Vec<(&'static str, String)>,
    cause: Option<String>,
}

impl Problem {
    /// A problem with what went wrong this time, in words for the client.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: code.default_retry_after_s(),
            order_id: None,
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// Bad input: 422 `invalid_request` with the places that are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.len() {
            1 => "1 field is not valid.".to_owned(),
            count => format!("{count} fields are not valid."),
        };
        let mut problem = Self::new(Code::InvalidRequest, detail);
        problem.0.errors = errors;
        problem
    }

    /// A fault of ours: the client learns only the request id, the log gets the cause and its sources.
    pub fn internal(cause: &dyn Error) -> Self {
        Self::new(
            Code::InternalError,
            "An unexpected error occurred. The request id leads to it in the log.",
        )
        .caused_by(cause)
    }

    /// The same, as the stored answer to an earlier request with the same key.
    pub fn replayed(mut self) -> Self {
        self.0.headers.push((REPLAYED, "true".to_owned()));
        self
    }

    /// Nothing here, or nothing that may be seen: always the same words.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "No such resource.")
    }

    /// Refused by a throttle, with the headers that say when to come back.
    pub fn rate_limited(policy: &Policy, decision: &Decision) -> Self {
        let mut problem = Self::new(
            Code::RateLimited,
            "Too many requests of this kind in a short time.",
        )
        .retry_after_s(decision.retry_after_s);
        problem.0.headers.extend(policy.headers(decision));
        problem
    }

    /// Adds a place that is wrong.
    #[must_use]
    pub fn with_error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError::new(pointer, detail));
        self
    }

    /// Says when to come back, instead of the catalogue's default.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Names the methods a path takes (the header `Allow`).
    #[must_use]
    pub fn allow(self, methods: impl Into<String>) -> Self {
        self.header("Allow", methods)
    }

    /// Names the order a taken reference belongs to.
    #[must_use]
    pub fn order_id(mut self, id: impl Into<String>) -> Self {
        self.0.order_id = Some(id.into());
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Keeps the error and its sources for the log. Neither may hold bodies, secrets or personal data.
    #[must_use]
    pub fn caused_by(mut self, cause: &dyn Error) -> Self {
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        self.0.cause = Some(text);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What went wrong, in words for the client.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The places that are wrong.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// When to come back, in seconds, if that is known.
    pub fn comes_back_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    /// The headers that go with it.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }

    /// Keeps it for the log of server errors, for whoever sends it in another form.
    pub fn told(self, request: &Request<'_>) {
        Told::slot(request).set(self);
    }

    /// The code's status.
    pub fn status(&self) -> Status {
        Status::new(self.0.code.status())
    }

    /// The problem as it is sent in answer to the request with this id.
    pub fn body<'a>(&'a self, request_id: &'a str) -> ProblemBody<'a> {
        let entry = self.0.code.entry();
        ProblemBody {
            kind: format!("/problems/{}", entry.code),
            title: entry.title,
            status: entry.status,
            detail: &self.0.detail,
            code: self.0.code,
            request_id,
            errors: &self.0.errors,
            order_id: self.0.order_id.as_deref(),
        }
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let request_id = RequestId::of(request).as_str();
        let json =
            serde_json::to_vec(&self.body(request_id)).map_err(|_| Status::InternalServerError)?;
        let mut response = Response::build();
        response
            .status(self.status())
            .header(ContentType::new("application", "problem+json"))
            .raw_header("Cache-Control", "no-store")
            // Rocket runs no response fairings for a request it could not parse.
            .raw_header("X-Content-Type-Options", "nosniff")
            .raw_header(RequestId::HEADER, request_id.to_owned())
            .sized_body(json.len(), Cursor::new(json));
        if self.0.code == Code::Unauthenticated {
            response.raw_header("WWW-Authenticate", "Bearer");
        }
        if let Some(seconds) = self.0.retry_after_s {
            response.raw_header("Retry-After", seconds.to_string());
        }
        for (name, value) in &self.0.headers {
            response.header(Header::new(*name, value.clone()));
        }
        let response = response.finalize();
        Told::slot(request).set(self);
        Ok(response)
    }
}

/// What a failed guard hands to Rocket, which logs it: the code and nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub Code);

/// Fails a request or data guard with a problem, which the catcher then sends.
pub fn fail<T, F>(request: &Request<'_>, problem: Problem) -> Outcome<T, (Status, Refused), F> {
    let outcome = (problem.status(), Refused(problem.code()));
    Kept::slot(request).set(problem);
    Outcome::Error(outcome)
}

/// Has the catcher send this problem whatever the status, for a fairing, which cannot answer itself. The
/// fairing sees to it that the request is not routed.
pub(super) fn divert(request: &Request<'_>, problem: Problem) {
    Diverted::slot(request).set(problem);
}

/// The problem the catcher for this status is to send, if a fairing or guard left one.
///
/// A guard's problem counts only with its own status: a route may take the guard as an option, go on
/// without it, and fail in another way.
pub(super) fn take_kept(request: &Request<'_>, status: Status) -> Option<Problem> {
    Diverted::slot(request).take().or_else(|| {
        Kept::slot(request)
            .take()
            .filter(|kept| kept.status() == status)
    })
}

/// The code that was sent and its cause, for the log, once.
pub(super) fn take_told(request: &Request<'_>) -> Option<(Code, Option<String>)> {
    Told::slot(request)
        .take()
        .map(|problem| (problem.0.code, problem.0.cause))
}

/// A place for one problem in the request's local cache.
#[derive(Default)]
struct Slot(Mutex<Option<Problem>>);

impl Slot {
    fn set(&self, problem: Problem) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    fn take(&self) -> Option<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The local cache is keyed by type, so each slot is a type of its own.
macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        struct $name(Slot);

        impl $name {
            fn slot<'r>(request: &'r Request<'_>) -> &'r Slot {
                &request.local_cache(|| $name(Slot::default())).0
            }
        }
    )*};
}

slots! {
    /// What a fairing wants said.
    Diverted
    /// What a guard wants said.
    Kept
    /// What was said.
    Told
}

#[cfg(test)]
mod tests {
    //! What is sent and what is not.

    use super::*;

    #[test]
    fn the_body_has_the_members_of_rfc_9457_and_no_empty_ones() {
        let problem = Problem::not_found();
        let json = serde_json::to_value(problem.body("req_1")).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/problems/not_found", "title": "There is nothing here", "status": 404,
                "detail": "No such resource.", "code": "not_found", "request_id": "req_1",
            })
        );
    }

    #[test]
    fn errors_and_extensions_are_sent_when_there_are_some() {
        let problem = Problem::new(Code::ReferenceTaken, "Taken.")
            .order_id("ord_1")
            .with_error("/reference", "is taken");
        let json = serde_json::to_value(problem.body("req_1")).unwrap();
        assert_eq!(json["order_id"], "ord_1");
        assert_eq!(
            json["errors"],
            serde_json::json!([{"pointer": "/reference", "detail": "is taken"}])
        );
    }

    #[test]
    fn the_cause_is_kept_with_its_sources_and_never_sent() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::fmt::Error);
        let problem = Problem::internal(&Outer(std::fmt::Error));
        assert!(
            problem
                .0
                .cause
                .as_deref()
                .is_some_and(|cause| cause.starts_with("outer: an error occurred"))
        );
        assert!(
            !serde_json::to_string(&problem.body("req_1"))
                .unwrap()
                .contains("outer")
        );
    }

    #[test]
    fn the_schema_describes_what_is_sent() {
        use utoipa::{PartialSchema, ToSchema};
        assert_eq!(ProblemBody::name(), "Problem");
        let schema = serde_json::to_value(ProblemBody::schema()).unwrap();
        assert_eq!(
            schema["required"],
            serde_json::json!(["type", "title", "status", "detail", "code", "request_id"])
        );
        assert_eq!(
            schema["properties"]["order_id"]["type"], "string",
            "it is left out, never null"
        );
        let codes = serde_json::to_value(Code::schema()).unwrap();
        assert_eq!(codes["enum"][0], "bad_request");
    }
}
