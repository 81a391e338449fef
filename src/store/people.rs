//! Changes to people of the console. Each is guarded in its own `WHERE`; who calls ends the person's sessions in the
//! same transaction.

use entity::staff_user;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::rows::parse;
use super::staff::{NewStaff, StaffRecord};
use super::{StoreError, Tx};
use crate::domain::ids::StaffId;
use crate::domain::staff::Role;

impl Tx {
    /// Inserts a member of staff.
    ///
    /// # Errors
    /// [`super::Constraint::StaffEmail`] when somebody has the e-mail address.
    pub async fn insert_staff(&self, new: &NewStaff) -> Result<(), StoreError> {
        let now = self.clock.now().ms();
        let row = staff_user::ActiveModel {
            id: Set(new.id.to_string()),
            email: Set(new.email.clone()),
            name: Set(new.name.clone()),
            role: Set(new.role.to_string()),
            password_hash: Set(new.password_hash.clone()),
            shop_id: Set(new.shop.map(|shop| shop.to_string())),
            password_changed_at: Set(now),
            last_signed_in_at: Set(None),
            disabled_at: Set(None),
            created_at: Set(now),
        };
        staff_user::Entity::insert(row)
            .exec_without_returning(self.conn())
            .await?;
        Ok(())
    }

    /// A person, held against every other change until the transaction ends.
    ///
    /// # Errors
    /// The database's.
    pub async fn hold_person(&self, id: StaffId) -> Result<Option<StaffRecord>, StoreError> {
        let row = staff_user::Entity::find_by_id(id.to_string())
            .lock_exclusive()
            .one(self.conn())
            .await?;
        row.map(StaffRecord::try_from).transpose()
    }

    /// The admins who may sign in, held against every other change until the transaction ends: two admins cannot
    /// take each other away.
    ///
    /// # Errors
    /// The database's.
    pub async fn hold_admins(&self) -> Result<Vec<StaffId>, StoreError> {
        let rows = staff_user::Entity::find()
            .filter(staff_user::Column::Role.eq(Role::Admin.as_str()))
            .filter(staff_user::Column::DisabledAt.is_null())
            .order_by_asc(staff_user::Column::Id)
            .lock_exclusive()
            .all(self.conn())
            .await?;
        rows.iter()
            .map(|row| parse("staff_user.id", &row.id))
            .collect()
    }

    /// Gives a person another role; false when they have it already.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_role(&self, id: StaffId, role: Role) -> Result<bool, StoreError> {
        let changed = staff_user::Entity::update_many()
            .col_expr(staff_user::Column::Role, Expr::value(role.as_str()))
            .filter(staff_user::Column::Id.eq(id.to_string()))
            .filter(staff_user::Column::Role.ne(role.as_str()))
            .exec(self.conn())
            .await?;
        Ok(changed.rows_affected == 1)
    }

    /// Disables a person, or lets them in again; false when they are so already.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_disabled(&self, id: StaffId, disabled: bool) -> Result<bool, StoreError> {
        let at = disabled.then(|| self.clock.now().ms());
        let so_far = match disabled {
            true => staff_user::Column::DisabledAt.is_null(),
            false => staff_user::Column::DisabledAt.is_not_null(),
        };
        let changed = staff_user::Entity::update_many()
            .col_expr(staff_user::Column::DisabledAt, Expr::value(at))
            .filter(staff_user::Column::Id.eq(id.to_string()))
            .filter(so_far)
            .exec(self.conn())
            .await?;
        Ok(changed.rows_affected == 1)
    }

    /// Gives a person another password; with `checked`, only while theirs is still that one (PHC strings). False
    /// when nothing was changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_password(
        &self,
        id: StaffId,
        password_hash: &str,
        checked: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut update = staff_user::Entity::update_many()
            .col_expr(staff_user::Column::PasswordHash, Expr::value(password_hash))
            .col_expr(
                staff_user::Column::PasswordChangedAt,
                Expr::value(self.clock.now().ms()),
            )
            .filter(staff_user::Column::Id.eq(id.to_string()));
        if let Some(checked) = checked {
            update = update
                .filter(staff_user::Column::PasswordHash.eq(checked))
                .filter(staff_user::Column::DisabledAt.is_null());
        }
        Ok(update.exec(self.conn()).await?.rows_affected == 1)
    }
}
