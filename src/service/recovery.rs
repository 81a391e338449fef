//! Recovery: what is due is claimed by lease, asked about or sent again, and fed to the same settlement.
//!
//! Any number of processes may run these; a claimant that stalls loses its lease and its late write changes
//! nothing. Each function does one round and says how much it did.

use futures::stream::{self, StreamExt};

use super::error::chain;
use super::{ServiceError, Services};
use crate::domain::access::Trace;
use crate::domain::observed::Observed;
use crate::domain::time::{HOUR_MS, MINUTE_MS};
use crate::provider::{FetchError, Notice, Reference};
use crate::store::StoreError;
use crate::store::inbox::ClaimedEvent;
use crate::store::polling::{ClaimedPayment, ClaimedSession};
use crate::store::settle::{Settled, Source};

/// How much one round claims. All of it is begun at once: what waited for its turn could outlive its lease, and
/// another process would send it at the same time.
const BATCH: u32 = 8;
/// How many questions or calls one process has under way at once.
const AT_ONCE: usize = 8;

impl Services {
    /// Sends the provider calls that are due. Returns how many were.
    ///
    /// # Errors
    /// The store's, when nothing could be claimed.
    pub async fn send_due_calls(&self) -> Result<usize, ServiceError> {
        let now = self.clock.now().ms();
        if self.gate.closed_for_ms(now).is_some() {
            return Ok(0);
        }
        // One probe is enough to learn that the provider still does not answer.
        let most = if self.gate.wants_probe(now) { 1 } else { BATCH };
        let calls = self.store.claim_calls(self.account.id, most).await?;
        let count = calls.len();
        stream::iter(calls)
            .for_each_concurrent(AT_ONCE, |call| async move {
                let id = call.id;
                match self.perform(call).await {
                    Ok(performed) => tracing::info!(
                        provider_call.id = %id,
                        outcome = ?performed,
                        "sent call `{id}` again"
                    ),
                    Err(error) => tracing::error!(
                        provider_call.id = %id,
                        error = %chain(&error),
                        "call `{id}` could not be carried out; it stays due"
                    ),
                }
            })
            .await;
        Ok(count)
    }

    /// Asks about the sessions that are due. Returns how many were.
    ///
    /// # Errors
    /// The store's, when nothing could be claimed.
    pub async fn poll_due_sessions(&self) -> Result<usize, ServiceError> {
        if !self.gate.has_room(self.clock.now().ms()) {
            return Ok(0);
        }
        let sessions = self.store.claim_sessions(self.account.id, BATCH).await?;
        let count = sessions.len();
        stream::iter(sessions)
            .for_each_concurrent(AT_ONCE, |claimed| async move {
                let id = claimed.session.id;
                if let Err(error) = self.poll(claimed).await {
                    tracing::error!(
                        checkout_session.id = %id,
                        error = %chain(&error),
                        "could not settle checkout session `{id}`; it is asked about again"
                    );
                }
            })
            .await;
        Ok(count)
    }

    async fn poll(&self, claimed: ClaimedSession) -> Result<(), ServiceError> {
        let Some(provider_id) = claimed.session.provider_session_id.clone() else {
            return Ok(self.store.poll_failed(&claimed, MINUTE_MS).await?);
        };
        match self.fetch_counted(&Reference::Session(provider_id)).await {
            Ok(observed) => {
                let mut command =
                    self.settle_command(Source::Poll(claimed.clone()), Trace::system());
                command.observed.push(observed);
                match self.store.settle(&command).await {
                    Ok(_) | Err(StoreError::LeaseLost) => Ok(()),
                    Err(error) => {
                        // It says the same each time, and is for people.
                        let wait = match error.is_of_another_order() {
                            true => HOUR_MS,
                            false => MINUTE_MS,
                        };
                        self.store.poll_failed(&claimed, wait).await?;
                        Err(error.into())
                    }
                }
            }
            Err(error) => {
                tracing::warn!(
                    checkout_session.id = %claimed.session.id,
                    error = %chain(&error),
                    "the provider did not show checkout session `{}`",
                    claimed.session.id
                );
                let wait = match error {
                    FetchError::Unavailable(_) => 10_000,
                    FetchError::NotFound | FetchError::Refused(_) => 30 * MINUTE_MS,
                };
                Ok(self.store.poll_failed(&claimed, wait).await?)
            }
        }
    }

