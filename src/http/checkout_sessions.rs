//! `/v1/orders/{id}/checkout_sessions` and `/v1/checkout_sessions`.

use std::sync::Arc;

use rocket::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{IdempotencyKey, Reply, service_problem};
use super::auth::{ApiKey, StorefrontRead, StorefrontWrite};
use super::body::Json;
use super::problem::{FieldError, Problem};
use super::query::{NoQuery, Query};
use crate::domain::access::{KeyKind, Mode};
use crate::domain::checkout::{Capture, CheckoutSession};
use crate::domain::forms;
use crate::domain::ids::{CheckoutSessionId, OrderId};
use crate::domain::text;
use crate::service::Services;
use crate::service::checkouts::NewCheckout;

/// A checkout to be started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CheckoutSessionRequest)]
pub struct CheckoutBody {
    /// Where the customer goes after paying. `{ORDER_ID}` and `{CHECKOUT_SESSION_ID}` become Till's ids.
    #[schema(value_type = forms::WebUrl)]
    success_url: String,
    /// Where the customer goes when giving up.
    #[schema(value_type = forms::WebUrl)]
    cancel_url: String,
    /// When the money is taken; `automatic` when not given.
    #[serde(default)]
    capture: Option<Capture>,
}

impl CheckoutBody {
    fn check(self) -> Result<NewCheckout, Problem> {
        let mut faults = Vec::new();
        let mut url = |pointer: &str, given: &str| match text::url(given) {
            Ok(url) => url,
            Err(detail) => {
                faults.push(FieldError::new(pointer, detail));
                String::new()
            }
        };
        let wanted = NewCheckout {
            success_url: url("/success_url", &self.success_url),
            cancel_url: url("/cancel_url", &self.cancel_url),
            capture: self.capture.unwrap_or(Capture::Automatic),
        };
        if faults.is_empty() {
            Ok(wanted)
        } else {
            Err(Problem::invalid(faults))
        }
    }
}

/// Start a checkout
///
/// Makes a page at the payment provider on which the customer pays what is left of the order's total, or
/// returns the one under way: an order has at most one live session, however many tabs ask for one.
#[utoipa::path(
    post, path = "/v1/orders/{id}/checkout_sessions", tag = "Checkout", operation_id = "create_checkout_session",
    params(
        ("id" = OrderId, Path, description = "The order's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
        ("Order-Token" = Option<String>, Header, description = "The order's `client_token`; needed with a publishable key, not looked at with a secret one"),
    ),
    request_body(content = CheckoutBody, example = json!({
        "success_url": "https://shop.example/thanks?order={ORDER_ID}",
        "cancel_url": "https://shop.example/cart",
    })),
    responses(
        (status = 201, description = "A new session", body = CheckoutSession,
            links(("Read" = (operation_id = "get_checkout_session", description = "Read the session",
                parameters(("id" = "$response.body#/id")))))),
        (status = 200, description = "The order's open session", body = CheckoutSession,
            links(("Read" = (operation_id = "get_checkout_session", description = "Read the session",
                parameters(("id" = "$response.body#/id")))))),
        (status = 202, description = "The session is being made; ask again", body = CheckoutSession,
            links(("Read" = (operation_id = "get_checkout_session", description = "Read the session",
                parameters(("id" = "$response.body#/id")))))),
    ),
    extensions(("x-problems" = json!([
        "not_found", "nothing_to_pay", "order_closed", "payment_processing", "already_paid", "checkout_session_conflict",
        "mode_mismatch", "amount_not_chargeable", "rate_limited", "provider_rejected",
        "provider_unavailable",
    ]))),
    security(("secret_key" = []), ("publishable_key" = [])),
)]
#[rocket::post("/v1/orders/<id>/checkout_sessions", data = "<body>")]
pub async fn create(
    key: ApiKey<StorefrontWrite>,
    _query: NoQuery,
    idempotency_key: IdempotencyKey,
    services: &State<Arc<Services>>,
    id: &str,
    body: Json<CheckoutBody>,
) -> Result<Reply, Problem> {
    let id: OrderId = id.parse().map_err(|_| Problem::not_found())?;
    let wanted = body.0.check()?;
    if key.caller.kind == KeyKind::Publishable && key.caller.mode == Mode::Live {
        check_origins(services, &key.caller, &wanted).await?;
    }
    let answer = services
        .start_checkout(&key.caller, &idempotency_key.0, id, wanted)
        .await
        .map_err(service_problem)?;
    Ok(Reply(answer))
}

/// In live mode a browser may only send customers to origins its shop has allowed.
async fn check_origins(
    services: &Services,
    caller: &crate::service::Caller,
    wanted: &NewCheckout,
) -> Result<(), Problem> {
    let allowed = services
        .allowed_origins(caller)
        .await
        .map_err(service_problem)?;
    let mut faults = Vec::new();
    for (pointer, url) in [
        ("/success_url", &wanted.success_url),
        ("/cancel_url", &wanted.cancel_url),
    ] {
        let wanted = text::origin(url);
        if !allowed.iter().any(|origin| text::origin(origin) == wanted) {
            let detail = "its origin is not among the shop's allowed_origins";
            faults.push(FieldError::new(pointer, detail));
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid(faults)),
    }
}

/// Read a checkout session
///
/// `refresh=true` asks the provider first. With a publishable key the order's `client_token` is needed in the
/// `Order-Token` header.
#[utoipa::path(
    get, path = "/v1/checkout_sessions/{id}", tag = "Checkout", operation_id = "get_checkout_session",
    params(
        ("id" = CheckoutSessionId, Path, description = "The session's id"),
        ("refresh" = Option<bool>, Query, description = "Ask the provider now"),
        ("Order-Token" = Option<String>, Header, description = "The order's `client_token`; needed with a publishable key, not looked at with a secret one"),
    ),
    responses((status = 200, description = "The session", body = CheckoutSession)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = []), ("publishable_key" = [])),
)]
#[rocket::get("/v1/checkout_sessions/<id>")]
pub async fn get(
    key: ApiKey<StorefrontRead>,
    services: &State<Arc<Services>>,
    query: Query,
    id: &str,
) -> Result<Json<CheckoutSession>, Problem> {
    let mut query = query.reader();
    let refresh = query.flag("refresh");
    query.finish()?;
    let id: CheckoutSessionId = id.parse().map_err(|_| Problem::not_found())?;
    let session = services.checkout_session(&key.caller, id, refresh).await;
    session.map(Json).map_err(service_problem)
}
