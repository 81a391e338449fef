//! Refunds, as staff see them.

use entity::refund as row;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::super::paging::{and_of_shop, made_in, searched};
use super::super::refunds::{lines_of, public};
use super::super::rows::parse;
use super::super::{ShopStore, StoreError};
use crate::domain::ids::RefundId;
use crate::domain::page::{Page, Stretch};
use crate::domain::refund::{RefundFile, RefundFilter};
use crate::domain::time::Timestamp;

impl ShopStore<'_> {
    /// A page of the shop's refunds that pass a filter, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn refund_files(
        &self,
        filter: &RefundFilter,
        page: &Page<RefundId>,
    ) -> Result<Stretch<RefundFile, RefundId>, StoreError> {
        use row::Column as C;
        let query =
            row::Entity::find().filter(made_in::<RefundId, _>(C::Id, C::CreatedAt, filter.made));
        let mut query = match (&filter.order, &filter.payment) {
            (None, None) => query.filter(C::ShopId.eq(self.shop.to_string())),
            _ => query.filter(and_of_shop(C::ShopId, self.shop)),
        };
        if let Some(order) = &filter.order {
            query = query.filter(C::OrderId.eq(order.to_string()));
        }
        if let Some(payment) = &filter.payment {
            query = query.filter(C::PaymentId.eq(payment.to_string()));
        }
        let rest = Condition::all()
            .add_option(filter.status.map(|status| C::Status.eq(status.as_str())))
            .add_option(filter.reason.map(|reason| C::Reason.eq(reason.as_str())));
        let found = searched(&self.store.reader, query, rest, C::Id, page).await?;
        let (has_more, looked_until) = (found.has_more, found.looked_until);
        Ok(Stretch {
            rows: self.refunds_read(found.rows).await?,
            has_more,
            looked_until,
        })
    }

    /// One of the shop's refunds.
    ///
    /// # Errors
    /// The database's.
    pub async fn refund_file(&self, id: RefundId) -> Result<Option<RefundFile>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        let read = self.refunds_read(row.into_iter().collect()).await?;
        Ok(read.into_iter().next())
    }

    async fn refunds_read(&self, rows: Vec<row::Model>) -> Result<Vec<RefundFile>, StoreError> {
        let numbers = self.numbers(rows.iter().map(|row| &row.order_id)).await?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let lines = lines_of(&self.store.reader, &ids).await?;
        let files = rows.into_iter().map(|row| {
            Ok(RefundFile {
                refund: public(&row, &lines)?,
                order_number: numbers.of(&row.order_id),
                origin: parse("refund.origin", &row.origin)?,
                actor: row.actor,
                request_id: row.request_id,
                updated_at: Timestamp::from_ms(row.updated_at),
            })
        });
        files.collect()
    }
}
