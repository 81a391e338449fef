//! Carrying out provider calls: send the stored bytes, note the try, settle what is known.
//!
//! Used by the request that wrote the call and by the recovery loop alike, so both do the same.

use super::error::chain;
use super::{ServiceError, Services};
use crate::domain::call::{CallKind, CallStatus, may_resend, retry_delay_ms};
use crate::domain::checkout::{Wanted, disagreement};
use crate::domain::ids::CheckoutSessionId;
use crate::domain::observed::Observed;
use crate::domain::settlement::{FactDraft, FactKind};
use crate::provider::{Ambiguity, CallResult, Decline, Outcome, Reference};
use crate::store::StoreError;
use crate::store::calls::{AttemptNote, ClaimedCall};
use crate::store::checkouts::SessionRecord;
use crate::store::settle::Source;

/// What carrying out a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performed {
    /// Its outcome is known and settled.
    Known,
    /// Nothing is known; it will be tried again.
    Unknown,
    /// Somebody else has the call now.
    Superseded,
}

impl Services {
    /// Sends a claimed call once and settles its outcome.
    ///
    /// # Errors
    /// The store's. The call is then still claimed, and due again when its lease ends.
    pub async fn perform(&self, call: ClaimedCall) -> Result<Performed, ServiceError> {
        let session: CheckoutSessionId = call.subject_id.parse().map_err(|_| ServiceError::Task)?;
        let session = self.store.any_session(session).await?;
        let session = session.ok_or(ServiceError::NotFound)?;
        if !may_resend(call.created_at, self.clock.now()) {
            return self.give_up(call, &session).await;
        }
        let (outcome, took) = self.send_counted(&call).await;
        let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let note = note_of(&outcome, took_ms);
        let retry_after_ms = outcome.retry_after_ms;
        fail::fail_point!("call_answered", |_| std::process::abort());
        let settled = match outcome.result {
            CallResult::Succeeded(observed) => {
                self.succeeded(call, note, &session, *observed).await
            }
            CallResult::Declined(decline) => self.declined(call, note, &session, &decline).await,
            // The key is used up and nobody has the URL: a new session is safe, and if this one exists and is
            // paid after all, its marks lead to the order.
            CallResult::Unknown(Ambiguity::StoredError) if call.kind == CallKind::SessionCreate => {
                self.declined(call, note, &session, &abandoned()).await
            }
            CallResult::Unknown(_) => {
                let wait = retry_delay_ms(call.attempt).max(retry_after_ms.unwrap_or(0));
                let kept = self.store.call_unknown(&call, wait, &note).await;
                kept.map(|()| Performed::Unknown)
            }
        };
        match settled {
            Err(StoreError::LeaseLost) => Ok(Performed::Superseded),
            other => Ok(other?),
        }
    }

    async fn succeeded(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        session: &SessionRecord,
        observed: Observed,
    ) -> Result<Performed, StoreError> {
        let wanted = Wanted {
            session: session.id,
            deployment: &self.deployment,
            amount: session.amount,
            mode: self.account.mode,
        };
        let differs = match (&observed, call.kind) {
            (Observed::Session(answer), CallKind::SessionCreate) => disagreement(wanted, answer),
            _ => None,
        };
        let trace = call.trace.clone();
        let status = CallStatus::Succeeded;
        let mut command = self.settle_command(Source::Call { call, status, note }, trace);
        if let Some(differs) = differs {
            tracing::error!(
                checkout_session.id = %session.id,
                difference = %differs,
                "the provider made checkout session `{}` otherwise than asked; its URL is given to nobody",
                session.id
            );
            let rejected =
                FactDraft::session(FactKind::Rejected, &session.id.to_string(), session.id);
            command.drafts.push(rejected.because(differs.as_str()));
        }
        command.observed.push(observed);
        self.store.settle(&command).await?;
        self.wake.notify_waiters();
        Ok(Performed::Known)
    }

    async fn declined(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        session: &SessionRecord,
        decline: &Decline,
    ) -> Result<Performed, StoreError> {
        tracing::warn!(
            provider_call.id = %call.id,
            code = %decline.code,
            "the provider declined call `{}`",
            call.id
        );
        let (kind, trace) = (call.kind, call.trace.clone());
        let status = CallStatus::Declined;
        let mut command = self.settle_command(Source::Call { call, status, note }, trace);
        if kind == CallKind::SessionCreate {
            let rejected =
                FactDraft::session(FactKind::Rejected, &session.id.to_string(), session.id);
            command.drafts.push(rejected.because(&decline.code));
        }
        self.store.settle(&command).await?;
        if kind == CallKind::SessionExpire {
            // It was paid, or had expired already: the provider says which.
            self.refresh_quietly(session).await;
        }
        Ok(Performed::Known)
    }

    /// The key may have been forgotten by now, and sending again could do it twice. A session this old can no
    /// longer be paid, and if it was, its webhook names us.
    async fn give_up(
        &self,
        call: ClaimedCall,
        session: &SessionRecord,
    ) -> Result<Performed, ServiceError> {
        let note = AttemptNote {
            duration_ms: 0,
            http_status: None,
            outcome: "abandoned".to_owned(),
            provider_request_id: None,
        };
        match self.declined(call, note, session, &abandoned()).await {
            Err(StoreError::LeaseLost) => Ok(Performed::Superseded),
            other => Ok(other?),
        }
    }

    /// Asks the provider about a session now and settles the answer; false when it gave none.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_session(&self, session: &SessionRecord) -> Result<bool, ServiceError> {
        let Some(provider_id) = &session.provider_session_id else {
            return Ok(false);
        };
        let reference = Reference::Session(provider_id.clone());
        let Ok(observed) = self.fetch_counted(&reference).await else {
            return Ok(false);
        };
        let trace = crate::domain::access::Trace::system();
        let mut command = self.settle_command(Source::Refresh(session.id), trace);
        command.observed.push(observed);
        self.store.settle(&command).await?;
        Ok(true)
    }

    async fn refresh_quietly(&self, session: &SessionRecord) {
        if let Err(error) = self.refresh_session(session).await {
            tracing::warn!(
                checkout_session.id = %session.id,
                error = %chain(&error),
                "could not ask about checkout session `{}`; the polling loop will",
                session.id
            );
        }
    }
}

/// A creation that is given up without a definitive answer.
fn abandoned() -> Decline {
    Decline {
        code: "abandoned".to_owned(),
        message: String::new(),
    }
}

fn note_of(outcome: &Outcome, duration_ms: i64) -> AttemptNote {
    AttemptNote {
        duration_ms,
        http_status: outcome.http_status,
        outcome: outcome.result.as_str().to_owned(),
        provider_request_id: outcome.provider_request_id.clone(),
    }
}
