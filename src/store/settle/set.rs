//! Webhooks, answers to polls and the ends of creations that wait, settled together: what they are about is looked up,
//! read and written set by set.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use entity::provider_event;
use futures::future::try_join;

use super::super::batch::Member;
use super::super::calls::{self, AttemptNote, ClaimedCall};
use super::super::idempotency::StoredAnswer;
use super::super::inbox::{self, InboxEvent};
use super::super::polling::ClaimedSession;
use super::super::{Engine, Store, StoreError, Tx};
use super::later::Later;
use super::load::{self, Books};
use super::{
    Match, Settle, Settled, Source, Step, apply, books_of, doubt, inbox_delay_ms, is_ours, locked,
    matching, write,
};
use crate::domain::call::CallStatus;

/// What a set's transaction says of one of its members.
pub(in crate::store) enum Verdict {
    Settled(Settled),
    /// Another member is about the same order; this one belongs into a set of its own.
    Again,
    /// Somebody else has the call or the session now.
    LeaseLost,
}

impl Member for Settle {
    type Outcome = Verdict;

    fn claims(&self) -> Vec<String> {
        let own = match &self.source {
            Source::Webhook(event) => Some(format!("event {} {}", event.account, event.event_id)),
            _ => None,
        };
        // Two names of one order may still meet in a set: the order itself decides then.
        let names = matching::names_of(self);
        own.into_iter().chain(names).collect()
    }

