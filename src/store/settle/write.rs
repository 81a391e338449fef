//! Writing what changed, all of it in the caller's transaction.

use entity::{checkout_session, order, payment, provider_event, provider_fact, refund};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::checkouts::SessionRecord;
use super::super::events::{NewEvent, order_data, rows as event_rows};
use super::super::idempotency::{StoredAnswer, answered_row};
use super::super::rows::{parse, to_json};
use super::super::{Store, StoreError, Tx, ledger, payments};
use super::apply::{Changes, stored_amount};
use super::later::Later;
use super::load::Books;
use super::{Match, Settle, Source, follow_up, refunds, reviews};
use crate::domain::call::payment_poll_gap_ms;
use crate::domain::checkout::{SessionStatus, next_poll};
use crate::domain::event::Shown;
use crate::domain::ids::{CheckoutSessionId, PaymentId, RefundId};
use crate::domain::observed::{Observed, ObservedSession};
use crate::domain::payment::word_of;
use crate::domain::refund::RefundStatus;
use crate::domain::settlement::fold::DisputeState;
use crate::domain::settlement::{FactKind, PaymentState};
use crate::domain::time::Timestamp;

/// An order's rows as they are now.
pub(super) struct Rows<'a> {
    pub payments: &'a [payment::Model],
    pub sessions: &'a [checkout_session::Model],
    pub refunds: &'a [refund::Model],
}

/// Writes facts, payments, sessions, reviews, the order, the ledger and the events, most of it later.
pub(super) async fn all(
    store: &Store,
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    books: &Books,
    changes: Changes,
) -> Result<Option<StoredAnswer>, StoreError> {
    let payments = write_payments(tx, later, command, found, books, &changes).await?;
    later.facts.extend(facts(tx, command, found, &changes));
    let refunds = refunds::follow(tx, later, command, found, books, &changes).await?;
    let sessions = write_sessions(tx, later, command, found, books, &changes)?;
    for (fact, postings) in &changes.postings {
        let posted = ledger::rows(store, tx, found.shop, found.order, *fact, postings)?;
        later.transactions.push(posted.0);
        later.entries.extend(posted.1);
    }
    let review = reviews::follow(tx, command, found, books, &changes).await?;
    let shown = Rows {
        payments: &payments,
        sessions: &sessions,
        refunds: &refunds,
    };
    write_order(tx, later, command, books, &changes, review, &shown).await?;
    follow_up::all(tx, later, command, found, books, &changes, &shown).await?;
    answer(tx, later, command, found, &sessions)
}

/// Answers the request that waits for the session, if one does.
fn answer(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    sessions: &[checkout_session::Model],
) -> Result<Option<StoredAnswer>, StoreError> {
    let (Some(waiting), Some(session)) = (&command.waiting, found.session) else {
        return Ok(None);
    };
    let session = session.to_string();
    let row = sessions.iter().find(|row| row.id == session).cloned();
    let row = row.ok_or_else(|| StoreError::Corrupt("an answer about no session".to_owned()))?;
    let said = (waiting.answer)(&SessionRecord::try_from(row)?);
    let row = answered_row(&tx.clock, waiting.shop, &waiting.key, &said);
    later.answers.push(row);
    Ok(Some(said))
}

fn facts<'c>(
    tx: &Tx,
    command: &'c Settle,
    found: &'c Match,
    changes: &'c Changes,
) -> impl Iterator<Item = provider_fact::Model> + 'c {
    let now = tx.clock.now().ms();
    changes.new_facts.iter().map(move |fact| {
        let (amount_minor, currency) = stored_amount(fact.said.amount);
        provider_fact::Model {
            id: fact.id.to_string(),
            shop_id: found.shop.to_string(),
            order_id: found.order.to_string(),
            provider_account_id: command.account.id.to_string(),
            object_id: fact.said.object.clone(),
            kind: fact.said.kind.to_string(),
            amount_minor,
            currency,
            intent_id: fact.said.intent.clone(),
            checkout_session_id: fact.said.session.map(|session| session.to_string()),
            refund_id: fact.said.refund.map(|refund| refund.to_string()),
            code: fact.said.code.clone(),
            source_kind: match fact.said.kind.is_decision() {
                true => "decision".to_owned(),
                false => command.source.kind().to_owned(),
            },
            source_id: command.source.id(),
            created_at: now,
        }
    })
}

