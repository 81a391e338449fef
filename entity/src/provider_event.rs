//! The inbox: what a provider reported, as it came.

use sea_orm::entity::prelude::*;

/// The inbox: what a provider reported, as it came.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_event")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The provider account.
    pub provider_account_id: String,
    /// The event.
    pub event_id: String,
    /// The shop.
    pub shop_id: Option<String>,
    /// The order.
    pub order_id: Option<String>,
    /// The checkout session.
    pub checkout_session_id: Option<String>,
    /// Type.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// Raw.
    pub raw: Option<Vec<u8>>,
    /// Signature.
    pub signature: Option<String>,
    /// Secret index.
    pub secret_index: i64,
    /// Api version.
    pub api_version: Option<String>,
    /// Livemode.
    pub livemode: bool,
    /// The object.
    pub object_id: Option<String>,
    /// The intent.
    pub intent_id: Option<String>,
    /// The charge.
    pub charge_id: Option<String>,
    /// Verdict.
    pub verdict: String,
    /// Reason.
    pub reason: Option<String>,
    /// Attempt count.
    pub attempt_count: i64,
    /// Next, in epoch milliseconds.
    pub next_at: Option<i64>,
    /// Lease until, in epoch milliseconds.
    pub lease_until: Option<i64>,
    /// Lease token.
    pub lease_token: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Received, in epoch milliseconds.
    pub received_at: i64,
    /// Settled, in epoch milliseconds.
    pub settled_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
