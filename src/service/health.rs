//! How the provider does: read when somebody asks, from what every try left behind.

use std::collections::{BTreeMap, BTreeSet};

use super::{ServiceError, Services};
use crate::domain::health::{
    AccountHealth, Ending, GateState, Health, Tries, TriesAlike, ending_of,
};
use crate::domain::ids::{AccountId, ShopId};
use crate::domain::page::Span;
use crate::domain::time::{DAY_MS, HOUR_MS};

impl Services {
    /// How the shop's calls went over the last hour and day, by provider account, and what stands before the provider
    /// in this process.
    ///
    /// # Errors
    /// The store's.
    pub async fn provider_health(&self, shop: ShopId) -> Result<Health, ServiceError> {
        let now = self.clock.now();
        let (hour_ago, day_ago) = (now.plus_ms(-HOUR_MS), now.plus_ms(-DAY_MS));
        let store = self.store.shop(shop);
        let hour = store.tries_since(hour_ago).await?;
        let day = store.tries_since(day_ago).await?;
        let failing: BTreeSet<String> = day
            .iter()
            .filter(|alike| ending_of(&alike.outcome) == Ending::Failed)
            .map(|alike| alike.outcome.clone())
            .collect();
        let failing: Vec<String> = failing.into_iter().collect();
        let failures = store.newest_tries(day_ago, &failing).await?;
        let mut accounts: BTreeMap<AccountId, AccountHealth> = BTreeMap::new();
        let called = day.iter().map(|alike| alike.account);
        for account in called.chain([self.account.id]) {
            accounts.entry(account).or_insert_with(|| AccountHealth {
                account,
                hour: tries_of(&hour, account),
                day: tries_of(&day, account),
                last_failure: failures
                    .iter()
                    .find(|failed| failed.account == account)
                    .cloned(),
                gate: (account == self.account.id).then(|| self.gate_state()),
            });
        }
        Ok(Health {
            at: now,
            accounts: accounts.into_values().collect(),
            lag_hour: self.webhook_lag(shop, Span::between(hour_ago, now)).await?,
            lag_day: self.webhook_lag(shop, Span::between(day_ago, now)).await?,
        })
    }

    /// What stands before the provider in this process.
    #[must_use]
    pub fn gate_state(&self) -> GateState {
        let now = self.clock.now().ms();
        match self.gate.closed_for_ms(now) {
            Some(wait) => GateState::Paused(wait),
            None if self.gate.wants_probe(now) => GateState::Probing,
            None => GateState::Open,
        }
    }
}

fn tries_of(tries: &[TriesAlike], account: AccountId) -> Tries {
    Tries::of(tries.iter().filter(|alike| alike.account == account))
}