    /// Asks about the payments that are due. Returns how many were.
    ///
    /// # Errors
    /// The store's, when nothing could be claimed.
    pub async fn poll_due_payments(&self) -> Result<usize, ServiceError> {
        if !self.gate.has_room(self.clock.now().ms()) {
            return Ok(0);
        }
        let payments = self.store.claim_payments(self.account.id, BATCH).await?;
        let count = payments.len();
        stream::iter(payments)
            .for_each_concurrent(AT_ONCE, |claimed| async move {
                let id = claimed.payment.id;
                if let Err(error) = self.poll_payment(claimed).await {
                    tracing::error!(
                        payment.id = %id,
                        error = %chain(&error),
                        "could not settle payment `{id}`; it is asked about again"
                    );
                }
            })
            .await;
        Ok(count)
    }

    async fn poll_payment(&self, claimed: ClaimedPayment) -> Result<(), ServiceError> {
        match self.ask_about(&claimed.payment).await? {
            Ok(observed) => {
                let source = Source::PollPayment(claimed.clone());
                let mut command = self.settle_command(source, Trace::system());
                command.observed = observed;
                match self.store.settle(&command).await {
                    Ok(_) | Err(StoreError::LeaseLost) => Ok(()),
                    Err(error) => {
                        self.store.payment_poll_failed(&claimed, MINUTE_MS).await?;
                        Err(error.into())
                    }
                }
            }
            Err(error) => {
                tracing::warn!(
                    payment.id = %claimed.payment.id,
                    error = %chain(&error),
                    "the provider did not show payment `{}`",
                    claimed.payment.id
                );
                let wait = match error {
                    FetchError::Unavailable(_) => 10_000,
                    FetchError::NotFound | FetchError::Refused(_) => 30 * MINUTE_MS,
                };
                Ok(self.store.payment_poll_failed(&claimed, wait).await?)
            }
        }
    }

    /// Tries the events that are due again. Returns how many were.
    ///
    /// # Errors
    /// The store's, when nothing could be claimed.
    pub async fn retry_due_events(&self) -> Result<usize, ServiceError> {
        let events = self.store.claim_events(self.account.id, BATCH).await?;
        let count = events.len();
        stream::iter(events)
            .for_each_concurrent(AT_ONCE, |event| async move {
                let (id, outcome) = (event.id, self.retry_event(&event).await);
                let failed = match outcome {
                    Ok(()) => None,
                    Err(ServiceError::Store(StoreError::LeaseLost)) => None,
                    Err(error) => Some(error),
                };
                let Some(error) = failed else { return };
                if let ServiceError::Store(StoreError::Locked(_)) = error {
                    // Somebody holds its order. That says nothing of the event, however old it is.
                    let _ = self.store.release_event(&event).await;
                    return;
                }
                tracing::error!(
                    provider_event.id = %id,
                    error = %chain(&error),
                    "event `{id}` could not be applied; it is tried again"
                );
                // If even that fails the lease ends by itself and the event is due again.
                let _ = self.store.event_failed(&event, "not_applied").await;
            })
            .await;
        Ok(count)
    }

