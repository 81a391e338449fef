//! An account at a payment provider.

use sea_orm::entity::prelude::*;

/// An account at a payment provider.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_account")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The owner shop.
    pub owner_shop_id: Option<String>,
    /// Provider.
    pub provider: String,
    /// Mode.
    pub mode: String,
    /// Is default.
    pub is_default: bool,
    /// The external account.
    pub external_account_id: Option<String>,
    /// Name.
    pub name: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
