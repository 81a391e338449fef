//! Notes on an order: what colleagues should know. They are added, never changed.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use rocket::response::Redirect;
use rocket::{FromForm, Responder, Route, State, post, routes};

use super::actions::key_of;
use super::csrf::Csrf;
use super::guard::{Desk, Operator};
use super::page::{Frame, Page, Section};
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::Action;
use crate::domain::ids::OrderId;
use crate::domain::staff::Role;
use crate::domain::time::Timestamp;
use crate::service::{Caller, ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![add]
}

/// A note, as it is shown.
struct NoteView {
    text: Option<String>,
    author: Option<String>,
    at: Timestamp,
}

/// The notes on an order with the form that adds one, as the order's page shows them.
#[derive(Template)]
#[template(path = "notes/list.html", config = "src/staff/templates/askama.toml")]
pub struct Notes {
    notes: Vec<NoteView>,
    base: String,
    csrf: String,
    may_add: bool,
}

impl HtmlSafe for Notes {}

impl Notes {
    /// Of an order, for somebody with this role; `base` is the address of the order's page.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an order that is not there or another shop's.
    pub async fn of(
        services: &Services,
        caller: &Caller,
        order: OrderId,
        base: String,
        (csrf, role): (&str, Role),
    ) -> Result<Notes, ServiceError> {
        let mut names: HashMap<String, Option<String>> = HashMap::new();
        let mut notes = Vec::new();
        for note in services.notes(caller, order).await? {
            if !names.contains_key(&note.author) {
                let name = services.staff_name(&note.author).await?;
                names.insert(note.author.clone(), name);
            }
            notes.push(NoteView {
                text: note.text,
                author: names.get(&note.author).cloned().flatten(),
                at: note.created_at,
            });
        }
        Ok(Notes {
            notes,
            base,
            csrf: csrf.to_owned(),
            may_add: role.includes(Role::Operator),
        })
    }
}

/// What is typed.
#[derive(FromForm)]
struct Typed {
    #[field(default = String::new())]
    text: String,
    #[field(default = String::new())]
    idempotency_key: String,
}

/// The form once more, with what was typed and what is wrong with it.
#[derive(Template)]
#[template(path = "notes/again.html", config = "src/staff/templates/askama.toml")]
struct AgainPage {
    frame: Frame,
    number: String,
    base: String,
    wrong: String,
    text: String,
}

/// What came of a note.
#[derive(Responder)]
enum Added {
    Done(Redirect),
    Again(Page<AgainPage>),
}

#[post("/<_>/orders/<id>/notes", data = "<form>")]
async fn add(
    desk: Desk<Operator>,
    id: &str,
    form: Csrf<Typed>,
    services: &State<Arc<Services>>,
) -> Result<Added, Trouble> {
    let order: OrderId = id.parse().map_err(|_| Trouble::not_found())?;
    let (caller, key) = (desk.caller(), key_of(&form.0.idempotency_key)?);
    let standing = services.standing(&caller, order).await?;
    let act = desk.act(Action::OrderNote).about("order", order);
    let add = services.add_note(&caller, key, order, &form.0.text);
    match services.on_record(act, add).await {
        Ok(()) => {
            let page = desk.url(&format!("orders/{order}?done=noted"));
            Ok(Added::Done(Redirect::to(page)))
        }
        Err(ServiceError::Invalid(faults)) => {
            let why: Vec<&str> = faults.iter().map(|(_, why)| why.as_str()).collect();
            Ok(Added::Again(Page::again(AgainPage {
                frame: desk.frame(Section::Orders),
                number: standing.number,
                base: desk.url(&format!("orders/{order}")),
                wrong: words::notes::wrong(&why.join("; ")),
                text: form.0.text,
            })))
        }
        Err(error) => Err(error.into()),
    }
}
