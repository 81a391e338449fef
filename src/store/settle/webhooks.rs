//! Webhooks that wait, settled together: what they are about is looked up, read and written set by set.

use std::collections::HashSet;
use std::sync::Arc;

use entity::provider_event;

use super::super::batch::Member;
use super::super::inbox::{self, InboxEvent};
use super::super::{Store, StoreError, Tx};
use super::later::Later;
use super::load::Books;
use super::{
    Match, Settle, Settled, Source, Step, apply, books_of, doubt, inbox_delay_ms, is_ours,
    matching, write, wrong_account,
};

/// What a set's transaction says of one of its members.
pub(in crate::store) enum Verdict {
    Settled(Settled),
    /// Another member is about the same order; this one belongs into a set of its own.
    Again,
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

    async fn run(store: &Store, set: &[Arc<Self>]) -> Result<Vec<Verdict>, StoreError> {
        store
            .write_at(Step::SettleWebhook, |tx| async move {
                settle(store, &tx, set).await
            })
            .await
    }
}

/// One webhook of a set on its way through the transaction.
struct Arrival<'a> {
    /// Its place in the set.
    at: usize,
    command: &'a Settle,
    event: &'a InboxEvent,
    row: provider_event::Model,
    settled: Settled,
    /// What is to be applied.
    work: Option<Work>,
}

/// An order's books, and what is done with them.
struct Work {
    found: Match,
    books: Books,
    /// Why what was said is not believed, if it is not.
    doubt: Option<&'static str>,
}

/// Settles webhooks of different orders. An event that was stored before changes nothing.
async fn settle(store: &Store, tx: &Tx, set: &[Arc<Settle>]) -> Result<Vec<Verdict>, StoreError> {
    let mut verdicts: Vec<Verdict> = set.iter().map(|_| Verdict::Again).collect();
    let mut arrivals = arrive(tx, set).await?;
    // Two processes that are sent the same events in one order wait for each other instead of colliding.
    arrivals.sort_by(|a, b| a.event.event_id.cmp(&b.event.event_id));
    let rows: Vec<_> = arrivals.iter().map(|arrival| arrival.row.clone()).collect();
    let stored = inbox::insert_new(tx, &rows).await?;
    let mut later = Later::default();
    for arrival in arrivals {
        let settled = if stored.contains(&arrival.row.id) {
            apply(store, tx, &mut later, arrival.command, arrival.work).await?;
            arrival.settled
        } else {
            Settled::Duplicate
        };
        if let Some(verdict) = verdicts.get_mut(arrival.at) {
            *verdict = Verdict::Settled(settled);
        }
    }
    later.flush(tx).await?;
    Ok(verdicts)
}

async fn apply(
    store: &Store,
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    work: Option<Work>,
) -> Result<(), StoreError> {
    let Some(Work {
        found,
        mut books,
        doubt,
    }) = work
    else {
        return Ok(());
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

/// Locks the orders of a set's webhooks and says what becomes of each. Of two about one order the second is left
/// out.
async fn arrive<'a>(tx: &Tx, set: &'a [Arc<Settle>]) -> Result<Vec<Arrival<'a>>, StoreError> {
    let mut arrivals = Vec::with_capacity(set.len());
    let mut looked_for: Vec<(usize, &Settle, &InboxEvent)> = Vec::with_capacity(set.len());
    for (at, command) in set.iter().enumerate() {
        let Source::Webhook(event) = &command.source else {
            return Err(StoreError::Corrupt("a set holds webhooks only".to_owned()));
        };
        let kept = match wrong_account(command, event) {
            Some(reason) => (inbox::Verdict::quarantined(reason), Settled::Quarantined),
            None if command.observed.is_empty() => (inbox::Verdict::ignored(), Settled::Ignored),
            None => {
                looked_for.push((at, command, event));
                continue;
            }
        };
        arrivals.push(Arrival {
            at,
            command,
            event,
            row: inbox::arrived(tx, event, None, kept.0),
            settled: kept.1,
            work: None,
        });
    }
    let commands: Vec<&Settle> = looked_for.iter().map(|(_, command, _)| *command).collect();
    let matched = matching::lock_all(tx, &commands).await?;
    let mut orders = HashSet::new();
    let mut known = Vec::new();
    for ((at, command, event), matched) in looked_for.into_iter().zip(matched) {
        match matched {
            Some(matched) => {
                if orders.insert(matched.found.order) {
                    known.push((at, command, event, matched));
                }
            }
            None => {
                let (verdict, settled) = match is_ours(command) {
                    true => (
                        inbox::Verdict::pending(tx, inbox_delay_ms(1)),
                        Settled::Pending,
                    ),
                    false => (inbox::Verdict::foreign(), Settled::Foreign),
                };
                arrivals.push(Arrival {
                    at,
                    command,
                    event,
                    row: inbox::arrived(tx, event, None, verdict),
                    settled,
                    work: None,
                });
            }
        }
    }
    let (members, matched): (Vec<_>, Vec<_>) = known
        .into_iter()
        .map(|(at, command, event, matched)| {
            let found = matched.found;
            ((at, command, event, found), (command, matched))
        })
        .unzip();
    let books = books_of(tx, matched).await?;
    for ((at, command, event, found), books) in members.into_iter().zip(books) {
        let doubt = doubt(&books, &found, command);
        let (verdict, settled) = match doubt {
            Some(reason) => (inbox::Verdict::refetch(tx, reason), Settled::Quarantined),
            None => {
                let applied = Settled::Applied {
                    shop: found.shop,
                    order: found.order,
                };
                (inbox::Verdict::applied(tx), applied)
            }
        };
        arrivals.push(Arrival {
            at,
            command,
            event,
            row: inbox::arrived(tx, event, Some(&found), verdict),
            settled,
            work: Some(Work {
                found,
                books,
                doubt,
            }),
        });
    }
    Ok(arrivals)
}
