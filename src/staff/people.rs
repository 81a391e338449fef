//! People of the console: who there is, and adding somebody.

use std::sync::Arc;

use askama::Template;
use rocket::{FromForm, Responder, Route, State, get, post, routes};

use super::csrf::Csrf;
use super::guard::{Admin, Staff};
use super::page::{Frame, Page, Section};
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::Action;
use crate::domain::ids::ShopId;
use crate::domain::staff::Role;
use crate::service::audit::Act;
use crate::service::people::NewPerson;
use crate::service::staff::{ShopRecord, StaffRecord};
use crate::service::{ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![list, add]
}

/// One line of the list.
struct Line {
    person: StaffRecord,
    shop: Option<String>,
    sessions: u64,
}

#[derive(Template)]
#[template(path = "people/list.html", config = "src/staff/templates/askama.toml")]
struct PeoplePage {
    frame: Frame,
    lines: Vec<Line>,
    shops: Vec<ShopRecord>,
    typed: Typed,
    wrong: Vec<String>,
}

/// The password of somebody, shown once.
#[derive(Template)]
#[template(path = "people/given.html", config = "src/staff/templates/askama.toml")]
pub(super) struct GivenPage {
    pub(super) frame: Frame,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) password: String,
}

/// What is typed to add somebody.
#[derive(FromForm, Default)]
struct Typed {
    #[field(default = String::new())]
    email: String,
    #[field(default = String::new())]
    name: String,
    #[field(default = String::new())]
    role: String,
    #[field(default = String::new())]
    shop: String,
}

/// The list again, or the password of whoever was added.
#[derive(Responder)]
enum Added {
    Again(Page<PeoplePage>),
    Given(Page<GivenPage>),
}

/// The name of the only shop somebody may see.
pub(super) fn shop_name(shops: &[ShopRecord], only: Option<ShopId>) -> Option<String> {
    let shop = shops.iter().find(|shop| Some(shop.id) == only);
    shop.map(|shop| shop.name.clone())
}

impl PeoplePage {
    async fn draw(
        staff: &Staff<Admin>,
        services: &Services,
        typed: Typed,
    ) -> Result<PeoplePage, ServiceError> {
        let (people, sessions) = services.people().await?;
        let lines = people.into_iter().map(|person| Line {
            shop: shop_name(&staff.shops, person.shop),
            sessions: sessions.get(&person.id).copied().unwrap_or(0),
            person,
        });
        Ok(PeoplePage {
            frame: staff.frame(Section::Own),
            lines: lines.collect(),
            shops: staff.shops.clone(),
            typed,
            wrong: Vec::new(),
        })
    }
}

#[get("/people")]
async fn list(
    staff: Staff<Admin>,
    services: &State<Arc<Services>>,
) -> Result<Page<PeoplePage>, Trouble> {
    let page = PeoplePage::draw(&staff, services, Typed::default()).await?;
    let act = Act::new(&staff.who, Action::PeopleView);
    services.record(act).await?;
    Ok(Page::new(page))
}

#[post("/people", data = "<form>")]
async fn add(
    staff: Staff<Admin>,
    form: Csrf<Typed>,
    services: &State<Arc<Services>>,
) -> Result<Added, Trouble> {
    let typed = form.0;
    let password = services.generated_password();
    let only = match typed.shop.as_str() {
        "" => Ok(None),
        id => id.parse().map(Some),
    };
    let known = |only: &Option<ShopId>| {
        only.is_none_or(|only| staff.shops.iter().any(|shop| shop.id == only))
    };
    let only = only.ok().filter(known);
    let (Ok(role), Some(only)) = (typed.role.parse::<Role>(), only) else {
        return Err(Trouble::not_found());
    };
    let person = NewPerson {
        email: typed.email.clone(),
        name: typed.name.clone(),
        role,
        shop: only,
        password: password.clone(),
    };
    match services.add_person(&staff.who, person).await {
        Ok(id) => {
            let person = services.person(id).await?;
            Ok(Added::Given(Page::new(GivenPage {
                frame: staff.frame(Section::Own),
                name: person.name,
                email: person.email,
                password,
            })))
        }
        Err(ServiceError::Invalid(wrong)) => {
            let mut page = PeoplePage::draw(&staff, services, typed).await?;
            let wrong = wrong.iter();
            page.wrong = wrong
                .map(|(field, why)| words::people::wrong(field, why))
                .collect();
            Ok(Added::Again(Page::again(page)))
        }
        Err(error) => Err(error.into()),
    }
}
