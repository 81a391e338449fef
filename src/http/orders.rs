//! `/v1/orders`.

use std::sync::Arc;

use rocket::State;

use super::answer::{IdempotencyKey, Reply, service_problem};
use super::auth::{ApiKey, OrdersRead, StorefrontRead};
use super::body::Json;
use super::order_body::OrderBody;
use super::problem::Problem;
use super::query::{NoQuery, Query};
use super::throttles::{OrderPlacer, Throttles};
use crate::domain::ids::OrderId;
use crate::domain::order::{
    FulfilmentStatus, Order, OrderFilter, OrderStatus, PaymentStatus, PlacedOrder,
};
use crate::domain::order_view::Narrowing;
use crate::domain::page::List;
use crate::domain::settlement::Reason;
use crate::service::Services;

/// Place an order
///
/// With a secret key lines may name a SKU of the catalogue or bring their own name and price; with a
/// publishable key they may only name SKUs, and the price is always the catalogue's. The answer holds the
/// `client_token` with which a browser reads and pays this one order.
#[utoipa::path(
    post, path = "/v1/orders", tag = "Orders", operation_id = "create_order",
    params(
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "8b0b7a4e-web-1001",
            description = "Names what is to be done once: asking again with the same key and body gets the first answer"),
    ),
    request_body(content = OrderBody, example = json!({
        "currency": "EUR",
        "reference": "web-1001",
        "customer": {"email": "ada@example.com", "name": "Ada"},
        "line_items": [{"sku": "mug", "quantity": 2}],
    })),
    responses(
        (status = 201, description = "The order was placed", body = PlacedOrder,
            links(
                ("Read" = (operation_id = "get_order", description = "Read the order",
                    parameters(("id" = "$response.body#/id"), ("Order-Token" = "$response.body#/client_token")))),
                ("CheckOut" = (operation_id = "create_checkout_session", description = "Start its checkout",
                    parameters(("id" = "$response.body#/id"), ("Order-Token" = "$response.body#/client_token")))),
            )),
    ),
    extensions(("x-problems" = json!(["reference_taken", "amount_not_chargeable", "rate_limited"]))),
    security(("secret_key" = []), ("publishable_key" = [])),
)]
#[rocket::post("/v1/orders", data = "<body>")]
pub async fn create(
    placer: OrderPlacer,
    _query: NoQuery,
    idempotency_key: IdempotencyKey,
    services: &State<Arc<Services>>,
    throttles: &State<Throttles>,
    body: Json<OrderBody>,
) -> Result<Reply, Problem> {
    let wanted = body.0.check(placer.caller.kind)?;
    let now_ms = services.clock.now().ms();
    if let Err(limited) = placer.count(throttles, now_ms) {
        if !placer.may_have_before(throttles, now_ms) {
            return Err(limited);
        }
        // If it was placed and the answer was lost, it is given again, or a shop behind one address could not have it.
        let before = services.placed_before(&placer.caller, &idempotency_key.0, &wanted);
        let before = before.await.map_err(service_problem)?;
        return before.map(Reply).ok_or(limited);
    }
    let answer = services
        .place_order(&placer.caller, &idempotency_key.0, wanted)
        .await
        .map_err(service_problem)?;
    Ok(Reply(answer))
}

/// Read an order
///
/// With a publishable key the order's `client_token` is needed in the `Order-Token` header.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "Orders", operation_id = "get_order",
    params(
        ("id" = OrderId, Path, description = "The order's id"),
        ("Order-Token" = Option<String>, Header, description = "The order's `client_token`; needed with a publishable key, not looked at with a secret one"),
    ),
    responses((status = 200, description = "The order", body = Order)),
    extensions(("x-problems" = json!(["not_found", "overloaded"]))),
    security(("secret_key" = []), ("publishable_key" = [])),
)]
#[rocket::get("/v1/orders/<id>")]
pub async fn get(
    key: ApiKey<StorefrontRead>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    id: &str,
) -> Result<Reply, Problem> {
    let id: OrderId = id.parse().map_err(|_| Problem::not_found())?;
    let order = services.order_answer(&key.caller, id).await;
    order.map(Reply).map_err(service_problem)
}

/// List orders
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/orders", tag = "Orders", operation_id = "list_orders",
    params(
        ("status" = Option<crate::domain::order::OrderStatus>, Query, description = "Only with this status"),
        ("payment_status" = Option<crate::domain::order::PaymentStatus>, Query, description = "Only with this payment status"),
        ("fulfilment_status" = Option<crate::domain::order::FulfilmentStatus>, Query, description = "Only with this fulfilment status"),
        ("review" = Option<crate::domain::settlement::Reason>, Query, description = "Only with this open question"),
        ("email" = Option<String>, Query, description = "Only of this customer, in any letter case", max_length = 254, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"),
        ("reference" = Option<String>, Query, description = "Only with this reference", max_length = 64, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"),
        ("created_after" = Option<String>, Query, description = "Only placed after this time", format = DateTime, example = "2026-01-31T12:00:00Z"),
        ("created_before" = Option<String>, Query, description = "Only placed before this time", format = DateTime, example = "2026-01-31T12:00:00Z"),
        ("q" = Option<String>, Query,
            description = "Only with all of these words: each the order's id, number, total, reference, e-mail \
                           address (or the part before its @), a word of the customer's or a line's name, a SKU, \
                           or an id at the provider, or, from three characters on, the beginning of one; in any \
                           letter case. An order is found within moments of a change. Up to 200 characters and 8 \
                           words; without a word it finds every order.",
            max_length = 200, pattern = r"^[^\S\u0000-\u001f\u007f-\u009f]*([^\s\u0000-\u001f\u007f-\u009f]+[^\S\u0000-\u001f\u007f-\u009f]+){0,7}[^\s\u0000-\u001f\u007f-\u009f]*[^\S\u0000-\u001f\u007f-\u009f]*$"),
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; 10 when not given", minimum = 1, maximum = 100),
        ("starting_after" = Option<OrderId>, Query, description = "Only older than this order"),
        ("ending_before" = Option<OrderId>, Query, description = "Only newer than this order; not together with `starting_after`"),
    ),
    responses((status = 200, description = "A page of orders", body = List<Order>)),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/orders")]
pub async fn list(
    key: ApiKey<OrdersRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<List<Order>>, Problem> {
    let mut query = query.reader();
    let page = query.page();
    let filter = OrderFilter {
        narrowing: Narrowing {
            review: query.word("review", Reason::ALL),
            status: query.word("status", OrderStatus::ALL),
            payment: query.word("payment_status", PaymentStatus::ALL),
            fulfilment: query.word("fulfilment_status", FulfilmentStatus::ALL),
            ..Narrowing::default()
        },
        email: query.text("email", 254),
        reference: query.text("reference", 64),
        created_after: query.time("created_after"),
        created_before: query.time("created_before"),
        search: query.search("q"),
    };
    query.finish()?;
    let orders = services.orders(&key.caller, &filter, &page).await;
    orders.map(Json).map_err(service_problem)
}
