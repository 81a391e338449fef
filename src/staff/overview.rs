//! The first page: a shop's overview, or what to do while there is no shop.

use askama::Template;
use rocket::response::Redirect;
use rocket::{Responder, Route, get, routes};

use super::guard::{Desk, Staff, Viewer, shop_url};
use super::page::{Frame, Page, Section};
use super::{parts, words};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![start, overview]
}

#[derive(Template)]
#[template(
    path = "overview/no_shop.html",
    config = "src/staff/templates/askama.toml"
)]
struct NoShop {
    frame: Frame,
}

#[derive(Template)]
#[template(
    path = "overview/overview.html",
    config = "src/staff/templates/askama.toml"
)]
struct Overview {
    frame: Frame,
}

/// Where somebody begins.
#[derive(Responder)]
enum Start {
    Shop(Redirect),
    None(Page<NoShop>),
}

#[get("/")]
fn start(staff: Staff<Viewer>) -> Start {
    match staff.shops.first() {
        Some(shop) => Start::Shop(Redirect::to(shop_url(shop.id, ""))),
        None => Start::None(Page::new(NoShop {
            frame: staff.frame(Section::Own),
        })),
    }
}

#[get("/<_>")]
fn overview(desk: Desk<Viewer>) -> Page<Overview> {
    Page::new(Overview {
        frame: desk.frame(Section::Overview),
    })
}
