//! Idempotency keys as Stripe keeps them: per API key, for a day, the first answer once execution
//! began, whatever it was.
use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// How long a key is kept, in simulated milliseconds.
const KEPT_MS: u64 = 24 * 3_600_000;

/// A key and the answer that belongs to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredKey {
    /// API key and idempotency key, hashed together.
    pub scope: String,
    /// The first request's path.
    pub path: String,
    /// The first request's parameters, hashed.
    pub fingerprint: String,
    /// The first request.
    pub request_id: String,
    /// Its answer.
    pub status: u16,
    /// Its answer.
    pub body: String,
    /// Simulated milliseconds.
    pub stored_ms: u64,
}

/// What a request with a key is compared by.
#[derive(Debug, Clone)]
pub struct Claim {
    /// API key and idempotency key, hashed together.
    pub scope: String,
    /// As the client spelled it.
    pub key: String,
    /// The request's path.
    pub path: String,
    /// The request's parameters, hashed.
    pub fingerprint: String,
}

/// All keys.
#[derive(Debug, Default)]
pub struct Keys {
    stored: HashMap<String, StoredKey>,
    order: VecDeque<(u64, String)>,
    in_use: HashSet<String>,
}

impl Keys {
    /// The stored answer if there is one, an error if the key can't be used for this request.
    pub fn check(&self, claim: &Claim) -> Result<Option<&StoredKey>, Failure> {
        if self.in_use.contains(&claim.scope) {
            return Err(Failure::key_in_use());
        }
        let Some(stored) = self.stored.get(&claim.scope) else {
            return Ok(None);
        };
        if stored.path != claim.path {
            return Err(Failure::key_mismatch(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first \
                 used for ('{}' vs '{}'). Try using a key other than '{}' if you meant to execute a \
                 different request.",
                claim.path, stored.path, claim.key
            )));
        }
        if stored.fingerprint != claim.fingerprint {
            return Err(Failure::key_mismatch(format!(
                "Keys for idempotent requests can only be used with the same parameters they were \
                 first used with. Try using a key other than '{}' if you meant to execute a different \
                 request.",
                claim.key
            )));
        }
        Ok(Some(stored))
    }

    /// Keeps an answer.
    pub fn store(&mut self, key: StoredKey) {
        self.order.push_back((key.stored_ms, key.scope.clone()));
        self.stored.insert(key.scope.clone(), key);
    }

    /// Marks a request as being at work.
    pub fn hold(&mut self, scope: &str) {
        self.in_use.insert(scope.to_owned());
    }

    /// The request is done.
    pub fn release(&mut self, scope: &str) {
        self.in_use.remove(scope);
    }

    /// Forgets keys of more than a day.
    pub fn prune(&mut self, now_ms: u64) {
        while let Some((stored_ms, scope)) = self.order.front() {
            if stored_ms + KEPT_MS > now_ms {
                return;
            }
            // A state file may hold a pruned key and its successor.
            if self
                .stored
                .get(scope)
                .is_some_and(|key| key.stored_ms == *stored_ms)
            {
                self.stored.remove(scope);
            }
            self.order.pop_front();
        }
    }

    /// Every key, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &StoredKey> {
        self.order.iter().filter_map(|(stored_ms, scope)| {
            self.stored
                .get(scope)
                .filter(|key| key.stored_ms == *stored_ms)
        })
    }
}
