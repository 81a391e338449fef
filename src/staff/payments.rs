//! Payments and refunds: lists with filters, each one's page, and asking the provider about a payment.

use std::borrow::Borrow;
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
use crate::domain::call::{CallFile, CallFilter};
use crate::domain::ids::PaymentId;
use crate::domain::page::{Cursor, Page as Wanted};
use crate::domain::payment::{PaymentFile, PaymentFilter, PaymentWord};
use crate::domain::refund::{RefundFile, RefundFilter, RefundReason, RefundStatus};
use crate::domain::staff::Role;
use crate::service::{Refusal, ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![list, one, ask, refunds, refund]
}

/// How much of what belongs to a payment is shown on its page.
const RELATED: u64 = 50;

#[derive(Template)]
#[template(
    path = "payments/list.html",
    config = "src/staff/templates/askama.toml"
)]
struct PaymentList {
    frame: Frame,
    filter: Filter,
    ways: Ways,
    rows: Vec<PaymentFile>,
}

#[derive(Template)]
#[template(
    path = "payments/payment.html",
    config = "src/staff/templates/askama.toml"
)]
struct PaymentPage {
    frame: Frame,
    file: PaymentFile,
    refunds: Vec<RefundFile>,
    calls: Vec<CallFile>,
    result: Option<(bool, &'static str)>,
}

#[derive(Template)]
#[template(path = "refunds/list.html", config = "src/staff/templates/askama.toml")]
struct RefundList {
    frame: Frame,
    filter: Filter,
    ways: Ways,
    rows: Vec<RefundFile>,
}

#[derive(Template)]
#[template(
    path = "refunds/refund.html",
    config = "src/staff/templates/askama.toml"
)]
struct RefundPage {
    frame: Frame,
    actor: String,
    file: RefundFile,
    calls: Vec<CallFile>,
}

/// What a payment's state means to the reader.
#[must_use]
pub fn payment_tone(status: impl Borrow<PaymentWord>) -> Tone {
    match status.borrow() {
        PaymentWord::Captured => Tone::Good,
        PaymentWord::Processing | PaymentWord::Authorized => Tone::Info,
        PaymentWord::Voided | PaymentWord::Expired => Tone::Neutral,
        PaymentWord::Failed => Tone::Bad,
    }
}

/// Whose a payment's money is, as far as there is any; and whether it waits for a decision.
#[must_use]
pub fn whose(file: &PaymentFile) -> Option<(bool, &'static str)> {
    let captured = file.payment.amount_captured;
    let here = captured
        .checked_sub(file.payment.amount_refunded)
        .and_then(|left| left.checked_sub(file.disputed));
    let waits = here.is_ok_and(|here| here.minor() > 0);
    match (captured.is_zero(), file.belongs, waits) {
        (true, ..) => None,
        (false, true, _) => Some((false, words::payments::BELONGS_YES)),
        (false, false, true) => Some((true, words::payments::BELONGS_NO)),
        (false, false, false) => Some((false, words::payments::BELONGS_GONE)),
    }
}

/// What a refund's state means to the reader.
#[must_use]
pub fn refund_tone(status: impl Borrow<RefundStatus>) -> Tone {
    match status.borrow() {
        RefundStatus::Succeeded => Tone::Good,
        RefundStatus::Pending => Tone::Info,
        RefundStatus::Failed => Tone::Bad,
    }
}

