//! What can be done to an order: refund, cancel, open the checkout link again; its payments are ended in `endings`.
//!
//! Each has a page that says what it will do to the money, made by the same functions that do it, and a form with the
//! version of the order that page was drawn from. The form acts through the API's own use cases, and is refused when
//! the order has changed since.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{FromForm, Responder, Route, State, get, post, routes};

use super::csrf::Csrf;
use super::effect::Effect;
use super::guard::{Desk, Finance, Operator, Rung};
use super::page::{Frame, Page, Section};
use super::trouble::Trouble;
use super::{amounts, parts, words};
use crate::domain::audit;
use crate::domain::ids::{LineItemId, OrderId};
use crate::domain::money::Money;
use crate::domain::refund::{NewRefund, RefundReason, RefundShare};
use crate::domain::staff::Role;
use crate::domain::standing::{LineStanding, PaymentStanding, Standing};
use crate::http::problem::Problem;
use crate::http::problem_catalogue::Code;
use crate::service::actions::{Action, Offers, Preview, offers};
use crate::service::checkouts::NewCheckout;
use crate::service::{Answer, Caller, ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![
        refund_form,
        refund,
        cancel_form,
        cancel,
        checkout,
        open_checkout
    ]
}

/// What can be done to an order now, as the order's page shows it.
#[derive(Template)]
#[template(
    path = "actions/strip.html",
    config = "src/staff/templates/askama.toml"
)]
pub struct Strip {
    base: String,
    offers: Offers,
    /// What is left of payments a bank has taken money of: it is not offered, and why is said.
    disputed: Vec<String>,
    money: bool,
    operate: bool,
}

impl HtmlSafe for Strip {}

impl Strip {
    /// Of an order, for somebody with this role; `base` is the address of the order's page.
    #[must_use]
    pub fn of(standing: &Standing, base: String, role: Role) -> Strip {
        Strip {
            base,
            offers: offers(standing),
            disputed: disputed(standing),
            money: role.includes(Role::Finance),
            operate: role.includes(Role::Operator),
        }
    }
}

/// Why what is left of payments with disputes is not offered for a refund, in words.
fn disputed(standing: &Standing) -> Vec<String> {
    let kept = standing.payments.iter();
    let kept = kept.filter(|payment| !payment.disputed.is_zero() && payment.left.minor() > 0);
    kept.map(|payment| {
        let left = parts::money_text(&payment.left);
        words::actions::not_refundable(&left, !payment.open_disputes.is_empty())
    })
    .collect()
}

/// Money that arrived for an order, is not its own and is still here, in words.
fn waiting(standing: &Standing) -> Vec<String> {
    let here = standing.payments.iter();
    let here = here.filter(|payment| !payment.belongs && payment.here.minor() > 0);
    here.map(|payment| words::actions::pays_again(&parts::money_text(&payment.here)))
        .collect()
}

/// A page that says what an action will do, with the form that does it.
#[derive(Template)]
#[template(
    path = "actions/preview.html",
    config = "src/staff/templates/askama.toml"
)]
pub(super) struct PreviewPage {
    pub(super) frame: Frame,
    pub(super) title: &'static str,
    pub(super) number: String,
    pub(super) back: String,
    pub(super) effect: Effect,
    pub(super) hidden: Vec<(String, String)>,
    /// The key of the form that acts.
    pub(super) key: String,
    pub(super) button: String,
}

/// The form that says what is to be refunded.
#[derive(Template)]
#[template(
    path = "actions/refund.html",
    config = "src/staff/templates/askama.toml"
)]
struct RefundPage {
    frame: Frame,
    number: String,
    back: String,
    payments: Vec<PaymentStanding>,
    lines: Vec<LineStanding>,
    wrong: Vec<String>,
    form: RefundForm,
}

impl RefundPage {
    fn new(
        desk: &Desk<Finance>,
        standing: &Standing,
        mut form: RefundForm,
        wrong: Vec<String>,
    ) -> Self {
        if key_of(&form.idempotency_key).is_err() {
            form.idempotency_key = parts::fresh_key();
        }
        let offers = offers(standing);
        let open = |line: &&LineStanding| line.refunded < line.quantity;
        RefundPage {
            frame: desk.frame(Section::Orders),
            number: standing.number.clone(),
            back: desk.url(&format!("orders/{}", standing.order)),
            payments: offers.refundable,
            lines: standing.lines.iter().filter(open).cloned().collect(),
            wrong,
            form,
        }
    }
}

