//! `dispute`: a customer's bank takes the money back and asks for evidence.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Metadata;
use crate::simulator::table::Row;

/// Stripe's statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// An inquiry, no money moved yet.
    WarningNeedsResponse,
    /// The inquiry was answered.
    WarningUnderReview,
    /// The inquiry came to nothing.
    WarningClosed,
    /// The money was withdrawn; evidence is due.
    NeedsResponse,
    /// Evidence was sent.
    UnderReview,
    /// The merchant got the money back.
    Won,
    /// The customer keeps it.
    Lost,
}

impl DisputeStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        use DisputeStatus::{Lost, WarningClosed, Won};
        matches!(self, Won | Lost | WarningClosed)
    }
}

/// A dispute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dispute {
    /// `dp_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// Minor units.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// The charge in dispute.
    pub charge: String,
    /// The charge's intent.
    pub payment_intent: String,
    /// Such as `fraudulent`.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// The withdrawal, and its return if it was won.
    pub balance_transactions: Vec<Value>,
    /// Whether the money was withdrawn and not returned.
    pub withdrawn: bool,
    /// When evidence is due, in seconds.
    pub due_by: i64,
    /// How often evidence was sent.
    pub submissions: u32,
    /// The merchant's pairs.
    pub metadata: Metadata,
}

impl Row for Dispute {
    const NOUN: &'static str = "dispute";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn links(&self) -> Vec<String> {
        vec![
            format!("charge={}", self.charge),
            format!("payment_intent={}", self.payment_intent),
        ]
    }
}

const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

impl Dispute {
    /// The object as the API shows it.
    pub fn json(&self) -> Value {
        use DisputeStatus::{WarningNeedsResponse, WarningUnderReview};
        let inquiry = matches!(self.status, WarningNeedsResponse | WarningUnderReview);
        let mut evidence: serde_json::Map<String, Value> = EVIDENCE
            .iter()
            .map(|name| ((*name).to_owned(), Value::Null))
            .collect();
        evidence.insert("enhanced_evidence".into(), json!({}));
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": self.balance_transactions,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": evidence,
            "evidence_details": {
                "due_by": self.due_by, "enhanced_eligibility": {},
                "has_evidence": self.submissions > 0, "past_due": false,
                "submission_count": self.submissions
            },
            "is_charge_refundable": inquiry,
            "livemode": false,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method_details": {
                "card": {
                    "brand": "visa", "case_type": if inquiry { "inquiry" } else { "chargeback" },
                    "network": "visa", "network_reason_code": "10.4"
                },
                "type": "card"
            },
            "reason": self.reason,
            "status": self.status
        })
    }
}