/// Inserts new payments and updates changed ones; returns all as they are now.
async fn write_payments(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    books: &Books,
    changes: &Changes,
) -> Result<Vec<payment::Model>, StoreError> {
    let now = tx.clock.now().ms();
    let mut rows = books.payments.clone();
    for new in &changes.new_payments {
        let Some(state) = changes.after.payments.iter().find(|p| p.id == new.id) else {
            continue;
        };
        let row = payment::Model {
            id: new.id.to_string(),
            shop_id: found.shop.to_string(),
            order_id: found.order.to_string(),
            checkout_session_id: new.session.map(|session| session.to_string()),
            provider_account_id: command.account.id.to_string(),
            provider_payment_id: new.intent.clone(),
            provider_charge_id: charge_of(command, &new.intent),
            status: word_of(state).to_string(),
            amount_minor: new.requested.minor(),
            currency: new.requested.currency().code().to_owned(),
            captured_minor: state.captured_minor,
            refunded_minor: state.refunded_minor,
            refund_reserved_minor: reserved(changes, new.id, true),
            refunded_external_minor: reserved(changes, new.id, false),
            dispute_withdrawn_minor: withdrawn(state),
            dispute_reinstated_minor: reinstated(state),
            belongs: state.belongs,
            failure_code: state.failure_code.clone(),
            poll_count: 0,
            next_poll_at: payment_poll(changes, state, 0, tx.clock.now()),
            lease_until: None,
            lease_token: None,
            created_at: now,
            updated_at: now,
        };
        if books.waiting.contains(&row.provider_payment_id) {
            wake_events(tx, &row, now).await?;
        }
        later.new_payments.push(row.clone());
        rows.push(row);
    }
    for row in rows.iter_mut().take(books.payments.len()) {
        let id: PaymentId = parse("payment.id", &row.id)?;
        let state = changes.after.payments.iter().find(|p| p.id == id);
        if let Some(state) = state {
            update_payment(tx, later, command, changes, row, state)?;
        }
    }
    Ok(rows)
}

fn update_payment(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    changes: &Changes,
    row: &mut payment::Model,
    state: &PaymentState,
) -> Result<(), StoreError> {
    let now = tx.clock.now();
    let charge = charge_of(command, &row.provider_payment_id);
    let wanted = payment::Model {
        status: word_of(state).to_string(),
        captured_minor: state.captured_minor,
        refunded_minor: state.refunded_minor,
        belongs: state.belongs,
        failure_code: state.failure_code.clone(),
        provider_charge_id: charge.or_else(|| row.provider_charge_id.clone()),
        refund_reserved_minor: reserved(changes, state.id, true),
        refunded_external_minor: reserved(changes, state.id, false),
        dispute_withdrawn_minor: withdrawn(state),
        dispute_reinstated_minor: reinstated(state),
        ..row.clone()
    };
    let wanted = with_poll(wanted, command, changes, state, now)?;
    if wanted == *row {
        return Ok(());
    }
    let was = std::mem::replace(row, wanted);
    row.updated_at = now.ms();
    later.payment(&was, row.clone());
    Ok(())
}

/// What refunds take or may still take of a payment: ours, or those made at the provider.
fn reserved(changes: &Changes, payment: PaymentId, ours: bool) -> i64 {
    changes
        .after
        .refunds
        .iter()
        .filter(|refund| refund.payment == payment && refund.ours == ours)
        .fold(0, |sum: i64, refund| sum.saturating_add(refund.taken_minor))
}

fn withdrawn(state: &PaymentState) -> i64 {
    let disputes = state.disputes.iter();
    disputes.fold(0, |sum: i64, d| sum.saturating_add(d.withdrawn_minor))
}

fn reinstated(state: &PaymentState) -> i64 {
    let disputes = state.disputes.iter();
    disputes.fold(0, |sum: i64, d| sum.saturating_add(d.reinstated_minor))
}

/// When a payment is asked about: while money is reserved, a refund under way, or a dispute unsettled.
fn payment_poll(
    changes: &Changes,
    state: &PaymentState,
    polls: i64,
    now: Timestamp,
) -> Option<i64> {
    let mut refunds = changes.after.refunds.iter();
    let refund_open =
        refunds.any(|refund| refund.payment == state.id && refund.status == RefundStatus::Pending);
    let disputed = state.disputes.iter().any(DisputeState::is_unsettled);
    let open = state.rank == Some(FactKind::Authorized) || refund_open || disputed;
    let polls = u32::try_from(polls).unwrap_or(u32::MAX);
    open.then(|| now.plus_ms(payment_poll_gap_ms(polls)).ms())
}

