//! How reserved money ends: it is taken, all of it or a part, or released. As with the other actions, a page says what
//! will happen, and its form does that.

use std::sync::Arc;

use rocket::{Responder, Route, State, get, post, routes};

use super::actions::{
    Confirmed, Outcome, PreviewPage, RefusedPage, ended, key_of, order_id, previewed, refused,
};
use super::csrf::Csrf;
use super::effect::Effect;
use super::guard::{Desk, Finance};
use super::page::{Page, Section};
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit;
use crate::domain::ids::{OrderId, PaymentId};
use crate::service::actions::Action;
use crate::service::payments::Ending;
use crate::service::{Caller, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![capture_form, capture, void_form, void]
}

/// A preview, or why there is none.
#[derive(Responder)]
enum Shown {
    Preview(Box<Page<PreviewPage>>),
    Refused(Box<Page<RefusedPage>>),
}

/// The amount that was typed; none when all is meant.
fn typed(amount: &str) -> Option<String> {
    Some(amount.trim().to_owned()).filter(|amount| !amount.is_empty())
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

/// What a capture or a release of a payment will do.
async fn foretold(
    desk: &Desk<Finance>,
    services: &Services,
    (order, payment): (&str, &str),
    ending: &Ending,
) -> Result<Shown, Trouble> {
    let order = order_id(order)?;
    let payment = payment_of(services, &desk.caller(), order, payment).await?;
    let (action, title, no_undo, amount) = match ending {
        Ending::Capture(amount) => (
            Action::Capture(payment, amount.clone()),
            words::actions::CAPTURE,
            words::actions::NO_UNDO_CAPTURE,
            amount.clone().unwrap_or_default(),
        ),
        Ending::Void => (
            Action::Void(payment),
            words::actions::VOID,
            words::actions::NO_UNDO_VOID,
            String::new(),
        ),
    };
    match previewed(desk, services, order, &action).await {
        Ok((preview, customer)) => {
            let moved = preview.moves.first().map(|moved| moved.amount);
            let moved = moved.map_or_else(String::new, |moved| parts::money_text(&moved));
            let page = PreviewPage {
                frame: desk.frame(Section::Orders),
                title,
                number: preview.standing.number.clone(),
                back: desk.url(&format!("orders/{order}")),
                effect: Effect::of(&preview, &customer, Some(no_undo)),
                hidden: vec![
                    ("version".to_owned(), preview.version.clone()),
                    ("amount".to_owned(), amount),
                ],
                button: match ending {
                    Ending::Capture(_) => words::actions::capture_amount(&moved),
                    Ending::Void => words::actions::void_amount(&moved),
                },
            };
            Ok(Shown::Preview(Box::new(Page::new(page))))
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
    (order, payment): (&str, &str),
    form: &Confirmed,
    ending: Ending,
) -> Result<Outcome, Trouble> {
    let order = order_id(order)?;
    let (caller, key) = (desk.caller(), key_of(&form.idempotency_key)?);
    let payment = payment_of(services, &caller, order, payment).await?;
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
    let ending = Ending::Capture(amount.and_then(typed));
    foretold(&desk, services, (id, payment), &ending).await
}

#[post("/<_>/orders/<id>/payments/<payment>/capture", data = "<form>")]
async fn capture(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    form: Csrf<Confirmed>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    let ending = Ending::Capture(typed(&form.0.amount));
    carried_out(&desk, services, (id, payment), &form.0, ending).await
}

#[get("/<_>/orders/<id>/payments/<payment>/void")]
async fn void_form(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    foretold(&desk, services, (id, payment), &Ending::Void).await
}

#[post("/<_>/orders/<id>/payments/<payment>/void", data = "<form>")]
async fn void(
    desk: Desk<Finance>,
    id: &str,
    payment: &str,
    form: Csrf<Confirmed>,
    services: &State<Arc<Services>>,
) -> Result<Outcome, Trouble> {
    carried_out(&desk, services, (id, payment), &form.0, Ending::Void).await
}
