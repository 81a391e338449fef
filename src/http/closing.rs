//! `/v1/orders/{id}/cancel` and `/v1/checkout_sessions/{id}/expire`.

use std::sync::Arc;

use rocket::State;

use super::answer::{MaybeIdempotencyKey, Reply, service_problem};
use super::auth::{ApiKey, OrdersWrite};
use super::body::OptionalJson;
use super::payments::EmptyBody;
use super::problem::Problem;
use crate::domain::checkout::CheckoutSession;
use crate::domain::ids::{CheckoutSessionId, OrderId};
use crate::domain::order::Order;
use crate::service::Services;

/// Cancel an order
///
/// Calls off an order that is not paid. What could still be paid is ended at the provider first: 200 once it is
/// cancelled, 202 while nobody knows, 409 when a payment was faster or is under way.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "Orders", operation_id = "cancel_order",
    params(
        ("id" = String, Path, description = "The order's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
    ),
    request_body(content = Option<EmptyBody>),
    responses(
        (status = 200, description = "The order is cancelled", body = Order),
        (status = 202, description = "The order is being cancelled; ask again", body = Order),
        (status = 409, description = "The order was paid, or a payment is under way", body = super::problem::ProblemBody<'_>, content_type = "application/problem+json"),
    ),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/orders/<id>/cancel", data = "<_body>")]
pub async fn cancel_order(
    key: ApiKey<OrdersWrite>,
    idempotency_key: MaybeIdempotencyKey,
    services: &State<Arc<Services>>,
    id: &str,
    _body: OptionalJson<EmptyBody>,
) -> Result<Reply, Problem> {
    let id: OrderId = id.parse().map_err(|_| Problem::not_found())?;
    let given = idempotency_key.0.as_deref();
    let answer = services.cancel_order(&key.caller, given, id).await;
    answer.map(Reply).map_err(service_problem)
}

/// Expire a checkout session
///
/// Makes a session unpayable, for instance to start one with another `capture`. 202 while nobody knows whether
/// the provider has done it, 409 when it was paid.
#[utoipa::path(
    post, path = "/v1/checkout_sessions/{id}/expire", tag = "Checkout", operation_id = "expire_checkout_session",
    params(
        ("id" = String, Path, description = "The session's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
    ),
    request_body(content = Option<EmptyBody>),
    responses(
        (status = 200, description = "The session cannot be paid any more", body = CheckoutSession),
        (status = 202, description = "The session is being ended; ask again", body = CheckoutSession),
        (status = 409, description = "The session was paid, or its payment is under way", body = super::problem::ProblemBody<'_>, content_type = "application/problem+json"),
    ),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/checkout_sessions/<id>/expire", data = "<_body>")]
pub async fn expire_session(
    key: ApiKey<OrdersWrite>,
    idempotency_key: MaybeIdempotencyKey,
    services: &State<Arc<Services>>,
    id: &str,
    _body: OptionalJson<EmptyBody>,
) -> Result<Reply, Problem> {
    let id: CheckoutSessionId = id.parse().map_err(|_| Problem::not_found())?;
    let given = idempotency_key.0.as_deref();
    let answer = services.expire_checkout(&key.caller, given, id).await;
    answer.map(Reply).map_err(service_problem)
}
