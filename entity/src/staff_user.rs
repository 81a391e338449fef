//! A member of staff.

use sea_orm::entity::prelude::*;

/// A member of staff.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "staff_user")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// E-mail address, in lower case.
    pub email: String,
    /// Name.
    pub name: String,
    /// Role.
    pub role: String,
    /// The password, as an Argon2id PHC string.
    pub password_hash: String,
    /// The only shop they may see; every one when there is none.
    pub shop_id: Option<String>,
    /// Password changed, in epoch milliseconds.
    pub password_changed_at: i64,
    /// Last signed in, in epoch milliseconds.
    pub last_signed_in_at: Option<i64>,
    /// Disabled, in epoch milliseconds.
    pub disabled_at: Option<i64>,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
