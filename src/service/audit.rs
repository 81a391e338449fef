//! The audit log: every action of staff, and every view of personal data, leaves one entry before it is answered.

use serde_json::Value;

use super::{ServiceError, Services};
use crate::clock::Clock;
use crate::domain::audit::Action;
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
    pub async fn record(&self, act: Act) -> Result<(), ServiceError> {
        let entry = &act.entry(&self.clock);
        self.store
            .write(|tx| async move { tx.insert_audit(entry).await })
            .await?;
        Ok(())
    }
}
