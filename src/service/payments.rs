//! Payments: reading them, taking reserved money, and releasing it.

use std::sync::Arc;

use serde::Serialize;

use super::changes::Change;
use super::idempotency::claim;
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::call::CallKind;
use crate::domain::ids::{CallId, OrderId, PaymentId};
use crate::domain::money::Money;
use crate::domain::page::{List, Page};
use crate::domain::payment::{Payment, PaymentWord};
use crate::domain::text;
use crate::store::Tx;
use crate::store::calls::{ClaimedCall, NewCall};
use crate::store::failpoint::Step;
use crate::store::idempotency::KeyClaim;

/// How reserved money ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Taken: so much of it, or all; the rest is released.
    Capture(#[serde(serialize_with = "text::as_shortest_amount_if_any")] Option<String>),
    /// Released.
    Void,
}

impl Ending {
    fn kind(&self) -> CallKind {
        match self {
            Ending::Capture(_) => CallKind::Capture,
            Ending::Void => CallKind::Void,
        }
    }

    /// The commit that begins it.
    fn step(&self) -> Step {
        match self {
            Ending::Capture(_) => Step::CaptureBegin,
            Ending::Void => Step::VoidBegin,
        }
    }

    fn route(&self) -> (&'static str, &'static str) {
        match self {
            Ending::Capture(_) => ("POST /v1/payments/{id}/capture", "capture"),
            Ending::Void => ("POST /v1/payments/{id}/void", "void"),
        }
    }
}

impl Services {
    /// A payment of the caller's shop.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn payment(&self, caller: &Caller, id: PaymentId) -> Result<Payment, ServiceError> {
        let payment = self.store.shop(caller.shop).payment(id).await?;
        Ok(payment.ok_or(ServiceError::NotFound)?.public)
    }

    /// A page of the shop's payments, of one order if given.
    ///
    /// # Errors
    /// The store's.
    pub async fn payments(
        &self,
        caller: &Caller,
        order: Option<OrderId>,
        page: &Page<PaymentId>,
    ) -> Result<List<Payment>, ServiceError> {
        let (payments, more) = self.store.shop(caller.shop).payments(order, page).await?;
        Ok(List::new("/v1/payments", payments, more))
    }

    /// Takes or releases reserved money, once.
    ///
    /// # Errors
    /// The payment is not reserved (any more), or what the provider refuses.
    pub async fn end_payment(
        self: &Arc<Self>,
        caller: &Caller,
        key: &str,
        payment: PaymentId,
        ending: Ending,
    ) -> Result<Answer, ServiceError> {
        let (route, verb) = ending.route();
        let path = format!("/v1/payments/{payment}/{verb}");
        let claim = claim(caller, route, &path, key, &ending);
        self.end_under(caller, &claim, payment, &ending).await
    }

    /// Takes or releases reserved money under a key that was claimed for it.
    pub(super) async fn end_under(
        self: &Arc<Self>,
        caller: &Caller,
        claim: &KeyClaim,
        payment: PaymentId,
        ending: &Ending,
    ) -> Result<Answer, ServiceError> {
        self.same_mode(caller)?;
        let change = Change {
            caller,
            claim,
            kind: ending.kind(),
            subject: payment.to_string(),
            done: 200,
        };
        if let Some(known) = self.store.shop(caller.shop).known_key(claim).await? {
            return self.repeat_change(&change, &known).await;
        }
        let begin = Begin {
            services: self,
            caller,
            claim,
            payment,
            ending,
        };
        let begun = self
            .store
            .write_at(ending.step(), |tx| {
                let begin = &begin;
                async move { begin.run(&tx).await }
            })
            .await?;
        match begun {
            Some(call) => {
                self.carry_out(call).await?;
                self.answer_change(&change, false).await
            }
            None => {
                let known = self.store.shop(caller.shop).known_key(claim).await?;
                let known = known.ok_or(ServiceError::Task)?;
                self.repeat_change(&change, &known).await
            }
        }
    }
}

