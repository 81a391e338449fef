//! API keys: looked up by their public id, checked by the hash of their secret.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entity::{api_key, shop};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationDef,
};

use super::rows::parse;
use super::{Store, StoreError, Tx};
use crate::domain::access::{KeyKind, Mode, Scopes};
use crate::domain::ids::{ApiKeyId, ShopId};
use crate::domain::time::Timestamp;

/// For how long a key that was looked up is known: a revoked one must stop working within a second everywhere.
const HOLD: Duration = Duration::from_millis(500);
/// The most keys that are known.
const MAX_KNOWN: usize = 10_000;

/// A key as it is stored, with its shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key's id; public, part of its text.
    pub id: ApiKeyId,
    /// Its shop.
    pub shop: ShopId,
    /// The shop's name.
    pub shop_name: String,
    /// The shop's mode.
    pub mode: Mode,
    /// What kind of key.
    pub kind: KeyKind,
    /// Its rights.
    pub scopes: Scopes,
    /// SHA-256 of the secret part, in hex.
    pub secret_hash: String,
    /// The last four characters, to recognise it by.
    pub last4: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its shop.
    pub shop: ShopId,
    /// What kind of key.
    pub kind: KeyKind,
    /// Its rights.
    pub scopes: Scopes,
    /// SHA-256 of the secret part, in hex.
    pub secret_hash: String,
    /// The last four characters.
    pub last4: String,
}

fn record(row: api_key::Model, shop: &shop::Model) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        id: parse("api_key.id", &row.id)?,
        shop: parse("api_key.shop_id", &row.shop_id)?,
        shop_name: shop.name.clone(),
        mode: parse("shop.mode", &shop.mode)?,
        kind: parse("api_key.kind", &row.kind)?,
        scopes: parse("api_key.scopes", &row.scopes)?,
        secret_hash: row.secret_hash,
        last4: row.last4,
        created_at: Timestamp::from_ms(row.created_at),
        revoked_at: row.revoked_at.map(Timestamp::from_ms),
    })
}

/// Keys that were looked up a moment ago.
#[derive(Default)]
pub(super) struct KnownKeys(Mutex<HashMap<ApiKeyId, (KeyRecord, Instant)>>);

impl KnownKeys {
    fn get(&self, id: ApiKeyId) -> Option<KeyRecord> {
        let known = self.lock();
        let (key, asked) = known.get(&id)?;
        (asked.elapsed() < HOLD).then(|| key.clone())
    }

    fn keep(&self, key: &KeyRecord, asked: Instant) {
        let mut known = self.lock();
        if known.len() >= MAX_KNOWN {
            known.retain(|_, (_, asked)| asked.elapsed() < HOLD);
        }
        if known.len() < MAX_KNOWN {
            known.insert(key.id, (key.clone(), asked));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, (KeyRecord, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shop_of_key() -> RelationDef {
    api_key::Entity::belongs_to(shop::Entity)
        .from(api_key::Column::ShopId)
        .to(shop::Column::Id)
        .into()
}

impl Store {
    /// The key with this id, revoked or not, as it was at most half a second ago: a key that another process
    /// revokes works no longer than that.
    ///
    /// # Errors
    /// The database's.
    pub async fn key(&self, id: ApiKeyId) -> Result<Option<KeyRecord>, StoreError> {
        if let Some(known) = self.known_keys.get(id) {
            return Ok(Some(known));
        }
        let asked = Instant::now();
        let found = api_key::Entity::find_by_id(id.to_string())
            .join(JoinType::InnerJoin, shop_of_key())
            .select_also(shop::Entity)
            .one(&self.reader)
            .await?;
        let Some((row, shop)) = found else {
            return Ok(None);
        };
        let shop = shop.ok_or_else(|| StoreError::Corrupt("a key without its shop".to_owned()))?;
        let key = record(row, &shop)?;
        self.known_keys.keep(&key, asked);
        Ok(Some(key))
    }

    /// Forgets what is known of a key that was just changed.
    pub fn forget_key(&self, id: ApiKeyId) {
        self.known_keys.lock().remove(&id);
    }

    /// Every key, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let shops = shop::Entity::find().all(&self.reader).await?;
        let rows = api_key::Entity::find()
            .order_by_desc(api_key::Column::Id)
            .all(&self.reader)
            .await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let shop = shops.iter().find(|shop| shop.id == row.shop_id);
            let shop =
                shop.ok_or_else(|| StoreError::Corrupt("a key without its shop".to_owned()))?;
            keys.push(record(row, shop)?);
        }
        Ok(keys)
    }
}

impl Tx {
    /// Inserts a key.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_key(&self, key: &NewKey) -> Result<(), StoreError> {
        let row = api_key::ActiveModel {
            id: Set(key.id.to_string()),
            shop_id: Set(key.shop.to_string()),
            kind: Set(key.kind.to_string()),
            scopes: Set(key.scopes.to_string()),
            secret_hash: Set(key.secret_hash.clone()),
            last4: Set(key.last4.clone()),
            created_at: Set(self.clock.now().ms()),
            revoked_at: Set(None),
        };
        api_key::Entity::insert(row)
            .exec_without_returning(self.conn())
            .await?;
        Ok(())
    }

    /// Revokes a key; false when there is no such key. A second time changes nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke_key(&self, id: ApiKeyId) -> Result<bool, StoreError> {
        let now = self.clock.now().ms();
        let revoked = api_key::Entity::update_many()
            .col_expr(api_key::Column::RevokedAt, Expr::value(now))
            .filter(api_key::Column::Id.eq(id.to_string()))
            .filter(api_key::Column::RevokedAt.is_null())
            .exec(self.conn())
            .await?;
        if revoked.rows_affected == 1 {
            return Ok(true);
        }
        let known = api_key::Entity::find_by_id(id.to_string())
            .one(self.conn())
            .await?;
        Ok(known.is_some())
    }
}
