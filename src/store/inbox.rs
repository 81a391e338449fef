//! The inbox: every verified event of a provider, as it came, with what became of it.

use std::collections::HashSet;

use entity::{payment, provider_event as row};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::accounts::AccountRecord;
use super::failpoint::Step;
use super::lease::{Leased, token};
use super::rows::{parse, parse_opt};
use super::settle::{self, Match, Settle, Settled, Source};
use super::{Store, StoreError, Tx, bulk};
use crate::domain::call::{PENDING_LIMIT_MS, inbox_delay_ms};
use crate::domain::ids::{AccountId, CheckoutSessionId, ProviderEventId};
use crate::domain::inbox::{ORDER_UNKNOWN, PAYMENT_OF_ANOTHER, UNREADABLE, is_doubt};
use crate::domain::observed::Observed;
use crate::domain::time::Timestamp;

/// How often an event that cannot be read waits for its payment to become known.
const TRIES_FOR_PAYMENT: u32 = 5;

/// A verified event that has just arrived.
#[derive(Debug, Clone)]
pub struct InboxEvent {
    /// Our id of it.
    pub id: ProviderEventId,
    /// The account it was sent for.
    pub account: AccountId,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub kind: String,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// The signature it came with.
    pub signature: String,
    /// Which secret verified it.
    pub secret_index: i64,
    /// The API version it was written in.
    pub api_version: Option<String>,
    /// Whether it is about real money.
    pub live: bool,
    /// The connected account it names.
    pub external_account: Option<String>,
    /// The object it is about.
    pub object_id: Option<String>,
    /// The intent that object belongs to.
    pub intent_id: Option<String>,
    /// The charge that object belongs to.
    pub charge_id: Option<String>,
    /// The request it came in.
    pub request_id: Option<String>,
}

impl InboxEvent {
    /// Why it is not about this account's money, when it is not; `observed` is what it says.
    pub(super) fn misaddressed(
        &self,
        account: &AccountRecord,
        observed: &[Observed],
    ) -> Option<&'static str> {
        account.misaddressed(self.live, self.external_account.as_deref(), observed)
    }
}

/// A stored event that somebody tries again.
#[derive(Debug, Clone)]
pub struct ClaimedEvent {
    /// Our id of it.
    pub id: ProviderEventId,
    /// The account it was sent for.
    pub account: AccountId,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Whether it was quarantined: then its object is fetched.
    pub quarantined: bool,
    /// The session it is about, when known.
    pub session: Option<CheckoutSessionId>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The fencing token.
    pub token: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Whether somebody asked for this try.
    pub by_hand: bool,
}

/// What becomes of an event.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    word: &'static str,
    reason: Option<String>,
    next_at: Option<i64>,
    settled_at: Option<i64>,
}

impl Verdict {
    fn plain(word: &'static str) -> Self {
        Verdict {
            word,
            reason: None,
            next_at: None,
            settled_at: None,
        }
    }

    pub fn applied(tx: &Tx) -> Self {
        Verdict {
            settled_at: Some(tx.clock.now().ms()),
            ..Verdict::plain("applied")
        }
    }

    pub fn ignored() -> Self {
        Verdict::plain("ignored")
    }

    pub fn foreign() -> Self {
        Verdict::plain("foreign")
    }

    pub fn quarantined(reason: &str) -> Self {
        Verdict {
            reason: Some(reason.to_owned()),
            ..Verdict::plain("quarantined")
        }
    }

    /// Not believed; its object is fetched as soon as possible.
    pub fn refetch(tx: &Tx, reason: &str) -> Self {
        Verdict {
            next_at: Some(tx.clock.now().ms()),
            ..Verdict::quarantined(reason)
        }
    }

    pub fn pending(tx: &Tx, delay_ms: i64) -> Self {
        Verdict {
            reason: Some(ORDER_UNKNOWN.to_owned()),
            next_at: Some(tx.clock.now().plus_ms(delay_ms).ms()),
            ..Verdict::plain("pending")
        }
    }

    /// Tried again later, or given up after a day.
    pub fn pending_or_dead(tx: &Tx, event: &ClaimedEvent) -> Self {
        if tx.clock.now().since(event.received_at) > PENDING_LIMIT_MS {
            return Verdict {
                reason: Some(ORDER_UNKNOWN.to_owned()),
                ..Verdict::plain("dead")
            };
        }
        Verdict::pending(tx, inbox_delay_ms(event.attempt.saturating_add(1)))
    }
}

