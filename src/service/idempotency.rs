//! Repeated requests: the same key and request get the first answer, another request is refused.

use serde::Serialize;

use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::time::DAY_MS;
use crate::secrets;
use crate::store::idempotency::{KeyClaim, KnownKey, StoredAnswer};

/// How long answers to repeated requests are kept, in milliseconds.
const KEEP_KEYS_MS: i64 = 30 * DAY_MS;

/// What a key is used for: the route, its path and the normalised request.
///
/// The fingerprint does not depend on the order of keys or on white space, because it is taken over the parsed
/// request.
pub fn claim<T: Serialize>(
    caller: &Caller,
    route: &'static str,
    path: &str,
    key: &str,
    request: &T,
) -> KeyClaim {
    let normalised = serde_json::to_string(request).unwrap_or_default();
    KeyClaim {
        kind: caller.kind,
        route: caller.scope_of(route),
        key: key.to_owned(),
        fingerprint: secrets::hash(&format!("{route}\n{path}\n{normalised}")),
    }
}

impl Services {
    /// Forgets what is kept for a time: answers to requests, and sessions of staff that are over.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_old(&self) -> Result<u64, ServiceError> {
        let before = self.clock.now().plus_ms(-KEEP_KEYS_MS);
        let answers = self.store.forget_keys(before.ms()).await?;
        Ok(answers.saturating_add(self.forget_sessions().await?))
    }
}

/// Refuses a key that was used for another request.
pub(super) fn same_request(claim: &KeyClaim, known: &KnownKey) -> Result<(), ServiceError> {
    if claim.fingerprint == known.fingerprint {
        return Ok(());
    }
    Err(ServiceError::refused(
        Refusal::KeyReused,
        "This Idempotency-Key was used for another request. Use a new key for a new request; nothing was done.",
    ))
}

/// The answer to the first request, again.
pub(super) fn replay(stored: &StoredAnswer, location: Option<String>) -> Answer {
    Answer {
        status: stored.status,
        body: stored.body.clone(),
        replayed: true,
        location,
        retry_after_s: None,
    }
}