/// Sets when the payment is asked about next; a poll's own answer ends its lease.
fn with_poll(
    mut row: payment::Model,
    command: &Settle,
    changes: &Changes,
    state: &PaymentState,
    now: Timestamp,
) -> Result<payment::Model, StoreError> {
    let next = payment_poll(changes, state, row.poll_count, now);
    if let Source::PollPayment(claimed) = &command.source
        && claimed.payment.id == state.id
    {
        if row.lease_token.as_ref() != Some(&claimed.token) {
            return Err(StoreError::LeaseLost);
        }
        row.lease_token = None;
        row.lease_until = None;
        row.next_poll_at = next;
    } else if next.is_none() || row.next_poll_at.is_none() {
        row.next_poll_at = next;
    }
    Ok(row)
}

/// The charge an intent's last try made, if this command names it.
fn charge_of(command: &Settle, intent: &str) -> Option<String> {
    command.observed.iter().find_map(|object| {
        let shown = match object {
            Observed::Intent(shown) => Some(shown),
            Observed::Session(session) => session.intent_object.as_ref(),
            Observed::Refund(_) | Observed::Dispute(_) | Observed::Lapsed(_) => None,
        };
        shown
            .filter(|shown| shown.provider_id == intent)?
            .charge
            .clone()
    })
}

