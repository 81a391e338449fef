//! Carrying out provider calls: send the stored bytes, note the try, settle what is known.
//!
//! Used by the request that wrote the call and by the recovery loop alike, so both do the same. While the same
//! key is safe an unknown outcome is asked for with the same bytes; after that the object itself is looked at,
//! and only what the provider shows is believed. Only a session nobody has the URL of is ever given up.

use super::error::chain;
use super::{ServiceError, Services};
use crate::domain::call::{
    CallKind, CallStatus, SECOND_LOOK_MS, execution_window, look_up_wait_ms, may_resend,
    resend_wait_ms, settling_wait_ms,
};
use crate::domain::checkout::{Wanted, disagreement};
use crate::domain::ids::OrderId;
use crate::domain::observed::{Observed, ObservedIntentStatus, ObservedSessionStatus};
use crate::domain::settlement::{FactDraft, FactKind};
use crate::domain::time::DAY_MS;
use crate::provider::{
    Ambiguity, CallResult, Decline, FetchError, Outcome, Reference, SoughtSession,
};
use crate::store::calls::{AttemptNote, ClaimedCall};
use crate::store::checkouts::SessionRecord;
use crate::store::idempotency::StoredAnswer;
use crate::store::payments::PaymentRecord;
use crate::store::refunds::RefundRecord;
use crate::store::settle::{Settle, Source, Waiting};
use crate::store::{Settled, StoreError};

/// What carrying out a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Performed {
    /// Its outcome is known and settled.
    Known,
    /// As known, and the request that waited for it has its answer.
    Answered(StoredAnswer),
    /// Nothing is known; it will be tried again.
    Unknown,
    /// Somebody else has the call now.
    Superseded,
}

/// What a call is about.
enum Subject {
    Session(Box<SessionRecord>),
    Payment(Box<PaymentRecord>),
    Refund(Box<RefundRecord>),
}

impl Services {
    async fn subject_of(&self, call: &ClaimedCall) -> Result<Subject, ServiceError> {
        let id = &call.subject_id;
        let subject = match call.kind {
            CallKind::SessionCreate | CallKind::SessionExpire => {
                let id = id.parse().map_err(|_| ServiceError::Task)?;
                let found = self.store.any_session(id).await?;
                found.map(|found| Subject::Session(Box::new(found)))
            }
            CallKind::Capture | CallKind::Void => {
                let id = id.parse().map_err(|_| ServiceError::Task)?;
                let found = self.store.any_payment(id).await?;
                found.map(|found| Subject::Payment(Box::new(found)))
            }
            CallKind::Refund => {
                let id = id.parse().map_err(|_| ServiceError::Task)?;
                let found = self.store.any_refund(id).await?;
                found.map(|found| Subject::Refund(Box::new(found)))
            }
        };
        subject.ok_or(ServiceError::NotFound)
    }

    /// Sends a claimed call once and settles its outcome.
    ///
    /// # Errors
    /// The store's. The call is then still claimed, and due again when its lease ends.
    pub async fn perform(&self, call: ClaimedCall) -> Result<Performed, ServiceError> {
        let subject = self.subject_of(&call).await?;
        self.perform_on(call, &subject, None).await
    }

    /// Makes a session that was begun a moment ago, for a request that waits for it.
    ///
    /// # Errors
    /// As [`Services::perform`].
    pub(super) async fn make_session(
        &self,
        call: ClaimedCall,
        session: SessionRecord,
        waiting: Waiting,
    ) -> Result<Performed, ServiceError> {
        let subject = Subject::Session(Box::new(session));
        self.perform_on(call, &subject, Some(waiting)).await
    }

    async fn perform_on(
        &self,
        call: ClaimedCall,
        subject: &Subject,
        waiting: Option<Waiting>,
    ) -> Result<Performed, ServiceError> {
        let settled = if may_resend(call.age_ms()) {
            self.send_and_settle(call, subject, waiting).await
        } else if let Some(wait) = settling_wait_ms(call.kind, call.age_ms()) {
            let note = looked("not_looked_up");
            let kept = self.store.call_unknown(&call, wait, &note).await;
            kept.map(|()| Performed::Unknown)
        } else {
            self.look_up(call, subject).await
        };
        match settled {
            Err(StoreError::LeaseLost) => Ok(Performed::Superseded),
            other => Ok(other?),
        }
    }

