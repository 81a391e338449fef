//! One thing known of an order's money; what settlement folds.

use sea_orm::entity::prelude::*;

/// One thing known of an order's money; what settlement folds.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_fact")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// The provider account.
    pub provider_account_id: String,
    /// The object.
    pub object_id: String,
    /// Kind.
    pub kind: String,
    /// Amount, in minor units.
    pub amount_minor: i64,
    /// Currency.
    pub currency: String,
    /// The intent.
    pub intent_id: Option<String>,
    /// The checkout session.
    pub checkout_session_id: Option<String>,
    /// The refund.
    pub refund_id: Option<String>,
    /// Code.
    pub code: Option<String>,
    /// Source kind.
    pub source_kind: String,
    /// The source.
    pub source_id: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
