//! What an answer proves.
//!
//! Only two kinds of answer are definitive: the promised object, and a refusal Stripe itself wrote with a status
//! that says nothing was done. Everything else, however it looks, leaves the outcome unknown: calling an
//! executed call failed would take money twice.

use serde::de::DeserializeOwned;

use super::amounts;
use super::wire::{self, ErrorBody, Failure, Page};
use crate::domain::observed::{Observed, ObservedIntentStatus};
use crate::provider::{Ambiguity, Decline, FetchError};

/// The field of a request that says how much is captured; the only one of such a request.
pub const TO_CAPTURE: &str = "amount_to_capture";

/// The longest sentence of Stripe's that is kept.
const MAX_MESSAGE_CHARS: usize = 500;

/// An HTTP answer, as far as it is needed.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether the body claims to be JSON.
    pub json: bool,
    /// Stripe asks for another try whatever the status says.
    pub should_retry: bool,
    /// It is the stored answer to an earlier request with the same key.
    pub replayed: bool,
    /// The whole body, or why there is none.
    pub body: Result<Vec<u8>, Ambiguity>,
}

/// The object a request promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A session: any new one, or the one with this id.
    Session(Option<String>),
    /// The intent with this id.
    Intent(String),
    /// A refund: a new one, or the one with this id.
    Refund(Option<String>),
    /// The dispute with this id.
    Dispute(String),
}

/// What an answer means.
#[derive(Debug)]
pub enum Verdict {
    /// The promised object.
    Object(Box<Observed>),
    /// A definitive refusal.
    Refused(Decline),
    /// Nothing is proved.
    Unknown(Ambiguity),
}

/// Whether an answer shows that another amount was captured than the request asked for.
#[must_use]
pub fn took_otherwise(body: &[u8], object: &Observed) -> bool {
    let field = std::str::from_utf8(body)
        .unwrap_or_default()
        .split_once('=');
    let (Some((TO_CAPTURE, asked)), Observed::Intent(intent)) = (field, object) else {
        return false;
    };
    let taken = amounts::to_wire(intent.captured).map(|wire| wire.to_string());
    intent.status == ObservedIntentStatus::Captured && taken.ok().as_deref() != Some(asked)
}

impl Wanted {
    /// What a request to this path promises; none for a path Till does not call.
    #[must_use]
    pub fn of(path: &str) -> Option<Wanted> {
        let path = path.split('?').next().unwrap_or(path);
        let id = |text: &str| wire::is_id(text).then(|| text.to_owned());
        if let Some(rest) = path.strip_prefix("/v1/checkout/sessions") {
            if rest.is_empty() {
                return Some(Wanted::Session(None));
            }
            let rest = rest.strip_prefix('/')?;
            let name = rest.strip_suffix("/expire").unwrap_or(rest);
            return Some(Wanted::Session(Some(id(name)?)));
        }
        if path == "/v1/refunds" {
            return Some(Wanted::Refund(None));
        }
        if let Some(name) = path.strip_prefix("/v1/refunds/") {
            return Some(Wanted::Refund(Some(id(name)?)));
        }
        if let Some(name) = path.strip_prefix("/v1/disputes/") {
            return Some(Wanted::Dispute(id(name)?));
        }
        let rest = path.strip_prefix("/v1/payment_intents/")?;
        let cut = rest.strip_suffix("/capture");
        let cut = cut.or_else(|| rest.strip_suffix("/cancel"));
        Some(Wanted::Intent(id(cut.unwrap_or(rest))?))
    }

    fn read(&self, body: &[u8]) -> Option<Observed> {
        let object = match self {
            Wanted::Session(_) => {
                let session: wire::Session = wire::read(body).ok()?;
                Observed::Session(session.observe().ok()?)
            }
            Wanted::Intent(_) => {
                let intent: wire::Intent = wire::read(body).ok()?;
                Observed::Intent(intent.observe().ok()?)
            }
            Wanted::Refund(_) => {
                let refund: wire::Refund = wire::read(body).ok()?;
                Observed::Refund(refund.observe().ok()?)
            }
            Wanted::Dispute(_) => {
                let dispute: wire::Dispute = wire::read(body).ok()?;
                Observed::Dispute(dispute.observe().ok()?)
            }
        };
        let named = match self {
            Wanted::Session(id) | Wanted::Refund(id) => id.as_deref(),
            Wanted::Intent(id) | Wanted::Dispute(id) => Some(id.as_str()),
        };
        let same = named.is_none_or(|id| id == object.provider_id());
        same.then_some(object)
    }
}

