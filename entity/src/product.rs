//! A product of a shop.

use sea_orm::entity::prelude::*;

/// A product of a shop.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "product")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// Sku.
    pub sku: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Tax category.
    pub tax_category: String,
    /// Active.
    pub active: bool,
    /// On hand.
    pub on_hand: Option<i64>,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Updated, in epoch milliseconds.
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
