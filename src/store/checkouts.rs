//! Checkout sessions.

use entity::checkout_session as row;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::rows::{money, parse};
use super::{ShopStore, ShopTx, StoreError};
use crate::domain::access::Trace;
use crate::domain::checkout::{Capture, CheckoutSession, SessionStatus};
use crate::domain::ids::{AccountId, CheckoutSessionId, OrderId, ShopId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

/// A checkout session as the use cases need it.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// Its id.
    pub id: CheckoutSessionId,
    /// Its shop.
    pub shop: ShopId,
    /// Its order.
    pub order: OrderId,
    /// The provider account it was made with.
    pub account: AccountId,
    /// Where it stands.
    pub status: SessionStatus,
    /// What it charges.
    pub amount: Money,
    /// When the money is taken.
    pub capture: Capture,
    /// The provider's id.
    pub provider_session_id: Option<String>,
    /// The hosted page.
    pub url: Option<String>,
    /// When it stops being payable.
    pub expires_at: Timestamp,
    /// Somebody wants it ended once it is known at the provider.
    pub ending: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl TryFrom<row::Model> for SessionRecord {
    type Error = StoreError;
    fn try_from(row: row::Model) -> Result<Self, StoreError> {
        Ok(SessionRecord {
            id: parse("checkout_session.id", &row.id)?,
            shop: parse("checkout_session.shop_id", &row.shop_id)?,
            order: parse("checkout_session.order_id", &row.order_id)?,
            account: parse(
                "checkout_session.provider_account_id",
                &row.provider_account_id,
            )?,
            status: parse("checkout_session.status", &row.status)?,
            amount: money(row.amount_minor, &row.currency)?,
            capture: parse("checkout_session.capture", &row.capture)?,
            provider_session_id: row.provider_session_id,
            url: row.url,
            expires_at: Timestamp::from_ms(row.expires_at),
            ending: row.end_requested_at.is_some(),
            created_at: Timestamp::from_ms(row.created_at),
        })
    }
}

impl SessionRecord {
    /// The session as callers see it.
    #[must_use]
    pub fn public(&self, provider: &str) -> CheckoutSession {
        let payable = self.status == SessionStatus::Open;
        CheckoutSession {
            id: self.id,
            object: "checkout_session",
            order_id: self.order,
            status: self.status,
            url: self.url.clone().filter(|_| payable),
            amount: self.amount,
            currency: self.amount.currency(),
            capture: self.capture,
            provider: provider.to_owned(),
            provider_session_id: self.provider_session_id.clone(),
            expires_at: self.expires_at,
            created_at: self.created_at,
        }
    }
}

/// A session to be inserted as `creating`.
#[derive(Debug, Clone)]
pub struct NewSessionRow {
    /// Its id.
    pub id: CheckoutSessionId,
    /// Its order.
    pub order: OrderId,
    /// The provider account.
    pub account: AccountId,
    /// What it charges.
    pub amount: Money,
    /// When the money is taken.
    pub capture: Capture,
    /// Where the customer goes after paying.
    pub success_url: String,
    /// Where the customer goes when giving up.
    pub cancel_url: String,
    /// When it stops being payable.
    pub expires_at: Timestamp,
    /// Who caused it.
    pub trace: Trace,
}

/// The states in which a session can still bring money.
pub(super) const LIVE: [&str; 3] = ["creating", "open", "processing"];

impl ShopTx {
    /// The order's session that can still bring money.
    ///
    /// # Errors
    /// The database's.
    pub async fn live_session(&self, order: OrderId) -> Result<Option<SessionRecord>, StoreError> {
        let row = row::Entity::find()
            .filter(row::Column::OrderId.eq(order.to_string()))
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .filter(row::Column::Status.is_in(LIVE))
            .one(self.tx.conn())
            .await?;
        row.map(SessionRecord::try_from).transpose()
    }

    /// Notes that a session that is being created is to be ended once it is known at the provider.
    ///
    /// # Errors
    /// The database's.
    pub async fn request_end(&self, session: CheckoutSessionId) -> Result<(), StoreError> {
        let now = self.tx.clock.now().ms();
        row::Entity::update_many()
            .col_expr(row::Column::EndRequestedAt, Expr::value(now))
            .filter(row::Column::Id.eq(session.to_string()))
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .filter(row::Column::Status.eq(SessionStatus::Creating.as_str()))
            .filter(row::Column::EndRequestedAt.is_null())
            .exec(self.tx.conn())
            .await?;
        Ok(())
    }
}

/// A new session's row.
pub(super) fn row_of(shop: ShopId, new: NewSessionRow, now: Timestamp) -> row::Model {
    row::Model {
        id: new.id.to_string(),
        shop_id: shop.to_string(),
        order_id: new.order.to_string(),
        provider_account_id: new.account.to_string(),
        status: SessionStatus::Creating.to_string(),
        amount_minor: new.amount.minor(),
        currency: new.amount.currency().code().to_owned(),
        capture: new.capture.to_string(),
        success_url: new.success_url,
        cancel_url: new.cancel_url,
        provider_session_id: None,
        url: None,
        expires_at: new.expires_at.ms(),
        end_requested_at: None,
        poll_count: 0,
        next_poll_at: None,
        lease_until: None,
        lease_token: None,
        request_id: new.trace.request_id,
        actor: new.trace.actor,
        created_at: now.ms(),
        updated_at: now.ms(),
    }
}

impl ShopStore<'_> {
    /// A session of this shop.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(
        &self,
        id: CheckoutSessionId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .one(&self.store.reader)
            .await?;
        row.map(SessionRecord::try_from).transpose()
    }
}

/// Any session, for the loops that work for all shops.
pub(super) async fn find<C: ConnectionTrait>(
    connection: &C,
    id: &str,
) -> Result<Option<SessionRecord>, StoreError> {
    let row = row::Entity::find_by_id(id).one(connection).await?;
    row.map(SessionRecord::try_from).transpose()
}

impl super::Store {
    /// Any session, for the loops that work for all shops.
    ///
    /// # Errors
    /// The database's.
    pub async fn any_session(
        &self,
        id: CheckoutSessionId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        find(&self.reader, &id.to_string()).await
    }

    /// The newest session of any shop's order; none for an order without one.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_session(
        &self,
        order: OrderId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row = row::Entity::find()
            .filter(row::Column::OrderId.eq(order.to_string()))
            .order_by_desc(row::Column::Id)
            .one(&self.reader)
            .await?;
        row.map(SessionRecord::try_from).transpose()
    }
}
