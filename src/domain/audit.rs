//! The audit log: who saw and did what, from where. It holds ids and words, never personal data of customers.

use super::access::words;

words! {
    /// What was seen or done.
    Action {
        /// Signed in.
        SignIn = "session.sign_in",
        /// Tried to sign in with a wrong password, or as somebody who may not.
        SignInFailed = "session.sign_in_failed",
        /// Signed out.
        SignOut = "session.sign_out",
        /// Ended a session.
        SessionEnd = "session.end",
        /// Ended all sessions of a person.
        SessionEndAll = "session.end_all",
        /// Changed a password.
        PasswordChange = "person.password",
        /// Added a person.
        PersonCreate = "person.create",
        /// Gave a person another role.
        PersonRole = "person.role",
        /// Disabled a person.
        PersonDisable = "person.disable",
        /// Let a disabled person in again.
        PersonEnable = "person.enable",
        /// Looked at the people of the console.
        PeopleView = "person.list",
        /// Looked at the audit log of everybody.
        AuditView = "audit.view",
        /// Looked at a list of orders.
        OrdersView = "order.list",
        /// Took a list of orders away as a file.
        OrdersExport = "order.export",
        /// Looked at an order.
        OrderView = "order.view",
        /// Wrote a note.
        OrderNote = "order.note",
        /// Cancelled an order.
        OrderCancel = "order.cancel",
        /// Looked at an order's checkout link.
        CheckoutOpen = "checkout.open",
        /// Made a new checkout link.
        CheckoutMake = "checkout.make",
        /// Looked at a list of payments.
        PaymentsView = "payment.list",
        /// Looked at a payment.
        PaymentView = "payment.view",
        /// Took reserved money.
        PaymentCapture = "payment.capture",
        /// Released reserved money.
        PaymentVoid = "payment.void",
        /// Asked a provider about a payment.
        PaymentAsk = "payment.ask",
        /// Looked at a list of refunds.
        RefundsView = "refund.list",
        /// Gave money back.
        RefundCreate = "refund.create",
        /// Looked at the review queue.
        ReviewsView = "review.list",
        /// Looked at a review.
        ReviewView = "review.view",
        /// Resolved a review.
        ReviewResolve = "review.resolve",
        /// Looked at what a provider sent.
        WebhookView = "webhook.view",
        /// Tried a webhook again.
        WebhookReplay = "webhook.replay",
        /// Looked at a call to a provider.
        CallView = "call.view",
        /// Sent a call to a provider again.
        CallRetry = "call.retry",
        /// Took the ledger away as a file.
        LedgerExport = "ledger.export",
        /// Checked orders and books.
        LedgerVerify = "ledger.verify",
    }
}

words! {
    /// What came of something that was done.
    Outcome {
        /// It was done.
        Done = "done",
        /// The same form had been sent before: it was done then, and once.
        Repeated = "repeated",
        /// It was refused; nothing was done.
        Refused = "refused",
        /// It was sent, and nobody knows yet whether it was carried out.
        Unknown = "unknown",
        /// Something of ours failed; it may have been done.
        Failed = "failed",
    }
}

impl Action {
    /// Whether it changes something, and its outcome is therefore recorded, too.
    #[must_use]
    pub const fn has_outcome(self) -> bool {
        matches!(
            self,
            Action::OrderNote
                | Action::OrderCancel
                | Action::CheckoutMake
                | Action::PaymentCapture
                | Action::PaymentVoid
                | Action::PaymentAsk
                | Action::RefundCreate
                | Action::ReviewResolve
                | Action::WebhookReplay
                | Action::CallRetry
        )
    }
}
