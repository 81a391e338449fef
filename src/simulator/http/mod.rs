//! The simulator's addresses: Stripe's API, the customer's page, the controls.
mod api;
mod auth;
mod control;
mod control_acts;
pub mod distort;
mod pages;
mod pipeline;
mod reply;
mod views;

use std::sync::Arc;

use rocket::{Build, Rocket};

use super::shared::Shared;

/// Everything mounted.
pub fn mount(rocket: Rocket<Build>, shared: Arc<Shared>) -> Rocket<Build> {
    rocket
        .manage(shared)
        .mount("/v1", api::routes())
        .mount("/pay", pages::routes())
        .mount("/_simulator", control::routes())
        .mount("/_simulator", control_acts::routes())
        .register("/", rocket::catchers![reply::caught])
}
