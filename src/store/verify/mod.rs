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

use super::{Store, StoreError};
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
        self.check_answers(&mut report).await?;
        self.check_feeds(&mut report).await?;
        Ok(report)
    }

    /// What was due before this is stuck.
    fn stuck_before(&self) -> i64 {
        self.clock.now().plus_ms(-STUCK_AFTER_MS).ms()
    }
}
