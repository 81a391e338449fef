//! The audit log.

use crate::domain::audit::Action;

words! {
    TITLE = "Audit log";
    OWN = "What you saw and did.";
    ALL = "What everybody saw and did.";
    WHEN = "When";
    WHO = "Who";
    WHAT = "What";
    OBJECT = "About";
    OBJECT_HINT = "An id, such as ord_… or pay_…";
    SHOP = "Shop";
    ADDRESS = "From";
    DETAIL = "Details";
    OUTCOME = "What came of it";
    DONE = "Done";
    REPEATED = "The same form again: done once, before";
    REFUSED = "Refused, nothing was done";
    UNKNOWN = "Sent, its outcome is not known yet";
    FAILED = "Failed";
    NO_OUTCOME = "No outcome is recorded: look at what it is about";
    FROM = "From (UTC)";
    TO = "To (UTC)";
    ANYBODY = "Anybody";
    ANYTHING = "Anything";
    EVERY_SHOP = "Every shop";
    FILTER = "Show";
    CLEAR = "Show everything";
    EMPTY = "Nothing is recorded for this";
    EMPTY_TEXT = "Every action, and every view of personal data, leaves an entry here. Nothing can change or remove one.";
    NOBODY = "Nobody signed in";
    CLI = "The command line";
    BAD_FILTER = "A filter was not understood and is left out.";
}

/// What was seen or done.
#[must_use]
pub fn action(action: Action) -> &'static str {
    match action {
        Action::SignIn => "Signed in",
        Action::SignInFailed => "Failed to sign in",
        Action::SignOut => "Signed out",
        Action::SessionEnd => "Ended a session",
        Action::SessionEndAll => "Ended all sessions of a person",
        Action::PasswordChange => "Changed a password",
        Action::PersonCreate => "Added a person",
        Action::PersonRole => "Changed a role",
        Action::PersonDisable => "Disabled a person",
        Action::PersonEnable => "Let a person in again",
        Action::PeopleView => "Looked at the people",
        Action::AuditView => "Looked at the audit log",
        Action::OrdersView => "Looked at orders",
        Action::OrdersExport => "Exported orders",
        Action::OrderView => "Looked at an order",
        Action::OrderNote => "Wrote a note",
        Action::OrderCancel => "Cancelled an order",
        Action::CheckoutOpen => "Looked at a checkout link",
        Action::CheckoutMake => "Made a checkout link",
        Action::PaymentsView => "Looked at payments",
        Action::PaymentView => "Looked at a payment",
        Action::PaymentCapture => "Captured a payment",
        Action::PaymentVoid => "Released a payment",
        Action::PaymentAsk => "Asked the provider about a payment",
        Action::RefundsView => "Looked at refunds",
        Action::RefundCreate => "Refunded",
        Action::ReviewsView => "Looked at the questions",
        Action::ReviewView => "Looked at a question",
        Action::ReviewResolve => "Answered a question",
        Action::WebhookView => "Looked at a webhook",
        Action::WebhookReplay => "Replayed a webhook",
        Action::CallView => "Looked at a provider call",
        Action::CallRetry => "Retried a provider call",
        Action::LedgerExport => "Exported the ledger",
        Action::LedgerVerify => "Checked orders and books",
    }
}
