//! One side of a ledger transaction.

use sea_orm::entity::prelude::*;

/// One side of a ledger transaction.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_entry")]
pub struct Model {
    /// The id, as it is on the wire.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The shop.
    pub shop_id: String,
    /// The ledger transaction.
    pub ledger_transaction_id: String,
    /// The ledger account.
    pub ledger_account_id: String,
    /// The order.
    pub order_id: String,
    /// The payment.
    pub payment_id: String,
    /// Debit, in minor units.
    pub debit_minor: i64,
    /// Credit, in minor units.
    pub credit_minor: i64,
    /// Created, in epoch milliseconds.
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
