//! The ledger, for those who keep the shop's books.

use super::{Caller, ServiceError, Services};
use crate::domain::books::{LedgerFilter, LedgerTransaction, TrialBalance, trial_balance};
use crate::domain::ids::{LedgerTransactionId, OrderId, ShopId};
use crate::domain::page::{List, Page, Stretch};

impl Services {
    /// What every account of the caller's shop has moved.
    ///
    /// # Errors
    /// The store's.
    pub async fn trial_balance(&self, caller: &Caller) -> Result<TrialBalance, ServiceError> {
        self.books(caller.shop).await
    }

    /// What every account of a shop has moved.
    ///
    /// # Errors
    /// The store's.
    pub async fn books(&self, shop: ShopId) -> Result<TrialBalance, ServiceError> {
        let totals = self.store.shop(shop).account_totals().await?;
        Ok(trial_balance(&totals))
    }

    /// A page of a shop's ledger transactions that pass a filter, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn ledger_search(
        &self,
        shop: ShopId,
        filter: &LedgerFilter,
        page: &Page<LedgerTransactionId>,
    ) -> Result<Stretch<LedgerTransaction, LedgerTransactionId>, ServiceError> {
        Ok(self.store.shop(shop).ledger_search(filter, page).await?)
    }

    /// One of the shop's ledger transactions.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn ledger_transaction(
        &self,
        caller: &Caller,
        id: LedgerTransactionId,
    ) -> Result<LedgerTransaction, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let found = shop.ledger_transaction(id).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// A page of the shop's ledger transactions, newest first; of one order when it is named.
    ///
    /// # Errors
    /// The store's.
    pub async fn ledger_transactions(
        &self,
        caller: &Caller,
        order: Option<OrderId>,
        page: &Page<LedgerTransactionId>,
    ) -> Result<List<LedgerTransaction>, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let (transactions, has_more) = shop.ledger_transactions(order, page).await?;
        Ok(List::new("/v1/ledger/transactions", transactions, has_more))
    }
}