    async fn run(
        store: &Store,
        set: &[Arc<Self>],
        patience: Duration,
    ) -> Result<Vec<Verdict>, StoreError> {
        let steps: Vec<Step> = set.iter().map(|one| one.source.step()).collect();
        let most_telling = [Step::SettleSessionCreate, Step::SettleWebhook];
        let mut most_telling = most_telling.into_iter();
        let step = most_telling.find(|step| steps.contains(step));
        let step = step.unwrap_or(Step::SettlePoll);
        loop {
            let settling = |tx| async move { settle(store, &tx, set).await };
            match store.write_set(step, patience, settling).await {
                // The first money in a currency: its books are made once, instead of carrying out each member alone.
                Err(StoreError::MissingLedgerAccounts(missing)) => {
                    store.make_all_books(missing).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// A call that has ended: as many are under way as requests wait for one. An answer to a poll: a round asks about few.
    fn always_waits(&self) -> bool {
        matches!(self.source, Source::Call { .. } | Source::Poll(_))
    }
}

/// One member of a set on its way through the transaction.
struct Arrival<'a> {
    /// Its place in the set.
    at: usize,
    command: &'a Settle,
    origin: Origin<'a>,
    settled: Settled,
    /// What is to be applied.
    work: Option<Work>,
}

/// Where a member comes from, with what becomes of that.
enum Origin<'a> {
    Webhook {
        event: &'a InboxEvent,
        row: Box<provider_event::Model>,
    },
    Call {
        call: &'a ClaimedCall,
        status: CallStatus,
        note: &'a AttemptNote,
    },
    Poll(&'a ClaimedSession),
}

impl Origin<'_> {
    /// Two processes that are sent the same events in one order wait for each other instead of colliding.
    fn order(&self) -> String {
        match self {
            Origin::Webhook { event, .. } => event.event_id.clone(),
            Origin::Call { call, .. } => call.id.to_string(),
            Origin::Poll(claimed) => claimed.session.id.to_string(),
        }
    }
}

/// An order's books, and what is done with them.
struct Work {
    found: Match,
    books: Books,
    /// Why what was said is not believed, if it is not.
    doubt: Option<&'static str>,
}

/// Settles what was said of different orders. An event that was stored before changes nothing, and neither does
/// what was learned of a call or a session somebody else has now.
async fn settle(store: &Store, tx: &Tx, set: &[Arc<Settle>]) -> Result<Vec<Verdict>, StoreError> {
    let (mut arrivals, known) = arrive(tx, set).await?;
    arrivals.sort_by_cached_key(|arrival| arrival.origin.order());
    let (mut rows, mut ends) = (Vec::new(), Vec::new());
    for arrival in &arrivals {
        match &arrival.origin {
            Origin::Webhook { row, .. } => rows.push(row.as_ref().clone()),
            Origin::Call { call, status, .. } => ends.push((*call, *status)),
            Origin::Poll(_) => {}
        }
    }
    let applied = match tx.engine {
        // Nobody else writes: what is not stored yet is new. While it is being stored, what follows is worked out.
        Engine::Sqlite => {
            let ended = calls::end(tx, &ends).await?;
            rows.retain(|row| {
                !known.contains(&[row.provider_account_id.clone(), row.event_id.clone()])
            });
            let stored = rows.iter().map(|row| row.id.clone()).collect();
            let applied = apply_all(store, tx, set.len(), arrivals, Ours { stored, ended });
            // The first is sent first. If either fails, the other sends nothing more: SQLite may have ended the
            // transaction, and what came after would be kept.
            let ((), applied) = try_join(inbox::insert(tx, &rows), applied).await?;
            applied
        }
        Engine::Postgres => {
            let stored = inbox::insert_new(tx, &rows).await?;
            let ended = calls::end(tx, &ends).await?;
            apply_all(store, tx, set.len(), arrivals, Ours { stored, ended }).await?
        }
    };
    let (verdicts, mut later) = applied;
    later.flush(tx).await?;
    Ok(verdicts)
}

/// What of a set is its own to say.
struct Ours {
    /// The ids of events that are stored with it.
    stored: HashSet<String>,
    /// The ids of calls that end with it.
    ended: HashSet<String>,
}

/// Says what becomes of each of so many members, and what is still to be written.
async fn apply_all(
    store: &Store,
    tx: &Tx,
    members: usize,
    arrivals: Vec<Arrival<'_>>,
    ours: Ours,
) -> Result<(Vec<Verdict>, Later), StoreError> {
    let mut verdicts: Vec<Verdict> = (0..members).map(|_| Verdict::Again).collect();
    let mut later = Later::default();
    let mut missing = BTreeSet::new();
    for mut arrival in arrivals {
        let (ours, otherwise) = match &arrival.origin {
            Origin::Webhook { row, .. } => (
                ours.stored.contains(&row.id),
                Verdict::Settled(Settled::Duplicate),
            ),
            Origin::Call { call, note, .. } => {
                if let Some(work) = &mut arrival.work {
                    work.books.answered(&call.id.to_string());
                }
                let ours = ours.ended.contains(&call.id.to_string());
                later
                    .attempts
                    .extend(ours.then(|| calls::ended_try(tx, call, note)));
                (ours, Verdict::LeaseLost)
            }
            Origin::Poll(claimed) => {
                let mut books = arrival.work.iter().map(|work| &work.books);
                let ours = books.any(|books| books.is_claimed(claimed));
                (ours, Verdict::LeaseLost)
            }
        };
        let said = match ours {
            true => {
                match apply(store, tx, &mut later, arrival.command, arrival.work).await {
                    Ok(answer) => {
                        Verdict::Settled(answer.map_or(arrival.settled, Settled::Answered))
                    }
                    // All that are missing are learned before the set begins anew.
                    Err(StoreError::MissingLedgerAccounts(some)) => {
                        missing.extend(some);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            false => otherwise,
        };
        if let Some(verdict) = verdicts.get_mut(arrival.at) {
            *verdict = said;
        }
    }
    match missing.is_empty() {
        true => Ok((verdicts, later)),
        false => Err(StoreError::MissingLedgerAccounts(
            missing.into_iter().collect(),
        )),
    }
}

async fn apply(
    store: &Store,
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    work: Option<Work>,
) -> Result<Option<StoredAnswer>, StoreError> {
    let Some(Work {
        found,
        mut books,
        doubt,
    }) = work
    else {
        return Ok(None);
    };
    let changes = match doubt {
        Some(reason) => {
            books.flag(reason, found.session);
            apply::nothing_new(&mut books)
        }
        None => apply::add_facts(tx, command, &found, &mut books),
    };
    write::all(store, tx, later, command, &found, &books, changes).await
}

/// Locks the orders of a set and says what becomes of each member. Of two about one order the second is left out.
/// On SQLite also says which of its events are stored already, by account and id there.
async fn arrive<'a>(
    tx: &Tx,
    set: &'a [Arc<Settle>],
) -> Result<(Vec<Arrival<'a>>, HashSet<[String; 2]>), StoreError> {
    let mut arrivals = Vec::with_capacity(set.len());
    let mut looked_for: Vec<(usize, &Settle)> = Vec::with_capacity(set.len());
    for (at, command) in set.iter().enumerate() {
        let command = command.as_ref();
        let kept = match &command.source {
            Source::Webhook(event) => match event.misaddressed(&command.account, &command.observed)
            {
                Some(reason) => (inbox::Verdict::quarantined(reason), Settled::Quarantined),
                None if command.observed.is_empty() => {
                    (inbox::Verdict::ignored(), Settled::Ignored)
                }
                None => {
                    looked_for.push((at, command));
                    continue;
                }
            },
            _ => {
                looked_for.push((at, command));
                continue;
            }
        };
        arrivals.push(arrival(tx, at, command, None, kept)?);
    }
    let commands: Vec<&Settle> = looked_for.iter().map(|(_, command)| *command).collect();
    let events = match tx.engine {
        Engine::Sqlite => events_of(set),
        Engine::Postgres => BTreeSet::new(),
    };
    let events: BTreeSet<[&str; 2]> = events.iter().map(matching::borrowed).collect();
    let looked = matching::lock_all(tx, &commands, &events).await?;
    let matching::Looked {
        matched,
        stored,
        books,
    } = looked;
    let mut orders = HashSet::new();
    let mut known = Vec::new();
    for ((at, command), matched) in looked_for.into_iter().zip(matched) {
        match matched {
            Some(matched) => {
                if orders.insert(matched.found.order) {
                    known.push(((at, command, matched.found), (command, matched)));
                }
            }
            None => {
                let kept = match is_ours(command) {
                    true => (
                        inbox::Verdict::pending(tx, inbox_delay_ms(1)),
                        Settled::Pending,
                    ),
                    false => (inbox::Verdict::foreign(), Settled::Foreign),
                };
                arrivals.push(arrival(tx, at, command, None, kept)?);
            }
        }
    }
    let (members, matched): (Vec<_>, Vec<_>) = known.into_iter().unzip();
    let books = match books {
        Some(read) => load::of_parts(read, locked(matched))?,
        None => books_of(tx, matched).await?,
    };
    for ((at, command, found), books) in members.into_iter().zip(books) {
        let doubt = doubt(&books, &found, command);
        let kept = match doubt {
            Some(reason) => (inbox::Verdict::refetch(tx, reason), Settled::Quarantined),
            None => {
                let applied = Settled::Applied {
                    shop: found.shop,
                    order: found.order,
                };
                (inbox::Verdict::applied(tx), applied)
            }
        };
        let work = Work {
            found,
            books,
            doubt,
        };
        arrivals.push(arrival(tx, at, command, Some(work), kept)?);
    }
    Ok((arrivals, stored))
}

/// The events among a set, by account and id there.
fn events_of(set: &[Arc<Settle>]) -> BTreeSet<[String; 2]> {
    let events = set.iter().filter_map(|command| match &command.source {
        Source::Webhook(event) => Some([event.account.to_string(), event.event_id.clone()]),
        _ => None,
    });
    events.collect()
}

/// A member with what becomes of it.
fn arrival<'a>(
    tx: &Tx,
    at: usize,
    command: &'a Settle,
    work: Option<Work>,
    (verdict, settled): (inbox::Verdict, Settled),
) -> Result<Arrival<'a>, StoreError> {
    let origin = match &command.source {
        Source::Webhook(event) => {
            let found = work.as_ref().map(|work| &work.found);
            let row = Box::new(inbox::arrived(tx, event, found, verdict));
            Origin::Webhook { event, row }
        }
        Source::Call { call, status, note } if work.is_some() => Origin::Call {
            call,
            status: *status,
            note,
        },
        Source::Poll(claimed) if work.is_some() => Origin::Poll(claimed),
        Source::Call { .. } | Source::Poll(_) => {
            let detail = "what a call or a question was about is gone";
            return Err(StoreError::Corrupt(detail.to_owned()));
        }
        _ => {
            let detail = "a set holds webhooks, polls and ends of creations only";
            return Err(StoreError::Corrupt(detail.to_owned()));
        }
    };
    Ok(Arrival {
        at,
        command,
        origin,
        settled,
        work,
    })
}
