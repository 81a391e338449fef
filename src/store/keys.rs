//! API keys: looked up by their public id, checked by the hash of their secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entity::{api_key, shop};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
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
const HOLD: Duration = Duration::from_millis(800);
/// How old one is that is asked for again while it is still known.
const AGED: Duration = Duration::from_millis(300);
/// How long the database may take to say: longer than one waits for a connection. Whoever comes after that asks anew.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
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

/// A key that was looked up.
struct KnownKey {
    key: KeyRecord,
    /// When the database was asked.
    asked: Instant,
}

/// A question that all who ask the same wait for.
type Asked = Shared<BoxFuture<'static, Result<Option<KeyRecord>, Arc<StoreError>>>>;

/// Keys that were looked up a moment ago.
#[derive(Default)]
pub(super) struct KnownKeys(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: HashMap<ApiKeyId, KnownKey>,
    /// Those that the database is being asked for, each with how often a key had been forgotten then.
    asked: HashMap<ApiKeyId, (u64, Asked)>,
    /// How often one was forgotten: what was asked for before may be of before that.
    forgotten: u64,
}

impl KnownKeys {
    /// The key, if it is known, and whether the caller is the one to ask for it again.
    fn get(&self, id: ApiKeyId) -> Option<(KeyRecord, bool)> {
        let known = self.lock();
        let one = known.keys.get(&id)?;
        let age = one.asked.elapsed();
        let ask = age >= AGED && !known.asked.contains_key(&id);
        (age < HOLD).then(|| (one.key.clone(), ask))
    }

    fn forget(&self, id: ApiKeyId) {
        let mut known = self.lock();
        known.keys.remove(&id);
        // What is being read may be of before: whoever comes now asks anew.
        known.asked.remove(&id);
        known.forgotten = known.forgotten.wrapping_add(1);
    }

    /// Keeps what was read, unless a key was forgotten since so many were.
    fn keep(&self, key: &KeyRecord, asked: Instant, forgotten: u64) {
        let mut known = self.lock();
        if known.forgotten != forgotten {
            return;
        }
        if known.keys.len() >= MAX_KNOWN {
            known.keys.retain(|_, one| one.asked.elapsed() < HOLD);
        }
        if known.keys.len() < MAX_KNOWN {
            let key = key.clone();
            known.keys.insert(key.id, KnownKey { key, asked });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next one ask anew, however a question ends. One that was asked after a key was forgotten goes on.
struct AskedFor<'k> {
    keys: &'k KnownKeys,
    id: ApiKeyId,
    forgotten: u64,
}

impl Drop for AskedFor<'_> {
    fn drop(&mut self) {
        let mut known = self.keys.lock();
        if known
            .asked
            .get(&self.id)
            .is_some_and(|(then, _)| *then == self.forgotten)
        {
            known.asked.remove(&self.id);
        }
    }
}

/// The error of one who waited with others.
fn alike(error: &StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(what) => StoreError::Corrupt(what.clone()),
        StoreError::Panicked => StoreError::Panicked,
        other => {
            let source = std::error::Error::source(other);
            StoreError::unavailable(source.map_or_else(|| other.to_string(), ToString::to_string))
        }
    }
}

fn shop_of_key() -> RelationDef {
    api_key::Entity::belongs_to(shop::Entity)
        .from(api_key::Column::ShopId)
        .to(shop::Column::Id)
        .into()
}

impl Store {
    /// The key with this id, revoked or not, as it was less than a second ago: a key that another process revokes works
    /// no longer than that. Nobody waits for a key in use: it is asked for again, once, before that time is over. A crowd
    /// that comes with a key that is not known asks once, too, and fares alike.
    ///
    /// # Errors
    /// The database's.
    pub async fn key(&self, id: ApiKeyId) -> Result<Option<KeyRecord>, StoreError> {
        let Some((known, ask)) = self.known_keys.get(id) else {
            return self.ask_for_key(id).await.map_err(|error| alike(&error));
        };
        if ask {
            // It goes on by itself. Should it fail, whoever comes when the key is not known any more asks again.
            drop(self.ask_for_key(id));
        }
        Ok(Some(known))
    }

