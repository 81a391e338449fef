//! Finding the session of ours that a provider's object belongs to, and locking its order.

use std::collections::{BTreeSet, HashMap, HashSet};

use entity::{order, payment, refund};
use sea_orm::EntityTrait;

use super::super::bulk::{self, Cells, Wanted};
use super::super::rows::{parse, parse_opt};
use super::super::{Engine, StoreError, Tx, checkouts};
use super::load::{self, Orders};
use super::{Settle, Source, intents_of};
use crate::domain::call::CallKind;
use crate::domain::ids::{CheckoutSessionId, OrderId, ShopId};
use crate::domain::observed::Observed;

/// Whose money it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Match {
    pub shop: ShopId,
    pub order: OrderId,
    /// The session what was said is about; none when an order without one is closed.
    pub session: Option<CheckoutSessionId>,
}

/// What was observed, and the order of ours it belongs to, locked.
pub(super) struct Matched {
    pub found: Match,
    pub order: order::Model,
}

/// Finds and locks what one command is about.
pub(super) async fn lock_one(tx: &Tx, command: &Settle) -> Result<Option<Matched>, StoreError> {
    let found = match &command.source {
        Source::Refresh(session) => by_session(tx, &session.to_string()).await?,
        Source::PollPayment(claimed) => by_payment(tx, &claimed.payment.id.to_string()).await?,
        Source::RefreshPayment(payment) => by_payment(tx, &payment.to_string()).await?,
        Source::Call { call, .. } | Source::Doubt { call, .. } => {
            by_subject(tx, call.kind, &call.subject_id).await?
        }
        Source::Closing { shop, order } => Some(Match {
            shop: *shop,
            order: *order,
            session: None,
        }),
        Source::Decision(decision) => Some(Match {
            shop: decision.shop,
            order: decision.order,
            session: None,
        }),
        Source::Webhook(_) | Source::Poll(_) | Source::Retry(_) | Source::Refetch(_) => {
            let names = sought(command);
            if names.is_empty() {
                return Ok(None);
            }
            let found = ask(tx, &names, None).await?;
            return matched(&names, &found.known);
        }
    };
    let Some(found) = found else { return Ok(None) };
    let order = load::lock(tx, &found.order.to_string()).await?;
    Ok(Some(Matched { found, order }))
}

/// Where a provider's object may be known from, the surer first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Way {
    /// The provider's id of a session.
    Session,
    /// Our id of a session, in the object's metadata.
    Mark,
    /// The provider's id of an intent.
    Intent,
    /// The provider's id of a charge.
    Charge,
}

const WAYS: [Way; 4] = [Way::Session, Way::Mark, Way::Intent, Way::Charge];

/// What is found of a set.
pub(super) struct Looked {
    /// What each command is about, in their order.
    pub matched: Vec<Option<Matched>>,
    /// Those of the events asked for that are stored: their accounts and their ids there.
    pub stored: HashSet<[String; 2]>,
    /// What was read of the orders' books along with them, for [`load::of_parts`]; none where locks come first, and
    /// where nothing was looked for.
    pub books: Option<Vec<Vec<Cells>>>,
}

/// Finds and locks the orders that what was observed belongs to, those of a whole set in one statement. SQLite, where
/// nobody else writes, says with it what is in their books, and which of some events, by account and id there, are
/// stored.
pub(super) async fn lock_all(
    tx: &Tx,
    set: &[&Settle],
    events: &BTreeSet<[&str; 2]>,
) -> Result<Looked, StoreError> {
    let sought: Vec<Vec<Named>> = set.iter().map(|command| sought(command)).collect();
    if events.is_empty() && sought.iter().all(Vec::is_empty) {
        return Ok(Looked {
            matched: set.iter().map(|_| None).collect(),
            stored: HashSet::new(),
            books: None,
        });
    }
    let intents = set.iter().flat_map(|&command| {
        let account = command.account.id.to_string();
        intents_of(command).map(move |intent| [account.clone(), intent.to_owned()])
    });
    let intents: BTreeSet<[String; 2]> = intents.collect();
    let also = match tx.engine {
        Engine::Sqlite => Some(Also {
            events,
            intents: intents.iter().map(borrowed).collect(),
        }),
        Engine::Postgres => None,
    };
    let found = ask(tx, &sought.concat(), also).await?;
    let matched = sought.iter().map(|names| matched(names, &found.known));
    Ok(Looked {
        matched: matched.collect::<Result<_, StoreError>>()?,
        stored: found.stored,
        books: found.books,
    })
}

