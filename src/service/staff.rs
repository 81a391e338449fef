//! Staff: signing in and out, and the sessions in between.
//!
//! A browser holds a random token; the hash of it is stored. An unknown e-mail address costs as much work as a wrong
//! password. How many passwords are hashed at once is bounded, because each takes memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::audit::{Act, Who};
use super::{ServiceError, Services};
use crate::domain::audit::Action;
use crate::domain::ids::{StaffId, StaffSessionId};
use crate::domain::staff::{USER_AGENT_MAX, check_password, email};
use crate::domain::time::{DAY_MS, MINUTE_MS};
use crate::secrets::{self, password};
use crate::store::StoreError;
use crate::store::staff::NewSession;

pub use crate::store::shops::ShopRecord;
pub use crate::store::staff::{SessionRecord, StaffRecord};

/// How many passwords are hashed at once: 19 MiB each.
const AT_ONCE: usize = 2;
/// How many more may wait for it.
const MAX_WAITING: usize = 32;
/// For how long sessions that are over are kept: so long, an address somebody signed in from counts as theirs.
const KEEP_SESSIONS_MS: i64 = 30 * DAY_MS;

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
        let hash: Option<String> = hash;
        let holds = self.passwords.holds(attempt.password, hash.clone()).await?;
        let mut who = attempt.who;
        who.staff = person.as_ref().map(|person| person.id);
        let begun = match person.zip(hash).filter(|_| holds) {
            // It may be disabled, or the password changed meanwhile.
            Some((person, hash)) => {
                let begun = Begun::new(self, &who, person.id, &attempt.user_agent);
                self.begin(&who, &begun, &hash).await?.then_some(begun)
            }
            None => None,
        };
        if begun.is_none() {
            self.record(Act::new(&who, Action::SignInFailed)).await?;
        }
        Ok(begun.map(|begun| begun.token))
    }

    async fn begin(&self, who: &Who, begun: &Begun, checked: &str) -> Result<bool, ServiceError> {
        let session = &begun.session;
        let act = Act::new(who, Action::SignIn).about("session", session.id);
        let entry = &act.entry(&self.clock);
        let begun = self.store.write(|tx| async move {
            let begun = tx.begin_session(session, checked).await?;
            if begun {
                tx.insert_audit(entry).await?;
            }
            Ok::<_, StoreError>(begun)
        });
        Ok(begun.await?)
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

    /// A person's live sessions, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn sessions_of(&self, staff: StaffId) -> Result<Vec<SessionRecord>, ServiceError> {
        Ok(self.store.sessions(staff).await?)
    }

    /// Whether somebody signed in from an address with an e-mail address lately.
    ///
    /// # Errors
    /// The store's.
    pub async fn signed_in_from(&self, given: &str, address: &str) -> Result<bool, ServiceError> {
        let email = given.trim().to_lowercase();
        Ok(self.store.signed_in_from(&email, address).await?)
    }

    /// Ends one session of a person, or all of them; returns how many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_sessions(
        &self,
        who: &Who,
        staff: StaffId,
        only: Option<StaffSessionId>,
    ) -> Result<u64, ServiceError> {
        let act = match only {
            Some(session) => Act::new(who, Action::SessionEnd).about("session", session),
            None => Act::new(who, Action::SessionEndAll).about("person", staff),
        };
        let entry = &act.entry(&self.clock);
        let ended = self.store.write(|tx| async move {
            let ended = tx.end_sessions(staff, only).await?;
            if ended > 0 {
                tx.insert_audit(entry).await?;
            }
            Ok::<_, StoreError>(ended)
        });
        Ok(ended.await?)
    }

    /// Gives a person the password they chose, after checking the one they have. Every session of theirs ends; the
    /// token of a new one is returned, or none when the present password is wrong.
    ///
    /// # Errors
    /// A new password that is not good enough, too many at once, or the store's.
    pub async fn change_password(
        &self,
        who: &Who,
        session: &Session,
        present: String,
        new: String,
    ) -> Result<Option<String>, ServiceError> {
        let person = &session.person;
        if let Err(why) = check_password(&new, &person.email) {
            return Err(ServiceError::Invalid(vec![("/password".to_owned(), why)]));
        }
        let known = self.store.staff_by_email(&person.email).await?;
        let hash = known.map(|(_, hash)| hash);
        let holds = self.passwords.holds(present, hash.clone()).await?;
        let Some(checked) = hash.filter(|_| holds) else {
            return Ok(None);
        };
        let new = &self.passwords.hash(new).await?;
        let begun = Begun::new(self, who, person.id, &session.record.user_agent);
        let act = Act::new(who, Action::PasswordChange).about("person", person.id);
        let (entry, checked) = (&act.entry(&self.clock), checked.as_str());
        let (staff, next) = (person.id, &begun.session);
        let changed = self.store.write(|tx| async move {
            if !tx.set_password(staff, new, Some(checked)).await? {
                return Ok::<_, StoreError>(false);
            }
            tx.end_sessions(staff, None).await?;
            tx.insert_audit(entry).await?;
            tx.begin_session(next, new).await
        });
        Ok(changed.await?.then_some(begun.token))
    }

    /// Forgets sessions that are over for long.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn forget_sessions(&self) -> Result<u64, ServiceError> {
        let before = self.clock.now().plus_ms(-KEEP_SESSIONS_MS);
        Ok(self.store.forget_sessions(before).await?)
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

/// A session that is about to begin, and its token, which nobody else learns.
struct Begun {
    session: NewSession,
    token: String,
}

impl Begun {
    fn new(services: &Services, who: &Who, staff: StaffId, user_agent: &str) -> Begun {
        let token = secrets::new_session_token();
        Begun {
            session: NewSession {
                id: services.clock.id(),
                staff,
                token_hash: secrets::hash(&token),
                address: who.address.clone().unwrap_or_default(),
                user_agent: short(user_agent),
            },
            token,
        }
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
