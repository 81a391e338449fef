//! The answer kept for repeats of a request.

use sea_orm::entity::prelude::*;

/// The answer kept for repeats of a request.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_key")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// Key kind.
    pub key_kind: String,
    /// Route.
    pub route: String,
    /// Key.
    pub key: String,
    /// Fingerprint.
    pub fingerprint: String,
    /// The resource.
    pub resource_id: String,
    /// Status.
    pub status: String,
    /// Answer status.
    pub answer_status: Option<i64>,
    /// Answer body.
    #[sea_orm(column_type = "Text", nullable)]
    pub answer_body: Option<String>,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
