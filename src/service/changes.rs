//! Answers to requests that change something at the provider: one shape for refunds, captures and voids.
//!
//! The first request commits its intent with the caller's key, sends the call in a task of its own, and answers
//! with what is known then. A repeated one never sends anything: it waits for the first, or tells what is known
//! by now, and the last word is stored with the key.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::calls::Performed;
use super::idempotency::{replay, same_request};
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::call::{CallKind, CallStatus};
use crate::domain::payment::PaymentWord;
use crate::domain::refund::RefundStatus;
use crate::store::calls::ClaimedCall;
use crate::store::failpoint::Step;
use crate::store::idempotency::{KeyClaim, KnownKey, StoredAnswer};

/// How long a repeated request waits for the first one's answer.
pub(super) const WAIT_FOR_FIRST: Duration = Duration::from_secs(3);
/// How often it looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// When a caller should ask again while the outcome is open, in seconds.
pub(super) const ASK_AGAIN_S: u64 = 2;

/// A change that was asked for.
pub(super) struct Change<'a> {
    /// Who asked.
    pub caller: &'a Caller,
    /// Under which key.
    pub claim: &'a KeyClaim,
    /// What is done.
    pub kind: CallKind,
    /// Our id of what it is done to.
    pub subject: String,
    /// The status of the answer once it is done.
    pub done: u16,
}

/// A refusal as it is stored with a key.
#[derive(Serialize, Deserialize)]
struct StoredRefusal {
    refusal: Refusal,
    detail: String,
}

/// The last word on a change.
struct Said {
    body: String,
    location: String,
    refusal: Option<(Refusal, String)>,
    /// Whether the object itself shows that it was done: a webhook or a poll may know before the call does.
    shows: bool,
}

impl Services {
    /// Sends a call in a task of its own: a caller that goes away must not stop what it began.
    pub(super) async fn carry_out(
        self: &Arc<Self>,
        call: ClaimedCall,
    ) -> Result<Performed, ServiceError> {
        let services = self.clone();
        finished(async move { services.perform(call).await }).await
    }

    /// The answer to a change by what is known of it now; a last word is stored with the key.
    pub(super) async fn answer_change(
        &self,
        change: &Change<'_>,
        replayed: bool,
    ) -> Result<Answer, ServiceError> {
        let state = self.store.call_state(change.kind, &change.subject).await?;
        let said = self.say(change, state.map(|(status, _)| status)).await?;
        let known = matches!(
            state,
            Some((CallStatus::Succeeded | CallStatus::Declined, _))
        );
        if !known && !said.shows {
            return Ok(Answer {
                status: 202,
                body: said.body,
                replayed,
                location: Some(said.location),
                retry_after_s: Some(ASK_AGAIN_S),
            });
        }
        let stored = match said.refusal {
            None => StoredAnswer {
                status: change.done,
                body: said.body,
            },
            Some((refusal, detail)) => stored_refusal(refusal, &detail),
        };
        let step = match change.kind {
            CallKind::Capture => Step::CaptureAnswer,
            CallKind::Void => Step::VoidAnswer,
            _ => Step::RefundAnswer,
        };
        self.finish_key(step, change.caller, change.claim, &stored)
            .await?;
        answer_of(&stored, Some(said.location), replayed)
    }

    /// Stores the last word on a request with its key.
    pub(super) async fn finish_key(
        &self,
        step: Step,
        caller: &Caller,
        claim: &KeyClaim,
        stored: &StoredAnswer,
    ) -> Result<(), ServiceError> {
        self.store
            .write_at(step, |tx| async move {
                tx.shop(caller.shop).finish_key(claim, stored).await
            })
            .await?;
        Ok(())
    }

