//! The one translation from use cases to HTTP: answers with their headers, errors as problems.

use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::response::{self, Responder, Response};

use super::problem::{FieldError, Problem, REPLAYED, Refused, fail};
use super::problem_catalogue::Code;
use super::throttle::{Decision, Policy};
use crate::domain::card_number::has_card_within;
use crate::domain::text::CARD_NUMBER;
use crate::service::{Answer, Refusal, ServiceError};

/// An answer of a use case, as it is sent.
pub struct Reply(pub Answer);

impl<'r> Responder<'r, 'static> for Reply {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let answer = self.0;
        let body = answer.body.into_bytes();
        let mut response = Response::build();
        response
            .status(Status::new(answer.status))
            .header(ContentType::JSON)
            .sized_body(body.len(), std::io::Cursor::new(body));
        if answer.replayed {
            response.header(Header::new(REPLAYED, "true"));
        }
        // A location goes with what was made, or is being made.
        if let Some(location) = answer.location.filter(|_| answer.status != 200) {
            response.header(Header::new("Location", location));
        }
        if let Some(seconds) = answer.retry_after_s {
            response.header(Header::new("Retry-After", seconds.to_string()));
        }
        response.ok()
    }
}

/// The problem for an error of a use case.
pub fn service_problem(error: ServiceError) -> Problem {
    if error.is_unavailable() {
        // A connection may be lost while it commits.
        let detail = "The database cannot be reached right now. Send the same request again, with the same \
                      Idempotency-Key if it has one: should it have been done, that gets its answer.";
        return Problem::new(Code::DatabaseUnavailable, detail).caused_by(&error);
    }
    if error.is_overload() {
        let detail = "Too many requests wait for the database; nothing was done. Try again.";
        return Problem::new(Code::Overloaded, detail);
    }
    match error {
        ServiceError::NotFound => Problem::not_found(),
        ServiceError::Forbidden(detail) => Problem::new(Code::Forbidden, detail),
        ServiceError::Invalid(errors) => Problem::invalid(
            errors
                .into_iter()
                .map(|(pointer, detail)| FieldError::new(pointer, detail))
                .collect(),
        ),
        ServiceError::Refused {
            code,
            detail,
            replayed,
        } => match replayed {
            true => refused(code, detail).replayed(),
            false => refused(code, detail),
        },
        ServiceError::Throttled {
            name,
            limit,
            window_s,
            retry_after_s,
        } => {
            let policy = Policy {
                name,
                limit,
                window_s,
                max_keys: 0,
            };
            let decision = Decision {
                allowed: false,
                limit,
                remaining: 0,
                reset_s: retry_after_s,
                retry_after_s,
            };
            Problem::rate_limited(&policy, &decision)
        }
        ServiceError::ReferenceTaken(order) => {
            let detail = "Another order of this shop has this reference.";
            let problem = Problem::new(Code::ReferenceTaken, detail);
            match order {
                Some(order) => problem.order_id(order.to_string()),
                None => problem,
            }
        }
        ServiceError::Signature(reason) => Problem::new(Code::InvalidSignature, reason.to_string()),
        ServiceError::MalformedEvent(reason) => {
            Problem::new(Code::MalformedEvent, reason.to_string())
        }
        // Only staff decide, and not here.
        ServiceError::Objected(_) | ServiceError::Store(_) | ServiceError::Task => {
            Problem::internal(&error)
        }
    }
}

fn refused(code: Refusal, detail: String) -> Problem {
    let code = match code {
        Refusal::KeyReused => Code::IdempotencyKeyReused,
        Refusal::InProgress => Code::IdempotencyInProgress,
        Refusal::AmountNotChargeable => Code::AmountNotChargeable,
        Refusal::NothingToPay => Code::NothingToPay,
        Refusal::OrderClosed => Code::OrderClosed,
        Refusal::PaymentProcessing => Code::PaymentProcessing,
        Refusal::AlreadyPaid => Code::AlreadyPaid,
        Refusal::SessionConflict => Code::CheckoutSessionConflict,
        Refusal::ProviderRejected => Code::ProviderRejected,
        Refusal::ProviderUnavailable => Code::ProviderUnavailable,
        Refusal::ModeMismatch => Code::ModeMismatch,
        Refusal::AlreadyCaptured => Code::AlreadyCaptured,
        Refusal::NotCapturable => Code::NotCapturable,
        Refusal::NotVoidable => Code::NotVoidable,
        Refusal::RefundExceedsCaptured => Code::RefundExceedsCaptured,
        Refusal::PaymentDisputed => Code::PaymentDisputed,
    };
    Problem::new(code, detail)
}

/// The `Idempotency-Key` header, required.
pub struct IdempotencyKey(pub String);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for IdempotencyKey {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let problem = match key_of(request) {
            Ok(Some(key)) => return Outcome::Success(IdempotencyKey(key)),
            Ok(None) => Problem::new(
                Code::IdempotencyKeyMissing,
                "This request needs an `Idempotency-Key` header, so that repeating it does nothing twice.",
            ),
            Err(problem) => problem,
        };
        fail(request, problem)
    }
}

/// The `Idempotency-Key` header, where it may be left out.
pub struct MaybeIdempotencyKey(pub Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeIdempotencyKey {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        match key_of(request) {
            Ok(key) => Outcome::Success(MaybeIdempotencyKey(key)),
            Err(problem) => fail(request, problem),
        }
    }
}

fn key_of(request: &Request<'_>) -> Result<Option<String>, Problem> {
    let mut given = request.headers().get("Idempotency-Key");
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if !is_large_number(key) && has_card_within(key) => Err(Problem::new(
            Code::IdempotencyKeyInvalid,
            format!("The `Idempotency-Key` {CARD_NUMBER}; send a UUID, say."),
        )),
        (Some(key), None) if is_key(key) => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(
            Code::IdempotencyKeyInvalid,
            "Send one `Idempotency-Key` header of 1 to 255 visible ASCII characters.",
        )),
    }
}

/// Whether a key is nothing but a number longer than almost all cards have: many draw 63 bits, and one in fifty of those
/// would pass for a card.
fn is_large_number(key: &str) -> bool {
    key.len() > 16 && key.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}
