//! Finding the session of ours that a provider's object belongs to.

use sea_orm::{ConnectionTrait, Value};

use super::super::rows::{parse, sql};
use super::super::{StoreError, Tx, checkouts};
use super::{Settle, Source};
use crate::domain::ids::{CheckoutSessionId, OrderId, ShopId};
use crate::domain::observed::Observed;

/// Whose money it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Match {
    pub shop: ShopId,
    pub order: OrderId,
    pub session: CheckoutSessionId,
}

/// The session of ours that what was observed belongs to.
pub(super) async fn find(tx: &Tx, command: &Settle) -> Result<Option<Match>, StoreError> {
    let known = match &command.source {
        Source::Poll(claimed) => Some(claimed.session.id.to_string()),
        Source::Refresh(session) => Some(session.to_string()),
        Source::Call { call, .. } => Some(call.subject_id.clone()),
        Source::Webhook(_) | Source::Retry(_) | Source::Refetch(_) => None,
    };
    if let Some(id) = known {
        let session = checkouts::find(tx.conn(), &id).await?;
        return Ok(session.map(|session| Match {
            shop: session.shop,
            order: session.order,
            session: session.id,
        }));
    }
    for object in &command.observed {
        if let Some(found) = by_object(tx, command, object).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
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
        session: parse("checkout_session.id", &row.try_get_by_index::<String>(0)?)?,
        order: parse("order.id", &row.try_get_by_index::<String>(1)?)?,
        shop: parse("shop.id", &row.try_get_by_index::<String>(2)?)?,
    }))
}
