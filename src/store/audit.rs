//! The audit log. It only grows: a trigger refuses everything else.

use entity::audit_entry;
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::rows::to_json;
use super::{StoreError, Tx};
use crate::domain::audit::Action;
use crate::domain::ids::{AuditId, ShopId, StaffId};

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
}
