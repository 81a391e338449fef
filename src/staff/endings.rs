//! How reserved money ends: it is taken, all of it or a part, or released. As with the other actions, a page says what
//! will happen, and its form does that.

use std::sync::Arc;

use askama::Template;
use rocket::{Responder, Route, State, get, post, routes};

use super::actions::{
    Confirmed, Outcome, PreviewPage, RefusedPage, ended, key_of, moved, order_id, previewed,
    refused,
};
use super::csrf::Csrf;
use super::effect::Effect;
use super::guard::{Desk, Finance};
use super::page::{Frame, Page, Section};
use super::trouble::Trouble;
use super::{amounts, parts, words};
use crate::domain::audit;
use crate::domain::currency::Currency;
use crate::domain::ids::{OrderId, PaymentId};
use crate::service::actions::Action;
use crate::service::payments::Ending;
use crate::service::{Caller, ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![capture_form, capture, void_form, void]
}

/// What a capture takes and what it does, with the field that says how much.
#[derive(Template)]
#[template(
    path = "actions/capture.html",
    config = "src/staff/templates/askama.toml"
)]
struct CapturePage {
    frame: Frame,
    number: String,
    back: String,
    typed: String,
    hint: String,
    wrong: Option<String>,
    effect: Option<Effect>,
    version: String,
    button: String,
}

/// A preview, or why there is none.
#[derive(Responder)]
enum Shown {
    Capture(Box<Page<CapturePage>>),
    Release(Box<Page<PreviewPage>>),
    Refused(Box<Page<RefusedPage>>),
}

/// Reads how much is to be taken; none when all is meant.
fn part(typed: &str, currency: Currency) -> Result<Option<String>, String> {
    match typed.trim() {
        "" => Ok(None),
        typed => Ok(Some(amounts::read(typed, currency)?.to_string())),
    }
}

/// A payment that is this order's.
async fn payment_of(
    services: &Services,
    caller: &Caller,
    order: OrderId,
    payment: &str,
) -> Result<PaymentId, Trouble> {
    let payment = payment.parse().map_err(|_| Trouble::not_found())?;
    let found = services.payment(caller, payment).await?;
    match found.order_id == order {
        true => Ok(payment),
        false => Err(Trouble::not_found()),
    }
}

/// What a capture of a part will do, or of everything.
async fn capture_foretold(
    desk: &Desk<Finance>,
    services: &Services,
    (order, payment): (OrderId, PaymentId),
    typed: &str,
) -> Result<Shown, Trouble> {
    let standing = services.standing(&desk.caller(), order).await?;
    let known = standing.payment(payment).ok_or_else(Trouble::not_found)?;
    let mut page = CapturePage {
        frame: desk.frame(Section::Orders),
        number: standing.number.clone(),
        back: desk.url(&format!("orders/{order}")),
        typed: typed.trim().to_owned(),
        hint: words::actions::capture_hint(&parts::money_text(&known.reserved)),
        wrong: None,
        effect: None,
        version: String::new(),
        button: String::new(),
    };
    let again = |page: CapturePage, wrong: String| {
        let page = CapturePage {
            wrong: Some(wrong),
            ..page
        };
        Ok(Shown::Capture(Box::new(Page::again(page))))
    };
    let amount = match part(typed, known.currency) {
        Ok(amount) => amount,
        Err(wrong) => return again(page, wrong),
    };
    match previewed(desk, services, order, &Action::Capture(payment, amount)).await {
        Ok((preview, customer)) => {
            let taken = moved(&preview);
            let no_undo = Some(words::actions::NO_UNDO_CAPTURE);
            page.effect = Some(Effect::of(&preview, customer.as_deref(), no_undo));
            page.version = preview.version;
            page.button = words::actions::capture_amount(&taken);
            Ok(Shown::Capture(Box::new(Page::new(page))))
        }
        Err(ServiceError::Invalid(faults)) => {
            let faults: Vec<String> = faults.iter().map(words::actions::fault).collect();
            again(page, faults.join(" "))
        }
        Err(error) => {
            let back = format!("orders/{order}");
            let page = refused(desk, services, order, &back, error).await?;
            Ok(Shown::Refused(Box::new(page)))
        }
    }
}

