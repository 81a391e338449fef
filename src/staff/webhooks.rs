//! What the provider reported: a list, each event with what it changed, and replaying one or many.

use std::borrow::Borrow;
use std::sync::Arc;

use askama::Template;
use rocket::response::Redirect;
use rocket::{FromForm, Route, State, get, post, routes};

use super::actions::key_of;
use super::csrf::Csrf;
use super::guard::{Desk, Operator, Rung, Viewer};
use super::listing::{Asked, Filter, Ways, nothing, page_of};
use super::page::{Frame, Page, Section};
use super::parts::Tone;
use super::session::Nothing;
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::Action;
use crate::domain::ids::ProviderEventId;
use crate::domain::inbox::{EventVerdict, InboxFile, InboxFilter, InboxStory, ORDER_UNKNOWN};
use crate::domain::redact;
use crate::domain::staff::Role;
use crate::domain::time::Timestamp;
use crate::service::Services;
use crate::service::files::{REPLAYED_AT_ONCE, ReplayCount};
use crate::service::replay::Replayed;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![list, one, preview, replay, replay_all]
}

#[derive(Template)]
#[template(
    path = "webhooks/list.html",
    config = "src/staff/templates/askama.toml"
)]
struct WebhookList {
    frame: Frame,
    filter: Filter,
    ways: Ways,
    rows: Vec<InboxFile>,
    may_replay: bool,
    count: Option<ReplayCount>,
    go_on: Option<String>,
}

