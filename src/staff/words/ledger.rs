//! The ledger, and the checks of `till verify`.

use std::borrow::Borrow;

use crate::domain::ledger::LedgerAccountName;
use crate::domain::verify::Check;

words! {
    TITLE = "Ledger";
    BALANCE = "Trial balance";
    SHOW_BALANCE = "Show the trial balance of all transactions";
    BALANCED = "Debits and credits are equal in every currency.";
    UNBALANCED = "Debits and credits differ. This is a fault of Till's: tell whoever looks after it, and change nothing.";
    NO_BOOKS = "Nothing was posted yet";
    NO_BOOKS_TEXT = "Money is posted here when it is captured, refunded or disputed. Placing an order posts nothing.";
    ACCOUNT = "Account";
    DEBIT = "Debit";
    CREDIT = "Credit";
    DIFFERENCE = "Difference";
    TOTAL = "Total";
    TRANSACTIONS = "Transactions";
    PAYMENT = "Payment";
    POSTED = "Posted";
    WHY = "Because of";
    TRANSACTION = "Transaction";
    EXPORT = "Download these transactions (CSV)";
    EXPORT_INCOMPLETE = "# INCOMPLETE: the database could not be read to the end; download this again";

    FINDINGS = "Findings";
    FINDINGS_TEXT = "Checks that what is recorded agrees with itself: totals with their lines, states with the facts, the ledger with both. Nothing is changed.";
    CHECK = "Check the newest orders";
    CHECK_FINANCE = "Running the check needs the role Finance.";
    CHECK_OLDER = "Go on with older orders";
    ALL_CHECKED = "There are no older orders: everything was checked.";
    ALL_GOOD = "Everything agrees";
    ALL_GOOD_TEXT = "No finding among what was checked.";
    WHAT = "What was found";
    ROW = "Where";
    TODO = "What to do";
    EXAMINED = "Looked at";
    ALSO = "The whole database, with every queue, is checked by this command on the server:";
    COMMAND = "till verify";
}

/// An account, as people say it.
#[must_use]
pub fn account(name: impl Borrow<LedgerAccountName>) -> &'static str {
    match name.borrow() {
        LedgerAccountName::ProviderClearing => "Held by the provider",
        LedgerAccountName::Sales => "Sales",
        LedgerAccountName::Refunds => "Refunds",
        LedgerAccountName::Suspense => "Suspense",
        LedgerAccountName::DisputesHeld => "Held by disputes",
        LedgerAccountName::DisputeLosses => "Lost in disputes",
        LedgerAccountName::ProviderFees => "Provider's fees",
    }
}

/// How many orders a check takes.
#[must_use]
pub fn at_once(most: u64) -> String {
    let most = super::figures::count(&most, &false);
    format!(
        "Up to {most} orders are checked at once, from the newest to older ones, with the trial balance of the whole shop."
    )
}

/// What a check found, in numbers.
#[must_use]
pub fn found(broken: u64, warnings: u64) -> String {
    format!("{broken} broken, {warnings} only to be looked at.")
}

/// What to do about a finding.
#[must_use]
pub fn advice(check: impl Borrow<Check>) -> &'static str {
    match check.borrow() {
        Check::OrderTotal | Check::LedgerTransaction | Check::LedgerFact | Check::TrialBalance => {
            "This cannot come from use. Tell whoever looks after Till, with the id; change nothing by hand."
        }
        Check::OrderState
        | Check::PaymentState
        | Check::SessionState
        | Check::Reviews
        | Check::LedgerBalance
        | Check::PaidEvent => {
            "Ask the provider about the payment on its page: the facts are folded again. If it stays, tell whoever looks after Till."
        }
        Check::RefundLimit | Check::CancelledMoney => {
            "Look at the order's payments and refunds, and at the review queue: money may be with the wrong side."
        }
        Check::LiveSessions => {
            "Ask the provider about the order's payments; the older checkout ends by itself."
        }
        Check::EventSequence | Check::Feed => {
            "Programs that read events may miss one. Tell whoever looks after Till."
        }
        Check::LeaseExpired | Check::CallStuck | Check::EventStuck => {
            "Look whether the workers run (`till doctor`); try the call or the webhook now on its page."
        }
        Check::EventDead | Check::EventFacts => "Replay the webhook on its page.",
        Check::StoredAnswer | Check::OpenAnswer => {
            "A repeated request may not get its first answer. Nothing is lost; tell whoever looks after Till."
        }
        Check::Unreadable => "A row cannot be read. Tell whoever looks after Till, with the id.",
    }
}
