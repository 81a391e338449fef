//! Everything the fold needs of one order, read under its lock.

use std::collections::{BTreeSet, HashMap};

use entity::{checkout_session, line_item, order, payment, provider_fact, refund};
use sea_orm::sea_query::Value;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, TryIntoModel};

use super::super::bulk::{self, Cells, Wanted};
use super::super::inbox::ClaimedEvent;
use super::super::ledger;
use super::super::polling::ClaimedSession;
use super::super::rows::{money, parse, parse_opt};
use super::super::{Engine, StoreError, Tx};
use crate::domain::access::Mode;
use crate::domain::ids::{CallId, CheckoutSessionId, RefundId};
use crate::domain::ledger::Balances;
use crate::domain::money::Money;
use crate::domain::observed::ObservedRefund;
use crate::domain::refund::RefundOrigin;
use crate::domain::settlement::{
    Fact, FactDraft, PaymentTerms, Reason, RefundTerms, ReviewKey, SessionTerms, Terms,
};

/// One order with everything known of its money.
pub(super) struct Books {
    pub order: order::Model,
    pub mode: Mode,
    pub sessions: Vec<checkout_session::Model>,
    pub payments: Vec<payment::Model>,
    pub refunds: Vec<refund::Model>,
    pub terms: Terms,
    pub facts: Vec<Fact>,
    /// Open questions whose cause is not a fact, before this change.
    pub old_flags: Vec<ReviewKey>,
    /// What the ledger shows.
    pub posted: Balances,
    pub lines: Vec<line_item::Model>,
    /// Intents among those observed that events which could not be applied wait for.
    pub waiting: BTreeSet<String>,
    /// Whether people have acknowledged a question whose cause was still there.
    pub acknowledged: bool,
    /// Events that are not believed yet and calls without an outcome, with the flag each raises.
    quarantined: Vec<(String, ReviewKey)>,
}

impl Books {
    pub fn session(&self, id: CheckoutSessionId) -> Option<&SessionTerms> {
        self.terms.sessions.iter().find(|session| session.id == id)
    }

    /// Whether whoever claimed a session to ask about it still has it.
    pub fn is_claimed(&self, claimed: &ClaimedSession) -> bool {
        let id = claimed.session.id.to_string();
        let mut rows = self.sessions.iter();
        let row = rows.find(|row| row.id == id);
        row.is_some_and(|row| row.lease_token.as_ref() == Some(&claimed.token))
    }

    /// The amount of a refund that is known here.
    pub fn refund_amount(&self, seen: &ObservedRefund) -> Option<Money> {
        let known = self.terms.refunds.iter().find(|refund| {
            seen.marks.refund.as_deref() == Some(refund.id.to_string().as_str())
                || refund.object.as_deref() == Some(seen.provider_id.as_str())
        });
        known.map(|refund| refund.amount)
    }

    /// Raises a question about a session.
    pub fn flag(&mut self, reason: &str, session: Option<CheckoutSessionId>) {
        let Some(session) = session else { return };
        let reason = match reason {
            "currency_mismatch" => Reason::CurrencyMismatch,
            _ => Reason::AmountMismatch,
        };
        let subject = session.to_string();
        self.terms.flags.push(ReviewKey { reason, subject });
    }

    /// Raises a question about a call.
    pub fn flag_call(&mut self, call: CallId) {
        self.terms.flags.push(ReviewKey {
            reason: Reason::OutcomeUnknown,
            subject: call.to_string(),
        });
    }

    /// Takes back the question an event raised.
    pub fn unflag(&mut self, event: &ClaimedEvent) {
        self.answered(&event.id.to_string());
    }

    /// Takes back the question that something of ours with this id raised.
    pub fn answered(&mut self, id: &str) {
        self.quarantined
            .retain(|(raised_by, _)| raised_by.as_str() != id);
        self.terms.flags = self
            .quarantined
            .iter()
            .map(|(_, key)| key.clone())
            .collect();
    }
}

/// An order that is locked, and the intents whose payments may be new to it.
pub(super) struct Locked {
    pub order: order::Model,
    pub account: String,
    pub intents: Vec<String>,
}

