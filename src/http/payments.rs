//! `/v1/payments`.

use std::sync::Arc;

use rocket::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{IdempotencyKey, Reply, service_problem};
use super::auth::{ApiKey, OrdersRead, PaymentsWrite};
use super::body::{Json, OptionalJson};
use super::problem::Problem;
use super::query::{NoQuery, Query};
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::page::List;
use crate::domain::payment::Payment;
use crate::service::Services;
use crate::service::payments::Ending;

/// How much of the reserved money is taken.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CaptureRequest)]
pub struct CaptureBody {
    /// All that is reserved when not given; what is left is released.
    #[serde(default)]
    #[schema(value_type = Option<crate::domain::forms::Price>)]
    amount: Option<String>,
}

/// Nothing: the request says everything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyBody {}

/// Read a payment
///
/// One intent at the provider: what it asks for, what of it was captured, and what went back.
#[utoipa::path(
    get, path = "/v1/payments/{id}", tag = "Payments", operation_id = "get_payment",
    params(("id" = PaymentId, Path, description = "The payment's id")),
    responses((status = 200, description = "The payment", body = Payment)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/payments/<id>")]
pub async fn get(
    key: ApiKey<OrdersRead>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    id: &str,
) -> Result<Json<Payment>, Problem> {
    let id: PaymentId = id.parse().map_err(|_| Problem::not_found())?;
    let payment = services.payment(&key.caller, id).await;
    payment.map(Json).map_err(service_problem)
}

/// List payments
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/payments", tag = "Payments", operation_id = "list_payments",
    params(
        ("order_id" = Option<OrderId>, Query, description = "Only of this order"),
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; 10 when not given", minimum = 1, maximum = 100),
        ("starting_after" = Option<PaymentId>, Query, description = "Only older than this payment"),
        ("ending_before" = Option<PaymentId>, Query, description = "Only newer than this payment"),
    ),
    responses((status = 200, description = "A page of payments", body = List<Payment>)),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/payments")]
pub async fn list(
    key: ApiKey<OrdersRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<List<Payment>>, Problem> {
    let mut query = query.reader();
    let page = query.page();
    let order = query.parsed::<OrderId>("order_id", "the id of an order");
    query.finish()?;
    let payments = services.payments(&key.caller, order, &page).await;
    payments.map(Json).map_err(service_problem)
}

/// Capture a payment
///
/// Takes money that a checkout with `capture: "manual"` reserved, once: all of it, or `amount`, and then the rest
/// is released. 202 while nobody knows whether the provider has done it.
#[utoipa::path(
    post, path = "/v1/payments/{id}/capture", tag = "Payments", operation_id = "capture_payment",
    params(
        ("id" = PaymentId, Path, description = "The payment's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
    ),
    request_body(content = Option<CaptureBody>, example = json!({"amount": "12.50"})),
    responses(
        (status = 200, description = "The money was captured", body = Payment),
        (status = 202, description = "The capture is being made; ask again", body = Payment),
    ),
    extensions(("x-problems" = json!(["not_found", "already_captured", "payment_processing", "not_capturable", "mode_mismatch", "amount_not_chargeable", "provider_rejected"]))),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/payments/<id>/capture", data = "<body>")]
pub async fn capture(
    key: ApiKey<PaymentsWrite>,
    _query: NoQuery,
    idempotency_key: IdempotencyKey,
    services: &State<Arc<Services>>,
    id: &str,
    body: OptionalJson<CaptureBody>,
) -> Result<Reply, Problem> {
    let ending = Ending::Capture(body.0.unwrap_or_default().amount);
    end(&key, &idempotency_key, services, id, ending).await
}

/// Void a payment
///
/// Releases reserved money. 202 while nobody knows whether the provider has done it.
#[utoipa::path(
    post, path = "/v1/payments/{id}/void", tag = "Payments", operation_id = "void_payment",
    params(
        ("id" = PaymentId, Path, description = "The payment's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
    ),
    responses(
        (status = 200, description = "The money was released", body = Payment),
        (status = 202, description = "The release is being made; ask again", body = Payment),
    ),
    extensions(("x-problems" = json!(["not_found", "already_captured", "payment_processing", "not_voidable", "mode_mismatch", "provider_rejected"]))),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/payments/<id>/void", data = "<_body>")]
pub async fn void(
    key: ApiKey<PaymentsWrite>,
    _query: NoQuery,
    idempotency_key: IdempotencyKey,
    services: &State<Arc<Services>>,
    id: &str,
    _body: OptionalJson<EmptyBody>,
) -> Result<Reply, Problem> {
    end(&key, &idempotency_key, services, id, Ending::Void).await
}

async fn end(
    key: &ApiKey<PaymentsWrite>,
    idempotency_key: &IdempotencyKey,
    services: &Arc<Services>,
    id: &str,
    ending: Ending,
) -> Result<Reply, Problem> {
    let id: PaymentId = id.parse().map_err(|_| Problem::not_found())?;
    let answer = services
        .end_payment(&key.caller, &idempotency_key.0, id, ending)
        .await;
    answer.map(Reply).map_err(service_problem)
}
