//! The audit log: every action of staff, and every view of personal data, leaves one entry before it is answered.
//!
//! The entry of an action stands before the action begins, so that nothing is done that is not on record, however the
//! process ends. What came of it is a second row that only says so: an entry can say neither that it was done before
//! it was, nor be changed afterwards. An action without an outcome was under way when the process ended, or could not
//! be told about: whoever reads the log looks at the object then.

use std::borrow::Cow;

use serde_json::Value;

use super::error::chain;
use super::files::{ReplayCount, Retried};
use super::replay::{ReplayOutcome, Replayed};
use super::{Answer, ServiceError, Services};
use crate::clock::Clock;
use crate::domain::audit::{Action, Outcome};
use crate::domain::ids::{AuditId, ShopId, StaffId};
use crate::domain::page::Page;
use crate::store::audit::NewAudit;

pub use crate::store::audit::{AuditFilter, AuditRecord};

/// Who acts, from where, in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The member of staff, where known.
    pub staff: Option<StaffId>,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
}

/// What was seen or done.
#[derive(Debug, Clone)]
pub struct Act {
    who: Who,
    shop: Option<ShopId>,
    action: Action,
    object: Option<(&'static str, String)>,
    detail: Value,
}

impl Act {
    /// An act, so far about nothing in particular.
    #[must_use]
    pub fn new(who: &Who, action: Action) -> Act {
        Act {
            who: who.clone(),
            shop: None,
            action,
            object: None,
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    /// In a shop.
    #[must_use]
    pub fn in_shop(mut self, shop: ShopId) -> Act {
        self.shop = Some(shop);
        self
    }

    /// About a thing: its kind, such as `order`, and its id.
    #[must_use]
    pub fn about(mut self, kind: &'static str, id: impl ToString) -> Act {
        self.object = Some((kind, id.to_string()));
        self
    }

    /// With a further fact, without personal data of customers.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Act {
        if let Value::Object(facts) = &mut self.detail {
            facts.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The entry to be appended.
    pub(super) fn entry(self, clock: &Clock) -> NewAudit {
        let staff = self.who.staff.map(|staff| staff.to_string());
        let actor = staff.unwrap_or_else(|| match self.who.request_id {
            Some(_) => "nobody".to_owned(),
            None => "cli".to_owned(),
        });
        NewAudit {
            id: clock.id(),
            shop: self.shop,
            staff: self.who.staff,
            actor,
            action: self.action,
            object: self.object,
            address: self.who.address,
            request_id: self.who.request_id,
            detail: self.detail,
        }
    }
}

impl Who {
    /// Somebody at the command line of the machine.
    #[must_use]
    pub fn cli() -> Who {
        Who {
            staff: None,
            address: None,
            request_id: None,
        }
    }
}

impl Services {
    /// A page of the log, newest first, and whether there is more in its direction.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        page: &Page<AuditId>,
    ) -> Result<(Vec<AuditRecord>, bool), ServiceError> {
        Ok(self.store.audit(filter, page).await?)
    }

    /// Appends an act to the log. What cannot be recorded must not be shown or done.
    ///
    /// # Errors
    /// The store's.
    pub async fn record(&self, act: Act) -> Result<AuditId, ServiceError> {
        let entry = &act.entry(&self.clock);
        self.store
            .write(|tx| async move { tx.insert_audit(entry).await })
            .await?;
        Ok(entry.id)
    }

    /// Does what is put on record before, and what came of it after.
    ///
    /// # Errors
    /// The work's, or the store's when it could not be put on record; nothing was done then.
    pub async fn on_record<T: Concluded>(
        &self,
        act: Act,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let entry = self.record(act).await?;
        let done = work.await;
        let (outcome, code) = match &done {
            Ok(done) => done.conclusion(),
            Err(error) => (failure(error), Some(error.code())),
        };
        let code = code.as_deref();
        let told = self
            .store
            .write(|tx| async move { tx.insert_outcome(entry, outcome, code).await });
        // It is done all the same: whoever did it is told so, and the entry stays without an outcome.
        if let Err(error) = told.await {
            let error = chain(&error);
            tracing::error!(audit.id = %entry, error, "the outcome of `{entry}` was not recorded");
        }
        done
    }
}

/// Whether an error says that nothing was done.
fn failure(error: &ServiceError) -> Outcome {
    match error {
        ServiceError::Store(_) | ServiceError::Task => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

/// What says by itself what came of something that was done.
pub trait Concluded {
    /// What came of it, and which one of its kind.
    fn conclusion(&self) -> (Outcome, Option<Cow<'static, str>>);
}

impl Concluded for () {
    fn conclusion(&self) -> (Outcome, Option<Cow<'static, str>>) {
        (Outcome::Done, None)
    }
}

impl Concluded for Answer {
    fn conclusion(&self) -> (Outcome, Option<Cow<'static, str>>) {
        let outcome = match self.status {
            _ if self.replayed => Outcome::Repeated,
            202 => Outcome::Unknown,
            _ => Outcome::Done,
        };
        (outcome, None)
    }
}

impl Concluded for Retried {
    fn conclusion(&self) -> (Outcome, Option<Cow<'static, str>>) {
        let outcome = match self {
            Retried::Unknown => Outcome::Unknown,
            Retried::NotDue | Retried::Paused => Outcome::Refused,
            Retried::Known => Outcome::Done,
        };
        (outcome, Some(self.as_str().into()))
    }
}

impl Concluded for Replayed {
    fn conclusion(&self) -> (Outcome, Option<Cow<'static, str>>) {
        let outcome = match self.outcome {
            ReplayOutcome::Failed => Outcome::Failed,
            _ => Outcome::Done,
        };
        (outcome, Some(self.outcome.as_str().into()))
    }
}

impl Concluded for ReplayCount {
    fn conclusion(&self) -> (Outcome, Option<Cow<'static, str>>) {
        let told = format!(
            "applied {}, unchanged {}, quarantined {}, failed {}",
            self.applied, self.unchanged, self.quarantined, self.failed
        );
        (Outcome::Done, Some(told.into()))
    }
}
