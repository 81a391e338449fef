//! The queue of open questions, each with the facts that are compared.

use std::collections::HashMap;

use entity::{
    checkout_session, order, payment, provider_call, provider_fact, refund, review as row,
};
use sea_orm::sea_query::{Expr, NullOrdering};
use sea_orm::{ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use super::rows::{money, parse, parse_opt};
use super::settle::question;
use super::{ShopStore, StoreError};
use crate::domain::ids::{CheckoutSessionId, OrderId, PaymentId, ReviewId};
use crate::domain::money::Money;
use crate::domain::page::{Cursor, Page, cut};
use crate::domain::queue::Place;
use crate::domain::settlement::Reason;
use crate::domain::standing::ReviewStanding;
use crate::domain::time::Timestamp;

/// An open question with what people compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReview {
    /// The question.
    pub review: ReviewStanding,
    /// The order, as far as a list shows it.
    pub order: OrderId,
    /// Its number.
    pub number: String,
    /// What it costs.
    pub total: Money,
    /// What we asked the provider to charge.
    pub session: Option<AskedFor>,
    /// What the provider says.
    pub payment: Option<Said>,
    /// A refund or a call it is about: what it was to do, and where it stands.
    pub change: Option<Change>,
}

/// What we asked the provider to charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedFor {
    /// Our session.
    pub id: CheckoutSessionId,
    /// The provider's id of it.
    pub provider_id: Option<String>,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

/// What the provider says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Our payment.
    pub id: PaymentId,
    /// The provider's intent.
    pub intent: String,
    /// What it asks for.
    pub requested: Money,
    /// What was captured.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// What banks have taken in disputes and not given back.
    pub disputed: Money,
    /// Where it stands.
    pub status: String,
    /// When it was first seen.
    pub at: Timestamp,
}

/// A refund or a provider call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Our id of it.
    pub id: String,
    /// `refund`, or the kind of call.
    pub kind: String,
    /// Where it stands.
    pub status: String,
    /// How much, of a refund.
    pub amount: Option<Money>,
    /// Why it failed, of a refund.
    pub failure: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
}

