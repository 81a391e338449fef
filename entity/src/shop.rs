//! A shop, the owner of everything else.

use sea_orm::entity::prelude::*;

/// A shop, the owner of everything else.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shop")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Name.
    pub name: String,
    /// Mode.
    pub mode: String,
    /// Next number.
    pub next_number: i64,
    /// Event position.
    pub event_position: i64,
    /// How often its catalogue was changed.
    pub catalogue_version: i64,
    /// Allowed origins.
    pub allowed_origins: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
