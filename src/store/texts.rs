//! Which statements are sent, for tests that ask the database how it carries each of them out. Without the feature
//! `failpoints` nothing is noted, and nothing of it is left in the program.

#[cfg(feature = "failpoints")]
use std::collections::BTreeSet;
#[cfg(feature = "failpoints")]
use std::sync::{Arc, Mutex};

/// The texts of statements, each once.
#[derive(Clone, Default)]
pub(super) struct Texts {
    #[cfg(feature = "failpoints")]
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Texts {
    /// Notes a statement.
    #[cfg(feature = "failpoints")]
    pub fn note(&self, text: &str) {
        if let Ok(mut seen) = self.seen.lock()
            && !seen.contains(text)
        {
            seen.insert(text.to_owned());
        }
    }

    /// Notes a statement.
    #[cfg(not(feature = "failpoints"))]
    pub fn note(&self, _: &str) {}

    /// All that were noted.
    #[cfg(feature = "failpoints")]
    pub fn all(&self) -> Vec<String> {
        let seen = self.seen.lock();
        seen.map_or_else(|_| Vec::new(), |seen| seen.iter().cloned().collect())
    }
}
