//! A note of the staff on an order.

use sea_orm::entity::prelude::*;

/// A note of the staff on an order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_note")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// What it says; null once it is erased.
    pub body: Option<String>,
    /// Who wrote it.
    pub author: String,
    /// The request.
    pub request_id: Option<String>,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
