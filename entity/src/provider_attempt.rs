//! One try of a provider call.

use sea_orm::entity::prelude::*;

/// One try of a provider call.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_attempt")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The provider call.
    pub provider_call_id: String,
    /// Number.
    pub number: i64,
    /// Started, in epoch milliseconds.
    pub started_at: i64,
    /// Duration ms.
    pub duration_ms: i64,
    /// Http status.
    pub http_status: Option<i64>,
    /// Outcome.
    pub outcome: String,
    /// The provider request.
    pub provider_request_id: Option<String>,
    /// In which words the provider refused.
    pub message: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
