//! Settling: facts into the database, in one transaction. A command as data, like placing an order.
//!
//! The order is found and locked, its whole fact set read, the new facts added one by one and folded; what
//! follows (labels, sessions, payments, reviews, ledger, events) is written with them, or nothing is. A
//! webhook's own row is part of it, so an event is stored and applied, or not acknowledged.

mod apply;
mod follow_up;
mod load;
mod matching;
mod preview;
mod refunds;
mod reviews;
mod write;

use std::sync::Arc;

use super::accounts::AccountRecord;
use super::calls::{self, AttemptNote, ClaimedCall};
use super::failpoint::Step;
use super::inbox::{self, ClaimedEvent, InboxEvent};
use super::polling::{ClaimedPayment, ClaimedSession};
use super::{Store, StoreError, Tx};
use crate::domain::access::Trace;
use crate::domain::call::{CallKind, CallRequest, CallStatus, inbox_delay_ms};
use crate::domain::ids::{CheckoutSessionId, OrderId, PaymentId, RefundId, ShopId};
use crate::domain::money::Money;
use crate::domain::observed::Observed;
use crate::domain::settlement::FactDraft;
use load::Books;
pub(in crate::store) use load::{Flagging, doubt_of, fact as fact_of, flag_of, terms as terms_of};
pub(in crate::store) use matching::Match;
pub use preview::{Effect, Labels, Preview};

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
            Source::Closing { .. } => "decision",
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
            Source::Call { call, .. } => match call.kind {
                CallKind::SessionCreate => Step::SettleSessionCreate,
                CallKind::SessionExpire => Step::SettleSessionExpire,
                CallKind::Capture => Step::SettleCapture,
                CallKind::Void => Step::SettleVoid,
                CallKind::Refund => Step::SettleRefund,
            },
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
}

/// Why a transaction was given up without a trace.
#[derive(Debug)]
enum GiveUp {
    Duplicate,
    Store(StoreError),
}

impl From<StoreError> for GiveUp {
    fn from(error: StoreError) -> Self {
        GiveUp::Store(error)
    }
}

impl super::Failure for GiveUp {
    fn as_store(&self) -> Option<&StoreError> {
        match self {
            GiveUp::Duplicate => None,
            GiveUp::Store(error) => Some(error),
        }
    }
}

impl Store {
    /// Records and applies what has been learned.
    ///
    /// # Errors
    /// The database's; [`StoreError::LeaseLost`] when somebody else does this work now.
    pub async fn settle(&self, command: &Settle) -> Result<Settled, StoreError> {
        loop {
            let outcome = self
                .write_at(command.source.step(), |tx| async move {
                    settle(self, &tx, command).await
                })
                .await;
            match outcome {
                Err(GiveUp::Store(StoreError::MissingLedgerAccounts(shop, currency))) => {
                    self.make_books(shop, currency).await?;
                }
                Ok(settled) => return Ok(settled),
                // A rival stored the same event first.
                Err(
                    GiveUp::Duplicate
                    | GiveUp::Store(StoreError::Conflict(super::Constraint::ProviderEvent)),
                ) => return Ok(Settled::Duplicate),
                Err(GiveUp::Store(error)) => return Err(error),
            }
        }
    }
}

async fn settle(store: &Store, tx: &Tx, command: &Settle) -> Result<Settled, GiveUp> {
    if let Source::Webhook(event) = &command.source {
        if inbox::is_known(tx, event).await? {
            return Err(GiveUp::Duplicate);
        }
        if let Some(reason) = wrong_account(command, event) {
            inbox::insert(tx, event, None, &inbox::Verdict::quarantined(reason)).await?;
            return Ok(Settled::Quarantined);
        }
        if command.observed.is_empty() {
            inbox::insert(tx, event, None, &inbox::Verdict::ignored()).await?;
            return Ok(Settled::Ignored);
        }
    }
    let Some(found) = matching::find(tx, command).await? else {
        return unmatched(tx, command).await;
    };
    let mut books = load::lock(tx, &found).await?;
    if let Source::Doubt {
        call,
        note,
        retry_in_ms,
    } = &command.source
    {
        calls::doubt(tx, call, *retry_in_ms, note).await?;
        books.flag_call(call.id);
        let changes = apply::nothing_new(&mut books);
        write::all(store, tx, command, &found, &books, changes).await?;
        return Ok(Settled::Pending);
    }
    if let Some(reason) = doubt(&books, &found, command) {
        let verdict = inbox::Verdict::refetch(tx, reason);
        match &command.source {
            Source::Webhook(event) => inbox::insert(tx, event, Some(&found), &verdict).await?,
            Source::Retry(event) => inbox::decide(tx, event, Some(&found), &verdict).await?,
            Source::Refetch(_)
            | Source::Poll(_)
            | Source::PollPayment(_)
            | Source::Refresh(_)
            | Source::RefreshPayment(_)
            | Source::Closing { .. }
            | Source::Doubt { .. }
            | Source::Call { .. } => {}
        }
        books.flag(reason, found.session);
        let changes = apply::nothing_new(&mut books);
        write::all(store, tx, command, &found, &books, changes).await?;
        return Ok(Settled::Quarantined);
    }
    finish_source(tx, command, &found, &mut books).await?;
    let changes = apply::add_facts(tx, command, &found, &mut books);
    write::all(store, tx, command, &found, &books, changes).await?;
    Ok(Settled::Applied {
        shop: found.shop,
        order: found.order,
    })
}