/// Takes or releases reserved money, and leads back to the order.
async fn carried_out(
    desk: &Desk<Finance>,
    services: &Arc<Services>,
    (order, payment): (OrderId, PaymentId),
    form: &Confirmed,
    ending: Ending,
) -> Result<Outcome, Trouble> {
    let (caller, key) = (desk.caller(), key_of(&form.idempotency_key)?);
    let (action, verb, done) = match ending {
        Ending::Capture(_) => (audit::Action::PaymentCapture, "capture", "captured"),
        Ending::Void => (audit::Action::PaymentVoid, "void", "released"),
    };
    let act = desk.act(action).about("payment", payment);
    let caller = caller.having_seen(&form.version, None);
    let end = services.end_payment(&caller, key, payment, ending);
    let answer = services.on_record(act, end).await;
    let again = format!("orders/{order}/payments/{payment}/{verb}");
    ended(desk, services, order, &again, answer, done).await
}

#[get("/<_>/orders/<id>/payments/<payment>/capture?<amount>")]
async fn capture_form(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    amount: Option<&str>,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    let order = order_id(id)?;
    let payment = payment_of(services, &desk.caller(), order, payment).await?;
    capture_foretold(
        &desk,
        services,
        (order, payment),
        amount.unwrap_or_default(),
    )
    .await
}

#[post("/<_>/orders/<id>/payments/<payment>/capture", data = "<form>")]
async fn capture(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    form: Csrf<Confirmed>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let order = order_id(id)?;
    let payment = payment_of(services, &desk.caller(), order, payment).await?;
    let standing = services.standing(&desk.caller(), order).await?;
    let known = standing.payment(payment).ok_or_else(Trouble::not_found)?;
    match part(&form.0.amount, known.currency) {
        Ok(amount) => {
            let ending = Ending::Capture(amount);
            carried_out(&desk, services, (order, payment), &form.0, ending).await
        }
        Err(wrong) => {
            let again = format!("orders/{order}/payments/{payment}/capture");
            let error = ServiceError::Invalid(vec![(String::new(), wrong)]);
            let page = refused(&desk, services, order, &again, error).await?;
            Ok(Outcome::Refused(page))
        }
    }
}

#[get("/<_>/orders/<id>/payments/<payment>/void")]
async fn void_form(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    let order = order_id(id)?;
    let payment = payment_of(services, &desk.caller(), order, payment).await?;
    match previewed(&desk, services, order, &Action::Void(payment)).await {
        Ok((preview, customer)) => {
            let released = moved(&preview);
            let no_undo = Some(words::actions::NO_UNDO_VOID);
            let page = PreviewPage {
                frame: desk.frame(Section::Orders),
                title: words::actions::VOID,
                number: preview.standing.number.clone(),
                back: desk.url(&format!("orders/{order}")),
                effect: Effect::of(&preview, customer.as_deref(), no_undo),
                hidden: vec![("version".to_owned(), preview.version.clone())],
                key: parts::fresh_key(),
                button: words::actions::void_amount(&released),
            };
            Ok(Shown::Release(Box::new(Page::new(page))))
        }
        Err(error) => {
            let back = format!("orders/{order}");
            let page = refused(&desk, services, order, &back, error).await?;
            Ok(Shown::Refused(Box::new(page)))
        }
    }
}

#[post("/<_>/orders/<id>/payments/<payment>/void", data = "<form>")]
async fn void(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    form: Csrf<Confirmed>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let order = order_id(id)?;
    let payment = payment_of(services, &desk.caller(), order, payment).await?;
    carried_out(&desk, services, (order, payment), &form.0, Ending::Void).await
}
