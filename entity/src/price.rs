//! A product's price in one currency.

use sea_orm::entity::prelude::*;

/// A product's price in one currency.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "price")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The product.
    pub product_id: String,
    /// Currency.
    pub currency: String,
    /// Amount, in minor units.
    pub amount_minor: i64,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
