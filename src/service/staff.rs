//! Staff: adding people, signing in and out, and the sessions in between.
//!
//! A browser holds a random token; the hash of it is stored. An unknown e-mail address costs as much work as a wrong
//! password. How many passwords are hashed at once is bounded, because each takes memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::audit::{Act, Who};
use super::{ServiceError, Services};
use crate::clock::Clock;
use crate::domain::audit::Action;
use crate::domain::ids::{ShopId, StaffId};
use crate::domain::staff::{Role, USER_AGENT_MAX, check_password, email};
use crate::domain::text;
use crate::domain::time::MINUTE_MS;
use crate::secrets::{self, password};
use crate::store::staff::{NewSession, NewStaff};
use crate::store::{Constraint, Store, StoreError};

pub use crate::store::shops::ShopRecord;
pub use crate::store::staff::{SessionRecord, StaffRecord};

/// How many passwords are hashed at once: 19 MiB each.
const AT_ONCE: usize = 2;
/// How many more may wait for it.
const MAX_WAITING: usize = 32;

/// Hashes passwords, few at a time.
pub struct Passwords {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    hashed: AtomicU64,
}

impl Default for Passwords {
    fn default() -> Self {
        Passwords {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
            hashed: AtomicU64::new(0),
        }
    }
}

/// One who waits for a turn, until dropped.
struct Waiting<'p>(&'p AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// How often a password was hashed so far.
    #[must_use]
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`ServiceError::Throttled`] when too many wait.
    pub async fn hash(&self, password: String) -> Result<String, ServiceError> {
        self.run(move || password::hash(&password)).await
    }

    /// Whether a password is the one of a PHC string; without one it takes as long and is not.
    ///
    /// # Errors
    /// [`ServiceError::Throttled`] when too many wait.
    pub async fn holds(
        &self,
        password: String,
        known: Option<String>,
    ) -> Result<bool, ServiceError> {
        self.run(move || password::holds(&password, known.as_deref()))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if waiting >= MAX_WAITING {
            return Err(ServiceError::Throttled {
                name: "sign_in",
                limit: u32::try_from(MAX_WAITING).unwrap_or(u32::MAX),
                window_s: 1,
                retry_after_s: 2,
            });
        }
        let turn = self.permits.clone().acquire_owned().await;
        let turn = turn.map_err(|_| ServiceError::Task)?;
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, also when nobody waits for it any more.
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| ServiceError::Task)
    }
}

/// A person to be added.
#[derive(Clone)]
pub struct NewPerson {
    /// Their e-mail address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The only shop they may see.
    pub shop: Option<ShopId>,
    /// Their password.
    pub password: String,
}

impl NewPerson {
    /// Everything that is wrong with it, by field.
    fn checked(mut self) -> Result<NewPerson, ServiceError> {
        let mut wrong = Vec::new();
        match email(&self.email) {
            Ok(email) => self.email = email,
            Err(why) => wrong.push(("/email".to_owned(), why)),
        }
        self.name = self.name.trim().to_owned();
        if let Err(why) = text::plain(&self.name, 200) {
            wrong.push(("/name".to_owned(), why));
        }
        if let Err(why) = check_password(&self.password, &self.email) {
            wrong.push(("/password".to_owned(), why));
        }
        match wrong.is_empty() {
            true => Ok(self),
            false => Err(ServiceError::Invalid(wrong)),
        }
    }
}

/// Adds a person whose password was hashed.
///
/// # Errors
/// An e-mail address that somebody has, or the store's.
async fn add(
    store: &Store,
    clock: &Clock,
    who: &Who,
    person: NewPerson,
    password_hash: String,
) -> Result<StaffId, ServiceError> {
    let new = &NewStaff {
        id: clock.id(),
        email: person.email,
        name: person.name,
        role: person.role,
        shop: person.shop,
        password_hash,
    };
    let act = Act::new(who, Action::PersonCreate)
        .about("person", new.id)
        .with("role", new.role.as_str());
    let entry = &act.entry(clock);
    let added = store
        .write(|tx| async move {
            tx.insert_staff(new).await?;
            tx.insert_audit(entry).await
        })
        .await;
    match added {
        Ok(()) => Ok(new.id),
        Err(StoreError::Conflict(Constraint::StaffEmail)) => Err(ServiceError::Invalid(vec![(
            "/email".to_owned(),
            "belongs to somebody already".to_owned(),
        )])),
        Err(error) => Err(error.into()),
    }
}

