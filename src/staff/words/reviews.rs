//! The review queue.

use crate::domain::call::CallStatus;
use crate::domain::resolution::Resolution;
use crate::domain::settlement::Reason;

words! {
    TITLE = "Review";
    NONE = "Nothing needs a look";
    NONE_TEXT = "Questions appear here when the money at the provider is not as we asked, when nobody can say whether something was done, or when a bank takes money back.";
    NONE_OF_KIND = "None of this kind is open.";
    ALL = "All";
    FILTER = "Kinds of questions";
    NEEDS_A_LOOK = "Needs a look";
    ORDER = "Order";
    TOTAL = "Order's total";
    SINCE = "Since";
    DUE = "Answer by";
    AGAIN = "asked again";
    WE_ASKED = "What we asked for";
    PROVIDER_SAYS = "What the provider says";
    NOTHING_ASKED = "Nothing of ours is known for it.";
    NOTHING_SAID = "The provider has shown no payment for it.";
    AMOUNT = "Amount";
    SESSION = "Checkout";
    AT_PROVIDER = "At the provider";
    PAYMENT = "Payment";
    REQUESTED = "To be charged";
    CAPTURED = "Captured";
    REFUNDED = "Refunded";
    TAKEN = "Taken by the bank";
    STATUS = "State";
    FIRST_SEEN = "First seen";
    ASKED_AT = "Asked for";
    FAILURE = "Reason given";
    CALL = "Request";
    WHAT_YOU_CAN_DO = "What you can do";
    READ_ONLY = "People with the role Finance decide about it.";
    DECIDED_BEFORE = "What was decided before";
    CLOSED = "This question is closed.";
    NOTE = "Note";
    NOTE_HINT = "Why. It stands with the decision; the customer never sees it.";
    NOTE_NEEDED = "Say why there is nothing to do: nothing else will explain it.";
    DISPUTE_ELSEWHERE = "Send the evidence in the provider's dashboard, before the day above. Saying here that you have seen it takes it off the list until the provider asks again; the day stays on the order's page.";
    ACKNOWLEDGED = "Seen, and its cause lasts";
    GO_ON = "Back to the question";
    SYSTEM = "Till, because its cause was gone";
    SOMEBODY = "Somebody of the staff";
}

/// Why people have to look, as people say it.
#[must_use]
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::AmountMismatch => "The amounts differ",
        Reason::CurrencyMismatch => "The currencies differ",
        Reason::PaidAfterCancel => "Paid after the order was closed",
        Reason::DuplicatePayment => "Paid twice",
        Reason::OutcomeUnknown => "Outcome unknown: nobody knows whether it was done",
        Reason::UnmatchedPayment => "Money for no order",
        Reason::Dispute => "Disputed by the customer's bank",
        Reason::ProviderDeclinedRefund => "A refund failed",
    }
}

/// What it means, in a sentence.
#[must_use]
pub fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::AmountMismatch => {
            "The provider shows another amount than we asked for. The money is nobody's until somebody decides."
        }
        Reason::CurrencyMismatch => {
            "The provider shows another currency than we asked for. Such money can only go back."
        }
        Reason::PaidAfterCancel => {
            "The customer paid although the order was cancelled or had expired. Keep the money and the order is open again, or give it back."
        }
        Reason::DuplicatePayment => {
            "The order has its money, and more came. Give this payment back, or keep it and decide about the other one."
        }
        Reason::OutcomeUnknown => {
            "The provider gave no answer for so long that sending again is not safe. Till goes on asking."
        }
        Reason::UnmatchedPayment => "Money arrived that no order is known for.",
        Reason::Dispute => "The customer's bank asks about the payment.",
        Reason::ProviderDeclinedRefund => {
            "The provider refused to give the money back, or the customer's bank returned it."
        }
    }
}

/// Where a change at the provider stands, by the word it is stored as: a refund's, or a call's.
#[must_use]
pub fn change_status<'a>(kind: &str, stored: &'a str) -> &'a str {
    match kind {
        "refund" => stored
            .parse()
            .map_or(stored, |known| super::order::refund(known)),
        _ => stored
            .parse::<CallStatus>()
            .map_or(stored, |known| super::calls::status(known)),
    }
}

/// What it means that a customer's bank has taken so much, or nothing so far.
#[must_use]
pub fn taken(amount: Option<&str>) -> String {
    match amount {
        Some(amount) => format!(
            "The customer's bank has taken {amount} and asks about the payment. Until it is decided, that money is held."
        ),
        None => {
            "The customer's bank asks about the payment, and has taken nothing so far.".to_owned()
        }
    }
}

/// What a button says.
#[must_use]
pub fn resolution(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Accept => "Keep it for the order",
        Resolution::Refund => "Give it back",
        Resolution::Release => "Release the reserved money",
        Resolution::RefundAgain => "Try the refund again",
        Resolution::Ask => "Ask the provider now",
        Resolution::Acknowledge => "Nothing to do here",
    }
}

/// What it does, for those that move no money.
#[must_use]
pub fn explained(resolution: Resolution) -> Option<&'static str> {
    match resolution {
        Resolution::Ask => Some(
            "The provider is asked what it knows, and what it says is recorded. This changes nothing at the provider.",
        ),
        Resolution::Acknowledge => Some(
            "The question is taken off the list, and no money moves. It is asked again when its cause goes away and returns.",
        ),
        Resolution::Accept | Resolution::Refund | Resolution::Release | Resolution::RefundAgain => {
            None
        }
    }
}

/// What somebody did, after their name.
#[must_use]
pub fn decided(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Accept => "kept the money for the order",
        Resolution::Refund => "gave the money back",
        Resolution::Release => "released the reserved money",
        Resolution::RefundAgain => "tried the refund again",
        Resolution::Ask => "asked the provider",
        Resolution::Acknowledge => "said that there is nothing to do",
    }
}
