//! A throttle: so many hits for one key within a sliding window.
//!
//! It keeps the time of each hit in the window, so the limit is exact: never more than `limit` hits in any
//! `window_s` seconds. Refused hits do not count. Memory is bounded by `limit` × `max_keys` times: when there
//! is no room, keys without a hit in the window go first, then those idle longest.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// What is allowed, and under which name clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The policy's name in the headers; a plain token.
    pub name: &'static str,
    /// How many hits one key has within a window.
    pub limit: u32,
    /// The length of the window.
    pub window_s: u32,
    /// How many keys are remembered.
    pub max_keys: usize,
}

/// What the throttle says about one hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub allowed: bool,
    /// The policy's limit.
    pub limit: u32,
    /// Hits left in the window.
    pub remaining: u32,
    /// Seconds until the oldest hit leaves the window.
    pub reset_s: u64,
    /// Seconds to wait before the next try: 0 when hits are left.
    pub retry_after_s: u64,
}

impl Policy {
    /// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers writes them.
    pub fn headers(&self, decision: &Decision) -> [(&'static str, String); 2] {
        let Policy {
            name,
            limit,
            window_s,
            ..
        } = self;
        let Decision {
            remaining, reset_s, ..
        } = decision;
        [
            (
                "RateLimit-Policy",
                format!(r#""{name}";q={limit};w={window_s}"#),
            ),
            (
                "RateLimit",
                format!(r#""{name}";r={remaining};t={reset_s}"#),
            ),
        ]
    }
}

/// A throttle over keys of one kind.
pub struct Throttle<K> {
    policy: Policy,
    keys: Mutex<HashMap<K, Seen>>,
}

/// What is remembered of one key.
struct Seen {
    /// The hits that were allowed in the window, oldest first.
    hits_ms: VecDeque<i64>,
    /// The last hit of any kind: a key that is refused all the time must not be forgotten first.
    last_ms: i64,
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// A throttle that has seen nothing yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            keys: Mutex::new(HashMap::new()),
        }
    }

    /// The policy it keeps.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Counts a hit, if it is allowed, at a time in epoch milliseconds.
    pub fn hit(&self, key: &K, now_ms: i64) -> Decision {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains_key(key) {
            self.make_room(&mut keys, now_ms);
        }
        let seen = keys.entry(key.clone()).or_insert_with(|| Seen {
            hits_ms: VecDeque::new(),
            last_ms: now_ms,
        });
        // A clock that steps back must not let hits through, nor keep them for ever.
        let now_ms = now_ms.max(seen.last_ms);
        seen.last_ms = now_ms;
        let hits = &mut seen.hits_ms;
        while hits
            .front()
            .is_some_and(|first| now_ms.saturating_sub(*first) >= self.window_ms())
        {
            hits.pop_front();
        }
        let used = u32::try_from(hits.len()).unwrap_or(u32::MAX);
        let allowed = used < self.policy.limit;
        if allowed {
            hits.push_back(now_ms);
        }
        let remaining = self
            .policy
            .limit
            .saturating_sub(used.saturating_add(u32::from(allowed)));
        let reset_s = hits
            .front()
            .map_or(0, |first| self.seconds_until_free(*first, now_ms));
        Decision {
            allowed,
            limit: self.policy.limit,
            remaining,
            reset_s,
            retry_after_s: if remaining == 0 { reset_s.max(1) } else { 0 },
        }
    }

    /// Takes the last hit of a key back: it turned out not to count.
    pub fn forgive(&self, key: &K) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = keys.get_mut(key) {
            seen.hits_ms.pop_back();
        }
    }

    fn window_ms(&self) -> i64 {
        i64::from(self.policy.window_s) * 1000
    }

