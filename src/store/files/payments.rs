//! Payments, as staff see them.

use entity::{payment as row, provider_account};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::super::paging::{and_of_shop, made_in, searched};
use super::super::payments::public;
use super::super::rows::{money, parse};
use super::super::{ShopStore, StoreError};
use super::Numbers;
use crate::domain::ids::PaymentId;
use crate::domain::page::{Page, Stretch};
use crate::domain::payment::{PaymentFile, PaymentFilter};
use crate::domain::time::Timestamp;

fn file(row: &row::Model, numbers: &Numbers) -> Result<PaymentFile, StoreError> {
    let amount = |minor| money(minor, &row.currency);
    let disputed = row
        .dispute_withdrawn_minor
        .saturating_sub(row.dispute_reinstated_minor);
    Ok(PaymentFile {
        payment: public(row)?,
        order_number: numbers.of(&row.order_id),
        account: parse("payment.account", &row.provider_account_id)?,
        provider_charge_id: row.provider_charge_id.clone(),
        belongs: row.belongs,
        reserved: amount(row.refund_reserved_minor)?,
        refunded_elsewhere: amount(row.refunded_external_minor)?,
        disputed: amount(disputed)?,
        next_poll_at: row.next_poll_at.map(Timestamp::from_ms),
        updated_at: Timestamp::from_ms(row.updated_at),
    })
}

/// The most payments that one id of the provider can be for.
const MAX_NAMED: u64 = 100;

impl ShopStore<'_> {
    /// The payments whose intent or charge the provider knows by this id. Asked one after the other: each has its index,
    /// and no engine uses both for one question.
    async fn known_as(&self, id: &str) -> Result<Vec<String>, StoreError> {
        use row::Column as C;
        let mut known = Vec::new();
        for column in [C::ProviderPaymentId, C::ProviderChargeId] {
            let accounts = Query::select()
                .column(provider_account::Column::Id)
                .from(provider_account::Entity)
                .to_owned();
            let ids: Vec<String> = row::Entity::find()
                .filter(C::ProviderAccountId.in_subquery(accounts))
                .filter(column.eq(id))
                .select_only()
                .column(C::Id)
                .limit(MAX_NAMED)
                .into_tuple()
                .all(&self.store.reader)
                .await?;
            known.extend(ids);
        }
        Ok(known)
    }

    /// A page of the shop's payments that pass a filter, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn payment_files(
        &self,
        filter: &PaymentFilter,
        page: &Page<PaymentId>,
    ) -> Result<Stretch<PaymentFile, PaymentId>, StoreError> {
        use row::Column as C;
        let query =
            row::Entity::find().filter(made_in::<PaymentId, _>(C::Id, C::CreatedAt, filter.seen));
        let status = filter.status.map(|status| C::Status.eq(status.as_str()));
        let mut query = match (&filter.order, &filter.provider_id) {
            (None, None) => query.filter(C::ShopId.eq(self.shop.to_string())),
            _ => query.filter(and_of_shop(C::ShopId, self.shop)),
        };
        if let Some(order) = &filter.order {
            query = query.filter(C::OrderId.eq(order.to_string()));
        }
        if let Some(id) = &filter.provider_id {
            query = query.filter(C::Id.is_in(self.known_as(id).await?));
        }
        let rest = Condition::all().add_option(status);
        let found = searched(&self.store.reader, query, rest, C::Id, page).await?;
        let numbers = self.numbers(found.rows.iter().map(|row| &row.order_id));
        let numbers = numbers.await?;
        let files = found.rows.iter().map(|row| file(row, &numbers));
        Ok(Stretch {
            rows: files.collect::<Result<_, _>>()?,
            has_more: found.has_more,
            looked_until: found.looked_until,
        })
    }

    /// One of the shop's payments.
    ///
    /// # Errors
    /// The database's.
    pub async fn payment_file(&self, id: PaymentId) -> Result<Option<PaymentFile>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let numbers = self.numbers(std::iter::once(&row.order_id)).await?;
        file(&row, &numbers).map(Some)
    }
}
