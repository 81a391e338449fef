//! Request bodies: capped, on a deadline, complete, and strict JSON.
//!
//! The server in front of Rocket reads a body whole, against the cap and the clock, and says how it came
//! ([`Arrival`]). Rocket takes any content type for JSON and logs a data guard's error with everything in it.
//! These guards answer each with a problem, and their error holds only its code.

use std::time::Duration;

use rocket::Request;
use rocket::data::{self, ByteUnit, Data, FromData, ToByteUnit};
use rocket::http::ContentType;
use rocket::response::{self, Responder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::{FieldError, Problem, Refused, fail};
use super::problem_catalogue::Code;
use super::strict_json::{self, Refusal};

/// How much body is read and how long that may take. Manage one to change the defaults.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The most bytes a body may have.
    pub max_size: ByteUnit,
    /// How long it may take to arrive, from the end of the request's head.
    pub read_timeout: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            max_size: 256.kibibytes(),
            read_timeout: Duration::from_secs(10),
        }
    }
}

/// How a body came, as the server notes it in the request's local cache; whole where it notes nothing.
/// Where a body did not come whole, Rocket is handed none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// To its end.
    Whole,
    /// Its connection ended before.
    Cut,
    /// Not in time.
    Slow,
    /// It has more bytes than it may.
    TooLarge,
    /// Others hold too much.
    NoRoom,
}

/// What is to be said of a body that did not come whole. Nothing is done about such a request.
pub(super) fn not_whole(request: &Request<'_>) -> Option<Problem> {
    let limits = BodyLimits::of(request);
    match *request.local_cache(|| Arrival::Whole) {
        Arrival::Whole => None,
        Arrival::Cut => Some(truncated()),
        Arrival::TooLarge => Some(too_large(limits)),
        Arrival::NoRoom => Some(Problem::new(
            Code::Overloaded,
            "Too many large bodies are being received; nothing was done. Try again.",
        )),
        Arrival::Slow => {
            let detail = format!(
                "The body did not arrive within {} seconds.",
                limits.read_timeout.as_secs_f32()
            );
            Some(Problem::new(Code::RequestTimeout, detail))
        }
    }
}

impl BodyLimits {
    fn of(request: &Request<'_>) -> BodyLimits {
        let managed = request.rocket().state::<BodyLimits>();
        managed.copied().unwrap_or_default()
    }
}

/// A JSON body, or a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A JSON body that may be left out, content type and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalJson<T>(pub Option<T>);

/// A body as it was sent, of any content type: what signatures are made over.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

#[rocket::async_trait]
impl<'r> FromData<'r> for Bytes {
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        match read(request, data).await {
            Ok(bytes) => data::Outcome::Success(Bytes(bytes)),
            Err(problem) => fail(request, problem),
        }
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromData<'r> for Json<T> {
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let read = match require_json(request) {
            Ok(()) => read(request, data).await,
            Err(problem) => Err(problem),
        };
        match read.and_then(|bytes| parse(&bytes)) {
            Ok(value) => data::Outcome::Success(Json(value)),
            Err(problem) => fail(request, problem),
        }
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromData<'r> for OptionalJson<T> {
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let parsed = read(request, data)
            .await
            .and_then(|bytes| match bytes.as_slice() {
                [] => Ok(None),
                _ => require_json(request).and_then(|()| parse(&bytes)).map(Some),
            });
        match parsed {
            Ok(value) => data::Outcome::Success(OptionalJson(value)),
            Err(problem) => fail(request, problem),
        }
    }
}

impl<'r, T: Serialize> Responder<'r, 'static> for Json<T> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match serde_json::to_string(&self.0) {
            Ok(json) => (ContentType::JSON, json).respond_to(request),
            Err(error) => Problem::internal(&error).respond_to(request),
        }
    }
}

/// Reads the whole body, or says what is wrong with how it came.
///
/// # Errors
/// A body that is too large or did not come whole.
pub async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Vec<u8>, Problem> {
    let limits = BodyLimits::of(request);
    let declared: Option<u64> = request
        .headers()
        .get_one("Content-Length")
        .and_then(|length| length.parse().ok());
    if declared.is_some_and(|length| limits.max_size < length) {
        return Err(too_large(limits));
    }
    let body = data.open(limits.max_size).into_bytes().await;
    let body = body.map_err(|error| truncated().caused_by(&error))?;
    if !body.is_complete() {
        return Err(too_large(limits));
    }
    let bytes = body.into_inner();
    let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match declared {
        Some(length) if length != received => Err(truncated()),
        _ => Ok(bytes),
    }
}

fn too_large(limits: BodyLimits) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("The body may have up to {}.", limits.max_size),
    )
}

fn truncated() -> Problem {
    Problem::new(
        Code::BodyTruncated,
        "The connection ended before the whole body had arrived.",
    )
}

/// Refuses everything but unencoded JSON in UTF-8.
fn require_json(request: &Request<'_>) -> Result<(), Problem> {
    let refuse = |detail| Err(Problem::new(Code::UnsupportedMediaType, detail));
    let mut given = request.headers().get("Content-Type");
    let (Some(text), None) = (given.next(), given.next()) else {
        return refuse("Send exactly one header `Content-Type: application/json`.");
    };
    let is_json = text.parse::<ContentType>().is_ok_and(|parsed| {
        parsed.top() == "application"
            && parsed.sub() == "json"
            && parsed.params().all(|(name, value)| {
                name == "charset" && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
    });
    if !is_json {
        return refuse("The body must be JSON in UTF-8: send `Content-Type: application/json`.");
    }
    match request.headers().get_one("Content-Encoding") {
        None => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => refuse("Compressed bodies are not accepted: send none of `Content-Encoding`."),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |detail: String| Problem::new(Code::MalformedJson, detail);
    if bytes.is_empty() {
        return Err(malformed(
            "The body is empty, and JSON is expected.".to_owned(),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        malformed(format!(
            "The body is not valid UTF-8 after byte {}.",
            error.valid_up_to()
        ))
    })?;
    strict_json::from_str(text).map_err(|refusal| match refusal {
        Refusal::Syntax(reason) => malformed(format!("The body is not valid JSON: {reason}.")),
        Refusal::Shape(fault) => {
            Problem::invalid(vec![FieldError::new(fault.pointer(), fault.detail())])
        }
    })
}