/// The page an order can be paid on.
#[derive(Template)]
#[template(
    path = "actions/checkout.html",
    config = "src/staff/templates/askama.toml"
)]
struct CheckoutPage {
    frame: Frame,
    number: String,
    back: String,
    live: Option<String>,
    warnings: Vec<String>,
    amount: Option<Money>,
    can_make: bool,
    version: String,
}

/// A page that says why nothing was done.
#[derive(Template)]
#[template(
    path = "actions/refused.html",
    config = "src/staff/templates/askama.toml"
)]
pub(super) struct RefusedPage {
    frame: Frame,
    text: String,
    again: String,
    back: String,
}

/// What came of an action.
#[derive(Responder)]
pub(super) enum Outcome {
    /// It was done, or is under way.
    Done(Redirect),
    /// It was not.
    Refused(Page<RefusedPage>),
}

/// A preview, or the form again, or why there is none.
#[derive(Responder)]
enum Shown {
    Preview(Page<PreviewPage>),
    Form(Page<RefundPage>),
    Refused(Page<RefusedPage>),
}

/// What is typed to refund.
#[derive(FromForm, Default, Clone)]
struct RefundForm {
    #[field(default = String::new())]
    share: String,
    #[field(default = String::new())]
    amount: String,
    #[field(default = String::new())]
    payment: String,
    #[field(default = String::new())]
    reason: String,
    quantity: HashMap<String, String>,
    #[field(default = String::new())]
    version: String,
    #[field(default = String::new())]
    idempotency_key: String,
}

impl RefundForm {
    /// What is to be refunded of an order that stands so.
    fn wanted(&self, standing: &Standing) -> Result<NewRefund, String> {
        self.says_one_thing()?;
        let payment = match self.payment.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| words::actions::FROM_PAYMENT)?),
        };
        let share = match self.share.as_str() {
            "rest" => RefundShare::Rest,
            "lines" => {
                let mut lines = Vec::new();
                for (line, quantity) in &self.quantity {
                    let quantity = quantity.trim();
                    if quantity.is_empty() || quantity == "0" {
                        continue;
                    }
                    let line = line.parse().map_err(|_| words::actions::LINES_WRONG)?;
                    let quantity = quantity.parse().map_err(|_| words::actions::LINES_WRONG)?;
                    lines.push((line, quantity));
                }
                lines.sort();
                if lines.is_empty() {
                    return Err(words::actions::LINES_MISSING.to_owned());
                }
                RefundShare::Lines(lines)
            }
            _ => {
                let currency = amounts::currency_of(standing, payment);
                RefundShare::Amount(amounts::read(&self.amount, currency)?.to_string())
            }
        };
        Ok(NewRefund {
            share,
            reason: self.reason.parse::<RefundReason>().ok(),
            payment,
        })
    }

    /// Whether the form was sent, and not only opened.
    fn is_sent(&self) -> bool {
        !self.share.is_empty() || !self.payment.is_empty() || self.has_amount() || self.has_lines()
    }

    fn has_amount(&self) -> bool {
        !self.amount.trim().is_empty()
    }

    fn has_lines(&self) -> bool {
        let mut typed = self.quantity.values().map(|quantity| quantity.trim());
        typed.any(|quantity| !quantity.is_empty() && quantity != "0")
    }

    /// What was typed and not chosen would be left out in silence, and more or less would go back than was meant.
    fn says_one_thing(&self) -> Result<(), String> {
        let agrees = match self.share.as_str() {
            "rest" => !self.has_amount() && !self.has_lines(),
            "amount" => !self.has_lines(),
            "lines" => !self.has_amount(),
            _ => return Err(words::actions::SHARE_MISSING.to_owned()),
        };
        match agrees {
            true => Ok(()),
            false => Err(words::actions::SHARE_CONTRADICTS.to_owned()),
        }
    }

    /// The key of the form that acts: of the form this was typed into, and of what was typed. So a preview that is
    /// gone back to, and drawn anew, has the key it had, and what it does is done once.
    fn key(&self) -> String {
        if key_of(&self.idempotency_key).is_err() || self.idempotency_key.len() > 40 {
            return parts::fresh_key();
        }
        let mut typed = std::hash::DefaultHasher::new();
        self.hidden("").hash(&mut typed);
        format!("{}-{:016x}", self.idempotency_key, typed.finish())
    }

    /// What the form that acts repeats.
    fn hidden(&self, version: &str) -> Vec<(String, String)> {
        let mut hidden: Vec<(String, String)> = self
            .quantity
            .iter()
            .map(|(line, quantity)| (format!("quantity[{line}]"), quantity.clone()))
            .collect();
        hidden.sort();
        for (name, value) in [
            ("share", &self.share),
            ("amount", &self.amount),
            ("payment", &self.payment),
            ("reason", &self.reason),
        ] {
            hidden.push((name.to_owned(), value.clone()));
        }
        hidden.push(("version".to_owned(), version.to_owned()));
        hidden
    }
}

