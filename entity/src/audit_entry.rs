//! What a member of staff saw or did.

use sea_orm::entity::prelude::*;

/// What a member of staff saw or did.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop, where it is about one.
    pub shop_id: Option<String>,
    /// The member of staff, where known.
    pub staff_id: Option<String>,
    /// Who: a staff id, `cli`, or `nobody` before anybody is known.
    pub actor: String,
    /// What.
    pub action: String,
    /// The kind of thing it was about.
    pub object_type: Option<String>,
    /// The id of that thing.
    pub object_id: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Further facts, as JSON, without personal data.
    pub detail: String,
    /// When, in epoch milliseconds.
    pub at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
