//! One order: its amounts, and everything that must follow from its facts.

use entity::payment;

use super::super::StoreError;
use super::super::rows::parse;
use super::super::settle::{fact_of, terms_of};
use super::rows::Bundle;
use crate::domain::checkout::SessionStatus;
use crate::domain::event::EventType;
use crate::domain::payment::word_of;
use crate::domain::refund::RefundStatus;
use crate::domain::settlement::{Fact, OrderState, fold};
use crate::domain::verify::{Check, Report};

/// Checks everything about one order but its ledger.
pub(super) fn check(bundle: &Bundle, cutoff: i64, report: &mut Report) {
    report.looked_at("order", 1);
    report.looked_at("line_item", bundle.lines.len());
    report.looked_at("checkout_session", bundle.sessions.len());
    report.looked_at("payment", bundle.payments.len());
    report.looked_at("provider_fact", bundle.facts.len());
    report.looked_at("review", bundle.reviews.len());
    report.looked_at("event", bundle.events.len());
    amounts(bundle, report);
    events(bundle, report);
    money_limits(bundle, report);
    live_sessions(bundle, report);
    leases(bundle, cutoff, report);
    match state_of(bundle) {
        Ok(state) => {
            labels(bundle, &state, report);
            sessions(bundle, &state, report);
            payments(bundle, &state, report);
            refunds(bundle, &state, report);
            reviews(bundle, &state, report);
            cancelled(bundle, &state, report);
        }
        Err(error) => report.found(
            Check::Unreadable,
            "order",
            &bundle.order.id,
            error.to_string(),
        ),
    }
}

/// What the order's facts say, folded again.
pub(super) fn state_of(bundle: &Bundle) -> Result<OrderState, StoreError> {
    let terms = terms_of(
        &bundle.order,
        &bundle.sessions,
        &bundle.payments,
        &bundle.refunds,
        bundle.flags.clone(),
    )?;
    let facts = bundle.facts.iter().cloned().map(fact_of);
    let facts: Vec<Fact> = facts.collect::<Result<_, _>>()?;
    Ok(fold(&terms, &facts))
}

fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

fn amounts(bundle: &Bundle, report: &mut Report) {
    let (order, lines) = (&bundle.order, &bundle.lines);
    let mut wrong = |what: String| report.found(Check::OrderTotal, "order", &order.id, what);
    let added_tax = |tax: i64| if order.tax_included { 0 } else { tax };
    let parts = order
        .subtotal_minor
        .saturating_sub(order.discount_minor)
        .saturating_add(order.shipping_minor)
        .saturating_add(added_tax(order.tax_minor));
    if order.total_minor != parts {
        let total = order.total_minor;
        wrong(format!("the total is {total}, its parts sum to {parts}"));
    }
    for (name, said, lines) in [
        (
            "subtotal",
            order.subtotal_minor,
            sum(lines.iter().map(|line| line.subtotal_minor)),
        ),
        (
            "discount",
            order.discount_minor,
            sum(lines.iter().map(|line| line.discount_minor)),
        ),
    ] {
        if said != lines {
            wrong(format!("the {name} is {said}, its lines sum to {lines}"));
        }
    }
    // What is taxed beside the lines is shipping.
    let tax = sum(lines.iter().map(|line| line.tax_minor));
    if tax > order.tax_minor {
        let said = order.tax_minor;
        wrong(format!("the tax is {said}, its lines sum to {tax}"));
    }
    for line in lines {
        let price = line.quantity.saturating_mul(line.unit_price_minor);
        let total = line
            .subtotal_minor
            .saturating_sub(line.discount_minor)
            .saturating_add(added_tax(line.tax_minor));
        if line.subtotal_minor != price || line.total_minor != total {
            let what = format!(
                "subtotal {} and total {}, but its parts make {price} and {total}",
                line.subtotal_minor, line.total_minor
            );
            report.found(Check::OrderTotal, "line_item", &line.id, what);
        }
    }
}

fn labels(bundle: &Bundle, state: &OrderState, report: &mut Report) {
    let order = &bundle.order;
    let oldest = bundle
        .reviews
        .iter()
        .filter(|review| review.status == "open")
        .map(|review| (review.opened_at, review.reason.as_str()))
        .min();
    let shown = |minor: i64| minor.to_string();
    let none = || "none".to_owned();
    for (name, said, wanted) in [
        ("status", order.status.clone(), state.status.to_string()),
        (
            "payment_status",
            order.payment_status.clone(),
            state.payment_status.to_string(),
        ),
        (
            "authorized_minor",
            shown(order.authorized_minor),
            shown(state.authorized.minor()),
        ),
        (
            "paid_minor",
            shown(order.paid_minor),
            shown(state.paid.minor()),
        ),
        (
            "refunded_minor",
            shown(order.refunded_minor),
            shown(state.refunded.minor()),
        ),
        (
            "disputed_minor",
            shown(order.disputed_minor),
            shown(state.disputed.minor()),
        ),
        (
            "review",
            order.review.clone().unwrap_or_else(none),
            oldest.map_or_else(none, |(_, reason)| reason.to_owned()),
        ),
    ] {
        if said != wanted {
            let what = format!("{name} is {said}, the facts say {wanted}");
            report.found(Check::OrderState, "order", &order.id, what);
        }
    }
    let captured = sum(state.payments.iter().map(|payment| payment.captured_minor));
    let ever = order.total_minor == 0 || captured >= order.total_minor;
    let what = match order.paid_at {
        None if state.counts_as_paid => "paid_at is missing, the facts say it is paid",
        Some(_) if !ever => "paid_at is set, but no facts ever paid it",
        _ => return,
    };
    report.found(Check::OrderState, "order", &order.id, what);
}

