//! `/v1/products`.

use std::sync::Arc;

use rocket::State;

use super::answer::{Reply, service_problem};
use super::auth::{ApiKey, CatalogueWrite, StorefrontRead};
use super::body::Json;
use super::problem::{FieldError, Problem};
use super::query::{NoQuery, Query};
use crate::domain::catalogue::{Product, ProductInput};
use crate::domain::forms;
use crate::domain::ids::ProductId;
use crate::domain::page::List;
use crate::domain::text;
use crate::service::{Answer, Services};

/// Create or replace a product
///
/// What is left out of the body gets its default, also when the product was there before; its prices are
/// replaced as a whole. Orders keep the prices they were placed with.
#[utoipa::path(
    put, path = "/v1/products/{sku}", tag = "Products", operation_id = "put_product",
    params(("sku" = forms::Sku, Path, description = "The SKU")),
    request_body(content = ProductInput, description = "The whole product", example = json!({
        "name": "Mug",
        "description": "Holds 300 ml.",
        "prices": {"EUR": "12.50", "JPY": "1500"},
        "stock": {"on_hand": 10},
    })),
    responses(
        (status = 200, description = "The product was replaced", body = Product,
            links(("Read" = (operation_id = "get_product", description = "Read the product",
                parameters(("sku" = "$response.body#/sku")))))),
        (status = 201, description = "The product was created", body = Product,
            links(("Read" = (operation_id = "get_product", description = "Read the product",
                parameters(("sku" = "$response.body#/sku")))))),
    ),
    security(("secret_key" = [])),
)]
#[rocket::put("/v1/products/<sku>", data = "<body>")]
pub async fn put(
    key: ApiKey<CatalogueWrite>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    sku: &str,
    body: Json<ProductInput>,
) -> Result<Reply, Problem> {
    let mut given = body.0;
    let mut faults = Vec::new();
    if given.sku.as_deref().is_some_and(|named| named != sku) {
        faults.push(FieldError::new(
            "/sku",
            "must be the SKU of the path, or left out",
        ));
    }
    given.sku = Some(sku.to_owned());
    let wanted = match given.check() {
        Ok(wanted) if faults.is_empty() => wanted,
        checked => {
            let more = checked.err().unwrap_or_default().into_iter();
            faults.extend(more.map(|(pointer, detail)| FieldError::new(pointer, detail)));
            return Err(Problem::invalid(faults));
        }
    };
    let put = services.put_product(&key.caller, &wanted).await;
    let put = put.map_err(service_problem)?;
    Ok(Reply(Answer {
        status: if put.created { 201 } else { 200 },
        body: serde_json::to_string(&put.product).map_err(|error| Problem::internal(&error))?,
        replayed: false,
        location: Some(format!("/v1/products/{sku}")),
        retry_after_s: None,
    }))
}

/// Read a product
///
/// With a publishable key only active products are there.
#[utoipa::path(
    get, path = "/v1/products/{sku}", tag = "Products", operation_id = "get_product",
    params(("sku" = forms::Sku, Path, description = "The SKU")),
    responses((status = 200, description = "The product", body = Product)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = []), ("publishable_key" = [])),
)]
#[rocket::get("/v1/products/<sku>")]
pub async fn get(
    key: ApiKey<StorefrontRead>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    sku: &str,
) -> Result<Json<Product>, Problem> {
    let sku = text::sku(sku).map_err(|_| Problem::not_found())?;
    let product = services.product(&key.caller, &sku).await;
    product.map(Json).map_err(service_problem)
}

/// List products
///
/// Newest first; with a publishable key only active ones. The cursors are product ids (`prod_…`), not SKUs.
#[utoipa::path(
    get, path = "/v1/products", tag = "Products", operation_id = "list_products",
    params(
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; 10 when not given", minimum = 1, maximum = 100),
        ("starting_after" = Option<ProductId>, Query, description = "Only older than the product with this id"),
        ("ending_before" = Option<ProductId>, Query, description = "Only newer than the product with this id; not together with `starting_after`"),
    ),
    responses((status = 200, description = "A page of products", body = List<Product>)),
    security(("secret_key" = []), ("publishable_key" = [])),
)]
#[rocket::get("/v1/products")]
pub async fn list(
    key: ApiKey<StorefrontRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<List<Product>>, Problem> {
    let mut query = query.reader();
    let page = query.page();
    query.finish()?;
    let products = services.products(&key.caller, &page).await;
    products.map(Json).map_err(service_problem)
}