    async fn send_and_settle(
        &self,
        call: ClaimedCall,
        subject: &Subject,
        waiting: Option<Waiting>,
    ) -> Result<Performed, StoreError> {
        let (outcome, took) = self.send_counted(&call).await;
        let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let result = believed(&call, subject, &outcome);
        let note = note_of(&outcome, &result, took_ms);
        let retry_after_ms = outcome.retry_after_ms;
        match result {
            CallResult::Succeeded(observed) => {
                let settle = self.success(call, note, subject, vec![*observed]);
                self.end(Settle { waiting, ..settle }).await
            }
            CallResult::Declined(decline) => {
                let settle = self.refusal(call, note, subject, &decline);
                self.end_refused(Settle { waiting, ..settle }, subject)
                    .await
            }
            // The key is used up and nobody has the URL: a new session is safe, and if this one exists and is
            // paid after all, its marks lead to the order.
            CallResult::Unknown(Ambiguity::StoredError) if call.kind == CallKind::SessionCreate => {
                let settle = self.refusal(call, note, subject, &abandoned());
                self.end_refused(Settle { waiting, ..settle }, subject)
                    .await
            }
            CallResult::Unknown(_) => {
                let closed = self.gate.closed_for_ms(self.clock.now().ms());
                let wait = resend_wait_ms(call.attempt, call.age_ms())
                    .max(retry_after_ms.unwrap_or(0))
                    .max(closed.unwrap_or(0));
                let kept = self.store.call_unknown(&call, wait, &note).await;
                kept.map(|()| Performed::Unknown)
            }
        }
    }

    async fn succeeded(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        subject: &Subject,
        observed: Vec<Observed>,
    ) -> Result<Performed, StoreError> {
        self.end(self.success(call, note, subject, observed)).await
    }

    /// Settles the end of a call.
    async fn end(&self, command: Settle) -> Result<Performed, StoreError> {
        let settled = self.store.settle(&command).await?;
        self.wake.notify_waiters();
        Ok(performed(settled))
    }

    fn success(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        subject: &Subject,
        observed: Vec<Observed>,
    ) -> Settle {
        let rejected = match (subject, observed.first()) {
            (Subject::Session(session), Some(Observed::Session(answer)))
                if call.kind == CallKind::SessionCreate =>
            {
                let wanted = Wanted {
                    session: session.id,
                    deployment: &self.deployment,
                    amount: session.amount,
                    mode: self.account.mode,
                };
                disagreement(wanted, answer).map(|differs| {
                    tracing::error!(
                        checkout_session.id = %session.id,
                        difference = %differs,
                        "the provider made checkout session `{}` otherwise than asked; its URL is given to nobody",
                        session.id
                    );
                    let rejected =
                        FactDraft::session(FactKind::Rejected, &session.id.to_string(), session.id);
                    rejected.because(differs.as_str())
                })
            }
            _ => None,
        };
        let trace = call.trace.clone();
        let status = CallStatus::Succeeded;
        let mut command = self.settle_command(Source::Call { call, status, note }, trace);
        command.drafts.extend(rejected);
        command.observed = observed;
        command
    }

    async fn declined(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        subject: &Subject,
        decline: &Decline,
    ) -> Result<Performed, StoreError> {
        let command = self.refusal(call, note, subject, decline);
        self.end_refused(command, subject).await
    }

    /// Settles that a call was declined.
    async fn end_refused(
        &self,
        command: Settle,
        subject: &Subject,
    ) -> Result<Performed, StoreError> {
        let settled = self.store.settle(&command).await?;
        if let Source::Call { call, .. } = &command.source {
            // It is not as we thought: it was paid, or captured, or refunded by somebody else. The provider says.
            self.refresh_quietly(call.kind, subject).await;
        }
        Ok(performed(settled))
    }

