//! A word an order is found by. Its only personal data outside the order's row.

use sea_orm::entity::prelude::*;

/// A word an order is found by. Its only personal data outside the order's row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_term")]
pub struct Model {
    /// The shop.
    #[sea_orm(primary_key, auto_increment = false)]
    pub shop_id: String,
    /// The word, in lower case.
    #[sea_orm(primary_key, auto_increment = false)]
    pub term: String,
    /// The order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: String,
}

impl ActiveModelBehavior for ActiveModel {}
