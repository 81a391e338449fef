//! How far a shop's feed is in its search.

use sea_orm::entity::prelude::*;

/// How far a shop's feed is in its search.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "search_cursor")]
pub struct Model {
    /// The shop.
    #[sea_orm(primary_key, auto_increment = false)]
    pub shop_id: String,
    /// The position of the last event whose order has its terms.
    pub position: i64,
}

impl ActiveModelBehavior for ActiveModel {}
