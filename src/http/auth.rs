//! API keys: a handler's signature is its access rule.
//!
//! `ApiKey<R>` is in the handler's arguments, so a handler that runs has a caller with the right `R`. 401
//! without a valid key, 403 for a right the key lacks.

use std::marker::PhantomData;
use std::sync::Arc;

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::answer::service_problem;
use super::problem::{Problem, Refused, fail};
use super::problem_catalogue::Code;
use super::request_id::RequestId;
use crate::domain::access::{KeyKind, Scope};
use crate::service::{Caller, Services, keys};

/// What a route asks of a key.
pub trait Right: Send + Sync + 'static {
    /// The scope a secret key needs.
    const SCOPE: Scope;
    /// Whether publishable keys may call it too.
    const PUBLISHABLE: bool;
}

/// Secret keys that may read orders.
pub struct OrdersRead;
/// Secret keys that may read orders, and publishable keys.
pub struct StorefrontRead;
/// Secret keys that may place orders, and publishable keys.
pub struct StorefrontWrite;
/// Secret keys that may change orders.
pub struct OrdersWrite;
/// Secret keys that may capture and void payments.
pub struct PaymentsWrite;
/// Secret keys that may refund.
pub struct RefundsWrite;
/// Secret keys that may write the catalogue.
pub struct CatalogueWrite;

/// Secret keys that may read the ledger.
pub struct LedgerRead;
/// Secret keys that may read events.
pub struct EventsRead;

impl Right for LedgerRead {
    const SCOPE: Scope = Scope::LedgerRead;
    const PUBLISHABLE: bool = false;
}

impl Right for EventsRead {
    const SCOPE: Scope = Scope::EventsRead;
    const PUBLISHABLE: bool = false;
}

impl Right for OrdersRead {
    const SCOPE: Scope = Scope::OrdersRead;
    const PUBLISHABLE: bool = false;
}

impl Right for StorefrontRead {
    const SCOPE: Scope = Scope::OrdersRead;
    const PUBLISHABLE: bool = true;
}

impl Right for StorefrontWrite {
    const SCOPE: Scope = Scope::OrdersWrite;
    const PUBLISHABLE: bool = true;
}

impl Right for OrdersWrite {
    const SCOPE: Scope = Scope::OrdersWrite;
    const PUBLISHABLE: bool = false;
}

impl Right for PaymentsWrite {
    const SCOPE: Scope = Scope::PaymentsWrite;
    const PUBLISHABLE: bool = false;
}

impl Right for RefundsWrite {
    const SCOPE: Scope = Scope::RefundsWrite;
    const PUBLISHABLE: bool = false;
}

impl Right for CatalogueWrite {
    const SCOPE: Scope = Scope::CatalogueWrite;
    const PUBLISHABLE: bool = false;
}

/// A caller whose key is valid and has the right `R`.
pub struct ApiKey<R: Right> {
    /// Who calls.
    pub caller: Caller,
    right: PhantomData<R>,
}

#[rocket::async_trait]
impl<'r, R: Right> FromRequest<'r> for ApiKey<R> {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        match check::<R>(request).await {
            Ok(caller) => Outcome::Success(ApiKey {
                caller,
                right: PhantomData,
            }),
            Err(problem) => fail(request, problem),
        }
    }
}

async fn check<R: Right>(request: &Request<'_>) -> Result<Caller, Problem> {
    let unauthenticated = || {
        Problem::new(
            Code::Unauthenticated,
            "Send a valid API key as `Authorization: Bearer sk_…`.",
        )
    };
    let header = request.headers().get_one("Authorization");
    let text = header.ok_or_else(unauthenticated)?;
    let (scheme, key) = text.split_once(' ').ok_or_else(unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated());
    }
    let services = request
        .rocket()
        .state::<Arc<Services>>()
        .ok_or_else(|| Problem::new(Code::InternalError, "The server is not ready."))?;
    let token = request.headers().get_one("Order-Token").map(str::to_owned);
    let request_id = RequestId::of(request).as_str();
    let caller = keys::check_key(&services.store, key.trim(), request_id, token)
        .await
        .map_err(service_problem)?
        .ok_or_else(unauthenticated)?;
    match caller.kind {
        KeyKind::Publishable if R::PUBLISHABLE => Ok(caller),
        KeyKind::Publishable => Err(Problem::new(
            Code::Forbidden,
            "A publishable key may not do this; call it from a server with a secret key.",
        )),
        KeyKind::Secret if caller.scopes.allow(R::SCOPE) => Ok(caller),
        KeyKind::Secret => Err(Problem::new(
            Code::Forbidden,
            format!(
                "The key lacks the scope `{}`; use a key that has it.",
                R::SCOPE
            ),
        )),
    }
}
