//! Shops and API keys.

use super::{By, Caller, ServiceError};
use crate::clock::Clock;
use crate::domain::access::{KeyKind, Mode, Scopes};
use crate::domain::ids::ApiKeyId;
use crate::secrets::{new_api_key, read_api_key, same_hash};
use crate::store::keys::{KeyRecord, NewKey};
use crate::store::shops::ShopRecord;
use crate::store::{Constraint, Store, StoreError};

/// The shop a key is made for when none is named.
pub const DEFAULT_SHOP: &str = "default";

/// A key that was just made; its text is shown once and never again.
#[derive(Debug, Clone)]
pub struct CreatedKey {
    /// The key's id.
    pub id: ApiKeyId,
    /// The whole key.
    pub text: String,
    /// Its kind.
    pub kind: KeyKind,
    /// Its shop.
    pub shop: ShopRecord,
}

/// Makes a shop.
///
/// # Errors
/// A name that is taken, or the store's.
pub async fn create_shop(
    store: &Store,
    name: &str,
    mode: Mode,
    allowed_origins: &[String],
) -> Result<ShopRecord, ServiceError> {
    let created = store
        .write(|tx| async move { tx.insert_shop(name, mode, allowed_origins).await })
        .await;
    match created {
        Err(StoreError::Conflict(Constraint::ShopName)) => Err(ServiceError::Invalid(vec![(
            "/name".to_owned(),
            "there is a shop with this name already".to_owned(),
        )])),
        other => Ok(other?),
    }
}

/// The shop with this name; the test shop `default` is made when it is asked for and missing.
///
/// # Errors
/// [`ServiceError::NotFound`], or the store's.
pub async fn find_shop(store: &Store, name: Option<&str>) -> Result<ShopRecord, ServiceError> {
    let wanted = name.unwrap_or(DEFAULT_SHOP);
    if let Some(shop) = store.shop_by_name(wanted).await? {
        return Ok(shop);
    }
    if name.is_some_and(|name| name != DEFAULT_SHOP) {
        return Err(ServiceError::NotFound);
    }
    match create_shop(store, DEFAULT_SHOP, Mode::Test, &[]).await {
        // Another process made it in the meantime.
        Err(ServiceError::Invalid(_)) => {
            let shop = store.shop_by_name(DEFAULT_SHOP).await?;
            shop.ok_or(ServiceError::NotFound)
        }
        other => other,
    }
}

/// Makes a key for a shop.
///
/// # Errors
/// The store's.
pub async fn create_key(
    store: &Store,
    clock: &Clock,
    shop: ShopRecord,
    kind: KeyKind,
    scopes: Scopes,
) -> Result<CreatedKey, ServiceError> {
    let id: ApiKeyId = clock.id();
    let secret = new_api_key(id, kind, shop.mode);
    let new = NewKey {
        id,
        shop: shop.id,
        kind,
        scopes,
        secret_hash: secret.secret_hash,
        last4: secret.last4,
    };
    let new = &new;
    store
        .write(|tx| async move { tx.insert_key(new).await })
        .await?;
    Ok(CreatedKey {
        id,
        text: secret.text,
        kind,
        shop,
    })
}

/// Revokes a key, at once and for ever.
///
/// # Errors
/// [`ServiceError::NotFound`], or the store's.
pub async fn revoke_key(store: &Store, id: ApiKeyId) -> Result<(), ServiceError> {
    let known = store
        .write(|tx| async move { tx.revoke_key(id).await })
        .await?;
    store.forget_key(id);
    if known {
        Ok(())
    } else {
        Err(ServiceError::NotFound)
    }
}

/// Checks an API key as it was sent; none when it is not valid.
///
/// # Errors
/// The store's.
pub async fn check_key(
    store: &Store,
    text: &str,
    request_id: &str,
    order_token: Option<String>,
) -> Result<Option<Caller>, ServiceError> {
    let Some(given) = read_api_key(text) else {
        return Ok(None);
    };
    let known: Option<KeyRecord> = store.key(given.id).await?;
    // An unknown id costs the same comparison.
    let dummy = "0".repeat(64);
    let hash = known
        .as_ref()
        .map_or(dummy.as_str(), |key| &key.secret_hash);
    let matches = same_hash(hash, &given.secret_hash);
    let Some(key) = known.filter(|_| matches) else {
        return Ok(None);
    };
    if key.revoked_at.is_some() || key.kind != given.kind || key.mode != given.mode {
        return Ok(None);
    }
    Ok(Some(Caller {
        by: By::Key(key.id),
        kind: key.kind,
        scopes: key.scopes,
        shop: key.shop,
        mode: key.mode,
        request_id: request_id.to_owned(),
        order_token,
        seen: None,
    }))
}
