//! What keeps a provider that does not answer from taking everything else down with it.
//!
//! A *breaker* lets no request pass for a while after several in a row got no answer, then one at a time until
//! one is answered. A *bulkhead* bounds how many requests are under way at once. Who is turned away is answered
//! at once, and nothing is lost: what was to be sent is stored, and due again when the breaker closes.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::provider::Ambiguity;

/// How many requests in a row without an answer open the breaker.
const TOLERATED: u32 = 8;
/// How long it stays open at first, in milliseconds; each probe in vain doubles that.
const FIRST_PAUSE_MS: i64 = 2_000;
/// How long it stays open at most, in milliseconds.
const LONGEST_PAUSE_MS: i64 = 60_000;
/// How many requests may be under way at once.
const AT_ONCE: usize = 64;

/// The way to one provider account.
pub struct Gate {
    permits: Semaphore,
    breaker: Mutex<Breaker>,
}

#[derive(Debug, Default)]
struct Breaker {
    unanswered: u32,
    pause_ms: i64,
    /// When one may try again, in epoch milliseconds; none while the breaker is closed.
    retry_at_ms: Option<i64>,
}

/// What one request says of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It answered, whatever it said.
    Alive,
    /// It gave no answer.
    Silent,
}

impl Sign {
    /// What a request without a usable answer says.
    #[must_use]
    pub fn of(why: Ambiguity) -> Sign {
        match why {
            Ambiguity::NotSent
            | Ambiguity::Timeout
            | Ambiguity::Connection
            | Ambiguity::ServerError => Sign::Silent,
            Ambiguity::StoredError
            | Ambiguity::BadAnswer
            | Ambiguity::Redirect
            | Ambiguity::InUse
            | Ambiguity::RateLimited
            | Ambiguity::KeyMismatch
            | Ambiguity::TurnedAway => Sign::Alive,
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            permits: Semaphore::new(AT_ONCE),
            breaker: Mutex::default(),
        }
    }
}

impl Gate {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nothing will be sent, in milliseconds; none when a request may pass.
    #[must_use]
    pub fn closed_for_ms(&self, now_ms: i64) -> Option<i64> {
        let wait = self.breaker().retry_at_ms?.saturating_sub(now_ms);
        (wait > 0).then_some(wait)
    }

    /// Whether there is a place for one more request now.
    #[must_use]
    pub fn has_room(&self, now_ms: i64) -> bool {
        self.closed_for_ms(now_ms).is_none() && self.permits.available_permits() > 0
    }

    /// Whether the breaker waits for one probe.
    #[must_use]
    pub fn wants_probe(&self, now_ms: i64) -> bool {
        let retry_at = self.breaker().retry_at_ms;
        retry_at.is_some_and(|at| at <= now_ms)
    }

    /// Lets a request pass, or turns it away. Of several that come when the pause is over one passes: the pause
    /// begins anew with it.
    pub fn enter(&self, now_ms: i64) -> Option<SemaphorePermit<'_>> {
        let mut breaker = self.breaker();
        if let Some(retry_at) = breaker.retry_at_ms {
            if retry_at > now_ms {
                return None;
            }
            breaker.retry_at_ms = Some(now_ms.saturating_add(breaker.pause_ms));
        }
        drop(breaker);
        self.permits.try_acquire().ok()
    }

    /// Notes what a request said of the provider; true when that closes the breaker.
    pub fn note(&self, sign: Sign, now_ms: i64) -> bool {
        let mut breaker = self.breaker();
        match sign {
            Sign::Alive => {
                let was_open = breaker.retry_at_ms.is_some();
                *breaker = Breaker::default();
                if was_open {
                    tracing::info!("the provider answers again; waiting calls are due");
                }
                was_open
            }
            Sign::Silent => {
                breaker.unanswered = breaker.unanswered.saturating_add(1);
                if breaker.unanswered >= TOLERATED {
                    let longer = breaker.pause_ms.saturating_mul(2);
                    breaker.pause_ms = longer.clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
                    if breaker.retry_at_ms.is_none() {
                        tracing::error!(
                            "the provider has not answered {TOLERATED} times in a row; calls wait"
                        );
                    }
                    breaker.retry_at_ms = Some(now_ms.saturating_add(breaker.pause_ms));
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(gate: &Gate, times: u32, now_ms: i64) {
        for _ in 0..times {
            assert!(!gate.note(Sign::Silent, now_ms));
        }
    }

    #[test]
    fn it_opens_after_so_many_and_lets_one_probe_pass_at_a_time() {
        let gate = Gate::default();
        silent(&gate, TOLERATED - 1, 0);
        assert!(gate.enter(0).is_some(), "not yet");
        silent(&gate, 1, 0);
        assert!(gate.enter(0).is_none());
        assert_eq!(gate.closed_for_ms(500), Some(FIRST_PAUSE_MS - 500));
        let later = FIRST_PAUSE_MS;
        assert!(gate.wants_probe(later));
        assert!(gate.enter(later).is_some(), "a probe");
        assert!(gate.enter(later).is_none(), "only one");
        silent(&gate, 1, later);
        assert_eq!(gate.closed_for_ms(later), Some(2 * FIRST_PAUSE_MS));
        let later = later + 2 * FIRST_PAUSE_MS;
        assert!(gate.enter(later).is_some());
        assert!(gate.note(Sign::Alive, later), "closed by an answer");
        assert!(gate.enter(later).is_some() && gate.enter(later).is_some());
        assert!(!gate.note(Sign::Alive, later), "it was closed before");
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let gate = Gate::default();
        for _ in 0..5 {
            silent(&gate, TOLERATED - 1, 0);
            gate.note(Sign::Alive, 0);
        }
        assert!(gate.has_room(0));
    }

    #[test]
    fn the_pause_has_an_end() {
        let gate = Gate::default();
        silent(&gate, 1_000, 0);
        assert_eq!(gate.closed_for_ms(0), Some(LONGEST_PAUSE_MS));
    }

    #[test]
    fn no_more_are_under_way_than_there_is_room_for() {
        let gate = Gate::default();
        let under_way: Vec<_> = (0..AT_ONCE).filter_map(|_| gate.enter(0)).collect();
        assert_eq!(under_way.len(), AT_ONCE);
        assert!(gate.enter(0).is_none() && !gate.has_room(0));
        drop(under_way);
        assert!(gate.enter(0).is_some());
    }
}