/// Closes what the command was: the event's row, the call, the poll's lease.
async fn finish_source(
    tx: &Tx,
    command: &Settle,
    found: &Match,
    books: &mut Books,
) -> Result<(), StoreError> {
    match &command.source {
        Source::Webhook(event) => {
            inbox::insert(tx, event, Some(found), &inbox::Verdict::applied(tx)).await
        }
        Source::Retry(event) => {
            inbox::decide(tx, event, Some(found), &inbox::Verdict::applied(tx)).await
        }
        Source::Refetch(event) => {
            // The fetched object is the truth, whether it agrees or not: money that disagrees goes to
            // suspense with a question of its own. Without money the first question stays open.
            let agrees = disagreement(books, found, &command.observed).is_none();
            let money = command
                .observed
                .iter()
                .any(|object| object.intent_id().is_some());
            let verdict = if agrees || money {
                books.unflag(event);
                inbox::Verdict::applied(tx)
            } else {
                inbox::Verdict::quarantined("amount_mismatch")
            };
            inbox::decide(tx, event, Some(found), &verdict).await
        }
        Source::Call { call, status, note } => {
            books.answered(&call.id.to_string());
            calls::finish(tx, call, *status, note).await
        }
        Source::Poll(_)
        | Source::PollPayment(_)
        | Source::Refresh(_)
        | Source::RefreshPayment(_)
        | Source::Doubt { .. }
        | Source::Closing { .. } => Ok(()),
    }
}

/// An event of another account or mode is not about our money.
fn wrong_account(command: &Settle, event: &InboxEvent) -> Option<&'static str> {
    use crate::domain::access::Mode;
    let ours = command.account.mode == Mode::Live;
    let live = |object: &Observed| object.live().unwrap_or(event.live);
    let moved_elsewhere = command.observed.iter().any(|object| live(object) != ours);
    // The envelope and what is in it: a test object in a live event would be believed otherwise.
    if event.live != ours || moved_elsewhere {
        return Some("wrong_mode");
    }
    match (
        &event.external_account,
        &command.account.external_account_id,
    ) {
        (Some(named), Some(ours)) if named != ours => Some("wrong_account"),
        (Some(_), None) => Some("wrong_account"),
        _ => None,
    }
}

async fn unmatched(tx: &Tx, command: &Settle) -> Result<Settled, GiveUp> {
    let ours = command
        .observed
        .iter()
        .any(|object| object.marks().deployment.as_deref() == Some(command.deployment.as_str()));
    // A refund or a dispute says nothing of whose it is; its payment does, once somebody has asked for it.
    let judged = |object: &Observed| object.needs_payment() && object.intent_id().is_some();
    let asked = command
        .observed
        .iter()
        .any(|object| !object.needs_payment());
    let ours = ours || (!asked && command.observed.iter().any(judged));
    match &command.source {
        Source::Webhook(event) if ours => {
            let verdict = inbox::Verdict::pending(tx, inbox_delay_ms(1));
            inbox::insert(tx, event, None, &verdict).await?;
            Ok(Settled::Pending)
        }
        Source::Webhook(event) => {
            inbox::insert(tx, event, None, &inbox::Verdict::foreign()).await?;
            Ok(Settled::Foreign)
        }
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
        Source::Poll(_)
        | Source::PollPayment(_)
        | Source::Refresh(_)
        | Source::RefreshPayment(_)
        | Source::Closing { .. }
        | Source::Doubt { .. }
        | Source::Call { .. } => Err(GiveUp::Store(StoreError::Corrupt(
            "what was asked about is gone".to_owned(),
        ))),
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
        } else if said != ours {
            Some("amount_mismatch")
        } else {
            None
        }
    })
}
