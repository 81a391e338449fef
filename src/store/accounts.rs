//! Provider accounts: whose money it is, and in which mode.

use entity::provider_account;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::rows::{parse, parse_opt};
use super::{Store, StoreError};
use crate::domain::access::Mode;
use crate::domain::ids::{AccountId, ShopId};
use crate::domain::observed::Observed;

/// A provider account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its id.
    pub id: AccountId,
    /// The provider.
    pub provider: String,
    /// Whether its money is real.
    pub mode: Mode,
    /// The shop that owns money no order is known for.
    pub owner: Option<ShopId>,
    /// The provider's own id of the account, when known.
    pub external_account_id: Option<String>,
}

impl AccountRecord {
    /// Why an event is not about this account's money, when it is not. The envelope and what is in it: a test object in a
    /// live event would be believed otherwise.
    #[must_use]
    pub fn misaddressed(
        &self,
        live: bool,
        external_account: Option<&str>,
        observed: &[Observed],
    ) -> Option<&'static str> {
        let ours = self.mode == Mode::Live;
        let elsewhere = |object: &Observed| object.live().is_some_and(|said| said != ours);
        if live != ours || observed.iter().any(elsewhere) {
            return Some("wrong_mode");
        }
        let named = external_account?;
        (self.external_account_id.as_deref() != Some(named)).then_some("wrong_account")
    }
}

impl TryFrom<provider_account::Model> for AccountRecord {
    type Error = StoreError;
    fn try_from(row: provider_account::Model) -> Result<Self, StoreError> {
        Ok(AccountRecord {
            id: parse("provider_account.id", &row.id)?,
            mode: parse("provider_account.mode", &row.mode)?,
            owner: parse_opt(
                "provider_account.owner_shop_id",
                row.owner_shop_id.as_deref(),
            )?,
            provider: row.provider,
            external_account_id: row.external_account_id,
        })
    }
}

impl Store {
    /// The default account of a provider and mode, made at the first call. Its owner is the first shop of that
    /// mode, as soon as there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn default_account(
        &self,
        provider: &str,
        mode: Mode,
    ) -> Result<AccountRecord, StoreError> {
        let fresh: AccountId = self.clock.id();
        let now = self.clock.now().ms();
        let first = self.shops().await?;
        let owner = first.iter().find(|shop| shop.mode == mode);
        let owner = &owner.map(|shop| shop.id.to_string());
        self.write(|tx| async move {
            let row = provider_account::ActiveModel {
                id: Set(fresh.to_string()),
                owner_shop_id: Set(owner.clone()),
                provider: Set(provider.to_owned()),
                mode: Set(mode.to_string()),
                is_default: Set(true),
                external_account_id: Set(None),
                name: Set(format!("{provider} ({mode})")),
                created_at: Set(now),
            };
            provider_account::Entity::insert(row)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(tx.conn())
                .await?;
            provider_account::Entity::update_many()
                .col_expr(
                    provider_account::Column::OwnerShopId,
                    Expr::value(owner.clone()),
                )
                .filter(provider_account::Column::Provider.eq(provider))
                .filter(provider_account::Column::Mode.eq(mode.as_str()))
                .filter(provider_account::Column::IsDefault.eq(true))
                .filter(provider_account::Column::OwnerShopId.is_null())
                .exec(tx.conn())
                .await?;
            let row = provider_account::Entity::find()
                .filter(provider_account::Column::Provider.eq(provider))
                .filter(provider_account::Column::Mode.eq(mode.as_str()))
                .filter(provider_account::Column::IsDefault.eq(true))
                .one(tx.conn())
                .await?;
            row.map(AccountRecord::try_from)
                .transpose()?
                .ok_or_else(|| StoreError::Corrupt("the default account is missing".to_owned()))
        })
        .await
    }

    /// The account with this id.
    ///
    /// # Errors
    /// The database's.
    pub async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        let row = provider_account::Entity::find_by_id(id.to_string())
            .one(&self.reader)
            .await?;
        row.map(AccountRecord::try_from).transpose()
    }
}
