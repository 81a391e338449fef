//! The HTTP client: one request, bounded in every direction, never repeated and never redirected.
//!
//! It never decides what an answer means; it says exactly how far the exchange came. Nothing of a request or an
//! answer is put into an error: the address, the key and the bodies stay here.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Method, Response, Url, redirect, retry};

use super::outcome::{self, Answer};
use super::settings::{StripeError, StripeSettings};
use crate::domain::time::Timestamp;
use crate::provider::Ambiguity;

/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How long an answer may pause between two bytes.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: shorter than the servers and proxies on the way keep it, because a
/// request on a connection that is just being closed is lost without anybody knowing how far it came.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait Stripe may ask for, in seconds.
const MAX_RETRY_AFTER_SECONDS: i64 = 3_600;
/// The longest idempotency key Stripe takes.
const MAX_KEY_BYTES: usize = 255;

const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// A request as it will be sent.
#[derive(Debug)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: Method,
    /// Path and query below the base URL.
    pub path: &'a str,
    /// The API version.
    pub api_version: &'a str,
    /// The body and its idempotency key, for a request that changes something.
    pub change: Option<Change<'a>>,
}

/// The part of a request that changes something.
#[derive(Debug)]
pub struct Change<'a> {
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The key under which Stripe executes it at most once.
    pub idempotency_key: &'a str,
}

/// How far one exchange came.
#[derive(Debug)]
pub struct Exchange {
    /// Stripe's own id of the request.
    pub request_id: Option<String>,
    /// How long Stripe asked us to wait, in milliseconds.
    pub retry_after_ms: Option<i64>,
    /// When the answer was sent, by Stripe's clock and to the second.
    pub server_time: Option<Timestamp>,
    /// The answer, once it began to arrive.
    pub answer: Result<Answer, Ambiguity>,
}

/// An HTTP client that knows one account's key.
#[derive(Debug)]
pub struct StripeClient {
    http: Client,
    base: Url,
    authorization: HeaderValue,
}

impl StripeClient {
    /// A client for these settings.
    ///
    /// # Errors
    /// [`StripeError`] for a key or base URL that cannot be used.
    pub fn new(settings: &StripeSettings) -> Result<StripeClient, StripeError> {
        let base = settings.base()?;
        let bearer = format!("Bearer {}", settings.api_key);
        let mut authorization = HeaderValue::try_from(bearer).map_err(|_| StripeError::ApiKey)?;
        authorization.set_sensitive(true);
        let http = Client::builder()
            .connect_timeout(settings.connect_timeout)
            .read_timeout(READ_TIMEOUT)
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .referer(false)
            .https_only(base.scheme() == "https")
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("till/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| StripeError::Client(error.without_url()))?;
        Ok(StripeClient {
            http,
            base,
            authorization,
        })
    }

    /// Makes one exchange.
    pub async fn exchange(&self, request: Request<'_>) -> Exchange {
        let sent = match self.build(request) {
            Some(request) => self.http.execute(request).await,
            None => return Exchange::without_answer(Ambiguity::NotSent),
        };
        match sent {
            Ok(response) => Exchange::read(response).await,
            Err(error) => Exchange::without_answer(before_answer(&error)),
        }
    }

    /// None for a request that must not leave: another host, or headers that cannot be sent.
    fn build(&self, request: Request<'_>) -> Option<reqwest::Request> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{}", request.path)).ok()?;
        if !request.path.starts_with('/') || url.origin() != self.base.origin() {
            return None;
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(
            STRIPE_VERSION,
            HeaderValue::from_str(request.api_version).ok()?,
        );
        let mut builder = self.http.request(request.method, url);
        if let Some(change) = request.change {
            let key = change.idempotency_key;
            if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
                return None;
            }
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).ok()?);
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
            builder = builder.body(change.body.to_vec());
        }
        builder.headers(headers).build().ok()
    }
}

impl Exchange {
    fn without_answer(why: Ambiguity) -> Exchange {
        Exchange {
            request_id: None,
            retry_after_ms: None,
            server_time: None,
            answer: Err(why),
        }
    }

    async fn read(response: Response) -> Exchange {
        let status = response.status().as_u16();
        let headers = response.headers();
        let request_id = header(headers, &REQUEST_ID);
        let request_id = request_id.filter(|id| super::wire::is_id(id));
        let exchange = Exchange {
            request_id: request_id.map(str::to_owned),
            retry_after_ms: header(headers, &RETRY_AFTER).and_then(retry_after_ms),
            server_time: header(headers, &DATE).and_then(http_date),
            answer: Err(Ambiguity::BadAnswer),
        };
        let json = header(headers, &CONTENT_TYPE).is_some_and(is_json);
        let should_retry = header(headers, &SHOULD_RETRY) == Some("true");
        let replayed = header(headers, &REPLAYED) == Some("true");
        let body = if outcome::needs_body(status) {
            read_body(response).await
        } else {
            Ok(Vec::new())
        };
        let answer = Answer {
            status,
            json,
            should_retry,
            replayed,
            body,
        };
        Exchange {
            answer: Ok(answer),
            ..exchange
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or(content_type);
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Whole seconds only; a date, which Stripe does not send, is no reason to trust its clock against ours.
fn retry_after_ms(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = text.parse().unwrap_or(MAX_RETRY_AFTER_SECONDS);
    seconds.min(MAX_RETRY_AFTER_SECONDS).checked_mul(1_000)
}

/// The one form servers may send, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = text.split_once(", ")?;
    let parts: Vec<&str> = date.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let month = MONTHS
        .iter()
        .position(|name| *name == month)?
        .checked_add(1)?;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, Ambiguity> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) <= MAX_ANSWER_BYTES => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(Ambiguity::BadAnswer),
            Err(error) => return Err(within_answer(&error)),
        }
    }
}

fn before_answer(error: &reqwest::Error) -> Ambiguity {
    // Connecting ends before the first byte of a request, TLS handshake and DNS included.
    if error.is_connect() || error.is_builder() {
        Ambiguity::NotSent
    } else if error.is_timeout() {
        Ambiguity::Timeout
    } else {
        Ambiguity::Connection
    }
}

fn within_answer(error: &reqwest::Error) -> Ambiguity {
    if error.is_timeout() {
        return Ambiguity::Timeout;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        let io: Option<&io::Error> = cause.downcast_ref();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionReset) {
            return Ambiguity::Connection;
        }
        source = cause.source();
    }
    Ambiguity::BadAnswer
}

#[cfg(test)]
mod tests;
