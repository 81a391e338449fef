//! `/v1/events`.

use std::sync::Arc;

use rocket::State;

use super::answer::service_problem;
use super::auth::{ApiKey, EventsRead};
use super::body::Json;
use super::problem::Problem;
use super::query::{NoQuery, Query};
use crate::domain::event::Event;
use crate::domain::page::{DEFAULT_LIMIT, List};
use crate::service::Services;

/// List events
///
/// What happened in the shop, oldest first: a feed to follow. Keep the id of the last event you have dealt with and
/// send it as `after`; nothing is ever skipped, and what comes later stands later. An event appears a moment after
/// what it reports. Order data holds the customer and addresses as they are known now, null once they are erased.
#[utoipa::path(
    get, path = "/v1/events", tag = "Events", operation_id = "list_events",
    params(
        ("after" = Option<crate::domain::ids::EventId>, Query, description = "Only what comes after this event; from the beginning when not given"),
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; 10 when not given", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "A page of events, oldest first", body = List<Event>)),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/events")]
pub async fn list(
    key: ApiKey<EventsRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<List<Event>>, Problem> {
    let mut query = query.reader();
    let after = query.parsed("after", "an event's id");
    let limit = query.limit();
    query.finish()?;
    let events = services
        .feed(&key.caller, after, limit.unwrap_or(DEFAULT_LIMIT))
        .await;
    events.map(Json).map_err(service_problem)
}

/// Read an event
///
/// As it was written; what is about the customer is as the order has it now.
#[utoipa::path(
    get, path = "/v1/events/{id}", tag = "Events", operation_id = "get_event",
    params(("id" = crate::domain::ids::EventId, Path, description = "The event's id")),
    responses((status = 200, description = "The event", body = Event)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/events/<id>")]
pub async fn get(
    key: ApiKey<EventsRead>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    id: &str,
) -> Result<Json<Event>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let event = services.event(&key.caller, id).await;
    event.map(Json).map_err(service_problem)
}
