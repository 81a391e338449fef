//! Idempotency keys: the row that makes a repeated request harmless.
//!
//! A key is inserted in the transaction of the intent it guards, so it exists exactly when the intent does. It
//! is bound while the answer is open and final once the answer is stored with it.

use std::borrow::Cow;

use entity::idempotency_key as row;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::bulk::{self, Change};
use super::rows::parse;
use super::{ShopStore, ShopTx, StoreError};
use crate::clock::Clock;
use crate::domain::access::KeyKind;
use crate::domain::ids::{IdempotencyId, ShopId};

/// A caller's key, where it was used and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// Which kind of API key came with it.
    pub kind: KeyKind,
    /// Which route, by its template.
    pub route: Cow<'static, str>,
    /// The caller's key.
    pub key: String,
    /// SHA-256 over the normalised request with its path, in hex.
    pub fingerprint: String,
}

/// A key that was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its row.
    pub id: IdempotencyId,
    /// What it was used for.
    pub fingerprint: String,
    /// The object the first request made or found.
    pub resource_id: String,
    /// The answer, once it is known.
    pub answer: Option<StoredAnswer>,
}

/// An answer as it was first given; derived secrets in it are null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
}

impl TryFrom<row::Model> for KnownKey {
    type Error = StoreError;
    fn try_from(row: row::Model) -> Result<Self, StoreError> {
        let answer = match (row.answer_status, row.answer_body) {
            (Some(status), Some(body)) => {
                let status = u16::try_from(status);
                let status = status.map_err(|_| StoreError::Corrupt("answer_status".to_owned()))?;
                Some(StoredAnswer { status, body })
            }
            _ => None,
        };
        Ok(KnownKey {
            id: parse("idempotency_key.id", &row.id)?,
            fingerprint: row.fingerprint,
            resource_id: row.resource_id,
            answer,
        })
    }
}

/// A key's row, bound to a resource or final with its answer.
pub(super) fn key_row(
    clock: &Clock,
    shop: ShopId,
    claim: &KeyClaim,
    resource_id: &str,
    answer: Option<&StoredAnswer>,
) -> row::Model {
    let status = if answer.is_some() { "final" } else { "bound" };
    row::Model {
        id: clock.id::<IdempotencyId>().to_string(),
        shop_id: shop.to_string(),
        key_kind: claim.kind.to_string(),
        route: claim.route.clone().into_owned(),
        key: claim.key.clone(),
        fingerprint: claim.fingerprint.clone(),
        resource_id: resource_id.to_owned(),
        status: status.to_owned(),
        answer_status: answer.map(|answer| i64::from(answer.status)),
        answer_body: answer.map(|answer| answer.body.clone()),
        created_at: clock.now().ms(),
    }
}

/// How a bound key's row is changed by its answer; a final one keeps its first answer.
pub(super) const ANSWERED: Change<'_, row::Column> = Change {
    found_by: &[
        row::Column::Key,
        row::Column::ShopId,
        row::Column::KeyKind,
        row::Column::Route,
        row::Column::Status,
        row::Column::Fingerprint,
    ],
    set: &[row::Column::AnswerStatus, row::Column::AnswerBody],
    also: "status = 'final'",
};

/// A bound key with its answer, to be written as [`ANSWERED`].
pub(super) fn answered_row(
    clock: &Clock,
    shop: ShopId,
    claim: &KeyClaim,
    answer: &StoredAnswer,
) -> row::Model {
    row::Model {
        answer_status: Some(i64::from(answer.status)),
        answer_body: Some(answer.body.clone()),
        ..key_row(clock, shop, claim, "", None)
    }
}

impl ShopTx {
    /// Inserts a key, bound to a resource or final with its answer; false when it was used before.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_key(
        &self,
        claim: &KeyClaim,
        resource_id: &str,
        answer: Option<&StoredAnswer>,
    ) -> Result<bool, StoreError> {
        let row = key_row(&self.tx.clock, self.shop, claim, resource_id, answer);
        let inserted = row::Entity::insert(row::ActiveModel::from(row))
            .on_conflict(
                OnConflict::columns([
                    row::Column::ShopId,
                    row::Column::KeyKind,
                    row::Column::Route,
                    row::Column::Key,
                ])
                .do_nothing()
                .to_owned(),
            )
            .exec_without_returning(self.tx.conn())
            .await?;
        Ok(inserted == 1)
    }

    /// A key that was used before; under the lock of what it is for nobody uses it meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_key(&self, claim: &KeyClaim) -> Result<Option<KnownKey>, StoreError> {
        known(self.tx.conn(), self.shop, claim).await
    }

    /// Stores the answer of a bound key; a final one keeps its first answer.
    ///
    /// # Errors
    /// The database's.
    pub async fn finish_key(
        &self,
        claim: &KeyClaim,
        answer: &StoredAnswer,
    ) -> Result<(), StoreError> {
        let row = answered_row(&self.tx.clock, self.shop, claim, answer);
        bulk::update::<row::Entity>(&self.tx, &[row], ANSWERED).await
    }
}

impl ShopStore<'_> {
    /// A key that was used before.
    ///
    /// # Errors
    /// The database's.
    pub async fn known_key(&self, claim: &KeyClaim) -> Result<Option<KnownKey>, StoreError> {
        known(&self.store.reader, self.shop, claim).await
    }
}

async fn known<C: ConnectionTrait>(
    connection: &C,
    shop: ShopId,
    claim: &KeyClaim,
) -> Result<Option<KnownKey>, StoreError> {
    let row = row::Entity::find()
        .filter(row::Column::ShopId.eq(shop.to_string()))
        .filter(row::Column::KeyKind.eq(claim.kind.as_str()))
        .filter(row::Column::Route.eq(claim.route.as_ref()))
        .filter(row::Column::Key.eq(&claim.key))
        .one(connection)
        .await?;
    row.map(KnownKey::try_from).transpose()
}

impl super::Store {
    /// Forgets keys older than `before_ms`; returns how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_keys(&self, before_ms: i64) -> Result<u64, StoreError> {
        self.write(|tx| async move {
            let gone = row::Entity::delete_many()
                .filter(row::Column::CreatedAt.lt(before_ms))
                .exec(tx.conn())
                .await?;
            Ok::<_, StoreError>(gone.rows_affected)
        })
        .await
    }
}
