//! The database: that it can be reached, runs with what money needs, and has the schema of this program.

use super::Report;
use crate::cli::output::in_full;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::connect::sqlite_path;
use crate::store::{Engine, Store, StoreError};

pub(super) async fn database(report: &mut Report, config: &Config) {
    const NAME: &str = "database";
    let file = sqlite_path(&config.database.url);
    if let Some(file) = file.filter(|file| !file.exists() && !in_memory(file)) {
        report.warn(
            NAME,
            format!("there is none yet at {}", file.display()),
            "`till serve` makes it; if there should be one, see TILL_DATABASE__URL and the folder Till is started in",
        );
        return;
    }
    let store = match Store::open_read_only(&config.database(), Clock::system()).await {
        Ok(store) => store,
        Err(StoreError::Setting(text)) => {
            report.fail(NAME, "its address cannot be used", text);
            return;
        }
        Err(error) => {
            let mend =
                "see that it runs and that TILL_DATABASE__URL has its address, user and password";
            report.fail(NAME, in_full(&error.into()), mend);
            return;
        }
    };
    if let Err(error) = look(report, &store, config).await {
        let mend = "see the database's own log; restore a backup if its file is damaged";
        report.fail(NAME, in_full(&error.into()), mend);
    }
    // Nothing was written; a connection that does not close is closed by the end of the process.
    drop(store.close().await);
}

fn in_memory(file: &std::path::Path) -> bool {
    file.as_os_str().is_empty() || file.to_string_lossy().contains(":memory:")
}

async fn look(report: &mut Report, store: &Store, config: &Config) -> Result<(), StoreError> {
    let engine = match store.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    let version = store.server_version().await?;
    report.ok("database", format!("{engine} {version}, reachable"));
    settings(report, store).await?;
    let has_tables = schema(report, store).await?;
    match config.secret_key_file().filter(|file| !file.exists()) {
        // A schema that is behind may have orders, too; one without tables cannot say.
        Some(file) if store.has_orders().await.unwrap_or(false) => lost_key(report, &file),
        Some(file) => super::files::first_key(report, &file),
        None if has_tables => same_keys(report, store, config).await?,
        None => {}
    }
    if has_tables {
        shops(report, store).await?;
    }
    Ok(())
}

/// Whether the secret keys are those that the last process was started with.
async fn same_keys(report: &mut Report, store: &Store, config: &Config) -> Result<(), StoreError> {
    const NAME: &str = "same secret keys";
    // Keys that cannot be used are another check's matter.
    let Ok(keys) = config.secret_keys() else {
        return Ok(());
    };
    let known = store.key_marks().await?;
    let given = keys.marks();
    let mut others = given.iter().filter(|(number, mark)| {
        let before = known.get(number);
        before.is_some_and(|before| before != *mark)
    });
    if let Some((number, _)) = others.next() {
        report.fail(
            NAME,
            format!("the key {number} is another one than the process of this database that was started last has"),
            "give every process the same keys, and a new key a number of its own: each process believes its own order \
             tokens only. If the key here is the right one, start the processes again with it",
        );
        return Ok(());
    }
    let lost = known.keys().filter(|number| !given.contains_key(number));
    let lost: Vec<String> = lost.map(i64::to_string).collect();
    let given_up = match lost.is_empty() {
        true => String::new(),
        false => format!("; not given any more: {}", lost.join(", ")),
    };
    report.ok(NAME, format!("as in the process started last{given_up}"));
    Ok(())
}

fn lost_key(report: &mut Report, file: &std::path::Path) {
    report.fail(
        "secret keys",
        format!("{} is not there, and the database has orders", file.display()),
        "put it back from where the database's backup is, before Till is started: it would make a new one, and shops' \
         browsers could not see the orders they placed any more",
    );
}

async fn settings(report: &mut Report, store: &Store) -> Result<(), StoreError> {
    const NAME: &str = "database settings";
    let settings = store.settings().await?;
    let shown: Vec<String> = settings
        .iter()
        .map(|setting| format!("{} = {}", setting.name, setting.actual))
        .collect();
    let bad = settings.iter().find(|setting| !setting.good);
    match bad.map(|setting| setting.name) {
        None => report.ok(NAME, shown.join(", ")),
        // It is kept in the file; everything that opens the file for writing sets it.
        Some("journal_mode") => report.warn(
            NAME,
            shown.join(", "),
            "the next start of Till sets journal_mode to wal; if it does not stay, something else opens the file",
        ),
        Some("in_recovery") => report.fail(
            NAME,
            shown.join(", "),
            "this is a standby, which takes no orders: give TILL_DATABASE__URL the primary's address",
        ),
        // Till sends them with each connection; PgBouncer is told to ignore that.
        Some(name) if name.ends_with("timeout") => report.warn(
            NAME,
            shown.join(", "),
            "a pooler keeps Till's limits away, so give them to its role: ALTER ROLE … SET statement_timeout = '10s'; \
             ALTER ROLE … SET lock_timeout = '5s'; ALTER ROLE … SET idle_in_transaction_session_timeout = '15s'",
        ),
        Some(name) => report.fail(
            NAME,
            shown.join(", "),
            format!("remove what overrides {name}: ALTER ROLE … RESET {name}, ALTER DATABASE … RESET {name}"),
        ),
    }
    Ok(())
}

/// Says whether the tables can be read.
async fn schema(report: &mut Report, store: &Store) -> Result<bool, StoreError> {
    const NAME: &str = "schema";
    let status = store.schema_status().await?;
    if let Some(newest) = status.unknown.last() {
        let found = format!("newer than this program: it has {newest}");
        report.fail(
            NAME,
            found,
            "run the program that migrated it, or a later one",
        );
        return Ok(false);
    }
    if let Err(StoreError::Setting(why)) = store.fit_schema().await {
        let (found, mend) = why.split_once("; ").unwrap_or((&why, "see the README"));
        report.fail(NAME, found, mend);
        return Ok(false);
    }
    if let Some(first) = status.pending.first() {
        let found = format!(
            "{} migrations are missing, first {first}",
            status.pending.len()
        );
        report.warn(
            NAME,
            found,
            "the next `till serve` applies them, or now: till migrate up",
        );
        return Ok(false);
    }
    let newest = status.applied.last().map_or("", String::as_str);
    report.ok(NAME, format!("up to date ({newest})"));
    Ok(true)
}

async fn shops(report: &mut Report, store: &Store) -> Result<(), StoreError> {
    const NAME: &str = "shops and keys";
    let (shops, keys) = (store.shops().await?, store.keys().await?);
    let active = keys.iter().filter(|key| key.revoked_at.is_none()).count();
    if active == 0 {
        let found = format!(
            "shops: {}, and no key: nobody can call the API",
            shops.len()
        );
        report.warn(NAME, found, "till key create --kind secret");
    } else {
        report.ok(
            NAME,
            format!("shops: {}, active keys: {active}", shops.len()),
        );
    }
    Ok(())
}
