//! What the staff can do to an order now, and what each of it would do to the money.
//!
//! A preview is made by the functions that carry the action out and by the fold that judges afterwards. Its version
//! goes with the form: the action's own transaction refuses it when the order has changed since.

use super::closing::may_cancel;
use super::payments::{Ending, amount_of, may_end};
use super::refunds::plan;
use super::{Caller, ServiceError, Services, checkouts};
use crate::domain::checkout::SessionStatus;
use crate::domain::ids::{DecisionId, OrderId, PaymentId, RefundId};
use crate::domain::money::Money;
use crate::domain::order::{Customer, OrderStatus, may_check_out};
use crate::domain::payment::PaymentWord;
use crate::domain::refund::{NewRefund, RefundLine, ReturnableLine};
use crate::domain::resolution::{Objection, accepted, may_decide};
use crate::domain::settlement::{FactDraft, FactKind, Foreseen, RefundTerms, Supposed};
use crate::domain::standing::{PaymentStanding, SessionStanding, Standing};
use crate::store::ShopTx;
use crate::store::decisions::DecisionRow;
use crate::store::refunds::RefundablePayment;

/// Something that can be done to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Give money back.
    Refund(NewRefund),
    /// Take reserved money, so much of it or all.
    Capture(PaymentId, Option<String>),
    /// Release reserved money.
    Void(PaymentId),
    /// Call the order off.
    Cancel,
    /// Take money in suspense for the order's.
    Accept(PaymentId),
}

/// Money that an action moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The payment it is drawn on.
    pub payment: PaymentStanding,
    /// How much.
    pub amount: Money,
    /// What way.
    pub way: Way,
}

/// Where money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Back to whoever paid.
    Back,
    /// From reserved to taken.
    Taken,
    /// From reserved back to whoever reserved it.
    Released,
    /// Nowhere: from nobody's to the order's.
    ToTheOrder,
}

/// What an action would do.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Where the order stands.
    pub standing: Standing,
    /// What it is foretold of; it goes with the form.
    pub version: String,
    /// The money it moves, in this order.
    pub moves: Vec<Move>,
    /// The lines a refund gives back.
    pub lines: Vec<RefundLine>,
    /// The session that can no longer be paid.
    pub ends_session: bool,
    /// What follows, the ledger's postings among it, should the provider agree.
    pub foreseen: Foreseen,
}

impl Preview {
    /// Payments that are the order's and would not be any more.
    #[must_use]
    pub fn given_up(&self) -> Vec<&PaymentStanding> {
        let (before, after) = (&self.foreseen.before, &self.foreseen.after);
        let both = before.payments.iter().zip(&after.payments);
        let gone = both.filter(|(before, after)| before.belongs && !after.belongs);
        gone.filter_map(|(payment, _)| self.standing.payment(payment.id))
            .collect()
    }
}

/// What can be done to an order now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// Payments money can be given back from.
    pub refundable: Vec<PaymentStanding>,
    /// Payments whose reserved money can be taken or released.
    pub reserved: Vec<PaymentStanding>,
    /// The order can be called off.
    pub cancel: bool,
    /// The session the customer can pay through now.
    pub live: Option<SessionStanding>,
    /// A new session can be made.
    pub check_out: bool,
}

/// What can be done to an order now.
#[must_use]
pub fn offers(standing: &Standing) -> Offers {
    let payments = || standing.payments.iter();
    let refundable = payments().filter(|payment| can_go_back(payment));
    let reserved =
        payments().filter(|payment| may_end(&Ending::Void, payment.status, payment.ending).is_ok());
    let cancel = may_cancel(
        standing.status,
        standing.payment_status,
        standing.total.is_zero(),
    );
    let closed = standing.status == OrderStatus::Cancelled;
    let mut sessions = standing.sessions.iter();
    let live =
        sessions.rfind(|session| session.status == SessionStatus::Open && session.url.is_some());
    let payable = may_check_out(
        standing.total.minor(),
        standing.status,
        standing.cancel_requested,
        standing.payment_status,
    );
    Offers {
        refundable: refundable.cloned().collect(),
        reserved: reserved.cloned().collect(),
        cancel: cancel.is_ok() && !closed && !standing.cancel_requested,
        // Without an earlier session nobody knows where the shop wants its customer to go afterwards.
        check_out: payable.is_ok() && live.is_none() && !standing.sessions.is_empty(),
        live: live.cloned(),
    }
}

fn can_go_back(payment: &PaymentStanding) -> bool {
    payment.left.minor() > 0 && payment.disputed.is_zero()
}

