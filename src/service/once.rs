//! Forms that are sent twice act once: a double click, a reload, a second try of a browser that saw no answer.
//!
//! The first form with a key does the work, and whoever sends the same key again gets the same outcome, waiting for
//! it if need be. It is remembered by the process that did it, for a while. Beyond that, and between processes, it is
//! the work itself that is harmless to repeat: it is done under a lease, and what is done already changes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::ServiceError;
use crate::domain::time::{HOUR_MS, Timestamp};

/// For how long an outcome is remembered, in milliseconds.
const REMEMBERED_MS: i64 = HOUR_MS;
/// The most outcomes that are remembered.
const MOST: usize = 10_000;

type Outcome = Arc<OnceCell<String>>;

/// What forms came to, by their keys.
#[derive(Debug, Default)]
pub struct Once(Mutex<HashMap<String, (Timestamp, Outcome)>>);

impl Once {
    /// Does the work of the first form with this key; of a further one, returns what the first came to. A failure is
    /// not remembered.
    ///
    /// # Errors
    /// The work's.
    pub async fn run<F>(
        &self,
        key: &str,
        now: Timestamp,
        work: impl FnOnce() -> F,
    ) -> Result<String, ServiceError>
    where
        F: Future<Output = Result<String, ServiceError>>,
    {
        let outcome = self.of(key, now);
        outcome.get_or_try_init(work).await.cloned()
    }

    fn of(&self, key: &str, now: Timestamp) -> Outcome {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| (0..REMEMBERED_MS).contains(&now.since(*since)));
        if known.len() >= MOST && !known.contains_key(key) {
            known.clear();
        }
        let (_, outcome) = known
            .entry(key.to_owned())
            .or_insert_with(|| (now, Outcome::default()));
        outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn the_same_key_works_once_and_another_one_again() {
        let (once, done) = (Once::default(), AtomicU32::new(0));
        let work = || async { Ok(done.fetch_add(1, Ordering::Relaxed).to_string()) };
        let at = Timestamp::from_ms;
        assert_eq!(once.run("a", at(0), work).await.expect("works"), "0");
        let both = tokio::join!(once.run("a", at(1), work), once.run("b", at(1), work));
        assert_eq!(
            (both.0.expect("works"), both.1.expect("works")),
            ("0".to_owned(), "1".to_owned())
        );
        let later = once.run("a", at(REMEMBERED_MS), work).await;
        assert_eq!(later.expect("works"), "2", "it was forgotten");
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let once = Once::default();
        let fails = || async { Err(ServiceError::NotFound) };
        assert!(once.run("a", Timestamp::from_ms(0), fails).await.is_err());
        let works = || async { Ok("done".to_owned()) };
        let again = once.run("a", Timestamp::from_ms(0), works).await;
        assert_eq!(again.expect("works"), "done");
    }
}
