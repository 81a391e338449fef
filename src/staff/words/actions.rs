//! What can be done to an order, and what it will do to the money.

use crate::domain::call::CallKind;
use crate::domain::currency::Currency;
use crate::domain::ledger::LedgerAccountName;
use crate::domain::money::AmountError;
use crate::domain::resolution::{Objection, Resolution};
use crate::domain::typed_amount::TypedError;
use crate::service::actions::Way;

words! {
    ACTIONS = "What you can do";
    NOTHING = "There is nothing to do to this order's money now.";
    REFUND = "Refund";
    CAPTURE = "Capture";
    VOID = "Release";
    CANCEL = "Cancel the order";
    CHECKOUT = "Open the checkout link";
    PREVIEW = "Show what it does";
    GO_BACK = "Back to the order";
    AGAIN = "Look again";
    TO_THE_MONEY = "What it does to the money";
    TO_THE_ORDER = "What becomes of the order";
    TO_THE_BOOKS = "What the ledger will post";
    NO_POSTING = "The ledger posts nothing: no money moves yet.";
    ACCOUNT = "Account";
    DEBIT = "Debit";
    CREDIT = "Credit";
    PAYMENT = "Payment";
    LINE = "Line";
    QUANTITY = "Pieces";
    AMOUNT = "Amount";
    STATUS = "Order";
    MONEY = "Money";
    PAID = "Paid";
    REFUNDED = "Refunded";
    NOW = "Now";
    THEN = "Then";
    NO_UNDO_REFUND = "This cannot be undone: once the provider has it, the money is on its way to the customer.";
    NO_UNDO_CAPTURE = "This cannot be undone: a payment is captured once. What is not captured now is released, and money that was captured can only be refunded.";
    NO_UNDO_VOID = "This cannot be undone: the customer would have to pay again.";
    NO_UNDO_CANCEL = "This cannot be undone: a cancelled order cannot be paid. If the customer was faster, the payment wins and the order stays open.";
    NO_UNDO_ACCEPT = "This cannot be undone, but the money can be refunded afterwards like any other of the order's.";
    ENDS_SESSION = "The open checkout page is ended, so that it can no longer be paid.";
    NO_MONEY = "No money moves.";
    GIVEN_UP = "This payment is the order's now and would not be any more; you will be asked what becomes of it:";
    SUSPENSE_REFUND = "This money is no order's; it comes out of suspense.";
    WHOLE = "All that is left";
    BY_AMOUNT = "An amount";
    BY_LINES = "Lines of the order";
    SHARE = "How much";
    SHARE_MISSING = "Say how much goes back: all that is left, an amount, or lines of the order. Nothing was done.";
    SHARE_CONTRADICTS = "What you typed is not what you chose under “How much”. Choose what you mean, and empty the other fields. Nothing was done.";
    FROM_PAYMENT = "From which payment";
    REASON = "Why, as the customer's bank is told";
    NO_REASON = "No reason";
    DUPLICATE = "The customer paid twice";
    FRAUDULENT = "Fraud: the customer did not make this payment";
    REQUESTED = "The customer asked";
    AMOUNT_HINT = "For example 12.50 or 12,50.";
    AMOUNT_MISSING = "Amount: say how much.";
    LINES_HINT = "How many pieces of each line. Only for a refund by lines.";
    LINES_MISSING = "Say how many pieces of at least one line go back. Nothing was done.";
    LINES_WRONG = "How many pieces of a line go back must be a whole number. Nothing was done.";
    LEFT = "left";
    UNKNOWN_CUSTOMER = "the customer, whose name is not known";
    LIVE_LINK = "The customer can pay on this page now:";
    NEW_LINK = "A new checkout page is made, with the addresses of the one before. Nothing is charged until the customer pays on it.";
    NEW_LINK_BUTTON = "Make a new checkout page";
    NO_LINK = "No checkout page can be made here";
    NO_LINK_TEXT = "The shop's own front end starts the first checkout: only it knows where the customer goes afterwards.";
    REFUSED = "This was not done";
    REFUSED_CHANGED = "The order has changed since you looked at it, so what you were told it would do may no longer be true. Nothing was done. Look again and decide on how it is now.";
    REFUSED_UNKNOWN = "There is no such question about this order. Nothing was done.";
    REFUSED_NOT_POSSIBLE = "This cannot be done about it now. Nothing was done.";
    REFUSED_BY_FACTS = "It was closed in the meantime, because its cause is gone. Nothing more was done.";
    KEY_MISSING = "The form lacks its key. Open the page again.";
}

/// What is wrong with an amount that was typed. It names the field.
#[must_use]
pub fn amount_wrong(typed: &str, why: &TypedError, currency: Currency) -> String {
    let code = currency.code();
    match why {
        _ if typed.is_empty() => AMOUNT_MISSING.to_owned(),
        TypedError::NoAmount if currency.exponent() == 0 => {
            format!("Amount: “{typed}” is no amount. Write it as 1250.")
        }
        TypedError::NoAmount => {
            format!("Amount: “{typed}” is no amount. Write it as 12.50 or 12,50.")
        }
        TypedError::OtherCurrency => {
            format!("Amount: “{typed}” is not in {code}, and this money is.")
        }
        TypedError::TwoWays {
            thousands,
            decimals: Some(decimals),
        } => format!("Amount: “{typed}” can be read in two ways. Write {thousands} or {decimals}."),
        TypedError::TwoWays { thousands, .. } => format!(
            "Amount: “{typed}” can be read in two ways. Write {thousands}, or fewer digits behind the separator."
        ),
        TypedError::Amount(AmountError::TooPrecise) => format!(
            "Amount: “{typed}” has more decimal digits than {code} has: {}.",
            currency.exponent()
        ),
        TypedError::Amount(AmountError::TooLarge) => format!("Amount: “{typed}” is too large."),
        TypedError::Amount(AmountError::Malformed) => format!("Amount: “{typed}” is no amount."),
    }
}