#[derive(Template)]
#[template(
    path = "webhooks/webhook.html",
    config = "src/staff/templates/askama.toml"
)]
struct WebhookPage {
    frame: Frame,
    story: InboxStory,
    signed_at: Option<Timestamp>,
    body: Option<String>,
    result: Option<(bool, &'static str)>,
    preview: Option<Replayed>,
}

/// What became of an event means to the reader.
#[must_use]
pub fn verdict_tone(verdict: impl Borrow<EventVerdict>) -> Tone {
    match verdict.borrow() {
        EventVerdict::Applied => Tone::Good,
        EventVerdict::Pending => Tone::Info,
        EventVerdict::Quarantined => Tone::Warn,
        EventVerdict::Dead => Tone::Bad,
        EventVerdict::Foreign | EventVerdict::Ignored => Tone::Neutral,
    }
}

/// What replaying a list came to, as its address says.
fn counted(asked: &Asked) -> Option<ReplayCount> {
    Some(ReplayCount {
        applied: asked.applied?,
        unchanged: asked.unchanged?,
        quarantined: asked.quarantined?,
        failed: asked.failed?,
        more_since: asked.later.as_deref().and_then(Timestamp::parse),
    })
}

async fn filter_of<R: Rung>(
    desk: &Desk<R>,
    asked: &Asked,
    services: &Arc<Services>,
) -> Result<(Filter, InboxFilter), Trouble> {
    let mut filter = Filter::new(desk.url("webhooks"));
    let verdicts = EventVerdict::ALL.iter();
    let verdicts = verdicts.map(|verdict| (verdict.as_str(), words::webhooks::verdict(*verdict)));
    let wanted = InboxFilter {
        verdict: filter.chosen(
            "verdict",
            words::webhooks::VERDICT,
            asked.verdict.as_ref(),
            verdicts.collect(),
        ),
        reason: filter.chosen(
            "reason",
            words::lists::REASON,
            asked.reason.as_ref(),
            vec![(ORDER_UNKNOWN, words::webhooks::ORDER_UNKNOWN)],
        ),
        kind: filter.typed("kind", words::webhooks::TYPE, asked.kind.as_ref(), |text| {
            Some(text.to_owned())
        }),
        order: filter.order(services, desk.shop.id, asked).await?,
        received: filter.days(asked),
    };
    Ok((filter, wanted))
}

/// Whether a list may be replayed as a whole: when it is about something that is open, or about a part of time.
fn is_bounded(wanted: &InboxFilter) -> bool {
    let open = wanted.verdict.is_some_and(EventVerdict::is_open);
    open || wanted.order.is_some() || wanted.received.from.is_some()
}

#[get("/<_>/webhooks?<asked..>")]
async fn list(
    desk: Desk<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<WebhookList>, Trouble> {
    let (filter, wanted) = filter_of(&desk, &asked, services).await?;
    let page = page_of(&asked);
    let found = match filter.is_good() {
        true => services.inbox_files(desk.shop.id, &wanted, &page).await?,
        false => nothing(),
    };
    let count = counted(&asked);
    let later = count.and_then(|count| count.more_since);
    let go_on = later.map(|at| {
        let asked = Asked {
            from: Some(at.to_string()),
            ..asked.clone()
        };
        let mut later = Filter::new(filter.action.clone());
        let _ = later.days(&asked);
        let kept = filter
            .fields
            .iter()
            .filter(|field| field.name != "from" && field.name != "to");
        later.fields.extend(kept.cloned());
        later.address(None)
    });
    Ok(Page::new(WebhookList {
        ways: Ways::of(&filter, &page, &found, |file| file.id),
        may_replay: !found.rows.is_empty() && is_bounded(&wanted),
        rows: found.rows,
        frame: desk.frame(Section::Webhooks),
        filter,
        count,
        go_on,
    }))
}

#[get("/<_>/webhooks/<id>?<result>")]
async fn one(
    desk: Desk<Viewer>,
    id: &str,
    result: Option<&str>,
    services: &State<Arc<Services>>,
) -> Result<Page<WebhookPage>, Trouble> {
    let id: ProviderEventId = id.parse().map_err(|_| Trouble::not_found())?;
    show(&desk, id, result, None, services).await
}

#[get("/<_>/webhooks/<id>/preview")]
async fn preview(
    desk: Desk<Operator>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Page<WebhookPage>, Trouble> {
    let id: ProviderEventId = id.parse().map_err(|_| Trouble::not_found())?;
    let preview = services.replay_seen(desk.shop.id, id, true).await?;
    show(&desk, id, None, Some(preview), services).await
}

async fn show<R: Rung>(
    desk: &Desk<R>,
    id: ProviderEventId,
    result: Option<&str>,
    preview: Option<Replayed>,
    services: &Arc<Services>,
) -> Result<Page<WebhookPage>, Trouble> {
    let story = services.inbox_story(desk.shop.id, id).await?;
    let act = desk.act(Action::WebhookView).about("provider_event", id);
    services.record(act).await?;
    Ok(Page::new(WebhookPage {
        frame: desk.frame(Section::Webhooks),
        signed_at: story.signature.as_deref().and_then(signed_at),
        body: story.body.as_deref().and_then(redact::json),
        result: result.and_then(words::webhooks::result),
        story,
        preview,
    }))
}

/// When a signature says it was made: its part `t`, in seconds.
fn signed_at(signature: &str) -> Option<Timestamp> {
    let parts = signature.split(',').map(str::trim);
    let seconds = parts.into_iter().find_map(|part| part.strip_prefix("t="))?;
    let seconds: i64 = seconds.parse().ok()?;
    Some(Timestamp::from_ms(seconds.checked_mul(1_000)?))
}

#[post("/<_>/webhooks/<id>/replay", data = "<form>")]
async fn replay(
    desk: Desk<Operator>,
    id: &str,
    form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let id: ProviderEventId = id.parse().map_err(|_| Trouble::not_found())?;
    let given = key_of(&form.0.idempotency_key)?;
    let key = format!("replay {} {id} {given}", desk.person().id);
    let now = services.clock.now();
    let work = || async {
        let act = desk.act(Action::WebhookReplay).about("provider_event", id);
        let replay = services.replay_seen(desk.shop.id, id, false);
        let replayed = services.on_record(act, replay).await?;
        Ok(replayed.outcome.as_str().to_owned())
    };
    let result = services.forms.run(&key, now, work).await?;
    let back = desk.url(&format!("webhooks/{id}?result={result}"));
    Ok(Redirect::to(back))
}

/// A list that is to be replayed.
#[derive(FromForm)]
struct ReplayAll {
    #[field(default = String::new())]
    idempotency_key: String,
    verdict: Option<String>,
    reason: Option<String>,
    kind: Option<String>,
    order: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[post("/<_>/webhooks/replay", data = "<form>")]
async fn replay_all(
    desk: Desk<Operator>,
    form: Csrf<ReplayAll>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let form = form.0;
    let asked = Asked {
        verdict: form.verdict,
        reason: form.reason,
        kind: form.kind,
        order: form.order,
        from: form.from,
        to: form.to,
        ..Asked::default()
    };
    let (filter, wanted) = filter_of(&desk, &asked, services).await?;
    if !filter.is_good() || !is_bounded(&wanted) {
        return Ok(Redirect::to(filter.address(None)));
    }
    let address = filter.address(None);
    // The address names the shop and the filter.
    let given = key_of(&form.idempotency_key)?;
    let key = format!("replay {} {address} {given}", desk.person().id);
    let now = services.clock.now();
    let work = || async {
        let act = desk.act(Action::WebhookReplay);
        let replay = services.replay_matching(desk.shop.id, wanted);
        let count = services.on_record(act, replay).await?;
        Ok(told_at(&address, &count))
    };
    Ok(Redirect::to(services.forms.run(&key, now, work).await?))
}

/// The address of a list with what replaying it came to.
fn told_at(address: &str, count: &ReplayCount) -> String {
    let join = if address.contains('?') { '&' } else { '?' };
    let later = count.more_since.map(|at| format!("&later={at}"));
    format!(
        "{address}{join}applied={}&unchanged={}&quarantined={}&failed={}{}",
        count.applied,
        count.unchanged,
        count.quarantined,
        count.failed,
        later.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_says_when_it_was_made() {
        let at = signed_at("t=1777777777,v1=abc");
        assert_eq!(at, Some(Timestamp::from_ms(1_777_777_777_000)));
        for none in ["", "v1=abc", "t=x,v1=abc", "t=99999999999999999999"] {
            assert_eq!(signed_at(none), None);
        }
    }
}
