//! One intent at a provider. Its amounts are projections of the facts.

use sea_orm::entity::prelude::*;

/// One intent at a provider. Its amounts are projections of the facts.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// The checkout session.
    pub checkout_session_id: Option<String>,
    /// The provider account.
    pub provider_account_id: String,
    /// The provider payment.
    pub provider_payment_id: String,
    /// The provider charge.
    pub provider_charge_id: Option<String>,
    /// Status.
    pub status: String,
    /// Amount, in minor units.
    pub amount_minor: i64,
    /// Currency.
    pub currency: String,
    /// Captured, in minor units.
    pub captured_minor: i64,
    /// Refunded, in minor units.
    pub refunded_minor: i64,
    /// Refund reserved, in minor units.
    pub refund_reserved_minor: i64,
    /// Refunded external, in minor units.
    pub refunded_external_minor: i64,
    /// Dispute withdrawn, in minor units.
    pub dispute_withdrawn_minor: i64,
    /// Dispute reinstated, in minor units.
    pub dispute_reinstated_minor: i64,
    /// Belongs.
    pub belongs: bool,
    /// Failure code.
    pub failure_code: Option<String>,
    /// Poll count.
    pub poll_count: i64,
    /// Next poll, in epoch milliseconds.
    pub next_poll_at: Option<i64>,
    /// Lease until, in epoch milliseconds.
    pub lease_until: Option<i64>,
    /// Lease token.
    pub lease_token: Option<String>,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Updated, in epoch milliseconds.
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
