//! A session of a member of staff.

use sea_orm::entity::prelude::*;

/// A session of a member of staff.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "staff_session")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The member of staff.
    pub staff_id: String,
    /// SHA-256 of the token their browser holds.
    pub token_hash: String,
    /// The address they signed in from.
    pub address: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Last seen, in epoch milliseconds.
    pub last_seen_at: i64,
    /// Ends at the latest, in epoch milliseconds.
    pub expires_at: i64,
    /// Ended, in epoch milliseconds.
    pub ended_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
