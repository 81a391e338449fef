//! The audit log. It only grows: a trigger refuses everything else.

use std::collections::HashMap;

use entity::{audit_entry, audit_outcome};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::paging::page_of;
use super::rows::{json, parse, parse_opt, to_json};
use super::{Store, StoreError, Tx};
use crate::domain::audit::{Action, Outcome};
use crate::domain::ids::{AuditId, Id, ShopId, StaffId};
use crate::domain::page::Page;
use crate::domain::time::Timestamp;

/// What a member of staff saw or did, to be stored.
#[derive(Debug, Clone)]
pub struct NewAudit {
    /// Its id.
    pub id: AuditId,
    /// The shop, where it is about one.
    pub shop: Option<ShopId>,
    /// The member of staff, where known.
    pub staff: Option<StaffId>,
    /// Who: a staff id, `cli`, or `nobody` before anybody is known.
    pub actor: String,
    /// What.
    pub action: Action,
    /// The kind and the id of the thing it was about.
    pub object: Option<(&'static str, String)>,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Further facts, without personal data.
    pub detail: serde_json::Value,
}

/// An entry as it is stored. The action is text: a newer program may know more of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its id.
    pub id: AuditId,
    /// The shop, where it is about one.
    pub shop: Option<ShopId>,
    /// The member of staff, where known.
    pub staff: Option<StaffId>,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// The kind and the id of the thing it was about.
    pub object: Option<(String, String)>,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Further facts.
    pub detail: serde_json::Value,
    /// When.
    pub at: Timestamp,
    /// What came of it and which one of its kind, once it is over; as text, as the action is.
    pub outcome: Option<(String, Option<String>)>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this person.
    pub staff: Option<StaffId>,
    /// Of this kind.
    pub action: Option<Action>,
    /// About the thing with this id.
    pub object: Option<String>,
    /// In this shop.
    pub shop: Option<ShopId>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

impl TryFrom<audit_entry::Model> for AuditRecord {
    type Error = StoreError;
    fn try_from(row: audit_entry::Model) -> Result<Self, StoreError> {
        Ok(AuditRecord {
            id: parse("audit_entry.id", &row.id)?,
            shop: parse_opt("audit_entry.shop_id", row.shop_id.as_deref())?,
            staff: parse_opt("audit_entry.staff_id", row.staff_id.as_deref())?,
            detail: json("audit_entry.detail", &row.detail)?,
            object: row.object_type.zip(row.object_id),
            actor: row.actor,
            action: row.action,
            address: row.address,
            request_id: row.request_id,
            at: Timestamp::from_ms(row.at),
            outcome: None,
        })
    }
}

/// The first id that an entry of a time can have: entries are sorted by their ids, which begin with the time.
fn first_id(at: Timestamp) -> String {
    let ms = u64::try_from(at.ms()).unwrap_or(0).min((1 << 48) - 1);
    AuditId::from_uuid(Uuid::from_u128(u128::from(ms) << 80)).to_string()
}

impl Store {
    /// A page of the log, newest first, and whether there is more in its direction.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &Page<AuditId>,
    ) -> Result<(Vec<AuditRecord>, bool), StoreError> {
        use audit_entry::Column;
        let mut query = audit_entry::Entity::find();
        let exact = [
            (Column::StaffId, filter.staff.map(|id| id.to_string())),
            (Column::Action, filter.action.map(|one| one.to_string())),
            (Column::ObjectId, filter.object.clone()),
            (Column::ShopId, filter.shop.map(|id| id.to_string())),
        ];
        for (column, wanted) in exact {
            if let Some(wanted) = wanted {
                query = query.filter(column.eq(wanted));
            }
        }
        if let Some(from) = filter.from {
            query = query.filter(Column::Id.gte(first_id(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(Column::Id.lt(first_id(to)));
        }
        let (rows, more) = page_of(&self.reader, query, Column::Id, page).await?;
        let ids = rows.iter().map(|row| row.id.clone());
        let outcomes = audit_outcome::Entity::find()
            .filter(audit_outcome::Column::Id.is_in(ids))
            .all(&self.reader)
            .await?;
        let outcomes = outcomes.into_iter();
        let mut outcomes: HashMap<String, (String, Option<String>)> = outcomes
            .map(|row| (row.id, (row.outcome, row.code)))
            .collect();
        let rows = rows.into_iter().map(|row| {
            let outcome = outcomes.remove(&row.id);
            Ok(AuditRecord {
                outcome,
                ..AuditRecord::try_from(row)?
            })
        });
        Ok((rows.collect::<Result<_, StoreError>>()?, more))
    }
}

impl Tx {
    /// Appends an entry.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_audit(&self, entry: &NewAudit) -> Result<(), StoreError> {
        let (object_type, object_id) = entry.object.clone().unzip();
        let row = audit_entry::ActiveModel {
            id: Set(entry.id.to_string()),
            shop_id: Set(entry.shop.map(|shop| shop.to_string())),
            staff_id: Set(entry.staff.map(|staff| staff.to_string())),
            actor: Set(entry.actor.clone()),
            action: Set(entry.action.to_string()),
            object_type: Set(object_type.map(str::to_owned)),
            object_id: Set(object_id),
            address: Set(entry.address.clone()),
            request_id: Set(entry.request_id.clone()),
            detail: Set(to_json(&entry.detail)),
            at: Set(self.clock.now().ms()),
        };
        audit_entry::Entity::insert(row)
            .exec_without_returning(self.conn())
            .await?;
        Ok(())
    }

    /// Appends what came of an entry's act.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_outcome(
        &self,
        entry: AuditId,
        outcome: Outcome,
        code: Option<&str>,
    ) -> Result<(), StoreError> {
        let row = audit_outcome::ActiveModel {
            id: Set(entry.to_string()),
            outcome: Set(outcome.to_string()),
            code: Set(code.map(str::to_owned)),
            at: Set(self.clock.now().ms()),
        };
        audit_outcome::Entity::insert(row)
            .exec_without_returning(self.conn())
            .await?;
        Ok(())
    }
}
