//! Asking the provider about a session or a payment now, and settling what it says.

use super::{Refusal, ServiceError, Services};
use crate::domain::access::Trace;
use crate::domain::ids::PaymentId;
use crate::domain::observed::Observed;
use crate::provider::{FetchError, Reference};
use crate::store::StoreError;
use crate::store::checkouts::SessionRecord;
use crate::store::payments::PaymentRecord;
use crate::store::settle::Source;

impl Services {
    /// Asks the provider about a session now and settles the answer; false when it gave none.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_session(&self, session: &SessionRecord) -> Result<bool, ServiceError> {
        let Some(provider_id) = &session.provider_session_id else {
            return Ok(false);
        };
        // Another account's key does not see it.
        if session.account != self.account.id {
            return Ok(false);
        }
        let reference = Reference::Session(provider_id.clone());
        let Ok(observed) = self.fetch_counted(&reference).await else {
            return Ok(false);
        };
        let mut command = self.settle_command(Source::Refresh(session.id), Trace::system());
        command.observed.push(observed);
        match self.store.settle(&command).await {
            // Whoever asks gets what is known, and whoever holds the order learns more.
            Err(StoreError::Locked(_)) => Ok(false),
            // Nothing may be made of it, and asking again changes nothing.
            Err(error) if error.is_of_another_order() => Ok(false),
            settled => Ok(settled.map(|_| true)?),
        }
    }

    /// Asks the provider about a payment, its refunds and its disputes now and settles the answers.
    ///
    /// # Errors
    /// The store's, and the provider's when it gives none.
    pub async fn refresh_payment(&self, id: PaymentId) -> Result<(), ServiceError> {
        let payment = self.store.any_payment(id).await?;
        let payment = payment.ok_or(ServiceError::NotFound)?;
        if payment.account != self.account.id {
            let detail =
                "The payment is of another provider account than this server has the key of.";
            return Err(ServiceError::refused(Refusal::ModeMismatch, detail));
        }
        let observed = self.ask_about(&payment).await?;
        let observed = observed.map_err(|_| {
            ServiceError::refused(
                Refusal::ProviderUnavailable,
                "The payment provider gave no answer.",
            )
        })?;
        let mut command = self.settle_command(Source::RefreshPayment(id), Trace::system());
        command.observed = observed;
        self.store.settle(&command).await?;
        Ok(())
    }

    /// Everything the provider shows of a payment.
    pub(super) async fn ask_about(
        &self,
        payment: &PaymentRecord,
    ) -> Result<Result<Vec<Observed>, FetchError>, StoreError> {
        let disputes = self.store.disputes_of(payment).await?;
        Ok(self.ask_provider(payment, disputes).await)
    }

    async fn ask_provider(
        &self,
        payment: &PaymentRecord,
        disputes: Vec<String>,
    ) -> Result<Vec<Observed>, FetchError> {
        let intent = Reference::Intent(payment.intent.clone());
        let mut observed = vec![self.fetch_counted(&intent).await?];
        observed.extend(self.refunds_counted(&payment.intent).await?);
        for dispute in disputes {
            let dispute = Reference::Dispute(dispute);
            observed.push(self.fetch_counted(&dispute).await?);
        }
        Ok(observed)
    }
}
