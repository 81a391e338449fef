//! A question for people.

use sea_orm::entity::prelude::*;

/// A question for people.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "review")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The order.
    pub order_id: Option<String>,
    /// Reason.
    pub reason: String,
    /// The subject.
    pub subject_id: String,
    /// Status.
    pub status: String,
    /// Opened, in epoch milliseconds.
    pub opened_at: i64,
    /// Resolved, in epoch milliseconds.
    pub resolved_at: Option<i64>,
    /// Resolved by.
    pub resolved_by: Option<String>,
    /// How often it was opened, this time included.
    pub opening: i64,
    /// People have seen it, and its cause is still there.
    pub acknowledged: bool,
    /// What people decided of it last.
    pub resolution: Option<String>,
    /// When it must be answered, in epoch milliseconds.
    pub due_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
