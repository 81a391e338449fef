//! Settling: facts into the database, in one transaction. A command as data, like placing an order.
//!
//! The order is found and locked, its whole fact set read, the new facts added one by one and folded; what
//! follows (labels, sessions, payments, reviews, ledger, events) is written with them, or nothing is. A
//! webhook's own row is part of it, so an event is stored and applied, or not acknowledged.
//!
//! Webhooks, answers to polls and ends of creations that wait are settled together, each for an order of its own: what
//! they are about is looked up, read and written set by set, so a set takes about as many statements as one.

mod apply;
mod decide;
mod follow_up;
mod later;
mod load;
mod matching;
mod preview;
mod refunds;
mod reviews;
mod set;
mod standing;
mod write;

use std::sync::Arc;
use std::time::Duration;

use super::accounts::AccountRecord;
use super::calls::{self, AttemptNote, ClaimedCall};
use super::checkouts::SessionRecord;
use super::decisions::NewDecision;
use super::failpoint::Step;
use super::idempotency::{KeyClaim, StoredAnswer};
use super::inbox::{self, ClaimedEvent, InboxEvent};
use super::polling::{ClaimedPayment, ClaimedSession};
use super::{MOMENT, Store, StoreError, Tx};
use crate::domain::access::Trace;
use crate::domain::call::{CallKind, CallRequest, CallStatus, inbox_delay_ms};
use crate::domain::checkout::Capture;
use crate::domain::ids::{CheckoutSessionId, OrderId, PaymentId, RefundId, ShopId};
use crate::domain::money::Money;
use crate::domain::observed::{Observed, ObservedIntentStatus, ObservedSessionStatus};
use crate::domain::resolution::Objection;
use crate::domain::settlement::FactDraft;
use later::Later;
use load::{Books, Locked};
pub(in crate::store) use load::{
    Flagging, Orders, doubt_of, fact as fact_of, flag_of, terms as terms_of,
};
pub(in crate::store) use matching::Match;
pub use preview::{Effect, Labels, Preview};
pub(in crate::store) use set::Verdict;
pub(in crate::store) use standing::question;

/// Builds the requests that may follow from what was learned; the store knows no provider.
pub trait FollowUps: Send + Sync {
    /// Makes a provider's session unpayable.
    fn expire(&self, provider_session_id: &str) -> CallRequest;
    /// Releases an intent's reserved money.
    fn void(&self, intent: &str) -> CallRequest;
    /// Gives an intent's money back; none for an amount the provider cannot move.
    fn refund(
        &self,
        refund: RefundId,
        order: OrderId,
        intent: &str,
        amount: Money,
    ) -> Option<CallRequest>;
}

/// The request that waits for a session to be made: it is answered, and the answer kept with its key, in the
/// transaction that settles the making.
#[derive(Clone)]
pub struct Waiting {
    /// Its shop.
    pub shop: ShopId,
    /// Its key.
    pub key: KeyClaim,
    /// Words the answer.
    pub answer: Arc<dyn Fn(&SessionRecord) -> StoredAnswer + Send + Sync>,
}

/// What has been learned, and how.
#[derive(Clone)]
pub struct Settle {
    /// The provider account that spoke.
    pub account: AccountRecord,
    /// This database's own id, to tell our objects from others'.
    pub deployment: String,
    /// Who said it.
    pub source: Source,
    /// What the provider showed, all of one order.
    pub observed: Vec<Observed>,
    /// Facts that follow from no object, such as a refused creation.
    pub drafts: Vec<FactDraft>,
    /// Builds the calls that may follow.
    pub follow_ups: Arc<dyn FollowUps>,
    /// Whether money that is no order's goes back by itself.
    pub auto_refund: bool,
    /// Who caused it.
    pub trace: Trace,
    /// Who waits for the session a call was to make.
    pub waiting: Option<Waiting>,
}

