//! `/webhooks/{provider}`: what providers report. 200 only after a durable commit.

use std::sync::Arc;

use rocket::State;
use rocket::http::{HeaderMap, Status};
use rocket::request::{FromRequest, Outcome, Request};

use super::answer::service_problem;
use super::body::Bytes;
use super::problem::Problem;
use super::request_id::RequestId;
use super::throttles::WebhookCap;
use crate::domain::ids::AccountId;
use crate::service::Services;

/// The headers of a request, for the provider's signature.
pub struct Headers<'r>(&'r HeaderMap<'r>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Headers<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Headers(request.headers()))
    }
}

/// Receive a provider's event
///
/// Signed by the provider; nothing is looked up before the signature is verified.
#[utoipa::path(
    post, path = "/webhooks/{provider}", tag = "Webhooks in", operation_id = "receive_webhook",
    params(
        ("provider" = String, Path, description = "The provider, such as `stripe`", pattern = "^stripe$", example = "stripe"),
        ("Stripe-Signature" = String, Header, description = "When the body was signed, and its signature", example = "t=1769860800,v1=5257a869e7ec"),
    ),
    request_body(content = Object, content_type = "application/json",
        description = "The event as the provider writes it; its bytes are what is signed",
        example = json!({"id": "evt_1TillExample", "object": "event", "type": "checkout.session.completed", "data": {"object": {}}})),
    responses(
        (status = 200, description = "The event is stored"),
    ),
    extensions(("x-problems" = json!([
        "not_found", "invalid_signature", "malformed_event", "rate_limited", "database_unavailable",
    ]))),
    security(()),
)]
#[rocket::post("/webhooks/<provider>", data = "<body>")]
pub async fn receive(
    provider: &str,
    _cap: WebhookCap,
    headers: Headers<'_>,
    request_id: &RequestId,
    services: &State<Arc<Services>>,
    body: Bytes,
) -> Result<Status, Problem> {
    if provider != services.provider.name() {
        return Err(Problem::not_found());
    }
    accept(services, &headers, request_id, body).await
}

/// Receive a provider's event for a further account
///
/// As `/webhooks/{provider}`, for the provider account named in the path.
#[utoipa::path(
    post, path = "/webhooks/{provider}/{account}", tag = "Webhooks in", operation_id = "receive_account_webhook",
    params(
        ("provider" = String, Path, description = "The provider, such as `stripe`", pattern = "^stripe$", example = "stripe"),
        ("account" = AccountId, Path, description = "The provider account, `pa_…`"),
        ("Stripe-Signature" = String, Header, description = "When the body was signed, and its signature", example = "t=1769860800,v1=5257a869e7ec"),
    ),
    request_body(content = Object, content_type = "application/json",
        description = "The event as the provider writes it; its bytes are what is signed",
        example = json!({"id": "evt_1TillExample", "object": "event", "type": "checkout.session.completed", "data": {"object": {}}})),
    responses(
        (status = 200, description = "The event is stored"),
    ),
    extensions(("x-problems" = json!([
        "not_found", "invalid_signature", "malformed_event", "rate_limited", "database_unavailable",
    ]))),
    security(()),
)]
#[rocket::post("/webhooks/<provider>/<account>", data = "<body>")]
pub async fn receive_for_account(
    provider: &str,
    account: &str,
    _cap: WebhookCap,
    headers: Headers<'_>,
    request_id: &RequestId,
    services: &State<Arc<Services>>,
    body: Bytes,
) -> Result<Status, Problem> {
    if provider != services.provider.name() || account != services.account.id.to_string() {
        return Err(Problem::not_found());
    }
    accept(services, &headers, request_id, body).await
}

async fn accept(
    services: &State<Arc<Services>>,
    headers: &Headers<'_>,
    request_id: &RequestId,
    body: Bytes,
) -> Result<Status, Problem> {
    let signature = headers.0.get_one(services.provider.signature_header());
    // A provider that hangs up stops nothing: what was begun goes on without its connection.
    let received = services.receive_webhook(signature, body.0, request_id.as_str());
    match received.await {
        Ok(_) => Ok(Status::Ok),
        Err(error) => Err(service_problem(error)),
    }
}
