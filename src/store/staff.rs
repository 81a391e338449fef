//! Staff and their sessions.
//!
//! A session is looked up by the hash of the token a browser holds, each time anew: one that was ended anywhere
//! is over everywhere at once. Whatever makes a person's sessions worthless (another password, another role, being
//! disabled) ends them in the same transaction, and a sign-in that began before it fails.

use std::collections::HashMap;

use entity::{staff_session, staff_user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, RelationDef,
};

use super::rows::{parse, parse_opt};
use super::{Store, StoreError, Tx};
use crate::domain::ids::{ShopId, StaffId, StaffSessionId};
use crate::domain::staff::{IDLE_MS, LIFETIME_MS, Role};
use crate::domain::time::Timestamp;

/// A member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffRecord {
    /// Their id.
    pub id: StaffId,
    /// Their e-mail address, in lower case.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The only shop they may see; every one when there is none.
    pub shop: Option<ShopId>,
    /// When their password was last changed.
    pub password_changed_at: Timestamp,
    /// When they last signed in.
    pub last_signed_in_at: Option<Timestamp>,
    /// When they were disabled.
    pub disabled_at: Option<Timestamp>,
    /// When they were added.
    pub created_at: Timestamp,
}

/// A member of staff to be stored.
#[derive(Clone)]
pub struct NewStaff {
    /// Their id.
    pub id: StaffId,
    /// Their e-mail address, in lower case.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The only shop they may see.
    pub shop: Option<ShopId>,
    /// Their password, as a PHC string.
    pub password_hash: String,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id; not the token.
    pub id: StaffSessionId,
    /// Whose it is.
    pub staff: StaffId,
    /// The address it was begun from.
    pub address: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_seen_at: Timestamp,
    /// When it is over at the latest.
    pub expires_at: Timestamp,
}

/// A session to be stored.
#[derive(Clone)]
pub struct NewSession {
    /// Its id.
    pub id: StaffSessionId,
    /// Whose it is.
    pub staff: StaffId,
    /// SHA-256 of its token, in hex.
    pub token_hash: String,
    /// The address it is begun from.
    pub address: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
}

impl TryFrom<staff_user::Model> for StaffRecord {
    type Error = StoreError;
    fn try_from(row: staff_user::Model) -> Result<Self, StoreError> {
        Ok(StaffRecord {
            id: parse("staff_user.id", &row.id)?,
            role: parse("staff_user.role", &row.role)?,
            shop: parse_opt("staff_user.shop_id", row.shop_id.as_deref())?,
            email: row.email,
            name: row.name,
            password_changed_at: Timestamp::from_ms(row.password_changed_at),
            last_signed_in_at: row.last_signed_in_at.map(Timestamp::from_ms),
            disabled_at: row.disabled_at.map(Timestamp::from_ms),
            created_at: Timestamp::from_ms(row.created_at),
        })
    }
}

impl TryFrom<staff_session::Model> for SessionRecord {
    type Error = StoreError;
    fn try_from(row: staff_session::Model) -> Result<Self, StoreError> {
        Ok(SessionRecord {
            id: parse("staff_session.id", &row.id)?,
            staff: parse("staff_session.staff_id", &row.staff_id)?,
            address: row.address,
            user_agent: row.user_agent,
            created_at: Timestamp::from_ms(row.created_at),
            last_seen_at: Timestamp::from_ms(row.last_seen_at),
            expires_at: Timestamp::from_ms(row.expires_at),
        })
    }
}

fn staff_of_session() -> RelationDef {
    staff_session::Entity::belongs_to(staff_user::Entity)
        .from(staff_session::Column::StaffId)
        .to(staff_user::Column::Id)
        .into()
}

/// Sessions that are not over at a time.
fn live(now: Timestamp) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(staff_session::Column::EndedAt.is_null())
        .add(staff_session::Column::ExpiresAt.gt(now.ms()))
        .add(staff_session::Column::LastSeenAt.gt(now.plus_ms(-IDLE_MS).ms()))
}

impl Store {
    /// Everybody, by e-mail address.
    ///
    /// # Errors
    /// The database's.
    pub async fn staff(&self) -> Result<Vec<StaffRecord>, StoreError> {
        let rows = staff_user::Entity::find()
            .order_by_asc(staff_user::Column::Email)
            .all(&self.reader)
            .await?;
        rows.into_iter().map(StaffRecord::try_from).collect()
    }

    /// The person with this id.
    ///
    /// # Errors
    /// The database's.
    pub async fn staff_by_id(&self, id: StaffId) -> Result<Option<StaffRecord>, StoreError> {
        let row = staff_user::Entity::find_by_id(id.to_string())
            .one(&self.reader)
            .await?;
        row.map(StaffRecord::try_from).transpose()
    }

    /// The person with this e-mail address and the PHC string of their password, disabled or not.
    ///
    /// # Errors
    /// The database's.
    pub async fn staff_by_email(
        &self,
        email: &str,
    ) -> Result<Option<(StaffRecord, String)>, StoreError> {
        let row = staff_user::Entity::find()
            .filter(staff_user::Column::Email.eq(email))
            .one(&self.reader)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let hash = row.password_hash.clone();
        Ok(Some((row.try_into()?, hash)))
    }

