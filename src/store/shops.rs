//! Shops, and the id of this database.

use std::collections::BTreeMap;

use entity::{deployment, shop};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::rows::parse;
use super::{Store, StoreError, Tx};
use crate::domain::access::Mode;
use crate::domain::ids::ShopId;

/// A shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopRecord {
    /// Its id.
    pub id: ShopId,
    /// Its name, unique.
    pub name: String,
    /// Whether its money is real.
    pub mode: Mode,
    /// Origins its browser calls may name in live mode.
    pub allowed_origins: Vec<String>,
}

impl TryFrom<shop::Model> for ShopRecord {
    type Error = StoreError;
    fn try_from(row: shop::Model) -> Result<Self, StoreError> {
        Ok(ShopRecord {
            id: parse("shop.id", &row.id)?,
            mode: parse("shop.mode", &row.mode)?,
            allowed_origins: super::rows::json("shop.allowed_origins", &row.allowed_origins)?,
            name: row.name,
        })
    }
}

impl Store {
    /// The shop with this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn shop_by_name(&self, name: &str) -> Result<Option<ShopRecord>, StoreError> {
        let row = shop::Entity::find()
            .filter(shop::Column::Name.eq(name))
            .one(&self.writer)
            .await?;
        row.map(ShopRecord::try_from).transpose()
    }

    /// Every shop, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn shops(&self) -> Result<Vec<ShopRecord>, StoreError> {
        let rows = shop::Entity::find()
            .order_by_asc(shop::Column::Id)
            .all(&self.reader)
            .await?;
        rows.into_iter().map(ShopRecord::try_from).collect()
    }

    /// Whether the money of any shop is real.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_live_shop(&self) -> Result<bool, StoreError> {
        let live = shop::Entity::find()
            .filter(shop::Column::Mode.eq(Mode::Live.to_string()))
            .one(&self.reader)
            .await?;
        Ok(live.is_some())
    }

    /// The id of this database, made at the first call: it marks everything we create at providers.
    ///
    /// # Errors
    /// The database's.
    pub async fn deployment_id(&self) -> Result<String, StoreError> {
        let now = self.clock.now().ms();
        let fresh = format!("till_{}", uuid::Uuid::new_v4().simple());
        let fresh = &fresh;
        self.write(|tx| async move {
            let row = deployment::ActiveModel {
                only_row: Set(1),
                id: Set(fresh.clone()),
                created_at: Set(now),
                key_marks: Set(None),
            };
            deployment::Entity::insert(row)
                .on_conflict(
                    OnConflict::column(deployment::Column::OnlyRow)
                        .do_nothing()
                        .to_owned(),
                )
                .exec_without_returning(tx.conn())
                .await?;
            let row = deployment::Entity::find().one(tx.conn()).await?;
            row.map(|row| row.id)
                .ok_or_else(|| StoreError::Corrupt("the deployment row is missing".to_owned()))
        })
        .await
    }
}

type Marks = BTreeMap<i64, String>;

impl Store {
    /// The marks of the secret keys that processes were started with, by number: of each the last one.
    ///
    /// # Errors
    /// The database's.
    pub async fn key_marks(&self) -> Result<Marks, StoreError> {
        let row = deployment::Entity::find().one(&self.reader).await?;
        known_marks(row.as_ref())
    }

    /// Notes the marks of this process's secret keys. Returns the numbers under which the process before was started with
    /// another key. What is given takes its place: which of them is right cannot be known here, and one that was wrong is
    /// not held against the right ones for ever.
    ///
    /// # Errors
    /// The database's.
    pub async fn note_key_marks(&self, given: &Marks) -> Result<Vec<i64>, StoreError> {
        self.write(|tx| async move {
            let row = deployment::Entity::find().lock_exclusive();
            let mut known = known_marks(row.one(tx.conn()).await?.as_ref())?;
            let (mut others, before) = (Vec::new(), known.clone());
            for (number, mark) in given {
                if known
                    .insert(*number, mark.clone())
                    .is_some_and(|other| other != *mark)
                {
                    others.push(*number);
                }
            }
            if known != before {
                deployment::Entity::update_many()
                    .col_expr(
                        deployment::Column::KeyMarks,
                        Expr::value(super::rows::to_json(&known)),
                    )
                    .exec(tx.conn())
                    .await?;
            }
            Ok(others)
        })
        .await
    }
}

fn known_marks(row: Option<&deployment::Model>) -> Result<Marks, StoreError> {
    let Some(text) = row.and_then(|row| row.key_marks.as_deref()) else {
        return Ok(Marks::new());
    };
    serde_json::from_str(text)
        .map_err(|_| StoreError::Corrupt("deployment.key_marks is no JSON object".to_owned()))
}

impl Tx {
    /// Inserts a shop.
    ///
    /// # Errors
    /// [`super::Constraint::ShopName`] when the name is taken.
    pub async fn insert_shop(
        &self,
        name: &str,
        mode: Mode,
        allowed_origins: &[String],
    ) -> Result<ShopRecord, StoreError> {
        let id: ShopId = self.clock.id();
        let row = shop::ActiveModel {
            id: Set(id.to_string()),
            name: Set(name.to_owned()),
            mode: Set(mode.to_string()),
            next_number: Set(1001),
            event_position: Set(0),
            catalogue_version: Set(0),
            allowed_origins: Set(super::rows::to_json(&allowed_origins)),
            created_at: Set(self.clock.now().ms()),
        };
        shop::Entity::insert(row)
            .exec_without_returning(self.conn())
            .await?;
        Ok(ShopRecord {
            id,
            name: name.to_owned(),
            mode,
            allowed_origins: allowed_origins.to_vec(),
        })
    }
}
