//! One person of the console: their role, their sessions, their password.

use std::sync::Arc;

use askama::Template;
use rocket::response::Redirect;
use rocket::{FromForm, Responder, Route, State, get, post, routes};

use super::csrf::Csrf;
use super::guard::{Admin, Staff};
use super::page::{Frame, Page, Section};
use super::people::{GivenPage, shop_name};
use super::session::Nothing;
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::Action;
use crate::domain::ids::StaffId;
use crate::domain::staff::Role;
use crate::service::audit::Act;
use crate::service::people::Change;
use crate::service::staff::{SessionRecord, StaffRecord};
use crate::service::{ServiceError, Services};

/// The routes. A shop's pages have the form of these addresses, so these come first.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![
        show,
        change_role,
        disable,
        enable,
        reset_password,
        end_sessions
    ]
}

#[derive(Template)]
#[template(
    path = "people/person.html",
    config = "src/staff/templates/askama.toml"
)]
struct PersonPage {
    frame: Frame,
    person: StaffRecord,
    shop: Option<String>,
    sessions: Vec<SessionRecord>,
    wrong: Vec<String>,
}

impl PersonPage {
    async fn draw(
        staff: &Staff<Admin>,
        services: &Services,
        id: StaffId,
    ) -> Result<PersonPage, ServiceError> {
        let person = services.person(id).await?;
        Ok(PersonPage {
            frame: staff.frame(Section::Own),
            shop: shop_name(&staff.shops, person.shop),
            sessions: services.sessions_of(id).await?,
            person,
            wrong: Vec::new(),
        })
    }
}

/// What is chosen to change a role.
#[derive(FromForm)]
struct Chosen {
    #[field(default = String::new())]
    role: String,
}

/// The page again, or the way to it.
#[derive(Responder)]
enum Changed {
    Again(Box<Page<PersonPage>>),
    Done(Box<Redirect>),
}

fn id_of(text: &str) -> Result<StaffId, Trouble> {
    text.parse().map_err(|_| Trouble::not_found())
}

fn done(id: StaffId, code: &str) -> Redirect {
    Redirect::to(format!("/staff/people/{id}?done={code}"))
}

async fn change(
    staff: &Staff<Admin>,
    services: &Services,
    id: &str,
    what: Change,
    code: &str,
) -> Result<Changed, Trouble> {
    let id = id_of(id)?;
    match services.change_person(&staff.who, id, what).await {
        Ok(true) => Ok(Changed::Done(Box::new(done(id, code)))),
        Ok(false) => Ok(Changed::Done(Box::new(done(id, "unchanged")))),
        Err(ServiceError::Invalid(wrong)) => {
            let mut page = PersonPage::draw(staff, services, id).await?;
            let wrong = wrong.iter();
            page.wrong = wrong
                .map(|(field, why)| words::people::wrong(field, why))
                .collect();
            Ok(Changed::Again(Box::new(Page::again(page))))
        }
        Err(error) => Err(error.into()),
    }
}

#[get("/people/<id>")]
async fn show(
    staff: Staff<Admin>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Page<PersonPage>, Trouble> {
    let id = id_of(id)?;
    let page = PersonPage::draw(&staff, services, id).await?;
    let act = Act::new(&staff.who, Action::PeopleView).about("person", id);
    services.record(act).await?;
    Ok(Page::new(page))
}

#[post("/people/<id>/role", data = "<form>")]
async fn change_role(
    staff: Staff<Admin>,
    id: &str,
    form: Csrf<Chosen>,
    services: &State<Arc<Services>>,
) -> Result<Changed, Trouble> {
    let role: Role = form.0.role.parse().map_err(|_| Trouble::not_found())?;
    change(&staff, services, id, Change::Role(role), "role-changed").await
}

#[post("/people/<id>/disable", data = "<_form>")]
async fn disable(
    staff: Staff<Admin>,
    id: &str,
    _form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Changed, Trouble> {
    change(&staff, services, id, Change::Disable, "person-disabled").await
}

#[post("/people/<id>/enable", data = "<_form>")]
async fn enable(
    staff: Staff<Admin>,
    id: &str,
    _form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Changed, Trouble> {
    change(&staff, services, id, Change::Enable, "person-enabled").await
}

#[post("/people/<id>/password", data = "<_form>")]
async fn reset_password(
    staff: Staff<Admin>,
    id: &str,
    _form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Page<GivenPage>, Trouble> {
    let person = services.person(id_of(id)?).await?;
    let password = services.reset_password(&staff.who, person.id).await?;
    Ok(Page::new(GivenPage {
        frame: staff.frame(Section::Own),
        name: person.name,
        email: person.email,
        password,
    }))
}

#[post("/people/<id>/sign-out", data = "<_form>")]
async fn end_sessions(
    staff: Staff<Admin>,
    id: &str,
    _form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let person = services.person(id_of(id)?).await?;
    services.end_sessions(&staff.who, person.id, None).await?;
    Ok(done(person.id, "sessions-ended"))
}