/// Locks one order.
pub(super) async fn lock(tx: &Tx, id: &str) -> Result<order::Model, StoreError> {
    let query = tx.holding(order::Entity::find_by_id(id));
    let order = query.one(tx.conn()).await?;
    order.ok_or_else(gone)
}

fn gone() -> StoreError {
    StoreError::Corrupt("an order whose session exists is gone".to_owned())
}

/// Reads the books of locked orders, of all of them in one statement. It must come after the locks: what another
/// transaction did while they were waited for is seen only by a statement that begins afterwards.
pub(super) async fn books<C: ConnectionTrait>(
    connection: &C,
    engine: Engine,
    locked: Vec<Locked>,
) -> Result<Vec<Books>, StoreError> {
    if locked.is_empty() {
        return Ok(Vec::new());
    }
    let of = |id: fn(&order::Model) -> &String| {
        let ids: BTreeSet<&str> = locked.iter().map(|one| id(&one.order).as_str()).collect();
        bulk::list(engine, ids.into_iter())
    };
    let orders = Orders::Listed {
        engine,
        ids: of(|order| &order.id),
        shops: of(|order| &order.shop_id),
    };
    let intents = locked.iter().flat_map(|one| {
        let intents = one.intents.iter();
        intents.map(|intent| [one.account.as_str(), intent.as_str()])
    });
    let wanted = wanted(engine, &orders, &intents.collect());
    of_parts(bulk::read(connection, engine, wanted).await?, locked)
}

/// The books of orders, from what was read for [`wanted`].
pub(super) fn of_parts(
    parts: Vec<Vec<Cells>>,
    locked: Vec<Locked>,
) -> Result<Vec<Books>, StoreError> {
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let mut sessions = by_order::<checkout_session::Entity>(next(), |row| &row.order_id)?;
    let mut payments = by_order::<payment::Entity>(next(), |row| &row.order_id)?;
    let mut refunds = by_order::<refund::Entity>(next(), |row| &row.order_id)?;
    let mut facts = by_order::<provider_fact::Entity>(next(), |row| &row.order_id)?;
    let mut lines = by_order::<line_item::Entity>(next(), |row| &row.order_id)?;
    let mut raised: HashMap<String, Vec<(String, ReviewKey)>> = HashMap::new();
    for row in next() {
        let order = row.text(1)?.to_owned();
        let text = |at| row.text_or_null(at).map(str::to_owned);
        let event = (row.text(0)?.to_owned(), None, text(2), text(3));
        raised.entry(order).or_default().extend(flag_of(event));
    }
    for row in next() {
        let call = row.text(0)?.to_owned();
        let flag = (call.clone(), doubt_of(call));
        raised
            .entry(row.text(1)?.to_owned())
            .or_default()
            .push(flag);
    }
    let mut posted: HashMap<String, Balances> = HashMap::new();
    for row in next() {
        let balances = posted.entry(row.text(0)?.to_owned()).or_default();
        ledger::add_balance(balances, &row)?;
    }
    let mut waiting = Vec::new();
    for row in next() {
        waiting.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
    }
    let mut modes: HashMap<String, Mode> = HashMap::new();
    for row in next() {
        modes.insert(row.text(0)?.to_owned(), parse("shop.mode", row.text(1)?)?);
    }
    let mut acknowledged = BTreeSet::new();
    for row in next() {
        acknowledged.insert(row.text(0)?.to_owned());
    }
    let mut all = Vec::with_capacity(locked.len());
    for Locked { order, account, .. } in locked {
        let id = order.id.as_str();
        let mut sessions = sessions.remove(id).unwrap_or_default();
        let mut payments = payments.remove(id).unwrap_or_default();
        let mut refunds = refunds.remove(id).unwrap_or_default();
        let mut facts = facts.remove(id).unwrap_or_default();
        let mut lines = lines.remove(id).unwrap_or_default();
        sessions.sort_by(|a, b| a.id.cmp(&b.id));
        payments.sort_by(|a, b| a.id.cmp(&b.id));
        refunds.sort_by(|a, b| a.id.cmp(&b.id));
        facts.sort_by(|a, b| a.id.cmp(&b.id));
        lines.sort_by_key(|line| line.position);
        let quarantined = raised.remove(id).unwrap_or_default();
        let old_flags: Vec<ReviewKey> = quarantined.iter().map(|(_, key)| key.clone()).collect();
        let waiting = waiting.iter().filter(|(of, _)| *of == account);
        all.push(Books {
            mode: *modes.get(&order.shop_id).ok_or_else(gone)?,
            terms: terms(&order, &sessions, &payments, &refunds, old_flags.clone())?,
            facts: facts.into_iter().map(fact).collect::<Result<_, _>>()?,
            old_flags,
            quarantined,
            posted: posted.remove(id).unwrap_or_default(),
            acknowledged: acknowledged.contains(id),
            waiting: waiting.map(|(_, intent)| intent.clone()).collect(),
            order,
            sessions,
            payments,
            refunds,
            lines,
        });
    }
    Ok(all)
}

