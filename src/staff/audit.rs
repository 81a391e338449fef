//! The audit log, newest first: one's own entries, or for admins everybody's.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use askama::Template;
use rocket::{FromForm, Route, State, get, routes};

use super::guard::{Staff, Viewer, shop_url};
use super::page::{Frame, Page, Section};
use super::parts::Tone;
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::{Action, Outcome};
use crate::domain::ids::{AuditId, StaffId};
use crate::domain::page::{Cursor, Page as Slice};
use crate::domain::staff::Role;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::service::Services;
use crate::service::audit::{Act, AuditFilter, AuditRecord};
use crate::service::staff::{ShopRecord, StaffRecord};

/// How many entries a page shows.
const LIMIT: u64 = 50;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![show]
}

/// What is asked for, as it stands in the address.
#[derive(FromForm, Clone, Default)]
struct Asked {
    #[field(default = String::new())]
    who: String,
    #[field(default = String::new())]
    action: String,
    #[field(default = String::new())]
    object: String,
    #[field(default = String::new())]
    shop: String,
    #[field(default = String::new())]
    from: String,
    #[field(default = String::new())]
    to: String,
    #[field(default = String::new())]
    before: String,
    #[field(default = String::new())]
    after: String,
}

/// An entry as it is shown.
struct Line {
    at: Timestamp,
    who: String,
    what: String,
    object: Option<(String, Option<String>)>,
    shop: Option<String>,
    address: String,
    outcome: Option<(Tone, String)>,
    details: Vec<(String, String)>,
    request: Option<String>,
}

#[derive(Template)]
#[template(path = "audit/audit.html", config = "src/staff/templates/askama.toml")]
struct AuditPage {
    frame: Frame,
    asked: Asked,
    everybody: bool,
    misread: bool,
    people: Vec<StaffRecord>,
    shops: Vec<ShopRecord>,
    actions: &'static [Action],
    lines: Vec<Line>,
    newer: Option<String>,
    older: Option<String>,
}

impl Asked {
    /// The filter, and whether a part of it was not understood.
    fn filter(&self) -> (AuditFilter, bool) {
        let mut misread = false;
        let filter = AuditFilter {
            staff: read(&self.who, &mut misread),
            action: read(&self.action, &mut misread),
            shop: read(&self.shop, &mut misread),
            object: Some(self.object.trim().to_owned())
                .filter(|object| !object.is_empty() && object.len() <= 100),
            from: day(&self.from, &mut misread),
            to: day(&self.to, &mut misread).map(|to| to.plus_ms(DAY_MS)),
        };
        (filter, misread)
    }

    fn slice(&self) -> Slice<AuditId> {
        let mut misread = false;
        let cursor = match (
            read(&self.before, &mut misread),
            read(&self.after, &mut misread),
        ) {
            (Some(before), _) => Cursor::StartingAfter(before),
            (None, Some(after)) => Cursor::EndingBefore(after),
            (None, None) => Cursor::Newest,
        };
        Slice {
            limit: LIMIT,
            cursor,
        }
    }

    /// The address of another page of the same list.
    fn url(&self, name: &str, id: AuditId) -> String {
        use std::fmt::Write as _;
        let mut url = format!("{}/audit?", super::BASE);
        for (name, value) in [
            ("who", &self.who),
            ("action", &self.action),
            ("object", &self.object),
            ("shop", &self.shop),
            ("from", &self.from),
            ("to", &self.to),
        ] {
            if !value.is_empty() {
                let value = rocket::http::RawStr::new(value).percent_encode();
                // Writing to a string cannot fail.
                let _ = write!(url, "{name}={value}&");
            }
        }
        let _ = write!(url, "{name}={id}");
        url
    }
}

/// A part of the filter, if it was given and says something.
fn read<T: FromStr>(text: &str, misread: &mut bool) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let read = text.parse().ok();
    *misread |= read.is_none();
    read
}

/// The beginning of a day in UTC.
fn day(text: &str, misread: &mut bool) -> Option<Timestamp> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let day = Timestamp::parse(&format!("{text}T00:00:00Z"));
    *misread |= day.is_none();
    day
}

