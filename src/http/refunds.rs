//! `/v1/orders/{id}/refunds` and `/v1/refunds`.

use std::sync::Arc;

use rocket::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{IdempotencyKey, Reply, service_problem};
use super::auth::{ApiKey, OrdersRead, RefundsWrite};
use super::body::{Json, OptionalJson};
use super::problem::{FieldError, Problem};
use super::query::{NoQuery, Query};
use crate::domain::ids::{LineItemId, OrderId, PaymentId, RefundId};
use crate::domain::page::List;
use crate::domain::refund::{NewRefund, Refund, RefundReason, RefundShare};
use crate::service::Services;

/// The most lines one refund may name.
const MAX_LINES: usize = 100;
/// The most pieces of one line.
const MAX_QUANTITY: u32 = 9_999;

/// A refund to be made: an `amount`, or `line_items`, or neither for all that is left.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundRequest)]
pub struct RefundBody {
    /// How much goes back, in the order's currency.
    #[serde(default)]
    #[schema(value_type = Option<crate::domain::forms::Price>)]
    amount: Option<String>,
    /// Which lines go back, and how many of each.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 100)]
    line_items: Option<Vec<RefundLineBody>>,
    /// Why.
    #[serde(default)]
    reason: Option<RefundReason>,
    /// From which payment; needed when several could be meant.
    #[serde(default)]
    #[schema(value_type = Option<PaymentId>)]
    payment_id: Option<String>,
}

/// A line that goes back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundLineRequest)]
pub struct RefundLineBody {
    /// The line of the order.
    #[schema(value_type = LineItemId)]
    line_item: String,
    /// How many of it.
    #[schema(example = 1, minimum = 1, maximum = 9999)]
    quantity: u32,
}

impl RefundBody {
    fn check(self) -> Result<NewRefund, Problem> {
        let mut faults = Vec::new();
        let payment = self.payment_id.and_then(|id| {
            let parsed = id.parse::<PaymentId>().ok();
            if parsed.is_none() {
                faults.push(FieldError::new("/payment_id", "is not the id of a payment"));
            }
            parsed
        });
        let share = match (self.amount, self.line_items) {
            (Some(_), Some(_)) => {
                faults.push(FieldError::new(
                    "/line_items",
                    "give `amount` or `line_items`, not both",
                ));
                RefundShare::Rest
            }
            (Some(amount), None) => RefundShare::Amount(amount),
            (None, Some(lines)) => RefundShare::Lines(check_lines(lines, &mut faults)),
            (None, None) => RefundShare::Rest,
        };
        if faults.is_empty() {
            Ok(NewRefund {
                share,
                reason: self.reason,
                payment,
            })
        } else {
            Err(Problem::invalid(faults))
        }
    }
}

fn check_lines(lines: Vec<RefundLineBody>, faults: &mut Vec<FieldError>) -> Vec<(LineItemId, u32)> {
    if lines.is_empty() || lines.len() > MAX_LINES {
        faults.push(FieldError::new("/line_items", "name 1 to 100 lines"));
        return Vec::new();
    }
    let mut checked = Vec::with_capacity(lines.len());
    for (at, line) in lines.into_iter().enumerate() {
        if !(1..=MAX_QUANTITY).contains(&line.quantity) {
            let pointer = format!("/line_items/{at}/quantity");
            faults.push(FieldError::new(pointer, "must be from 1 to 9999"));
        }
        match line.line_item.parse() {
            Ok(id) => checked.push((id, line.quantity)),
            Err(_) => {
                let pointer = format!("/line_items/{at}/line_item");
                faults.push(FieldError::new(pointer, "is not the id of a line"));
            }
        }
    }
    checked
}

/// Refund an order
///
/// Gives money back: an amount, some lines, or all that is left. The refund is reserved before the provider is
/// asked, so refunds made at the same time never give back more than was captured. 201 once the provider has
/// taken it (`pending` or `succeeded`); 202 while nobody knows, then repeat the request with the same key or read
/// the refund.
#[utoipa::path(
    post, path = "/v1/orders/{id}/refunds", tag = "Refunds", operation_id = "create_refund",
    params(
        ("id" = OrderId, Path, description = "The order's id"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
    ),
    request_body(content = Option<RefundBody>, example = json!({"amount": "12.50", "reason": "requested_by_customer"})),
    responses(
        (status = 201, description = "The provider has taken the refund", body = Refund,
            links(("Read" = (operation_id = "get_refund", description = "Read the refund",
                parameters(("id" = "$response.body#/id")))))),
        (status = 202, description = "The refund is being made; ask again", body = Refund),
    ),
    extensions(("x-problems" = json!(["not_found", "refund_exceeds_captured", "payment_disputed", "mode_mismatch", "amount_not_chargeable", "provider_rejected"]))),
    security(("secret_key" = [])),
)]
#[rocket::post("/v1/orders/<id>/refunds", data = "<body>")]
pub async fn create(
    key: ApiKey<RefundsWrite>,
    _query: NoQuery,
    idempotency_key: IdempotencyKey,
    services: &State<Arc<Services>>,
    id: &str,
    body: OptionalJson<RefundBody>,
) -> Result<Reply, Problem> {
    let id: OrderId = id.parse().map_err(|_| Problem::not_found())?;
    let wanted = body.0.unwrap_or_default().check()?;
    let answer = services
        .refund(&key.caller, &idempotency_key.0, id, wanted)
        .await;
    answer.map(Reply).map_err(service_problem)
}

/// Read a refund
///
/// Where it stands: `pending` until the provider says that the money went back, or did not.
#[utoipa::path(
    get, path = "/v1/refunds/{id}", tag = "Refunds", operation_id = "get_refund",
    params(("id" = RefundId, Path, description = "The refund's id")),
    responses((status = 200, description = "The refund", body = Refund)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/refunds/<id>")]
pub async fn get(
    key: ApiKey<OrdersRead>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    id: &str,
) -> Result<Json<Refund>, Problem> {
    let id: RefundId = id.parse().map_err(|_| Problem::not_found())?;
    let refund = services.find_refund(&key.caller, id).await;
    refund.map(Json).map_err(service_problem)
}

/// List refunds
///
/// Newest first, those made at the provider included.
#[utoipa::path(
    get, path = "/v1/refunds", tag = "Refunds", operation_id = "list_refunds",
    params(
        ("order_id" = Option<OrderId>, Query, description = "Only of this order"),
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; 10 when not given", minimum = 1, maximum = 100),
        ("starting_after" = Option<RefundId>, Query, description = "Only older than this refund"),
        ("ending_before" = Option<RefundId>, Query, description = "Only newer than this refund"),
    ),
    responses((status = 200, description = "A page of refunds", body = List<Refund>)),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/refunds")]
pub async fn list(
    key: ApiKey<OrdersRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<List<Refund>>, Problem> {
    let mut query = query.reader();
    let page = query.page();
    let order = query.parsed::<OrderId>("order_id", "the id of an order");
    query.finish()?;
    let refunds = services.refunds(&key.caller, order, &page).await;
    refunds.map(Json).map_err(service_problem)
}
