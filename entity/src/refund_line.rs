//! A line of an order that a refund gives back, or some of it.

use sea_orm::entity::prelude::*;

/// A line of an order that a refund gives back, or some of it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund_line")]
pub struct Model {
    /// The refund.
    #[sea_orm(primary_key, auto_increment = false)]
    pub refund_id: String,
    /// The line.
    #[sea_orm(primary_key, auto_increment = false)]
    pub line_item_id: String,
    /// The shop.
    pub shop_id: String,
    /// Quantity.
    pub quantity: i64,
    /// Amount, in minor units.
    pub amount_minor: i64,
}

impl ActiveModelBehavior for ActiveModel {}
