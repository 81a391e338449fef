//! Use cases: the only layer that opens transactions, and the only one that joins the store and the provider.
//!
//! *Intent, call, fact*: before a call that changes something at a provider, a committed row holds exactly what
//! will be sent; there is no network inside a transaction.
#![deny(
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects
)]

pub mod actions;
mod asking;
pub mod audit;
pub mod calls;
pub mod catalogue;
mod changes;
pub mod checkouts;
pub mod closing;
pub mod error;
pub mod events;
pub mod files;
pub mod gate;
pub mod health;
pub mod idempotency;
pub mod keys;
pub mod ledger;
pub mod notes;
mod observe;
pub mod once;
pub mod order_desk;
pub mod orders;
pub mod overview;
pub mod payments;
pub mod people;
pub mod recovery;
pub mod refunds;
pub mod replay;
mod resolve;
pub mod reviews;
pub mod search;
pub mod staff;
pub mod timeline;
pub mod verify;
pub mod webhooks;

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify};

pub use error::{Refusal, ServiceError};

use crate::clock::Clock;
use crate::domain::access::{KeyKind, Mode, Scopes, Trace};
use crate::domain::ids::{ApiKeyId, OrderId, RefundId, ReviewId, ShopId, StaffId};
use crate::domain::money::Money;
use crate::domain::resolution::Resolution;
use crate::metrics::Metrics;
use crate::provider::{CallRequest, PaymentProvider, RefundAsk};
use crate::secrets::SecretKeys;
use crate::store::Store;
use crate::store::accounts::AccountRecord;
use crate::store::settle::{FollowUps, Settle, Source};

/// Everything the use cases talk to, built once at the start.
pub struct Services {
    /// The database.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: Clock,
    /// The payment provider.
    pub provider: Arc<dyn PaymentProvider>,
    /// The keys secrets are derived from.
    pub secrets: Arc<SecretKeys>,
    /// The provider account calls are made with.
    pub account: AccountRecord,
    /// This database's own id.
    pub deployment: String,
    /// How long an order may stay unpaid, in milliseconds.
    pub expire_after_ms: i64,
    /// How many sessions an order may get in [`crate::domain::checkout::SESSION_WINDOW_S`].
    pub sessions_per_order: u32,
    /// Whether money that came too late or twice goes back by itself.
    pub auto_refund: bool,
    /// What stands before the provider.
    pub gate: gate::Gate,
    /// Hashes the passwords of staff.
    pub passwords: staff::Passwords,
    /// Wakes the workers when there is something to do at once.
    pub wake: Arc<Notify>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When the queues were last counted for the metrics, in epoch milliseconds.
    pub queues_counted_at: Mutex<Option<i64>>,
    /// What the last health probe found.
    pub last_probe: verify::LastProbe,
    /// What the overview read of the past.
    pub known_figures: overview::KnownFigures,
    /// What forms of staff came to.
    pub forms: once::Once,
}

/// By whom something is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A program, by its API key.
    Key(ApiKeyId),
    /// A member of staff.
    Staff(StaffId),
}

/// What a member of staff looked at when deciding; what is asked for is refused when it is not so any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The order's version.
    pub version: String,
    /// The question it answers.
    pub answers: Option<Answering>,
}

/// The question an action answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// The question.
    pub review: ReviewId,
    /// Which time of being open it is.
    pub opening: i64,
    /// How it is answered.
    pub resolution: Resolution,
    /// Why.
    pub note: Option<String>,
    /// The refund that is sent again by it.
    pub repeats: Option<RefundId>,
}

/// Who calls: an API key that was checked, or a member of staff, in one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub by: By,
    /// The kind of key; staff may do what secret keys may.
    pub kind: KeyKind,
    /// Its rights.
    pub scopes: Scopes,
    /// Its shop.
    pub shop: ShopId,
    /// The shop's mode.
    pub mode: Mode,
    /// The request.
    pub request_id: String,
    /// The `Order-Token` that came with a publishable key.
    pub order_token: Option<String>,
    /// What a member of staff looked at.
    pub seen: Option<Seen>,
}