/// Where what is settled comes from.
#[derive(Clone)]
pub enum Source {
    /// A webhook that has just arrived.
    Webhook(InboxEvent),
    /// A webhook that could not be applied when it arrived.
    Retry(ClaimedEvent),
    /// The object behind a webhook that was not believed, fetched.
    Refetch(ClaimedEvent),
    /// A question of the polling loop.
    Poll(ClaimedSession),
    /// A question of the polling loop about a payment.
    PollPayment(ClaimedPayment),
    /// Nobody can say whether a call was carried out: people are told, and it is asked about again.
    Doubt {
        /// The call.
        call: ClaimedCall,
        /// The last try.
        note: AttemptNote,
        /// When it is asked about again, in milliseconds.
        retry_in_ms: i64,
    },
    /// A question somebody asked now.
    Refresh(CheckoutSessionId),
    /// A question somebody asked now about a payment.
    RefreshPayment(PaymentId),
    /// Nothing was said: an order is being closed, and what is known decides how far that is.
    Closing {
        /// The shop.
        shop: ShopId,
        /// The order.
        order: OrderId,
    },
    /// Somebody of the staff has decided about an open question.
    Decision(Box<NewDecision>),
    /// The end of a provider call.
    Call {
        /// The call.
        call: ClaimedCall,
        /// How it ended.
        status: CallStatus,
        /// The try that ended it.
        note: AttemptNote,
    },
}