    /// Why an event is not about our account's money, when it is not.
    pub(super) fn misaddressed(&self, notice: &Notice) -> Option<&'static str> {
        let external = notice.external_account.as_deref();
        let said = notice.observed.as_slice();
        self.account.misaddressed(notice.live, external, said)
    }

    async fn retry_event(&self, event: &ClaimedEvent) -> Result<(), ServiceError> {
        if event.quarantined {
            return self.refetch(event).await;
        }
        let notice = self
            .provider
            .parse_event(&event.raw)
            .map_err(ServiceError::MalformedEvent)?;
        if let Some(reason) = self.misaddressed(&notice) {
            return Ok(self.store.event_misaddressed(event, reason).await?);
        }
        let Some(observed) = notice.observed else {
            let ours = notice.unreadable.is_none_or(|unreadable| unreadable.ours);
            let names = (notice.intent_id.as_deref(), notice.charge_id.as_deref());
            let payment = (!ours).then_some(names);
            return Ok(self.store.still_unreadable(event, payment).await?);
        };
        let mut command = self.settle_command(Source::Retry(event.clone()), Trace::system());
        match self.with_its_payment(observed).await {
            Ok(observed) => command.observed = observed,
            Err(_) => return Ok(self.store.event_failed(event, "not_fetched").await?),
        }
        match self.store.settle(&command).await {
            Ok(Settled::Applied { .. }) => {
                self.note_lag(notice.created.unwrap_or(event.received_at));
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.is_of_another_order() => {
                Ok(self.store.event_untrue(event, &command).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An object, and before it the payment it is about where only that says whose it is. What names a charge alone gets
    /// the intent that made it; a charge that none made is not ours, as every payment of ours has one.
    pub(super) async fn with_its_payment(
        &self,
        mut observed: Observed,
    ) -> Result<Vec<Observed>, FetchError> {
        if let (None, Some(charge)) = (observed.intent_id(), observed.charge_id()) {
            observed = match self.intent_of_counted(charge).await {
                Ok(Some(intent)) => observed.of_intent(intent),
                Ok(None) | Err(FetchError::NotFound) => observed,
                Err(error) => return Err(error),
            };
        }
        let intent = observed.intent_id().filter(|_| observed.needs_payment());
        let Some(intent) = intent else {
            return Ok(vec![observed]);
        };
        let reference = Reference::Intent(intent.to_owned());
        match self.fetch_counted(&reference).await {
            Ok(payment) => Ok(vec![payment, observed]),
            Err(FetchError::NotFound) => Ok(vec![observed]),
            Err(error) => Err(error),
        }
    }

    /// A webhook that was not believed: only the object itself, fetched, becomes a fact.
    async fn refetch(&self, event: &ClaimedEvent) -> Result<(), ServiceError> {
        let notice = self.provider.parse_event(&event.raw);
        let notice = notice.map_err(ServiceError::MalformedEvent)?;
        let Some(behind) = Behind::of(&notice) else {
            return Ok(self.store.event_failed(event, "no_object").await?);
        };
        match self.fetch_behind(&behind).await {
            Ok(observed) => {
                let source = Source::Refetch(event.clone());
                let mut command = self.settle_command(source, Trace::system());
                command.observed = observed;
                match self.store.settle(&command).await {
                    Ok(Settled::Applied { .. }) => {
                        self.note_lag(event.received_at);
                        Ok(())
                    }
                    Ok(_) => Ok(()),
                    Err(error) if error.is_of_another_order() => {
                        tracing::error!(
                            provider_event.id = %event.id,
                            "the provider shows one payment for two orders; event `{}` waits for people",
                            event.id
                        );
                        Ok(self.store.event_untrue(event, &command).await?)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => {
                tracing::warn!(
                    provider_event.id = %event.id,
                    error = %chain(&error),
                    "the object behind event `{}` could not be fetched",
                    event.id
                );
                Ok(self.store.event_failed(event, "not_fetched").await?)
            }
        }
    }

    /// What an event is about, as the provider shows it now: the object itself, and the payment it belongs to.
    pub(super) async fn fetch_behind(&self, behind: &Behind) -> Result<Vec<Observed>, FetchError> {
        let object = match behind {
            Behind::Object(reference) => return Ok(vec![self.fetch_counted(reference).await?]),
            Behind::Refund { id, intent } => {
                let refunds = self.refunds_counted(intent).await?;
                if refunds.iter().any(|refund| refund.provider_id() == id) {
                    let payment = Reference::Intent(intent.clone());
                    let mut observed = vec![self.fetch_counted(&payment).await?];
                    observed.extend(refunds);
                    return Ok(observed);
                }
                Reference::Refund(id.clone())
            }
            Behind::OfPayment(reference) => reference.clone(),
        };
        let object = self.fetch_counted(&object).await?;
        self.with_its_payment(object).await
    }
}

/// The object an event is about, to be fetched: the one it names, never merely our session of the order. What our
/// session says is no answer to a question about other money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Behind {
    /// A session or an intent: it says itself whose it is.
    Object(Reference),
    /// A refund of this intent's money: all of them are asked for, so that none is taken for another.
    Refund { id: String, intent: String },
    /// Something that only its payment says the owner of.
    OfPayment(Reference),
}

impl Behind {
    /// None when the event names nothing that can be fetched.
    pub(super) fn of(notice: &Notice) -> Option<Behind> {
        let (object, intent) = (notice.object_id.clone(), notice.intent_id.clone());
        match &notice.observed {
            Some(Observed::Session(session)) => {
                let session = Reference::Session(session.provider_id.clone());
                Some(Behind::Object(session))
            }
            Some(Observed::Intent(shown)) => {
                let intent = Reference::Intent(shown.provider_id.clone());
                Some(Behind::Object(intent))
            }
            Some(Observed::Refund(refund)) => Some(match refund.intent.clone() {
                Some(intent) => Behind::Refund {
                    id: refund.provider_id.clone(),
                    intent,
                },
                None => Behind::OfPayment(Reference::Refund(refund.provider_id.clone())),
            }),
            Some(Observed::Dispute(dispute)) => {
                let dispute = Reference::Dispute(dispute.provider_id.clone());
                Some(Behind::OfPayment(dispute))
            }
            // A charge is not asked about: its intent says what became of the money.
            Some(Observed::Lapsed(lapse)) => {
                Some(Behind::Object(Reference::Intent(lapse.intent.clone()?)))
            }
            // Of a type this version does not act on; an older one did.
            None => Some(Behind::Object(match (intent, object) {
                (Some(intent), Some(object)) if intent == object => Reference::Intent(intent),
                (_, Some(object)) => Reference::Session(object),
                (_, None) => return None,
            })),
        }
    }
}