#[get("/<_>/payments?<asked..>")]
async fn list(
    desk: Desk<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<PaymentList>, Trouble> {
    let shop = desk.shop.id;
    let mut filter = Filter::new(desk.url("payments"));
    let statuses = PaymentWord::ALL.iter();
    let statuses = statuses.map(|status| (status.as_str(), words::payments::status(*status)));
    let wanted = PaymentFilter {
        status: filter.chosen(
            "status",
            words::lists::STATUS,
            asked.status.as_ref(),
            statuses.collect(),
        ),
        order: filter.order(services, shop, &asked).await?,
        provider_id: filter.typed(
            "provider_id",
            words::lists::PROVIDER_ID,
            asked.provider_id.as_ref(),
            |text| Some(text.to_owned()),
        ),
        seen: filter.days(&asked),
    };
    let page = page_of(&asked);
    let found = match filter.is_good() {
        true => services.payment_files(shop, &wanted, &page).await?,
        false => nothing(),
    };
    services.record(desk.act(Action::PaymentsView)).await?;
    Ok(Page::new(PaymentList {
        ways: Ways::of(&filter, &page, &found, |file| file.payment.id),
        rows: found.rows,
        frame: desk.frame(Section::Payments),
        filter,
    }))
}

#[get("/<_>/payments/<id>?<result>")]
async fn one(
    desk: Desk<Viewer>,
    id: &str,
    result: Option<&str>,
    services: &State<Arc<Services>>,
) -> Result<Page<PaymentPage>, Trouble> {
    let id: PaymentId = id.parse().map_err(|_| Trouble::not_found())?;
    let shop = desk.shop.id;
    let file = services.payment_file(shop, id).await?;
    let refunds = RefundFilter {
        payment: Some(id),
        ..RefundFilter::default()
    };
    let refunds = services.refund_files(shop, &refunds, &newest()).await?;
    let about = CallFilter {
        payment: Some(id),
        ..CallFilter::default()
    };
    let calls = services.call_files(shop, &about, &newest()).await?.rows;
    let act = desk.act(Action::PaymentView).about("payment", id);
    services.record(act).await?;
    Ok(Page::new(PaymentPage {
        frame: desk.frame(Section::Payments),
        file,
        refunds: refunds.rows,
        calls,
        result: result.and_then(words::payments::asked),
    }))
}

fn newest<I>() -> Wanted<I> {
    Wanted {
        limit: RELATED,
        cursor: Cursor::Newest,
    }
}

async fn calls_about(
    services: &Services,
    desk: &Desk<Viewer>,
    subject: String,
) -> Result<Vec<CallFile>, ServiceError> {
    let about = CallFilter {
        subject: Some(subject),
        ..CallFilter::default()
    };
    let calls = services.call_files(desk.shop.id, &about, &newest()).await?;
    Ok(calls.rows)
}

#[post("/<_>/payments/<id>/ask", data = "<form>")]
async fn ask(
    desk: Desk<Operator>,
    id: &str,
    form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let id: PaymentId = id.parse().map_err(|_| Trouble::not_found())?;
    let given = key_of(&form.0.idempotency_key)?;
    let key = format!("ask {} {id} {given}", desk.person().id);
    let now = services.clock.now();
    let work = || async {
        let act = desk.act(Action::PaymentAsk).about("payment", id);
        let ask = services.ask_now(desk.shop.id, id);
        match services.on_record(act, ask).await {
            Ok(()) => Ok("asked".to_owned()),
            Err(ServiceError::Refused {
                code: Refusal::ProviderUnavailable,
                ..
            }) => Ok("silent".to_owned()),
            Err(error) => Err(error),
        }
    };
    let result = services.forms.run(&key, now, work).await?;
    let back = desk.url(&format!("payments/{id}?result={result}"));
    Ok(Redirect::to(back))
}

#[get("/<_>/refunds?<asked..>")]
async fn refunds(
    desk: Desk<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<RefundList>, Trouble> {
    let shop = desk.shop.id;
    let mut filter = Filter::new(desk.url("refunds"));
    let statuses = RefundStatus::ALL.iter();
    let statuses =
        statuses.map(|status| (status.as_str(), words::payments::refund_status(*status)));
    let reasons = RefundReason::ALL.iter();
    let reasons = reasons.map(|reason| (reason.as_str(), words::payments::refund_reason(*reason)));
    let wanted = RefundFilter {
        status: filter.chosen(
            "status",
            words::lists::STATUS,
            asked.status.as_ref(),
            statuses.collect(),
        ),
        reason: filter.chosen(
            "reason",
            words::lists::REASON,
            asked.reason.as_ref(),
            reasons.collect(),
        ),
        order: filter.order(services, shop, &asked).await?,
        payment: None,
        made: filter.days(&asked),
    };
    let page = page_of(&asked);
    let found = match filter.is_good() {
        true => services.refund_files(shop, &wanted, &page).await?,
        false => nothing(),
    };
    services.record(desk.act(Action::RefundsView)).await?;
    Ok(Page::new(RefundList {
        ways: Ways::of(&filter, &page, &found, |file| file.refund.id),
        rows: found.rows,
        frame: desk.frame(Section::Refunds),
        filter,
    }))
}

#[get("/<_>/refunds/<id>")]
async fn refund(
    desk: Desk<Viewer>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Page<RefundPage>, Trouble> {
    let id = id.parse().map_err(|_| Trouble::not_found())?;
    let file = services.refund_file(desk.shop.id, id).await?;
    let calls = calls_about(services, &desk, id.to_string()).await?;
    let act = desk.act(Action::RefundsView).about("refund", id);
    services.record(act).await?;
    let name = services.staff_name(&file.actor).await?;
    Ok(Page::new(RefundPage {
        frame: desk.frame(Section::Refunds),
        actor: words::timeline::person(&file.actor, name),
        file,
        calls,
    }))
}
