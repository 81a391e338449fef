//! The HTTP side of Till. The modules here know HTTP and nothing of orders or money.
//!
//! [`edge`] is what every request passes: an id, a gate before routing, problems for every failure, CORS for
//! publishable keys and the headers browsers heed. [`plain_edge`] is the same without CORS, for a server that no
//! browser calls.

pub mod allowed_methods;
pub mod answer;
pub mod auth;
pub mod body;
pub mod catchers;
pub mod checkout_sessions;
pub mod closing;
pub mod cors;
pub mod docs;
pub mod events;
pub mod health;
pub mod ledger;
pub mod metrics;
pub mod openapi;
pub mod order_body;
pub mod orders;
pub mod payments;
pub mod problem;
pub mod problem_catalogue;
pub mod problem_page;
pub mod products;
pub mod query;
pub mod refunds;
pub mod request_id;
pub mod security;
pub mod strict_json;
pub mod throttle;
pub mod throttles;
pub mod timeline;
pub mod traced;
pub mod webhooks;

use rocket::fairing::AdHoc;
use rocket::{Build, Rocket};

use allowed_methods::AllowedMethods;

/// Attaches the fairings, the default catcher, and the pages that explain problems.
pub fn edge() -> AdHoc {
    AdHoc::on_ignite("HTTP edge", |rocket| async {
        with_plain_edge(rocket)
            .manage(docs::Docs::default())
            .attach(cors::Cors::for_publishable_keys())
            .mount("/", cors::preflight_routes())
    })
}

/// The same for a server without the API.
pub fn plain_edge() -> AdHoc {
    AdHoc::on_ignite("HTTP edge", |rocket| async { with_plain_edge(rocket) })
}

fn with_plain_edge(rocket: Rocket<Build>) -> Rocket<Build> {
    rocket
        .manage(AllowedMethods::default())
        .attach(catchers::ServerErrors)
        .attach(security::Gate)
        .attach(request_id::RequestIds)
        .attach(security::SecurityHeaders)
        .register("/", vec![catchers::default_catcher()])
        .mount("/problems", problem_page::routes())
}

/// The routes of the API, each in its span.
#[must_use]
pub fn api_routes() -> Vec<rocket::Route> {
    traced::traced(rocket::routes![
        orders::create,
        orders::list,
        orders::get,
        timeline::get,
        checkout_sessions::create,
        checkout_sessions::get,
        closing::cancel_order,
        closing::expire_session,
        payments::get,
        payments::list,
        payments::capture,
        payments::void,
        refunds::create,
        refunds::get,
        refunds::list,
        products::put,
        products::list,
        products::get,
        events::list,
        events::get,
        ledger::trial_balance,
        ledger::transactions,
        ledger::transaction,
        webhooks::receive,
        webhooks::receive_for_account,
        health::live,
        health::ready,
        metrics::scrape,
        openapi::document,
        docs::read,
    ])
}

/// The routes of a process that does background work only: whether it lives, and what it counts.
#[must_use]
pub fn worker_routes() -> Vec<rocket::Route> {
    traced::traced(rocket::routes![
        health::live,
        health::ready,
        metrics::scrape
    ])
}

#[cfg(test)]
mod tests;
