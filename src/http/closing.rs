//! `/v1/orders/{id}/cancel` and `/v1/checkout_sessions/{id}/expire`.

use std::sync::Arc;

use rocket::State;

use super::answer::{MaybeIdempotencyKey, Reply, service_problem};
use super::auth::{ApiKey, OrdersWrite};
use super::body::OptionalJson;
use super::payments::EmptyBody;
use super::problem::Problem;
use super::query::NoQuery;
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
        ("id" = OrderId, Path, description = "The order's id"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
    ),
    responses(
        (status = 200, description = "The order is cancelled", body = Order),
        (status = 202, description = "The order is being cancelled; ask again", body = Order),
    ),
    extensions(("x-problems" = json!(["not_found", "already_paid", "payment_processing", "order_closed", "mode_mismatch"]))),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/orders/<id>/cancel", data = "<_body>")]
pub async fn cancel_order(
    key: ApiKey<OrdersWrite>,
    _query: NoQuery,
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
        ("id" = CheckoutSessionId, Path, description = "The session's id"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
    ),
    responses(
        (status = 200, description = "The session cannot be paid any more", body = CheckoutSession),
        (status = 202, description = "The session is being ended; ask again", body = CheckoutSession),
    ),
    extensions(("x-problems" = json!(["not_found", "already_paid", "payment_processing", "mode_mismatch"]))),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/checkout_sessions/<id>/expire", data = "<_body>")]
pub async fn expire_session(
    key: ApiKey<OrdersWrite>,
    _query: NoQuery,
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
