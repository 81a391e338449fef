//! `till staff`: who may use the console.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::output::print;
use super::{StaffCommand, WrongUse};
use crate::app::open_store;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::ids::ShopId;
use crate::secrets::password;
use crate::service::staff::{NewPerson, create_person};
use crate::service::{ServiceError, keys};
use crate::store::Store;

pub(super) async fn staff(config: &Config, command: StaffCommand) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let store = open_store(config, clock.clone()).await?;
    match command {
        StaffCommand::Create {
            email,
            name,
            role,
            shop,
            generate,
            json,
        } => {
            let shop = only_shop(&store, shop.as_deref()).await?;
            let password = new_password(generate)?;
            let name = name.unwrap_or_else(|| {
                let (local, _) = email.split_once('@').unwrap_or((&email, ""));
                local.to_owned()
            });
            let person = NewPerson {
                email,
                name,
                role: role.into(),
                shop,
                password: password.clone(),
            };
            let id = create_person(&store, &clock, person.clone())
                .await
                .map_err(in_words)?;
            let value = json!({
                "id": id, "email": person.email, "role": person.role,
                "password": generate.then_some(&password),
            });
            print(json, &value, || {
                let said = format!("Added {} as {} ({id}).", person.email, person.role);
                match generate {
                    true => {
                        format!("{password}\n\n{said} This is the password; it is shown once.")
                    }
                    false => said,
                }
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
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
