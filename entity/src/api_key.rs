//! An API key: its id and the hash of its secret.

use sea_orm::entity::prelude::*;

/// An API key: its id and the hash of its secret.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// Kind.
    pub kind: String,
    /// Scopes.
    pub scopes: String,
    /// Secret hash.
    pub secret_hash: String,
    /// Last4.
    pub last4: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Revoked, in epoch milliseconds.
    pub revoked_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