/// What is wrong with a field of a form, as the use case says it about the API's.
#[must_use]
pub fn fault((field, detail): &(String, String)) -> String {
    let what = match field.split('/').nth(1) {
        Some("amount") => AMOUNT,
        Some("payment_id") => FROM_PAYMENT,
        Some("line_items") => BY_LINES,
        Some("note") => super::reviews::NOTE,
        // A sentence of the console's own.
        _ => return detail.clone(),
    };
    format!("{what}: {detail}.")
}

/// How much of a reservation is taken.
#[must_use]
pub fn capture_hint(reserved: &str) -> String {
    format!(
        "Leave it empty to capture all that is reserved, {reserved}. What is not captured is released."
    )
}

/// Whose order it is.
#[must_use]
pub fn is_the_order_of(customer: Option<&str>) -> String {
    match customer {
        Some(customer) => format!("The customer is {customer}."),
        None => "The customer's name is not known.".to_owned(),
    }
}

/// Who gets the money back.
#[must_use]
pub fn goes_back_to(customer: Option<&str>) -> String {
    let customer = customer.unwrap_or(UNKNOWN_CUSTOMER);
    format!("It goes back the way it came, to {customer}.")
}

/// Why what is left of a payment cannot be refunded here, while its dispute is open or after it was lost.
#[must_use]
pub fn not_refundable(left: &str, open: bool) -> String {
    match open {
        true => format!(
            "{left} cannot be refunded while the bank's dispute about the payment is open: the customer could be paid twice."
        ),
        false => format!(
            "{left} of a payment that lost a dispute is not refunded from here. Refund it in the provider's dashboard; Till records it."
        ),
    }
}

/// What is said before a customer is sent to pay an order that money has come for.
#[must_use]
pub fn pays_again(amount: &str) -> String {
    format!(
        "{amount} arrived for this order already and waits for a decision. Whoever pays here pays again: decide about that money first."
    )
}

/// What a button says that refunds so much.
#[must_use]
pub fn refund_amount(amount: &str) -> String {
    format!("Refund {amount}")
}

/// What a button says that takes so much.
#[must_use]
pub fn capture_amount(amount: &str) -> String {
    format!("Capture {amount}")
}

/// What a button says that releases so much.
#[must_use]
pub fn void_amount(amount: &str) -> String {
    format!("Release {amount}")
}

/// What a button says that takes so much for the order's.
#[must_use]
pub fn accept_amount(amount: &str) -> String {
    format!("Keep {amount} for the order")
}

/// What becomes of money.
#[must_use]
pub fn way(way: Way) -> &'static str {
    match way {
        Way::Back => "goes back from",
        Way::Taken => "is captured of what is reserved by",
        Way::Released => "is released of what is reserved by",
        Way::ToTheOrder => "becomes the order's from",
    }
}

/// A ledger account, as people say it.
#[must_use]
pub fn account(name: LedgerAccountName) -> &'static str {
    super::ledger::account(name)
}

/// What a call does, as people say it.
#[must_use]
pub fn call(kind: &str) -> &'static str {
    kind.parse::<CallKind>().map_or(REFUND, super::calls::kind)
}

/// Why something was not done.
#[must_use]
pub fn objection(why: &Objection, by: Option<&str>) -> String {
    match (why, by) {
        (Objection::Changed, _) => REFUSED_CHANGED.to_owned(),
        (Objection::Unknown, _) => REFUSED_UNKNOWN.to_owned(),
        (Objection::NotPossible, _) => REFUSED_NOT_POSSIBLE.to_owned(),
        (Objection::Decided { how: None, .. }, _) | (Objection::Decided { .. }, None) => {
            REFUSED_BY_FACTS.to_owned()
        }
        (Objection::Decided { how: Some(how), .. }, Some(by)) => {
            let how = super::reviews::decided(*how);
            format!("{by} was faster and {how}. Nothing more was done.")
        }
    }
}

/// What cannot be undone about an answer to a question.
#[must_use]
pub fn no_undo(resolution: Resolution) -> Option<&'static str> {
    match resolution {
        Resolution::Accept => Some(NO_UNDO_ACCEPT),
        Resolution::Refund | Resolution::RefundAgain => Some(NO_UNDO_REFUND),
        Resolution::Release => Some(NO_UNDO_VOID),
        Resolution::Ask | Resolution::Acknowledge => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_nobody_knows_is_not_made_up() {
        assert_eq!(is_the_order_of(Some("Ada")), "The customer is Ada.");
        assert_eq!(is_the_order_of(None), "The customer's name is not known.");
        let back = goes_back_to(None);
        assert!(
            back.ends_with("to the customer, whose name is not known."),
            "{back}"
        );
    }
}
