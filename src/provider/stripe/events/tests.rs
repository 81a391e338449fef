//! Goal: events Till acts on become statements, all others keep their ids, and nothing else passes for an event.

use super::super::wire::tests::{intent_json, session_json, with};
use super::*;
use crate::domain::observed::{ObservedIntentStatus, ObservedSessionPayment};
use crate::domain::time::Timestamp;
use serde_json::json;

/// An event as Stripe's published fixtures have it.
fn event(kind: &str, object: Value) -> Value {
    json!({
        "id": "evt_1Pgc76B7WZ01zgkWwyRHS12y", "object": "event",
        "api_version": "2026-08-26.dahlia", "created": 1234567890,
        "data": {"object": object, "previous_attributes": {}}, "livemode": false,
        "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, "type": kind
    })
}

fn parsed(event: &Value) -> Result<Notice, MalformedEvent> {
    parse(event.to_string().as_bytes())
}

#[test]
fn session_events_are_observed() {
    for (kind, failed) in [
        ("checkout.session.completed", false),
        ("checkout.session.async_payment_succeeded", false),
        ("checkout.session.async_payment_failed", true),
        ("checkout.session.expired", false),
    ] {
        let changes =
            json!({"payment_intent": "pi_1", "payment_status": "paid", "status": "complete"});
        let session = with(session_json(), changes);
        let notice = parsed(&event(kind, session.clone())).expect(kind);
        assert_eq!(notice.event_id, "evt_1Pgc76B7WZ01zgkWwyRHS12y");
        assert_eq!(notice.event_type, kind);
        assert_eq!(notice.api_version.as_deref(), Some("2026-08-26.dahlia"));
        assert_eq!(notice.created, Some(Timestamp::from_ms(1_234_567_890_000)));
        assert_eq!((notice.live, notice.external_account), (false, None));
        assert_eq!(notice.object_id.as_deref(), session["id"].as_str());
        assert_eq!(notice.intent_id.as_deref(), Some("pi_1"));
        let Some(Observed::Session(seen)) = notice.observed else {
            panic!("{kind} is about a session");
        };
        assert_eq!(seen.delayed_payment_failed, failed, "{kind}");
        assert_eq!(seen.payment, ObservedSessionPayment::Paid);
    }
}

#[test]
fn intent_events_are_observed() {
    for (kind, status, seen_as) in [
        (
            "payment_intent.succeeded",
            "succeeded",
            ObservedIntentStatus::Captured,
        ),
        (
            "payment_intent.payment_failed",
            "requires_payment_method",
            ObservedIntentStatus::NeedsPaymentMethod,
        ),
        (
            "payment_intent.processing",
            "processing",
            ObservedIntentStatus::Processing,
        ),
        (
            "payment_intent.amount_capturable_updated",
            "requires_capture",
            ObservedIntentStatus::Authorized,
        ),
        (
            "payment_intent.canceled",
            "canceled",
            ObservedIntentStatus::Canceled,
        ),
    ] {
        let error = json!({"type": "card_error", "code": "card_declined", "charge": "ch_1"});
        let changes =
            json!({"status": status, "latest_charge": "ch_1", "last_payment_error": error});
        let notice = parsed(&event(kind, with(intent_json(), changes))).expect(kind);
        assert_eq!(notice.intent_id, notice.object_id);
        assert_eq!(notice.charge_id.as_deref(), Some("ch_1"));
        let Some(Observed::Intent(seen)) = notice.observed else {
            panic!("{kind} is about an intent");
        };
        assert_eq!(seen.status, seen_as, "{kind}");
        let failure = seen.failure.expect("a failure");
        assert_eq!(
            (failure.code.as_str(), failure.charge.as_deref()),
            ("card_declined", Some("ch_1"))
        );
    }
}

