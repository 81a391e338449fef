//! Why a use case refuses. Knows nothing of HTTP; the edge translates it in one place.

use std::borrow::Cow;

use crate::domain::ids::OrderId;
use crate::domain::resolution::Objection;
use crate::store::{Failure, StoreError};

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such object in this shop.
    #[error("there is no such object")]
    NotFound,
    /// The key lacks the right.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The request is understood and cannot be carried out as it is; where and why.
    #[error("the request is not valid")]
    Invalid(Vec<(String, String)>),
    /// The state of things does not allow it.
    #[error("{detail}")]
    Refused {
        /// Which refusal.
        code: Refusal,
        /// Why, and what to do.
        detail: String,
        /// Whether it is the stored answer to an earlier request with the same key.
        replayed: bool,
    },
    /// Too much of one thing in a short time; nothing was done.
    #[error("too many {name} in a short time")]
    Throttled {
        /// Of what, a plain token.
        name: &'static str,
        /// How many there may be in a window.
        limit: u32,
        /// The length of the window, in seconds.
        window_s: u32,
        /// When there may be one more, in seconds.
        retry_after_s: u64,
    },
    /// Another order has this reference; which one, for callers that may know.
    #[error("another order of this shop has this reference")]
    ReferenceTaken(Option<OrderId>),
    /// What a member of staff decided cannot be done (any more); nothing was.
    #[error("the decision cannot be carried out")]
    Objected(Objection),
    /// The webhook was not signed by the provider.
    #[error("the webhook is not believed")]
    Signature(#[source] crate::provider::SignatureError),
    /// The webhook is not an event.
    #[error("the webhook cannot be read")]
    MalformedEvent(#[source] crate::provider::MalformedEvent),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// A task of ours ended without an answer.
    #[error("a task ended without an answer")]
    Task,
}

/// The refusals callers branch on; some are stored as the last word on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The key was used for another request.
    KeyReused,
    /// The first request with this key has no answer yet.
    InProgress,
    /// The provider cannot charge the amount.
    AmountNotChargeable,
    /// The order's total is zero.
    NothingToPay,
    /// The order is cancelled, expired, or being cancelled.
    OrderClosed,
    /// Money is under way.
    PaymentProcessing,
    /// The order has its money.
    AlreadyPaid,
    /// A session with another capture mode is live.
    SessionConflict,
    /// The provider refused.
    ProviderRejected,
    /// The provider cannot be reached.
    ProviderUnavailable,
    /// The shop's mode is not the provider account's.
    ModeMismatch,
    /// The reserved money was taken before.
    AlreadyCaptured,
    /// There is no reserved money to take.
    NotCapturable,
    /// There is no reserved money to release.
    NotVoidable,
    /// More than is left.
    RefundExceedsCaptured,
    /// A dispute has taken the money.
    PaymentDisputed,
}

impl Refusal {
    /// Its word, as it is stored.
    fn word(self) -> String {
        let word = serde_json::to_value(self).unwrap_or_default();
        word.as_str().unwrap_or_default().to_owned()
    }
}

impl ServiceError {
    /// Whether the database could not be reached: the caller may try again, with the same key.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            ServiceError::Store(
                StoreError::Unavailable(_) | StoreError::Collision(_) | StoreError::Locked(_),
            )
        )
    }

    /// Whether it was turned away because too much waits already.
    pub fn is_overload(&self) -> bool {
        matches!(self, ServiceError::Store(StoreError::Full))
    }

    /// A short code that says which error it is, for logs that people read.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        let code = match self {
            ServiceError::NotFound => "not_found",
            ServiceError::Forbidden(_) => "forbidden",
            ServiceError::Invalid(_) => "invalid",
            ServiceError::Refused { code, .. } => return code.word().into(),
            ServiceError::Throttled { .. } => "throttled",
            ServiceError::ReferenceTaken(_) => "reference_taken",
            ServiceError::Objected(why) => why.code(),
            ServiceError::Signature(_) => "bad_signature",
            ServiceError::MalformedEvent(_) => "malformed_event",
            ServiceError::Store(_) if self.is_unavailable() => "database_unavailable",
            ServiceError::Store(_) if self.is_overload() => "overloaded",
            ServiceError::Store(_) | ServiceError::Task => "internal_error",
        };
        code.into()
    }

    /// A refusal with its reason.
    pub fn refused(code: Refusal, detail: impl Into<String>) -> Self {
        ServiceError::Refused {
            code,
            detail: detail.into(),
            replayed: false,
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        ServiceError::Store(error)
    }
}

impl Failure for ServiceError {
    fn as_store(&self) -> Option<&StoreError> {
        match self {
            ServiceError::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// An error with everything that caused it, in one line for a log.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
