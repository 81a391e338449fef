//! The database itself: one row, whose id marks everything we create at providers.

use sea_orm::entity::prelude::*;

/// The database itself: one row, whose id marks everything we create at providers.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment")]
pub struct Model {
    /// Always 1: there is one row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub only_row: i64,
    /// The id, as it is on the wire.
    pub id: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Marks of the secret keys that processes were started with, by their numbers, as a JSON object.
    pub key_marks: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
