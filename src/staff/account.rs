//! Somebody's own account: where they are signed in, and their password.

use std::sync::Arc;

use askama::Template;
use rocket::http::CookieJar;
use rocket::response::Redirect;
use rocket::{FromForm, Responder, Route, State, get, post, routes};

use super::csrf::Csrf;
use super::guard::{Staff, Viewer};
use super::page::{Frame, Page, Section};
use super::session::{Nothing, forget, remember};
use super::tries::Tries;
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::ids::StaffSessionId;
use crate::service::staff::{SessionRecord, StaffRecord};
use crate::service::{ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![show, end_session, sign_out_everywhere, change_password]
}

#[derive(Template)]
#[template(
    path = "account/account.html",
    config = "src/staff/templates/askama.toml"
)]
struct AccountPage {
    frame: Frame,
    person: StaffRecord,
    shop: Option<String>,
    sessions: Vec<SessionRecord>,
    this: StaffSessionId,
    wrong_present: Option<String>,
    wrong_new: Option<String>,
}

impl AccountPage {
    async fn draw(staff: &Staff<Viewer>, services: &Services) -> Result<AccountPage, ServiceError> {
        let only = staff.person.shop;
        let shop = staff.shops.iter().find(|shop| Some(shop.id) == only);
        Ok(AccountPage {
            frame: staff.frame(Section::Own),
            sessions: services.sessions_of(staff.person.id).await?,
            person: staff.person.clone(),
            shop: shop.map(|shop| shop.name.clone()),
            this: staff.session.record.id,
            wrong_present: None,
            wrong_new: None,
        })
    }
}

/// What is typed to change a password.
#[derive(FromForm)]
struct Passwords {
    #[field(default = String::new())]
    present: String,
    #[field(default = String::new())]
    new: String,
    #[field(default = String::new())]
    again: String,
}

/// The page again, or the way to it.
#[derive(Responder)]
enum Changed {
    Again(Box<Page<AccountPage>>),
    Done(Box<Redirect>),
}

#[get("/account")]
async fn show(
    staff: Staff<Viewer>,
    services: &State<Arc<Services>>,
) -> Result<Page<AccountPage>, Trouble> {
    Ok(Page::new(AccountPage::draw(&staff, services).await?))
}

#[post("/account/sessions/<id>/end", data = "<_form>")]
async fn end_session(
    staff: Staff<Viewer>,
    id: &str,
    _form: Csrf<Nothing>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let id: StaffSessionId = id.parse().map_err(|_| Trouble::not_found())?;
    services
        .end_sessions(&staff.who, staff.person.id, Some(id))
        .await?;
    Ok(Redirect::to("/staff/account?done=session-ended"))
}

#[post("/account/sign-out", data = "<_form>")]
async fn sign_out_everywhere(
    staff: Staff<Viewer>,
    _form: Csrf<Nothing>,
    cookies: &CookieJar<'_>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    services
        .end_sessions(&staff.who, staff.person.id, None)
        .await?;
    forget(cookies);
    Ok(Redirect::to("/staff/sign-in?done=signed-out-everywhere"))
}

#[post("/account/password", data = "<form>")]
async fn change_password(
    staff: Staff<Viewer>,
    form: Csrf<Passwords>,
    tries: Tries<'_>,
    cookies: &CookieJar<'_>,
    services: &State<Arc<Services>>,
) -> Result<Changed, Trouble> {
    let typed = form.0;
    let mut page = AccountPage::draw(&staff, services).await?;
    if typed.new != typed.again {
        page.wrong_new = Some(words::account::DIFFER.to_owned());
        return Ok(Changed::Again(Box::new(Page::again(page))));
    }
    let this = tries.begin(&staff.person.email).await?;
    let changed = services
        .change_password(&staff.who, &staff.session, typed.present, typed.new)
        .await;
    match changed {
        Ok(Some(token)) => {
            this.succeeded();
            remember(cookies, token);
            let done = Redirect::to("/staff/account?done=password-changed");
            return Ok(Changed::Done(Box::new(done)));
        }
        Ok(None) => page.wrong_present = Some(words::account::WRONG_PRESENT.to_owned()),
        Err(ServiceError::Invalid(wrong)) => {
            this.succeeded();
            let why = wrong.first().map(|(_, why)| why.as_str());
            page.wrong_new = why.map(words::account::bad_password);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Changed::Again(Box::new(Page::again(page))))
}
