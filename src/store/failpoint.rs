//! Where a test can kill the process: before and after every commit and every network step of the money's way.
//!
//! One list, so that `tests/e2e` can walk it and nothing is left out by hand. Without the feature `failpoints`
//! nothing of it is left in the program. A point that is armed (`FAILPOINTS='refund_begin.before=return'`) ends
//! the process at once, as `kill -9` does: no destructor runs and nothing is answered.

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A commit or a network step that a crash can come just before, or just after.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step {
            $($(#[$doc])* $name,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &'static [Step] = &[$(Step::$name),*];

            fn names(self) -> (&'static str, &'static str) {
                match self {
                    $(Step::$name => (concat!($word, ".before"), concat!($word, ".after")),)*
                }
            }
        }
    };
}

steps! {
    /// Taking a number for a new order.
    Number = "number",
    /// Committing a new order.
    Place = "place",
    /// Committing a checkout with the call that makes its session.
    CheckoutBegin = "checkout_begin",
    /// Storing the answer to a checkout with its key.
    CheckoutAnswer = "checkout_answer",
    /// Committing a refund with its call.
    RefundBegin = "refund_begin",
    /// Storing the answer to a refund with its key.
    RefundAnswer = "refund_answer",
    /// Committing a capture's call.
    CaptureBegin = "capture_begin",
    /// Storing the answer to a capture with its key.
    CaptureAnswer = "capture_answer",
    /// Committing a void's call.
    VoidBegin = "void_begin",
    /// Storing the answer to a void with its key.
    VoidAnswer = "void_answer",
    /// Committing that an order is to be cancelled, with the calls that end what could still pay it.
    CancelBegin = "cancel_begin",
    /// Storing the answer to a cancellation with its key.
    CancelAnswer = "cancel_answer",
    /// Committing the call that ends a session on request.
    ExpireBegin = "expire_begin",
    /// Storing the answer to the ending of a session with its key.
    ExpireAnswer = "expire_answer",
    /// Committing that an order's time is up.
    OrderExpiryBegin = "order_expiry_begin",
    /// Asking the provider for a session.
    SendSessionCreate = "send_session_create",
    /// Asking the provider to end a session.
    SendSessionExpire = "send_session_expire",
    /// Asking the provider to take reserved money.
    SendCapture = "send_capture",
    /// Asking the provider to release reserved money.
    SendVoid = "send_void",
    /// Asking the provider to give money back.
    SendRefund = "send_refund",
    /// Asking the provider about an object.
    Fetch = "fetch",
    /// Asking the provider for a payment's refunds.
    FetchRefunds = "fetch_refunds",
    /// Asking the provider whether it made a session.
    FindSession = "find_session",
    /// Settling what came of making a session.
    SettleSessionCreate = "settle_session_create",
    /// Settling what came of ending a session.
    SettleSessionExpire = "settle_session_expire",
    /// Settling what came of a capture.
    SettleCapture = "settle_capture",
    /// Settling what came of a void.
    SettleVoid = "settle_void",
    /// Settling what came of a refund.
    SettleRefund = "settle_refund",
    /// Storing and settling a webhook that has just arrived.
    SettleWebhook = "settle_webhook",
    /// Settling a webhook that could not be applied when it arrived.
    SettleRetry = "settle_retry",
    /// Settling the object behind a webhook that was not believed.
    SettleRefetch = "settle_refetch",
    /// Settling a poll of a session.
    SettlePoll = "settle_poll",
    /// Settling a poll of a payment.
    SettlePaymentPoll = "settle_payment_poll",
    /// Settling what somebody asked about a session.
    SettleRefresh = "settle_refresh",
    /// Settling what somebody asked about a payment.
    SettlePaymentRefresh = "settle_payment_refresh",
    /// Settling a webhook that somebody asked to be tried again.
    SettleReplay = "settle_replay",
    /// Settling that nobody can say whether a call was carried out.
    SettleDoubt = "settle_doubt",
    /// Closing an order that nothing can bring money any more.
    SettleClosing = "settle_closing",
    /// Settling what somebody of the staff decided about an open question.
    SettleDecision = "settle_decision",
    /// Making a shop's ledger accounts in a currency.
    MakeBooks = "make_books",
    /// Storing a webhook that could not be applied.
    KeepEvent = "keep_event",
    /// Noting that a try of a call proved nothing.
    CallUnknown = "call_unknown",
    /// Claiming the calls that are due.
    ClaimCalls = "claim_calls",
    /// Claiming the sessions to ask about.
    ClaimSessions = "claim_sessions",
    /// Claiming the payments to ask about.
    ClaimPayments = "claim_payments",
    /// Claiming the creation of a session that is to be given up.
    ClaimStaleCreation = "claim_stale_creation",
    /// Making the calls due that waited for a provider that answers again.
    WakeCalls = "wake_calls",
    /// Claiming the webhooks to try again.
    ClaimEvents = "claim_events",
    /// Claiming the webhook that somebody asked to be tried again.
    ClaimReplay = "claim_replay",
    /// Giving a session back about which there was no answer.
    PollFailed = "poll_failed",
    /// Giving a payment back about which there was no answer.
    PaymentPollFailed = "payment_poll_failed",
    /// Giving a webhook back that could not be applied.
    EventFailed = "event_failed",
    /// Giving events their places in the feed that have none: all of them on PostgreSQL, on SQLite those that an
    /// older program left.
    PlaceEvents = "place_events",
    /// Writing the search terms of changed orders.
    IndexOrders = "index_orders",
}

impl Step {
    /// Just before it.
    pub fn before(self) {
        Failpoint::Before(self).reach();
    }

    /// Just after it.
    pub fn after(self) {
        Failpoint::After(self).reach();
    }
}

/// A place to crash at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// Just before a step: nothing of it has happened.
    Before(Step),
    /// Just after a step: it has happened, and this process has done nothing with it yet.
    After(Step),
}

impl Failpoint {
    /// Every place, in the order of the steps.
    pub fn all() -> impl Iterator<Item = Failpoint> {
        let both = |step: &Step| [Failpoint::Before(*step), Failpoint::After(*step)];
        Step::ALL.iter().flat_map(both)
    }

    /// The step it is at.
    #[must_use]
    pub fn step(self) -> Step {
        match self {
            Failpoint::Before(step) | Failpoint::After(step) => step,
        }
    }

    /// The name it is armed by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Failpoint::Before(step) => step.names().0,
            Failpoint::After(step) => step.names().1,
        }
    }

    #[cfg(feature = "failpoints")]
    fn reach(self) {
        fail::fail_point!(self.as_str(), |_| std::process::abort());
    }

    #[cfg(not(feature = "failpoints"))]
    #[inline(always)]
    fn reach(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> =
            Failpoint::all().map(Failpoint::as_str).collect();
        assert_eq!(names.len(), 2 * Step::ALL.len());
    }
}
