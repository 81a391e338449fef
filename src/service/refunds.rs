//! Refunds: reserved first, then asked for, then whatever the provider says.

use std::sync::Arc;

use super::changes::Change;
use super::idempotency::claim;
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::call::CallKind;
use crate::domain::currency::Currency;
use crate::domain::ids::{CallId, OrderId, PaymentId, RefundId};
use crate::domain::money::Money;
use crate::domain::page::{List, Page};
use crate::domain::refund::{
    LineFault, NewRefund, Refund, RefundLine, RefundOrigin, RefundShare, ReturnableLine,
    share_of_lines,
};
use crate::provider::RefundAsk;
use crate::store::Tx;
use crate::store::calls::{ClaimedCall, NewCall};
use crate::store::failpoint::Step;
use crate::store::idempotency::KeyClaim;
use crate::store::refunds::{NewRefundRow, RefundablePayment};

const ROUTE: &str = "POST /v1/orders/{id}/refunds";

impl Services {
    /// Gives money back.
    ///
    /// # Errors
    /// More than is left, money a dispute has taken, or what the provider refuses.
    pub async fn refund(
        self: &Arc<Self>,
        caller: &Caller,
        key: &str,
        order: OrderId,
        wanted: NewRefund,
    ) -> Result<Answer, ServiceError> {
        let path = format!("/v1/orders/{order}/refunds");
        let claim = claim(caller, ROUTE, &path, key, &wanted);
        self.refund_under(caller, &claim, order, &wanted).await
    }

    /// Gives money back under a key that was claimed for it.
    pub(super) async fn refund_under(
        self: &Arc<Self>,
        caller: &Caller,
        claim: &KeyClaim,
        order: OrderId,
        wanted: &NewRefund,
    ) -> Result<Answer, ServiceError> {
        self.same_mode(caller)?;
        let change = |subject: String| Change {
            caller,
            claim,
            kind: CallKind::Refund,
            subject,
            done: 201,
        };
        if let Some(known) = self.store.shop(caller.shop).known_key(claim).await? {
            return self
                .repeat_change(&change(known.resource_id.clone()), &known)
                .await;
        }
        let begin = Begin {
            services: self,
            caller,
            claim,
            order,
            refund: self.clock.id(),
            wanted,
        };
        let begun = self
            .store
            .write_at(Step::RefundBegin, |tx| {
                let begin = &begin;
                async move { begin.run(&tx).await }
            })
            .await?;
        match begun {
            Some(call) => {
                let subject = call.subject_id.clone();
                self.carry_out(call).await?;
                self.answer_change(&change(subject), false).await
            }
            None => {
                let known = self.store.shop(caller.shop).known_key(claim).await?;
                let known = known.ok_or(ServiceError::Task)?;
                self.repeat_change(&change(known.resource_id.clone()), &known)
                    .await
            }
        }
    }

    /// A refund of the caller's shop.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn find_refund(&self, caller: &Caller, id: RefundId) -> Result<Refund, ServiceError> {
        let refund = self.store.shop(caller.shop).refund(id).await?;
        refund.ok_or(ServiceError::NotFound)
    }

    /// A page of the shop's refunds, of one order if given.
    ///
    /// # Errors
    /// The store's.
    pub async fn refunds(
        &self,
        caller: &Caller,
        order: Option<OrderId>,
        page: &Page<RefundId>,
    ) -> Result<List<Refund>, ServiceError> {
        let (refunds, more) = self.store.shop(caller.shop).refunds(order, page).await?;
        Ok(List::new("/v1/refunds", refunds, more))
    }

    /// Refuses a caller whose shop's mode is not the provider account's.
    pub(super) fn same_mode(&self, caller: &Caller) -> Result<(), ServiceError> {
        if caller.mode == self.account.mode {
            return Ok(());
        }
        let detail = format!(
            "The shop is in {} mode and the provider account in {} mode; use a shop and keys of the account's \
             mode.",
            caller.mode, self.account.mode
        );
        Err(ServiceError::refused(Refusal::ModeMismatch, detail))
    }
}