/// What one of these names is known by, the surest first.
fn matched(names: &[Named], known: &Known) -> Result<Option<Matched>, StoreError> {
    let Some((session, order)) = names.iter().find_map(|name| known.get(name).cloned()) else {
        return Ok(None);
    };
    Ok(Some(Matched {
        found: Match {
            shop: parse("order.shop_id", &order.shop_id)?,
            order: parse("order.id", &order.id)?,
            session: Some(session),
        },
        order,
    }))
}

/// A pair of texts that somebody else has.
pub(super) fn borrowed(pair: &[String; 2]) -> [&str; 2] {
    pair.each_ref().map(String::as_str)
}

/// The account whose objects a command is about.
fn account_of(command: &Settle) -> String {
    match &command.source {
        Source::Call { call, .. } => call.account.to_string(),
        Source::Poll(claimed) => claimed.session.account.to_string(),
        _ => command.account.id.to_string(),
    }
}

/// A name at an account, and where it is known from.
type Named = (Way, String, String);

/// The session a call or a question is about: it knows, whatever the provider answered.
fn subject_of(command: &Settle) -> Option<(Way, String)> {
    match &command.source {
        Source::Call { call, .. } => Some((Way::Mark, call.subject_id.clone())),
        Source::Poll(claimed) => Some((Way::Mark, claimed.session.id.to_string())),
        _ => None,
    }
}

/// The names by which what was observed may be known.
fn shown(command: &Settle) -> impl Iterator<Item = (Way, String)> {
    let objects = command.observed.iter();
    objects.flat_map(|object| names(command, object))
}

/// The names a command's session is looked for by, the surer first.
fn sought(command: &Settle) -> Vec<Named> {
    let at_account = |(way, name)| (way, account_of(command), name);
    match subject_of(command) {
        Some(subject) => vec![at_account(subject)],
        None => shown(command).map(at_account).collect(),
    }
}

/// The names by which an object may be known, the surer first.
fn names(command: &Settle, object: &Observed) -> Vec<(Way, String)> {
    let marks = object.marks();
    let ours = marks.deployment.as_deref() == Some(command.deployment.as_str());
    let marked = marks.session.clone().filter(|_| ours);
    let marked = marked.map(|id| (Way::Mark, id));
    let intent = object.intent_id().map(|id| (Way::Intent, id.to_owned()));
    match object {
        Observed::Session(session) => {
            let own = (Way::Session, session.provider_id.clone());
            std::iter::once(own).chain(marked).collect()
        }
        Observed::Intent(intent) => {
            let own = (Way::Intent, intent.provider_id.clone());
            std::iter::once(own).chain(marked).collect()
        }
        Observed::Refund(_) | Observed::Dispute(_) | Observed::Lapsed(_) => {
            let charge = object.charge_id().map(|id| (Way::Charge, id.to_owned()));
            intent.into_iter().chain(charge).collect()
        }
    }
}

/// The names a command's objects may be known by, as one text each.
pub(super) fn names_of(command: &Settle) -> Vec<String> {
    let text = |(way, name)| format!("{way:?} {name}");
    let own = subject_of(command).into_iter().chain(shown(command));
    let mut all: BTreeSet<String> = own.map(text).collect();
    for object in &command.observed {
        all.extend(object.intent_id().map(|id| format!("Intent {id}")));
    }
    all.into_iter().collect()
}

type Known = HashMap<Named, (CheckoutSessionId, order::Model)>;

/// What SQLite says of a set's orders along with them.
struct Also<'a> {
    /// Which of these events are stored.
    events: &'a BTreeSet<[&'a str; 2]>,
    /// Their books, with which of these intents events wait for.
    intents: BTreeSet<[&'a str; 2]>,
}

/// What was found.
struct Found {
    known: Known,
    stored: HashSet<[String; 2]>,
    books: Option<Vec<Vec<Cells>>>,
}

