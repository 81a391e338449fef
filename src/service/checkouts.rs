//! Checkouts: from an order to a page the customer can pay on.
//!
//! Tx 1 inserts the session, its provider call with the exact bytes, and the caller's key. Then the call. Tx 2
//! settles what it learned. When no answer comes the caller gets 202 and the recovery loop finishes it.

use std::sync::Arc;

use serde::Serialize;

use super::calls::Performed;
use super::changes::{
    ASK_AGAIN_S, LOOK_EVERY, WAIT_FOR_FIRST, answer_of, body_of, in_progress, stored_refusal,
};
use super::idempotency::{claim, same_request};
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::call::CallKind;
use crate::domain::checkout::{
    Capture, CheckoutSession, SESSION_WINDOW_S, SessionStatus, fill_url, session_expiry,
    wait_for_session,
};
use crate::domain::ids::{CallId, CheckoutSessionId, OrderId};
use crate::domain::order::{CheckoutRefusal, may_check_out};
use crate::domain::time::Timestamp;
use crate::provider::NewSession;
use crate::store::calls::{ClaimedCall, NewCall};
use crate::store::checkouts::{NewSessionRow, SessionRecord};
use crate::store::failpoint::Step;
use crate::store::idempotency::{KeyClaim, KnownKey, StoredAnswer};
use crate::store::orders::OrderRecord;
use crate::store::{ShopTx, Tx};

const ROUTE: &str = "POST /v1/orders/{id}/checkout_sessions";

/// A checkout as a caller wants it, every text already checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCheckout {
    /// Where the customer goes after paying.
    pub success_url: String,
    /// Where the customer goes when giving up.
    pub cancel_url: String,
    /// When the money is taken.
    pub capture: Capture,
}

/// What the first transaction decided.
enum Begun {
    /// A new session; its call is ours to send.
    New(Box<ClaimedCall>),
    /// The order has a live session already.
    Live(SessionRecord),
    /// The key was used before.
    KeyKnown,
}

impl Services {
    /// Starts a checkout, or finds the one under way.
    ///
    /// # Errors
    /// The order cannot be paid (now), a session with another capture mode is live, the provider refused.
    pub async fn start_checkout(
        self: &Arc<Self>,
        caller: &Caller,
        key: &str,
        order: OrderId,
        wanted: NewCheckout,
    ) -> Result<Answer, ServiceError> {
        self.may_see(caller, order).await?;
        self.same_mode(caller)?;
        let path = format!("/v1/orders/{order}/checkout_sessions");
        let claim = claim(caller, ROUTE, &path, key, &wanted);
        if let Some(known) = self.store.shop(caller.shop).known_key(&claim).await? {
            return self.repeat_checkout(caller, &claim, &known).await;
        }
        if !self.gate.has_room(self.clock.now().ms()) {
            return Err(ServiceError::refused(
                Refusal::ProviderUnavailable,
                "The payment provider does not answer at the moment; nothing was done. Try again in a moment, \
                 with the same Idempotency-Key.",
            ));
        }
        self.give_up_stale_creation(order).await?;
        let session: CheckoutSessionId = self.clock.id();
        let begin = Begin {
            services: self,
            caller,
            claim: &claim,
            order,
            session,
            wanted: &wanted,
            now: self.clock.now(),
        };
        let begun = self
            .store
            .write_at(Step::CheckoutBegin, |tx| {
                let begin = &begin;
                async move { begin.run(&tx).await }
            })
            .await?;
        match begun {
            Begun::New(call) => self.create(caller, &claim, session, *call).await,
            Begun::Live(live) => self.live_answer(caller, &claim, &live, false).await,
            Begun::KeyKnown => {
                let known = self.store.shop(caller.shop).known_key(&claim).await?;
                let known = known.ok_or(ServiceError::Task)?;
                self.repeat_checkout(caller, &claim, &known).await
            }
        }
    }

    /// Sends the creation and answers with what came of it.
    async fn create(
        self: &Arc<Self>,
        caller: &Caller,
        claim: &KeyClaim,
        session: CheckoutSessionId,
        call: ClaimedCall,
    ) -> Result<Answer, ServiceError> {
        let performed = self.carry_out(call).await?;
        let record = self.session_record(caller, session).await?;
        match performed {
            Performed::Unknown => Ok(self.open_answer(&record, 202)),
            // Whoever has the call now does not know more yet.
            Performed::Superseded if record.status == SessionStatus::Creating => {
                Ok(self.open_answer(&record, 202))
            }
            Performed::Known | Performed::Superseded => {
                let stored = self.final_answer(&record, 201);
                self.finish(caller, claim, &stored, &record, false).await
            }
        }
    }