impl Services {
    /// Where an order stands.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an order that is not there or another shop's.
    pub async fn standing(
        &self,
        caller: &Caller,
        order: OrderId,
    ) -> Result<Standing, ServiceError> {
        let standing = self.store.shop(caller.shop).standing(order).await?;
        standing.ok_or(ServiceError::NotFound)
    }

    /// Who ordered.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an order that is not there or another shop's.
    pub async fn customer(
        &self,
        caller: &Caller,
        order: OrderId,
    ) -> Result<Customer, ServiceError> {
        let found = self
            .store
            .shop(caller.shop)
            .order(order, caller.mode)
            .await?;
        Ok(found.ok_or(ServiceError::NotFound)?.customer)
    }

    /// What an action would do, or why it cannot be done.
    ///
    /// # Errors
    /// What the action itself would be refused with.
    pub async fn preview(
        &self,
        caller: &Caller,
        order: OrderId,
        action: &Action,
    ) -> Result<Preview, ServiceError> {
        let standing = self.standing(caller, order).await?;
        let planned = self.planned(&standing, action)?;
        let shop = self.store.shop(caller.shop);
        let foreseen = shop.foresee(order, &planned.supposed).await?;
        Ok(Preview {
            version: standing.version(),
            standing,
            moves: planned.moves,
            lines: planned.lines,
            ends_session: planned.ends_session,
            foreseen: foreseen.ok_or(ServiceError::NotFound)?,
        })
    }

    fn planned(&self, standing: &Standing, action: &Action) -> Result<Planned, ServiceError> {
        match action {
            Action::Refund(wanted) => self.planned_refund(standing, wanted),
            Action::Capture(payment, amount) => {
                let payment = payment_of(standing, *payment)?;
                let ending = Ending::Capture(amount.clone());
                may_end(&ending, payment.status, payment.ending)?;
                let amount = amount_of(amount.as_deref(), payment.requested)?;
                let said = about(payment, FactKind::Captured).map(|fact| fact.of(amount));
                let mut planned = Planned::one(payment, amount, Way::Taken, said);
                planned.moves.extend(not_taken(payment, amount));
                Ok(planned)
            }
            Action::Void(payment) => {
                let payment = payment_of(standing, *payment)?;
                may_end(&Ending::Void, payment.status, payment.ending)?;
                let said = about(payment, FactKind::Voided);
                Ok(Planned::one(payment, payment.reserved, Way::Released, said))
            }
            Action::Cancel => planned_cancel(standing),
            Action::Accept(payment) => {
                let payment = payment_of(standing, *payment)?;
                let said = Some(accepted(payment));
                Ok(Planned::one(payment, payment.here, Way::ToTheOrder, said))
            }
        }
    }

    fn planned_refund(
        &self,
        standing: &Standing,
        wanted: &NewRefund,
    ) -> Result<Planned, ServiceError> {
        let captured = standing.payments.iter().filter(|p| !p.captured.is_zero());
        let captured = captured.map(|payment| RefundablePayment {
            id: payment.id,
            intent: payment.intent.clone(),
            account: self.account.id,
            captured: payment.captured,
            left: payment.left,
            disputed: payment.disputed,
            belongs: payment.belongs,
        });
        let lines = standing.lines.iter().map(|line| ReturnableLine {
            id: line.id,
            total_minor: line.total.minor(),
            quantity: line.quantity,
            refunded: line.refunded,
        });
        let lines: Vec<ReturnableLine> = lines.collect();
        let plan = plan(
            captured.collect(),
            &lines,
            standing.total,
            standing.paid,
            wanted,
        )?;
        let payment = payment_of(standing, plan.payment.id)?;
        let id: RefundId = self.clock.id();
        let refund = RefundTerms {
            id,
            object: None,
            payment: payment.id,
            amount: plan.amount,
            ours: true,
            repeats: None,
        };
        let said = about(payment, FactKind::RefundSucceeded).map(|fact| FactDraft {
            object: id.to_string(),
            refund: Some(id),
            ..fact.of(plan.amount)
        });
        let mut planned = Planned::one(payment, plan.amount, Way::Back, said);
        planned.supposed.refund = Some((refund, payment.belongs));
        planned.lines = plan.lines;
        Ok(planned)
    }

