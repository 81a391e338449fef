//! What somebody decided of an open question.

use sea_orm::entity::prelude::*;

/// What somebody decided of an open question.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "review_decision")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// The question.
    pub review_id: String,
    /// Which time of being open it was.
    pub opening: i64,
    /// What was decided.
    pub resolution: String,
    /// Why, in the words of who decided; null when none were given, or erased.
    pub note: Option<String>,
    /// Who decided.
    pub actor: String,
    /// The request.
    pub request_id: Option<String>,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
