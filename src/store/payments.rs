//! Payments, as callers see them.

use entity::payment as row;

use super::StoreError;
use super::rows::{money, parse, parse_opt};
use crate::domain::payment::Payment;
use crate::domain::time::Timestamp;

/// The provider of every account so far.
pub(super) const PROVIDER: &str = "stripe";

/// Builds the public payment from its row.
pub(super) fn public(row: &row::Model) -> Result<Payment, StoreError> {
    let amount = |minor| money(minor, &row.currency);
    Ok(Payment {
        id: parse("payment.id", &row.id)?,
        object: "payment",
        order_id: parse("payment.order_id", &row.order_id)?,
        checkout_session_id: parse_opt("payment.session", row.checkout_session_id.as_deref())?,
        provider: PROVIDER.to_owned(),
        provider_payment_id: row.provider_payment_id.clone(),
        status: parse("payment.status", &row.status)?,
        amount: amount(row.amount_minor)?,
        amount_captured: amount(row.captured_minor)?,
        amount_refunded: amount(row.refunded_minor)?,
        currency: parse("payment.currency", &row.currency)?,
        failure_code: row.failure_code.clone(),
        created_at: Timestamp::from_ms(row.created_at),
    })
}
