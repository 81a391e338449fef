//! Cancelling orders, ending checkout sessions, and letting unpaid orders expire.
//!
//! The provider is asked first: an order is closed only once it can no longer be paid, and the payment that was
//! faster wins.

use std::sync::Arc;

use super::changes::{ASK_AGAIN_S, answer_of, body_of, stored_refusal};
use super::error::chain;
use super::idempotency::{claim, same_request};
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::access::Trace;
use crate::domain::call::{CallKind, CallRequest};
use crate::domain::checkout::SessionStatus;
use crate::domain::ids::{AccountId, CallId, CheckoutSessionId, OrderId, ShopId};
use crate::domain::order::{OrderStatus, PaymentStatus};
use crate::domain::payment::PaymentWord;
use crate::domain::time::{HOUR_MS, MINUTE_MS};
use crate::store::calls::{ClaimedCall, NewCall};
use crate::store::checkouts::SessionRecord;
use crate::store::failpoint::Step;
use crate::store::idempotency::{KeyClaim, StoredAnswer};
use crate::store::settle::Source;
use crate::store::{MOMENT, ShopTx, StoreError, Tx};

const CANCEL: &str = "POST /v1/orders/{id}/cancel";
const EXPIRE: &str = "POST /v1/checkout_sessions/{id}/expire";
/// How many overdue orders one round looks at.
const BATCH: u64 = 20;

/// What the first transaction of a cancellation decided.
enum Begun {
    /// These calls are ours to send; maybe none.
    Asked(Vec<ClaimedCall>),
    /// The key was used before.
    KeyKnown,
    /// It needs nothing more.
    Closed,
}

impl Services {
    /// Calls an order off. The key is optional: cancelling twice is cancelling once.
    ///
    /// # Errors
    /// A payment was faster, or is under way.
    pub async fn cancel_order(
        self: &Arc<Self>,
        caller: &Caller,
        key: Option<&str>,
        order: OrderId,
    ) -> Result<Answer, ServiceError> {
        self.same_mode(caller)?;
        let path = format!("/v1/orders/{order}/cancel");
        let claim = key.map(|key| claim(caller, CANCEL, &path, key, &()));
        if let Some(answer) = self.stored_answer(caller, claim.as_ref()).await? {
            return answer;
        }
        let begun = self
            .store
            .write_at(Step::CancelBegin, |tx| {
                let claim = claim.as_ref();
                async move { self.begin_cancel(&tx, caller, claim, order).await }
            })
            .await?;
        let replayed = matches!(begun, Begun::KeyKnown);
        if replayed && let Some(answer) = self.stored_answer(caller, claim.as_ref()).await? {
            return answer;
        }
        if let Begun::Asked(calls) = begun {
            for call in calls {
                self.carry_out(call).await?;
            }
        }
        self.close_if_clear(caller.shop, order, caller.trace())
            .await?;
        self.cancel_answer(caller, claim.as_ref(), order, replayed)
            .await
    }

    async fn begin_cancel(
        &self,
        tx: &Tx,
        caller: &Caller,
        claim: Option<&KeyClaim>,
        id: OrderId,
    ) -> Result<Begun, ServiceError> {
        let shop = tx.shop(caller.shop);
        let order = shop.lock_order(id).await?.ok_or(ServiceError::NotFound)?;
        if let Some(claim) = claim
            && !shop.claim_key(claim, &id.to_string(), None).await?
        {
            return Ok(Begun::KeyKnown);
        }
        let cause = self.still(&shop, caller, id).await?;
        if order.status == OrderStatus::Cancelled {
            return Ok(Begun::Closed);
        }
        may_cancel(order.status, order.payment_status, order.total.is_zero())?;
        shop.request_cancel(id).await?;
        let calls = self
            .ask_to_end(&shop, id, caller.trace(), &cause, true)
            .await?;
        Ok(Begun::Asked(calls))
    }

    /// Writes the calls that end what could still bring the order money. What is being created is ended by
    /// settlement, once it is known. Calls that are not `ours` to send are the recovery loop's.
    async fn ask_to_end(
        &self,
        shop: &ShopTx,
        order: OrderId,
        trace: Trace,
        cause: &str,
        ours: bool,
    ) -> Result<Vec<ClaimedCall>, ServiceError> {
        let mut wanted: Vec<(CallKind, String, AccountId, CallRequest)> = Vec::new();
        if let Some(session) = shop.live_session(order).await?
            && let Some(provider_id) = &session.provider_session_id
            && session.status == SessionStatus::Open
        {
            let id = session.id.to_string();
            if !shop.call_exists(CallKind::SessionExpire, &id).await? {
                let request = self.provider.expire_session(provider_id);
                wanted.push((CallKind::SessionExpire, id, session.account, request));
            }
        }
        for payment in shop.payments_of(order).await? {
            let reserved = payment.public.status == PaymentWord::Authorized;
            if reserved && shop.ending_of(payment.id).await?.is_none() {
                let request = self.provider.void(&payment.intent);
                let id = payment.id.to_string();
                wanted.push((CallKind::Void, id, payment.account, request));
            }
        }
        let mut calls = Vec::new();
        for (kind, subject_id, account, request) in wanted {
            let call = NewCall {
                id: self.clock.id::<CallId>(),
                order,
                account,
                kind,
                subject_id,
                request,
                cause: cause.to_owned(),
                trace: trace.clone(),
            };
            if ours {
                calls.push(shop.insert_claimed_call(&call).await?);
            } else {
                shop.insert_call(&call).await?;
            }
        }
        Ok(calls)
    }