/// The first transaction of a refund; it may run more than once.
struct Begin<'a> {
    services: &'a Services,
    caller: &'a Caller,
    claim: &'a KeyClaim,
    order: OrderId,
    refund: RefundId,
    wanted: &'a NewRefund,
}

impl Begin<'_> {
    /// The refund that failed and that somebody decided to send again.
    fn repeats(&self) -> Option<RefundId> {
        let seen = self.caller.seen.as_ref()?;
        seen.answers.as_ref()?.repeats
    }

    /// None when the key was used before.
    async fn run(&self, tx: &Tx) -> Result<Option<ClaimedCall>, ServiceError> {
        let shop = tx.shop(self.caller.shop);
        let order = shop.lock_order(self.order).await?;
        let order = order.ok_or(ServiceError::NotFound)?;
        let claimed = shop
            .claim_key(self.claim, &self.refund.to_string(), None)
            .await?;
        if !claimed {
            return Ok(None);
        }
        let cause = self.services.still(&shop, self.caller, self.order).await?;
        let captured = shop.captured_payments(self.order).await?;
        let lines = shop.returnable_lines(self.order).await?;
        let plan = plan(captured, &lines, order.total, order.paid, self.wanted)?;
        let RefundPlan {
            payment,
            amount,
            lines,
        } = plan;
        let new = NewRefundRow {
            id: self.refund,
            shop: self.caller.shop,
            order: self.order,
            payment: payment.id,
            account: payment.account,
            provider_refund_id: None,
            amount,
            reason: self.wanted.reason,
            origin: RefundOrigin::Request,
            payment_belonged: payment.belongs,
            repeats: self.repeats(),
            trace: self.caller.trace(),
        };
        if !shop.insert_refund(&new, &lines).await? {
            return Err(exceeds(payment.left));
        }
        let request = self.services.provider.refund(&RefundAsk {
            refund: self.refund,
            order: self.order,
            deployment: self.services.deployment.clone(),
            intent: payment.intent.clone(),
            amount,
            reason: self.wanted.reason,
        });
        let request = request.map_err(|why| {
            let detail = format!("The provider cannot give back this amount exactly: {why}");
            ServiceError::refused(Refusal::AmountNotChargeable, detail)
        })?;
        let call = NewCall {
            id: self.services.clock.id::<CallId>(),
            order: self.order,
            account: payment.account,
            kind: CallKind::Refund,
            subject_id: self.refund.to_string(),
            request,
            cause,
            trace: self.caller.trace(),
        };
        Ok(Some(shop.insert_claimed_call(&call).await?))
    }
}

/// What a refund gives back, from which payment.
pub(super) struct RefundPlan {
    /// The payment the money goes back from.
    pub payment: RefundablePayment,
    /// How much.
    pub amount: Money,
    /// The lines it gives back, when it was asked for by lines.
    pub lines: Vec<RefundLine>,
}

/// What a refund comes to, by what is there. Pure: what is foretold is what is done.
pub(super) fn plan(
    captured: Vec<RefundablePayment>,
    lines: &[ReturnableLine],
    total: Money,
    paid: Money,
    wanted: &NewRefund,
) -> Result<RefundPlan, ServiceError> {
    let left = left_of_order(&captured, total.currency());
    let payment = source_of(captured, wanted.payment)?;
    let left = if payment.belongs { left } else { payment.left };
    let (amount, lines) = share(&payment, left, lines, total, paid, &wanted.share)?;
    if amount.minor() > payment.left.minor() {
        return Err(exceeds(payment.left));
    }
    Ok(RefundPlan {
        payment,
        amount,
        lines,
    })
}

/// What nobody has taken back of the order's own money, over all its payments.
fn left_of_order(captured: &[RefundablePayment], currency: Currency) -> Money {
    let own = captured.iter().filter(|payment| payment.belongs);
    let left = own.fold(0_i64, |sum, payment| {
        sum.saturating_add(payment.left.minor())
    });
    Money::new(left, currency)
}