/// Adds a person, from the command line.
///
/// # Errors
/// What is wrong with the fields, or the store's.
pub async fn create_person(
    store: &Store,
    clock: &Clock,
    person: NewPerson,
) -> Result<StaffId, ServiceError> {
    let person = person.checked()?;
    let hash = password::hash(&person.password);
    add(store, clock, &Who::cli(), person, hash).await
}

/// Somebody's try to sign in.
pub struct SignIn {
    /// The e-mail address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// From where, in which request.
    pub who: Who,
}

/// Who is signed in, and with which session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The person.
    pub person: StaffRecord,
    /// The session.
    pub record: SessionRecord,
    /// What forms of this session carry.
    pub form_token: String,
}

impl Services {
    /// Checks an e-mail address and a password and begins a session; its token, or none when they are not good.
    ///
    /// # Errors
    /// Too many at once, or the store's.
    pub async fn sign_in(&self, attempt: SignIn) -> Result<Option<String>, ServiceError> {
        let known = match email(&attempt.email) {
            Ok(email) => self.store.staff_by_email(&email).await?,
            Err(_) => None,
        };
        let (person, hash) = known.unzip();
        let holds = self.passwords.holds(attempt.password, hash).await?;
        let mut who = attempt.who;
        who.staff = person.as_ref().map(|person| person.id);
        let Some(person) = person.filter(|_| holds) else {
            self.record(Act::new(&who, Action::SignInFailed)).await?;
            return Ok(None);
        };
        let token = secrets::new_session_token();
        let session = &NewSession {
            id: self.clock.id(),
            staff: person.id,
            token_hash: secrets::hash(&token),
            address: who.address.clone().unwrap_or_default(),
            user_agent: short(&attempt.user_agent),
        };
        let act = Act::new(&who, Action::SignIn).about("session", session.id);
        let entry = &act.entry(&self.clock);
        let begun = self
            .store
            .write(|tx| async move {
                let begun = tx
                    .begin_session(session, person.password_changed_at)
                    .await?;
                if begun {
                    tx.insert_audit(entry).await?;
                }
                Ok::<_, StoreError>(begun)
            })
            .await?;
        if !begun {
            // Disabled, or the password was changed meanwhile.
            self.record(Act::new(&who, Action::SignInFailed)).await?;
            return Ok(None);
        }
        Ok(Some(token))
    }

    /// The live session of a token.
    ///
    /// # Errors
    /// The store's.
    pub async fn session(&self, token: &str) -> Result<Option<Session>, ServiceError> {
        let Some((record, person)) = self.store.session(&secrets::hash(token)).await? else {
            return Ok(None);
        };
        if self.clock.now().since(record.last_seen_at) >= MINUTE_MS {
            let id = record.id;
            self.store
                .write(|tx| async move { tx.see_session(id).await })
                .await?;
        }
        Ok(Some(Session {
            person,
            record,
            form_token: secrets::form_token(token),
        }))
    }

    /// Whether a form carries its session's token.
    #[must_use]
    pub fn form_token_holds(&self, session: &Session, given: &str) -> bool {
        secrets::same_hash(&session.form_token, given)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store's.
    pub async fn sign_out(&self, who: &Who, session: &Session) -> Result<(), ServiceError> {
        let (staff, id) = (session.person.id, session.record.id);
        let act = Act::new(who, Action::SignOut).about("session", id);
        let entry = &act.entry(&self.clock);
        self.store
            .write(|tx| async move {
                if tx.end_sessions(staff, Some(id)).await? > 0 {
                    tx.insert_audit(entry).await?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(())
    }

    /// The shops a person may see, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn shops_of(&self, person: &StaffRecord) -> Result<Vec<ShopRecord>, ServiceError> {
        let mut shops = self.store.shops().await?;
        shops.retain(|shop| person.shop.is_none_or(|only| only == shop.id));
        Ok(shops)
    }
}

/// A browser's name of itself, cut to what is kept and without what is no text.
fn short(user_agent: &str) -> String {
    user_agent
        .chars()
        .filter(|c| !c.is_control())
        .take(USER_AGENT_MAX)
        .collect()
}
