//! A hosted page an order is paid on.

use sea_orm::entity::prelude::*;

/// A hosted page an order is paid on.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "checkout_session")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// The provider account.
    pub provider_account_id: String,
    /// Status.
    pub status: String,
    /// Amount, in minor units.
    pub amount_minor: i64,
    /// Currency.
    pub currency: String,
    /// Capture.
    pub capture: String,
    /// Success url.
    pub success_url: String,
    /// Cancel url.
    pub cancel_url: String,
    /// The provider session.
    pub provider_session_id: Option<String>,
    /// Url.
    pub url: Option<String>,
    /// Expires, in epoch milliseconds.
    pub expires_at: i64,
    /// When somebody wanted it ended while it was being created, in epoch milliseconds.
    pub end_requested_at: Option<i64>,
    /// Poll count.
    pub poll_count: i64,
    /// Next poll, in epoch milliseconds.
    pub next_poll_at: Option<i64>,
    /// Lease until, in epoch milliseconds.
    pub lease_until: Option<i64>,
    /// Lease token.
    pub lease_token: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Actor.
    pub actor: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Updated, in epoch milliseconds.
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
