//! Finding the session of ours that a provider's object belongs to.

use entity::{payment, refund};
use sea_orm::{ConnectionTrait, EntityTrait, Value};

use super::super::rows::{parse, parse_opt, sql};
use super::super::{StoreError, Tx, checkouts};
use super::{Settle, Source};
use crate::domain::call::CallKind;
use crate::domain::ids::{CheckoutSessionId, OrderId, ShopId};
use crate::domain::observed::Observed;

/// Whose money it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Match {
    pub shop: ShopId,
    pub order: OrderId,
    /// The session what was said is about; none when an order without one is closed.
    pub session: Option<CheckoutSessionId>,
}

/// The session of ours that what was observed belongs to.
pub(super) async fn find(tx: &Tx, command: &Settle) -> Result<Option<Match>, StoreError> {
    match &command.source {
        Source::Poll(claimed) => return by_session(tx, &claimed.session.id.to_string()).await,
        Source::Refresh(session) => return by_session(tx, &session.to_string()).await,
        Source::PollPayment(claimed) => {
            return by_payment(tx, &claimed.payment.id.to_string()).await;
        }
        Source::RefreshPayment(payment) => return by_payment(tx, &payment.to_string()).await,
        Source::Call { call, .. } | Source::Doubt { call, .. } => {
            return by_subject(tx, call.kind, &call.subject_id).await;
        }
        Source::Closing { shop, order } => {
            return Ok(Some(Match {
                shop: *shop,
                order: *order,
                session: None,
            }));
        }
        Source::Webhook(_) | Source::Retry(_) | Source::Refetch(_) => {}
    }
    for object in &command.observed {
        if let Some(found) = by_object(tx, command, object).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn by_session(tx: &Tx, id: &str) -> Result<Option<Match>, StoreError> {
    let session = checkouts::find(tx.conn(), id).await?;
    Ok(session.map(|session| Match {
        shop: session.shop,
        order: session.order,
        session: Some(session.id),
    }))
}

async fn by_payment(tx: &Tx, id: &str) -> Result<Option<Match>, StoreError> {
    let row = payment::Entity::find_by_id(id).one(tx.conn()).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Match {
        shop: parse("payment.shop_id", &row.shop_id)?,
        order: parse("payment.order_id", &row.order_id)?,
        session: parse_opt("payment.session", row.checkout_session_id.as_deref())?,
    }))
}

async fn by_subject(tx: &Tx, kind: CallKind, id: &str) -> Result<Option<Match>, StoreError> {
    match kind {
        CallKind::SessionCreate | CallKind::SessionExpire => by_session(tx, id).await,
        CallKind::Capture | CallKind::Void => by_payment(tx, id).await,
        CallKind::Refund => {
            let row = refund::Entity::find_by_id(id).one(tx.conn()).await?;
            match row {
                Some(row) => by_payment(tx, &row.payment_id).await,
                None => Ok(None),
            }
        }
    }
}

async fn by_object(
    tx: &Tx,
    command: &Settle,
    object: &Observed,
) -> Result<Option<Match>, StoreError> {
    let account = command.account.id.to_string();
    let marks = object.marks();
    let ours = marks.deployment.as_deref() == Some(command.deployment.as_str());
    let marked = marks.session.clone().filter(|_| ours).unwrap_or_default();
    let (text, values): (&str, [Value; 4]) = match object {
        Observed::Session(session) => (
            "SELECT id, order_id, shop_id, 0 FROM checkout_session \
             WHERE provider_account_id = ? AND provider_session_id = ? \
             UNION ALL SELECT id, order_id, shop_id, 1 FROM checkout_session \
             WHERE provider_account_id = ? AND id = ? ORDER BY 4 LIMIT 1",
            [
                account.clone().into(),
                session.provider_id.clone().into(),
                account.into(),
                marked.into(),
            ],
        ),
        Observed::Refund(_) | Observed::Dispute(_) | Observed::Lapsed(_) => {
            let intent = object.intent_id().unwrap_or_default().to_owned();
            let charge = object.charge_id().unwrap_or_default().to_owned();
            (
                "SELECT checkout_session_id, order_id, shop_id, 0 FROM payment \
                 WHERE provider_account_id = ? AND provider_payment_id = ? \
                 AND checkout_session_id IS NOT NULL \
                 UNION ALL SELECT checkout_session_id, order_id, shop_id, 1 FROM payment \
                 WHERE provider_account_id = ? AND provider_charge_id = ? \
                 AND checkout_session_id IS NOT NULL ORDER BY 4 LIMIT 1",
                [
                    account.clone().into(),
                    intent.into(),
                    account.into(),
                    charge.into(),
                ],
            )
        }
        Observed::Intent(intent) => (
            "SELECT checkout_session_id, order_id, shop_id, 0 FROM payment \
             WHERE provider_account_id = ? AND provider_payment_id = ? \
             AND checkout_session_id IS NOT NULL \
             UNION ALL SELECT id, order_id, shop_id, 1 FROM checkout_session \
             WHERE provider_account_id = ? AND id = ? ORDER BY 4 LIMIT 1",
            [
                account.clone().into(),
                intent.provider_id.clone().into(),
                account.into(),
                marked.into(),
            ],
        ),
    };
    let row = tx
        .conn()
        .query_one_raw(sql(tx.engine, text, values))
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Match {
        session: Some(parse(
            "checkout_session.id",
            &row.try_get_by_index::<String>(0)?,
        )?),
        order: parse("order.id", &row.try_get_by_index::<String>(1)?)?,
        shop: parse("shop.id", &row.try_get_by_index::<String>(2)?)?,
    }))
}