/// How many pieces of a line were typed.
fn typed_of<'a>(form: &'a RefundForm, line: &LineItemId) -> &'a str {
    let typed = form.quantity.get(&line.to_string());
    typed.map_or("0", String::as_str)
}

/// A form that does what its page foretold.
#[derive(FromForm)]
pub(super) struct Confirmed {
    #[field(default = String::new())]
    pub(super) version: String,
    #[field(default = String::new())]
    pub(super) idempotency_key: String,
    #[field(default = String::new())]
    pub(super) amount: String,
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Trouble> {
    text.parse().map_err(|_| Trouble::not_found())
}

/// The key a form was drawn with.
pub(super) fn key_of(given: &str) -> Result<&str, Trouble> {
    let good = (8..=64).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_graphic());
    match good {
        true => Ok(given),
        false => Err(Trouble(Problem::new(
            Code::BadRequest,
            words::actions::KEY_MISSING,
        ))),
    }
}

/// How much money an action moves first, in words.
pub(super) fn moved(preview: &Preview) -> String {
    let first = preview.moves.first();
    first.map_or_else(String::new, |first| parts::money_text(&first.amount))
}

/// Who the order's customer is, in words; none when that is not known.
pub(super) async fn customer_of(
    services: &Services,
    caller: &Caller,
    order: OrderId,
) -> Result<Option<String>, ServiceError> {
    let customer = services.customer(caller, order).await?;
    Ok(match (customer.name, customer.email) {
        (Some(name), Some(email)) => Some(format!("{name} ({email})")),
        (name, email) => name.or(email),
    })
}

/// A page that says why nothing was done; what is our own trouble stays trouble.
pub(super) async fn refused<R: Rung>(
    desk: &Desk<R>,
    services: &Services,
    order: OrderId,
    again: &str,
    error: ServiceError,
) -> Result<Page<RefusedPage>, Trouble> {
    let text = match &error {
        ServiceError::Objected(why) => {
            let by = match why {
                crate::domain::resolution::Objection::Decided { by, .. } => {
                    services.staff_name(by).await?
                }
                _ => None,
            };
            words::actions::objection(why, by.as_deref())
        }
        ServiceError::Refused { detail, .. } => detail.clone(),
        ServiceError::Invalid(faults) => faults
            .iter()
            .map(words::actions::fault)
            .collect::<Vec<_>>()
            .join(" "),
        _ => return Err(error.into()),
    };
    let page = RefusedPage {
        frame: desk.frame(Section::Orders),
        text,
        again: desk.url(again),
        back: desk.url(&format!("orders/{order}")),
    };
    Ok(Page::with_status(Status::Conflict, page))
}

