//! `till shop` and `till key`.

use std::process::ExitCode;

use serde_json::json;

use super::output::print;
use super::storage::{must_exist, with_store};
use super::{KeyCommand, ShopCommand, WrongUse};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::access::{KeyKind, Scopes};
use crate::domain::ids::ApiKeyId;
use crate::domain::text;
use crate::service::{ServiceError, keys};
use crate::store::Store;

pub(super) async fn shop(config: &Config, command: ShopCommand) -> anyhow::Result<ExitCode> {
    let ShopCommand::Create {
        name,
        mode,
        allowed_origins,
        json,
    } = command;
    for origin in &allowed_origins {
        let written = text::origin(origin);
        if text::url(origin).is_err() || written != *origin {
            let meant = match text::url(&written) {
                Ok(_) => written,
                Err(_) => "https://shop.example".to_owned(),
            };
            let why =
                format!("`{origin}` is not an origin as browsers write it; write it like {meant}");
            return Err(WrongUse(why).into());
        }
    }
    let name = text::plain(&name, 200).map_err(|why| WrongUse(format!("the shop's name {why}")))?;
    let made = with_store(config, Clock::system(), async |store| {
        Ok(keys::create_shop(store, &name, mode.into(), &allowed_origins).await)
    });
    let shop = match made.await? {
        Err(ServiceError::Invalid(_)) => {
            let text = format!("there is a shop `{name}` already; give the new one another name");
            return Err(WrongUse(text).into());
        }
        other => other?,
    };
    let value = json!({
        "id": shop.id, "name": shop.name, "mode": shop.mode, "allowed_origins": shop.allowed_origins,
    });
    print(json, &value, || {
        format!(
            "Made the {} shop `{}` ({}).\nNext: till key create --kind secret --shop '{}'",
            shop.mode, shop.name, shop.id, shop.name
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn key(config: &Config, command: KeyCommand) -> anyhow::Result<ExitCode> {
    if !matches!(command, KeyCommand::Create { .. }) {
        must_exist(config)?;
    }
    let clock = Clock::system();
    with_store(config, clock.clone(), async |store| {
        manage_keys(store, &clock, command).await
    })
    .await
}

async fn manage_keys(
    store: &Store,
    clock: &Clock,
    command: KeyCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Create {
            kind,
            shop,
            scopes,
            json,
        } => {
            let scopes = match scopes {
                None => Scopes::all(),
                Some(text) => text.parse().map_err(|_| {
                    let known = Scopes::all().to_string().replace(' ', ", ");
                    WrongUse(format!("unknown scope in `{text}`; the scopes are {known}"))
                })?,
            };
            let shop = match keys::find_shop(store, shop.as_deref()).await {
                Err(ServiceError::NotFound) => {
                    let name = shop.unwrap_or_default();
                    return Err(WrongUse(format!(
                        "there is no shop `{name}`; make it with: till shop create '{name}' --mode test"
                    ))
                    .into());
                }
                other => other?,
            };
            let kind: KeyKind = kind.into();
            let made = keys::create_key(store, clock, shop, kind, scopes).await?;
            let value = json!({
                "id": made.id, "key": made.text, "kind": made.kind, "shop": made.shop.name,
            });
            print(json, &value, || {
                format!(
                    "{}\n\nThis is the {} key {} of shop `{}`. It is shown once: keep it now.",
                    made.text, made.kind, made.id, made.shop.name
                )
            })?;
        }
        KeyCommand::List { json } => list(store, json).await?,
        KeyCommand::Revoke { id, json } => {
            let key: ApiKeyId = id.parse().map_err(|_| {
                WrongUse(format!(
                    "`{id}` is not a key id; see `till key list` for key_… ids"
                ))
            })?;
            match keys::revoke_key(store, key).await {
                Err(ServiceError::NotFound) => {
                    let text = format!("there is no key {key}; see `till key list`");
                    return Err(WrongUse(text).into());
                }
                other => other?,
            }
            print(json, &json!({"id": key, "revoked": true}), || {
                format!("Revoked {key}.")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, json: bool) -> anyhow::Result<()> {
    let keys = store.keys().await?;
    let values: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "id": key.id, "kind": key.kind, "shop": key.shop_name, "mode": key.mode,
                "scopes": key.scopes.to_string(), "last4": key.last4,
                "created_at": key.created_at, "revoked_at": key.revoked_at,
            })
        })
        .collect();
    print(json, &values, || {
        if keys.is_empty() {
            return "There are no keys. Make one with: till key create --kind secret".to_owned();
        }
        let lines = keys.iter().map(|key| {
            let state = match key.revoked_at {
                Some(at) => format!("revoked {at}"),
                None => "active".to_owned(),
            };
            format!(
                "{}  {:<11}  …{}  {:<4}  {}  {state}",
                key.id, key.kind, key.last4, key.mode, key.shop_name
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}
