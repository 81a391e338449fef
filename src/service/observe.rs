//! What the use cases count, and the text of all metrics.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::error::chain;
use super::gate::Sign;
use super::{ServiceError, Services};
use crate::domain::call::CallKind;
use crate::domain::observed::Observed;
use crate::domain::time::Timestamp;
use crate::provider::{Ambiguity, CallResult, FetchError, Outcome, Reference, SoughtSession};
use crate::store::calls::ClaimedCall;
use crate::store::failpoint::Step;
use crate::store::settle::Settled;

/// For how long the queues are not counted again, in milliseconds.
const QUEUES_HOLD_MS: i64 = 5_000;
/// How long reading the provider's list of sessions may take: less than a call's lease.
const LONGEST_LIST: Duration = Duration::from_secs(14);

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
        let step = match call.kind {
            CallKind::SessionCreate => Step::SendSessionCreate,
            CallKind::SessionExpire => Step::SendSessionExpire,
            CallKind::Capture => Step::SendCapture,
            CallKind::Void => Step::SendVoid,
            CallKind::Refund => Step::SendRefund,
        };
        step.before();
        let started = Instant::now();
        let outcome = match self.gate.enter(self.clock.now().ms()) {
            None => turned_away(),
            Some(_permit) => {
                let key = &call.idempotency_key;
                let outcome = self.provider.send(&call.request, key).await;
                let sign = match &outcome.result {
                    CallResult::Unknown(why) => Sign::of(*why),
                    CallResult::Succeeded(_) | CallResult::Declined(_) => Sign::Alive,
                };
                step.after();
                self.note_sign(sign).await;
                outcome
            }
        };
        let took = started.elapsed();
        let kind = call.kind.as_str();
        self.count_call(kind, outcome.result.as_str(), took);
        (outcome, took)
    }

    /// Asks the provider about an object and counts it.
    pub(super) async fn fetch_counted(&self, of: &Reference) -> Result<Observed, FetchError> {
        let started = Instant::now();
        let fetched = match self.gate.enter(self.clock.now().ms()) {
            None => Err(FetchError::Unavailable(Ambiguity::TurnedAway)),
            Some(_permit) => {
                Step::Fetch.before();
                let fetched = self.provider.fetch(of).await;
                Step::Fetch.after();
                self.note_sign(sign_of(&fetched)).await;
                fetched
            }
        };
        let kind = match of {
            Reference::Session(_) => "session_fetch",
            Reference::Intent(_) => "intent_fetch",
            Reference::Refund(_) => "refund_fetch",
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

    /// The intent that made a charge, by the provider.
    pub(super) async fn intent_of_counted(
        &self,
        charge: &str,
    ) -> Result<Option<String>, FetchError> {
        let asks = self.provider.intent_of(charge);
        self.asked_counted("charge_fetch", Step::Fetch, asks).await
    }

    /// Every refund of an intent's money, by the provider.
    pub(super) async fn refunds_counted(&self, intent: &str) -> Result<Vec<Observed>, FetchError> {
        let asks = self.provider.refunds_of(intent);
        self.asked_counted("refund_list", Step::FetchRefunds, asks)
            .await
    }

    async fn asked_counted<T>(
        &self,
        kind: &'static str,
        step: Step,
        asks: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let started = Instant::now();
        let Some(_permit) = self.gate.enter(self.clock.now().ms()) else {
            return Err(FetchError::Unavailable(Ambiguity::TurnedAway));
        };
        step.before();
        let fetched = asks.await;
        step.after();
        self.note_sign(sign_of(&fetched)).await;
        let outcome = fetched.as_ref().map_or("failed", |_| "succeeded");
        self.count_call(kind, outcome, started.elapsed());
        fetched
    }

    /// The provider's id of a session that carries our marks; a list that takes too long to read is no answer,
    /// because whoever asks has the call's lease only for so long.
    pub(super) async fn session_found_counted(
        &self,
        sought: &SoughtSession,
    ) -> Result<Option<String>, FetchError> {
        let started = Instant::now();
        let Some(_permit) = self.gate.enter(self.clock.now().ms()) else {
            return Err(FetchError::Unavailable(Ambiguity::TurnedAway));
        };
        Step::FindSession.before();
        let found = self.provider.find_session(sought);
        let found = tokio::time::timeout(LONGEST_LIST, found).await;
        let found = found.unwrap_or_else(|_| {
            let why = "its list of sessions takes too long to read";
            Err(FetchError::Refused(why.to_owned()))
        });
        Step::FindSession.after();
        self.note_sign(sign_of(&found)).await;
        let outcome = found.as_ref().map_or("failed", |_| "succeeded");
        self.count_call("session_list", outcome, started.elapsed());
        found
    }

    /// Tells the breaker; when that closes it, what had to wait is due.
    async fn note_sign(&self, sign: Sign) {
        if !self.gate.note(sign, self.clock.now().ms()) {
            return;
        }
        if let Err(error) = self.store.wake_calls(self.account.id).await {
            tracing::warn!(
                error = %chain(&error),
                "the calls that waited for the provider could not be woken; each is due in its own time"
            );
        }
        self.wake.notify_waiters();
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
            // Webhooks decide nothing, and nobody waits for one.
            Ok(Settled::Answered(_) | Settled::KeyKnown | Settled::Objected(_)) => "ignored",
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

fn sign_of<T>(fetched: &Result<T, FetchError>) -> Sign {
    match fetched {
        Err(FetchError::Unavailable(why)) => Sign::of(*why),
        Ok(_) | Err(FetchError::NotFound | FetchError::Refused(_)) => Sign::Alive,
    }
}

/// A call that was not sent at all.
fn turned_away() -> Outcome {
    Outcome {
        http_status: None,
        provider_request_id: None,
        retry_after_ms: None,
        result: CallResult::Unknown(Ambiguity::TurnedAway),
    }
}