fn sessions(bundle: &Bundle, state: &OrderState, report: &mut Report) {
    for row in &bundle.sessions {
        let status = parse("checkout_session.id", &row.id)
            .ok()
            .and_then(|id| state.sessions.get(&id));
        let wanted = status.map_or("unknown", |status| status.as_str());
        if row.status != wanted {
            let what = format!("status is {}, the facts say {wanted}", row.status);
            report.found(Check::SessionState, "checkout_session", &row.id, what);
        }
    }
}

fn payments(bundle: &Bundle, folded: &OrderState, report: &mut Report) {
    for (row, state) in bundle.payments.iter().zip(&folded.payments) {
        let shown = |minor: i64| minor.to_string();
        let code = |code: &Option<String>| code.clone().unwrap_or_else(|| "none".to_owned());
        for (name, said, wanted) in [
            ("status", row.status.clone(), word_of(state).to_string()),
            (
                "captured_minor",
                shown(row.captured_minor),
                shown(state.captured_minor),
            ),
            (
                "refunded_minor",
                shown(row.refunded_minor),
                shown(state.refunded_minor),
            ),
            (
                "refund_reserved_minor",
                shown(row.refund_reserved_minor),
                shown(taken(folded, row, true)),
            ),
            (
                "refunded_external_minor",
                shown(row.refunded_external_minor),
                shown(taken(folded, row, false)),
            ),
            (
                "dispute_withdrawn_minor",
                shown(row.dispute_withdrawn_minor),
                shown(sum(state
                    .disputes
                    .iter()
                    .map(|dispute| dispute.withdrawn_minor))),
            ),
            (
                "dispute_reinstated_minor",
                shown(row.dispute_reinstated_minor),
                shown(sum(state
                    .disputes
                    .iter()
                    .map(|dispute| dispute.reinstated_minor))),
            ),
            (
                "belongs",
                row.belongs.to_string(),
                state.belongs.to_string(),
            ),
            (
                "failure_code",
                code(&row.failure_code),
                code(&state.failure_code),
            ),
        ] {
            if said != wanted {
                let what = format!("{name} is {said}, the facts say {wanted}");
                report.found(Check::PaymentState, "payment", &row.id, what);
            }
        }
    }
}

/// What refunds take or may still take of a payment: ours, or those made at the provider.
fn taken(folded: &OrderState, row: &payment::Model, ours: bool) -> i64 {
    let refunds = folded.refunds.iter();
    let refunds = refunds.filter(|refund| refund.ours == ours);
    let refunds = refunds.filter(|refund| refund.payment.to_string() == row.id);
    sum(refunds.map(|refund| refund.taken_minor))
}

fn refunds(bundle: &Bundle, state: &OrderState, report: &mut Report) {
    for (row, state) in bundle.refunds.iter().zip(&state.refunds) {
        let wanted = state.status.as_str();
        if row.status != wanted {
            let what = format!("status is {}, the facts say {wanted}", row.status);
            report.found(Check::PaymentState, "refund", &row.id, what);
        }
    }
    refunded_pieces(bundle, report);
}

/// Of each line as much is refunded as the refunds that did not fail hold of it.
fn refunded_pieces(bundle: &Bundle, report: &mut Report) {
    let failed = RefundStatus::Failed.as_str();
    let held = |id: &String| {
        let mut rows = bundle.refunds.iter();
        rows.any(|row| row.id == *id && row.status != failed)
    };
    for line in &bundle.lines {
        let of_it = bundle.refund_lines.iter();
        let of_it = of_it.filter(|part| part.line_item_id == line.id && held(&part.refund_id));
        let wanted = sum(of_it.map(|part| part.quantity)).min(line.quantity);
        if line.refunded_quantity != wanted {
            let what = format!(
                "refunded_quantity is {}, its refunds hold {wanted}",
                line.refunded_quantity
            );
            report.found(Check::PaymentState, "line_item", &line.id, what);
        }
    }
}