/// What is said of an action: what the object it was about is by now, not what was wished for.
fn told<'a>(done: &'a str, answer: &Answer) -> &'a str {
    if answer.status == 202 {
        return "unknown";
    }
    let about: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match (done, about["object"].as_str(), about["status"].as_str()) {
        ("refunded", Some("refund"), Some("pending")) => "refund-pending",
        ("refunded", Some("refund"), Some("failed")) => "refund-failed",
        ("captured", Some("payment"), Some(status)) if status != "captured" => "unknown",
        ("released", Some("payment"), Some("captured")) => "captured-instead",
        ("cancelled", Some("order"), Some(status)) if status != "cancelled" => "cancelling",
        _ => done,
    }
}

/// Leads back to the order's page with what was done, or says why nothing was.
pub(super) async fn ended<R: Rung>(
    desk: &Desk<R>,
    services: &Services,
    order: OrderId,
    again: &str,
    answer: Result<Answer, ServiceError>,
    done: &str,
) -> Result<Outcome, Trouble> {
    match answer {
        Ok(answer) => {
            let done = told(done, &answer);
            let page = desk.url(&format!("orders/{order}?done={done}"));
            Ok(Outcome::Done(Redirect::to(page)))
        }
        Err(error) => {
            let page = refused(desk, services, order, again, error).await?;
            Ok(Outcome::Refused(page))
        }
    }
}

/// What an action will do, and who the order's customer is; that it was looked at is on record.
pub(super) async fn previewed<R: Rung>(
    desk: &Desk<R>,
    services: &Services,
    order: OrderId,
    action: &Action,
) -> Result<(Preview, Option<String>), ServiceError> {
    let caller = desk.caller();
    let preview = services.preview(&caller, order, action).await?;
    let customer = customer_of(services, &caller, order).await?;
    let act = desk.act(audit::Action::OrderView).about("order", order);
    services.record(act).await?;
    Ok((preview, customer))
}

#[get("/<_>/orders/<id>/refund?<form..>")]
async fn refund_form(
    desk: Desk<Finance>,
    id: &str,
    form: RefundForm,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    let order = order_id(id)?;
    let caller = desk.caller();
    let standing = services.standing(&caller, order).await?;
    if !form.is_sent() {
        let page = RefundPage::new(&desk, &standing, form, Vec::new());
        return Ok(Shown::Form(Page::new(page)));
    }
    let again = |wrong: Vec<String>| {
        let page = RefundPage::new(&desk, &standing, form.clone(), wrong);
        Ok(Shown::Form(Page::again(page)))
    };
    let wanted = match form.wanted(&standing) {
        Ok(wanted) => wanted,
        Err(wrong) => return again(vec![wrong]),
    };
    let action = Action::Refund(wanted);
    match previewed(&desk, services, order, &action).await {
        Ok((preview, customer)) => {
            let amount = moved(&preview);
            let no_undo = Some(words::actions::NO_UNDO_REFUND);
            Ok(Shown::Preview(Page::new(PreviewPage {
                frame: desk.frame(Section::Orders),
                title: words::actions::REFUND,
                number: preview.standing.number.clone(),
                back: desk.url(&format!("orders/{order}")),
                effect: Effect::of(&preview, customer.as_deref(), no_undo),
                hidden: form.hidden(&preview.version),
                key: form.key(),
                button: words::actions::refund_amount(&amount),
            })))
        }
        Err(ServiceError::Invalid(faults)) => {
            again(faults.iter().map(words::actions::fault).collect())
        }
        Err(ServiceError::Refused { detail, .. }) => again(vec![detail]),
        Err(error) => Err(error.into()),
    }
}

#[post("/<_>/orders/<id>/refund", data = "<form>")]
async fn refund(
    desk: Desk<Finance>,
    id: &str,
    form: Csrf<RefundForm>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let (order, form) = (order_id(id)?, form.0);
    let key = key_of(&form.idempotency_key)?;
    let again = format!("orders/{order}/refund");
    let standing = services.standing(&desk.caller(), order).await?;
    let answer = match form.wanted(&standing) {
        Err(wrong) => Err(ServiceError::Invalid(vec![(String::new(), wrong)])),
        Ok(wanted) => {
            let act = desk.act(audit::Action::RefundCreate).about("order", order);
            let caller = desk.caller().having_seen(&form.version, None);
            let refund = services.refund(&caller, key, order, wanted);
            services.on_record(act, refund).await
        }
    };
    ended(&desk, services, order, &again, answer, "refunded").await
}