    /// The live session of a token and whose it is, unless they are disabled.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(
        &self,
        token_hash: &str,
    ) -> Result<Option<(SessionRecord, StaffRecord)>, StoreError> {
        let found = staff_session::Entity::find()
            .join(JoinType::InnerJoin, staff_of_session())
            .select_also(staff_user::Entity)
            .filter(staff_session::Column::TokenHash.eq(token_hash))
            .filter(live(self.clock.now()))
            .filter(staff_user::Column::DisabledAt.is_null())
            .one(&self.reader)
            .await?;
        match found {
            Some((session, Some(person))) => Ok(Some((session.try_into()?, person.try_into()?))),
            _ => Ok(None),
        }
    }

    /// The live sessions of a person, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn sessions(&self, staff: StaffId) -> Result<Vec<SessionRecord>, StoreError> {
        let rows = staff_session::Entity::find()
            .filter(staff_session::Column::StaffId.eq(staff.to_string()))
            .filter(live(self.clock.now()))
            .order_by_desc(staff_session::Column::Id)
            .all(&self.reader)
            .await?;
        rows.into_iter().map(SessionRecord::try_from).collect()
    }

    /// How many live sessions everybody has.
    ///
    /// # Errors
    /// The database's.
    pub async fn session_counts(&self) -> Result<HashMap<StaffId, u64>, StoreError> {
        let rows: Vec<String> = staff_session::Entity::find()
            .select_only()
            .column(staff_session::Column::StaffId)
            .filter(live(self.clock.now()))
            .into_tuple()
            .all(&self.reader)
            .await?;
        let mut counts = HashMap::new();
        for staff in rows {
            let count: &mut u64 = counts
                .entry(parse("staff_session.staff_id", &staff)?)
                .or_default();
            *count = count.saturating_add(1);
        }
        Ok(counts)
    }

    /// Forgets sessions that are over since a time.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(|tx| async move {
            let gone = staff_session::Entity::delete_many()
                .filter(
                    sea_orm::Condition::any()
                        .add(staff_session::Column::EndedAt.lt(before.ms()))
                        .add(staff_session::Column::ExpiresAt.lt(before.ms()))
                        .add(staff_session::Column::LastSeenAt.lt(before.ms())),
                )
                .exec(tx.conn())
                .await?;
            Ok::<_, StoreError>(gone.rows_affected)
        })
        .await
    }

    /// Whether a person has signed in from an address lately: as far back as sessions are kept.
    ///
    /// # Errors
    /// The database's.
    pub async fn signed_in_from(&self, email: &str, address: &str) -> Result<bool, StoreError> {
        let found = staff_session::Entity::find()
            .join(JoinType::InnerJoin, staff_of_session())
            .filter(staff_user::Column::Email.eq(email))
            .filter(staff_session::Column::Address.eq(address))
            .count(&self.reader)
            .await?;
        Ok(found > 0)
    }
}

impl Tx {
    /// Begins a session of a person whose password is still the one that was checked, by its PHC string; false when
    /// it is not, or when they are disabled.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_session(
        &self,
        session: &NewSession,
        checked: &str,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        // It holds the person's row, so that whoever ends their sessions comes before or after all of this.
        let signed_in = staff_user::Entity::update_many()
            .col_expr(staff_user::Column::LastSignedInAt, Expr::value(now.ms()))
            .filter(staff_user::Column::Id.eq(session.staff.to_string()))
            .filter(staff_user::Column::PasswordHash.eq(checked))
            .filter(staff_user::Column::DisabledAt.is_null())
            .exec(self.conn())
            .await?;
        if signed_in.rows_affected != 1 {
            return Ok(false);
        }
        let row = staff_session::ActiveModel {
            id: Set(session.id.to_string()),
            staff_id: Set(session.staff.to_string()),
            token_hash: Set(session.token_hash.clone()),
            address: Set(session.address.clone()),
            user_agent: Set(session.user_agent.clone()),
            created_at: Set(now.ms()),
            last_seen_at: Set(now.ms()),
            expires_at: Set(now.plus_ms(LIFETIME_MS).ms()),
            ended_at: Set(None),
        };
        staff_session::Entity::insert(row)
            .exec_without_returning(self.conn())
            .await?;
        Ok(true)
    }

    /// Notes that a session was used just now.
    ///
    /// # Errors
    /// The database's.
    pub async fn see_session(&self, session: StaffSessionId) -> Result<(), StoreError> {
        staff_session::Entity::update_many()
            .col_expr(
                staff_session::Column::LastSeenAt,
                Expr::value(self.clock.now().ms()),
            )
            .filter(staff_session::Column::Id.eq(session.to_string()))
            .exec(self.conn())
            .await?;
        Ok(())
    }

    /// Ends the sessions of a person: one, or all; returns how many were live.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_sessions(
        &self,
        staff: StaffId,
        only: Option<StaffSessionId>,
    ) -> Result<u64, StoreError> {
        let mut update = staff_session::Entity::update_many()
            .col_expr(
                staff_session::Column::EndedAt,
                Expr::value(self.clock.now().ms()),
            )
            .filter(staff_session::Column::StaffId.eq(staff.to_string()))
            .filter(staff_session::Column::EndedAt.is_null());
        if let Some(session) = only {
            update = update.filter(staff_session::Column::Id.eq(session.to_string()));
        }
        Ok(update.exec(self.conn()).await?.rows_affected)
    }
}
