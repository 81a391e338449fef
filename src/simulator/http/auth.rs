//! What a request to the API brings along, and whose it is.
use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use crate::simulator::failure::Failure;

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// `GET` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Still encoded.
    pub query: String,
    /// `Idempotency-Key`
    pub idempotency_key: Option<String>,
    /// `Stripe-Version`
    pub stripe_version: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Content-Length`
    pub content_length: Option<usize>,
    authorization: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Head {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Head, Infallible> {
        let header = |name| request.headers().get_one(name).map(str::to_owned);
        Outcome::Success(Head {
            method: request.method().to_string(),
            path: request.uri().path().to_string(),
            query: request
                .uri()
                .query()
                .map(|query| query.to_string())
                .unwrap_or_default(),
            idempotency_key: header("Idempotency-Key"),
            stripe_version: header("Stripe-Version"),
            content_type: header("Content-Type"),
            content_length: header("Content-Length").and_then(|length| length.parse().ok()),
            authorization: header("Authorization"),
        })
    }
}

impl Head {
    /// The secret key, as Bearer or as the user name of Basic.
    pub fn api_key(&self) -> Result<String, Failure> {
        let key = self
            .authorization
            .as_deref()
            .and_then(key_in)
            .filter(|key| !key.is_empty());
        let Some(key) = key else {
            return Err(Failure::unauthorized(
                "You did not provide an API key. You need to provide your API key in the \
                 Authorization header, using Bearer auth (e.g. 'Authorization: Bearer \
                 YOUR_SECRET_KEY').",
            ));
        };
        if key.starts_with("sk_live_") || key.starts_with("rk_live_") {
            let message = "This is a simulator: live keys are refused. Use a key that starts with \
                 sk_test_.";
            return Err(Failure::unauthorized(message));
        }
        if key.starts_with("sk_test_") || key.starts_with("rk_test_") {
            return Ok(key);
        }
        let shown: String = key.chars().take(8).collect();
        Err(Failure::unauthorized(format!(
            "Invalid API Key provided: {shown}****"
        )))
    }
}

fn key_in(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    decoded.split(':').next().map(str::to_owned)
}
