//! The checks of `till verify`, over the whole database in pages of one moment each.
//!
//! Orders are read in pages with everything that belongs to them, each page in one snapshot: what a running
//! server changes meanwhile is seen wholly or not at all. Memory is bounded by the page, and no statement runs
//! long. Nothing is written.

mod ledger;
mod orders;
mod queues;
mod quick;
mod rows;

pub use quick::QuickCounts;

use std::collections::BTreeMap;

use super::rows::parse;
use super::{Store, StoreError};
use crate::domain::books::trial_balance;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::verify::{Check, Report};

/// How many orders are read at once.
const ORDERS_AT_ONCE: u64 = 200;

/// How long something may be due before it counts as stuck, in milliseconds: every loop comes round within
/// seconds.
const STUCK_AFTER_MS: i64 = 10 * 60 * 1_000;

/// The sums of a shop's debits and credits in one currency, in minor units.
type Sums = BTreeMap<(String, String), (i128, i128)>;

impl Store {
    /// Checks every invariant of the whole database.
    ///
    /// # Errors
    /// The database's. A row that cannot be read is a finding, not an error.
    pub async fn verify(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let mut sums = Sums::new();
        let mut after = String::new();
        loop {
            let page = rows::load(self, &after, ORDERS_AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.order.id);
            let cutoff = self.stuck_before();
            for bundle in &page {
                orders::check(bundle, cutoff, &mut report);
                ledger::check(bundle, &mut sums, &mut report);
            }
        }
        for ((shop, currency), (debit, credit)) in &sums {
            if debit != credit {
                let what =
                    format!("{currency}: debits are {debit}, credits {credit} (minor units)");
                report.found(Check::TrialBalance, "shop", shop, what);
            }
        }
        self.check_calls(&mut report).await?;
        self.check_inbox(&mut report).await?;
        self.check_event_facts(&mut report).await?;
        self.check_answers(&mut report).await?;
        self.check_feeds(&mut report).await?;
        Ok(report)
    }

    /// Checks up to `most` of a shop's orders with their money, from the newest before `before` towards the oldest, and
    /// its trial balance. Also returns the last order that was checked, when there may be older ones.
    ///
    /// # Errors
    /// The database's. A row that cannot be read is a finding, not an error.
    pub async fn verify_back(
        &self,
        shop: ShopId,
        before: Option<OrderId>,
        most: u64,
    ) -> Result<(Report, Option<OrderId>), StoreError> {
        let (mut report, mut sums) = (Report::default(), Sums::new());
        let (mut before, mut left) = (before, most);
        while left > 0 {
            let page = rows::load_back(self, shop, before, left.min(ORDERS_AT_ONCE)).await?;
            let Some(last) = page.last() else {
                before = None;
                break;
            };
            before = Some(parse("order.id", &last.order.id)?);
            let cutoff = self.stuck_before();
            for bundle in &page {
                orders::check(bundle, cutoff, &mut report);
                ledger::check(bundle, &mut sums, &mut report);
            }
            left = left.saturating_sub(u64::try_from(page.len()).unwrap_or(u64::MAX));
        }
        for balance in trial_balance(&self.shop(shop).account_totals().await?).currencies {
            if balance.debit != balance.credit {
                let (debit, credit) = (balance.debit, balance.credit);
                let what = format!("{}: debits are {debit}, credits {credit}", balance.currency);
                report.found(Check::TrialBalance, "shop", shop.to_string(), what);
            }
        }
        Ok((report, before))
    }

    /// What was due before this is stuck.
    fn stuck_before(&self) -> i64 {
        self.clock.now().plus_ms(-STUCK_AFTER_MS).ms()
    }
}
