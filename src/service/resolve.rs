//! Open questions: their answers by the staff.
//!
//! An answer is a decision with its reason, and what follows from it goes the one way money goes: a fact through
//! settlement, or a refund or release like any other. Two people at once: the order's lock lets one through, and
//! the other is told what happened.

use std::sync::Arc;

use serde::Serialize;

use super::actions::{Action, Preview};
use super::changes::{Change, answer_of, body_of};
use super::files::Retried;
use super::idempotency::{claim, same_request};
use super::notes::written;
use super::payments::Ending;
use super::{Answer, Answering, Caller, ServiceError, Services};
use crate::domain::call::CallKind;
use crate::domain::ids::{
    CallId, CheckoutSessionId, DecisionId, OrderId, PaymentId, RefundId, ReviewId,
};
use crate::domain::money::Money;
use crate::domain::refund::{NewRefund, RefundReason, RefundShare};
use crate::domain::resolution::{Objection, Resolution, may_decide, needs_note};
use crate::domain::settlement::Reason;
use crate::domain::standing::{PaymentStanding, ReviewStanding, Standing};
use crate::store::decisions::NewDecision;
use crate::store::idempotency::{KeyClaim, StoredAnswer};
use crate::store::settle::{Settled, Source};

const ROUTE: &str = "POST /staff/reviews/{id}/decide";
// Named as what they do is elsewhere, so that a check of stored answers knows when one is due.
const REFUND: &str = "POST /staff/reviews/{id}/refunds";
const RELEASE: &str = "POST /staff/reviews/{id}/void";

/// An answer to an open question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolve {
    /// The order.
    pub order: OrderId,
    /// The question.
    pub review: ReviewId,
    /// Which time of being open it was seen.
    pub opening: i64,
    /// How it is answered.
    pub resolution: Resolution,
    /// Why, as somebody wrote it.
    pub note: Option<String>,
    /// The version of the order it was decided on.
    #[serde(skip)]
    pub version: String,
}

#[derive(Serialize)]
struct Decided {
    id: OrderId,
    decision: DecisionId,
}

impl Services {
    /// What an answer would do; nothing is moved by one that only closes the question.
    ///
    /// # Errors
    /// [`ServiceError::Objected`] when the question cannot be answered so (any more), or what the action would be
    /// refused with.
    pub async fn preview_resolution(
        &self,
        caller: &Caller,
        order: OrderId,
        review: ReviewId,
        resolution: Resolution,
    ) -> Result<(Standing, ReviewStanding, Option<Preview>), ServiceError> {
        let standing = self.standing(caller, order).await?;
        let known = standing.reviews.iter().find(|known| known.id == review);
        let opening = known.map_or(0, |known| known.opening);
        let found = may_decide(&standing, review, opening, resolution);
        let found = found.map_err(ServiceError::Objected)?.clone();
        let preview = match action_of(&standing, &found, resolution)? {
            Some(action) => Some(self.preview(caller, order, &action).await?),
            None => None,
        };
        Ok((standing, found, preview))
    }