impl ShopStore<'_> {
    /// A page of the open questions, of one reason if given: what is due first, then the oldest; and whether there are
    /// more in its direction.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_reviews(
        &self,
        reason: Option<Reason>,
        page: &Page<Place>,
    ) -> Result<(Vec<OpenReview>, bool), StoreError> {
        use row::Column as C;
        let mut query = self.open().filter(C::OrderId.is_not_null());
        if let Some(reason) = reason {
            query = query.filter(C::Reason.eq(reason.as_str()));
        }
        let (order, nulls) = match &page.cursor {
            Cursor::Newest => (Order::Asc, NullOrdering::Last),
            Cursor::StartingAfter(place) => {
                query = query.filter(behind(place));
                (Order::Asc, NullOrdering::Last)
            }
            Cursor::EndingBefore(place) => {
                query = query.filter(before(place));
                (Order::Desc, NullOrdering::First)
            }
        };
        let rows = query
            .order_by_with_nulls(C::DueAt, order.clone(), nulls)
            .order_by(C::OpenedAt, order.clone())
            .order_by(C::Id, order)
            .limit(page.limit.saturating_add(1))
            .all(&self.store.reader)
            .await?;
        let (rows, more) = cut(rows, page);
        Ok((self.with_facts(rows).await?, more))
    }

    fn open(&self) -> sea_orm::Select<row::Entity> {
        row::Entity::find()
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            // In the statement itself, as in the condition of the index.
            .filter(Expr::cust("status = 'open'"))
    }

    /// How many questions are open, by their reason; those of which there are none are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_reviews(&self) -> Result<Vec<(Reason, u64)>, StoreError> {
        let counts: Vec<(String, i64)> = self
            .open()
            .filter(row::Column::OrderId.is_not_null())
            .select_only()
            .column(row::Column::Reason)
            .column_as(row::Column::Id.count(), "open")
            .group_by(row::Column::Reason)
            .order_by_asc(row::Column::Reason)
            .into_tuple()
            .all(&self.store.reader)
            .await?;
        let counts = counts.into_iter().map(|(reason, count)| {
            let reason = parse("review.reason", &reason)?;
            Ok((reason, u64::try_from(count).unwrap_or(0)))
        });
        counts.collect()
    }

    /// The order a question of this shop is about.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_of_review(&self, id: ReviewId) -> Result<Option<OrderId>, StoreError> {
        let found = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        let order = found.and_then(|row| row.order_id);
        parse_opt("review.order_id", order.as_deref())
    }

    /// One question of this shop that is about an order, open or not.
    ///
    /// # Errors
    /// The database's.
    pub async fn review(&self, id: ReviewId) -> Result<Option<OpenReview>, StoreError> {
        let found = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .filter(row::Column::OrderId.is_not_null())
            .all(&self.store.reader)
            .await?;
        Ok(self.with_facts(found).await?.pop())
    }

    /// What the questions are about, read in sets.
    async fn with_facts(&self, rows: Vec<row::Model>) -> Result<Vec<OpenReview>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let orders: Vec<String> = rows.iter().filter_map(|row| row.order_id.clone()).collect();
        let reader = &self.store.reader;
        macro_rules! of_orders {
            ($table:ident) => {
                $table::Entity::find()
                    .filter($table::Column::OrderId.is_in(orders.clone()))
                    .order_by_asc($table::Column::Id)
                    .all(reader)
                    .await?
            };
        }
        let known = Known {
            sessions: of_orders!(checkout_session),
            payments: of_orders!(payment),
            refunds: of_orders!(refund),
            calls: of_orders!(provider_call),
            disputes: provider_fact::Entity::find()
                .filter(provider_fact::Column::OrderId.is_in(orders.clone()))
                .filter(provider_fact::Column::Kind.eq("dispute_opened"))
                .all(reader)
                .await?
                .into_iter()
                .filter_map(|fact| Some((fact.object_id, fact.intent_id?)))
                .collect(),
            orders: order::Entity::find()
                .filter(order::Column::Id.is_in(orders))
                .all(reader)
                .await?
                .into_iter()
                .map(|order| (order.id.clone(), order))
                .collect(),
        };
        rows.iter().map(|row| known.about(row)).collect()
    }
}

/// What comes behind a place in the queue.
fn behind(place: &Place) -> Condition {
    use row::Column as C;
    let opened = place.opened_at.ms();
    let younger = Condition::any().add(C::OpenedAt.gt(opened)).add(
        Condition::all()
            .add(C::OpenedAt.eq(opened))
            .add(C::Id.gt(place.id.to_string())),
    );
    match place.due_at {
        None => Condition::all().add(C::DueAt.is_null()).add(younger),
        Some(due) => Condition::any()
            .add(C::DueAt.is_null())
            .add(C::DueAt.gt(due.ms()))
            .add(Condition::all().add(C::DueAt.eq(due.ms())).add(younger)),
    }
}

/// What comes before a place in the queue.
fn before(place: &Place) -> Condition {
    use row::Column as C;
    let opened = place.opened_at.ms();
    let older = Condition::any().add(C::OpenedAt.lt(opened)).add(
        Condition::all()
            .add(C::OpenedAt.eq(opened))
            .add(C::Id.lt(place.id.to_string())),
    );
    match place.due_at {
        None => Condition::any()
            .add(C::DueAt.is_not_null())
            .add(Condition::all().add(C::DueAt.is_null()).add(older)),
        Some(due) => Condition::any()
            .add(C::DueAt.lt(due.ms()))
            .add(Condition::all().add(C::DueAt.eq(due.ms())).add(older)),
    }
}

/// Everything of the orders that are asked about.
struct Known {
    orders: HashMap<String, order::Model>,
    sessions: Vec<checkout_session::Model>,
    payments: Vec<payment::Model>,
    refunds: Vec<refund::Model>,
    calls: Vec<provider_call::Model>,
    /// Disputes and the intents they are about.
    disputes: HashMap<String, String>,
}