/// Events that named this payment before anybody knew it are due again. Their verdicts stand in the statement itself, or
/// their index would not be found by it.
async fn wake_events(tx: &Tx, row: &payment::Model, now: i64) -> Result<(), StoreError> {
    provider_event::Entity::update_many()
        .col_expr(provider_event::Column::NextAt, Expr::value(now))
        .filter(provider_event::Column::ProviderAccountId.eq(&row.provider_account_id))
        .filter(provider_event::Column::IntentId.eq(&row.provider_payment_id))
        .filter(Expr::cust("verdict IN ('pending', 'foreign')"))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Updates the sessions whose state or knowledge changed; returns all as they are now.
fn write_sessions(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    books: &Books,
    changes: &Changes,
) -> Result<Vec<checkout_session::Model>, StoreError> {
    let now = tx.clock.now();
    let mut rows = books.sessions.clone();
    for row in &mut rows {
        let id: CheckoutSessionId = parse("checkout_session.id", &row.id)?;
        let old = row.clone();
        if let Some(status) = changes.after.sessions.get(&id) {
            row.status = status.to_string();
        }
        let about = Some(id) == found.session;
        if about {
            let terms = books.session(id);
            learn(
                row,
                command,
                terms.and_then(|terms| terms.object.as_deref()),
            );
        }
        if *row == old && !about {
            continue;
        }
        let status: SessionStatus = parse("checkout_session.status", &row.status)?;
        // Money may have come through another session with its marks: until ours is known to be over, it is asked
        // about, for it can still be paid.
        let status = match status {
            SessionStatus::Complete if !is_over(id, books, changes) => SessionStatus::Open,
            status => status,
        };
        let polls = u32::try_from(row.poll_count).unwrap_or(u32::MAX);
        let next = next_poll(
            status,
            Timestamp::from_ms(row.created_at),
            Timestamp::from_ms(row.expires_at),
            polls,
            now,
        );
        row.next_poll_at = next.map(Timestamp::ms);
        if let Source::Poll(claimed) = &command.source
            && claimed.session.id == id
        {
            if row.lease_token.as_ref() != Some(&claimed.token) {
                return Err(StoreError::LeaseLost);
            }
            row.lease_token = None;
            row.lease_until = None;
        }
        if *row != old {
            row.updated_at = now.ms();
            later.session(&old, row.clone());
        }
    }
    Ok(rows)
}

/// Whether the provider has said of a session itself that it cannot be paid any more.
fn is_over(id: CheckoutSessionId, books: &Books, changes: &Changes) -> bool {
    let named = books.session(id).and_then(|terms| terms.object.as_deref());
    let mut facts = books.facts.iter().chain(&changes.new_facts);
    facts.any(|fact| {
        let ends = matches!(
            fact.said.kind,
            FactKind::Completed | FactKind::SessionExpired | FactKind::Rejected
        );
        let own = named.is_none_or(|named| named == fact.said.object);
        ends && fact.said.session == Some(id) && own
    })
}

/// What the provider shows of a session; `named` is its id there. Another with our marks has a page of its own.
fn learn(row: &mut checkout_session::Model, command: &Settle, named: Option<&str>) {
    let shown: Option<&ObservedSession> = command.observed.iter().find_map(|object| match object {
        Observed::Session(session) => Some(session),
        _ => None,
    });
    let Some(shown) = shown.filter(|shown| named == Some(shown.provider_id.as_str())) else {
        return;
    };
    row.provider_session_id
        .get_or_insert_with(|| shown.provider_id.clone());
    // A rejected answer's URL is given to nobody, and a session that was rejected never gets one.
    let rejected = command
        .drafts
        .iter()
        .any(|draft| draft.kind == FactKind::Rejected);
    let failed = row.status == SessionStatus::Failed.as_str();
    if !rejected && !failed && shown.url.is_some() {
        row.url.clone_from(&shown.url);
    }
    if let Some(end) = shown.expires_at {
        row.expires_at = end.ms();
    }
}

async fn write_order(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    books: &Books,
    changes: &Changes,
    review: Option<String>,
    shown: &Rows<'_>,
) -> Result<(), StoreError> {
    let now = tx.clock.now().ms();
    let state = &changes.after;
    let first_sequence = books.order.event_seq.saturating_add(1);
    let written = i64::try_from(changes.events.len()).unwrap_or(0);
    let row = order::Model {
        status: state.status.to_string(),
        payment_status: state.payment_status.to_string(),
        authorized_minor: state.authorized.minor(),
        paid_minor: state.paid.minor(),
        refunded_minor: state.refunded.minor(),
        disputed_minor: state.disputed.minor(),
        review,
        event_seq: books.order.event_seq.saturating_add(written),
        paid_at: books.order.paid_at.or(state.counts_as_paid.then_some(now)),
        cancel_requested_at: books
            .order
            .cancel_requested_at
            .filter(|_| !changes.over.cancel),
        close_next_at: books.order.close_next_at.filter(|_| !changes.over.expiry),
        ..books.order.clone()
    };
    if row == books.order {
        return Ok(());
    }
    let mut events = Vec::with_capacity(changes.events.len());
    for ((kind, object), sequence) in changes.events.iter().zip(first_sequence..) {
        let data = match object {
            Shown::Order => order_data(&row, &books.lines, books.mode)?,
            Shown::Session(id) => session_data(shown.sessions, *id)?,
            Shown::Payment(id) => payment_data(shown.payments, *id)?,
            Shown::Refund(id) => refund_data(tx, shown.refunds, *id).await?,
        };
        events.push(NewEvent {
            kind: *kind,
            sequence,
            data,
        });
    }
    let cause = command.source.id();
    let events = event_rows(
        &tx.clock,
        &row.shop_id,
        &row.id,
        &cause,
        &command.trace,
        events,
    );
    later.events.extend(events);
    let row = order::Model {
        updated_at: now,
        ..row
    };
    later.order(&books.order, row);
    Ok(())
}

fn session_data(
    sessions: &[checkout_session::Model],
    id: CheckoutSessionId,
) -> Result<String, StoreError> {
    let id = id.to_string();
    let row = sessions.iter().find(|row| row.id == id).cloned();
    let row = row.ok_or_else(|| StoreError::Corrupt("an event about no session".to_owned()))?;
    let record = SessionRecord::try_from(row)?;
    Ok(to_json(&record.public(super::super::payments::PROVIDER)))
}

async fn refund_data(tx: &Tx, rows: &[refund::Model], id: RefundId) -> Result<String, StoreError> {
    let id = id.to_string();
    let row = rows.iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| StoreError::Corrupt("an event about no refund".to_owned()))?;
    let lines = super::super::refunds::lines_of(tx.conn(), &[id]).await?;
    Ok(to_json(&super::super::refunds::public(row, &lines)?))
}

fn payment_data(rows: &[payment::Model], id: PaymentId) -> Result<String, StoreError> {
    let id = id.to_string();
    let row = rows.iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| StoreError::Corrupt("an event about no payment".to_owned()))?;
    Ok(to_json(&payments::public(row)?))
}
