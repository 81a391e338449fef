//! Everything about one order, read in one moment, so that its parts agree.

use std::collections::HashMap;

use entity::{
    checkout_session, line_item, order, payment, provider_call, provider_event, provider_fact,
    refund, review,
};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::checkouts::SessionRecord;
use super::rows::{money, parse};
use super::settle::{fact_of, terms_of};
use super::{ShopStore, Store, StoreError, orders, payments, refunds};
use crate::domain::access::Mode;
use crate::domain::dossier::{DisputeSheet, Dossier, PaymentSheet, RefundSheet};
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::money::Money;
use crate::domain::redact;
use crate::domain::settlement::{Fact, FactKind, PaymentState, fold};
use crate::domain::time::Timestamp;

/// The most bodies of each kind that are read for one page, the newest first.
const MAX_BODIES: u64 = 100;
/// The longest body that is read for it, in bytes.
const MAX_BODY_BYTES: i32 = 32 * 1_024;

impl Store {
    /// The shop of an order, for who does not know it.
    ///
    /// # Errors
    /// The database's.
    pub async fn shop_of_order(&self, id: OrderId) -> Result<Option<ShopId>, StoreError> {
        let shop: Option<String> = order::Entity::find_by_id(id.to_string())
            .select_only()
            .column(order::Column::ShopId)
            .into_tuple()
            .one(&self.reader)
            .await?;
        shop.map(|shop| parse("order.shop_id", &shop)).transpose()
    }
}

impl ShopStore<'_> {
    /// Everything about an order of this shop; nothing when it has no such order.
    ///
    /// # Errors
    /// The database's.
    pub async fn dossier(&self, id: OrderId, mode: Mode) -> Result<Option<Dossier>, StoreError> {
        let moment = self.store.snapshot().await?;
        let dossier = self.read_dossier(&moment, id, mode).await;
        // Nothing was changed; its end only lets go of the moment.
        let _ = moment.rollback().await;
        dossier
    }

    async fn read_dossier(
        &self,
        moment: &DatabaseTransaction,
        id: OrderId,
        mode: Mode,
    ) -> Result<Option<Dossier>, StoreError> {
        let Some(timeline) = self.read_timeline(moment, id).await? else {
            return Ok(None);
        };
        let rows = Rows::read(moment, &id.to_string()).await?;
        let Some(row) = &rows.order else {
            return Ok(None);
        };
        let facts: Vec<(Fact, Timestamp)> = rows
            .facts
            .iter()
            .map(|row| {
                let at = Timestamp::from_ms(row.created_at);
                Ok((fact_of(row.clone())?, at))
            })
            .collect::<Result<_, StoreError>>()?;
        let decided = [FactKind::OrderCancelled, FactKind::OrderExpired];
        let mut closed = facts
            .iter()
            .filter(|(fact, _)| decided.contains(&fact.said.kind));
        let sessions = rows.sessions.iter().cloned().map(|row| {
            let record = SessionRecord::try_from(row)?;
            Ok(record.public(payments::PROVIDER))
        });
        let reviews = rows.reviews.iter();
        let reviews = reviews.map(|row| parse("review.reason", &row.reason));
        Ok(Some(Dossier {
            order: orders::public(row, &rows.lines, mode)?,
            total: money(row.total_minor, &row.currency)?,
            closing: row.cancel_requested_at.is_some(),
            paid_at: row.paid_at.map(Timestamp::from_ms),
            closed_at: closed.next().map(|(_, at)| *at),
            payments: sheets(moment, row, &rows, &facts).await?,
            sessions: sessions.collect::<Result<_, StoreError>>()?,
            open_reviews: reviews.collect::<Result<_, _>>()?,
            raw: raw(moment, &row.id).await?,
            timeline,
        }))
    }
}

/// The rows of an order, the newest first but for lines, facts and reviews.
struct Rows {
    order: Option<order::Model>,
    lines: Vec<line_item::Model>,
    sessions: Vec<checkout_session::Model>,
    payments: Vec<payment::Model>,
    refunds: Vec<refund::Model>,
    facts: Vec<provider_fact::Model>,
    reviews: Vec<review::Model>,
}

