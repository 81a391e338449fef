//! `/v1/orders/{id}/timeline`.

use std::sync::Arc;

use rocket::State;

use super::answer::service_problem;
use super::auth::{ApiKey, OrdersRead};
use super::body::Json;
use super::problem::Problem;
use super::query::Query;
use crate::domain::timeline::{MAX_ENTRIES, Timeline};
use crate::service::Services;

/// Read an order's timeline
///
/// Everything that happened to an order, oldest first, with what caused it: requests, calls to the provider with each
/// try, webhooks with what became of them, facts, ledger transactions, reviews and events. It holds no personal data.
/// Up to 1,000 entries at once, or as many as `limit` says.
#[utoipa::path(
    get, path = "/v1/orders/{id}/timeline", tag = "Orders", operation_id = "get_order_timeline",
    params(
        ("id" = crate::domain::ids::OrderId, Path, description = "The order's id"),
        ("starting_after" = Option<String>, Query, max_length = 64, description = "Only what stands after the entry with this id"),
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; up to 1,000 when not given", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "The timeline", body = Timeline)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/orders/<id>/timeline")]
pub async fn get(
    key: ApiKey<OrdersRead>,
    services: &State<Arc<Services>>,
    id: &str,
    query: Query,
) -> Result<Json<Timeline>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let mut query = query.reader();
    let after = query.text("starting_after", 64);
    let limit = query.limit();
    query.finish()?;
    let most = limit.map_or(MAX_ENTRIES, |limit| {
        usize::try_from(limit).unwrap_or(MAX_ENTRIES)
    });
    let timeline = services.timeline(&key.caller, id, after.as_deref(), most);
    let timeline = timeline.await;
    timeline.map(Json).map_err(service_problem)
}
