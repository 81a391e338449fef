//! `till staff`: who may use the console.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::output::print;
use super::storage::{must_exist, with_store};
use super::{StaffCommand, WrongUse};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::ids::ShopId;
use crate::domain::staff::check_password;
use crate::secrets::password;
use crate::service::audit::Who;
use crate::service::people::{self, Change, NewPerson, create_person};
use crate::service::staff::StaffRecord;
use crate::service::{ServiceError, keys};
use crate::store::Store;

pub(super) async fn staff(config: &Config, command: StaffCommand) -> anyhow::Result<ExitCode> {
    if !matches!(command, StaffCommand::Create { .. }) {
        must_exist(config)?;
    }
    let clock = Clock::system();
    with_store(config, clock.clone(), async |store| {
        manage_staff(store, &clock, command).await
    })
    .await
}

async fn manage_staff(
    store: &Store,
    clock: &Clock,
    command: StaffCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        StaffCommand::Create {
            email,
            name,
            role,
            shop,
            generate,
            json,
        } => {
            let name = name.unwrap_or_else(|| {
                let (local, _) = email.split_once('@').unwrap_or((&email, ""));
                local.to_owned()
            });
            let person = NewPerson {
                email,
                name,
                role: role.into(),
                shop: only_shop(store, shop.as_deref()).await?,
                password: new_password(generate)?,
            };
            create(store, clock, person, generate, json).await?;
        }
        StaffCommand::Reset {
            email,
            generate,
            json,
        } => reset(store, clock, &email, generate, json).await?,
        StaffCommand::Disable { email, json } => {
            switch(store, clock, &email, Change::Disable, json).await?;
        }
        StaffCommand::Enable { email, json } => {
            switch(store, clock, &email, Change::Enable, json).await?;
        }
        StaffCommand::List { json } => list(store, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(
    store: &Store,
    clock: &Clock,
    person: NewPerson,
    generate: bool,
    json: bool,
) -> anyhow::Result<()> {
    let password = person.password.clone();
    let id = create_person(store, clock, person)
        .await
        .map_err(in_words)?;
    let person = store.staff_by_id(id).await?.ok_or(ServiceError::NotFound)?;
    let value = json!({
        "id": id, "email": person.email, "name": person.name, "role": person.role,
        "password": generate.then_some(&password),
    });
    print(json, &value, || {
        let said = format!("Added {} as {} ({id}).", person.email, person.role);
        with_password(said, generate.then_some(&password))
    })
}

async fn reset(
    store: &Store,
    clock: &Clock,
    email: &str,
    generate: bool,
    json: bool,
) -> anyhow::Result<()> {
    let person = known(store, email).await?;
    let new = new_password(generate)?;
    check_password(&new, &person.email)
        .map_err(|why| WrongUse(format!("the password {why}; nothing was done")))?;
    let hash = password::hash(&new);
    people::reset_password(store, clock, &Who::cli(), person.id, hash).await?;
    let value = json!({
        "id": person.id, "email": person.email, "password": generate.then_some(&new),
    });
    print(json, &value, || {
        let said = format!(
            "{} has another password; their sessions are over.",
            person.email
        );
        with_password(said, generate.then_some(&new))
    })
}

/// What was done, after a password that is shown once.
fn with_password(said: String, password: Option<&String>) -> String {
    match password {
        Some(password) => {
            format!("{password}\n\n{said} This is the password; it is shown once.")
        }
        None => said,
    }
}

async fn switch(
    store: &Store,
    clock: &Clock,
    email: &str,
    what: Change,
    json: bool,
) -> anyhow::Result<()> {
    let person = known(store, email).await?;
    let changed = people::change(store, clock, &Who::cli(), person.id, what).await;
    let changed = changed.map_err(in_words)?;
    let disabled = what == Change::Disable;
    let value = json!({
        "id": person.id, "email": person.email, "disabled": disabled, "changed": changed,
    });
    print(json, &value, || match (changed, disabled) {
        (true, true) => format!("Disabled {}; their sessions are over.", person.email),
        (true, false) => format!("{} can sign in again.", person.email),
        (false, _) => format!("{} is so already; nothing was changed.", person.email),
    })
}

async fn list(store: &Store, json: bool) -> anyhow::Result<()> {
    let (people, shops) = (store.staff().await?, store.shops().await?);
    let shop = |person: &StaffRecord| {
        let mut shops = shops.iter();
        let shop = shops.find(|shop| Some(shop.id) == person.shop);
        shop.map(|shop| shop.name.clone())
    };
    let values: Vec<_> = people
        .iter()
        .map(|person| {
            json!({
                "id": person.id, "email": person.email, "name": person.name,
                "role": person.role, "shop": shop(person), "created_at": person.created_at,
                "last_signed_in_at": person.last_signed_in_at, "disabled_at": person.disabled_at,
            })
        })
        .collect();
    print(json, &values, || {
        if people.is_empty() {
            return "There is nobody. Add somebody with: till staff create --email … --role admin"
                .to_owned();
        }
        let lines = people.iter().map(|person| {
            let state = match (person.disabled_at, person.last_signed_in_at) {
                (Some(at), _) => format!("disabled {at}"),
                (None, Some(at)) => format!("last signed in {at}"),
                (None, None) => "never signed in".to_owned(),
            };
            let shop = shop(person).unwrap_or_else(|| "every shop".to_owned());
            let (role, email) = (person.role.as_str(), &person.email);
            format!("{}  {role:<8}  {email}  {shop}  {state}", person.id)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

async fn known(store: &Store, email: &str) -> anyhow::Result<StaffRecord> {
    match people::find_person(store, email).await {
        Err(ServiceError::NotFound) => {
            let text = format!("nobody has the e-mail address `{email}`; see `till staff list`");
            Err(WrongUse(text).into())
        }
        other => Ok(other?),
    }
}

async fn only_shop(store: &Store, name: Option<&str>) -> anyhow::Result<Option<ShopId>> {
    let Some(name) = name else { return Ok(None) };
    match keys::find_shop(store, Some(name)).await {
        Ok(shop) => Ok(Some(shop.id)),
        Err(ServiceError::NotFound) => Err(WrongUse(format!("there is no shop `{name}`")).into()),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with what was given, as a person at the command line reads it.
fn in_words(error: ServiceError) -> anyhow::Error {
    match error {
        ServiceError::Invalid(wrong) => {
            let wrong: Vec<String> = wrong
                .into_iter()
                .map(|(field, why)| format!("the {} {why}", field.trim_start_matches('/')))
                .collect();
            WrongUse(wrong.join("; ")).into()
        }
        other => other.into(),
    }
}

/// A new password: made by chance, asked for without being shown, or the first line of what is piped in.
fn new_password(generate: bool) -> anyhow::Result<String> {
    if generate {
        return Ok(password::generate());
    }
    if !std::io::stdin().is_terminal() {
        return read_line();
    }
    let first = ask("Password: ")?;
    let second = ask("The same again: ")?;
    match first == second {
        true => Ok(first),
        false => Err(WrongUse("the two passwords differ; nothing was done".to_owned()).into()),
    }
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks on the terminal, which shows nothing of the answer.
fn ask(question: &str) -> anyhow::Result<String> {
    let mut out = std::io::stderr();
    write!(out, "{question}")?;
    out.flush()?;
    let terminal = std::io::stdin();
    let usual = tcgetattr(&terminal)?;
    let mut silent = usual.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let line = read_line();
    tcsetattr(&terminal, OptionalActions::Flush, &usual)?;
    writeln!(out)?;
    line
}
