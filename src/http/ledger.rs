//! `/v1/ledger`.

use std::sync::Arc;

use rocket::State;

use super::answer::service_problem;
use super::auth::{ApiKey, LedgerRead};
use super::body::Json;
use super::problem::Problem;
use super::query::{NoQuery, Query};
use crate::domain::books::{LedgerTransaction, TrialBalance};
use crate::domain::page::List;
use crate::service::Services;

/// Read the trial balance
///
/// The sums of every account's debits and credits over all time, by currency. Debits equal credits.
#[utoipa::path(
    get, path = "/v1/ledger/trial_balance", tag = "Ledger", operation_id = "get_trial_balance",
    responses((status = 200, description = "The trial balance", body = TrialBalance)),
    extensions(("x-problems" = json!(["invalid_request"]))),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/ledger/trial_balance")]
pub async fn trial_balance(
    key: ApiKey<LedgerRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<TrialBalance>, Problem> {
    query.reader().finish()?;
    let balance = services.trial_balance(&key.caller).await;
    balance.map(Json).map_err(service_problem)
}

/// List ledger transactions
///
/// Newest first. A transaction is posted for one fact that moved money, in the same database transaction as
/// everything else that follows from it, and is never changed.
#[utoipa::path(
    get, path = "/v1/ledger/transactions", tag = "Ledger", operation_id = "list_ledger_transactions",
    params(
        ("order_id" = Option<crate::domain::ids::OrderId>, Query, description = "Only of this order"),
        ("limit" = Option<u64>, Query, description = "How many, 1 to 100; 10 when not given", minimum = 1, maximum = 100),
        ("starting_after" = Option<crate::domain::ids::LedgerTransactionId>, Query, description = "Only older than this transaction"),
        ("ending_before" = Option<crate::domain::ids::LedgerTransactionId>, Query, description = "Only newer than this transaction"),
    ),
    responses((status = 200, description = "A page of transactions", body = List<LedgerTransaction>)),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/ledger/transactions")]
pub async fn transactions(
    key: ApiKey<LedgerRead>,
    services: &State<Arc<Services>>,
    query: Query,
) -> Result<Json<List<LedgerTransaction>>, Problem> {
    let mut query = query.reader();
    let page = query.page();
    let order = query.parsed("order_id", "an order's id");
    query.finish()?;
    let transactions = services
        .ledger_transactions(&key.caller, order, &page)
        .await;
    transactions.map(Json).map_err(service_problem)
}

/// Read a ledger transaction
///
/// With its entries, and the fact it was posted for.
#[utoipa::path(
    get, path = "/v1/ledger/transactions/{id}", tag = "Ledger", operation_id = "get_ledger_transaction",
    params(("id" = crate::domain::ids::LedgerTransactionId, Path, description = "The transaction's id")),
    responses((status = 200, description = "The transaction", body = LedgerTransaction)),
    extensions(("x-problems" = json!(["not_found"]))),
    security(("secret_key" = [])),
)]
#[rocket::get("/v1/ledger/transactions/<id>")]
pub async fn transaction(
    key: ApiKey<LedgerRead>,
    _query: NoQuery,
    services: &State<Arc<Services>>,
    id: &str,
) -> Result<Json<LedgerTransaction>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let transaction = services.ledger_transaction(&key.caller, id).await;
    transaction.map(Json).map_err(service_problem)
}
