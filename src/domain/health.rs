//! How a provider does, by what became of the tries of our calls.

use std::collections::BTreeMap;

use super::ids::{AccountId, CallId};
use super::overview::{Spread, quantile};
use super::time::Timestamp;

/// So many tries of calls that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriesAlike {
    /// The provider account.
    pub account: AccountId,
    /// A word for what came of them.
    pub outcome: String,
    /// How long each took, in milliseconds.
    pub duration_ms: i64,
    /// How many.
    pub count: u64,
}

/// How tries of calls went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tries {
    /// How many were answered, whatever the answer said.
    pub answered: u64,
    /// How many of these said no.
    pub declined: u64,
    /// How many got no usable answer.
    pub failed: u64,
    /// How many were not even sent, because the provider did not answer.
    pub turned_away: u64,
    /// How long the sent ones took.
    pub spread: Option<Spread>,
    /// 99 of 100 took this or less, in milliseconds.
    pub p99_ms: Option<i64>,
}

impl Tries {
    /// How many of a thousand that were sent were answered; none when none was sent.
    #[must_use]
    pub fn answered_per_mille(&self) -> Option<u64> {
        let sent = self.answered.saturating_add(self.failed);
        self.answered.saturating_mul(1_000).checked_div(sent)
    }

    /// Tries of one account, added up.
    #[must_use]
    pub fn of<'a>(tries: impl Iterator<Item = &'a TriesAlike>) -> Tries {
        let mut all = Tries::default();
        let mut durations: BTreeMap<i64, u64> = BTreeMap::new();
        for alike in tries {
            let sum = match ending_of(&alike.outcome) {
                Ending::Done => &mut all.answered,
                Ending::Declined => {
                    all.declined = all.declined.saturating_add(alike.count);
                    &mut all.answered
                }
                Ending::Failed => &mut all.failed,
                Ending::TurnedAway => {
                    all.turned_away = all.turned_away.saturating_add(alike.count);
                    continue;
                }
                Ending::NotSent => continue,
            };
            *sum = sum.saturating_add(alike.count);
            let count = durations.entry(alike.duration_ms).or_default();
            *count = count.saturating_add(alike.count);
        }
        all.spread = Spread::of_counts(&durations);
        all.p99_ms = quantile(&durations, 99);
        all
    }
}

/// What the word for what came of a try means for the provider's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was carried out.
    Done,
    /// It was answered with a no.
    Declined,
    /// There was no usable answer.
    Failed,
    /// It was not sent, because too many before it had got no answer.
    TurnedAway,
    /// Nothing was sent: it is under way, or its object was looked at instead.
    NotSent,
}

/// Reads the word a try ended with.
#[must_use]
pub fn ending_of(outcome: &str) -> Ending {
    match outcome {
        "succeeded" => Ending::Done,
        "declined" => Ending::Declined,
        "turned_away" => Ending::TurnedAway,
        "sending" | "found_done" | "found_not_done" | "not_found_yet" | "not_looked_up"
        | "outcome_unknown" | "abandoned" => Ending::NotSent,
        _ => Ending::Failed,
    }
}

/// A try that got no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTry {
    /// The provider account.
    pub account: AccountId,
    /// Its call.
    pub call: CallId,
    /// When it began.
    pub at: Timestamp,
    /// A word for what came of it.
    pub outcome: String,
    /// The HTTP status, when there was one.
    pub http_status: Option<i64>,
}

/// What stands before the provider in the process that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// Calls pass.
    Open,
    /// The provider did not answer; nothing is sent for so long, in milliseconds.
    Paused(i64),
    /// The provider did not answer; the next call tries it.
    Probing,
}

/// How one provider account does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHealth {
    /// The account.
    pub account: AccountId,
    /// Tries of the last hour.
    pub hour: Tries,
    /// Tries of the last day.
    pub day: Tries,
    /// The newest try of the last day without a usable answer.
    pub last_failure: Option<FailedTry>,
    /// What stands before it in this process, if this process calls it.
    pub gate: Option<GateState>,
}

/// How the shop's providers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// When this was read.
    pub at: Timestamp,
    /// Every account that was called, and the one that calls are made with now.
    pub accounts: Vec<AccountHealth>,
    /// From an event at the provider to its facts being recorded here, over the last hour.
    pub lag_hour: Option<Spread>,
    /// The same over the last day.
    pub lag_day: Option<Spread>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Id;

    #[test]
    fn what_was_not_sent_says_nothing_of_the_provider() {
        let alike = |outcome: &str, duration_ms, count| TriesAlike {
            account: AccountId::from_uuid(uuid::Uuid::from_u128(1)),
            outcome: outcome.to_owned(),
            duration_ms,
            count,
        };
        let tries = Tries::of(
            [
                alike("succeeded", 100, 7),
                alike("declined", 200, 1),
                alike("timeout", 10_000, 2),
                alike("turned_away", 0, 5),
                alike("sending", 0, 1),
                alike("found_done", 0, 1),
            ]
            .iter(),
        );
        assert_eq!((tries.answered, tries.declined, tries.failed), (8, 1, 2));
        assert_eq!(tries.turned_away, 5);
        assert_eq!(tries.answered_per_mille(), Some(800));
        let spread = tries.spread.expect("some");
        assert_eq!(
            (spread.count, spread.median_ms, spread.p95_ms),
            (10, 100, 10_000)
        );
        assert_eq!(Tries::default().answered_per_mille(), None);
    }
}
