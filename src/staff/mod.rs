//! The staff console: server-rendered pages under `/staff`.
//!
//! A handler's signature says who may call it: `Staff<Viewer>` for pages of the console itself, `Desk<Viewer>` for
//! pages of a shop. Forms come through `Csrf<T>`. A handler returns a `Page` or a redirect; what goes wrong becomes a
//! page too.
//!
//! To add a page: a file here with its handlers and a `routes()`, templates beside it in `templates/`, its words in
//! `words/`, and one line in [`routes`].

pub mod account;
pub mod actions;
mod amounts;
pub mod assets;
pub mod audit;
pub mod calls;
pub mod chart;
pub mod csrf;
pub mod effect;
pub mod endings;
mod flash;
pub mod guard;
pub mod ledger;
mod ledger_csv;
pub mod listing;
pub mod notes;
pub mod order;
pub mod orders;
pub mod overview;
pub mod page;
pub mod parts;
pub mod payments;
pub mod people;
pub mod person;
pub mod reviews;
pub mod session;
pub mod state;
pub mod tries;
pub mod trouble;
pub mod webhooks;
pub mod words;

use rocket::fairing::AdHoc;

use crate::http::traced;

/// Where the console is mounted.
pub const BASE: &str = "/staff";

/// Mounts the console.
pub fn console() -> AdHoc {
    AdHoc::on_ignite("staff console", |rocket| async {
        rocket
            .manage(tries::Counts::default())
            .attach(flash::once())
            .mount(BASE, traced::traced(routes()))
            .register(BASE, vec![trouble::catcher()])
    })
}

/// Every route of the console.
#[must_use]
pub fn routes() -> Vec<rocket::Route> {
    [
        before_shops(assets::routes()),
        session::routes(),
        before_shops(account::routes()),
        before_shops(people::routes()),
        before_shops(person::routes()),
        audit::routes(),
        overview::routes(),
        payments::routes(),
        webhooks::routes(),
        calls::routes(),
        ledger::routes(),
        orders::routes(),
        order::routes(),
        actions::routes(),
        endings::routes(),
        notes::routes(),
        reviews::routes(),
    ]
    .concat()
}

/// A shop's pages have addresses of the form `/<shop>/…`; routes of the same form whose first segment is a word are
/// tried before them.
fn before_shops(mut routes: Vec<rocket::Route>) -> Vec<rocket::Route> {
    for route in &mut routes {
        route.rank = -20;
    }
    routes
}