    /// Refuses what was decided on another state than this; notes the question it answers. Returns what causes
    /// whatever follows: the decision, else the request. The order must be locked.
    pub(super) async fn still(
        &self,
        shop: &ShopTx,
        caller: &Caller,
        order: OrderId,
    ) -> Result<String, ServiceError> {
        let cause = || caller.request_id.clone();
        let Some(seen) = &caller.seen else {
            return Ok(cause());
        };
        let standing = shop.standing(order).await?.ok_or(ServiceError::NotFound)?;
        let Some(answers) = &seen.answers else {
            return match standing.version() == seen.version {
                true => Ok(cause()),
                false => Err(ServiceError::Objected(Objection::Changed)),
            };
        };
        let (review, opening) = (answers.review, answers.opening);
        match may_decide(&standing, review, opening, answers.resolution) {
            Err(why @ (Objection::Unknown | Objection::Decided { .. })) => {
                return Err(ServiceError::Objected(why));
            }
            _ if standing.version() != seen.version => {
                return Err(ServiceError::Objected(Objection::Changed));
            }
            Err(why) => return Err(ServiceError::Objected(why)),
            Ok(_) => {}
        }
        let id: DecisionId = self.clock.id();
        let noted = DecisionRow {
            id,
            order,
            review,
            opening,
            resolution: answers.resolution,
            note: answers.note.as_deref(),
            trace: &caller.trace(),
        };
        match shop.insert_decision(&noted).await? {
            true => Ok(id.to_string()),
            false => Err(ServiceError::Objected(Objection::Changed)),
        }
    }
}

/// What a capture of a part lets go of.
fn not_taken(payment: &PaymentStanding, taken: Money) -> Option<Move> {
    let amount = payment.reserved.checked_sub(taken).ok()?;
    (amount.minor() > 0).then(|| Move {
        payment: payment.clone(),
        amount,
        way: Way::Released,
    })
}

/// What an action comes to before it is known what follows.
struct Planned {
    moves: Vec<Move>,
    lines: Vec<RefundLine>,
    ends_session: bool,
    supposed: Supposed,
}

impl Planned {
    fn one(
        payment: &PaymentStanding,
        amount: Money,
        way: Way,
        said: impl IntoIterator<Item = FactDraft>,
    ) -> Planned {
        let moved = Move {
            payment: payment.clone(),
            amount,
            way,
        };
        Planned {
            moves: vec![moved],
            lines: Vec::new(),
            ends_session: false,
            supposed: Supposed {
                refund: None,
                facts: said.into_iter().collect(),
            },
        }
    }
}

fn payment_of(standing: &Standing, id: PaymentId) -> Result<&PaymentStanding, ServiceError> {
    standing.payment(id).ok_or(ServiceError::NotFound)
}

/// A fact about a payment; none for one without a session, about which nothing of the kind can be done.
fn about(payment: &PaymentStanding, kind: FactKind) -> Option<FactDraft> {
    let session = payment.session?;
    Some(FactDraft::payment(kind, &payment.intent, session))
}

fn planned_cancel(standing: &Standing) -> Result<Planned, ServiceError> {
    may_cancel(
        standing.status,
        standing.payment_status,
        standing.total.is_zero(),
    )?;
    let reserved = standing.payments.iter();
    let reserved = reserved.filter(|payment| payment.status == PaymentWord::Authorized);
    let reserved: Vec<&PaymentStanding> = reserved.collect();
    let moves = reserved.iter().map(|payment| Move {
        payment: (*payment).clone(),
        amount: payment.reserved,
        way: Way::Released,
    });
    let voided = reserved.iter().filter_map(|p| about(p, FactKind::Voided));
    let live = |session: &&SessionStanding| {
        matches!(
            session.status,
            SessionStatus::Open | SessionStatus::Creating
        )
    };
    let ended = standing.sessions.iter().filter(live).map(|session| {
        let object = session.id.to_string();
        FactDraft::session(FactKind::SessionExpired, &object, session.id)
    });
    let cancelled = FactDraft::decision(FactKind::OrderCancelled, standing.order);
    Ok(Planned {
        moves: moves.collect(),
        lines: Vec::new(),
        ends_session: standing.sessions.iter().any(|session| live(&session)),
        supposed: Supposed {
            refund: None,
            facts: voided.chain(ended).chain([cancelled]).collect(),
        },
    })
}

/// Whether an order can be checked out now, and why not.
///
/// # Errors
/// The refusal a checkout would get.
pub fn may_open_checkout(standing: &Standing) -> Result<(), ServiceError> {
    may_check_out(
        standing.total.minor(),
        standing.status,
        standing.cancel_requested,
        standing.payment_status,
    )
    .map_err(checkouts::refusal)
}
