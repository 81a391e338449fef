//! Calls to the provider with their tries, trying one now, and how the provider does.

use std::sync::Arc;

use askama::Template;
use rocket::response::Redirect;
use rocket::{Route, State, get, post, routes};

use super::actions::key_of;
use super::csrf::Csrf;
use super::guard::{Desk, Operator, Viewer};
use super::listing::{Asked, Filter, Ways, nothing, page_of};
use super::page::{Frame, Page, Section};
use super::parts::Tone;
use super::session::Nothing;
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::Action;
use crate::domain::call::{CallFile, CallFilter, CallKind, CallStatus, CallStory};
use crate::domain::health::{GateState, Health, Tries};
use crate::domain::ids::CallId;
use crate::domain::overview::Spread;
use crate::domain::redact;
use crate::domain::staff::Role;
use crate::service::Services;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![list, one, retry, health]
}

/// [`FAILING_TRIES`](crate::domain::call::FAILING_TRIES), as an address names it.
const FAILING: &str = "3";

#[derive(Template)]
#[template(path = "calls/list.html", config = "src/staff/templates/askama.toml")]
struct CallList {
    frame: Frame,
    filter: Filter,
    ways: Ways,
    rows: Vec<CallFile>,
}

#[derive(Template)]
#[template(path = "calls/call.html", config = "src/staff/templates/askama.toml")]
struct CallPage {
    frame: Frame,
    actor: String,
    story: CallStory,
    body: Option<String>,
    result: Option<(bool, &'static str)>,
}

#[derive(Template)]
#[template(path = "calls/health.html", config = "src/staff/templates/askama.toml")]
struct HealthPage {
    frame: Frame,
    health: Health,
}

impl HealthPage {
    /// The two parts of time an account's tries are told for.
    fn spans(account: &crate::domain::health::AccountHealth) -> [(&'static str, &Tries); 2] {
        [
            (words::calls::LAST_HOUR, &account.hour),
            (words::calls::LAST_DAY, &account.day),
        ]
    }

    fn lags(&self) -> [(&'static str, Option<Spread>); 2] {
        [
            (words::calls::LAST_HOUR, self.health.lag_hour),
            (words::calls::LAST_DAY, self.health.lag_day),
        ]
    }
}

/// What a call's state means to the reader.
#[must_use]
pub fn call_tone(status: impl std::borrow::Borrow<CallStatus>) -> Tone {
    match status.borrow() {
        CallStatus::Succeeded => Tone::Good,
        CallStatus::Sending => Tone::Info,
        CallStatus::Declined => Tone::Neutral,
        CallStatus::Unknown => Tone::Warn,
    }
}

fn gate_tone(state: &GateState) -> Tone {
    match state {
        GateState::Open => Tone::Good,
        GateState::Probing => Tone::Warn,
        GateState::Paused(_) => Tone::Bad,
    }
}

/// Where what a call is about has its page, if it has one.
fn subject_path(story: &CallStory) -> Option<&'static str> {
    match story.call.kind {
        CallKind::Capture | CallKind::Void => Some("payments"),
        CallKind::Refund => Some("refunds"),
        CallKind::SessionCreate | CallKind::SessionExpire => None,
    }
}

#[get("/<_>/calls?<asked..>")]
async fn list(
    desk: Desk<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<CallList>, Trouble> {
    let shop = desk.shop.id;
    let mut filter = Filter::new(desk.url("calls"));
    let statuses = CallStatus::ALL.iter();
    let statuses = statuses.map(|status| (status.as_str(), words::calls::status(*status)));
    let kinds = CallKind::ALL.iter();
    let kinds = kinds.map(|kind| (kind.as_str(), words::calls::kind(*kind)));
    let wanted = CallFilter {
        status: filter.chosen(
            "status",
            words::lists::STATUS,
            asked.status.as_ref(),
            statuses.collect(),
        ),
        kind: filter.chosen(
            "kind",
            words::calls::KIND,
            asked.kind.as_ref(),
            kinds.collect(),
        ),
        payment: None,
        subject: filter.typed(
            "subject",
            words::calls::SUBJECT,
            asked.subject.as_ref(),
            |text| Some(text.to_owned()),
        ),
        open_after: filter.chosen(
            "tries",
            words::calls::ATTEMPTS,
            asked.tries.as_ref(),
            vec![(FAILING, words::calls::FAILING)],
        ),
        order: filter.order(services, shop, &asked).await?,
        made: filter.days(&asked),
    };
    let page = page_of(&asked);
    let found = match filter.is_good() {
        true => services.call_files(shop, &wanted, &page).await?,
        false => nothing(),
    };
    Ok(Page::new(CallList {
        ways: Ways::of(&filter, &page, &found, |file| file.id),
        rows: found.rows,
        frame: desk.frame(Section::Calls),
        filter,
    }))
}

#[get("/<_>/calls/<id>?<result>")]
async fn one(
    desk: Desk<Viewer>,
    id: &str,
    result: Option<&str>,
    services: &State<Arc<Services>>,
) -> Result<Page<CallPage>, Trouble> {
    let id: CallId = id.parse().map_err(|_| Trouble::not_found())?;
    let story = services.call_story(desk.shop.id, id).await?;
    let act = desk.act(Action::CallView).about("provider_call", id);
    services.record(act).await?;
    let name = services.staff_name(&story.call.actor).await?;
    Ok(Page::new(CallPage {
        frame: desk.frame(Section::Calls),
        actor: words::timeline::person(&story.call.actor, name),
        body: story.body.as_deref().and_then(redact::form),
        story,
        result: result.and_then(words::calls::result),
    }))
}

#[post("/<_>/calls/<id>/retry", data = "<form>")]
async fn retry(
    desk: Desk<Operator>,
    id: &str,
    form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let id: CallId = id.parse().map_err(|_| Trouble::not_found())?;
    let given = key_of(&form.0.idempotency_key)?;
    let key = format!("retry {} {id} {given}", desk.person().id);
    let now = services.clock.now();
    let work = || async {
        let act = desk.act(Action::CallRetry).about("provider_call", id);
        let retry = services.retry_call(desk.shop.id, id);
        let retried = services.on_record(act, retry).await?;
        Ok(retried.as_str().to_owned())
    };
    let result = services.forms.run(&key, now, work).await?;
    let back = desk.url(&format!("calls/{id}?result={result}"));
    Ok(Redirect::to(back))
}

#[get("/<_>/health")]
async fn health(
    desk: Desk<Viewer>,
    services: &State<Arc<Services>>,
) -> Result<Page<HealthPage>, Trouble> {
    Ok(Page::new(HealthPage {
        health: services.provider_health(desk.shop.id).await?,
        frame: desk.frame(Section::Calls),
    }))
}