impl Source {
    fn kind(&self) -> &'static str {
        match self {
            Source::Webhook(_) | Source::Retry(_) => "webhook",
            Source::Refetch(_)
            | Source::Poll(_)
            | Source::PollPayment(_)
            | Source::Refresh(_)
            | Source::RefreshPayment(_) => "poll",
            Source::Closing { .. } | Source::Decision(_) => "decision",
            Source::Call { .. } | Source::Doubt { .. } => "call",
        }
    }

    /// The commit that settles it.
    fn step(&self) -> Step {
        match self {
            Source::Webhook(_) => Step::SettleWebhook,
            Source::Retry(event) | Source::Refetch(event) if event.by_hand => Step::SettleReplay,
            Source::Retry(_) => Step::SettleRetry,
            Source::Refetch(_) => Step::SettleRefetch,
            Source::Poll(_) => Step::SettlePoll,
            Source::PollPayment(_) => Step::SettlePaymentPoll,
            Source::Doubt { .. } => Step::SettleDoubt,
            Source::Refresh(_) => Step::SettleRefresh,
            Source::RefreshPayment(_) => Step::SettlePaymentRefresh,
            Source::Closing { .. } => Step::SettleClosing,
            Source::Decision(_) => Step::SettleDecision,
            Source::Call { call, .. } => match call.kind {
                CallKind::SessionCreate => Step::SettleSessionCreate,
                CallKind::SessionExpire => Step::SettleSessionExpire,
                CallKind::Capture => Step::SettleCapture,
                CallKind::Void => Step::SettleVoid,
                CallKind::Refund => Step::SettleRefund,
            },
        }
    }

    /// Whether it is settled together with others: what comes with every payment is, and what was asked because it did
    /// not come.
    fn is_shared(&self) -> bool {
        match self {
            Source::Webhook(_) | Source::Poll(_) => true,
            Source::Call { call, .. } => call.kind == CallKind::SessionCreate,
            _ => false,
        }
    }

    /// How long an order is waited for that somebody else holds; none for what somebody's answer rests on. Everything else
    /// is asked again, and a connection that waits for one order is missed by all others.
    fn patience(&self) -> Option<Duration> {
        match self {
            Source::Call { .. }
            | Source::Decision(_)
            | Source::Closing { .. }
            | Source::RefreshPayment(_) => None,
            _ => Some(MOMENT),
        }
    }

    fn id(&self) -> String {
        match self {
            Source::Webhook(event) => event.id.to_string(),
            Source::Retry(event) | Source::Refetch(event) => event.id.to_string(),
            Source::Poll(claimed) => claimed.session.id.to_string(),
            Source::PollPayment(claimed) => claimed.payment.id.to_string(),
            Source::Refresh(session) => session.to_string(),
            Source::RefreshPayment(payment) => payment.to_string(),
            Source::Closing { order, .. } => order.to_string(),
            Source::Decision(decision) => decision.id.to_string(),
            Source::Call { call, .. } | Source::Doubt { call, .. } => call.id.to_string(),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The facts are recorded.
    Applied {
        /// The shop.
        shop: ShopId,
        /// The order.
        order: OrderId,
    },
    /// This event was stored before.
    Duplicate,
    /// Nothing Till acts on; kept.
    Ignored,
    /// Not about an object of ours; kept.
    Foreign,
    /// Ours, but its order is not known (yet); it is tried again.
    Pending,
    /// Not believed; kept, nothing posted.
    Quarantined,
    /// As applied, and the request that waited has its answer.
    Answered(StoredAnswer),
    /// A decision with a key that was used before.
    KeyKnown,
    /// A decision that cannot be taken (any more); nothing was written.
    Objected(Objection),
}

impl Store {
    /// Records and applies what has been learned; webhooks, answers to polls and the ends of creations together with
    /// those that arrive at the moment.
    ///
    /// # Errors
    /// The database's; [`StoreError::LeaseLost`] when somebody else does this work now; [`StoreError::Full`] when
    /// too many webhooks wait.
    pub async fn settle(&self, command: &Settle) -> Result<Settled, StoreError> {
        loop {
            let verdict = match &command.source {
                source if source.is_shared() => {
                    self.settlements.submit(self, command.clone()).await
                }
                source => {
                    let work = |tx| async move { one(self, &tx, command).await };
                    let settled = match source.patience() {
                        Some(patience) => self.write_set(source.step(), patience, work).await,
                        None => self.write_at(source.step(), work).await,
                    };
                    settled.map(Verdict::Settled)
                }
            };
            match verdict {
                Err(StoreError::MissingLedgerAccounts(missing)) => {
                    self.make_all_books(missing).await?;
                }
                Ok(Verdict::Again) => {}
                Ok(Verdict::LeaseLost) => return Err(StoreError::LeaseLost),
                Ok(Verdict::Settled(settled)) => return Ok(settled),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whose money a command is about; its order is locked.
pub(super) async fn whose(tx: &Tx, command: &Settle) -> Result<Option<Match>, StoreError> {
    let matched = matching::lock_one(tx, command).await?;
    Ok(matched.map(|matched| matched.found))
}

/// The books of locked orders.
async fn books_of(
    tx: &Tx,
    matched: Vec<(&Settle, matching::Matched)>,
) -> Result<Vec<Books>, StoreError> {
    load::books(tx.conn(), tx.engine, locked(matched)).await
}

fn locked(matched: Vec<(&Settle, matching::Matched)>) -> Vec<Locked> {
    let locked = matched.into_iter().map(|(command, matched)| Locked {
        order: matched.order,
        account: command.account.id.to_string(),
        intents: intents_of(command).map(str::to_owned).collect(),
    });
    locked.collect()
}

/// The intents of what was observed.
fn intents_of(command: &Settle) -> impl Iterator<Item = &str> {
    command.observed.iter().filter_map(Observed::intent_id)
}

/// Settles what is not settled together with others.
async fn one(store: &Store, tx: &Tx, command: &Settle) -> Result<Settled, StoreError> {
    let Some(matched) = matching::lock_one(tx, command).await? else {
        return unmatched(tx, command).await;
    };
    let found = matched.found;
    let books = books_of(tx, vec![(command, matched)]).await?.pop();
    let mut books =
        books.ok_or_else(|| StoreError::Corrupt("an order without books".to_owned()))?;
    if let Source::Decision(decision) = &command.source {
        return decide::carry_out(store, tx, command, &found, books, decision).await;
    }
    let mut later = Later::default();
    let settled = if let Source::Doubt {
        call,
        note,
        retry_in_ms,
    } = &command.source
    {
        calls::doubt(tx, call, *retry_in_ms, note).await?;
        books.flag_call(call.id);
        let changes = apply::nothing_new(&mut books);
        write::all(store, tx, &mut later, command, &found, &books, changes).await?;
        Settled::Pending
    } else if let Some(reason) = doubt(&books, &found, command) {
        if let Source::Retry(event) = &command.source {
            let verdict = inbox::Verdict::refetch(tx, reason);
            inbox::decide(tx, event, Some(&found), &verdict).await?;
        }
        books.flag(reason, found.session);
        let changes = apply::nothing_new(&mut books);
        write::all(store, tx, &mut later, command, &found, &books, changes).await?;
        Settled::Quarantined
    } else {
        let believed = finish_source(tx, command, &found, &mut books).await?;
        let changes = apply::add_facts(tx, command, &found, &mut books);
        write::all(store, tx, &mut later, command, &found, &books, changes).await?;
        match believed {
            false => Settled::Quarantined,
            true => Settled::Applied {
                shop: found.shop,
                order: found.order,
            },
        }
    };
    later.flush(tx).await?;
    Ok(settled)
}

/// Whether what was fetched answers the question its event raised: it agrees with us, or carries the money that
/// disagrees, or can bring none any more.
fn answers(books: &Books, found: &Match, observed: &[Observed]) -> bool {
    let over = |object: &Observed| match object {
        Observed::Session(session) => session.status == ObservedSessionStatus::Expired,
        _ => false,
    };
    let settles = |object: &Observed| object.intent_id().is_some() || over(object);
    observed.iter().any(settles) || disagreement(books, found, observed).is_none()
}

/// Whether what was fetched belongs to another order than the event was taken to be about.
fn strayed(command: &Settle, books: &Books) -> bool {
    match &command.source {
        Source::Refetch(event) => event
            .session
            .is_some_and(|asked| books.session(asked).is_none()),
        _ => false,
    }
}

/// Closes what the command was: the event's row, the call. Returns whether it is believed now.
async fn finish_source(
    tx: &Tx,
    command: &Settle,
    found: &Match,
    books: &mut Books,
) -> Result<bool, StoreError> {
    match &command.source {
        Source::Retry(event) => {
            inbox::decide(tx, event, Some(found), &inbox::Verdict::applied(tx)).await?;
        }
        Source::Refetch(event) => {
            // The fetched object is the truth, whether it agrees or not: money that disagrees goes to
            // suspense with a question of its own. Without money the first question stays open.
            // A refund of another amount than was asked for is booked, and nothing else asks why.
            //
            // What the provider shows may belong to another order than the event said: that order gets its facts,
            // and the question asked of this one stays for people.
            if strayed(command, books) {
                inbox::keep_doubting(tx, event).await?;
                return Ok(false);
            }
            let answered = answers(books, found, &command.observed);
            let of_refunds = command.observed.iter().find_map(|object| match object {
                Observed::Refund(_) => disagreement(books, found, std::slice::from_ref(object)),
                _ => None,
            });
            books.unflag(event);
            let believed = of_refunds.is_none() && answered;
            let verdict = if believed {
                inbox::Verdict::applied(tx)
            } else {
                let reason = of_refunds.unwrap_or("amount_mismatch");
                books.flag(reason, found.session);
                inbox::Verdict::quarantined(reason)
            };
            inbox::decide(tx, event, Some(found), &verdict).await?;
            return Ok(believed);
        }
        Source::Call { call, status, note } => {
            books.answered(&call.id.to_string());
            calls::finish(tx, call, *status, note).await?;
        }
        Source::Webhook(_)
        | Source::Poll(_)
        | Source::PollPayment(_)
        | Source::Refresh(_)
        | Source::RefreshPayment(_)
        | Source::Doubt { .. }
        | Source::Closing { .. }
        | Source::Decision(_) => {}
    }
    Ok(true)
}

/// Whether an object no order of ours is known for is ours all the same.
fn is_ours(command: &Settle) -> bool {
    let ours = command
        .observed
        .iter()
        .any(|object| object.marks().deployment.as_deref() == Some(command.deployment.as_str()));
    // A refund or a dispute says nothing of whose it is; its payment does, once somebody has asked for it. The intent of
    // one that names a charge alone is known by the time it is tried again, if the charge has one.
    let named = |object: &Observed| {
        let by_charge =
            matches!(command.source, Source::Webhook(_)) && object.charge_id().is_some();
        by_charge || object.intent_id().is_some()
    };
    let judged = |object: &Observed| object.needs_payment() && named(object);
    let asked = command
        .observed
        .iter()
        .any(|object| !object.needs_payment());
    ours || (!asked && command.observed.iter().any(judged))
}

async fn unmatched(tx: &Tx, command: &Settle) -> Result<Settled, StoreError> {
    let ours = is_ours(command);
    match &command.source {
        // An object of nobody's answers no question about a session of ours.
        Source::Refetch(event) if event.session.is_some() => {
            inbox::keep_doubting(tx, event).await?;
            Ok(Settled::Quarantined)
        }
        Source::Retry(event) | Source::Refetch(event) => {
            let verdict = if ours {
                inbox::Verdict::pending_or_dead(tx, event)
            } else {
                inbox::Verdict::foreign()
            };
            inbox::decide(tx, event, None, &verdict).await?;
            Ok(if ours {
                Settled::Pending
            } else {
                Settled::Foreign
            })
        }
        Source::Webhook(_)
        | Source::Poll(_)
        | Source::PollPayment(_)
        | Source::Refresh(_)
        | Source::RefreshPayment(_)
        | Source::Closing { .. }
        | Source::Decision(_)
        | Source::Doubt { .. }
        | Source::Call { .. } => Err(StoreError::Corrupt(
            "what was asked about is gone".to_owned(),
        )),
    }
}

/// Why what a webhook says becomes no fact: only the object itself, fetched, is believed then. An event that
/// waited for its order is no more to be believed than one that did not.
fn doubt(books: &Books, found: &Match, command: &Settle) -> Option<&'static str> {
    match &command.source {
        Source::Webhook(_) | Source::Retry(_) => disagreement(books, found, &command.observed),
        Source::Refetch(_)
        | Source::Poll(_)
        | Source::PollPayment(_)
        | Source::Refresh(_)
        | Source::RefreshPayment(_)
        | Source::Closing { .. }
        | Source::Decision(_)
        | Source::Doubt { .. }
        | Source::Call { .. } => None,
    }
}

/// How what the provider asks for differs from what our session was made to charge, or what it gives back from
/// what we asked to be given back.
fn disagreement(books: &Books, found: &Match, observed: &[Observed]) -> Option<&'static str> {
    let session = books.session(found.session?)?;
    observed.iter().find_map(|object| {
        let (said, ours) = match object {
            Observed::Refund(refund) => (refund.amount, books.refund_amount(refund)?),
            _ => (object.requested()?, session.amount),
        };
        if said.currency() != ours.currency() {
            Some("currency_mismatch")
        } else if said != ours || takes_otherwise(object, session.capture) {
            Some("amount_mismatch")
        } else {
            None
        }
    })
}

/// Whether more is said to have been taken than was asked for, or less where only a capture by hand takes a part.
/// What was captured counts for ever once it is a fact.
fn takes_otherwise(object: &Observed, capture: Capture) -> bool {
    let intent = match object {
        Observed::Intent(intent) => Some(intent),
        Observed::Session(session) => session.intent_object.as_ref(),
        Observed::Refund(_) | Observed::Dispute(_) | Observed::Lapsed(_) => None,
    };
    let taken = intent.filter(|intent| intent.status == ObservedIntentStatus::Captured);
    taken.is_some_and(|intent| match capture {
        Capture::Automatic => intent.captured != intent.amount,
        Capture::Manual => intent.captured.minor() > intent.amount.minor(),
    })
}