/// An event's row with its verdict.
pub(super) fn arrived(
    tx: &Tx,
    event: &InboxEvent,
    found: Option<&Match>,
    verdict: Verdict,
) -> row::Model {
    row::Model {
        id: event.id.to_string(),
        provider_account_id: event.account.to_string(),
        event_id: event.event_id.clone(),
        shop_id: found.map(|found| found.shop.to_string()),
        order_id: found.map(|found| found.order.to_string()),
        checkout_session_id: found
            .and_then(|found| found.session)
            .map(|session| session.to_string()),
        kind: event.kind.clone(),
        raw: Some(event.raw.clone()),
        signature: Some(event.signature.clone()),
        secret_index: event.secret_index,
        api_version: event.api_version.clone(),
        livemode: event.live,
        object_id: event.object_id.clone(),
        intent_id: event.intent_id.clone(),
        charge_id: event.charge_id.clone(),
        verdict: verdict.word.to_owned(),
        reason: verdict.reason,
        attempt_count: 1,
        next_at: verdict.next_at,
        lease_until: None,
        lease_token: None,
        request_id: event.request_id.clone(),
        received_at: tx.clock.now().ms(),
        settled_at: verdict.settled_at,
    }
}

/// Stores events that are known not to be stored.
pub(super) async fn insert(tx: &Tx, rows: &[row::Model]) -> Result<(), StoreError> {
    bulk::insert::<row::Entity>(tx, rows).await
}

/// Stores events that were not stored before; returns the ids of those.
pub(super) async fn insert_new(
    tx: &Tx,
    rows: &[row::Model],
) -> Result<HashSet<String>, StoreError> {
    bulk::insert_new::<row::Entity>(tx, rows, row::Column::Id).await
}

