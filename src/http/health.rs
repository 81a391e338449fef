//! Health: whether the process lives, and whether it can do its work.

use std::sync::Arc;

use rocket::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::service_problem;
use super::body::Json;
use super::problem::Problem;
use crate::service::Services;

/// A sign of life.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; anything else is a problem.
    #[schema(example = "ok", pattern = "^ok$")]
    status: &'static str,
}

/// Is the process alive?
///
/// Looks at nothing else: not at the database, not at the provider.
#[utoipa::path(
    get, path = "/health/live", tag = "Health", operation_id = "health_live",
    responses((status = 200, description = "It is", body = Health)),
    security(()),
)]
#[rocket::get("/health/live")]
pub fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Can it do its work?
///
/// 503 while the database cannot be reached.
#[utoipa::path(
    get, path = "/health/ready", tag = "Health", operation_id = "health_ready",
    responses(
        (status = 200, description = "It can", body = Health),
    ),
    extensions(("x-problems" = json!(["database_unavailable"]))),
    security(()),
)]
#[rocket::get("/health/ready")]
pub async fn ready(services: &State<Arc<Services>>) -> Result<Json<Health>, Problem> {
    services.check_ready().await.map_err(service_problem)?;
    Ok(Json(Health { status: "ok" }))
}
