//! What happened to an order, for other programs.

use sea_orm::entity::prelude::*;

/// What happened to an order, for other programs.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// Type.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// Sequence.
    pub sequence: i64,
    /// Position.
    pub position: Option<i64>,
    /// Data.
    #[sea_orm(column_type = "Text")]
    pub data: String,
    /// Cause.
    pub cause: String,
    /// The request.
    pub request_id: Option<String>,
    /// Actor.
    pub actor: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
