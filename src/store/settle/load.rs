//! Everything the fold needs of one order, read under its lock.

use entity::{
    checkout_session, order, payment, provider_call, provider_event, provider_fact, refund, shop,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::inbox::ClaimedEvent;
use super::super::ledger;
use super::super::rows::{money, parse, parse_opt};
use super::super::{Engine, StoreError, Tx};
use super::Match;
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
    /// Events that are not believed yet and calls without an outcome, with the flag each raises.
    quarantined: Vec<(String, ReviewKey)>,
}

impl Books {
    pub fn session(&self, id: CheckoutSessionId) -> Option<&SessionTerms> {
        self.terms.sessions.iter().find(|session| session.id == id)
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

/// Locks the order and reads its books.
pub(super) async fn lock(tx: &Tx, found: &Match) -> Result<Books, StoreError> {
    let query = order::Entity::find_by_id(found.order.to_string());
    let query = match tx.engine {
        Engine::Sqlite => query,
        Engine::Postgres => query.lock_exclusive(),
    };
    let gone = || StoreError::Corrupt("an order whose session exists is gone".to_owned());
    let order = query.one(tx.conn()).await?.ok_or_else(gone)?;
    let mode: String = shop::Entity::find_by_id(&order.shop_id)
        .select_only()
        .column(shop::Column::Mode)
        .into_tuple()
        .one(tx.conn())
        .await?
        .ok_or_else(gone)?;
    let sessions = checkout_session::Entity::find()
        .filter(checkout_session::Column::OrderId.eq(&order.id))
        .order_by_asc(checkout_session::Column::Id)
        .all(tx.conn())
        .await?;
    let payments = payment::Entity::find()
        .filter(payment::Column::OrderId.eq(&order.id))
        .order_by_asc(payment::Column::Id)
        .all(tx.conn())
        .await?;
    let refunds = match payments.is_empty() {
        true => Vec::new(),
        false => refunds_of(tx, &order.id).await?,
    };
    let facts = provider_fact::Entity::find()
        .filter(provider_fact::Column::OrderId.eq(&order.id))
        .order_by_asc(provider_fact::Column::Id)
        .all(tx.conn())
        .await?;
    let quarantined = match order.review {
        Some(_) => flags(tx, &order.id).await?,
        None => Vec::new(),
    };
    let posted = match payments.is_empty() {
        true => Balances::new(),
        false => ledger::posted(tx, &order.id).await?,
    };
    let old_flags: Vec<ReviewKey> = quarantined.iter().map(|(_, key)| key.clone()).collect();
    Ok(Books {
        mode: parse("shop.mode", &mode)?,
        terms: terms(&order, &sessions, &payments, &refunds, old_flags.clone())?,
        facts: facts.into_iter().map(fact).collect::<Result<_, _>>()?,
        old_flags,
        quarantined,
        posted,
        order,
        sessions,
        payments,
        refunds,
    })
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
        policy_refunds: policy_refunds(refunds)?,
        flags,
    })
}

async fn refunds_of(tx: &Tx, order_id: &str) -> Result<Vec<refund::Model>, StoreError> {
    Ok(refund::Entity::find()
        .filter(refund::Column::OrderId.eq(order_id))
        .order_by_asc(refund::Column::Id)
        .all(tx.conn())
        .await?)
}

fn refund_terms(row: &refund::Model) -> Result<RefundTerms, StoreError> {
    Ok(RefundTerms {
        id: parse("refund.id", &row.id)?,
        object: row.provider_refund_id.clone(),
        payment: parse("refund.payment_id", &row.payment_id)?,
        amount: money(row.amount_minor, &row.currency)?,
        ours: row.origin != RefundOrigin::Provider.as_str(),
    })
}

fn policy_refunds(rows: &[refund::Model]) -> Result<Vec<RefundId>, StoreError> {
    let policy = RefundOrigin::Policy.as_str();
    let rows = rows.iter().filter(|row| row.origin == policy);
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

/// Questions raised by events that were not believed, and by calls nobody knows the outcome of. An event that was
/// given up before its object could be fetched is still a question.
async fn flags(tx: &Tx, order_id: &str) -> Result<Vec<(String, ReviewKey)>, StoreError> {
    use provider_event::Column as C;
    let rows: Vec<Flagging> = provider_event::Entity::find()
        .filter(C::OrderId.eq(order_id))
        .filter(C::Verdict.is_in(["quarantined", "dead"]))
        .select_only()
        .columns([C::Id, C::OrderId, C::Reason, C::CheckoutSessionId])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let calls: Vec<String> = provider_call::Entity::find()
        .filter(provider_call::Column::OrderId.eq(order_id))
        .filter(provider_call::Column::ReviewAt.is_not_null())
        .select_only()
        .column(provider_call::Column::Id)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let calls = calls.into_iter().map(|call| (call.clone(), doubt_of(call)));
    Ok(rows.into_iter().filter_map(flag_of).chain(calls).collect())
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
