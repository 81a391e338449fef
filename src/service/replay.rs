//! Replaying: a stored event of the provider is tried again by hand, whatever became of it.
//!
//! It goes the way of every other event: read by this version's adapter, matched, doubted and settled by the same
//! function. So an event that an older version ignored is applied by one that knows it, and one that was applied
//! changes nothing. What would change is found out first; what would change nothing is not written at all.

use serde::Serialize;

use super::error::chain;
use super::recovery::Behind;
use super::{ServiceError, Services};
use crate::domain::access::Trace;
use crate::domain::ids::{OrderId, ProviderEventId};
use crate::domain::inbox::is_doubt;
use crate::domain::settlement::FactDraft;
use crate::domain::time::Timestamp;
use crate::store::inbox::ClaimedEvent;
use crate::store::replay::StoredEvent;
use crate::store::settle::{Labels, Preview, Settle, Settled, Source};

/// What became of a replayed event, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayOutcome {
    /// It was applied.
    Applied,
    /// It is not believed, and its object is being fetched.
    Quarantined,
    /// Nothing changed.
    Unchanged,
    /// It could not be tried.
    Failed,
}

impl ReplayOutcome {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ReplayOutcome::Applied => "applied",
            ReplayOutcome::Quarantined => "quarantined",
            ReplayOutcome::Unchanged => "unchanged",
            ReplayOutcome::Failed => "failed",
        }
    }
}

/// A replayed event.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// Our id of it.
    pub id: ProviderEventId,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    #[serde(rename = "type")]
    pub kind: String,
    /// What had become of it.
    pub verdict: String,
    /// What became of it now, or would.
    pub outcome: ReplayOutcome,
    /// Why it came out so, when that is not plain.
    pub note: Option<String>,
    /// The order it is about.
    pub order_id: Option<OrderId>,
    /// What was not known before.
    pub facts: Vec<String>,
    /// How many ledger transactions were posted.
    pub ledger_transactions: usize,
    /// How the order was labelled.
    pub before: Option<Labels>,
    /// How it is labelled now.
    pub after: Option<Labels>,
}

impl Replayed {
    fn new(stored: &StoredEvent) -> Replayed {
        Replayed {
            id: stored.id,
            event_id: stored.event_id.clone(),
            kind: stored.kind.clone(),
            verdict: stored.verdict.clone(),
            outcome: ReplayOutcome::Unchanged,
            note: None,
            order_id: None,
            facts: Vec::new(),
            ledger_transactions: 0,
            before: None,
            after: None,
        }
    }

    fn because(self, note: impl Into<String>) -> Replayed {
        Replayed {
            note: Some(note.into()),
            ..self
        }
    }

    fn failed(self, note: impl Into<String>) -> Replayed {
        Replayed {
            outcome: ReplayOutcome::Failed,
            ..self.because(note)
        }
    }
}

/// What a stored event says now, or why it says nothing.
enum Said {
    Command(Box<Settle>),
    Nothing(String),
    Failed(String),
}

impl Services {
    /// Replays the event with this id, ours or the provider's; with `dry_run` nothing is written.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] when no such event is stored; the store's.
    pub async fn replay(&self, id: &str, dry_run: bool) -> Result<Replayed, ServiceError> {
        let stored = self.store.stored_event(id).await?;
        let stored = stored.ok_or(ServiceError::NotFound)?;
        self.replay_stored(&stored, dry_run).await
    }