async fn ask(tx: &Tx, names: &[Named], also: Option<Also<'_>>) -> Result<Found, StoreError> {
    let mut parts = Vec::with_capacity(WAYS.len());
    let mut values = Vec::new();
    // Always all of them: the statement stays the same.
    for (way, at) in WAYS.into_iter().zip(0_u32..) {
        let (table, name, session) = match way {
            Way::Session => ("checkout_session", "provider_session_id", "id"),
            Way::Mark => ("checkout_session", "id", "id"),
            Way::Intent => ("payment", "provider_payment_id", "checkout_session_id"),
            Way::Charge => ("payment", "provider_charge_id", "checkout_session_id"),
        };
        let asked = names.iter().filter(|(of, ..)| *of == way);
        let (source, keys) = match way {
            // Our own ids are enough; of an account all sessions might be read. Whose it is shows in what is found.
            Way::Mark => {
                let asked = asked.map(|(_, _, name)| [name.as_str()]);
                bulk::keyed(tx.engine, table, [name], "", &asked.collect())
            }
            _ => {
                let asked = asked.map(|(_, account, name)| [account.as_str(), name.as_str()]);
                let columns = ["provider_account_id", name];
                bulk::keyed(tx.engine, table, columns, "", &asked.collect())
            }
        };
        parts.push(format!(
            "SELECT {at} AS way, t.provider_account_id AS account, t.{name} AS name, \
             t.{session} AS session, t.order_id AS order_id FROM {source} WHERE t.{session} IS NOT NULL",
        ));
        values.extend(keys);
    }
    let (waits, patience) = tx.waits();
    let (among, lock, patience) = match tx.engine {
        Engine::Sqlite => (String::from("TRUE"), "", Vec::new()),
        // Said although it follows: without it, all orders may be read to find these. Sorted, so that two sets wait for
        // each other instead of colliding.
        //
        // What comes after it in this transaction is planned once: it is found by keys, so its values say nothing of how it
        // is best carried out. Otherwise the server compares costs it knew while the tables were empty, and the first
        // thousand times plans the longest statement of all anew, which takes longer than to carry it out.
        Engine::Postgres => (
            format!(
                "o.id = ANY(ARRAY(SELECT order_id FROM m)) AND {waits} \
                 AND (SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', TRUE)) IS NOT NULL"
            ),
            " ORDER BY o.id FOR NO KEY UPDATE OF o",
            vec![patience],
        ),
    };
    let wanted = Wanted::with::<order::Entity>(
        &["m.way", "m.account", "m.name", "m.session"],
        "o",
        "m CROSS JOIN \"order\" AS o",
        format!("o.id = m.order_id AND {among}{lock}"),
        patience,
    )
    .given(
        format!("m AS MATERIALIZED ({})", parts.join(" UNION ALL ")),
        values,
    );
    let mut wanted = vec![wanted];
    let with_books = also.is_some();
    if let Some(Also { events, intents }) = also {
        let columns = ["provider_account_id", "event_id"];
        let (source, keys) = bulk::keyed(tx.engine, "provider_event", columns, "", events);
        let columns = columns.map(|column| format!("t.{column}"));
        let columns = columns.each_ref().map(String::as_str);
        wanted.push(Wanted::columns(&columns, &source, "TRUE".to_owned(), keys));
        wanted.extend(load::wanted(tx.engine, &Orders::Found, &intents));
    }
    let mut found = bulk::read(tx.conn(), tx.engine, wanted).await?.into_iter();
    let mut known = Known::new();
    for row in found.next().unwrap_or_default() {
        let way = usize::try_from(row.number(0)?).ok();
        let Some(way) = way.and_then(|at| WAYS.get(at).copied()) else {
            continue;
        };
        let name = (way, row.text(1)?.to_owned(), row.text(2)?.to_owned());
        let session = parse("checkout_session.id", row.text(3)?)?;
        known.insert(name, (session, row.behind(4).model::<order::Entity>()?));
    }
    let stored = found.next().unwrap_or_default();
    let stored = stored
        .iter()
        .map(|row| Ok([row.text(0)?.to_owned(), row.text(1)?.to_owned()]));
    Ok(Found {
        known,
        stored: stored.collect::<Result<_, StoreError>>()?,
        books: with_books.then(|| found.collect()),
    })
}

async fn by_session(tx: &Tx, id: &str) -> Result<Option<Match>, StoreError> {
    let session = checkouts::find(tx.conn(), id).await?;
    Ok(session.map(|session| Match {
        shop: session.shop,
        order: session.order,
        session: Some(session.id),
    }))
}

async fn by_payment(tx: &Tx, id: &str) -> Result<Option<Match>, StoreError> {
    let row = payment::Entity::find_by_id(id).one(tx.conn()).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Match {
        shop: parse("payment.shop_id", &row.shop_id)?,
        order: parse("payment.order_id", &row.order_id)?,
        session: parse_opt("payment.session", row.checkout_session_id.as_deref())?,
    }))
}

async fn by_subject(tx: &Tx, kind: CallKind, id: &str) -> Result<Option<Match>, StoreError> {
    match kind {
        CallKind::SessionCreate | CallKind::SessionExpire => by_session(tx, id).await,
        CallKind::Capture | CallKind::Void => by_payment(tx, id).await,
        CallKind::Refund => {
            let row = refund::Entity::find_by_id(id).one(tx.conn()).await?;
            match row {
                Some(row) => by_payment(tx, &row.payment_id).await,
                None => Ok(None),
            }
        }
    }
}