/// Whether the body of an answer with this status can prove anything.
#[must_use]
pub fn needs_body(status: u16) -> bool {
    matches!(status, 200..=299 | 400..=404 | 422)
}

/// Judges an answer.
#[must_use]
pub fn judge(wanted: &Wanted, answer: Answer) -> Verdict {
    match answer.status {
        300..=399 => Verdict::Unknown(Ambiguity::Redirect),
        409 => Verdict::Unknown(Ambiguity::InUse),
        429 => Verdict::Unknown(Ambiguity::RateLimited),
        // A stored 500 that is replayed proves no more than the first one: the work may have been done.
        500..=599 if answer.replayed => Verdict::Unknown(Ambiguity::StoredError),
        424 | 500..=599 => Verdict::Unknown(Ambiguity::ServerError),
        status if !needs_body(status) => Verdict::Unknown(Ambiguity::BadAnswer),
        400..=499 if answer.should_retry => Verdict::Unknown(Ambiguity::ServerError),
        status => {
            let body = match answer.body {
                Ok(body) if answer.json => body,
                Ok(_) => return Verdict::Unknown(Ambiguity::BadAnswer),
                Err(why) => return Verdict::Unknown(why),
            };
            if status >= 400 {
                refusal(&body)
            } else {
                let object = wanted.read(&body);
                object.map_or(Verdict::Unknown(Ambiguity::BadAnswer), |object| {
                    Verdict::Object(Box::new(object))
                })
            }
        }
    }
}

/// Reads one page of a list.
///
/// # Errors
/// [`FetchError`] for anything but exactly such a page.
pub fn page<T: DeserializeOwned>(answer: Answer) -> Result<Page<T>, FetchError> {
    read(answer)
}

/// Reads what was only asked for.
///
/// # Errors
/// [`FetchError`] for anything but exactly that.
pub fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, FetchError> {
    let bad = || FetchError::Unavailable(Ambiguity::BadAnswer);
    match answer.status {
        200 if answer.json => {}
        401 | 403 => return Err(FetchError::Refused("the key may not read it".to_owned())),
        404 => return Err(FetchError::NotFound),
        429 => return Err(FetchError::Unavailable(Ambiguity::RateLimited)),
        500..=599 => return Err(FetchError::Unavailable(Ambiguity::ServerError)),
        _ => return Err(bad()),
    }
    let body = answer.body.map_err(FetchError::Unavailable)?;
    wire::read(&body).map_err(|_| bad())
}

fn refusal(body: &[u8]) -> Verdict {
    let Ok(ErrorBody { error }) = wire::read(body) else {
        return Verdict::Unknown(Ambiguity::BadAnswer);
    };
    if error.has_code("idempotency_key_in_use") {
        return Verdict::Unknown(Ambiguity::InUse);
    }
    match error.kind.as_str() {
        // The first request with this key may well have been executed.
        "idempotency_error" => Verdict::Unknown(Ambiguity::KeyMismatch),
        "api_error" => Verdict::Unknown(Ambiguity::ServerError),
        "card_error" | "invalid_request_error" => Verdict::Refused(decline(&error)),
        _ => Verdict::Unknown(Ambiguity::BadAnswer),
    }
}

fn decline(error: &Failure) -> Decline {
    let message = error.message.as_deref().unwrap_or_default();
    let message = presentable(message);
    Decline {
        code: error.code(),
        message: if message.is_empty() {
            "The provider refused the request.".to_owned()
        } else {
            message
        },
    }
}

/// A sentence of Stripe's without what it may quote: addresses, keys and card numbers.
fn presentable(message: &str) -> String {
    let secret = ["sk_", "rk_", "pk_", "whsec_"];
    let words = message.split_whitespace().map(|word| {
        if word.contains('@') || word.contains("://") {
            "[address]"
        } else if word.bytes().filter(u8::is_ascii_digit).count() >= 13 {
            "[number]"
        } else if secret.iter().any(|prefix| word.contains(prefix)) {
            "[key]"
        } else {
            word
        }
    });
    let sentence = words.collect::<Vec<_>>().join(" ");
    let plain = sentence.chars().filter(|c| !c.is_control());
    plain.take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests;