/// Writes what became of a claimed event, if its lease is still ours.
pub(super) async fn decide(
    tx: &Tx,
    event: &ClaimedEvent,
    found: Option<&Match>,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    let mut update = row::Entity::update_many()
        .col_expr(row::Column::Verdict, Expr::value(verdict.word))
        .col_expr(row::Column::Reason, Expr::value(verdict.reason.clone()))
        .col_expr(row::Column::NextAt, Expr::value(verdict.next_at))
        .col_expr(row::Column::SettledAt, Expr::value(verdict.settled_at))
        .col_expr(row::Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(row::Column::LeaseToken, Expr::value(None::<String>));
    if let Some(found) = found {
        update = update
            .col_expr(row::Column::ShopId, Expr::value(found.shop.to_string()))
            .col_expr(row::Column::OrderId, Expr::value(found.order.to_string()))
            .col_expr(
                row::Column::CheckoutSessionId,
                Expr::value(found.session.map(|session| session.to_string())),
            );
    }
    let done = update
        .filter(row::Column::Id.eq(event.id.to_string()))
        .filter(row::Column::LeaseToken.eq(&event.token))
        .exec(tx.conn())
        .await?;
    if done.rows_affected == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// An event as whoever holds its lease needs it.
pub(super) fn claimed(row: row::Model) -> Result<ClaimedEvent, StoreError> {
    let gone = || StoreError::Corrupt("a due event without its bytes".to_owned());
    let session = row.checkout_session_id.as_deref();
    Ok(ClaimedEvent {
        id: parse("provider_event.id", &row.id)?,
        account: parse("provider_event.account", &row.provider_account_id)?,
        // One that was given up for want of an answer is still a question.
        quarantined: row.verdict == "quarantined"
            || row.verdict == "dead" && row.reason.as_deref().is_some_and(is_doubt),
        session: parse_opt("provider_event.session", session)?,
        raw: row.raw.ok_or_else(gone)?,
        attempt: u32::try_from(row.attempt_count).unwrap_or(u32::MAX),
        token: token(row.lease_token)?,
        received_at: Timestamp::from_ms(row.received_at),
        by_hand: false,
    })
}

impl Leased for ClaimedEvent {
    type Row = row::Entity;
    const DUE: &'static str = "next_at";
    const TRIES: &'static str = "attempt_count";
    const WAITING: &'static str = "next_at IS NOT NULL";
    const STEP: Step = Step::ClaimEvents;

    fn read(row: row::Model) -> Result<Self, StoreError> {
        claimed(row)
    }
}

/// Why an event could not be applied.
#[derive(Clone, Copy)]
pub enum Unapplied<'a> {
    /// It may be another time.
    Failed(&'static str),
    /// It names a payment that another order was paid with.
    Untrue(&'a Settle),
}

impl Store {
    /// Stores an event that could not be applied, to be tried again if it is about our account's money, or, if it cannot be
    /// true, to have its object fetched. Says what became of it, as settling would.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_event(
        &self,
        event: &InboxEvent,
        account: &AccountRecord,
        why: Unapplied<'_>,
    ) -> Result<Settled, StoreError> {
        self.write_at(Step::KeepEvent, |tx| async move {
            let mut found = None;
            let (verdict, settled) = match event.misaddressed(account, &[]) {
                Some(why) => (Verdict::quarantined(why), Settled::Quarantined),
                None => match why {
                    Unapplied::Failed(reason) => {
                        let pending = Verdict {
                            reason: Some(reason.to_owned()),
                            ..Verdict::pending(&tx, inbox_delay_ms(1))
                        };
                        (pending, Settled::Pending)
                    }
                    Unapplied::Untrue(command) => {
                        found = settle::whose(&tx, command).await?;
                        let verdict = Verdict::refetch(&tx, PAYMENT_OF_ANOTHER);
                        (verdict, Settled::Quarantined)
                    }
                },
            };
            let stored = insert_new(&tx, &[arrived(&tx, event, found.as_ref(), verdict)]).await?;
            Ok(match stored.is_empty() {
                false => settled,
                true => Settled::Duplicate,
            })
        })
        .await
    }

    /// Gives a claimed event back whose object still cannot be read. One that only its payment says the owner of, by the
    /// provider's id of its intent or its charge, is foreign when no such payment has become known in time.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody else has it now.
    pub async fn still_unreadable(
        &self,
        event: &ClaimedEvent,
        payment: Option<(Option<&str>, Option<&str>)>,
    ) -> Result<(), StoreError> {
        self.write_at(Step::EventFailed, |tx| async move {
            if let Some(names) = payment
                && event.attempt >= TRIES_FOR_PAYMENT
                && !is_payment_known(&tx, event.account, names).await?
            {
                return decide(&tx, event, None, &Verdict::foreign()).await;
            }
            give_back(&tx, event, UNREADABLE).await
        })
        .await
    }

    /// Has the object of a claimed event fetched, which names a payment that another order was paid with; one whose fetched
    /// object still names it is given up: it is for people.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody else has it now.
    pub async fn event_untrue(
        &self,
        event: &ClaimedEvent,
        command: &Settle,
    ) -> Result<(), StoreError> {
        self.write_at(Step::EventFailed, |tx| async move {
            let found = settle::whose(&tx, command).await?;
            let verdict = match &command.source {
                Source::Refetch(_) => Verdict {
                    reason: Some(PAYMENT_OF_ANOTHER.to_owned()),
                    ..Verdict::plain("dead")
                },
                _ => Verdict::refetch(&tx, PAYMENT_OF_ANOTHER),
            };
            decide(&tx, event, found.as_ref(), &verdict).await
        })
        .await
    }

    /// Sets a claimed event aside that is not about our account's money.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody else has it now.
    pub async fn event_misaddressed(
        &self,
        event: &ClaimedEvent,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.write_at(Step::EventFailed, |tx| async move {
            decide(&tx, event, None, &Verdict::quarantined(reason)).await
        })
        .await
    }

    /// Claims up to `limit` events of an account that are due.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_events(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<ClaimedEvent>, StoreError> {
        self.claim(account, limit).await
    }

    /// Gives a claimed event back after it could not be applied; dead after a day.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody else has it now.
    pub async fn event_failed(&self, event: &ClaimedEvent, reason: &str) -> Result<(), StoreError> {
        self.write_at(Step::EventFailed, |tx| async move {
            give_back(&tx, event, reason).await
        })
        .await
    }
}

/// Lets go of a claimed event that could not be applied, to be tried again; dead after a day.
async fn give_back(tx: &Tx, event: &ClaimedEvent, reason: &str) -> Result<(), StoreError> {
    // A question to the provider that got no answer stays a question, also when it is given up.
    if event.quarantined {
        return keep_doubting(tx, event).await;
    }
    let verdict = Verdict {
        reason: Some(reason.to_owned()),
        ..Verdict::pending_or_dead(tx, event)
    };
    decide(tx, event, None, &verdict).await
}

/// Whether a payment is known by the provider's id of its intent or of its charge.
async fn is_payment_known(
    tx: &Tx,
    account: AccountId,
    (intent, charge): (Option<&str>, Option<&str>),
) -> Result<bool, StoreError> {
    let named = [
        (payment::Column::ProviderPaymentId, intent),
        (payment::Column::ProviderChargeId, charge),
    ];
    for (column, id) in named {
        let Some(id) = id else { continue };
        let found = payment::Entity::find()
            .filter(payment::Column::ProviderAccountId.eq(account.to_string()))
            .filter(column.eq(id))
            .one(tx.conn())
            .await?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps the reason an event was not believed for, and says when its object is asked for again; after a day it
/// is given up, and its question stays open for people.
pub(super) async fn keep_doubting(tx: &Tx, event: &ClaimedEvent) -> Result<(), StoreError> {
    let next = Verdict::pending_or_dead(tx, event);
    let word = match next.next_at {
        Some(_) => "quarantined",
        None => "dead",
    };
    let done = row::Entity::update_many()
        .col_expr(row::Column::Verdict, Expr::value(word))
        .col_expr(row::Column::NextAt, Expr::value(next.next_at))
        .col_expr(row::Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(row::Column::LeaseToken, Expr::value(None::<String>))
        .filter(row::Column::Id.eq(event.id.to_string()))
        .filter(row::Column::LeaseToken.eq(&event.token))
        .exec(tx.conn())
        .await?;
    if done.rows_affected == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}