    /// A repeated request: its first answer, or what is known by now.
    async fn repeat_checkout(
        &self,
        caller: &Caller,
        claim: &KeyClaim,
        known: &KnownKey,
    ) -> Result<Answer, ServiceError> {
        same_request(claim, known)?;
        let session: CheckoutSessionId =
            known.resource_id.parse().map_err(|_| ServiceError::Task)?;
        if let Some(stored) = &known.answer {
            return answer_of(stored, Some(location(session)), true);
        }
        let began = tokio::time::Instant::now();
        loop {
            let record = self.session_record(caller, session).await?;
            if record.status != SessionStatus::Creating {
                let stored = self.final_answer(&record, 201);
                return self.finish(caller, claim, &stored, &record, true).await;
            }
            let subject = session.to_string();
            let call = self
                .store
                .call_state(CallKind::SessionCreate, &subject)
                .await?;
            let in_flight = call.is_some_and(|(_, in_flight)| in_flight);
            if !in_flight {
                return Ok(Answer {
                    replayed: true,
                    ..self.open_answer(&record, 202)
                });
            }
            if began.elapsed() >= WAIT_FOR_FIRST {
                return Err(in_progress());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn live_answer(
        &self,
        caller: &Caller,
        claim: &KeyClaim,
        live: &SessionRecord,
        replayed: bool,
    ) -> Result<Answer, ServiceError> {
        if live.status == SessionStatus::Creating {
            return Ok(self.open_answer(live, 202));
        }
        let stored = self.final_answer(live, 200);
        self.finish(caller, claim, &stored, live, replayed).await
    }

    /// An answer that is not the last word.
    fn open_answer(&self, record: &SessionRecord, status: u16) -> Answer {
        Answer {
            status,
            body: body_of(&record.public(self.provider.name())),
            replayed: false,
            location: Some(location(record.id)),
            retry_after_s: Some(ASK_AGAIN_S),
        }
    }

    /// The last word on a creation, as it is stored.
    fn final_answer(&self, record: &SessionRecord, status: u16) -> StoredAnswer {
        if record.status == SessionStatus::Failed {
            let detail = "The payment provider refused to create the checkout session, or answered with \
                          something else than was asked for. Nothing was charged; start a new checkout with a \
                          new Idempotency-Key, and see the order's timeline for the provider's reason.";
            return stored_refusal(Refusal::ProviderRejected, detail);
        }
        StoredAnswer {
            status,
            body: body_of(&record.public(self.provider.name())),
        }
    }

    async fn finish(
        &self,
        caller: &Caller,
        claim: &KeyClaim,
        stored: &StoredAnswer,
        record: &SessionRecord,
        replayed: bool,
    ) -> Result<Answer, ServiceError> {
        self.finish_key(Step::CheckoutAnswer, caller, claim, stored)
            .await?;
        answer_of(stored, Some(location(record.id)), replayed)
    }

    async fn session_record(
        &self,
        caller: &Caller,
        id: CheckoutSessionId,
    ) -> Result<SessionRecord, ServiceError> {
        let record = self.store.shop(caller.shop).session(id).await?;
        record.ok_or(ServiceError::NotFound)
    }

    /// A checkout session; `refresh` asks the provider first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or not the caller's to see.
    pub async fn checkout_session(
        &self,
        caller: &Caller,
        id: CheckoutSessionId,
        refresh: bool,
    ) -> Result<CheckoutSession, ServiceError> {
        let record = self.store.shop(caller.shop).session(id).await?;
        // A publishable key without a token learns nothing, not even that the session does not exist.
        let order = match &record {
            Some(record) => record.order,
            None => self.clock.id(),
        };
        self.may_see(caller, order).await?;
        let mut record = record.ok_or(ServiceError::NotFound)?;
        if refresh && self.refresh_session(&record).await? {
            record = self.session_record(caller, id).await?;
        }
        Ok(record.public(self.provider.name()))
    }
}

fn location(session: CheckoutSessionId) -> String {
    format!("/v1/checkout_sessions/{session}")
}

/// The first transaction of a checkout; it may run more than once.
struct Begin<'a> {
    services: &'a Services,
    caller: &'a Caller,
    claim: &'a KeyClaim,
    order: OrderId,
    session: CheckoutSessionId,
    wanted: &'a NewCheckout,
    now: Timestamp,
}

impl Begin<'_> {
    async fn run(&self, tx: &Tx) -> Result<Begun, ServiceError> {
        let shop = tx.shop(self.caller.shop);
        let order = shop.lock_order(self.order).await?;
        let order = order.ok_or(ServiceError::NotFound)?;
        let gate = may_check_out(
            order.total.minor(),
            order.status,
            order.cancel_requested,
            order.payment_status,
        );
        gate.map_err(refusal)?;
        self.services.still(&shop, self.caller, self.order).await?;
        if let Some(live) = shop.live_session(self.order).await? {
            return self.join(&shop, live).await;
        }
        let claimed = shop
            .claim_key(self.claim, &self.session.to_string(), None)
            .await?;
        if !claimed {
            return Ok(Begun::KeyKnown);
        }
        self.limit(&shop).await?;
        let call = self.insert(&shop, &order).await?;
        Ok(Begun::New(Box::new(call)))
    }

    /// Refuses a session too many: making sessions tries cards. A refusal takes the caller's key back with
    /// everything else; repeated requests and live sessions never come here.
    async fn limit(&self, shop: &ShopTx) -> Result<(), ServiceError> {
        let limit = self.services.sessions_per_order;
        let since = self
            .now
            .plus_ms(i64::from(SESSION_WINDOW_S).saturating_mul(-1_000));
        let recent = shop.recent_sessions(self.order, since, limit).await?;
        match wait_for_session(&recent, limit, self.now) {
            None => Ok(()),
            Some(retry_after_s) => Err(ServiceError::Throttled {
                name: "checkout_sessions",
                limit,
                window_s: SESSION_WINDOW_S,
                retry_after_s,
            }),
        }
    }

    /// The order has a live session: the caller gets that one.
    async fn join(&self, shop: &ShopTx, live: SessionRecord) -> Result<Begun, ServiceError> {
        if live.capture != self.wanted.capture {
            return Err(ServiceError::refused(
                Refusal::SessionConflict,
                "The order has a live checkout session with another `capture`; expire that session first.",
            ));
        }
        let claimed = shop
            .claim_key(self.claim, &live.id.to_string(), None)
            .await?;
        Ok(match claimed {
            true => Begun::Live(live),
            false => Begun::KeyKnown,
        })
    }

    async fn insert(
        &self,
        shop: &ShopTx,
        order: &OrderRecord,
    ) -> Result<ClaimedCall, ServiceError> {
        let services = self.services;
        let amount = order.total.checked_sub(order.paid).unwrap_or(order.total);
        let filled = |url: &str| fill_url(url, self.order, self.session);
        let expires_at = session_expiry(order.expires_at, self.now);
        let new = NewSessionRow {
            id: self.session,
            order: self.order,
            account: services.account.id,
            amount,
            capture: self.wanted.capture,
            success_url: filled(&self.wanted.success_url),
            cancel_url: filled(&self.wanted.cancel_url),
            expires_at,
            trace: self.caller.trace(),
        };
        shop.insert_session(&new).await?;
        let request = services.provider.create_session(&NewSession {
            session: self.session,
            order: self.order,
            order_number: order.number.clone(),
            deployment: services.deployment.clone(),
            amount,
            lines: order
                .lines
                .iter()
                .map(|(name, quantity, total)| (line_text(name, *quantity), *total))
                .collect(),
            capture: self.wanted.capture,
            success_url: new.success_url.clone(),
            cancel_url: new.cancel_url.clone(),
            customer_email: order.customer_email.clone(),
            expires_at,
        });
        let request = request.map_err(|why| {
            let detail = format!("The provider cannot charge this amount exactly: {why}");
            ServiceError::refused(Refusal::AmountNotChargeable, detail)
        })?;
        let call = NewCall {
            id: services.clock.id::<CallId>(),
            order: self.order,
            account: services.account.id,
            kind: CallKind::SessionCreate,
            subject_id: self.session.to_string(),
            request,
            cause: self.caller.request_id.clone(),
            trace: self.caller.trace(),
        };
        Ok(shop.insert_claimed_call(&call).await?)
    }
}

fn line_text(name: &str, quantity: u32) -> String {
    if quantity == 1 {
        name.to_owned()
    } else {
        format!("{quantity} × {name}")
    }
}

pub(super) fn refusal(why: CheckoutRefusal) -> ServiceError {
    let (code, detail) = match why {
        CheckoutRefusal::NothingToPay => (
            Refusal::NothingToPay,
            "The order's total is zero; it counts as paid and needs no checkout.",
        ),
        CheckoutRefusal::OrderClosed => (
            Refusal::OrderClosed,
            "The order is cancelled, expired, or being cancelled; place a new order.",
        ),
        CheckoutRefusal::PaymentProcessing => (
            Refusal::PaymentProcessing,
            "A payment of this order is under way; wait for its outcome.",
        ),
        CheckoutRefusal::AlreadyPaid => (
            Refusal::AlreadyPaid,
            "The order's money has arrived or is reserved; there is nothing left to check out.",
        ),
    };
    ServiceError::refused(code, detail)
}
