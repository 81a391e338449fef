//! `/pay/{cs_id}`: the page on which a customer pays, in plain HTML forms.
use std::sync::Arc;

use askama::Template;
use rocket::form::Form;
use rocket::http::ContentType;
use rocket::{FromForm, Route, State, get, post, routes};

use super::reply::Reply;
use super::views::{
    self, ConfirmPage, NoticePage, PayPage, TestCard, failed_confirmation, success_url,
};
use crate::simulator::acts::pay::{self, Card};
use crate::simulator::objects::intent::IntentStatus;
use crate::simulator::objects::session::{Session, SessionStatus};
use crate::simulator::shared::Shared;
use crate::simulator::world::World;

/// The pages' routes.
pub fn routes() -> Vec<Route> {
    routes![show, submit, ask, decide]
}

#[derive(FromForm)]
struct Payment {
    #[field(default = String::new())]
    card_number: String,
    #[field(default = String::new())]
    email: String,
}

#[derive(FromForm)]
struct Decision {
    #[field(default = String::new())]
    outcome: String,
}

#[get("/<id>")]
fn show(id: &str, shared: &State<Arc<Shared>>) -> Reply {
    with_session(shared, id, |_, session| match NoticePage::closed(session) {
        Some(notice) => page(200, &notice),
        None => page(200, &PayPage::new(session, None)),
    })
}

#[post("/<id>", data = "<payment>")]
fn submit(id: &str, payment: Form<Payment>, shared: &State<Arc<Shared>>) -> Reply {
    with_session(shared, id, |world, session| {
        if let Some(reply) = over(session) {
            return reply;
        }
        let Some(test_card) = TestCard::of_number(&payment.card_number) else {
            let error = "Your card number is invalid. Use one of the test cards below.";
            return page(402, &PayPage::new(session, Some(error.into())));
        };
        let card = Card {
            email: email(&payment.email, session),
            ..test_card.card()
        };
        if test_card == TestCard::Confirms {
            return match pay::require_action(world, id) {
                Ok(()) => see_other(format!("/pay/{id}/confirm")),
                Err(_) => page(
                    409,
                    &PayPage::new(session, Some("Please try again.".into())),
                ),
            };
        }
        match test_card.decline() {
            Some(decline) => declined(world, session, &card, decline),
            None => paid(world, session, &card),
        }
    })
}

#[get("/<id>/confirm")]
fn ask(id: &str, shared: &State<Arc<Shared>>) -> Reply {
    with_session(shared, id, |world, session| {
        match NoticePage::closed(session) {
            Some(notice) => page(200, &notice),
            None if awaits_confirmation(world, session) => page(200, &ConfirmPage::new(session)),
            None => see_other(format!("/pay/{id}")),
        }
    })
}

#[post("/<id>/confirm", data = "<decision>")]
fn decide(id: &str, decision: Form<Decision>, shared: &State<Arc<Shared>>) -> Reply {
    with_session(shared, id, |world, session| {
        if let Some(reply) = over(session) {
            return reply;
        }
        if !awaits_confirmation(world, session) {
            return see_other(format!("/pay/{id}"));
        }
        let card = Card {
            email: email("", session),
            ..TestCard::Confirms.card()
        };
        match decision.outcome.as_str() {
            "complete" => paid(world, session, &card),
            _ => declined(world, session, &card, failed_confirmation()),
        }
    })
}

/// The answer to a form of a session that is no longer open: a double click ends where one would.
fn over(session: &Session) -> Option<Reply> {
    match session.status {
        SessionStatus::Open => None,
        SessionStatus::Complete => Some(see_other(success_url(session))),
        SessionStatus::Expired => NoticePage::closed(session).map(|notice| page(410, &notice)),
    }
}

fn paid(world: &mut World, session: &Session, card: &Card) -> Reply {
    match pay::pay(world, &session.id, card) {
        Ok(()) => see_other(success_url(session)),
        Err(_) => page(
            409,
            &PayPage::new(session, Some("Please try again.".into())),
        ),
    }
}

fn declined(
    world: &mut World,
    session: &Session,
    card: &Card,
    decline: crate::simulator::objects::charge::Decline,
) -> Reply {
    let message = decline.message.clone();
    let shown = match pay::decline(world, &session.id, card, decline) {
        Ok(()) => message,
        Err(_) => "Please try again.".into(),
    };
    page(402, &PayPage::new(session, Some(shown)))
}

fn awaits_confirmation(world: &World, session: &Session) -> bool {
    let intent = session
        .payment_intent
        .as_deref()
        .and_then(|id| world.intents.get(id));
    intent.is_some_and(|intent| intent.status == IntentStatus::RequiresAction)
}

fn email(typed: &str, session: &Session) -> Option<String> {
    let typed = Some(typed.trim().to_owned()).filter(|typed| typed.contains('@'));
    typed.or_else(|| session.customer_email.clone())
}

fn with_session(
    shared: &Shared,
    id: &str,
    answer: impl FnOnce(&mut World, &Session) -> Reply,
) -> Reply {
    shared.with(|world| match world.sessions.get(id).cloned() {
        Some(session) => answer(world, &session),
        None => page(404, &NoticePage::not_found()),
    })
}

fn see_other(target: String) -> Reply {
    Reply::text(303, ContentType::Plain, String::new()).with("Location", target)
}

fn page(status: u16, template: &impl Template) -> Reply {
    match template.render() {
        Ok(html) => Reply::text(status, ContentType::HTML, html)
            .with("Cache-Control", "no-store")
            .with("Content-Security-Policy", views::CONTENT_POLICY),
        Err(error) => Reply::text(500, ContentType::Plain, error.to_string()),
    }
}
