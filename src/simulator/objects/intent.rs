//! `payment_intent`: one attempt to take money, from the customer's confirmation on.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Metadata;
use crate::simulator::table::Row;

/// Stripe's statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// No card yet, or the last one was declined.
    RequiresPaymentMethod,
    /// The customer has to prove who they are.
    RequiresAction,
    /// A slow method is under way.
    Processing,
    /// Authorised; the merchant has to capture.
    RequiresCapture,
    /// The money came.
    Succeeded,
    /// Given up.
    Canceled,
}

impl IntentStatus {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            IntentStatus::RequiresPaymentMethod => "requires_payment_method",
            IntentStatus::RequiresAction => "requires_action",
            IntentStatus::Processing => "processing",
            IntentStatus::RequiresCapture => "requires_capture",
            IntentStatus::Succeeded => "succeeded",
            IntentStatus::Canceled => "canceled",
        }
    }
}

/// A payment intent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Intent {
    /// `pi_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// The session that made it.
    pub session: String,
    /// Minor units.
    pub amount: i64,
    /// Minor units that may still be captured.
    pub amount_capturable: i64,
    /// Minor units that came.
    pub amount_received: i64,
    /// Lower case.
    pub currency: String,
    /// Where it stands.
    pub status: IntentStatus,
    /// `automatic`, `automatic_async` or `manual`.
    pub capture_method: String,
    /// The merchant's pairs.
    pub metadata: Metadata,
    /// The merchant's text.
    pub description: Option<String>,
    /// Where a receipt would go.
    pub receipt_email: Option<String>,
    /// On the card statement.
    pub statement_descriptor: Option<String>,
    /// On the card statement.
    pub statement_descriptor_suffix: Option<String>,
    /// The newest charge.
    pub latest_charge: Option<String>,
    /// `pm_…`
    pub payment_method: Option<String>,
    /// Seconds.
    pub canceled_at: Option<i64>,
    /// Why.
    pub cancellation_reason: Option<String>,
    /// Why the last try failed.
    pub last_payment_error: Option<Value>,
    /// For browsers.
    pub client_secret: String,
    /// When an uncaptured authorisation lapses, in seconds.
    pub capture_before: Option<i64>,
}

impl Row for Intent {
    const NOUN: &'static str = "payment_intent";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Intent {
    /// The object as the API shows it.
    pub fn json(&self) -> Value {
        let next_action = (self.status == IntentStatus::RequiresAction).then(|| {
            json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } })
        });
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount_capturable,
            "amount_details": { "tip": {} },
            "amount_received": self.amount_received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": null,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "description": self.description,
            "excluded_payment_method_types": null,
            "last_payment_error": self.last_payment_error,
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": self.metadata,
            "next_action": next_action,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "processing": null,
            "receipt_email": self.receipt_email,
            "review": null,
            "setup_future_usage": null,
            "shipping": null,
            "source": null,
            "statement_descriptor": self.statement_descriptor,
            "statement_descriptor_suffix": self.statement_descriptor_suffix,
            "status": self.status.word(),
            "transfer_data": null,
            "transfer_group": null
        })
    }
}
