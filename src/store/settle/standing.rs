//! Where an order stands, read from its rows and its facts: under its lock for whoever decides, of one moment for
//! whoever looks.

use std::collections::HashMap;

use entity::{order, provider_call, review};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::refunds::lines_of;
use super::super::rows::{money, parse, parse_opt};
use super::super::{Engine, ShopStore, ShopTx, StoreError};
use super::load::{self, Books, Locked};
use crate::domain::call::{CallKind, CallStatus};
use crate::domain::ids::OrderId;
use crate::domain::money::Money;
use crate::domain::settlement::{Foreseen, PaymentState, Supposed, fold, foresee};
use crate::domain::standing::{
    LineStanding, OpenDispute, PaymentStanding, RefundStanding, ReviewStanding, SessionStanding,
    Standing,
};
use crate::domain::time::Timestamp;

impl ShopTx {
    /// Where an order stands; the order must be locked.
    ///
    /// # Errors
    /// The database's.
    pub async fn standing(&self, order: OrderId) -> Result<Option<Standing>, StoreError> {
        let (connection, engine) = (self.tx.conn(), self.tx.engine);
        match books_of(connection, engine, &self.shop.to_string(), order).await? {
            Some(books) => of(connection, &books).await.map(Some),
            None => Ok(None),
        }
    }
}

impl ShopStore<'_> {
    /// Where an order stands.
    ///
    /// # Errors
    /// The database's.
    pub async fn standing(&self, order: OrderId) -> Result<Option<Standing>, StoreError> {
        let moment = self.store.snapshot().await?;
        let shop = self.shop.to_string();
        let standing = match books_of(&moment, self.store.engine, &shop, order).await {
            Ok(Some(books)) => of(&moment, &books).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        // Nothing was changed; its end only lets go of the moment.
        let _ = moment.rollback().await;
        standing
    }

    /// What would follow for an order if something came true. Nothing is written.
    ///
    /// # Errors
    /// The database's.
    pub async fn foresee(
        &self,
        order: OrderId,
        supposed: &Supposed,
    ) -> Result<Option<Foreseen>, StoreError> {
        let moment = self.store.snapshot().await?;
        let shop = self.shop.to_string();
        let books = books_of(&moment, self.store.engine, &shop, order).await;
        let _ = moment.rollback().await;
        Ok(books?.map(|books| foresee(&books.terms, &books.facts, supposed)))
    }
}

async fn books_of<C: ConnectionTrait>(
    connection: &C,
    engine: Engine,
    shop: &str,
    order: OrderId,
) -> Result<Option<Books>, StoreError> {
    let row = order::Entity::find_by_id(order.to_string())
        .filter(order::Column::ShopId.eq(shop))
        .one(connection)
        .await?;
    let Some(order) = row else { return Ok(None) };
    let locked = Locked {
        order,
        account: String::new(),
        intents: Vec::new(),
    };
    Ok(load::books(connection, engine, vec![locked]).await?.pop())
}

/// Where the order of these books stands.
pub(super) async fn of<C: ConnectionTrait>(
    connection: &C,
    books: &Books,
) -> Result<Standing, StoreError> {
    let row = &books.order;
    let state = fold(&books.terms, &books.facts);
    let endings = endings(connection, books).await?;
    let amount = |minor| money(minor, &row.currency);
    let line = |line: &entity::line_item::Model| {
        let count = |quantity| {
            u32::try_from(quantity)
                .map_err(|_| StoreError::Corrupt("line_item.quantity".to_owned()))
        };
        Ok(LineStanding {
            id: parse("line_item.id", &line.id)?,
            name: line.name.clone(),
            quantity: count(line.quantity)?,
            refunded: count(line.refunded_quantity)?,
            total: amount(line.total_minor)?,
        })
    };
    let payments = books.payments.iter().zip(&state.payments);
    let payments = payments.map(|(row, state)| payment(row, state, endings.get(&row.id)));
    let ids: Vec<String> = books.refunds.iter().map(|row| row.id.clone()).collect();
    let parts = lines_of(connection, &ids).await?;
    let refunds = books.refunds.iter().map(|row| refund(row, &parts));
    let reviews = review::Entity::find()
        .filter(review::Column::OrderId.eq(&row.id))
        .order_by_asc(review::Column::Id)
        .all(connection)
        .await?;
    Ok(Standing {
        order: parse("order.id", &row.id)?,
        number: row.number.to_string(),
        status: parse("order.status", &row.status)?,
        payment_status: parse("order.payment_status", &row.payment_status)?,
        fulfilment: parse("order.fulfilment_status", &row.fulfilment_status)?,
        currency: parse("order.currency", &row.currency)?,
        total: amount(row.total_minor)?,
        authorized: amount(row.authorized_minor)?,
        paid: amount(row.paid_minor)?,
        refunded: amount(row.refunded_minor)?,
        disputed: amount(row.disputed_minor)?,
        cancel_requested: row.cancel_requested_at.is_some(),
        lines: books
            .lines
            .iter()
            .map(line)
            .collect::<Result<_, StoreError>>()?,
        sessions: books
            .sessions
            .iter()
            .map(session)
            .collect::<Result<_, _>>()?,
        payments: payments.collect::<Result<_, _>>()?,
        refunds: refunds.collect::<Result<_, _>>()?,
        reviews: reviews.iter().map(question).collect::<Result<_, _>>()?,
    })
}

