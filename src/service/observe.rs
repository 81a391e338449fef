//! What the use cases count, and the text of all metrics.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::error::chain;
use super::{ServiceError, Services};
use crate::domain::observed::Observed;
use crate::domain::time::Timestamp;
use crate::provider::{FetchError, Outcome, Reference};
use crate::store::calls::ClaimedCall;
use crate::store::settle::Settled;

/// For how long the queues are not counted again, in milliseconds.
const QUEUES_HOLD_MS: i64 = 5_000;

impl Services {
    /// All metrics in Prometheus' text format. The queues are counted at most every five seconds; while the
    /// database does not answer they are missing, and everything else is there.
    pub async fn metrics_text(&self) -> String {
        // Before the queues are counted, which itself takes a connection.
        self.note_pools();
        let now = self.clock.now().ms();
        let mut counted_at = self.queues_counted_at.lock().await;
        let held =
            counted_at.is_some_and(|at| (0..QUEUES_HOLD_MS).contains(&now.saturating_sub(at)));
        if !held {
            let queues = match self.store.queues().await {
                Ok(queues) => {
                    *counted_at = Some(now);
                    queues
                }
                Err(error) => {
                    *counted_at = None;
                    tracing::warn!(
                        error = %chain(&error),
                        "the queues could not be counted; the metrics go without them"
                    );
                    Vec::new()
                }
            };
            let depths = queues
                .iter()
                .map(|queue| ([Cow::Borrowed(queue.name)], queue.depth));
            self.metrics.queue_depth.replace(depths);
            let ages = queues
                .iter()
                .map(|queue| ([Cow::Borrowed(queue.name)], queue.oldest_age_ms));
            self.metrics.queue_oldest_age.replace(ages);
        }
        drop(counted_at);
        self.metrics.render()
    }

    fn note_pools(&self) {
        let pools = self.store.connection_pools();
        let connections = pools.iter().flat_map(|pool| {
            [("in_use", pool.in_use), ("idle", pool.idle)]
                .map(|(state, count)| ([Cow::Borrowed(pool.name), Cow::Borrowed(state)], count))
        });
        self.metrics.database_connections.replace(connections);
        let most = pools
            .iter()
            .map(|pool| ([Cow::Borrowed(pool.name)], pool.max));
        self.metrics.database_connections_max.replace(most);
    }

    /// Sends a call once and counts it. Returns how long it took, too.
    pub(super) async fn send_counted(&self, call: &ClaimedCall) -> (Outcome, Duration) {
        let started = Instant::now();
        let outcome = self
            .provider
            .send(&call.request, &call.idempotency_key)
            .await;
        let took = started.elapsed();
        let kind = call.kind.as_str();
        self.count_call(kind, outcome.result.as_str(), took);
        (outcome, took)
    }

    /// Asks the provider about an object and counts it.
    pub(super) async fn fetch_counted(&self, of: &Reference) -> Result<Observed, FetchError> {
        let started = Instant::now();
        let fetched = self.provider.fetch(of).await;
        let kind = match of {
            Reference::Session(_) => "session_fetch",
            Reference::Intent(_) => "intent_fetch",
            Reference::Dispute(_) => "dispute_fetch",
        };
        let outcome = match &fetched {
            Ok(_) => "succeeded",
            Err(FetchError::NotFound) => "not_found",
            Err(FetchError::Refused(_)) => "declined",
            Err(FetchError::Unavailable(why)) => why.as_str(),
        };
        self.count_call(kind, outcome, started.elapsed());
        fetched
    }

    fn count_call(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        let (kind, outcome) = (Cow::Borrowed(kind), Cow::Borrowed(outcome));
        let metrics = &self.metrics;
        metrics.provider_calls.count([kind.clone(), outcome]);
        metrics.provider_call_duration.observe([kind], took);
    }

    /// Counts a webhook by what became of it.
    pub(super) fn count_webhook(&self, received: &Result<Settled, ServiceError>) {
        let verdict = match received {
            Ok(Settled::Applied { .. }) => "applied",
            Ok(Settled::Duplicate) => "duplicate",
            Ok(Settled::Ignored) => "ignored",
            Ok(Settled::Foreign) => "foreign",
            Ok(Settled::Pending) => "pending",
            Ok(Settled::Quarantined) => "quarantined",
            Err(ServiceError::Signature(_)) => "bad_signature",
            Err(ServiceError::MalformedEvent(_)) => "malformed",
            Err(_) => "not_stored",
        };
        self.metrics.webhooks.count([Cow::Borrowed(verdict)]);
    }

    /// Notes how long it took from an event to its facts.
    pub(super) fn note_lag(&self, since: Timestamp) {
        let lag_ms = u64::try_from(self.clock.now().since(since)).unwrap_or(0);
        let lag = Duration::from_millis(lag_ms);
        self.metrics.settlement_lag.observe([], lag);
    }
}
