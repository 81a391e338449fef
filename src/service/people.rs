//! People of the console: adding them, changing what they may do, and letting them in no more.
//!
//! Whatever changes what somebody may do ends their sessions in the same transaction, so it holds at once in every
//! process. There is always somebody left who manages people. The functions serve the console and the command line.

use std::collections::HashMap;

use super::audit::{Act, Who};
use super::{ServiceError, Services};
use crate::clock::Clock;
use crate::domain::audit::Action;
use crate::domain::ids::{ShopId, StaffId};
use crate::domain::staff::{Role, check_password, email};
use crate::domain::text;
use crate::secrets::password;
use crate::store::staff::{NewStaff, StaffRecord};
use crate::store::{Constraint, Failure, Store, StoreError};

const ADMIN_OF_ALL: &str = "must be every shop for an admin, who could lift any limit";
const LAST_ADMIN: &str = "is the last admin; make somebody else one first";

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
        if self.role == Role::Admin && self.shop.is_some() {
            wrong.push(("/shop".to_owned(), ADMIN_OF_ALL.to_owned()));
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

/// A change of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another role.
    Role(Role),
    /// In no more.
    Disable,
    /// In again.
    Enable,
}

/// Changes a person and ends their sessions; false when they are so already.
///
/// # Errors
/// [`ServiceError::NotFound`], the last admin, or the store's.
pub async fn change(
    store: &Store,
    clock: &Clock,
    who: &Who,
    id: StaffId,
    change: Change,
) -> Result<bool, ServiceError> {
    let action = match change {
        Change::Role(_) => Action::PersonRole,
        Change::Disable => Action::PersonDisable,
        Change::Enable => Action::PersonEnable,
    };
    let mut act = Act::new(who, action).about("person", id);
    if let Change::Role(role) = change {
        act = act.with("role", role.as_str());
    }
    let entry = &act.entry(clock);
    let outcome = store.write(|tx| async move {
        let admins = tx.hold_admins().await?;
        let person = tx.hold_person(id).await?.ok_or(Unchanged::NotFound)?;
        let stays_admin = matches!(change, Change::Enable | Change::Role(Role::Admin));
        if !stays_admin && admins == [id] {
            return Err(Unchanged::LastAdmin);
        }
        if change == Change::Role(Role::Admin) && person.shop.is_some() {
            return Err(Unchanged::AdminOfAll);
        }
        let changed = match change {
            Change::Role(role) => tx.set_role(id, role).await?,
            Change::Disable => tx.set_disabled(id, true).await?,
            Change::Enable => tx.set_disabled(id, false).await?,
        };
        if changed {
            tx.end_sessions(id, None).await?;
            tx.insert_audit(entry).await?;
        }
        Ok(changed)
    });
    Ok(outcome.await?)
}

/// Gives a person a password that was made by chance and ends their sessions.
///
/// # Errors
/// [`ServiceError::NotFound`], or the store's.
pub async fn reset_password(
    store: &Store,
    clock: &Clock,
    who: &Who,
    id: StaffId,
    password_hash: String,
) -> Result<(), ServiceError> {
    let act = Act::new(who, Action::PasswordChange).about("person", id);
    let entry = &act.entry(clock);
    let hash = password_hash.as_str();
    let outcome = store.write(|tx| async move {
        if !tx.set_password(id, hash, None).await? {
            return Err(Unchanged::NotFound);
        }
        tx.end_sessions(id, None).await?;
        tx.insert_audit(entry).await?;
        Ok(())
    });
    Ok(outcome.await?)
}

/// The person with an e-mail address.
///
/// # Errors
/// [`ServiceError::NotFound`], or the store's.
pub async fn find_person(store: &Store, given: &str) -> Result<StaffRecord, ServiceError> {
    let email = given.trim().to_lowercase();
    let known = store.staff_by_email(&email).await?;
    known
        .map(|(person, _)| person)
        .ok_or(ServiceError::NotFound)
}

/// Why a person was left as they are.
#[derive(Debug)]
enum Unchanged {
    NotFound,
    LastAdmin,
    AdminOfAll,
    Store(StoreError),
}

impl From<StoreError> for Unchanged {
    fn from(error: StoreError) -> Self {
        Unchanged::Store(error)
    }
}

impl Failure for Unchanged {
    fn as_store(&self) -> Option<&StoreError> {
        match self {
            Unchanged::Store(error) => Some(error),
            Unchanged::NotFound | Unchanged::LastAdmin | Unchanged::AdminOfAll => None,
        }
    }
}

impl From<Unchanged> for ServiceError {
    fn from(why: Unchanged) -> Self {
        let invalid = |field: &str, why: &str| {
            ServiceError::Invalid(vec![(field.to_owned(), why.to_owned())])
        };
        match why {
            Unchanged::NotFound => ServiceError::NotFound,
            Unchanged::LastAdmin => invalid("/person", LAST_ADMIN),
            Unchanged::AdminOfAll => invalid("/shop", ADMIN_OF_ALL),
            Unchanged::Store(error) => error.into(),
        }
    }
}

impl Services {
    /// Everybody, by e-mail address, and how many live sessions they have.
    ///
    /// # Errors
    /// The store's.
    pub async fn people(&self) -> Result<(Vec<StaffRecord>, HashMap<StaffId, u64>), ServiceError> {
        Ok((
            self.store.staff().await?,
            self.store.session_counts().await?,
        ))
    }

    /// One person.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], or the store's.
    pub async fn person(&self, id: StaffId) -> Result<StaffRecord, ServiceError> {
        let person = self.store.staff_by_id(id).await?;
        person.ok_or(ServiceError::NotFound)
    }

    /// Adds a person.
    ///
    /// # Errors
    /// What is wrong with the fields, or the store's.
    pub async fn add_person(&self, who: &Who, person: NewPerson) -> Result<StaffId, ServiceError> {
        let person = person.checked()?;
        let hash = self.passwords.hash(person.password.clone()).await?;
        add(&self.store, &self.clock, who, person, hash).await
    }

    /// As [`change`].
    ///
    /// # Errors
    /// As [`change`].
    pub async fn change_person(
        &self,
        who: &Who,
        id: StaffId,
        what: Change,
    ) -> Result<bool, ServiceError> {
        change(&self.store, &self.clock, who, id, what).await
    }

    /// Gives a person a password that is made by chance, and returns it: it is shown once.
    ///
    /// # Errors
    /// As [`reset_password`].
    pub async fn reset_password(&self, who: &Who, id: StaffId) -> Result<String, ServiceError> {
        let new = password::generate();
        let hash = self.passwords.hash(new.clone()).await?;
        reset_password(&self.store, &self.clock, who, id, hash).await?;
        Ok(new)
    }

    /// A password that is made by chance.
    #[must_use]
    pub fn generated_password(&self) -> String {
        password::generate()
    }
}