    /// The next events that arrived at `since` or later, after the one with the id `after`, replayed in the order of
    /// arrival; none when there are no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn replay_since(
        &self,
        since: Timestamp,
        after: &str,
        dry_run: bool,
    ) -> Result<Vec<Replayed>, ServiceError> {
        const AT_ONCE: u64 = 100;
        let stored = self.store.events_since(since, after, AT_ONCE).await?;
        let mut replayed = Vec::with_capacity(stored.len());
        for stored in &stored {
            replayed.push(self.replay_stored(stored, dry_run).await?);
        }
        Ok(replayed)
    }

    async fn replay_stored(
        &self,
        stored: &StoredEvent,
        dry_run: bool,
    ) -> Result<Replayed, ServiceError> {
        let result = Replayed::new(stored);
        let Some(event) = &stored.event else {
            return Ok(result.failed("its bytes are no longer kept"));
        };
        if event.account != self.account.id {
            return Ok(result.failed("it belongs to another provider account"));
        }
        let command = match self.said(stored, event).await {
            Said::Command(command) => command,
            Said::Nothing(why) => return Ok(result.because(why)),
            Said::Failed(why) => return Ok(result.failed(why)),
        };
        let result = match self.store.preview(&command).await? {
            Preview::Unmatched => {
                return Ok(result.because("no order of this database is known for it"));
            }
            // Whoever did not believe it then asked the provider, and what that said is booked.
            Preview::Doubted { order, reason } if stored.verdict == "applied" => Replayed {
                order_id: Some(order),
                ..result.because(format!("{reason}: its object was fetched when it came"))
            },
            Preview::Doubted { order, reason } => Replayed {
                outcome: ReplayOutcome::Quarantined,
                order_id: Some(order),
                ..result.because(format!("{reason}: its object is fetched from the provider"))
            },
            Preview::Applied(effect) => {
                let nothing_new = effect.facts.is_empty() && stored.verdict == "applied";
                let outcome = match nothing_new {
                    true => ReplayOutcome::Unchanged,
                    false => ReplayOutcome::Applied,
                };
                Replayed {
                    outcome,
                    order_id: Some(effect.order),
                    facts: effect.facts.iter().map(fact_text).collect(),
                    ledger_transactions: effect.postings,
                    before: Some(effect.before),
                    after: Some(effect.after),
                    ..result
                }
            }
        };
        if dry_run || result.outcome == ReplayOutcome::Unchanged {
            return Ok(result);
        }
        self.settle_replayed(*command, result).await
    }

    /// Settles what was looked at, under the event's lease.
    async fn settle_replayed(
        &self,
        mut command: Settle,
        result: Replayed,
    ) -> Result<Replayed, ServiceError> {
        let Some(claimed) = self.store.claim_event(result.id).await? else {
            return Ok(result.failed("somebody else is working on it; try again in a moment"));
        };
        command.source = match command.source {
            Source::Refetch(_) => Source::Refetch(claimed.clone()),
            _ => Source::Retry(claimed.clone()),
        };
        match self.store.settle(&command).await {
            Ok(settled) => {
                self.wake.notify_waiters();
                tracing::info!(
                    provider_event.id = %result.id,
                    verdict = ?settled,
                    "replayed event `{}`",
                    result.id
                );
                let outcome = match settled {
                    Settled::Applied { .. } => ReplayOutcome::Applied,
                    Settled::Quarantined => ReplayOutcome::Quarantined,
                    Settled::Duplicate
                    | Settled::Ignored
                    | Settled::Foreign
                    | Settled::Pending
                    | Settled::Answered(_)
                    | Settled::KeyKnown
                    | Settled::Objected(_) => ReplayOutcome::Unchanged,
                };
                Ok(Replayed { outcome, ..result })
            }
            Err(error) if error.is_of_another_order() => {
                self.store.event_untrue(&claimed, &command).await?;
                self.wake.notify_waiters();
                let outcome = ReplayOutcome::Quarantined;
                Ok(Replayed { outcome, ..result })
            }
            Err(error) => {
                // If even that fails the lease ends by itself.
                let _ = self.store.release_event(&claimed).await;
                Ok(result.failed(chain(&error)))
            }
        }
    }

    /// Reads a stored event with this version's adapter; of one that was not believed the object is fetched.
    async fn said(&self, stored: &StoredEvent, event: &ClaimedEvent) -> Said {
        let notice = match self.provider.parse_event(&event.raw) {
            Ok(notice) => notice,
            Err(error) => return Said::Failed(chain(&error)),
        };
        if let Some(why) = self.misaddressed(&notice) {
            return Said::Nothing(format!("{why}: it is not about this account's money"));
        }
        let doubted = stored.reason.as_deref().is_some_and(is_doubt);
        if doubted && stored.verdict != "applied" {
            let Some(behind) = Behind::of(&notice) else {
                return Said::Failed("it names no object to fetch".to_owned());
            };
            return match self.fetch_behind(&behind).await {
                Ok(observed) => {
                    let source = Source::Refetch(event.clone());
                    let mut command = self.settle_command(source, Trace::system());
                    command.observed = observed;
                    Said::Command(Box::new(command))
                }
                Err(error) => Said::Failed(chain(&error)),
            };
        }
        if let Some(unreadable) = &notice.unreadable {
            if !unreadable.ours && stored.verdict == "foreign" {
                return Said::Nothing("no payment of this database is known for it".to_owned());
            }
            return Said::Failed(format!("it cannot be read: {}", unreadable.why));
        }
        let Some(observed) = notice.observed else {
            return Said::Nothing("Till does not act on events of this type".to_owned());
        };
        let source = Source::Retry(event.clone());
        let mut command = self.settle_command(source, Trace::system());
        match self.with_its_payment(observed).await {
            Ok(observed) => command.observed = observed,
            Err(error) => return Said::Failed(chain(&error)),
        }
        Said::Command(Box::new(command))
    }
}

/// A fact in words: its kind, its amount, its object.
fn fact_text(fact: &FactDraft) -> String {
    match fact.amount {
        Some(amount) => format!(
            "{} {amount} {} ({})",
            fact.kind,
            amount.currency(),
            fact.object
        ),
        None => format!("{} ({})", fact.kind, fact.object),
    }
}