/// Orders whose books are read.
pub(in crate::store) enum Orders {
    /// These, as [`bulk::list`].
    Listed {
        /// Of which database.
        engine: Engine,
        /// Their ids.
        ids: Value,
        /// Those of their shops.
        shops: Value,
    },
    /// SQLite: the column `order_id` of a source called `m`.
    Found,
}

impl Orders {
    /// A condition that a column holds one of them.
    pub fn hold(&self, column: &str) -> (String, Vec<Value>) {
        match self {
            Orders::Listed { engine, ids, .. } => (bulk::among(*engine, column), vec![ids.clone()]),
            Orders::Found => (format!("{column} IN (SELECT order_id FROM m)"), Vec::new()),
        }
    }

    /// The same of their shops.
    fn shops_hold(&self, column: &str) -> (String, Vec<Value>) {
        match self {
            Orders::Listed { engine, shops, .. } => {
                (bulk::among(*engine, column), vec![shops.clone()])
            }
            Orders::Found => {
                let (found, values) = self.hold("id");
                let shops = format!("SELECT shop_id FROM \"order\" WHERE {found}");
                (format!("{column} IN ({shops})"), values)
            }
        }
    }
}

/// Everything that belongs to some orders, in the order [`of_parts`] takes it; and which of some intents, by account and
/// id there, events wait for.
pub(super) fn wanted(
    engine: Engine,
    orders: &Orders,
    intents: &BTreeSet<[&str; 2]>,
) -> Vec<Wanted> {
    let (waiting, intents) = bulk::keyed(
        engine,
        "provider_event",
        ["provider_account_id", "intent_id"],
        " AND t.verdict IN ('pending', 'foreign')",
        intents,
    );
    macro_rules! children {
        ($table:ident) => {{
            let (condition, values) = orders.hold("order_id");
            Wanted::rows::<$table::Entity>(condition, values)
        }};
    }
    let some = |columns: &[&str], table: &str, more: &str| {
        let (condition, values) = orders.hold("order_id");
        Wanted::columns(columns, table, format!("{condition} AND {more}"), values)
    };
    let (of_shops, shops) = orders.shops_hold("id");
    vec![
        children!(checkout_session),
        children!(payment),
        children!(refund),
        children!(provider_fact),
        children!(line_item),
        some(
            &["id", "order_id", "reason", "checkout_session_id"],
            "provider_event",
            // By the order only: there may be many such events.
            "verdict || '' IN ('quarantined', 'dead')",
        ),
        some(
            &["id", "order_id"],
            "provider_call",
            "review_at IS NOT NULL",
        ),
        ledger::posted(orders),
        Wanted::columns(
            &["t.provider_account_id", "t.intent_id"],
            &waiting,
            "TRUE".to_owned(),
            intents,
        ),
        Wanted::columns(&["id", "mode"], "shop", of_shops, shops),
        some(&["order_id"], "review", "acknowledged"),
    ]
}