    fn refusal(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        subject: &Subject,
        decline: &Decline,
    ) -> Settle {
        tracing::warn!(
            provider_call.id = %call.id,
            code = %decline.code,
            "the provider declined call `{}`",
            call.id
        );
        let (kind, trace) = (call.kind, call.trace.clone());
        let status = CallStatus::Declined;
        let mut command = self.settle_command(Source::Call { call, status, note }, trace);
        match (kind, subject) {
            (CallKind::SessionCreate, Subject::Session(session)) => {
                let rejected =
                    FactDraft::session(FactKind::Rejected, &session.id.to_string(), session.id);
                command.drafts.push(rejected.because(&decline.code));
            }
            (CallKind::Refund, Subject::Refund(refund)) => {
                let (id, amount) = (refund.public.id, refund.public.amount);
                let failed = FactDraft::refused_refund(id, &refund.intent, amount, &decline.code);
                command.drafts.push(failed);
            }
            _ => {}
        }
        command
    }

    /// The key may have been forgotten by now, and sending again could do it twice: the object itself says
    /// whether it was done.
    async fn look_up(&self, call: ClaimedCall, subject: &Subject) -> Result<Performed, StoreError> {
        let note = looked;
        let found = match subject {
            Subject::Session(session) => match call.kind {
                CallKind::SessionExpire => self.look_at_session(session).await,
                _ => self.look_for_session(&call, session).await,
            },
            Subject::Payment(payment) => self.look_at_payment(&call, payment).await,
            Subject::Refund(refund) => self.look_at_refund(refund).await,
        };
        match found {
            Ok(Some(observed)) => {
                self.succeeded(call, note("found_done"), subject, observed)
                    .await
            }
            Ok(None) => match self.until_second_look_ms(&call).await? {
                Some(wait) => {
                    let note = note(NOT_FOUND_YET);
                    let kept = self.store.call_unknown(&call, wait, &note).await;
                    kept.map(|()| Performed::Unknown)
                }
                None => {
                    let decline = Decline {
                        code: "not_executed".to_owned(),
                        message: String::new(),
                    };
                    self.declined(call, note("found_not_done"), subject, &decline)
                        .await
                }
            },
            Err(error) => match self.may_wait(&call, subject, &error) {
                Some(wait) => {
                    tracing::warn!(
                        provider_call.id = %call.id,
                        error = %chain(&error),
                        "the provider does not say yet whether call `{}` was carried out; it is asked again",
                        call.id
                    );
                    let note = note("not_looked_up");
                    let kept = self.store.call_unknown(&call, wait, &note).await;
                    kept.map(|()| Performed::Unknown)
                }
                None => self.in_doubt(call, note("outcome_unknown"), &error).await,
            },
        }
    }

    /// How long to wait before it is believed that a call was not carried out, in milliseconds; none when it is. A list
    /// may be older than what it lists, and a refund believed to be missing is asked for again. So it must be missing
    /// twice, and however soon somebody looks again, that counts only after a while.
    async fn until_second_look_ms(&self, call: &ClaimedCall) -> Result<Option<i64>, StoreError> {
        if call.kind != CallKind::Refund {
            return Ok(None);
        }
        let missed = self.store.call_first_noted(call.id, NOT_FOUND_YET).await?;
        let waited = missed.map_or(0, |at| call.now().since(at).max(0));
        Ok(Some(SECOND_LOOK_MS.saturating_sub(waited)).filter(|wait| *wait > 0))
    }

    /// How long to wait before a session is looked up again, in milliseconds; none when people are to be told.
    /// Money in doubt is people's at once, and so is an answer that will not change by itself.
    fn may_wait(&self, call: &ClaimedCall, subject: &Subject, error: &FetchError) -> Option<i64> {
        let (Subject::Session(_), FetchError::Unavailable(_)) = (subject, error) else {
            return None;
        };
        let closed = self.gate.closed_for_ms(self.clock.now().ms());
        Some(look_up_wait_ms(call.age_ms())?.max(closed.unwrap_or(0)))
    }

