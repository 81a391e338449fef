//! Money that goes back, or is meant to.

use sea_orm::entity::prelude::*;

/// Money that goes back, or is meant to.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: String,
    /// The payment it goes back from.
    pub payment_id: String,
    /// The provider account.
    pub provider_account_id: String,
    /// The provider refund.
    pub provider_refund_id: Option<String>,
    /// Amount, in minor units.
    pub amount_minor: i64,
    /// Currency.
    pub currency: String,
    /// Reason.
    pub reason: Option<String>,
    /// Status.
    pub status: String,
    /// Failure reason.
    pub failure_reason: Option<String>,
    /// Who wanted it: a request, a policy, or somebody at the provider.
    pub origin: String,
    /// Whether somebody asked for it while its payment was the order's.
    pub payment_belonged: bool,
    /// The refund that failed and that this one was sent for again.
    pub repeats_id: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Who caused it.
    pub actor: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Updated, in epoch milliseconds.
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