fn by_order<E>(
    rows: Vec<Cells>,
    order: impl Fn(&E::Model) -> &String,
) -> Result<HashMap<String, Vec<E::Model>>, StoreError>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: TryIntoModel<E::Model>,
{
    let mut grouped: HashMap<String, Vec<E::Model>> = HashMap::new();
    for row in rows {
        let row = row.model::<E>()?;
        grouped.entry(order(&row).clone()).or_default().push(row);
    }
    Ok(grouped)
}

/// What the fold needs beside the facts, as the rows say.
pub(in crate::store) fn terms(
    order: &order::Model,
    sessions: &[checkout_session::Model],
    payments: &[payment::Model],
    refunds: &[refund::Model],
    flags: Vec<ReviewKey>,
) -> Result<Terms, StoreError> {
    let sessions = sessions.iter().map(|row| {
        Ok(SessionTerms {
            id: parse("checkout_session.id", &row.id)?,
            object: row.provider_session_id.clone(),
            amount: money(row.amount_minor, &row.currency)?,
            capture: parse("checkout_session.capture", &row.capture)?,
        })
    });
    let payments = payments.iter().map(payment_terms);
    Ok(Terms {
        order: parse("order.id", &order.id)?,
        total: money(order.total_minor, &order.currency)?,
        fulfilment: parse("order.fulfilment_status", &order.fulfilment_status)?,
        sessions: sessions.collect::<Result<_, StoreError>>()?,
        payments: payments.collect::<Result<_, StoreError>>()?,
        refunds: refunds.iter().map(refund_terms).collect::<Result<_, _>>()?,
        suspense_refunds: suspense_refunds(refunds)?,
        flags,
    })
}

fn refund_terms(row: &refund::Model) -> Result<RefundTerms, StoreError> {
    Ok(RefundTerms {
        id: parse("refund.id", &row.id)?,
        object: row.provider_refund_id.clone(),
        payment: parse("refund.payment_id", &row.payment_id)?,
        amount: money(row.amount_minor, &row.currency)?,
        ours: row.origin != RefundOrigin::Provider.as_str(),
        repeats: parse_opt("refund.repeats_id", row.repeats_id.as_deref())?,
    })
}

fn suspense_refunds(rows: &[refund::Model]) -> Result<Vec<RefundId>, StoreError> {
    let rows = rows.iter().filter(|row| !row.payment_belonged);
    rows.map(|row| parse("refund.id", &row.id)).collect()
}

fn payment_terms(row: &payment::Model) -> Result<PaymentTerms, StoreError> {
    Ok(PaymentTerms {
        id: parse("payment.id", &row.id)?,
        intent: row.provider_payment_id.clone(),
        session: parse_opt("payment.session", row.checkout_session_id.as_deref())?,
        requested: money(row.amount_minor, &row.currency)?,
    })
}

/// A fact as its row says.
pub(in crate::store) fn fact(row: provider_fact::Model) -> Result<Fact, StoreError> {
    let amount: Option<Money> = match row.currency.as_str() {
        "" => None,
        currency => Some(money(row.amount_minor, currency)?),
    };
    let session = row.checkout_session_id.as_deref();
    Ok(Fact {
        id: parse("provider_fact.id", &row.id)?,
        said: FactDraft {
            kind: parse("provider_fact.kind", &row.kind)?,
            object: row.object_id,
            intent: row.intent_id,
            session: parse_opt("provider_fact.session", session)?,
            refund: parse_opt("provider_fact.refund_id", row.refund_id.as_deref())?,
            amount,
            code: row.code,
        },
    })
}

/// The question that a call nobody knows the outcome of raises.
pub(in crate::store) fn doubt_of(call: String) -> ReviewKey {
    ReviewKey {
        reason: Reason::OutcomeUnknown,
        subject: call,
    }
}

/// An event that may raise a question: its id, its order, its reason and its session.
pub(in crate::store) type Flagging = (String, Option<String>, Option<String>, Option<String>);

/// The question such an event raises; none when it was given up for another reason.
pub(in crate::store) fn flag_of(event: Flagging) -> Option<(String, ReviewKey)> {
    let (id, _, reason, subject) = event;
    let (reason, subject): (Reason, String) = (reason?.parse().ok()?, subject?);
    Some((id, ReviewKey { reason, subject }))
}
