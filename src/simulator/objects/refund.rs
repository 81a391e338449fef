//! `refund`: money given back. It can fail, even after it succeeded.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Metadata;
use crate::simulator::table::Row;

/// Stripe's statuses, as far as the simulator uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// Arrived, as far as anybody knows.
    Succeeded,
    /// Came back.
    Failed,
}

/// A refund.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// Minor units.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// The charge it gives back from.
    pub charge: String,
    /// The charge's intent.
    pub payment_intent: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// Given by the merchant.
    pub reason: Option<String>,
    /// The merchant's pairs.
    pub metadata: Metadata,
    /// `txn_…`
    pub balance_transaction: Option<String>,
    /// `txn_…` of the money that came back.
    pub failure_balance_transaction: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<String>,
}

impl Row for Refund {
    const NOUN: &'static str = "refund";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn links(&self) -> Vec<String> {
        vec![
            format!("payment_intent={}", self.payment_intent),
            format!("charge={}", self.charge),
        ]
    }
}

impl Refund {
    /// The object as the API shows it.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": {
                "card": {
                    "reference_status": "pending", "reference_type": "acquirer_reference_number",
                    "type": "refund"
                },
                "type": "card"
            },
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method": null,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status,
            "transfer_reversal": null
        });
        // Stripe has these two only once they mean something.
        if let Some(reason) = &self.failure_reason {
            object["failure_reason"] = reason.clone().into();
            object["failure_balance_transaction"] = self.failure_balance_transaction.clone().into();
        }
        object
    }
}