impl Caller {
    /// A member of staff at work in a shop.
    #[must_use]
    pub fn staff(person: StaffId, shop: ShopId, mode: Mode, request_id: String) -> Caller {
        Caller {
            by: By::Staff(person),
            kind: KeyKind::Secret,
            scopes: Scopes::all(),
            shop,
            mode,
            request_id,
            order_token: None,
            seen: None,
        }
    }

    /// The same, deciding on what was seen.
    #[must_use]
    pub fn having_seen(&self, version: &str, answers: Option<Answering>) -> Caller {
        let seen = Seen {
            version: version.to_owned(),
            answers,
        };
        Caller {
            seen: Some(seen),
            ..self.clone()
        }
    }

    /// Where this caller's idempotency keys are its own: staff never meet a program's.
    pub(crate) fn scope_of(&self, route: &'static str) -> Cow<'static, str> {
        match self.by {
            By::Key(_) => Cow::Borrowed(route),
            By::Staff(_) => Cow::Owned(format!("staff {route}")),
        }
    }

    /// What is stored with everything this caller changes.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace {
            request_id: Some(self.request_id.clone()),
            actor: match self.by {
                By::Key(key) => key.to_string(),
                By::Staff(person) => person.to_string(),
            },
        }
    }
}

/// An answer to a request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
    /// Whether this was the answer to an earlier request with the same key.
    pub replayed: bool,
    /// The path of the object that was made.
    pub location: Option<String>,
    /// When to ask again, in seconds, while the outcome is open.
    pub retry_after_s: Option<u64>,
}

/// What settlement may have to ask the provider for.
struct Requests {
    provider: Arc<dyn PaymentProvider>,
    deployment: String,
}

impl FollowUps for Requests {
    fn expire(&self, provider_session_id: &str) -> CallRequest {
        self.provider.expire_session(provider_session_id)
    }

    fn void(&self, intent: &str) -> CallRequest {
        self.provider.void(intent)
    }

    fn refund(
        &self,
        refund: RefundId,
        order: OrderId,
        intent: &str,
        amount: Money,
    ) -> Option<CallRequest> {
        let ask = RefundAsk {
            refund,
            order,
            deployment: self.deployment.clone(),
            intent: intent.to_owned(),
            amount,
            reason: None,
        };
        self.provider.refund(&ask).ok()
    }
}

impl Services {
    /// Whether a caller may read and pay an order: any order of its shop with a secret key, one whose token it
    /// holds with a publishable one. An absent, a foreign and a guessed order are one and the same.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] without a token, [`ServiceError::NotFound`] with a wrong one.
    pub async fn may_see(&self, caller: &Caller, order: OrderId) -> Result<(), ServiceError> {
        if caller.kind == KeyKind::Secret {
            return Ok(());
        }
        let Some(token) = &caller.order_token else {
            return Err(ServiceError::Forbidden(
                "A publishable key reads an order only with its token; send the `client_token` of the order \
                 in the `Order-Token` header.",
            ));
        };
        let key = self.store.shop(caller.shop).order_token_key(order).await?;
        if self.secrets.token_holds(key, caller.shop, order, token) {
            Ok(())
        } else {
            Err(ServiceError::NotFound)
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_ready(&self) -> Result<(), ServiceError> {
        Ok(self.store.ping().await?)
    }

    /// The origins a shop's browser calls may name in live mode.
    ///
    /// # Errors
    /// The store's.
    pub async fn allowed_origins(&self, caller: &Caller) -> Result<Vec<String>, ServiceError> {
        let shops = self.store.shops().await?;
        let shop = shops.into_iter().find(|shop| shop.id == caller.shop);
        Ok(shop.map(|shop| shop.allowed_origins).unwrap_or_default())
    }

    /// What settlement may have to ask the provider for.
    #[must_use]
    pub fn follow_ups(&self) -> Arc<dyn FollowUps> {
        Arc::new(Requests {
            provider: self.provider.clone(),
            deployment: self.deployment.clone(),
        })
    }

    fn settle_command(&self, source: Source, trace: Trace) -> Settle {
        Settle {
            account: self.account.clone(),
            deployment: self.deployment.clone(),
            source,
            observed: Vec::new(),
            drafts: Vec::new(),
            follow_ups: self.follow_ups(),
            auto_refund: self.auto_refund,
            trace,
            waiting: None,
        }
    }
}