#[get("/audit?<asked..>")]
async fn show(
    staff: Staff<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<AuditPage>, Trouble> {
    let everybody = staff.person.role.includes(Role::Admin);
    let (mut filter, misread) = asked.filter();
    let people = match everybody {
        true => services.people().await?.0,
        false => vec![staff.person.clone()],
    };
    if !everybody {
        filter.staff = Some(staff.person.id);
    }
    let slice = asked.slice();
    let (entries, more) = services.audit_log(&filter, &slice).await?;
    if everybody {
        let act = Act::new(&staff.who, Action::AuditView);
        services.record(act).await?;
    }
    let is_newest = slice.cursor == Cursor::Newest;
    let upwards = matches!(slice.cursor, Cursor::EndingBefore(_));
    let (first, last) = (entries.first(), entries.last());
    let newer = first.filter(|_| !is_newest && (more || !upwards));
    let older = last.filter(|_| more || upwards);
    let names: HashMap<StaffId, &str> = people
        .iter()
        .map(|person| (person.id, person.name.as_str()))
        .collect();
    Ok(Page::new(AuditPage {
        newer: newer.map(|entry| asked.url("after", entry.id)),
        older: older.map(|entry| asked.url("before", entry.id)),
        lines: entries
            .iter()
            .map(|entry| line(entry, &names, &staff.shops))
            .collect(),
        frame: staff.frame(Section::Own),
        asked,
        everybody,
        misread,
        people,
        shops: staff.shops.clone(),
        actions: Action::ALL,
    }))
}

fn line(entry: &AuditRecord, names: &HashMap<StaffId, &str>, shops: &[ShopRecord]) -> Line {
    let known = entry.staff.and_then(|staff| names.get(&staff).copied());
    let who = match (known, entry.actor.as_str()) {
        (Some(name), _) => name,
        (None, "nobody") => words::audit::NOBODY,
        (None, "cli") => words::audit::CLI,
        (None, actor) => actor,
    };
    let action: Option<Action> = entry.action.parse().ok();
    let what: &str = match action {
        Some(action) => words::audit::action(action),
        None => &entry.action,
    };
    let shop = shops.iter().find(|shop| Some(shop.id) == entry.shop);
    let object = entry.object.as_ref().map(|(kind, id)| {
        let link = match (kind.as_str(), shop) {
            ("order", Some(shop)) => Some(shop_url(shop.id, &format!("orders/{id}"))),
            ("person", _) => Some(format!("{}/people/{id}", super::BASE)),
            _ => None,
        };
        (id.clone(), link)
    });
    let details = entry.detail.as_object().into_iter().flatten();
    let details = details.map(|(name, value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), value)
    });
    Line {
        at: entry.at,
        who: who.to_owned(),
        what: what.to_owned(),
        object,
        shop: shop.map(|shop| shop.name.clone()),
        address: entry.address.clone().unwrap_or_default(),
        outcome: outcome(entry, action),
        details: details.collect(),
        request: entry.request_id.clone(),
    }
}

/// What came of an entry's act; none of what only was a look.
fn outcome(entry: &AuditRecord, action: Option<Action>) -> Option<(Tone, String)> {
    let Some((word, code)) = &entry.outcome else {
        let acts = action.is_some_and(Action::has_outcome);
        return acts.then(|| (Tone::Warn, words::audit::NO_OUTCOME.to_owned()));
    };
    let (tone, text) = match word.parse() {
        Ok(Outcome::Done) => (Tone::Good, words::audit::DONE),
        Ok(Outcome::Repeated) => (Tone::Neutral, words::audit::REPEATED),
        Ok(Outcome::Refused) => (Tone::Bad, words::audit::REFUSED),
        Ok(Outcome::Unknown) => (Tone::Warn, words::audit::UNKNOWN),
        Ok(Outcome::Failed) => (Tone::Bad, words::audit::FAILED),
        Err(_) => (Tone::Neutral, word.as_str()),
    };
    Some((
        tone,
        match code {
            Some(code) => format!("{text}: {code}"),
            None => text.to_owned(),
        },
    ))
}
