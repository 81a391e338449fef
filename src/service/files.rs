//! What staff look through, and what they may have tried again: a payment asked about, a call sent or looked up, events
//! replayed. Each of these goes the way the background loops go, under the same leases, so that doing it twice, or
//! beside a loop, does it once.

use std::sync::Arc;

use tracing::Instrument as _;

use super::calls::Performed;
use super::replay::{ReplayOutcome, Replayed};
use super::{Refusal, ServiceError, Services};
use crate::domain::call::{CallFile, CallFilter, CallStory};
use crate::domain::ids::{CallId, Id, OrderId, PaymentId, ProviderEventId, RefundId, ShopId};
use crate::domain::inbox::{InboxFile, InboxFilter, InboxStory};
use crate::domain::page::{Cursor, Page, Stretch};
use crate::domain::payment::{PaymentFile, PaymentFilter};
use crate::domain::refund::{RefundFile, RefundFilter};
use crate::domain::time::Timestamp;

/// The most events that are replayed at once.
pub const REPLAYED_AT_ONCE: u64 = 100;

/// What came of trying a call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// Its outcome is known.
    Known,
    /// Nothing is known yet; it stays due.
    Unknown,
    /// Its outcome was known before, or somebody is at it.
    NotDue,
    /// The provider does not answer; nothing was sent.
    Paused,
}

impl Retried {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Retried::Known => "known",
            Retried::Unknown => "unknown",
            Retried::NotDue => "not_due",
            Retried::Paused => "paused",
        }
    }
}

/// What came of replaying several events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCount {
    /// Events that were applied.
    pub applied: u64,
    /// Events that are still not believed.
    pub quarantined: u64,
    /// Events that changed nothing.
    pub unchanged: u64,
    /// Events that could not be tried.
    pub failed: u64,
    /// From when on there may be more: nothing that arrived earlier was left out.
    pub more_since: Option<Timestamp>,
}

impl ReplayCount {
    fn add(&mut self, outcome: ReplayOutcome) {
        let sum = match outcome {
            ReplayOutcome::Applied => &mut self.applied,
            ReplayOutcome::Quarantined => &mut self.quarantined,
            ReplayOutcome::Unchanged => &mut self.unchanged,
            ReplayOutcome::Failed => &mut self.failed,
        };
        *sum = sum.saturating_add(1);
    }
}

impl Services {
    /// The order somebody names by its id or its number; none when the shop has no such order.
    ///
    /// # Errors
    /// The store's.
    pub async fn order_named(
        &self,
        shop: ShopId,
        name: &str,
    ) -> Result<Option<OrderId>, ServiceError> {
        if let Ok(id) = name.parse() {
            return Ok(Some(id));
        }
        match name.parse() {
            Ok(number) => Ok(self.store.shop(shop).order_numbered(number).await?),
            Err(_) => Ok(None),
        }
    }

    /// A page of a shop's payments that pass a filter.
    ///
    /// # Errors
    /// The store's.
    pub async fn payment_files(
        &self,
        shop: ShopId,
        filter: &PaymentFilter,
        page: &Page<PaymentId>,
    ) -> Result<Stretch<PaymentFile, PaymentId>, ServiceError> {
        Ok(self.store.shop(shop).payment_files(filter, page).await?)
    }

