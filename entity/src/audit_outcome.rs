//! What became of something a member of staff did.

use sea_orm::entity::prelude::*;

/// What became of something a member of staff did.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_outcome")]
pub struct Model {
    /// The entry of the audit log, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Outcome.
    pub outcome: String,
    /// Which one of its kind, as a short code.
    pub code: Option<String>,
    /// When, in epoch milliseconds.
    pub at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