#[test]
fn other_events_keep_their_ids() {
    let charge = json!({"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount": 100});
    let refund =
        json!({"id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": "pi_1"});
    let dispute =
        json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": null});
    let whole = json!({"id": "re_1", "object": "refund", "charge": {"id": "ch_1"}, "payment_intent": {"id": "pi_1"}});
    let plan = json!({"id": "price_1", "object": "plan", "amount": 2000, "charge": 7});
    let intent = with(
        intent_json(),
        json!({"id": "pi_1", "latest_charge": "ch_1"}),
    );
    for (kind, object, ids) in [
        (
            "charge.refunded",
            charge,
            (Some("ch_1"), Some("pi_1"), Some("ch_1")),
        ),
        (
            "refund.created",
            refund,
            (Some("re_1"), Some("pi_1"), Some("ch_1")),
        ),
        (
            "refund.updated",
            whole,
            (Some("re_1"), Some("pi_1"), Some("ch_1")),
        ),
        (
            "charge.dispute.created",
            dispute,
            (Some("dp_1"), None, Some("ch_1")),
        ),
        (
            "payment_intent.created",
            intent,
            (Some("pi_1"), Some("pi_1"), Some("ch_1")),
        ),
        ("plan.created", plan, (Some("price_1"), None, None)),
        (
            "balance.available",
            json!({"object": "balance"}),
            (None, None, None),
        ),
    ] {
        let notice = parsed(&event(kind, object)).expect(kind);
        let seen = (
            notice.object_id.as_deref(),
            notice.intent_id.as_deref(),
            notice.charge_id.as_deref(),
        );
        assert_eq!(seen, ids, "{kind}");
        assert_eq!(notice.observed, None, "{kind}");
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let good = event("checkout.session.completed", session_json());
    assert!(parsed(&good).is_ok());
    for changes in [
        json!({"object": "v2.core.event"}),
        json!({"object": "list"}),
        json!({"id": ""}),
        json!({"id": "evt 1"}),
        json!({"id": null}),
        json!({"id": 5}),
        json!({"type": ""}),
        json!({"type": "x y"}),
        json!({"type": "x".repeat(201)}),
        json!({"livemode": null}),
        json!({"account": "acct/1"}),
        json!({"data": null}),
        json!({"data": {}}),
        json!({"data": {"object": null}}),
        json!({"data": {"object": "cs_1"}}),
    ] {
        assert!(
            parsed(&with(good.clone(), changes.clone())).is_err(),
            "{changes}"
        );
    }
    for body in [
        &b""[..],
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"<html>",
        b"\"evt_1\"",
    ] {
        assert!(parse(body).is_err());
    }
}

#[test]
fn the_account_and_the_mode_are_kept() {
    let good = event("checkout.session.completed", session_json());
    let changes =
        json!({"account": "acct_1", "livemode": true, "api_version": null, "created": i64::MAX});
    let notice = parsed(&with(good, changes)).expect("an event");
    assert_eq!(notice.external_account.as_deref(), Some("acct_1"));
    assert!(notice.live);
    assert_eq!((notice.api_version, notice.created), (None, None));
}

#[test]
fn an_absurd_object_of_ours_is_called_unreadable_and_somebody_elses_is_only_kept() {
    let kind = "checkout.session.completed";
    for changes in [
        json!({"amount_total": null}),
        json!({"amount_total": 1.5}),
        json!({"currency": "xxx"}),
        json!({"object": "charge"}),
    ] {
        let ours = with(session_json(), changes.clone());
        let notice = parsed(&event(kind, ours.clone())).expect("kept");
        assert_eq!(notice.observed, None, "{changes}");
        assert!(notice.unreadable.is_some(), "{changes}");
        let theirs = with(ours, json!({"metadata": {"order": "7"}}));
        let notice = parsed(&event(kind, theirs)).expect("kept");
        assert_eq!(notice.observed, None, "{changes}");
        assert!(notice.object_id.is_some());
    }
    let setup = with(
        session_json(),
        json!({"mode": "setup", "amount_total": null}),
    );
    assert_eq!(parsed(&event(kind, setup)).expect("kept").observed, None);
}

#[test]
fn a_name_that_comes_twice_is_not_believed() {
    let body = event("checkout.session.completed", session_json()).to_string();
    for (name, twice) in [
        ("\"type\":", "\"type\":\"charge.refunded\",\"type\":"),
        ("\"amount_total\":", "\"amount_total\":1,\"amount_total\":"),
    ] {
        let believed = match parse(body.replacen(name, twice, 1).as_bytes()) {
            Ok(notice) => notice.observed.is_some(),
            Err(_) => false,
        };
        assert!(!believed, "{name}");
    }
}

#[test]
fn what_the_readme_has_endpoints_enabled_for_is_acted_on() {
    let readme = include_str!("../../../../README.md");
    let (_, list) = readme
        .split_once("/webhooks/stripe` with the events ")
        .expect("the list");
    let (list, _) = list.split_once("and start:").expect("its end");
    let named = list.split('`').skip(1).step_by(2);
    let mut named: Vec<&str> = named.collect();
    assert_eq!(named.pop(), Some("charge.dispute.*"));
    assert!(named.len() >= 13, "{named:?}");
    for kind in named {
        assert!(Handled::of(kind).is_some(), "{kind}");
    }
}