    /// One of a shop's payments.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn payment_file(
        &self,
        shop: ShopId,
        id: PaymentId,
    ) -> Result<PaymentFile, ServiceError> {
        let found = self.store.shop(shop).payment_file(id).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// A page of a shop's refunds that pass a filter.
    ///
    /// # Errors
    /// The store's.
    pub async fn refund_files(
        &self,
        shop: ShopId,
        filter: &RefundFilter,
        page: &Page<RefundId>,
    ) -> Result<Stretch<RefundFile, RefundId>, ServiceError> {
        Ok(self.store.shop(shop).refund_files(filter, page).await?)
    }

    /// One of a shop's refunds.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn refund_file(
        &self,
        shop: ShopId,
        id: RefundId,
    ) -> Result<RefundFile, ServiceError> {
        let found = self.store.shop(shop).refund_file(id).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// A page of a shop's calls that pass a filter.
    ///
    /// # Errors
    /// The store's.
    pub async fn call_files(
        &self,
        shop: ShopId,
        filter: &CallFilter,
        page: &Page<CallId>,
    ) -> Result<Stretch<CallFile, CallId>, ServiceError> {
        Ok(self.store.shop(shop).call_files(filter, page).await?)
    }

    /// One of a shop's calls with its tries.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn call_story(&self, shop: ShopId, id: CallId) -> Result<CallStory, ServiceError> {
        let found = self.store.shop(shop).call_story(id).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// A page of the events of the provider that are a shop's to see and pass a filter.
    ///
    /// # Errors
    /// The store's.
    pub async fn inbox_files(
        &self,
        shop: ShopId,
        filter: &InboxFilter,
        page: &Page<ProviderEventId>,
    ) -> Result<Stretch<InboxFile, ProviderEventId>, ServiceError> {
        let owns = self.account_owned_by(shop);
        let store = self.store.shop(shop);
        Ok(store.inbox_files(filter, owns, page).await?)
    }

    /// One of the events that are a shop's to see.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn inbox_story(
        &self,
        shop: ShopId,
        id: ProviderEventId,
    ) -> Result<InboxStory, ServiceError> {
        let owns = self.account_owned_by(shop);
        let found = self.store.shop(shop).inbox_story(id, owns).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// Asks the provider about one of a shop's payments now and settles the answer.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's; the provider's when it gives no answer.
    pub async fn ask_now(
        self: &Arc<Self>,
        shop: ShopId,
        id: PaymentId,
    ) -> Result<(), ServiceError> {
        self.payment_file(shop, id).await?;
        self.kept_on(|services| async move { services.refresh_payment(id).await })
            .await
    }

    /// Tries one of a shop's open calls now: sends it again while that is safe, else looks at its object.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's; a refusal for an open call of another
    /// account than this server has the key of; the store's.
    pub async fn retry_call(
        self: &Arc<Self>,
        shop: ShopId,
        id: CallId,
    ) -> Result<Retried, ServiceError> {
        let CallFile {
            account, status, ..
        } = self.call_story(shop, id).await?.call;
        if account != self.account.id && status.is_open() {
            let detail = "The call is of another provider account than this server has the key of; a server of that account \
                 tries it by itself.";
            return Err(ServiceError::refused(Refusal::ModeMismatch, detail));
        }
        if self.gate.closed_for_ms(self.clock.now().ms()).is_some() {
            return Ok(Retried::Paused);
        }
        self.kept_on(|services| async move {
            let Some(call) = services
                .store
                .claim_call(shop, services.account.id, id)
                .await?
            else {
                return Ok(Retried::NotDue);
            };
            Ok(match services.perform(call).await? {
                Performed::Known | Performed::Answered(_) => Retried::Known,
                Performed::Unknown => Retried::Unknown,
                Performed::Superseded => Retried::NotDue,
            })
        })
        .await
    }

    /// Replays one of the events that are a shop's to see; with `dry_run` nothing is written.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's; the store's.
    pub async fn replay_seen(
        self: &Arc<Self>,
        shop: ShopId,
        id: ProviderEventId,
        dry_run: bool,
    ) -> Result<Replayed, ServiceError> {
        self.inbox_story(shop, id).await?;
        self.kept_on(|services| async move { services.replay(&id.to_string(), dry_run).await })
            .await
    }

    /// Replays the events that are a shop's to see and pass a filter, oldest first, at most [`REPLAYED_AT_ONCE`].
    ///
    /// # Errors
    /// The store's.
    pub async fn replay_matching(
        self: &Arc<Self>,
        shop: ShopId,
        filter: InboxFilter,
    ) -> Result<ReplayCount, ServiceError> {
        self.kept_on(|services| async move {
            let oldest = Page {
                limit: REPLAYED_AT_ONCE,
                cursor: Cursor::EndingBefore(Id::first_of(Timestamp::from_ms(0))),
            };
            let found = services.inbox_files(shop, &filter, &oldest).await?;
            let newest = found.rows.first().map(|event| event.received_at);
            // What was looked at may hold nothing that matches, and what comes after it still may.
            let looked_until = found.looked_until.map(Id::made_at);
            let mut count = ReplayCount {
                more_since: looked_until.or(newest.filter(|_| found.has_more)),
                ..ReplayCount::default()
            };
            for event in found.rows.iter().rev() {
                let replayed = services.replay(&event.id.to_string(), false).await?;
                count.add(replayed.outcome);
            }
            Ok(count)
        })
        .await
    }

    /// Does work in a task of its own: somebody who goes away must not stop what they began.
    async fn kept_on<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Services>) -> F,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ServiceError>> + Send + 'static,
    {
        let work = work(self.clone()).in_current_span();
        tokio::spawn(work).await.map_err(|_| ServiceError::Task)?
    }
}