    /// Nobody can say whether a call was carried out: people are told, and it is asked about again every day.
    async fn in_doubt(
        &self,
        call: ClaimedCall,
        note: AttemptNote,
        error: &FetchError,
    ) -> Result<Performed, StoreError> {
        tracing::error!(
            provider_call.id = %call.id,
            error = %chain(error),
            "nobody can say whether call `{}` was carried out; it is in review and asked about daily",
            call.id
        );
        let trace = call.trace.clone();
        let source = Source::Doubt {
            call,
            note,
            retry_in_ms: DAY_MS,
        };
        let command = self.settle_command(source, trace);
        self.store.settle(&command).await?;
        Ok(Performed::Unknown)
    }

    /// Whether a session was created, by the list of all sessions made while it can have been; none when it
    /// clearly was not.
    async fn look_for_session(
        &self,
        call: &ClaimedCall,
        session: &SessionRecord,
    ) -> Result<Option<Vec<Observed>>, FetchError> {
        let (from, until) = execution_window(call.created_at);
        let sought = SoughtSession {
            session: session.id,
            deployment: self.deployment.clone(),
            from,
            until,
        };
        let Some(found) = self.session_found_counted(&sought).await? else {
            return Ok(None);
        };
        let observed = self.fetch_counted(&Reference::Session(found)).await?;
        Ok(Some(vec![observed]))
    }

    /// Whether a session was ended, by the session; none when it clearly was not.
    async fn look_at_session(
        &self,
        session: &SessionRecord,
    ) -> Result<Option<Vec<Observed>>, FetchError> {
        let id = session.provider_session_id.clone();
        let id = id.ok_or(FetchError::NotFound)?;
        let observed = self.fetch_counted(&Reference::Session(id)).await?;
        let ended = match &observed {
            Observed::Session(answer) => answer.status == ObservedSessionStatus::Expired,
            _ => false,
        };
        Ok(ended.then(|| vec![observed]))
    }

    /// Whether a capture or a void was done, by the intent; none when it clearly was not.
    async fn look_at_payment(
        &self,
        call: &ClaimedCall,
        payment: &PaymentRecord,
    ) -> Result<Option<Vec<Observed>>, FetchError> {
        let reference = Reference::Intent(payment.intent.clone());
        let observed = self.fetch_counted(&reference).await?;
        let Observed::Intent(intent) = &observed else {
            return Err(FetchError::Unavailable(Ambiguity::BadAnswer));
        };
        let done = match call.kind {
            CallKind::Capture => intent.status == ObservedIntentStatus::Captured,
            _ => intent.status == ObservedIntentStatus::Canceled,
        };
        Ok(done.then(|| vec![observed]))
    }

    /// Whether a refund was made, by the list of its intent's refunds; none when it clearly was not.
    async fn look_at_refund(
        &self,
        refund: &RefundRecord,
    ) -> Result<Option<Vec<Observed>>, FetchError> {
        let ours = refund.public.id.to_string();
        let all = self.refunds_counted(&refund.intent).await?;
        let found = all.into_iter().find(|observed| {
            let marks = observed.marks();
            marks.deployment.as_deref() == Some(self.deployment.as_str())
                && marks.refund.as_deref() == Some(ours.as_str())
        });
        let agrees = |observed: &Observed| match observed {
            Observed::Refund(made) => made.amount == refund.public.amount,
            _ => false,
        };
        match found {
            // Polling books what it shows; that it is not what was asked for is for people.
            Some(observed) if !agrees(&observed) => {
                Err(FetchError::Unavailable(Ambiguity::BadAnswer))
            }
            found => Ok(found.map(|observed| vec![observed])),
        }
    }

