//! What follows from a state at the provider: sessions that must not be paid any more, reservations nobody
//! wants, and money that is no order's. Each is an intent for the recovery loop, written with its cause.

use super::super::calls::{self, NewCall};
use super::super::refunds::{NewRefundRow, insert as insert_refund};
use super::super::rows::parse;
use super::super::{StoreError, Tx};
use super::apply::Changes;
use super::later::Later;
use super::load::Books;
use super::write::Rows;
use super::{Match, Settle};
use crate::domain::access::Trace;
use crate::domain::call::{CallKind, CallRequest};
use crate::domain::checkout::SessionStatus;
use crate::domain::ids::{CallId, CheckoutSessionId, RefundId};
use crate::domain::money::Money;
use crate::domain::refund::RefundOrigin;
use crate::domain::settlement::{FactKind, PaymentState, Reason};

/// Writes the calls that follow.
pub(super) async fn all(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    books: &Books,
    changes: &Changes,
    rows: &Rows<'_>,
) -> Result<(), StoreError> {
    let state = &changes.after;
    let has_its_money = state.paid.minor() > 0 && state.paid.minor() >= books.order.total_minor;
    let closed = state.status.is_closed();
    let cancelling = books.order.cancel_requested_at.is_some() && !changes.over.cancel;
    let expiring = books.order.close_next_at.is_some() && !changes.over.expiry;
    let closing = cancelling || expiring;
    let unwanted = has_its_money || closed || closing;
    expire_sessions(tx, command, found, changes, rows, unwanted).await?;
    for payment in &state.payments {
        if unwanted && payment.valid && payment.rank == Some(FactKind::Authorized) {
            void(tx, command, found, rows, payment).await?;
        }
        if command.auto_refund {
            give_back(tx, later, command, found, changes, rows, payment).await?;
        }
    }
    Ok(())
}

/// Sessions that must not be paid any more: all of an order that has its money or wants none, those that were made
/// otherwise than we asked, and those that somebody wanted ended before they were known.
async fn expire_sessions(
    tx: &Tx,
    command: &Settle,
    found: &Match,
    changes: &Changes,
    rows: &Rows<'_>,
    unwanted: bool,
) -> Result<(), StoreError> {
    for row in rows.sessions {
        let id: CheckoutSessionId = parse("checkout_session.id", &row.id)?;
        let open = changes.after.sessions.get(&id) == Some(&SessionStatus::Open);
        let rejected = command
            .drafts
            .iter()
            .any(|draft| draft.kind == FactKind::Rejected && draft.session == Some(id));
        let Some(provider_id) = &row.provider_session_id else {
            continue;
        };
        let wanted_ended = row.end_requested_at.is_some();
        if !(open && (unwanted || wanted_ended) || rejected) {
            continue;
        }
        if calls::exists(tx, CallKind::SessionExpire, &row.id).await? {
            continue;
        }
        let request = command.follow_ups.expire(provider_id);
        insert(
            tx,
            command,
            found,
            &row.provider_account_id,
            CallKind::SessionExpire,
            &row.id,
            request,
        )
        .await?;
    }
    Ok(())
}

async fn void(
    tx: &Tx,
    command: &Settle,
    found: &Match,
    rows: &Rows<'_>,
    payment: &PaymentState,
) -> Result<(), StoreError> {
    let id = payment.id.to_string();
    let Some(row) = rows.payments.iter().find(|row| row.id == id) else {
        return Ok(());
    };
    // Once: a provider that refuses it would be asked for ever.
    let tried = calls::exists(tx, CallKind::Void, &id).await?;
    if tried || calls::ending_of(tx, &id).await?.is_some() {
        return Ok(());
    }
    let request = command.follow_ups.void(&row.provider_payment_id);
    let account = &row.provider_account_id;
    insert(tx, command, found, account, CallKind::Void, &id, request).await
}

/// Gives back money that came too late or twice, once: if that fails, people decide.
async fn give_back(
    tx: &Tx,
    later: &mut Later,
    command: &Settle,
    found: &Match,
    changes: &Changes,
    rows: &Rows<'_>,
    payment: &PaymentState,
) -> Result<(), StoreError> {
    let id = payment.id.to_string();
    let asked = changes.after.reviews.iter().any(|key| {
        key.subject == id
            && matches!(
                key.reason,
                Reason::PaidAfterCancel | Reason::DuplicatePayment
            )
    });
    let tried = changes
        .after
        .refunds
        .iter()
        .any(|refund| refund.payment == payment.id && refund.ours);
    let amount = payment
        .kept_minor()
        .saturating_sub(payment.refund_pending_minor);
    let Some(row) = rows.payments.iter().find(|row| row.id == id) else {
        return Ok(());
    };
    if !asked || tried || amount <= 0 {
        return Ok(());
    }
    let amount = Money::new(amount, payment.requested.currency());
    let refund: RefundId = tx.clock.id();
    let intent = &row.provider_payment_id;
    let request = command
        .follow_ups
        .refund(refund, found.order, intent, amount);
    let Some(request) = request else {
        return Ok(());
    };
    let new = NewRefundRow {
        id: refund,
        shop: found.shop,
        order: found.order,
        payment: payment.id,
        account: parse("payment.provider_account_id", &row.provider_account_id)?,
        provider_refund_id: None,
        amount,
        reason: None,
        origin: RefundOrigin::Policy,
        payment_belonged: false,
        repeats: None,
        trace: Trace::system(),
    };
    // The refund refers to the payment, and reserves from what it is now.
    later.flush(tx).await?;
    insert_refund(tx, &new).await?;
    super::super::refunds::reserve(tx, &id, amount.minor()).await?;
    let subject = refund.to_string();
    let account = &row.provider_account_id;
    insert(
        tx,
        command,
        found,
        account,
        CallKind::Refund,
        &subject,
        request,
    )
    .await
}

/// Inserts a call with the account its object is of: a process of the other mode may settle, but only the account's own
/// key is known to the provider there.
async fn insert(
    tx: &Tx,
    command: &Settle,
    found: &Match,
    account: &str,
    kind: CallKind,
    subject: &str,
    request: CallRequest,
) -> Result<(), StoreError> {
    let call = NewCall {
        id: tx.clock.id::<CallId>(),
        order: found.order,
        account: parse("provider_account_id", account)?,
        kind,
        subject_id: subject.to_owned(),
        request,
        cause: command.source.id(),
        trace: command.trace.clone(),
    };
    tx.shop(found.shop).insert_call(&call).await
}
