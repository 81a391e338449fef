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
/// How long one waits for the database to say: longer than for a connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// How old a question may be that others wait for, too: its answer may be of when it was asked, and where a connection
/// fell silent there is none.
const JOINED_WITHIN: Duration = Duration::from_millis(500);
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

/// One of those, and since when: its answer may be of that moment.
struct Question {
    number: u64,
    since: Instant,
    answer: Asked,
}

/// Keys that were looked up a moment ago.
#[derive(Default)]
pub(super) struct KnownKeys(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: HashMap<ApiKeyId, KnownKey>,
    /// What the database was asked last for a key, until it has answered.
    asked: HashMap<ApiKeyId, Question>,
    /// How many questions there were.
    questions: u64,
    /// How often one was forgotten: what was asked for before may be of before that.
    forgotten: u64,
}

impl Known {
    /// The answer to a question that was asked a moment ago.
    fn joined(&self, id: ApiKeyId) -> Option<Asked> {
        let last = self.asked.get(&id)?;
        (last.since.elapsed() < JOINED_WITHIN).then(|| last.answer.clone())
    }

    fn next_question(&mut self) -> u64 {
        self.questions = self.questions.wrapping_add(1);
        self.questions
    }

    /// Has a question under way that others may wait for.
    fn ask(&mut self, id: ApiKeyId, number: u64, answer: Asked) {
        let since = Instant::now();
        let question = Question {
            number,
            since,
            answer,
        };
        self.asked.insert(id, question);
    }
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

    /// Keeps what was read, unless a key was forgotten since so many were, or what is known is newer.
    fn keep(&self, key: &KeyRecord, asked: Instant, forgotten: u64) {
        let mut known = self.lock();
        let newer = known.keys.get(&key.id).is_some_and(|one| one.asked > asked);
        if known.forgotten != forgotten || newer {
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

/// Lets the next one ask anew, however a question ends. One that was asked later goes on.
struct AskedFor<'k> {
    keys: &'k KnownKeys,
    id: ApiKeyId,
    number: u64,
}

impl Drop for AskedFor<'_> {
    fn drop(&mut self) {
        let mut known = self.keys.lock();
        if known
            .asked
            .get(&self.id)
            .is_some_and(|last| last.number == self.number)
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

    /// Begins to ask for a key, or waits with those who have begun a moment ago.
    fn ask_for_key(&self, id: ApiKeyId) -> Asked {
        let mut known = self.known_keys.lock();
        if let Some(answer) = known.joined(id) {
            return answer;
        }
        let (store, forgotten, number) = (self.clone(), known.forgotten, known.next_question());
        let asking = tokio::spawn(async move {
            let keys = &store.known_keys;
            let _asked = AskedFor { keys, id, number };
            store.read_key(id, forgotten).await
        });
        // The waiting is given up, not the reading: a query that is dropped leaves its connection in the middle of it.
        let answer: Asked = async move {
            let answer = match tokio::time::timeout(ANSWER_WITHIN, asking).await {
                Ok(answer) => answer.unwrap_or(Err(StoreError::Panicked)),
                Err(_) => Err(StoreError::unavailable("it did not answer in time")),
            };
            answer.map_err(Arc::new)
        }
        .boxed()
        .shared();
        known.ask(id, number, answer.clone());
        answer
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

    fn ask(keys: &KnownKeys, id: ApiKeyId) -> AskedFor<'_> {
        let answer = futures::future::ready(Ok(None)).boxed().shared();
        let mut known = keys.lock();
        let number = known.next_question();
        known.ask(id, number, answer);
        AskedFor { keys, id, number }
    }

    #[test]
    fn a_key_that_ages_is_still_known_and_one_caller_asks_for_it_again() {
        let (fresh, id) = known_for(Duration::ZERO);
        assert_eq!(fresh.get(id).map(|(_, ask)| ask), Some(false));
        let (aged, id) = known_for(AGED);
        let asks = || aged.get(id).map(|(_, ask)| ask);
        let first = asks();
        let _asked = ask(&aged, id);
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
        let first = ask(&keys, id);
        keys.forget(id);
        assert!(
            !keys.lock().asked.contains_key(&id),
            "whoever comes asks anew"
        );
        let second = ask(&keys, id);
        drop(first);
        assert!(keys.lock().asked.contains_key(&id));
        drop(second);
        assert!(!keys.lock().asked.contains_key(&id));
    }

    #[test]
    fn nobody_waits_for_an_answer_that_takes_long() {
        let (keys, id) = known_for(Duration::ZERO);
        let first = ask(&keys, id);
        assert!(keys.lock().joined(id).is_some());
        let mut known = keys.lock();
        let question = known.asked.get_mut(&id).expect("it is asked");
        let since = question.since.checked_sub(JOINED_WITHIN);
        question.since = since.expect("a machine that runs for long");
        assert!(known.joined(id).is_none());
        drop(known);
        let second = ask(&keys, id);
        drop(first);
        assert!(keys.lock().joined(id).is_some(), "it goes on");
        drop(second);
    }

    #[test]
    fn an_answer_that_took_long_does_not_take_the_place_of_a_newer_one() {
        let (keys, id) = known_for(Duration::ZERO);
        let (newer, _) = keys.get(id).expect("known");
        let before = Instant::now().checked_sub(AGED);
        let older = KeyRecord {
            last4: "0000".to_owned(),
            ..newer.clone()
        };
        keys.keep(&older, before.expect("a machine that runs for long"), 0);
        assert_eq!(keys.get(id).map(|(key, _)| key), Some(newer));
    }
}
