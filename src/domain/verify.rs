//! What `till verify` looks at, and what it says of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::access::words;

words! {
    /// One thing that must always hold.
    Check {
        /// An order's total is its parts, and its parts are the sums of its lines.
        OrderTotal = "order_total",
        /// An order's labels and amounts are what its facts say.
        OrderState = "order_state",
        /// A payment's state and amounts are what the facts say.
        PaymentState = "payment_state",
        /// A checkout session's status is what the facts say.
        SessionState = "session_state",
        /// The open reviews are those the facts ask for.
        Reviews = "reviews",
        /// What is reserved, refunded and disputed is no more than what was captured.
        RefundLimit = "refund_limit",
        /// A cancelled or expired order holds no money that nobody gives back or asks about.
        CancelledMoney = "cancelled_money",
        /// An order has at most one checkout session that can be paid.
        LiveSessions = "live_sessions",
        /// Debits equal credits in every ledger transaction and currency.
        LedgerTransaction = "ledger_transaction",
        /// A ledger transaction is posted for one fact of its own order.
        LedgerFact = "ledger_fact",
        /// An order's balances are what its facts say.
        LedgerBalance = "ledger_balance",
        /// Debits equal credits over a shop's whole books in every currency.
        TrialBalance = "trial_balance",
        /// An order's events are numbered without gaps, as far as the order says.
        EventSequence = "event_sequence",
        /// `order.paid` was told exactly when the order became paid.
        PaidEvent = "paid_event",
        /// No event is placed beyond the end of its shop's feed.
        Feed = "feed",
        /// No lease ended long ago without anybody taking the work over.
        LeaseExpired = "lease_expired",
        /// No provider call is due for long, or never due again.
        CallStuck = "call_stuck",
        /// No event of the provider is due for long, or never due again.
        EventStuck = "event_stuck",
        /// Of what an event that was applied is about, something is known.
        EventFacts = "event_facts",
        /// No event of the provider was given up.
        EventDead = "event_dead",
        /// A final answer to a repeatable request has its status and a body about what was asked for, which is there.
        StoredAnswer = "stored_answer",
        /// An answer whose outcome is known for long was asked for again.
        OpenAnswer = "open_answer",
        /// Every row can be read.
        Unreadable = "unreadable",
    }
}

impl Check {
    /// Whether a finding is only something to look at: nothing is wrong with the money as recorded.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        matches!(self, Check::EventDead | Check::OpenAnswer)
    }
}

/// One row that does not hold what it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// The table of the row.
    pub table: &'static str,
    /// The row's id.
    pub id: String,
    /// What is wrong with it.
    pub what: String,
}

/// The most findings that are listed; the rest is counted.
pub const MAX_LISTED: usize = 1_000;

/// What was found, and how much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The first [`MAX_LISTED`] findings.
    pub findings: Vec<Finding>,
    /// How many findings each check has, listed or not.
    pub counts: BTreeMap<Check, u64>,
    /// How many rows of each table were looked at.
    pub examined: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Notes a finding.
    pub fn found(
        &mut self,
        check: Check,
        table: &'static str,
        id: impl Into<String>,
        what: impl Into<String>,
    ) {
        let count = self.counts.entry(check).or_default();
        *count = count.saturating_add(1);
        if self.findings.len() < MAX_LISTED {
            self.findings.push(Finding {
                check,
                table,
                id: id.into(),
                what: what.into(),
            });
        }
    }

    /// Notes that rows of a table were looked at.
    pub fn looked_at(&mut self, table: &'static str, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let count = self.examined.entry(table).or_default();
        *count = count.saturating_add(rows);
    }

    /// How many findings are broken invariants.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.count_of(false)
    }

    /// How many findings are only to be looked at.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.count_of(true)
    }

    fn count_of(&self, warning: bool) -> u64 {
        let counts = self
            .counts
            .iter()
            .filter(|(check, _)| check.is_warning() == warning);
        counts.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lists_a_thousand_and_counts_the_rest() {
        let mut report = Report::default();
        for at in 0..1_500 {
            report.found(Check::OrderState, "order", format!("ord_{at}"), "wrong");
        }
        report.found(Check::EventDead, "provider_event", "pev_1", "dead");
        assert_eq!(report.findings.len(), MAX_LISTED);
        assert_eq!((report.broken(), report.warnings()), (1_500, 1));
    }
}
