//! An operation at a provider, written before it is sent.

use sea_orm::entity::prelude::*;

/// An operation at a provider, written before it is sent.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_call")]
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
    /// Kind.
    pub kind: String,
    /// The subject.
    pub subject_id: String,
    /// Idempotency key.
    pub idempotency_key: String,
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Body.
    pub body: Option<Vec<u8>>,
    /// Api version.
    pub api_version: String,
    /// Status.
    pub status: String,
    /// Attempt count.
    pub attempt_count: i64,
    /// Next, in epoch milliseconds.
    pub next_at: Option<i64>,
    /// Lease until, in epoch milliseconds.
    pub lease_until: Option<i64>,
    /// Lease token.
    pub lease_token: Option<String>,
    /// Cause.
    pub cause: String,
    /// The request.
    pub request_id: Option<String>,
    /// Actor.
    pub actor: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Finished, in epoch milliseconds.
    pub finished_at: Option<i64>,
    /// Since when people have to look at it, in epoch milliseconds.
    pub review_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
