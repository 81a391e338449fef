//! `till catalogue`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::catalogue_file::{self, Contents, Fault, Format};
use super::output::print;
use super::storage::with_store;
use super::{CatalogueCommand, WrongUse};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::catalogue::Imported;
use crate::service::{ServiceError, catalogue, keys};
use crate::store::Store;

/// A larger file is refused before it is read.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

pub(super) async fn catalogue(
    config: &Config,
    command: CatalogueCommand,
) -> anyhow::Result<ExitCode> {
    let CatalogueCommand::Import {
        file,
        shop,
        dry_run,
        json,
    } = command;
    let shown = file.display().to_string();
    let (bytes, format) = open(&file)?;
    let contents = match catalogue_file::read(&bytes, format) {
        Ok(contents) => contents,
        Err(faults) => {
            refuse(&shown, &faults, json)?;
            return Ok(ExitCode::from(1));
        }
    };
    let (shop, outcome) = with_store(config, Clock::system(), async |store| {
        import(store, shop.as_deref(), &contents, dry_run).await
    })
    .await?;
    let value = json!({
        "file": shown, "shop": shop, "dry_run": dry_run, "created": outcome.created,
        "changed": outcome.changed, "unchanged": outcome.unchanged,
    });
    print(json, &value, || summary(&shop, &outcome, dry_run))?;
    Ok(ExitCode::SUCCESS)
}

fn open(file: &Path) -> Result<(Vec<u8>, Format), WrongUse> {
    let shown = file.display();
    let format = Format::of(file).ok_or_else(|| {
        WrongUse(format!(
            "`{shown}` is neither .csv nor .json; the name's ending says which of the two a file is"
        ))
    })?;
    let unreadable = |why| WrongUse(format!("`{shown}` cannot be read: {why}"));
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        let text = format!("`{shown}` has more than 256 MiB; import it in parts");
        return Err(WrongUse(text));
    }
    Ok((std::fs::read(file).map_err(unreadable)?, format))
}

/// Imports into a shop; returns its name and what was done.
async fn import(
    store: &Store,
    name: Option<&str>,
    contents: &Contents,
    dry_run: bool,
) -> anyhow::Result<(String, Imported)> {
    let wanted = name.unwrap_or(keys::DEFAULT_SHOP);
    if dry_run && wanted == keys::DEFAULT_SHOP && store.shop_by_name(wanted).await?.is_none() {
        // The import would make the shop; a look at it must not.
        let created = contents.products.iter().map(|p| p.sku.clone()).collect();
        let outcome = Imported {
            created,
            ..Imported::default()
        };
        return Ok((wanted.to_owned(), outcome));
    }
    let shop = match keys::find_shop(store, name).await {
        Err(ServiceError::NotFound) => {
            return Err(WrongUse(format!(
                "there is no shop `{wanted}`; make it with: till shop create '{wanted}' --mode test"
            ))
            .into());
        }
        other => other?,
    };
    let outcome = catalogue::import(
        store,
        shop.id,
        &contents.products,
        contents.coverage,
        dry_run,
    );
    Ok((shop.name, outcome.await?))
}

fn refuse(file: &str, faults: &[Fault], json: bool) -> anyhow::Result<()> {
    if json {
        return print(true, &json!({"file": file, "errors": faults}), String::new);
    }
    for fault in faults {
        eprintln!("{file}:{fault}");
    }
    let count = match faults.len() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    };
    eprintln!("error: {count} in {file}; nothing was imported");
    Ok(())
}

fn summary(shop: &str, outcome: &Imported, dry_run: bool) -> String {
    let (created, changed) = (outcome.created.len(), outcome.changed.len());
    let unchanged = outcome.unchanged;
    if !dry_run {
        return format!(
            "Shop `{shop}`: {created} created, {changed} changed, {unchanged} unchanged."
        );
    }
    let create = outcome.created.iter().map(|sku| format!("create  {sku}\n"));
    let change = outcome.changed.iter().map(|sku| format!("change  {sku}\n"));
    let lines: String = create.chain(change).collect();
    format!(
        "{lines}Shop `{shop}`: would create {created} and change {changed}, {unchanged} unchanged. \
         Nothing was written."
    )
}
