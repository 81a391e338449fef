//! Health: whether the process lives, and whether it can do its work.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocket::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::service_problem;
use super::body::Json;
use super::problem::Problem;
use super::problem_catalogue::Code;
use super::query::Query;
use crate::domain::verify::Check;
use crate::service::Services;

/// A sign of life.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; anything else is a problem.
    #[schema(example = "ok", pattern = "^ok$")]
    status: &'static str,
    /// With `deep`: how many rows each cheap check found, by its name as `till verify` uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, u64>>)]
    checks: Option<BTreeMap<Check, u64>>,
}

impl Health {
    const OK: Health = Health {
        status: "ok",
        checks: None,
    };
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
    Json(Health::OK)
}

/// Can it do its work?
///
/// 503 while the database cannot be reached. With `deep=1` it also makes the cheap ones of the checks of
/// `till verify`, over the newest rows and the queues, and answers 503 when one finds something broken; what was
/// found is held for five seconds.
#[utoipa::path(
    get, path = "/health/ready", tag = "Health", operation_id = "health_ready",
    params(("deep" = Option<u8>, Query, description = "1 for the cheap checks, too", minimum = 0, maximum = 1)),
    responses(
        (status = 200, description = "It can", body = Health),
    ),
    extensions(("x-problems" = json!(["database_unavailable", "invariant_broken"]))),
    security(()),
)]
#[rocket::get("/health/ready")]
pub async fn ready(services: &State<Arc<Services>>, query: Query) -> Result<Json<Health>, Problem> {
    let mut query = query.reader();
    let deep = query.parsed::<u8>("deep", "1, or left out").unwrap_or(0);
    if deep > 1 {
        query.fault("deep", "must be 1, or left out");
    }
    query.finish()?;
    services.check_ready().await.map_err(service_problem)?;
    if deep == 0 {
        return Ok(Json(Health::OK));
    }
    let checks = services.probe().await.map_err(service_problem)?;
    let broken: Vec<String> = checks
        .iter()
        .filter(|(check, count)| *count > 0 && !check.is_warning())
        .map(|(check, count)| format!("{check} {count}"))
        .collect();
    if broken.is_empty() {
        return Ok(Json(Health {
            checks: Some(checks.into_iter().collect()),
            ..Health::OK
        }));
    }
    let detail = format!(
        "These checks found something: {}. Run `till verify` for the rows.",
        broken.join(", ")
    );
    Err(Problem::new(Code::InvariantBroken, detail))
}
