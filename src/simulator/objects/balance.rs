//! `balance_transaction`: every movement of the merchant's balance, for reconciliation.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::simulator::table::Row;

/// A balance transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transaction {
    /// `txn_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// Minor units, negative for money that leaves.
    pub amount: i64,
    /// Minor units kept by the provider.
    pub fee: i64,
    /// Lower case.
    pub currency: String,
    /// Such as `charge` or `refund`.
    pub kind: String,
    /// Such as `charge` or `dispute`.
    pub category: String,
    /// The object it comes from.
    pub source: String,
    /// For people.
    pub description: String,
}

impl Row for Transaction {
    const NOUN: &'static str = "balance transaction";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn links(&self) -> Vec<String> {
        vec![
            format!("source={}", self.source),
            format!("type={}", self.kind),
        ]
    }
}

/// How long money waits before it can be paid out.
const SETTLING_SECONDS: i64 = 2 * 86_400;

impl Transaction {
    /// The object as the API shows it at a moment.
    pub fn json(&self, now: i64) -> Value {
        let available_on = self.created.saturating_add(SETTLING_SECONDS);
        let fees = match self.fee {
            0 => json!([]),
            fee => json!([{
                "amount": fee, "application": null, "currency": self.currency,
                "description": "Stripe processing fees", "type": "stripe_fee"
            }]),
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": available_on,
            "balance_type": "payments",
            "created": self.created,
            "currency": self.currency,
            "description": self.description,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fees,
            "net": self.amount - self.fee,
            "reporting_category": self.category,
            "source": self.source,
            "status": if now >= available_on { "available" } else { "pending" },
            "type": self.kind
        })
    }
}

/// Stripe's usual price for a card: 2.9 % and 30 minor units, never more than the payment.
pub fn card_fee(amount: i64) -> i64 {
    (amount.saturating_mul(29) / 1000)
        .saturating_add(30)
        .min(amount)
}

/// What a lost or pending dispute costs.
pub const DISPUTE_FEE: i64 = 1500;