    /// Begins to ask for a key, or waits with those who have begun.
    fn ask_for_key(&self, id: ApiKeyId) -> Asked {
        let mut known = self.known_keys.lock();
        if let Some((_, asked)) = known.asked.get(&id) {
            return asked.clone();
        }
        let (store, forgotten) = (self.clone(), known.forgotten);
        let asking = tokio::spawn(async move {
            let keys = &store.known_keys;
            let _asked = AskedFor {
                keys,
                id,
                forgotten,
            };
            let read = tokio::time::timeout(ANSWER_WITHIN, store.read_key(id, forgotten)).await;
            read.unwrap_or_else(|_| Err(StoreError::unavailable("it did not answer in time")))
        });
        let asked: Asked = async move {
            let answer = asking.await.unwrap_or(Err(StoreError::Panicked));
            answer.map_err(Arc::new)
        }
        .boxed()
        .shared();
        known.asked.insert(id, (forgotten, asked.clone()));
        asked
    }

    /// Reads a key, and keeps it unless one was forgotten since so many were.
    async fn read_key(
        &self,
        id: ApiKeyId,
        forgotten: u64,
    ) -> Result<Option<KeyRecord>, StoreError> {
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
        self.known_keys.keep(&key, asked, forgotten);
        Ok(Some(key))
    }

    /// Forgets what is known of a key that was just changed.
    pub fn forget_key(&self, id: ApiKeyId) {
        self.known_keys.forget(id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn a_key() -> KeyRecord {
        let clock = Clock::system();
        KeyRecord {
            id: clock.id(),
            shop: clock.id(),
            shop_name: "A shop".to_owned(),
            mode: Mode::Test,
            kind: KeyKind::Secret,
            scopes: Scopes::all(),
            secret_hash: "0".repeat(64),
            last4: "abcd".to_owned(),
            created_at: clock.now(),
            revoked_at: None,
        }
    }

    /// Knows a key that was asked for a while ago.
    fn known_for(age: Duration) -> (KnownKeys, ApiKeyId) {
        let (known, key) = (KnownKeys::default(), a_key());
        let asked = Instant::now().checked_sub(age);
        known.keep(&key, asked.expect("a machine that runs for long"), 0);
        (known, key.id)
    }

    #[test]
    fn a_key_that_ages_is_still_known_and_one_caller_asks_for_it_again() {
        let (fresh, id) = known_for(Duration::ZERO);
        assert_eq!(fresh.get(id).map(|(_, ask)| ask), Some(false));
        let (aged, id) = known_for(AGED);
        let asks = || aged.get(id).map(|(_, ask)| ask);
        let first = asks();
        let answer = futures::future::ready(Ok(None)).boxed().shared();
        aged.lock().asked.insert(id, (0, answer));
        assert_eq!([first, asks()], [Some(true), Some(false)]);
        let (old, id) = known_for(HOLD);
        assert_eq!(old.get(id), None);
    }

    #[test]
    fn what_was_read_before_a_key_was_forgotten_is_not_kept() {
        let (known, id) = known_for(Duration::ZERO);
        let (key, _) = known.get(id).expect("known");
        let before = known.lock().forgotten;
        known.forget(id);
        known.keep(&key, Instant::now(), before);
        assert_eq!(known.get(id), None);
        let now = known.lock().forgotten;
        known.keep(&key, Instant::now(), now);
        assert!(known.get(id).is_some());
    }

    #[test]
    fn a_question_that_ends_leaves_the_one_asked_after_it() {
        let (keys, id) = known_for(Duration::ZERO);
        let ask = |forgotten| {
            let answer = futures::future::ready(Ok(None)).boxed().shared();
            keys.lock().asked.insert(id, (forgotten, answer));
            AskedFor {
                keys: &keys,
                id,
                forgotten,
            }
        };
        let first = ask(0);
        keys.forget(id);
        assert!(
            !keys.lock().asked.contains_key(&id),
            "whoever comes asks anew"
        );
        let second = ask(1);
        drop(first);
        assert!(keys.lock().asked.contains_key(&id));
        drop(second);
        assert!(!keys.lock().asked.contains_key(&id));
    }
}
