//! `charge`: one use of a card, whether it went through or not.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Metadata, joined, no_address};
use crate::simulator::table::Row;

/// A charge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// Authorised minor units.
    pub amount: i64,
    /// Captured minor units.
    pub amount_captured: i64,
    /// Minor units given back, or being given back.
    pub amount_refunded: i64,
    /// Lower case.
    pub currency: String,
    /// `succeeded`, `pending` or `failed`.
    pub status: String,
    /// Whether it was captured.
    pub captured: bool,
    /// Whether a dispute was opened.
    pub disputed: bool,
    /// Why it failed.
    pub failure: Option<Decline>,
    /// Its intent.
    pub payment_intent: String,
    /// Copied from the intent.
    pub metadata: Metadata,
    /// Copied from the intent.
    pub description: Option<String>,
    /// Who paid.
    pub email: Option<String>,
    /// `pm_…`
    pub payment_method: String,
    /// The card's last digits.
    pub last4: String,
    /// `txn_…` once captured.
    pub balance_transaction: Option<String>,
    /// When the authorisation lapses, in seconds.
    pub capture_before: Option<i64>,
}

/// A refusal by the card's bank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decline {
    /// Such as `card_declined`.
    pub code: String,
    /// Such as `insufficient_funds`.
    pub decline_code: Option<String>,
    /// For the customer.
    pub message: String,
}

impl Row for Charge {
    const NOUN: &'static str = "charge";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn links(&self) -> Vec<String> {
        vec![format!("payment_intent={}", self.payment_intent)]
    }
}

impl Charge {
    /// Minor units that can still be given back.
    pub fn refundable(&self) -> i64 {
        if self.captured {
            self.amount_captured - self.amount_refunded
        } else {
            0
        }
    }

    /// The object as the API shows it.
    pub fn json(&self) -> Value {
        let failed = self.failure.is_some();
        let outcome = json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": if failed { "declined_by_network" } else { "approved_by_network" },
            "reason": self.failure.as_ref().map(|f| f.decline_code.as_ref().unwrap_or(&f.code)),
            "risk_level": "normal",
            "seller_message":
                if failed { "The bank did not approve the payment." } else { "Payment complete." },
            "type": if failed { "issuer_declined" } else { "authorized" }
        });
        let whole = if self.captured {
            self.amount_captured
        } else {
            self.amount
        };
        let first = json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": self.balance_transaction,
            "billing_details": {
                "address": no_address(), "email": self.email, "name": null, "phone": null,
                "tax_id": null
            },
            "calculated_statement_descriptor": "TILL SIMULATOR",
            "captured": self.captured,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "description": self.description,
            "disputed": self.disputed,
            "failure_balance_transaction": null,
            "failure_code": self.failure.as_ref().map(|failure| &failure.code),
            "failure_message": self.failure.as_ref().map(|failure| &failure.message),
            "fraud_details": {},
            "livemode": false
        });
        // In two halves: the macro's recursion is limited.
        let second = json!({
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": outcome,
            "paid": self.status == "succeeded",
            "payment_intent": self.payment_intent,
            "payment_method": self.payment_method,
            "payment_method_details": { "type": "card", "card": self.card() },
            "receipt_email": null,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.amount_refunded > 0 && self.amount_refunded >= whole,
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status,
            "transfer_data": null,
            "transfer_group": null
        });
        joined(first, second)
    }

    fn card(&self) -> Value {
        json!({
            "amount_authorized": self.amount,
            "authorization_code": null,
            "brand": "visa",
            "capture_before": self.capture_before,
            "checks": {
                "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"
            },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "extended_authorization": { "status": "disabled" },
            "fingerprint": format!("sim{}", self.last4),
            "funding": "credit",
            "incremental_authorization": { "status": "unavailable" },
            "installments": null,
            "last4": self.last4,
            "mandate": null,
            "multicapture": { "status": "unavailable" },
            "network": "visa",
            "network_token": { "used": false },
            "network_transaction_id": null,
            "overcapture": { "maximum_amount_capturable": self.amount, "status": "unavailable" },
            "regulated_status": "unregulated",
            "three_d_secure": null,
            "wallet": null
        })
    }
}
