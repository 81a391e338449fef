//! Checkouts: from an order to a page the customer can pay on.
//!
//! Tx 1 inserts the session, its provider call with the exact bytes, and the caller's key. Then the call. Tx 2
//! settles what it learned. When no answer comes the caller gets 202 and the recovery loop finishes it.

use std::sync::Arc;

use serde::Serialize;

use super::calls::Performed;
use super::changes::{
    ASK_AGAIN_S, LOOK_EVERY, WAIT_FOR_FIRST, answer_of, body_of, finished, in_progress,
    stored_refusal,
};
use super::idempotency::{claim, same_request};
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::access::Trace;
use crate::domain::call::CallKind;
use crate::domain::checkout::{
    Capture, CheckoutSession, SESSION_WINDOW_S, SessionStatus, Unstartable, fill_url,
    session_expiry, wait_for_session,
};
use crate::domain::ids::{AccountId, CallId, CheckoutSessionId, OrderId};
use crate::domain::order::{CheckoutRefusal, PaymentStatus, may_check_out};
use crate::domain::time::Timestamp;
use crate::provider::{NewSession, PaymentProvider};
use crate::store::begin_checkout::{BeginCheckout, Begun, CheckoutPlan, CheckoutStep};
use crate::store::calls::{ClaimedCall, NewCall};
use crate::store::checkouts::{NewSessionRow, SessionRecord};
use crate::store::failpoint::Step;
use crate::store::idempotency::{KeyClaim, KnownKey, StoredAnswer};
use crate::store::orders::OrderRecord;
use crate::store::settle::Waiting;

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
        if !self.gate.has_room(self.clock.now().ms()) {
            let known = self.store.shop(caller.shop).known_key(&claim).await?;
            if let Some(known) = known {
                return self.repeat_checkout(caller, &claim, &known).await;
            }
            return Err(ServiceError::refused(
                Refusal::ProviderUnavailable,
                "The payment provider does not answer at the moment; nothing was done. Try again in a moment, \
                 with the same Idempotency-Key.",
            ));
        }
        let plan = self.plan(caller, wanted);
        let mut begun = self.begin_checkout(caller, &claim, order, &plan).await?;
        if matches!(begun, Begun::LookFirst) {
            self.give_up_stale_creation(order).await?;
            let plan = Plan {
                has_looked: true,
                ..plan
            };
            begun = self.begin_checkout(caller, &claim, order, &plan).await?;
        }
        match begun {
            Begun::New(new) => {
                let (session, call) = *new;
                self.create(caller, &claim, session, call).await
            }
            Begun::Live(live) => self.live_answer(caller, &claim, &live, false).await,
            Begun::KeyKnown => {
                let known = self.store.shop(caller.shop).known_key(&claim).await?;
                let known = known.ok_or(ServiceError::Task)?;
                self.repeat_checkout(caller, &claim, &known).await
            }
            Begun::NoOrder => Err(ServiceError::NotFound),
            // A plan that has looked does not ask to look.
            Begun::LookFirst => Err(ServiceError::Task),
            Begun::Refused(why) => Err(self.unstartable(why)),
        }
    }

    fn plan(&self, caller: &Caller, wanted: NewCheckout) -> Plan {
        Plan {
            provider: self.provider.clone(),
            deployment: self.deployment.clone(),
            account: self.account.id,
            sessions_per_order: self.sessions_per_order,
            session: self.clock.id(),
            call: self.clock.id(),
            wanted,
            has_looked: false,
            cause: caller.request_id.clone(),
            trace: caller.trace(),
            now: self.clock.now(),
        }
    }

    /// The first transaction: shared with others, or with what somebody of the staff saw and decided.
    async fn begin_checkout(
        &self,
        caller: &Caller,
        claim: &KeyClaim,
        order: OrderId,
        plan: &Plan,
    ) -> Result<Begun, ServiceError> {
        let command = BeginCheckout {
            shop: caller.shop,
            order,
            key: claim.clone(),
            since: young_since(plan.now),
            plan: Arc::new(plan.clone()),
        };
        if caller.seen.is_none() {
            return Ok(self.store.begin_checkout(command).await?);
        }
        let command = &command;
        self.store
            .write_at(Step::CheckoutBegin, |tx| async move {
                let shop = tx.shop(caller.shop);
                let order = shop.lock_order(command.order).await?;
                let order = order.ok_or(ServiceError::NotFound)?;
                // What was seen may have been changed by this very form, sent twice.
                if shop.known_key(&command.key).await?.is_some() {
                    return Ok(Begun::KeyKnown);
                }
                // Whether it is overdue the plan knows, which sees its sessions, too.
                startable(&order, plan.now, true).map_err(refusal)?;
                self.still(&shop, caller, command.order).await?;
                Ok(tx.begin_checkout(command).await?)
            })
            .await
    }

    fn unstartable(&self, why: Unstartable) -> ServiceError {
        match why {
            Unstartable::Order(why) => refusal(why),
            Unstartable::OtherCapture => ServiceError::refused(
                Refusal::SessionConflict,
                "The order has a live checkout session with another `capture`; expire that session first.",
            ),
            Unstartable::Ending => ServiceError::refused(
                Refusal::SessionConflict,
                "The order's checkout session is being ended, as was asked for; nothing was done. Try again in a \
                 moment, with the same Idempotency-Key.",
            ),
            Unstartable::TooMany { retry_after_s } => ServiceError::Throttled {
                name: "checkout_sessions",
                limit: self.sessions_per_order,
                window_s: SESSION_WINDOW_S,
                retry_after_s,
            },
            Unstartable::NotChargeable(why) => {
                let detail = format!("The provider cannot charge this amount exactly: {why}");
                ServiceError::refused(Refusal::AmountNotChargeable, detail)
            }
        }
    }

    /// Sends the creation and answers with what came of it.
    async fn create(
        self: &Arc<Self>,
        caller: &Caller,
        claim: &KeyClaim,
        session: SessionRecord,
        call: ClaimedCall,
    ) -> Result<Answer, ServiceError> {
        let id = session.id;
        let provider = self.provider.name();
        let waiting = Waiting {
            shop: caller.shop,
            key: claim.clone(),
            answer: Arc::new(move |session| final_answer(session, provider, 201)),
        };
        let services = self.clone();
        let made = async move { services.make_session(call, session, waiting).await };
        let performed = finished(made).await?;
        if let Performed::Answered(stored) = &performed {
            return answer_of(stored, Some(location(id)), false);
        }
        let record = self.session_record(caller, id).await?;
        match performed {
            Performed::Unknown => Ok(self.open_answer(&record, 202)),
            // Whoever has the call now does not know more yet.
            Performed::Superseded if record.status == SessionStatus::Creating => {
                Ok(self.open_answer(&record, 202))
            }
            Performed::Known | Performed::Answered(_) | Performed::Superseded => {
                let stored = final_answer(&record, self.provider.name(), 201);
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
        let subject = session.to_string();
        loop {
            // The call before the session: between the two the call may end, and with it the creation.
            let call = self
                .store
                .call_state(CallKind::SessionCreate, &subject)
                .await?;
            let in_flight = call.is_some_and(|(_, in_flight)| in_flight);
            let record = self.session_record(caller, session).await?;
            if record.status != SessionStatus::Creating {
                let stored = final_answer(&record, self.provider.name(), 201);
                return self.finish(caller, claim, &stored, &record, true).await;
            }
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
        let stored = final_answer(live, self.provider.name(), 200);
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

/// The last word on a creation, as it is stored.
fn final_answer(record: &SessionRecord, provider: &str, status: u16) -> StoredAnswer {
    // One that was refused, or is of something else than was asked for, never has a page.
    let made = record.url.is_some();
    if record.status == SessionStatus::Failed && !made {
        let detail = "The payment provider refused to create the checkout session, or answered with \
                      something else than was asked for. Nothing was charged; start a new checkout with a \
                      new Idempotency-Key, and see the order's timeline for the provider's reason.";
        return stored_refusal(Refusal::ProviderRejected, detail);
    }
    // Nobody can pay on it any more.
    if matches!(
        record.status,
        SessionStatus::Expired | SessionStatus::Failed
    ) {
        let detail = "The checkout session of this key has ended before the key had its last answer. Start a new \
                      checkout with a new Idempotency-Key, if the order still takes one.";
        return stored_refusal(Refusal::SessionConflict, detail);
    }
    StoredAnswer {
        status,
        body: body_of(&record.public(provider)),
    }
}

fn location(session: CheckoutSessionId) -> String {
    format!("/v1/checkout_sessions/{session}")
}

/// Decides about one checkout, and words what the provider is asked for.
#[derive(Clone)]
struct Plan {
    provider: Arc<dyn PaymentProvider>,
    deployment: String,
    account: AccountId,
    sessions_per_order: u32,
    session: CheckoutSessionId,
    call: CallId,
    wanted: NewCheckout,
    /// Whether a creation under way was looked at: one that has not been heard of for long is given up.
    has_looked: bool,
    cause: String,
    trace: Trace,
    now: Timestamp,
}

impl CheckoutPlan for Plan {
    fn plan(
        &self,
        order: &OrderRecord,
        sessions: &[SessionRecord],
    ) -> Result<CheckoutStep, Unstartable> {
        let processing = |session: &SessionRecord| session.status == SessionStatus::Processing;
        let under_way = sessions.iter().any(processing);
        startable(order, self.now, under_way).map_err(Unstartable::Order)?;
        if let Some(live) = sessions.iter().find(|session| session.status.is_live()) {
            return match live.status {
                SessionStatus::Creating if !self.has_looked => Ok(CheckoutStep::LookFirst),
                // Whoever joined it would be given a page that is taken away at once.
                _ if live.ending => Err(Unstartable::Ending),
                _ if live.capture == self.wanted.capture => Ok(CheckoutStep::Join(live.clone())),
                _ => Err(Unstartable::OtherCapture),
            };
        }
        self.limit(sessions)?;
        self.create(order)
    }
}

impl Plan {
    /// Refuses a session too many: making sessions tries cards. A refusal takes no key, and repeated requests and
    /// live sessions never come here.
    fn limit(&self, sessions: &[SessionRecord]) -> Result<(), Unstartable> {
        let mut recent: Vec<Timestamp> =
            sessions.iter().map(|session| session.created_at).collect();
        recent.sort_by(|a, b| b.cmp(a));
        recent.retain(|at| *at > young_since(self.now));
        match wait_for_session(&recent, self.sessions_per_order, self.now) {
            None => Ok(()),
            Some(retry_after_s) => Err(Unstartable::TooMany { retry_after_s }),
        }
    }

    fn create(&self, order: &OrderRecord) -> Result<CheckoutStep, Unstartable> {
        let amount = order.total.checked_sub(order.paid).unwrap_or(order.total);
        let filled = |url: &str| fill_url(url, order.id, self.session);
        let expires_at = session_expiry(order.expires_at, self.now);
        let new = NewSessionRow {
            id: self.session,
            order: order.id,
            account: self.account,
            amount,
            capture: self.wanted.capture,
            success_url: filled(&self.wanted.success_url),
            cancel_url: filled(&self.wanted.cancel_url),
            expires_at,
            trace: self.trace.clone(),
        };
        let request = self.provider.create_session(&NewSession {
            session: self.session,
            order: order.id,
            order_number: order.number.clone(),
            deployment: self.deployment.clone(),
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
        let request = request.map_err(|why| Unstartable::NotChargeable(why.to_string()))?;
        let call = NewCall {
            id: self.call,
            order: order.id,
            account: self.account,
            kind: CallKind::SessionCreate,
            subject_id: self.session.to_string(),
            request,
            cause: self.cause.clone(),
            trace: self.trace.clone(),
        };
        Ok(CheckoutStep::Create(Box::new((new, call))))
    }
}

/// From when on sessions count as young.
fn young_since(now: Timestamp) -> Timestamp {
    now.plus_ms(i64::from(SESSION_WINDOW_S).saturating_mul(-1_000))
}

/// Whether an order can be paid now. One whose time is up is closed by the next round of the worker, which would end the
/// page at once, unless a payment is under way.
fn startable(order: &OrderRecord, now: Timestamp, under_way: bool) -> Result<(), CheckoutRefusal> {
    let unpaid = order.payment_status == PaymentStatus::Unpaid && !under_way;
    let expires = unpaid && order.expires_at <= now;
    may_check_out(
        order.total.minor(),
        order.status,
        order.cancel_requested || expires,
        order.payment_status,
    )
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
