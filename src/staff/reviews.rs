//! The review queue: open questions with their facts side by side, and the ways to answer them.

use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use rocket::{FromForm, Responder, Route, State, get, post, routes};

use super::actions::{Outcome, RefusedPage, customer_of, ended, key_of, refused};
use super::csrf::Csrf;
use super::effect::Effect;
use super::guard::{Desk, Finance, Viewer};
use super::listing::{self, Asked, Ways, nothing, page_of};
use super::page::{Frame, Page, Section};
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit;
use crate::domain::ids::ReviewId;
use crate::domain::money::Money;
use crate::domain::page::Page as Slice;
use crate::domain::queue::Place;
use crate::domain::resolution::{Resolution, needs_note};
use crate::domain::settlement::Reason;
use crate::domain::staff::Role;
use crate::domain::standing::{ReviewStanding, Standing};
use crate::domain::time::Timestamp;
use crate::service::reviews::{OpenReview, Resolve};
use crate::service::{Caller, ServiceError, Services};

/// How many questions a page of the queue shows.
const PAGE: u64 = 25;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![queue, show, answer_form, answer]
}

/// A way to answer a question.
struct Button {
    url: String,
    text: &'static str,
}

/// A question in a list.
struct Line {
    open: OpenReview,
    title: &'static str,
    order_url: String,
    url: String,
    buttons: Vec<Button>,
    at_provider: Option<String>,
}

#[derive(Template)]
#[template(
    path = "reviews/queue.html",
    config = "src/staff/templates/askama.toml"
)]
struct QueuePage {
    frame: Frame,
    filters: Vec<Filter>,
    lines: Vec<Line>,
    filtered: bool,
    ways: Ways,
}

/// A filter with how many it would show.
struct Filter {
    name: &'static str,
    url: String,
    count: u64,
    on: bool,
}

/// One question with everything that is known of it.
#[derive(Template)]
#[template(
    path = "reviews/review.html",
    config = "src/staff/templates/askama.toml"
)]
struct ReviewPage {
    frame: Frame,
    line: Line,
    meaning: String,
    decisions: Vec<DecisionView>,
    dispute: bool,
    may_decide: bool,
    closed: Option<String>,
}

/// What was decided before.
struct DecisionView {
    by: Option<String>,
    what: &'static str,
    note: Option<String>,
    at: Timestamp,
}

/// What an answer will do, with the form that gives it.
#[derive(Template)]
#[template(
    path = "reviews/answer.html",
    config = "src/staff/templates/askama.toml"
)]
struct AnswerPage {
    frame: Frame,
    title: &'static str,
    question: &'static str,
    number: String,
    order_url: String,
    back: String,
    explained: Option<&'static str>,
    effect: Option<Effect>,
    opening: i64,
    version: String,
    button: String,
    note: Option<bool>,
}

/// The open questions of an order, as the order's page shows them.
#[derive(Template)]
#[template(
    path = "reviews/banner.html",
    config = "src/staff/templates/askama.toml"
)]
pub struct Banner {
    questions: Vec<Question>,
}

impl HtmlSafe for Banner {}

/// An open question of the banner.
struct Question {
    title: &'static str,
    meaning: String,
    since: Timestamp,
    due: Option<Timestamp>,
    url: String,
    buttons: Vec<Button>,
}

impl Banner {
    /// Of an order; `reviews` is the address of the queue.
    #[must_use]
    pub fn of(standing: &Standing, reviews: &str, role: Role) -> Banner {
        let questions = standing.open_reviews().into_iter().map(|review| {
            let url = format!("{reviews}/{}", review.id);
            let offered = match role.includes(Role::Finance) {
                true => standing.resolutions(review),
                false => Vec::new(),
            };
            Question {
                title: words::reviews::reason(review.reason),
                meaning: meaning(standing, review),
                since: review.opened_at,
                due: review.due_at,
                buttons: buttons(&url, &offered),
                url,
            }
        });
        Banner {
            questions: questions.collect(),
        }
    }
}

/// What a question means; of a dispute also how much the bank has taken.
fn meaning(standing: &Standing, review: &ReviewStanding) -> String {
    match standing.taken_in(review) {
        Some(taken) if taken.is_zero() => words::reviews::taken(None),
        Some(taken) => words::reviews::taken(Some(&parts::money_text(&taken))),
        None => words::reviews::meaning(review.reason).to_owned(),
    }
}

fn buttons(url: &str, offered: &[Resolution]) -> Vec<Button> {
    offered
        .iter()
        .map(|resolution| Button {
            url: format!("{url}/{resolution}"),
            text: words::reviews::resolution(*resolution),
        })
        .collect()
}

