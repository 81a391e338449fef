//! Codes of ours and of the provider's, as people say them. What has no words here is shown as the code alone.

use crate::domain::inbox;
use crate::domain::settlement::Reason;

/// Why a payment was refused, or why a refund failed.
#[must_use]
pub fn failure(code: &str) -> Option<&'static str> {
    Some(match code {
        "card_declined" | "generic_decline" | "do_not_honor" | "declined" => "The bank declined",
        "insufficient_funds" => "There was not enough money",
        "expired_card" => "The card has expired",
        "incorrect_number" | "invalid_number" => "The card number is wrong",
        "incorrect_cvc" | "invalid_cvc" => "The security code is wrong",
        "lost_card" | "stolen_card" | "lost_or_stolen_card" => "The card was lost or stolen",
        "expired_or_canceled_card" => "The card has expired or was cancelled",
        "authentication_required" | "payment_intent_authentication_failure" => {
            "The customer did not confirm the payment with their bank"
        }
        "payment_method_provider_decline" | "payment_intent_payment_attempt_failed" => {
            "The customer's payment method declined"
        }
        "processing_error" => "The bank could not process it",
        "charge_for_pending_refund_disputed" => "The customer disputed the payment meanwhile",
        "merchant_request" => "It was called off at the provider",
        "unknown" => "The bank gave no reason",
        _ => return None,
    })
}

/// Why a webhook was not applied.
#[must_use]
pub fn webhook(code: &str) -> Option<&'static str> {
    if let Ok(reason) = code.parse::<Reason>() {
        return Some(super::reviews::reason(reason));
    }
    Some(match code {
        inbox::ORDER_UNKNOWN => super::webhooks::ORDER_UNKNOWN,
        inbox::PAYMENT_OF_ANOTHER => "It names a payment that another order was paid with",
        "wrong_mode" => "Test money at a live account, or the other way round",
        "wrong_account" => "It is about another account at the provider",
        "unreadable" => "It could not be read",
        _ => return None,
    })
}