impl Known {
    fn about(&self, row: &row::Model) -> Result<OpenReview, StoreError> {
        let gone = || StoreError::Corrupt("a question whose order is gone".to_owned());
        let order = row.order_id.as_ref().and_then(|id| self.orders.get(id));
        let order = order.ok_or_else(gone)?;
        let subject = row.subject_id.as_str();
        let refund = self.refunds.iter().find(|refund| refund.id == subject);
        let call = self.calls.iter().find(|call| call.id == subject);
        let payment = self.payment(subject, refund, call);
        let session = payment.and_then(|payment| payment.checkout_session_id.as_deref());
        let session = session
            .or_else(|| call.map(|call| call.subject_id.as_str()))
            .unwrap_or(subject);
        let session = self.sessions.iter().find(|row| row.id == session);
        let change = match (refund, call) {
            (Some(refund), _) => Some(of_refund(refund)?),
            (None, Some(call)) => Some(of_call(call)),
            (None, None) => None,
        };
        Ok(OpenReview {
            review: question(row)?,
            order: parse("order.id", &order.id)?,
            number: order.number.to_string(),
            total: money(order.total_minor, &order.currency)?,
            session: session.map(asked_for).transpose()?,
            payment: payment.map(said).transpose()?,
            change,
        })
    }

    fn payment(
        &self,
        subject: &str,
        refund: Option<&refund::Model>,
        call: Option<&provider_call::Model>,
    ) -> Option<&payment::Model> {
        let payments = || self.payments.iter();
        let intent = self.disputes.get(subject);
        let by_intent = || payments().find(|row| Some(&row.provider_payment_id) == intent);
        let of_change = refund
            .map(|refund| refund.payment_id.as_str())
            .or_else(|| call.map(|call| call.subject_id.as_str()));
        let by_change = || payments().find(|row| Some(row.id.as_str()) == of_change);
        let through = |row: &&payment::Model| row.checkout_session_id.as_deref() == Some(subject);
        let asked = || payments().filter(through).find(|row| !row.belongs);
        payments()
            .find(|row| row.id == subject)
            .or_else(by_intent)
            .or_else(by_change)
            .or_else(asked)
            .or_else(|| payments().find(through))
    }
}

fn asked_for(row: &checkout_session::Model) -> Result<AskedFor, StoreError> {
    Ok(AskedFor {
        id: parse("checkout_session.id", &row.id)?,
        provider_id: row.provider_session_id.clone(),
        amount: money(row.amount_minor, &row.currency)?,
        at: Timestamp::from_ms(row.created_at),
    })
}

fn said(row: &payment::Model) -> Result<Said, StoreError> {
    let amount = |minor| money(minor, &row.currency);
    Ok(Said {
        id: parse("payment.id", &row.id)?,
        intent: row.provider_payment_id.clone(),
        requested: amount(row.amount_minor)?,
        captured: amount(row.captured_minor)?,
        refunded: amount(row.refunded_minor)?,
        disputed: amount(
            row.dispute_withdrawn_minor
                .saturating_sub(row.dispute_reinstated_minor)
                .max(0),
        )?,
        status: row.status.clone(),
        at: Timestamp::from_ms(row.created_at),
    })
}

fn of_refund(row: &refund::Model) -> Result<Change, StoreError> {
    Ok(Change {
        id: row.id.clone(),
        kind: "refund".to_owned(),
        status: row.status.clone(),
        amount: Some(money(row.amount_minor, &row.currency)?),
        failure: row.failure_reason.clone(),
        at: Timestamp::from_ms(row.created_at),
    })
}

fn of_call(row: &provider_call::Model) -> Change {
    Change {
        id: row.id.clone(),
        kind: row.kind.clone(),
        status: row.status.clone(),
        amount: None,
        failure: None,
        at: Timestamp::from_ms(row.created_at),
    }
}