    /// Gives up a creation that has been unknown for long, for somebody who wants a session now: nobody has its
    /// URL, and if it exists and is paid after all, its marks lead to the order.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn give_up_stale_creation(&self, order: OrderId) -> Result<(), ServiceError> {
        let Some(call) = self.store.claim_stale_creation(order).await? else {
            return Ok(());
        };
        let subject = self.subject_of(&call).await?;
        match self
            .declined(call, looked("abandoned"), &subject, &abandoned())
            .await
        {
            Ok(_) | Err(StoreError::LeaseLost) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn refresh_quietly(&self, kind: CallKind, subject: &Subject) {
        let (id, refreshed) = match subject {
            Subject::Session(session) if kind == CallKind::SessionExpire => (
                session.id.to_string(),
                self.refresh_session(session).await.map(drop),
            ),
            Subject::Session(_) => return,
            Subject::Payment(payment) => (
                payment.id.to_string(),
                self.refresh_payment(payment.id).await,
            ),
            Subject::Refund(refund) => {
                let payment = refund.public.payment_id;
                (payment.to_string(), self.refresh_payment(payment).await)
            }
        };
        if let Err(error) = refreshed {
            tracing::warn!(
                object.id = %id,
                error = %chain(&error),
                "could not ask about `{id}`; the polling loop will"
            );
        }
    }
}

fn performed(settled: Settled) -> Performed {
    match settled {
        Settled::Answered(answer) => Performed::Answered(answer),
        _ => Performed::Known,
    }
}

/// What is noted of a first look that did not find a refund.
const NOT_FOUND_YET: &str = "not_found_yet";

/// The note of a question that took the place of a try.
fn looked(outcome: &str) -> AttemptNote {
    AttemptNote {
        duration_ms: 0,
        http_status: None,
        outcome: outcome.to_owned(),
        provider_request_id: None,
        message: None,
    }
}

/// What an outcome proves about this call. An answer that is not what was asked for proves nothing, and neither
/// does a refusal of the key itself when an earlier try may have been carried out; that there is no such object is one,
/// too: we know there is, and with another account's key it is not seen. A call that is written once
/// outlives such a refusal at every try: the key may have been changed a moment ago.
fn believed(call: &ClaimedCall, subject: &Subject, outcome: &Outcome) -> CallResult {
    match (&outcome.result, subject) {
        (CallResult::Succeeded(observed), Subject::Payment(payment)) => {
            let done = match (observed.as_ref(), call.kind) {
                (Observed::Intent(intent), CallKind::Capture) => {
                    intent.status == ObservedIntentStatus::Captured
                        && intent.amount == payment.requested
                }
                (Observed::Intent(intent), _) => intent.status == ObservedIntentStatus::Canceled,
                _ => false,
            };
            match done {
                true => outcome.result.clone(),
                false => CallResult::Unknown(Ambiguity::BadAnswer),
            }
        }
        (CallResult::Succeeded(observed), Subject::Refund(refund)) => {
            let asked = match observed.as_ref() {
                Observed::Refund(answer) => {
                    let own = refund.public.id.to_string();
                    answer.amount == refund.public.amount
                        && answer.intent.as_deref() == Some(refund.intent.as_str())
                        && answer
                            .marks
                            .refund
                            .as_ref()
                            .is_none_or(|named| *named == own)
                }
                _ => false,
            };
            match asked {
                true => outcome.result.clone(),
                false => CallResult::Unknown(Ambiguity::BadAnswer),
            }
        }
        (CallResult::Declined(decline), _)
            if decline.code == "resource_missing"
                || matches!(outcome.http_status, Some(401 | 403 | 404)) =>
        {
            match call.attempt > 1 || is_written_once(call.kind) {
                true => CallResult::Unknown(Ambiguity::BadAnswer),
                false => outcome.result.clone(),
            }
        }
        _ => outcome.result.clone(),
    }
}

/// Whether nobody writes this call a second time when it was declined. Checkouts and captures are asked for by
/// somebody who waits: a plain refusal tells them more.
fn is_written_once(kind: CallKind) -> bool {
    match kind {
        CallKind::SessionExpire | CallKind::Void | CallKind::Refund => true,
        CallKind::SessionCreate | CallKind::Capture => false,
    }
}

/// A creation that is given up without a definitive answer.
fn abandoned() -> Decline {
    Decline {
        code: "abandoned".to_owned(),
        message: String::new(),
    }
}

/// What is noted of a try: what its answer proves, whatever it says.
fn note_of(outcome: &Outcome, result: &CallResult, duration_ms: i64) -> AttemptNote {
    AttemptNote {
        duration_ms,
        http_status: outcome.http_status,
        outcome: result.as_str().to_owned(),
        provider_request_id: outcome.provider_request_id.clone(),
        message: match result {
            CallResult::Declined(decline) => Some(decline.message.clone()),
            CallResult::Succeeded(_) | CallResult::Unknown(_) => None,
        },
    }
}
