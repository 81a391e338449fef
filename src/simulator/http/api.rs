//! Stripe's addresses under `/v1`: one handler for all, because faults, keys and the journal are the
//! same for all.
use std::sync::Arc;

use rocket::data::ToByteUnit;
use rocket::{Data, Route, State, delete, get, post, routes};

use super::auth::Head;
use super::pipeline;
use super::reply::Reply;
use crate::simulator::shared::Shared;

const BODY_LIMIT_KIB: u64 = 1024;

/// The API's routes.
pub fn routes() -> Vec<Route> {
    routes![read, write, remove]
}

#[get("/<_..>")]
async fn read(head: Head, shared: &State<Arc<Shared>>) -> Reply {
    pipeline::handle(shared, head, None).await
}

#[delete("/<_..>")]
async fn remove(head: Head, shared: &State<Arc<Shared>>) -> Reply {
    pipeline::handle(shared, head, None).await
}

#[post("/<_..>", data = "<data>")]
async fn write(head: Head, data: Data<'_>, shared: &State<Arc<Shared>>) -> Reply {
    // A body that broke off or is too long counts as unreadable, never as a shorter one.
    let body = data.open(BODY_LIMIT_KIB.kibibytes()).into_bytes().await;
    let body = body
        .ok()
        .filter(|body| body.is_complete())
        .map(|body| body.into_inner());
    // Rocket takes a body for complete that broke off within its first bytes.
    let whole = |body: &Vec<u8>| {
        head.content_length
            .is_none_or(|length| body.len() == length)
    };
    let body = body.filter(whole);
    pipeline::handle(shared, head, Some(body)).await
}
