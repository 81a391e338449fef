//! The HTTP side of Till. The modules here know HTTP and nothing of orders or money.
//!
//! [`edge`] is what every request passes: an id, a gate before routing, problems for every failure, CORS for
//! publishable keys and the headers browsers heed.

pub mod allowed_methods;
pub mod body;
pub mod catchers;
pub mod cors;
pub mod problem;
pub mod problem_catalogue;
pub mod problem_page;
pub mod request_id;
pub mod security;
pub mod strict_json;
pub mod throttle;

use rocket::fairing::AdHoc;

use allowed_methods::AllowedMethods;

/// Attaches the fairings, the default catcher, and the pages that explain problems.
pub fn edge() -> AdHoc {
    AdHoc::on_ignite("HTTP edge", |rocket| async {
        rocket
            .manage(AllowedMethods::default())
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

#[cfg(test)]
mod tests;