fn line(
    desk: &Desk<Viewer>,
    services: &Services,
    open: OpenReview,
    offered: &[Resolution],
) -> Line {
    let url = desk.url(&format!("reviews/{}", open.review.id));
    let intent = open.payment.as_ref().map(|payment| payment.intent.clone());
    Line {
        title: words::reviews::reason(open.review.reason),
        order_url: desk.url(&format!("orders/{}", open.order)),
        buttons: buttons(&url, offered),
        at_provider: intent.and_then(|intent| services.at_provider(&intent)),
        url,
        open,
    }
}

#[get("/<_>/reviews?<asked..>")]
async fn queue(
    desk: Desk<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<QueuePage>, Trouble> {
    let caller = desk.caller();
    let mut filter = listing::Filter::new(desk.url("reviews"));
    let read = |text: &str| text.parse().ok();
    let named = asked.reason.as_ref();
    let reason: Option<Reason> = filter.typed("reason", words::reviews::FILTER, named, read);
    let page = Slice {
        limit: PAGE,
        ..page_of(&asked)
    };
    let found = match filter.is_good() {
        true => services.open_reviews(&caller, reason, &page).await?,
        false => nothing(),
    };
    let ways = Ways::of(&filter, &page, &found, |open| Place::of(&open.review));
    let counts = services.count_reviews(&caller).await?;
    let may_decide = desk.person().role.includes(Role::Finance);
    let mut lines = Vec::with_capacity(found.rows.len());
    for open in found.rows {
        let offered = match may_decide {
            true => services.resolutions_of(&caller, &open).await?,
            false => Vec::new(),
        };
        lines.push(line(&desk, services, open, &offered));
    }
    let act = desk.act(audit::Action::ReviewsView);
    services.record(act).await?;
    Ok(Page::new(QueuePage {
        frame: desk.frame(Section::Reviews),
        filters: filters(&desk, &counts, reason),
        filtered: filter.is_on(),
        ways,
        lines,
    }))
}

fn filters(desk: &Desk<Viewer>, counts: &[(Reason, u64)], on: Option<Reason>) -> Vec<Filter> {
    let all = counts.iter().map(|(_, count)| count).sum();
    let every = Filter {
        name: words::reviews::ALL,
        url: desk.url("reviews"),
        count: all,
        on: on.is_none(),
    };
    let of_reason = |reason: &Reason| {
        let known = counts.iter().find(|(known, _)| known == reason);
        let count = known.map_or(0, |(_, count)| *count);
        let is_on = on == Some(*reason);
        (count > 0 || is_on).then(|| Filter {
            name: words::reviews::reason(*reason),
            url: desk.url(&format!("reviews?reason={reason}")),
            count,
            on: is_on,
        })
    };
    std::iter::once(every)
        .chain(Reason::ALL.iter().filter_map(of_reason))
        .collect()
}

fn review_id(text: &str) -> Result<ReviewId, Trouble> {
    text.parse().map_err(|_| Trouble::not_found())
}

#[get("/<_>/reviews/<id>")]
async fn show(
    desk: Desk<Viewer>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Page<ReviewPage>, Trouble> {
    let (caller, id) = (desk.caller(), review_id(id)?);
    let order = services.order_of_review(&caller, id).await?;
    let standing = services.standing(&caller, order).await?;
    let known = standing.reviews.iter().find(|known| known.id == id);
    let review = known.ok_or_else(Trouble::not_found)?.clone();
    let offered = standing.resolutions(&review);
    let open = services.review(&caller, id).await?;
    let may_decide = desk.person().role.includes(Role::Finance);
    let offered = if may_decide { offered } else { Vec::new() };
    let act = desk.act(audit::Action::ReviewView).about("review", id);
    services.record(act).await?;
    Ok(Page::new(ReviewPage {
        frame: desk.frame(Section::Reviews),
        line: line(&desk, services, open, &offered),
        meaning: meaning(&standing, &review),
        decisions: decisions(services, &caller, &standing, id).await?,
        dispute: review.reason == Reason::Dispute && review.open,
        closed: closed(services, &review).await?,
        may_decide,
    }))
}

/// Who closed a question, in words; none while it is open.
async fn closed(
    services: &Services,
    review: &ReviewStanding,
) -> Result<Option<String>, ServiceError> {
    if review.open {
        return Ok(None);
    }
    let by = review.resolved_by.as_deref().unwrap_or_default();
    let name = match by {
        "system" => Some(words::reviews::SYSTEM.to_owned()),
        by => services.staff_name(by).await?,
    };
    Ok(Some(
        name.unwrap_or_else(|| words::reviews::SOMEBODY.to_owned()),
    ))
}

async fn decisions(
    services: &Services,
    caller: &Caller,
    standing: &Standing,
    review: ReviewId,
) -> Result<Vec<DecisionView>, ServiceError> {
    let mut views = Vec::new();
    for decision in services.decisions(caller, standing.order).await? {
        if decision.review == review {
            views.push(DecisionView {
                by: services.staff_name(&decision.actor).await?,
                what: words::reviews::decided(decision.resolution),
                note: decision.note,
                at: decision.created_at,
            });
        }
    }
    Ok(views)
}

/// A preview of an answer, or why there is none.
#[derive(Responder)]
enum Shown {
    Answer(Box<Page<AnswerPage>>),
    Refused(Box<Page<RefusedPage>>),
}

#[get("/<_>/reviews/<id>/<resolution>")]
async fn answer_form(
    desk: Desk<Finance>,
    id: &str,
    resolution: &str,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    let (caller, id) = (desk.caller(), review_id(id)?);
    let resolution: Resolution = resolution.parse().map_err(|_| Trouble::not_found())?;
    let order = services.order_of_review(&caller, id).await?;
    let foretold = services
        .preview_resolution(&caller, order, id, resolution)
        .await;
    let (standing, review, preview) = match foretold {
        Ok(foretold) => foretold,
        Err(error) => {
            let again = format!("reviews/{id}");
            let page = refused(&desk, services, order, &again, error).await?;
            return Ok(Shown::Refused(Box::new(page)));
        }
    };
    let act = desk.act(audit::Action::ReviewView).about("review", id);
    services.record(act).await?;
    let customer = customer_of(services, &caller, order).await?;
    let no_undo = words::actions::no_undo(resolution);
    let version = preview
        .as_ref()
        .map_or_else(|| standing.version(), |preview| preview.version.clone());
    let moved = preview.as_ref().and_then(|preview| preview.moves.first());
    let money = moved.map(|moved| moved.amount);
    Ok(Shown::Answer(Box::new(Page::new(AnswerPage {
        frame: desk.frame(Section::Reviews),
        title: words::reviews::resolution(resolution),
        question: words::reviews::reason(review.reason),
        number: standing.number.clone(),
        order_url: desk.url(&format!("orders/{order}")),
        back: desk.url(&format!("reviews/{id}")),
        explained: words::reviews::explained(resolution),
        effect: preview.map(|preview| Effect::of(&preview, customer.as_deref(), no_undo)),
        opening: review.opening,
        version,
        button: button(resolution, money),
        note: match resolution {
            Resolution::Ask => None,
            _ => Some(needs_note(review.reason, resolution)),
        },
    }))))
}

fn button(resolution: Resolution, money: Option<Money>) -> String {
    let Some(money) = money else {
        return words::reviews::resolution(resolution).to_owned();
    };
    let amount = parts::money_text(&money);
    match resolution {
        Resolution::Accept => words::actions::accept_amount(&amount),
        Resolution::Release => words::actions::void_amount(&amount),
        _ => words::actions::refund_amount(&amount),
    }
}

/// An answer as it is given.
#[derive(FromForm)]
struct Given {
    opening: i64,
    #[field(default = String::new())]
    version: String,
    #[field(default = String::new())]
    note: String,
    #[field(default = String::new())]
    idempotency_key: String,
}

#[post("/<_>/reviews/<id>/<resolution>", data = "<form>")]
async fn answer(
    desk: Desk<Finance>,
    id: &str,
    resolution: &str,
    form: Csrf<Given>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let (caller, id, form) = (desk.caller(), review_id(id)?, form.0);
    let resolution: Resolution = resolution.parse().map_err(|_| Trouble::not_found())?;
    let key = key_of(&form.idempotency_key)?;
    let order = services.order_of_review(&caller, id).await?;
    let act = desk
        .act(audit::Action::ReviewResolve)
        .about("review", id)
        .with("resolution", resolution.as_str());
    let wanted = Resolve {
        order,
        review: id,
        opening: form.opening,
        resolution,
        note: Some(form.note).filter(|note| !note.trim().is_empty()),
        version: form.version,
    };
    let resolve = services.resolve(&caller, key, &wanted);
    let answer = services.on_record(act, resolve).await;
    let done = match resolution {
        Resolution::Accept => "kept",
        Resolution::Refund | Resolution::RefundAgain => "refunded",
        Resolution::Release => "released",
        Resolution::Ask => "asked",
        Resolution::Acknowledge => "acknowledged",
    };
    let again = format!("reviews/{id}");
    ended(&desk, services, order, &again, answer, done).await
}
