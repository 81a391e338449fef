//! The HTTP side of Till. The modules here know HTTP and nothing of orders or money.
//!
//! [`edge`] is what every request passes: an id, a gate before routing, problems for every failure, CORS for
//! publishable keys and the headers browsers heed.

pub mod allowed_methods;
pub mod answer;
pub mod auth;
pub mod body;
pub mod catchers;
pub mod checkout_sessions;
pub mod cors;
pub mod docs;
pub mod events;
pub mod health;
pub mod in_flight;
pub mod ledger;
pub mod metrics;
pub mod openapi;
pub mod order_body;
pub mod orders;
pub mod problem;
pub mod problem_catalogue;
pub mod problem_page;
pub mod products;
pub mod query;
pub mod request_id;
pub mod security;
pub mod strict_json;
pub mod throttle;
pub mod throttles;
pub mod timeline;
pub mod traced;
pub mod webhooks;

use rocket::fairing::AdHoc;

use allowed_methods::AllowedMethods;

/// Attaches the fairings, the default catcher, and the pages that explain problems.
pub fn edge() -> AdHoc {
    AdHoc::on_ignite("HTTP edge", |rocket| async {
        rocket
            .manage(AllowedMethods::default())
            .manage(docs::Docs::default())
            .attach(catchers::ServerErrors)
            .attach(security::Gate)
            .attach(request_id::RequestIds)
            .attach(security::SecurityHeaders)
            .attach(cors::Cors::for_publishable_keys())
            .register("/", vec![catchers::default_catcher()])
            .mount("/problems", problem_page::routes())
            .mount("/", cors::preflight_routes())
    })
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

#[cfg(test)]
mod tests;