/// The payment the money goes back from.
fn source_of(
    captured: Vec<RefundablePayment>,
    named: Option<PaymentId>,
) -> Result<RefundablePayment, ServiceError> {
    let mut candidates: Vec<RefundablePayment> = match named {
        Some(id) => {
            let named = captured.into_iter().find(|payment| payment.id == id);
            vec![named.ok_or_else(|| not_of_this_order(id))?]
        }
        None if captured.len() > 1 => {
            let with_money = |payment: &RefundablePayment| !payment.left.is_zero();
            captured.into_iter().filter(with_money).collect()
        }
        None => captured,
    };
    if candidates.len() > 1 {
        let ids: Vec<String> = candidates.iter().map(|p| p.id.to_string()).collect();
        let detail = format!(
            "several payments can be refunded, name one: {}",
            ids.join(", ")
        );
        return Err(ServiceError::Invalid(vec![(
            "/payment_id".to_owned(),
            detail,
        )]));
    }
    let Some(payment) = candidates.pop() else {
        return Err(ServiceError::refused(
            Refusal::RefundExceedsCaptured,
            "There is nothing to give back: no money of this order was captured, or all of it went back.",
        ));
    };
    if !payment.disputed.is_zero() {
        return Err(ServiceError::refused(
            Refusal::PaymentDisputed,
            "The customer's bank has taken this money in a dispute; a refund beside it could pay twice. \
             While the dispute is open, answer it at the provider; once it is lost, what is left can be refunded at \
             the provider, and is recorded here.",
        ));
    }
    Ok(payment)
}

fn share(
    payment: &RefundablePayment,
    left: Money,
    lines: &[ReturnableLine],
    total: Money,
    paid: Money,
    wanted: &RefundShare,
) -> Result<(Money, Vec<RefundLine>), ServiceError> {
    let invalid =
        |pointer: String, detail: String| Err(ServiceError::Invalid(vec![(pointer, detail)]));
    let currency = payment.captured.currency();
    match wanted {
        RefundShare::Rest if payment.left.is_zero() => Err(exceeds(payment.left)),
        RefundShare::Rest => Ok((payment.left, Vec::new())),
        RefundShare::Amount(text) => match Money::parse(text, currency) {
            Ok(amount) if amount.is_zero() => {
                invalid("/amount".to_owned(), "must be more than nothing".to_owned())
            }
            Ok(amount) => Ok((amount, Vec::new())),
            Err(why) => invalid("/amount".to_owned(), why.to_string()),
        },
        RefundShare::Lines(wanted) => {
            // Money that is not the order's has no lines.
            let captured = if paid.is_zero() {
                payment.captured
            } else {
                paid
            };
            match share_of_lines(total, captured, left, lines, wanted) {
                Ok((amount, _)) if amount.is_zero() => invalid(
                    "/line_items".to_owned(),
                    "these lines cost nothing, there is nothing to give back".to_owned(),
                ),
                Ok(share) => Ok(share),
                Err(LineFault::Unknown(at)) => invalid(
                    format!("/line_items/{at}/line_item"),
                    "the order has no such line".to_owned(),
                ),
                Err(LineFault::Twice(at)) => invalid(
                    format!("/line_items/{at}/line_item"),
                    "the line is named twice".to_owned(),
                ),
                Err(LineFault::TooMany(at, left)) => invalid(
                    format!("/line_items/{at}/quantity"),
                    format!("only {left} of this line are not refunded yet"),
                ),
            }
        }
    }
}

fn not_of_this_order(id: PaymentId) -> ServiceError {
    let detail = format!("`{id}` is not a captured payment of this order");
    ServiceError::Invalid(vec![("/payment_id".to_owned(), detail)])
}

fn exceeds(left: Money) -> ServiceError {
    let detail = format!(
        "That is more than is left of the payment: {left} {} can be given back, refunds under way included.",
        left.currency().code()
    );
    ServiceError::refused(Refusal::RefundExceedsCaptured, detail)
}
