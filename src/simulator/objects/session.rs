//! `checkout.session`: a hosted page on which a customer pays once.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Metadata, joined, list, no_address};
use crate::simulator::table::Row;

/// `open` can be paid; the others are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// Waiting for the customer.
    Open,
    /// Confirmed by the customer; whether money came is `payment_status`.
    Complete,
    /// Too late.
    Expired,
}

/// One line of the basket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// `li_…`
    pub id: String,
    /// `price_…`
    pub price: String,
    /// `prod_…`
    pub product: String,
    /// What is shown.
    pub name: String,
    /// Minor units for one.
    pub unit_amount: i64,
    /// How many.
    pub quantity: i64,
    /// `unit_amount` × `quantity`
    pub amount: i64,
}

/// What the payment intent will be made with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PaymentData {
    /// `automatic`, `automatic_async` or `manual`.
    pub capture_method: String,
    /// Copied to the intent.
    pub metadata: Metadata,
    /// Copied to the intent.
    pub description: Option<String>,
    /// Copied to the intent.
    pub receipt_email: Option<String>,
    /// Copied to the intent.
    pub statement_descriptor: Option<String>,
    /// Copied to the intent.
    pub statement_descriptor_suffix: Option<String>,
}

/// A Checkout session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// `cs_test_…`
    pub id: String,
    /// Seconds.
    pub created: i64,
    /// Seconds.
    pub expires_at: i64,
    /// Lower case.
    pub currency: String,
    /// The basket.
    pub lines: Vec<Line>,
    /// Minor units.
    pub amount_total: i64,
    /// Where it stands.
    pub status: SessionStatus,
    /// Whether money came.
    pub paid: bool,
    /// Where the customer goes after paying.
    pub success_url: String,
    /// Where the customer goes after giving up.
    pub cancel_url: Option<String>,
    /// The merchant's own reference.
    pub client_reference_id: Option<String>,
    /// Given by the merchant.
    pub customer_email: Option<String>,
    /// Given by the customer.
    pub paid_email: Option<String>,
    /// Never copied to the intent.
    pub metadata: Metadata,
    /// The page's language.
    pub locale: Option<String>,
    /// What the intent gets.
    pub payment_data: PaymentData,
    /// Null until the customer confirmed once.
    pub payment_intent: Option<String>,
}

impl Row for Session {
    const NOUN: &'static str = "checkout.session";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn links(&self) -> Vec<String> {
        self.payment_intent
            .iter()
            .map(|id| format!("payment_intent={id}"))
            .collect()
    }
}

impl Session {
    /// The object as the API shows it; `base_url` is where its page is.
    pub fn json(&self, base_url: &str) -> Value {
        let open = self.status == SessionStatus::Open;
        let url = open.then(|| format!("{base_url}/pay/{}", self.id));
        let email = self.paid_email.as_ref().or(self.customer_email.as_ref());
        let details = email.map(|email| {
            json!({
                "address": no_address(), "business_name": null, "email": email,
                "individual_name": null, "name": null, "phone": null, "tax_exempt": "none",
                "tax_ids": []
            })
        });
        let first = json!({
            "id": self.id,
            "object": "checkout.session",
            "adaptive_pricing": { "enabled": false },
            "after_expiration": null,
            "allow_promotion_codes": null,
            "amount_subtotal": self.amount_total,
            "amount_total": self.amount_total,
            "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
            "billing_address_collection": null,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "client_secret": null,
            "collected_information": null,
            "consent": null,
            "consent_collection": null,
            "created": self.created,
            "currency": self.currency,
            "currency_conversion": null,
            "custom_fields": [],
            "custom_text": {
                "after_submit": null, "shipping_address": null, "submit": null,
                "terms_of_service_acceptance": null
            },
            "customer": null,
            "customer_account": null,
            "customer_creation": "if_required",
            "customer_details": details,
            "customer_email": self.customer_email
        });
        // In two halves: the macro's recursion is limited.
        let second = json!({
            "discounts": [],
            "expires_at": self.expires_at,
            "integration_identifier": null,
            "invoice": null,
            "invoice_creation": {
                "enabled": false,
                "invoice_data": {
                    "account_tax_ids": null, "custom_fields": null, "description": null,
                    "footer": null, "issuer": null, "metadata": {}, "rendering_options": null
                }
            },
            "livemode": false,
            "locale": self.locale,
            "metadata": self.metadata,
            "mode": "payment",
            "origin_context": null,
            "payment_intent": self.payment_intent,
            "payment_link": null,
            "payment_method_collection": "if_required",
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "payment_status": if self.paid { "paid" } else { "unpaid" },
            "permissions": null,
            "phone_number_collection": { "enabled": false },
            "recovered_from": null,
            "saved_payment_method_options": null,
            "setup_intent": null,
            "shipping_address_collection": null,
            "shipping_cost": null,
            "shipping_options": [],
            "status": self.status,
            "submit_type": null,
            "subscription": null,
            "success_url": self.success_url,
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
            "ui_mode": "hosted_page",
            "url": url,
            "wallet_options": null
        });
        joined(first, second)
    }

    /// The list of its lines.
    pub fn lines_json(&self, limit: usize, after: usize) -> Value {
        let url = format!("/v1/checkout/sessions/{}/line_items", self.id);
        let shown = self.lines.iter().skip(after).take(limit);
        let data = shown.map(|line| self.line_json(line)).collect();
        list(&url, data, self.lines.len() > after.saturating_add(limit))
    }

    fn line_json(&self, line: &Line) -> Value {
        json!({
            "id": line.id,
            "object": "item",
            "adjustable_quantity": null,
            "amount_discount": 0,
            "amount_subtotal": line.amount,
            "amount_tax": 0,
            "amount_total": line.amount,
            "currency": self.currency,
            "description": line.name,
            "metadata": {},
            "price": {
                "id": line.price, "object": "price", "active": false, "billing_scheme": "per_unit",
                "created": self.created, "currency": self.currency, "custom_unit_amount": null,
                "livemode": false, "lookup_key": null, "metadata": {}, "nickname": null,
                "product": line.product, "recurring": null, "tax_behavior": "unspecified",
                "tiers_mode": null, "transform_quantity": null, "type": "one_time",
                "unit_amount": line.unit_amount, "unit_amount_decimal": line.unit_amount.to_string()
            },
            "quantity": line.quantity
        })
    }
}