    fn seconds_until_free(&self, first_ms: i64, now_ms: i64) -> u64 {
        let wait_ms = self
            .window_ms()
            .saturating_sub(now_ms.saturating_sub(first_ms))
            .max(0);
        u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000)
    }

    /// Frees half the room at once, so that its cost is spread over many hits.
    fn make_room(&self, keys: &mut HashMap<K, Seen>, now_ms: i64) {
        if keys.len() < self.policy.max_keys {
            return;
        }
        let oldest_ms = now_ms.saturating_sub(self.window_ms());
        keys.retain(|_, seen| seen.hits_ms.back().is_some_and(|last| *last > oldest_ms));
        if keys.is_empty() || keys.len() < self.policy.max_keys {
            return;
        }
        let mut last_ms: Vec<i64> = keys.values().map(|seen| seen.last_ms).collect();
        let middle = last_ms.len() / 2;
        let (_, median_ms, _) = last_ms.select_nth_unstable(middle);
        let median_ms = *median_ms;
        let mut excess = keys.len().saturating_sub(self.policy.max_keys / 2);
        keys.retain(|_, seen| {
            let goes = excess > 0 && seen.last_ms <= median_ms;
            excess -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    //! The limit is exact in every window, and memory stays bounded.

    use super::*;

    fn throttle(limit: u32, window_s: u32, max_keys: usize) -> Throttle<u32> {
        Throttle::new(Policy {
            name: "test",
            limit,
            window_s,
            max_keys,
        })
    }

    #[test]
    fn the_limit_holds_in_any_window() {
        let throttle = throttle(5, 600, 10);
        let mut allowed = Vec::new();
        for now_ms in (0..3_600_000).step_by(7_000) {
            if throttle.hit(&1, now_ms).allowed {
                allowed.push(now_ms);
            }
        }
        assert!(
            allowed.windows(6).all(|hits| hits[5] - hits[0] >= 600_000),
            "{allowed:?}"
        );
        assert!(allowed.len() >= 25);
    }

    #[test]
    fn a_decision_says_what_is_left_and_when_to_come_back() {
        let throttle = throttle(2, 60, 10);
        let first = throttle.hit(&1, 0);
        assert_eq!(
            first,
            Decision {
                allowed: true,
                limit: 2,
                remaining: 1,
                reset_s: 60,
                retry_after_s: 0
            }
        );
        assert_eq!(throttle.hit(&1, 10_000).remaining, 0);
        let third = throttle.hit(&1, 48_500);
        assert_eq!(
            third,
            Decision {
                allowed: false,
                limit: 2,
                remaining: 0,
                reset_s: 12,
                retry_after_s: 12
            }
        );
        assert!(!throttle.hit(&1, 59_999).allowed);
        assert!(
            throttle.hit(&1, 60_000).allowed,
            "the wait that was asked for is enough"
        );
        assert_eq!(
            throttle.policy().headers(&third),
            [
                ("RateLimit-Policy", r#""test";q=2;w=60"#.to_owned()),
                ("RateLimit", r#""test";r=0;t=12"#.to_owned())
            ]
        );
    }

    #[test]
    fn keys_do_not_share() {
        let throttle = throttle(1, 60, 10);
        assert!(
            throttle.hit(&1, 0).allowed
                && throttle.hit(&2, 0).allowed
                && !throttle.hit(&1, 0).allowed
        );
    }

    #[test]
    fn refused_hits_do_not_prolong_the_wait() {
        let throttle = throttle(1, 60, 10);
        assert!(
            (0..60)
                .filter(|second| throttle.hit(&1, second * 1000).allowed)
                .count()
                == 1
        );
        assert!(throttle.hit(&1, 60_000).allowed);
    }

    #[test]
    fn a_clock_that_steps_back_lets_nothing_through() {
        let throttle = throttle(1, 60, 10);
        assert!(throttle.hit(&1, 100_000).allowed);
        assert!(!throttle.hit(&1, 0).allowed);
        assert!(throttle.hit(&1, 160_000).allowed);
    }

    #[test]
    fn memory_is_bounded_and_the_busy_are_kept() {
        let throttle = throttle(3, 60, 100);
        for key in 0..100_000_u32 {
            throttle.hit(&key, i64::from(key));
            if key % 10 == 0 {
                throttle.hit(&u32::MAX, i64::from(key));
            }
            assert!(throttle.keys.lock().unwrap().len() <= 100);
        }
        assert!(
            !throttle.hit(&u32::MAX, 60_000).allowed,
            "a key that is seen all the time is not forgotten"
        );
    }

    #[test]
    fn keys_hit_at_the_same_moment_are_bounded_too() {
        let throttle = throttle(1, 60, 8);
        for key in 0..1000 {
            throttle.hit(&key, 5);
        }
        assert!(throttle.keys.lock().unwrap().len() <= 8);
    }
}