    /// Closes the order if nothing can bring it money any more.
    async fn close_if_clear(
        &self,
        shop: ShopId,
        order: OrderId,
        trace: Trace,
    ) -> Result<(), ServiceError> {
        let command = self.settle_command(Source::Closing { shop, order }, trace);
        self.store.settle(&command).await?;
        self.wake.notify_waiters();
        Ok(())
    }

    async fn cancel_answer(
        &self,
        caller: &Caller,
        claim: Option<&KeyClaim>,
        id: OrderId,
        replayed: bool,
    ) -> Result<Answer, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let found = shop.order_being_closed(id, caller.mode).await?;
        let (order, under_way) = found.ok_or(ServiceError::NotFound)?;
        let stored = match order.status {
            OrderStatus::Cancelled => StoredAnswer {
                status: 200,
                body: body_of(&order),
            },
            OrderStatus::Expired => stored_refusal(
                Refusal::OrderClosed,
                "The order has expired in the meantime.",
            ),
            OrderStatus::Open | OrderStatus::Completed => match order.payment_status {
                PaymentStatus::Unpaid | PaymentStatus::Authorized if under_way => {
                    return Ok(Answer {
                        status: 202,
                        body: body_of(&order),
                        replayed,
                        location: Some(format!("/v1/orders/{id}")),
                        retry_after_s: Some(ASK_AGAIN_S),
                    });
                }
                // A session can be known to be processing before its payment is: the wish has ended with it.
                PaymentStatus::Unpaid | PaymentStatus::Authorized | PaymentStatus::Pending => {
                    stored_refusal(Refusal::PaymentProcessing, PROCESSING)
                }
                _ => stored_refusal(Refusal::AlreadyPaid, PAID),
            },
        };
        if let Some(claim) = claim {
            self.finish_key(Step::CancelAnswer, caller, claim, &stored)
                .await?;
        }
        answer_of(&stored, None, replayed)
    }

    /// The stored answer of a key that was used before; none when the request must be looked at again.
    async fn stored_answer(
        &self,
        caller: &Caller,
        claim: Option<&KeyClaim>,
    ) -> Result<Option<Result<Answer, ServiceError>>, ServiceError> {
        let Some(claim) = claim else { return Ok(None) };
        let known = self.store.shop(caller.shop).known_key(claim).await?;
        let Some(known) = known else { return Ok(None) };
        same_request(claim, &known)?;
        Ok(known.answer.map(|stored| answer_of(&stored, None, true)))
    }

    /// Ends a checkout session, so that it cannot be paid any more.
    ///
    /// # Errors
    /// It was paid, or its payment is under way.
    pub async fn expire_checkout(
        self: &Arc<Self>,
        caller: &Caller,
        key: Option<&str>,
        id: CheckoutSessionId,
    ) -> Result<Answer, ServiceError> {
        self.same_mode(caller)?;
        let path = format!("/v1/checkout_sessions/{id}/expire");
        let claim = key.map(|key| claim(caller, EXPIRE, &path, key, &()));
        if let Some(answer) = self.stored_answer(caller, claim.as_ref()).await? {
            return answer;
        }
        let session = self.session_of(caller, id).await?;
        let (replayed, call) = self
            .store
            .write_at(Step::ExpireBegin, |tx| {
                let (claim, order) = (claim.as_ref(), session.order);
                async move { self.begin_expire(&tx, caller, claim, order, id).await }
            })
            .await?;
        match call {
            Some(call) => {
                self.carry_out(call).await?;
            }
            // Its key may have been taken meanwhile, by another request.
            None => {
                if let Some(answer) = self.stored_answer(caller, claim.as_ref()).await? {
                    return answer;
                }
            }
        }
        let session = self.session_of(caller, id).await?;
        let stored = match session.status {
            SessionStatus::Creating | SessionStatus::Open => {
                return Ok(Answer {
                    status: 202,
                    body: body_of(&session.public(self.provider.name())),
                    replayed,
                    location: Some(format!("/v1/checkout_sessions/{id}")),
                    retry_after_s: Some(ASK_AGAIN_S),
                });
            }
            SessionStatus::Expired | SessionStatus::Failed => StoredAnswer {
                status: 200,
                body: body_of(&session.public(self.provider.name())),
            },
            SessionStatus::Processing => stored_refusal(Refusal::PaymentProcessing, PROCESSING),
            SessionStatus::Complete => stored_refusal(Refusal::AlreadyPaid, PAID),
        };
        if let Some(claim) = claim.as_ref() {
            self.finish_key(Step::ExpireAnswer, caller, claim, &stored)
                .await?;
        }
        answer_of(&stored, None, replayed)
    }

    async fn session_of(
        &self,
        caller: &Caller,
        id: CheckoutSessionId,
    ) -> Result<SessionRecord, ServiceError> {
        let found = self.store.shop(caller.shop).session(id).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// Whether the key was used before, by this request, and the call that is ours to send.
    async fn begin_expire(
        &self,
        tx: &Tx,
        caller: &Caller,
        claim: Option<&KeyClaim>,
        order: OrderId,
        id: CheckoutSessionId,
    ) -> Result<(bool, Option<ClaimedCall>), ServiceError> {
        let shop = tx.shop(caller.shop);
        shop.lock_order(order).await?;
        let mut replayed = false;
        if let Some(claim) = claim
            && !shop.claim_key(claim, &id.to_string(), None).await?
        {
            let known = shop.known_key(claim).await?;
            same_request(claim, &known.ok_or(ServiceError::Task)?)?;
            replayed = true;
        }
        let live = shop.live_session(order).await?;
        let Some(live) = live.filter(|live| live.id == id) else {
            return Ok((replayed, None));
        };
        if live.status == SessionStatus::Creating {
            // It has no name at the provider yet; settlement asks for its end as soon as it has.
            shop.request_end(id).await?;
            return Ok((replayed, None));
        }
        let (SessionStatus::Open, Some(provider_id)) = (live.status, &live.provider_session_id)
        else {
            return Ok((replayed, None));
        };
        if shop
            .call_exists(CallKind::SessionExpire, &id.to_string())
            .await?
        {
            return Ok((replayed, None));
        }
        let call = NewCall {
            id: self.clock.id::<CallId>(),
            order,
            account: live.account,
            kind: CallKind::SessionExpire,
            subject_id: id.to_string(),
            request: self.provider.expire_session(provider_id),
            cause: caller.request_id.clone(),
            trace: caller.trace(),
        };
        Ok((replayed, Some(shop.insert_claimed_call(&call).await?)))
    }

    /// Begins to close the orders whose time is up, and closes those that nothing can bring money any more.
    /// Returns how many that were; what failed comes again after a rest, and a row that cannot be read after hours.
    ///
    /// # Errors
    /// The store's, when nothing could be read.
    pub async fn expire_orders(&self) -> Result<usize, ServiceError> {
        let overdue = self.store.overdue_orders(BATCH).await?;
        let mut done: usize = 0;
        for (shop, order) in overdue {
            let Err(error) = self.expire_order(shop, order).await else {
                done = done.saturating_add(1);
                continue;
            };
            tracing::error!(
                order.id = %order,
                error = %chain(&error),
                "order `{order}` could not be expired; it is tried again"
            );
            if let ServiceError::Store(StoreError::Corrupt(_)) = &error {
                self.store.set_order_aside(order).await?;
            }
        }
        Ok(done)
    }

    async fn expire_order(&self, shop: ShopId, order: OrderId) -> Result<(), ServiceError> {
        let begun = self
            .store
            .write_set(Step::OrderExpiryBegin, MOMENT, |tx| async move {
                let shop = tx.shop(shop);
                shop.lock_order(order).await?;
                let live = shop.live_session(order).await?;
                let under_way = live.is_some_and(|live| live.status == SessionStatus::Processing);
                // The outcome of a payment under way closes the order when it comes; it can take days.
                let look_in_ms = if under_way { HOUR_MS } else { MINUTE_MS };
                if !shop.begin_expiry(order, look_in_ms).await? {
                    return Ok(false);
                }
                let trace = Trace::system();
                self.ask_to_end(&shop, order, trace, "order_expiry", false)
                    .await?;
                Ok::<_, ServiceError>(true)
            })
            .await?;
        if begun {
            self.close_if_clear(shop, order, Trace::system()).await?;
        }
        Ok(())
    }
}

const PROCESSING: &str = "A payment of this order is under way and cannot be called back; wait for its outcome, then cancel or refund.";
const PAID: &str = "The order was paid; refund it instead. A full refund of goods that were not shipped \
                    cancels the order.";

/// Whether an order can be called off, by where it stands.
pub(super) fn may_cancel(
    status: OrderStatus,
    payment: PaymentStatus,
    is_free: bool,
) -> Result<(), ServiceError> {
    let (code, detail) = match (status, payment) {
        (OrderStatus::Expired, _) => (Refusal::OrderClosed, "The order has expired."),
        (OrderStatus::Completed, _) => (Refusal::AlreadyPaid, PAID),
        (_, PaymentStatus::Unpaid | PaymentStatus::Authorized) => return Ok(()),
        // Free goods can be called off.
        (_, PaymentStatus::Paid) if is_free => return Ok(()),
        (_, PaymentStatus::Pending) => (Refusal::PaymentProcessing, PROCESSING),
        _ => (Refusal::AlreadyPaid, PAID),
    };
    Err(ServiceError::refused(code, detail))
}
