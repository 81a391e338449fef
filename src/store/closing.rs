//! Orders that are being closed: on request, or because their time is up.

use entity::order as row;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::lease::SET_ASIDE_MS;
use super::rows::parse;
use super::{ShopTx, Store, StoreError, now_sql};
use crate::domain::ids::{OrderId, ShopId};

impl ShopTx {
    /// Notes that an order is to be cancelled; from now on no session is started. The order must be locked.
    ///
    /// # Errors
    /// The database's.
    pub async fn request_cancel(&self, order: OrderId) -> Result<(), StoreError> {
        let now = self.tx.clock.now().ms();
        row::Entity::update_many()
            .col_expr(row::Column::CancelRequestedAt, Expr::value(now))
            .filter(row::Column::Id.eq(order.to_string()))
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .filter(row::Column::CancelRequestedAt.is_null())
            .exec(self.tx.conn())
            .await?;
        Ok(())
    }

    /// Notes that an order's time is up and when that is looked at next; false when it is not so any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_expiry(&self, order: OrderId, look_in_ms: i64) -> Result<bool, StoreError> {
        let now = self.tx.now_sql();
        let done = row::Entity::update_many()
            .col_expr(
                row::Column::CloseNextAt,
                Expr::cust(format!("{now} + {look_in_ms}")),
            )
            .filter(row::Column::Id.eq(order.to_string()))
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .filter(row::Column::Status.eq("open"))
            .filter(row::Column::PaymentStatus.eq("unpaid"))
            .filter(row::Column::TotalMinor.gt(0))
            .filter(Expr::col(row::Column::ExpiresAt).lte(Expr::cust(now)))
            .exec(self.tx.conn())
            .await?;
        Ok(done.rows_affected == 1)
    }
}

impl Store {
    /// Leaves an overdue order alone for hours: it cannot be read, and must not hide the others.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_order_aside(&self, order: OrderId) -> Result<(), StoreError> {
        self.write(|tx| async move {
            let later = Expr::cust(format!("{} + {SET_ASIDE_MS}", tx.now_sql()));
            row::Entity::update_many()
                .col_expr(row::Column::CloseNextAt, later)
                .filter(row::Column::Id.eq(order.to_string()))
                .exec(tx.conn())
                .await?;
            Ok::<_, StoreError>(())
        })
        .await
    }

    /// Orders whose time is up and that nobody has looked at lately, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn overdue_orders(&self, limit: u64) -> Result<Vec<(ShopId, OrderId)>, StoreError> {
        let now = Expr::cust(now_sql(self.engine, &self.clock));
        let rows: Vec<(String, String)> = row::Entity::find()
            // As text, or neither engine would know that the index of those that may run out of time serves. Of it and
            // the one of all that wait to be paid, PostgreSQL would take the smaller and walk through it; so the other
            // is hidden.
            .filter(Expr::cust(
                "status = 'open' AND payment_status || '' = 'unpaid' AND total_minor > 0",
            ))
            .filter(Expr::col(row::Column::ExpiresAt).lte(now.clone()))
            .filter(
                row::Column::CloseNextAt
                    .is_null()
                    .or(Expr::col(row::Column::CloseNextAt).lte(now)),
            )
            .order_by_asc(row::Column::ExpiresAt)
            .limit(limit)
            .select_only()
            .column(row::Column::ShopId)
            .column(row::Column::Id)
            .into_tuple()
            .all(&self.reader)
            .await?;
        rows.iter()
            .map(|(shop, order)| Ok((parse("order.shop_id", shop)?, parse("order.id", order)?)))
            .collect()
    }
}