fn reviews(bundle: &Bundle, state: &OrderState, report: &mut Report) {
    let open: Vec<_> = bundle
        .reviews
        .iter()
        .filter(|review| review.status == "open")
        .collect();
    for key in &state.reviews {
        let asked = bundle.reviews.iter();
        let mut asked = asked.filter(|row| row.status == "open" || row.acknowledged);
        let there =
            asked.any(|row| row.reason == key.reason.as_str() && row.subject_id == key.subject);
        if !there {
            let what = format!("no open review {} about {}", key.reason, key.subject);
            report.found(Check::Reviews, "order", &bundle.order.id, what);
        }
    }
    let acknowledged = bundle.reviews.iter().filter(|row| row.acknowledged);
    for row in open.into_iter().chain(acknowledged) {
        let wanted = state
            .reviews
            .iter()
            .any(|key| row.reason == key.reason.as_str() && row.subject_id == key.subject);
        if !wanted {
            let what = format!(
                "it is open or only acknowledged, and nothing asks {} any more",
                row.reason
            );
            report.found(Check::Reviews, "review", &row.id, what);
        }
    }
}

/// What we reserved to give back is at most what was captured; together with what others took it may be more
/// only because they did.
fn money_limits(bundle: &Bundle, report: &mut Report) {
    for row in &bundle.payments {
        let disputed = row
            .dispute_withdrawn_minor
            .saturating_sub(row.dispute_reinstated_minor);
        let outside = row.refunded_external_minor.saturating_add(disputed);
        let reserved = row.refund_reserved_minor;
        let too_much = reserved > row.captured_minor
            || (outside <= 0 && reserved.saturating_add(outside) > row.captured_minor);
        if too_much {
            let what = format!(
                "{reserved} reserved for refunds and {outside} taken outside, of {} captured",
                row.captured_minor
            );
            report.found(Check::RefundLimit, "payment", &row.id, what);
        }
    }
}

fn cancelled(bundle: &Bundle, state: &OrderState, report: &mut Report) {
    let order = &bundle.order;
    if !matches!(order.status.as_str(), "cancelled" | "expired") {
        return;
    }
    let net = sum(state.payments.iter().map(|payment| payment.kept_minor()));
    let going_back = sum(state
        .payments
        .iter()
        .map(|payment| payment.refund_pending_minor));
    let asked = bundle.reviews.iter().any(|review| review.status == "open");
    if net > going_back && !asked {
        let what = format!(
            "it is {} and holds {net} of which {going_back} is being given back, and no review asks about it",
            order.status
        );
        report.found(Check::CancelledMoney, "order", &order.id, what);
    }
}

fn live_sessions(bundle: &Bundle, report: &mut Report) {
    let live = bundle.sessions.iter().filter(|row| {
        matches!(
            row.status.parse(),
            Ok(SessionStatus::Creating | SessionStatus::Open | SessionStatus::Processing)
        )
    });
    let live: Vec<&str> = live.map(|row| row.id.as_str()).collect();
    if live.len() > 1 {
        let what = format!("it has {} live sessions: {}", live.len(), live.join(", "));
        report.found(Check::LiveSessions, "order", &bundle.order.id, what);
    }
}

fn leases(bundle: &Bundle, cutoff: i64, report: &mut Report) {
    // What is not due any more may have its last lease: somebody else did the work meanwhile.
    let sessions = bundle.sessions.iter().map(|row| {
        let lease = (&row.lease_token, row.lease_until);
        ("checkout_session", &row.id, row.next_poll_at, lease)
    });
    let payments = bundle.payments.iter().map(|row| {
        let lease = (&row.lease_token, row.lease_until);
        ("payment", &row.id, row.next_poll_at, lease)
    });
    for (table, id, due, (token, until)) in sessions.chain(payments) {
        if due.is_some() && token.is_some() && until.is_none_or(|until| until < cutoff) {
            let what = "its lease ended long ago and nobody took the work over";
            report.found(Check::LeaseExpired, table, id, what);
        }
    }
}

fn events(bundle: &Bundle, report: &mut Report) {
    let order = &bundle.order;
    for (event, wanted) in bundle.events.iter().zip(1_i64..) {
        if event.sequence != wanted {
            let what = format!("its sequence is {}, {wanted} comes next", event.sequence);
            report.found(Check::EventSequence, "event", &event.id, what);
            break;
        }
    }
    let last = bundle.events.last().map_or(0, |event| event.sequence);
    if order.event_seq != last {
        let what = format!("event_seq is {}, its last event is {last}", order.event_seq);
        report.found(Check::EventSequence, "order", &order.id, what);
    }
    let paid = EventType::OrderPaid.as_str();
    let told = bundle
        .events
        .iter()
        .filter(|event| event.kind == paid)
        .count();
    let wanted = usize::from(order.paid_at.is_some());
    if told != wanted {
        let what = format!("{told} order.paid events, {wanted} by paid_at");
        report.found(Check::PaidEvent, "order", &order.id, what);
    }
}
