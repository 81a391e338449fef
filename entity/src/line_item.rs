//! A line of an order.

use sea_orm::entity::prelude::*;

/// A line of an order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "line_item")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// Position.
    pub position: i64,
    /// Sku.
    pub sku: Option<String>,
    /// Name.
    pub name: String,
    /// Quantity.
    pub quantity: i64,
    /// Unit price, in minor units.
    pub unit_price_minor: i64,
    /// Subtotal, in minor units.
    pub subtotal_minor: i64,
    /// Discount, in minor units.
    pub discount_minor: i64,
    /// Tax, in minor units.
    pub tax_minor: i64,
    /// Total, in minor units.
    pub total_minor: i64,
    /// Refunded quantity.
    pub refunded_quantity: i64,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// The order it is a line of.
    #[sea_orm(belongs_to, from = "order_id", to = "id")]
    pub order: BelongsTo<super::order::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