impl Rows {
    async fn read(moment: &DatabaseTransaction, id: &str) -> Result<Rows, StoreError> {
        Ok(Rows {
            order: order::Entity::find_by_id(id).one(moment).await?,
            lines: orders::lines_of(moment, id).await?,
            sessions: checkout_session::Entity::find()
                .filter(checkout_session::Column::OrderId.eq(id))
                .order_by_desc(checkout_session::Column::Id)
                .all(moment)
                .await?,
            payments: payment::Entity::find()
                .filter(payment::Column::OrderId.eq(id))
                .order_by_desc(payment::Column::Id)
                .all(moment)
                .await?,
            refunds: refund::Entity::find()
                .filter(refund::Column::OrderId.eq(id))
                .order_by_desc(refund::Column::Id)
                .all(moment)
                .await?,
            facts: provider_fact::Entity::find()
                .filter(provider_fact::Column::OrderId.eq(id))
                .order_by_asc(provider_fact::Column::Id)
                .all(moment)
                .await?,
            reviews: review::Entity::find()
                .filter(review::Column::OrderId.eq(id))
                .filter(review::Column::Status.eq("open"))
                .order_by_asc(review::Column::OpenedAt)
                .all(moment)
                .await?,
        })
    }
}

/// The payments, each with what the facts say of it.
async fn sheets(
    moment: &DatabaseTransaction,
    order: &order::Model,
    rows: &Rows,
    facts: &[(Fact, Timestamp)],
) -> Result<Vec<PaymentSheet>, StoreError> {
    let terms = terms_of(
        order,
        &rows.sessions,
        &rows.payments,
        &rows.refunds,
        Vec::new(),
    )?;
    let known: Vec<Fact> = facts.iter().map(|(fact, _)| fact.clone()).collect();
    let state = fold(&terms, &known);
    let ids: Vec<String> = rows.refunds.iter().map(|row| row.id.clone()).collect();
    let lines = refunds::lines_of(moment, &ids).await?;
    let mut sheets = Vec::with_capacity(rows.payments.len());
    for (row, state) in rows.payments.iter().zip(&state.payments) {
        let of_payment = rows.refunds.iter().filter(|one| one.payment_id == row.id);
        let refunds = of_payment.map(|row| {
            Ok(RefundSheet {
                refund: refunds::public(row, &lines)?,
                origin: parse("refund.origin", &row.origin)?,
            })
        });
        let amount = |minor| money(minor, &row.currency);
        sheets.push(PaymentSheet {
            payment: payments::public(row)?,
            belongs: state.belongs,
            authorized: amount(state.authorized_minor)?,
            fee: amount(state.fee_minor)?,
            refunds: refunds.collect::<Result<_, StoreError>>()?,
            disputes: disputes(state, facts),
        });
    }
    Ok(sheets)
}

fn disputes(payment: &PaymentState, facts: &[(Fact, Timestamp)]) -> Vec<DisputeSheet> {
    let currency = payment.requested.currency();
    let disputes = payment.disputes.iter().map(|state| {
        let mut told = facts
            .iter()
            .filter(|(fact, _)| fact.said.object == state.object);
        DisputeSheet {
            taken: Money::new(state.net_withdrawn_minor, currency),
            opened_at: told.next().map(|(_, at)| *at),
            state: state.clone(),
        }
    });
    disputes.collect()
}

/// What was sent and what was reported, redacted, by id. Long bodies are left out: their size is not ours to choose.
async fn raw(
    moment: &DatabaseTransaction,
    order: &str,
) -> Result<HashMap<String, String>, StoreError> {
    use provider_call::Column as Call;
    use provider_event::Column as Event;
    let short = |column: Expr| Expr::expr(Func::cust("length").arg(column)).lte(MAX_BODY_BYTES);
    let events: Vec<(String, Option<Vec<u8>>)> = provider_event::Entity::find()
        .filter(Event::OrderId.eq(order))
        .filter(short(Expr::col(Event::Raw)))
        .order_by_desc(Event::Id)
        .limit(MAX_BODIES)
        .select_only()
        .columns([Event::Id, Event::Raw])
        .into_tuple()
        .all(moment)
        .await?;
    let calls: Vec<(String, String, String, Option<Vec<u8>>)> = provider_call::Entity::find()
        .filter(Call::OrderId.eq(order))
        .order_by_desc(Call::Id)
        .limit(MAX_BODIES)
        .select_only()
        .columns([Call::Id, Call::Method, Call::Path, Call::Body])
        .into_tuple()
        .all(moment)
        .await?;
    let mut raw = HashMap::new();
    for (id, body) in events {
        if let Some(text) = body.and_then(|body| redact::json(&body)) {
            raw.insert(id, text);
        }
    }
    for (id, method, path, body) in calls {
        let path = path.split('?').next().unwrap_or_default();
        let body = body
            .and_then(|body| redact::form(&body))
            .unwrap_or_default();
        raw.insert(id, format!("{method} {path}\n{body}").trim_end().to_owned());
    }
    Ok(raw)
}