    /// A repeated request: its first answer, or what is known by now.
    pub(super) async fn repeat_change(
        &self,
        change: &Change<'_>,
        known: &KnownKey,
    ) -> Result<Answer, ServiceError> {
        same_request(change.claim, known)?;
        let began = tokio::time::Instant::now();
        loop {
            if let Some(stored) = &known.answer {
                let said = self.say(change, None).await?;
                return answer_of(stored, Some(said.location), true);
            }
            let call = self.store.call_state(change.kind, &change.subject).await?;
            if !call.is_some_and(|(_, in_flight)| in_flight) {
                return self.answer_change(change, true).await;
            }
            if began.elapsed() >= WAIT_FOR_FIRST {
                return Err(in_progress());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn say(
        &self,
        change: &Change<'_>,
        status: Option<CallStatus>,
    ) -> Result<Said, ServiceError> {
        let shop = self.store.shop(change.caller.shop);
        let declined = status == Some(CallStatus::Declined);
        let bad_id = |_| ServiceError::Task;
        if change.kind == CallKind::Refund {
            let id = change.subject.parse().map_err(bad_id)?;
            let refund = shop.refund(id).await?.ok_or(ServiceError::NotFound)?;
            let why = refund.failure_reason.as_deref().unwrap_or("unknown");
            let detail = format!(
                "The payment provider refused the refund ({why}); nothing went back. Refund `{id}` shows it as \
                 failed. See whether the payment was refunded or disputed elsewhere, then try with a new \
                 Idempotency-Key."
            );
            return Ok(Said {
                body: body_of(&refund),
                location: format!("/v1/refunds/{id}"),
                shows: refund.provider_refund_id.is_some(),
                // The call may have ended before the provider told that the refund was made all the same.
                refusal: (declined && refund.status == RefundStatus::Failed)
                    .then_some((Refusal::ProviderRejected, detail)),
            });
        }
        let id = change.subject.parse().map_err(bad_id)?;
        let payment = shop.payment(id).await?.ok_or(ServiceError::NotFound)?;
        let payment = payment.public;
        let refusal = match (change.kind, payment.status) {
            _ if !declined => None,
            (CallKind::Void, PaymentWord::Voided | PaymentWord::Expired) => None,
            (_, PaymentWord::Captured) => Some((
                Refusal::AlreadyCaptured,
                "The payment was captured by somebody else in the meantime.".to_owned(),
            )),
            _ => Some((
                Refusal::ProviderRejected,
                "The payment provider refused; the payment is unchanged. It may have lapsed: read the payment \
                 and the order's timeline for the reason."
                    .to_owned(),
            )),
        };
        let shows = match change.kind {
            CallKind::Capture => payment.status == PaymentWord::Captured,
            _ => payment.status == PaymentWord::Voided,
        };
        Ok(Said {
            shows,
            body: body_of(&payment),
            location: format!("/v1/payments/{id}"),
            refusal,
        })
    }
}

/// Runs a call to its end, whatever becomes of who began it.
pub(super) async fn finished(
    call: impl Future<Output = Result<Performed, ServiceError>> + Send + 'static,
) -> Result<Performed, ServiceError> {
    tokio::spawn(call.in_current_span())
        .await
        .map_err(|_| ServiceError::Task)?
}

/// The answer while another request with the same key is being carried out.
pub(super) fn in_progress() -> ServiceError {
    ServiceError::refused(
        Refusal::InProgress,
        "The first request with this Idempotency-Key is still being carried out; repeat this request in a \
         moment.",
    )
}

/// A refusal that is the last word on a request.
pub(super) fn stored_refusal(refusal: Refusal, detail: &str) -> StoredAnswer {
    let status = match refusal {
        Refusal::ProviderRejected => 502,
        _ => 409,
    };
    StoredAnswer {
        status,
        body: body_of(&StoredRefusal {
            refusal,
            detail: detail.to_owned(),
        }),
    }
}

/// A stored answer, as it is given.
pub(super) fn answer_of(
    stored: &StoredAnswer,
    location: Option<String>,
    replayed: bool,
) -> Result<Answer, ServiceError> {
    if stored.status >= 400 {
        let said: Result<StoredRefusal, _> = serde_json::from_str(&stored.body);
        let said = said.map_err(|_| ServiceError::Task)?;
        return Err(ServiceError::Refused {
            code: said.refusal,
            detail: said.detail,
            replayed,
        });
    }
    Ok(Answer {
        replayed,
        ..replay(stored, location)
    })
}

/// The JSON of an answer.
pub(super) fn body_of<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("answers have string keys only")
}
