//! An order. Personal data lives only here, in nullable columns.

use sea_orm::entity::prelude::*;

/// An order. Personal data lives only here, in nullable columns.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// Number.
    pub number: i64,
    /// Reference.
    pub reference: Option<String>,
    /// Status.
    pub status: String,
    /// Payment status.
    pub payment_status: String,
    /// Fulfilment status.
    pub fulfilment_status: String,
    /// Review.
    pub review: Option<String>,
    /// Currency.
    pub currency: String,
    /// Tax included.
    pub tax_included: bool,
    /// Subtotal, in minor units.
    pub subtotal_minor: i64,
    /// Discount, in minor units.
    pub discount_minor: i64,
    /// Shipping, in minor units.
    pub shipping_minor: i64,
    /// Tax, in minor units.
    pub tax_minor: i64,
    /// Total, in minor units.
    pub total_minor: i64,
    /// Authorized, in minor units.
    pub authorized_minor: i64,
    /// Paid, in minor units.
    pub paid_minor: i64,
    /// Refunded, in minor units.
    pub refunded_minor: i64,
    /// Disputed, in minor units.
    pub disputed_minor: i64,
    /// Customer email.
    pub customer_email: Option<String>,
    /// Customer name.
    pub customer_name: Option<String>,
    /// Shipping address.
    pub shipping_address: Option<String>,
    /// Billing address.
    pub billing_address: Option<String>,
    /// Metadata.
    pub metadata: String,
    /// Token key.
    pub token_key: i64,
    /// Event seq.
    pub event_seq: i64,
    /// Paid, in epoch milliseconds.
    pub paid_at: Option<i64>,
    /// Cancel requested, in epoch milliseconds.
    pub cancel_requested_at: Option<i64>,
    /// When closing it by time is tried next, in epoch milliseconds.
    pub close_next_at: Option<i64>,
    /// Expires, in epoch milliseconds.
    pub expires_at: i64,
    /// The request.
    pub request_id: Option<String>,
    /// Actor.
    pub actor: String,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
    /// Updated, in epoch milliseconds.
    pub updated_at: i64,
    /// What was ordered.
    #[sea_orm(has_many)]
    pub line_items: HasMany<super::line_item::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