#[get("/<_>/orders/<id>/cancel")]
async fn cancel_form(
    desk: Desk<Operator>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    let order = order_id(id)?;
    match previewed(&desk, services, order, &Action::Cancel).await {
        Ok((preview, customer)) => Ok(Shown::Preview(Page::new(PreviewPage {
            frame: desk.frame(Section::Orders),
            title: words::actions::CANCEL,
            number: preview.standing.number.clone(),
            back: desk.url(&format!("orders/{order}")),
            effect: Effect::of(
                &preview,
                customer.as_deref(),
                Some(words::actions::NO_UNDO_CANCEL),
            ),
            hidden: vec![("version".to_owned(), preview.version.clone())],
            key: parts::fresh_key(),
            button: words::actions::CANCEL.to_owned(),
        }))),
        Err(error) => {
            let back = format!("orders/{order}");
            let page = refused(&desk, services, order, &back, error).await?;
            Ok(Shown::Refused(page))
        }
    }
}

#[post("/<_>/orders/<id>/cancel", data = "<form>")]
async fn cancel(
    desk: Desk<Operator>,
    id: &str,
    form: Csrf<Confirmed>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let (order, form) = (order_id(id)?, form.0);
    let key = key_of(&form.idempotency_key)?;
    let act = desk.act(audit::Action::OrderCancel).about("order", order);
    let caller = desk.caller().having_seen(&form.version, None);
    let cancel = services.cancel_order(&caller, Some(key), order);
    let answer = services.on_record(act, cancel).await;
    let again = format!("orders/{order}/cancel");
    ended(&desk, services, order, &again, answer, "cancelled").await
}

#[get("/<_>/orders/<id>/checkout")]
async fn checkout(
    desk: Desk<Operator>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Page<CheckoutPage>, Trouble> {
    let order = order_id(id)?;
    let standing = services.standing(&desk.caller(), order).await?;
    let act = desk.act(audit::Action::CheckoutOpen).about("order", order);
    services.record(act).await?;
    let offers = offers(&standing);
    let missing = standing.total.checked_sub(standing.paid).ok();
    Ok(Page::new(CheckoutPage {
        frame: desk.frame(Section::Orders),
        number: standing.number.clone(),
        back: desk.url(&format!("orders/{order}")),
        amount: offers.live.as_ref().map(|live| live.amount).or(missing),
        live: offers.live.and_then(|live| live.url),
        can_make: offers.check_out,
        warnings: waiting(&standing),
        version: standing.version(),
    }))
}

#[post("/<_>/orders/<id>/checkout", data = "<form>")]
async fn open_checkout(
    desk: Desk<Operator>,
    id: &str,
    form: Csrf<Confirmed>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let (order, form) = (order_id(id)?, form.0);
    let key = key_of(&form.idempotency_key)?;
    let caller = desk.caller();
    let standing = services.standing(&caller, order).await?;
    let again = format!("orders/{order}/checkout");
    let Some(last) = standing.sessions.last() else {
        return Err(Trouble::not_found());
    };
    let act = desk.act(audit::Action::CheckoutMake).about("order", order);
    // The addresses were filled in for the session before; the new one fills in its own id.
    let old = last.id.to_string();
    let address = |url: &str| url.replace(&old, "{CHECKOUT_SESSION_ID}");
    let wanted = NewCheckout {
        success_url: address(&last.success_url),
        cancel_url: address(&last.cancel_url),
        capture: last.capture,
    };
    let caller = caller.having_seen(&form.version, None);
    let start = services.start_checkout(&caller, key, order, wanted);
    match services.on_record(act, start).await {
        Ok(answer) => {
            let done = if answer.status == 202 {
                "unknown"
            } else {
                "checkout-made"
            };
            let page = desk.url(&format!("{again}?done={done}"));
            Ok(Outcome::Done(Redirect::to(page)))
        }
        Err(error) => {
            let page = refused(&desk, services, order, &again, error).await?;
            Ok(Outcome::Refused(page))
        }
    }
}