    /// Answers an open question, once.
    ///
    /// # Errors
    /// [`ServiceError::Objected`] when it was answered by somebody else or is not as it was, and whatever the
    /// provider or the state of the money refuses.
    pub async fn resolve(
        self: &Arc<Self>,
        caller: &Caller,
        key: &str,
        wanted: &Resolve,
    ) -> Result<Answer, ServiceError> {
        let note = match wanted.note.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(given) => Some(written("note", given)?),
        };
        let wanted = Resolve {
            note,
            ..wanted.clone()
        };
        match wanted.resolution {
            Resolution::Ask => self.ask_about_review(caller, &wanted).await,
            Resolution::Accept | Resolution::Acknowledge => self.decide(caller, key, &wanted).await,
            Resolution::Refund | Resolution::RefundAgain | Resolution::Release => {
                self.act_on_review(caller, key, &wanted).await
            }
        }
    }

    /// A decision that is a fact, or only closes the question.
    async fn decide(
        &self,
        caller: &Caller,
        key: &str,
        wanted: &Resolve,
    ) -> Result<Answer, ServiceError> {
        let path = format!("/staff/reviews/{}/decide", wanted.review);
        let claim = claim(caller, ROUTE, &path, key, wanted);
        let shop = self.store.shop(caller.shop);
        if let Some(known) = shop.known_key(&claim).await? {
            same_request(&claim, &known)?;
            let stored = known.answer.ok_or(ServiceError::Task)?;
            return answer_of(&stored, None, true);
        }
        self.same_mode(caller)?;
        let standing = self.standing(caller, wanted.order).await?;
        let mut known = standing.reviews.iter();
        let known = known.find(|known| known.id == wanted.review);
        if known.is_some_and(|known| needs_note(known.reason, wanted.resolution))
            && wanted.note.is_none()
        {
            let why = "say why there is nothing to do: nothing else will explain it".to_owned();
            return Err(ServiceError::Invalid(vec![("/note".to_owned(), why)]));
        }
        let id: DecisionId = self.clock.id();
        let answer = StoredAnswer {
            status: 200,
            body: body_of(&Decided {
                id: wanted.order,
                decision: id,
            }),
        };
        let decision = NewDecision {
            id,
            shop: caller.shop,
            order: wanted.order,
            review: wanted.review,
            opening: wanted.opening,
            resolution: wanted.resolution,
            note: wanted.note.clone(),
            seen: wanted.version.clone(),
            claim: claim.clone(),
            answer: answer.clone(),
            trace: caller.trace(),
        };
        let source = Source::Decision(Box::new(decision));
        let command = self.settle_command(source, caller.trace());
        match self.store.settle(&command).await? {
            Settled::Applied { .. } => {
                self.wake.notify_waiters();
                answer_of(&answer, None, false)
            }
            // The same form sent twice at once: whoever came second meets what the first one did.
            Settled::KeyKnown
            | Settled::Objected(Objection::Decided { .. } | Objection::Changed)
                if shop.known_key(&claim).await?.is_some() =>
            {
                let known = shop.known_key(&claim).await?.ok_or(ServiceError::Task)?;
                same_request(&claim, &known)?;
                let stored = known.answer.ok_or(ServiceError::Task)?;
                answer_of(&stored, None, true)
            }
            Settled::Objected(why) => Err(ServiceError::Objected(why)),
            _ => Err(ServiceError::Task),
        }
    }

    /// A decision that asks the provider for something, under a key of its own: what it comes to is read from the
    /// order, which is another once it was done.
    async fn act_on_review(
        self: &Arc<Self>,
        caller: &Caller,
        key: &str,
        wanted: &Resolve,
    ) -> Result<Answer, ServiceError> {
        self.same_mode(caller)?;
        let (route, verb) = match wanted.resolution {
            Resolution::Release => (RELEASE, "void"),
            _ => (REFUND, "refunds"),
        };
        let path = format!("/staff/reviews/{}/{verb}", wanted.review);
        let claim = claim(caller, route, &path, key, wanted);
        if let Some(answer) = self.acted_before(caller, &claim, wanted).await? {
            return Ok(answer);
        }
        match self.act_once(caller, &claim, wanted).await {
            // The same form sent twice at once: whoever came second meets what the first one did.
            Err(ServiceError::Objected(why)) => {
                let first = self.acted_before(caller, &claim, wanted).await?;
                first.ok_or(ServiceError::Objected(why))
            }
            done => done,
        }
    }

    /// The answer of an action whose key was used before.
    async fn acted_before(
        &self,
        caller: &Caller,
        claim: &KeyClaim,
        wanted: &Resolve,
    ) -> Result<Option<Answer>, ServiceError> {
        let known = self.store.shop(caller.shop).known_key(claim).await?;
        let Some(known) = known else { return Ok(None) };
        let (kind, done) = match wanted.resolution {
            Resolution::Release => (CallKind::Void, 200),
            _ => (CallKind::Refund, 201),
        };
        let subject = known.resource_id.clone();
        let change = Change {
            caller,
            claim,
            kind,
            subject,
            done,
        };
        self.repeat_change(&change, &known).await.map(Some)
    }

    async fn act_once(
        self: &Arc<Self>,
        caller: &Caller,
        claim: &KeyClaim,
        wanted: &Resolve,
    ) -> Result<Answer, ServiceError> {
        let standing = self.standing(caller, wanted.order).await?;
        let mut known = standing.reviews.iter();
        let review = known.find(|known| known.id == wanted.review);
        let review = review.ok_or(ServiceError::NotFound)?;
        let again = wanted.resolution == Resolution::RefundAgain;
        let answers = Answering {
            review: wanted.review,
            opening: wanted.opening,
            resolution: wanted.resolution,
            note: wanted.note.clone(),
            repeats: review.subject.parse().ok().filter(|_| again),
        };
        let caller = caller.having_seen(&wanted.version, Some(answers));
        match action_of(&standing, review, wanted.resolution)? {
            Some(Action::Refund(refund)) => {
                self.refund_under(&caller, claim, wanted.order, &refund)
                    .await
            }
            Some(Action::Void(payment)) => {
                self.end_under(&caller, claim, payment, &Ending::Void).await
            }
            _ => Err(ServiceError::Objected(Objection::NotPossible)),
        }
    }

    /// Asks the provider now what a question is about. What it says is settled like any other report.
    async fn ask_about_review(
        self: &Arc<Self>,
        caller: &Caller,
        wanted: &Resolve,
    ) -> Result<Answer, ServiceError> {
        let standing = self.standing(caller, wanted.order).await?;
        let review = may_decide(&standing, wanted.review, wanted.opening, Resolution::Ask);
        let review = review.map_err(ServiceError::Objected)?;
        let answered = self.ask_about_subject(caller, &standing, review).await?;
        Ok(Answer {
            status: if answered { 200 } else { 202 },
            body: body_of(&wanted.order),
            replayed: false,
            location: None,
            retry_after_s: None,
        })
    }

    /// Whether the provider gave an answer.
    async fn ask_about_subject(
        self: &Arc<Self>,
        caller: &Caller,
        standing: &Standing,
        review: &ReviewStanding,
    ) -> Result<bool, ServiceError> {
        if let Ok(call) = review.subject.parse::<CallId>() {
            let retried = self.retry_call(caller.shop, call).await?;
            return Ok(retried == Retried::Known);
        }
        let asked_session = match review.subject.parse::<CheckoutSessionId>() {
            Err(_) => None,
            Ok(session) => self.store.shop(caller.shop).session(session).await?,
        };
        let answered = match &asked_session {
            None => true,
            Some(session) => self.refresh_session(session).await?,
        };
        let Some(payment) = standing.money_of(review) else {
            return Ok(answered && asked_session.is_some());
        };
        match self.refresh_payment(payment.id).await {
            Ok(()) => Ok(answered),
            Err(ServiceError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What an answer does to the money; nothing when it only closes the question or asks.
fn action_of(
    standing: &Standing,
    review: &ReviewStanding,
    resolution: Resolution,
) -> Result<Option<Action>, ServiceError> {
    let payment = standing.money_of(review);
    let not_possible = || ServiceError::Objected(Objection::NotPossible);
    let payment_id = || -> Result<PaymentId, ServiceError> {
        payment.map(|payment| payment.id).ok_or_else(not_possible)
    };
    Ok(match resolution {
        Resolution::Ask | Resolution::Acknowledge => None,
        Resolution::Accept => Some(Action::Accept(payment_id()?)),
        Resolution::Release => Some(Action::Void(payment_id()?)),
        Resolution::Refund => Some(Action::Refund(NewRefund {
            share: RefundShare::Rest,
            reason: (review.reason == Reason::DuplicatePayment).then_some(RefundReason::Duplicate),
            payment: Some(payment_id()?),
        })),
        Resolution::RefundAgain => {
            let payment = payment.ok_or_else(not_possible)?;
            Some(Action::Refund(
                again(standing, review, payment).ok_or_else(not_possible)?,
            ))
        }
    })
}

/// The refund that failed, once more: its lines if it had some, else its amount, at most what is left.
fn again(
    standing: &Standing,
    review: &ReviewStanding,
    payment: &PaymentStanding,
) -> Option<NewRefund> {
    let id: RefundId = review.subject.parse().ok()?;
    let failed = standing.refunds.iter().find(|refund| refund.id == id)?;
    let amount: Money = match failed.amount.minor() <= payment.left.minor() {
        true => failed.amount,
        false => payment.left,
    };
    let share = match failed.lines.is_empty() {
        true => RefundShare::Amount(amount.to_string()),
        false => RefundShare::Lines(failed.lines.clone()),
    };
    Some(NewRefund {
        share,
        reason: failed.reason,
        payment: Some(payment.id),
    })
}