/// Payments with a capture or a release under way, or carried out, and which of both.
async fn endings<C: ConnectionTrait>(
    connection: &C,
    books: &Books,
) -> Result<HashMap<String, String>, StoreError> {
    let kinds = [CallKind::Capture.as_str(), CallKind::Void.as_str()];
    let found: Vec<(String, String)> = provider_call::Entity::find()
        .filter(provider_call::Column::OrderId.eq(&books.order.id))
        .filter(provider_call::Column::Kind.is_in(kinds))
        .filter(provider_call::Column::Status.ne(CallStatus::Declined.as_str()))
        .select_only()
        .column(provider_call::Column::SubjectId)
        .column(provider_call::Column::Kind)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(found.into_iter().collect())
}

fn session(row: &entity::checkout_session::Model) -> Result<SessionStanding, StoreError> {
    Ok(SessionStanding {
        id: parse("checkout_session.id", &row.id)?,
        provider_id: row.provider_session_id.clone(),
        status: parse("checkout_session.status", &row.status)?,
        amount: money(row.amount_minor, &row.currency)?,
        currency: parse("checkout_session.currency", &row.currency)?,
        capture: parse("checkout_session.capture", &row.capture)?,
        url: row.url.clone(),
        success_url: row.success_url.clone(),
        cancel_url: row.cancel_url.clone(),
        created_at: Timestamp::from_ms(row.created_at),
    })
}

fn payment(
    row: &entity::payment::Model,
    state: &PaymentState,
    ending: Option<&String>,
) -> Result<PaymentStanding, StoreError> {
    let amount = |minor| money(minor, &row.currency);
    let disputed = state.net_withdrawn_minor();
    // Reserved refunds of ours that have not gone back yet, known to the provider or not.
    let returning = row
        .refund_reserved_minor
        .saturating_add(row.refunded_external_minor)
        .saturating_sub(state.refunded_minor)
        .max(0);
    let open = state.disputes.iter().filter(|dispute| dispute.is_open());
    let open = open.map(|dispute| {
        Ok(OpenDispute {
            id: dispute.object.clone(),
            taken: amount(dispute.net_withdrawn_minor)?,
        })
    });
    Ok(PaymentStanding {
        id: state.id,
        intent: row.provider_payment_id.clone(),
        session: parse_opt("payment.session", row.checkout_session_id.as_deref())?,
        status: parse("payment.status", &row.status)?,
        currency: parse("payment.currency", &row.currency)?,
        requested: amount(row.amount_minor)?,
        captured: amount(state.captured_minor)?,
        reserved: amount(state.authorized_minor)?,
        refunded: amount(state.refunded_minor)?,
        returning: amount(returning)?,
        disputed: amount(disputed)?,
        left: amount(left_of(row))?,
        here: amount(state.unsettled_minor())?,
        belongs: state.belongs,
        accepted: state.accepted,
        ending: ending
            .map(|kind| parse("provider_call.kind", kind))
            .transpose()?,
        failure_code: state.failure_code.clone(),
        open_disputes: open.collect::<Result<_, StoreError>>()?,
        created_at: Timestamp::from_ms(row.created_at),
    })
}

/// What of a payment nobody has taken back or is about to.
fn left_of(row: &entity::payment::Model) -> i64 {
    row.captured_minor
        .saturating_sub(row.refund_reserved_minor)
        .saturating_sub(row.refunded_external_minor)
        .saturating_sub(row.dispute_withdrawn_minor)
        .saturating_add(row.dispute_reinstated_minor)
        .max(0)
}

fn refund(
    row: &entity::refund::Model,
    lines: &[entity::refund_line::Model],
) -> Result<RefundStanding, StoreError> {
    let amount: Money = money(row.amount_minor, &row.currency)?;
    let lines = lines.iter().filter(|line| line.refund_id == row.id);
    let lines = lines.map(|line| {
        let quantity = u32::try_from(line.quantity)
            .map_err(|_| StoreError::Corrupt("refund_line.quantity".to_owned()))?;
        Ok((
            parse("refund_line.line_item_id", &line.line_item_id)?,
            quantity,
        ))
    });
    Ok(RefundStanding {
        id: parse("refund.id", &row.id)?,
        payment: parse("refund.payment_id", &row.payment_id)?,
        amount,
        currency: amount.currency(),
        status: parse("refund.status", &row.status)?,
        reason: parse_opt("refund.reason", row.reason.as_deref())?,
        failure: row.failure_reason.clone(),
        lines: lines.collect::<Result<_, StoreError>>()?,
        created_at: Timestamp::from_ms(row.created_at),
    })
}

pub(in crate::store) fn question(row: &review::Model) -> Result<ReviewStanding, StoreError> {
    Ok(ReviewStanding {
        id: parse("review.id", &row.id)?,
        opening: row.opening,
        reason: parse("review.reason", &row.reason)?,
        subject: row.subject_id.clone(),
        open: row.status == "open",
        acknowledged: row.acknowledged,
        opened_at: Timestamp::from_ms(row.opened_at),
        due_at: row.due_at.map(Timestamp::from_ms),
        resolution: parse_opt("review.resolution", row.resolution.as_deref())?,
        resolved_by: row.resolved_by.clone(),
        resolved_at: row.resolved_at.map(Timestamp::from_ms),
    })
}
