//! Provider calls and their tries, as staff see them.

use entity::{payment, provider_attempt, provider_call as row, refund};
use sea_orm::sea_query::{Expr, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::super::paging::{and_of_shop, made_in, searched};
use super::super::rows::parse;
use super::super::{ShopStore, StoreError};
use super::Numbers;
use crate::domain::call::{Attempt, CallFile, CallFilter, CallStory};
use crate::domain::ids::{CallId, PaymentId};
use crate::domain::page::{Page, Stretch};
use crate::domain::time::Timestamp;

/// The most tries of one call that are shown: a call is tried every day for as long as nobody knows its outcome.
const MAX_ATTEMPTS: u64 = 200;

fn file(row: row::Model, numbers: &Numbers) -> Result<CallFile, StoreError> {
    Ok(CallFile {
        id: parse("provider_call.id", &row.id)?,
        order: parse("provider_call.order_id", &row.order_id)?,
        order_number: numbers.of(&row.order_id),
        account: parse("provider_call.account", &row.provider_account_id)?,
        kind: parse("provider_call.kind", &row.kind)?,
        subject_id: row.subject_id,
        status: parse("provider_call.status", &row.status)?,
        attempts: row.attempt_count,
        next_at: row.next_at.map(Timestamp::from_ms),
        leased_until: row.lease_until.map(Timestamp::from_ms),
        review_at: row.review_at.map(Timestamp::from_ms),
        cause: row.cause,
        request_id: row.request_id,
        actor: row.actor,
        created_at: Timestamp::from_ms(row.created_at),
        finished_at: row.finished_at.map(Timestamp::from_ms),
    })
}

/// The ids of a payment and of its refunds.
fn subjects_of(payment: PaymentId) -> SelectStatement {
    let id = payment.to_string();
    let own = payment::Entity::find()
        .select_only()
        .column(payment::Column::Id)
        .filter(payment::Column::Id.eq(&id))
        .into_query();
    let mut refunds = refund::Entity::find()
        .select_only()
        .column(refund::Column::Id)
        .filter(refund::Column::PaymentId.eq(&id))
        .into_query();
    refunds.union(UnionType::All, own).take()
}

impl ShopStore<'_> {
    /// A page of the shop's calls that pass a filter, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn call_files(
        &self,
        filter: &CallFilter,
        page: &Page<CallId>,
    ) -> Result<Stretch<CallFile, CallId>, StoreError> {
        use row::Column as C;
        let query =
            row::Entity::find().filter(made_in::<CallId, _>(C::Id, C::CreatedAt, filter.made));
        let open = filter.status.filter(|status| status.is_open());
        let is_open = open.is_some() || filter.open_after.is_some();
        let about = filter.subject.is_some() || filter.payment.is_some();
        let mut query = match (&filter.order, about, is_open) {
            (None, false, false) => query.filter(C::ShopId.eq(self.shop.to_string())),
            _ => query.filter(and_of_shop(C::ShopId, self.shop)),
        };
        if let Some(order) = &filter.order {
            query = query.filter(C::OrderId.eq(order.to_string()));
        }
        if let Some(subject) = &filter.subject {
            query = query.filter(C::SubjectId.eq(subject));
        }
        if let Some(payment) = &filter.payment {
            query = query.filter(C::SubjectId.in_subquery(subjects_of(*payment)));
        }
        let mut rest = Condition::all();
        if is_open {
            // In the words of the index over what is open, which is never much; by itself, or SQLite would look for them
            // among all there are, since those are sorted.
            let open = "SELECT id FROM provider_call WHERE status IN ('sending', 'unknown')";
            query = query.filter(Expr::cust(format!("id IN ({open})")));
        }
        let status = filter.status.map(|status| C::Status.eq(status.as_str()));
        let tries = filter.open_after.map(|tries| C::AttemptCount.gte(tries));
        if is_open {
            query = query.filter(Condition::all().add_option(status).add_option(tries));
        } else {
            rest = rest.add_option(status);
        }
        rest = rest.add_option(filter.kind.map(|kind| C::Kind.eq(kind.as_str())));
        let found = searched(&self.store.reader, query, rest, C::Id, page).await?;
        let numbers = self.numbers(found.rows.iter().map(|row| &row.order_id));
        let numbers = numbers.await?;
        let files = found.rows.into_iter().map(|row| file(row, &numbers));
        Ok(Stretch {
            rows: files.collect::<Result<_, _>>()?,
            has_more: found.has_more,
            looked_until: found.looked_until,
        })
    }

    /// One of the shop's calls with its tries.
    ///
    /// # Errors
    /// The database's.
    pub async fn call_story(&self, id: CallId) -> Result<Option<CallStory>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let numbers = self.numbers(std::iter::once(&row.order_id)).await?;
        Ok(Some(CallStory {
            method: row.method.clone(),
            path: row.path.clone(),
            api_version: row.api_version.clone(),
            idempotency_key: row.idempotency_key.clone(),
            body: row.body.clone(),
            attempts: self.attempts_of(&row.id).await?,
            call: file(row, &numbers)?,
        }))
    }

    /// The newest tries of a call, oldest first.
    async fn attempts_of(&self, call: &str) -> Result<Vec<Attempt>, StoreError> {
        use provider_attempt::Column as C;
        let mut rows = provider_attempt::Entity::find()
            .filter(C::ProviderCallId.eq(call))
            .order_by_desc(C::Number)
            .limit(MAX_ATTEMPTS)
            .all(&self.store.reader)
            .await?;
        rows.reverse();
        let attempts = rows.into_iter().map(|row| Attempt {
            number: row.number,
            started_at: Timestamp::from_ms(row.started_at),
            duration_ms: (row.outcome != "sending").then_some(row.duration_ms),
            http_status: row.http_status,
            outcome: row.outcome,
            provider_request_id: row.provider_request_id,
            message: row.message,
        });
        Ok(attempts.collect())
    }
}