/// The first transaction of a capture or a void; it may run more than once.
struct Begin<'a> {
    services: &'a Services,
    caller: &'a Caller,
    claim: &'a KeyClaim,
    payment: PaymentId,
    ending: &'a Ending,
}

impl Begin<'_> {
    /// None when the key was used before.
    async fn run(&self, tx: &Tx) -> Result<Option<ClaimedCall>, ServiceError> {
        let shop = tx.shop(self.caller.shop);
        let payment = shop.payment(self.payment).await?;
        let order = payment.ok_or(ServiceError::NotFound)?.order;
        shop.lock_order(order).await?;
        // Again, now that nobody else changes it.
        let payment = shop.payment(self.payment).await?;
        let payment = payment.ok_or(ServiceError::NotFound)?;
        let claimed = shop
            .claim_key(self.claim, &self.payment.to_string(), None)
            .await?;
        if !claimed {
            return Ok(None);
        }
        let cause = self
            .services
            .still(&shop, self.caller, payment.order)
            .await?;
        let ending = shop.ending_of(self.payment).await?;
        may_end(self.ending, payment.public.status, ending)?;
        let provider = &self.services.provider;
        let request = match self.ending {
            Ending::Void => provider.void(&payment.intent),
            Ending::Capture(amount) => {
                let amount = amount_of(amount.as_deref(), payment.requested)?;
                let request = provider.capture(&payment.intent, amount);
                request.map_err(|why| {
                    let detail = format!("The provider cannot capture this amount exactly: {why}");
                    ServiceError::refused(Refusal::AmountNotChargeable, detail)
                })?
            }
        };
        let call = NewCall {
            id: self.services.clock.id::<CallId>(),
            order: payment.order,
            account: payment.account,
            kind: self.ending.kind(),
            subject_id: self.payment.to_string(),
            request,
            cause,
            trace: self.caller.trace(),
        };
        Ok(Some(shop.insert_claimed_call(&call).await?))
    }
}

/// Whether reserved money can be taken or released now, by where its payment stands and which of both is under way.
pub(super) fn may_end(
    ending: &Ending,
    status: PaymentWord,
    under_way: Option<CallKind>,
) -> Result<(), ServiceError> {
    if status == PaymentWord::Captured {
        return Err(ServiceError::refused(
            Refusal::AlreadyCaptured,
            "The payment was captured; a payment is captured once. To give money back, refund it.",
        ));
    }
    if status != PaymentWord::Authorized {
        let code = match ending {
            Ending::Capture(_) => Refusal::NotCapturable,
            Ending::Void => Refusal::NotVoidable,
        };
        let detail = format!("The payment is {status}: there is no reserved money.");
        return Err(ServiceError::refused(code, detail));
    }
    let (code, detail) = match (under_way, ending.kind()) {
        (None, _) => return Ok(()),
        (Some(CallKind::Capture), CallKind::Capture) => (
            Refusal::AlreadyCaptured,
            "A capture of this payment is under way; read the payment for its outcome.",
        ),
        (Some(CallKind::Capture), _) => (
            Refusal::PaymentProcessing,
            "A capture of this payment is under way; read the payment for its outcome, and refund it to give money back.",
        ),
        (Some(_), _) => (
            Refusal::PaymentProcessing,
            "A void of this payment is under way; read the payment for its outcome.",
        ),
    };
    Err(ServiceError::refused(code, detail))
}

/// What is captured: all that is reserved, or less.
pub(super) fn amount_of(text: Option<&str>, reserved: Money) -> Result<Money, ServiceError> {
    let Some(text) = text else {
        return Ok(reserved);
    };
    let invalid = |detail: String| Err(ServiceError::Invalid(vec![("/amount".to_owned(), detail)]));
    match Money::parse(text, reserved.currency()) {
        Ok(amount) if amount.is_zero() => {
            invalid("must be more than nothing; to release it all, void the payment".to_owned())
        }
        Ok(amount) if amount.minor() > reserved.minor() => {
            invalid(format!("must be at most what is reserved, {reserved}"))
        }
        Ok(amount) => Ok(amount),
        Err(why) => invalid(why.to_string()),
    }
}
