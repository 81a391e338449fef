//! Webhooks: verified, stored and applied in one transaction; acknowledged only when it is durable.

use super::error::chain;
use super::{ServiceError, Services};
use crate::domain::access::Trace;
use crate::domain::inbox::UNREADABLE;
use crate::provider::Notice;
use crate::store::StoreError;
use crate::store::inbox::{InboxEvent, Unapplied};
use crate::store::settle::{Settled, Source};

impl Services {
    /// Receives a webhook as it came.
    ///
    /// # Errors
    /// [`ServiceError::Signature`] when it is not the provider's, [`ServiceError::MalformedEvent`] when it is no
    /// event, the store's when it could not even be kept: then it must not be acknowledged.
    pub async fn receive_webhook(
        &self,
        signature: Option<&str>,
        body: Vec<u8>,
        request_id: &str,
    ) -> Result<Settled, ServiceError> {
        let received = self.receive(signature, body, request_id).await;
        self.count_webhook(&received);
        received
    }

    async fn receive(
        &self,
        signature: Option<&str>,
        body: Vec<u8>,
        request_id: &str,
    ) -> Result<Settled, ServiceError> {
        let now = self.clock.now();
        let verified = self
            .provider
            .verify(signature, &body, now)
            .map_err(ServiceError::Signature)?;
        let secret = verified.secret_index.to_string();
        self.metrics.webhook_secret_used.count([secret.into()]);
        let notice = self
            .provider
            .parse_event(&body)
            .map_err(ServiceError::MalformedEvent)?;
        let secret_index = i64::try_from(verified.secret_index).unwrap_or(i64::MAX);
        let event = InboxEvent {
            id: self.clock.id(),
            account: self.account.id,
            event_id: notice.event_id.clone(),
            kind: notice.event_type.clone(),
            raw: body,
            signature: signature.unwrap_or_default().to_owned(),
            secret_index,
            api_version: notice.api_version.clone(),
            live: notice.live,
            external_account: notice.external_account.clone(),
            object_id: notice.object_id.clone(),
            intent_id: notice.intent_id.clone(),
            charge_id: notice.charge_id.clone(),
            request_id: Some(request_id.to_owned()),
        };
        if let Some(unreadable) = &notice.unreadable {
            let kept = self
                .store
                .keep_event(&event, &self.account, Unapplied::Failed(UNREADABLE));
            let kept = kept.await?;
            let whose = match unreadable.ours {
                true => "is ours",
                false => "is about a payment",
            };
            tracing::error!(
                provider_event.id = %event.id,
                reason = %unreadable.why,
                verdict = ?kept,
                "event `{}` {whose} and cannot be read; it is kept",
                event.id
            );
            return Ok(kept);
        }
        self.apply(event, notice, request_id).await
    }

    async fn apply(
        &self,
        event: InboxEvent,
        notice: Notice,
        request_id: &str,
    ) -> Result<Settled, ServiceError> {
        let trace = Trace {
            request_id: Some(request_id.to_owned()),
            actor: "system".to_owned(),
        };
        let began = notice.created.unwrap_or_else(|| self.clock.now());
        let mut command = self.settle_command(Source::Webhook(event.clone()), trace);
        command.observed.extend(notice.observed);
        let settled = match self.store.settle(&command).await {
            Ok(settled) => settled,
            // Nothing can be kept either; the provider sends it again.
            Err(error @ (StoreError::Unavailable(_) | StoreError::Full)) => {
                return Err(error.into());
            }
            // A payment is one order's: what the provider itself says of the object decides.
            Err(error) if error.is_of_another_order() => {
                let untrue = Unapplied::Untrue(&command);
                self.store.keep_event(&event, &self.account, untrue).await?
            }
            // Whatever went wrong with applying it, the event itself is not lost.
            Err(error) => {
                tracing::error!(
                    provider_event.id = %event.id,
                    error = %chain(&error),
                    "event `{}` could not be applied; it is kept and tried again",
                    event.id
                );
                let failed = Unapplied::Failed("not_applied");
                self.store.keep_event(&event, &self.account, failed).await?
            }
        };
        tracing::info!(
            provider_event.id = %event.id,
            provider_event.kind = %event.kind,
            verdict = ?settled,
            "received event `{}`",
            event.id
        );
        if matches!(settled, Settled::Applied { .. }) {
            self.note_lag(began);
        }
        if matches!(settled, Settled::Quarantined | Settled::Applied { .. }) {
            self.wake.notify_waiters();
        }
        Ok(settled)
    }
}
