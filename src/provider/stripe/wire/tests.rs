//! Goal: Stripe's own object shapes are read, and nothing that only looks like them is.

use super::*;
use crate::domain::currency::Currency;
use serde_json::{Value, json};

/// A session as Stripe's published fixtures have it, with what a real payment session always has.
pub fn session_json() -> Value {
    json!({
        "id": "cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY",
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": false}, "after_expiration": null,
        "allow_promotion_codes": null, "amount_subtotal": 5997, "amount_total": 5997,
        "automatic_tax": {"enabled": false, "liability": null, "provider": null, "status": null},
        "cancel_url": "https://example.com/cancel", "client_reference_id": "ord_1",
        "created": 1234567890, "currency": "eur", "custom_fields": [],
        "customer_details": {"email": "example@example.com", "name": null},
        "customer_email": null, "expires_at": 1234567890, "livemode": false,
        "metadata": {"till_deployment": "d1", "till_order": "ord_1", "till_session": "cs_1", "other": "x"},
        "mode": "payment", "payment_intent": null, "payment_method_options": {},
        "payment_method_types": ["card"], "payment_status": "unpaid",
        "shipping_options": [], "status": "open", "success_url": "https://example.com/success",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": null,
        "url": "https://checkout.stripe.com/pay/c/cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY"
    })
}

/// An intent as Stripe's published fixtures have it.
pub fn intent_json() -> Value {
    json!({
        "id": "pi_1PgafyB7WZ01zgkWSjxsAJo3", "object": "payment_intent",
        "amount": 1099, "amount_capturable": 0, "amount_details": {"tip": {}},
        "amount_received": 0, "application": null, "automatic_payment_methods": {"enabled": true},
        "canceled_at": null, "capture_method": "automatic",
        "client_secret": "pi_1PgafyB7WZ01zgkWSjxsAJo3_secret_Dm43xiq1k0ywrRRjDoi8y1gkM",
        "created": 1234567890, "currency": "usd", "customer": null,
        "last_payment_error": null, "latest_charge": null, "livemode": false,
        "metadata": {}, "next_action": null, "payment_method": null,
        "payment_method_types": ["card"], "status": "requires_payment_method"
    })
}

/// A fixture with some of its fields replaced.
pub fn with(mut object: Value, changes: Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    object
}

fn session(changes: Value) -> Result<ObservedSession, Malformed> {
    let body = with(session_json(), changes).to_string();
    read::<Session>(body.as_bytes()).and_then(Session::observe)
}

fn intent(changes: Value) -> Result<ObservedIntent, Malformed> {
    let body = with(intent_json(), changes).to_string();
    read::<Intent>(body.as_bytes()).and_then(Intent::observe)
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("EUR").expect("EUR"))
}

#[test]
fn a_session_is_read() {
    let seen = session(json!({})).expect("a session");
    assert_eq!(seen.amount, eur(5_997));
    assert_eq!(seen.status, ObservedSessionStatus::Open);
    assert_eq!(seen.payment, ObservedSessionPayment::Unpaid);
    assert_eq!(seen.expires_at, Some(Timestamp::from_ms(1_234_567_890_000)));
    assert_eq!(
        (seen.intent_id(), seen.live, seen.delayed_payment_failed),
        (None, false, false)
    );
    assert_eq!(seen.marks.deployment.as_deref(), Some("d1"));
    assert_eq!(seen.marks.session.as_deref(), Some("cs_1"));
    assert!(
        seen.url
            .is_some_and(|url| url.starts_with("https://checkout.stripe.com/"))
    );
}

#[test]
fn an_intent_comes_as_its_id_or_as_itself() {
    let seen = session(json!({"payment_intent": "pi_1"})).expect("a session");
    assert_eq!(seen.intent_id(), Some("pi_1"));
    assert_eq!(seen.intent_object, None);
    let seen = session(json!({"payment_intent": intent_json()})).expect("a session");
    assert_eq!(seen.intent_id(), Some("pi_1PgafyB7WZ01zgkWSjxsAJo3"));
    assert_eq!(seen.intent_object, intent(json!({})).ok());
    let broken = with(intent_json(), json!({"amount": 1.5}));
    assert!(session(json!({"payment_intent": broken})).is_err());
}

#[test]
fn session_words_are_read_and_unknown_ones_are_not() {
    for (word, status) in [
        ("open", ObservedSessionStatus::Open),
        ("complete", ObservedSessionStatus::Complete),
        ("expired", ObservedSessionStatus::Expired),
    ] {
        let seen = session(json!({"status": word, "url": null})).expect(word);
        assert_eq!((seen.status, seen.url), (status, None));
    }
    for (word, payment) in [
        ("paid", ObservedSessionPayment::Paid),
        ("unpaid", ObservedSessionPayment::Unpaid),
        ("no_payment_required", ObservedSessionPayment::NotRequired),
    ] {
        let seen = session(json!({"payment_status": word})).expect(word);
        assert_eq!(seen.payment, payment);
    }
}

#[test]
fn absurd_sessions_are_malformed() {
    for changes in [
        json!({"amount_total": null}),
        json!({"amount_total": -1}),
        json!({"amount_total": 59.97}),
        json!({"amount_total": "5997"}),
        json!({"amount_total": 1e30}),
        json!({"amount_total": 9_223_372_036_854_775_808_u64}),
        json!({"currency": null}),
        json!({"currency": "EUR"}),
        json!({"currency": "btc"}),
        json!({"status": null}),
        json!({"status": "paid"}),
        json!({"payment_status": "PAID"}),
        json!({"payment_status": null}),
        json!({"mode": "setup"}),
        json!({"object": "payment_intent"}),
        json!({"id": "../charges"}),
        json!({"id": ""}),
        json!({"livemode": "false"}),
        json!({"livemode": null}),
        json!({"payment_intent": "pi_1/capture"}),
        json!({"payment_intent": 5}),
        json!({"expires_at": i64::MAX}),
        json!({"url": "javascript:alert(1)"}),
        json!({"url": "/pay"}),
        json!({"metadata": {"till_order": 5}}),
        json!({"metadata": []}),
    ] {
        assert!(session(changes.clone()).is_err(), "{changes}");
    }
}

#[test]
fn a_name_that_comes_twice_is_malformed() {
    let body = session_json().to_string();
    let twice = body.replacen('{', "{\"payment_status\":\"paid\",", 1);
    assert!(read::<Session>(body.as_bytes()).is_ok());
    assert!(read::<Session>(twice.as_bytes()).is_err());
    let inner = body.replace(
        "\"till_order\":",
        "\"till_order\":\"ord_2\",\"till_order\":",
    );
    assert!(read::<Session>(inner.as_bytes()).is_err());
}

#[test]
fn a_body_cut_anywhere_is_malformed() {
    let body = session_json().to_string();
    for length in 0..body.len() {
        let cut = body.as_bytes().get(..length).expect("a prefix");
        assert!(read::<Session>(cut).is_err(), "{length}");
    }
    let deep = "[".repeat(100_000);
    assert!(read::<Session>(deep.as_bytes()).is_err());
}

#[test]
fn faults_are_located_but_never_quoted() {
    let body = r#"{"id": {"email": "anna@example.com"}}"#;
    let error = read::<Session>(body.as_bytes()).expect_err("malformed");
    assert!(!error.to_string().contains("anna"), "{error}");
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn intent_statuses_are_read() {
    use ObservedIntentStatus as S;
    let error = json!({"type": "card_error", "code": "card_declined"});
    for (word, error, status) in [
        ("requires_payment_method", Value::Null, S::Waiting),
        (
            "requires_payment_method",
            error.clone(),
            S::NeedsPaymentMethod,
        ),
        ("requires_confirmation", Value::Null, S::Waiting),
        ("requires_action", error, S::Waiting),
        ("processing", Value::Null, S::Processing),
        ("requires_capture", Value::Null, S::Authorized),
        ("succeeded", Value::Null, S::Captured),
        ("canceled", Value::Null, S::Canceled),
    ] {
        let seen = intent(json!({"status": word, "last_payment_error": error}));
        assert_eq!(seen.map(|seen| seen.status), Ok(status), "{word}");
    }
}

#[test]
fn what_was_captured_and_charged_is_read() {
    let changes = json!({
        "status": "succeeded", "amount": 5997, "amount_received": 4000, "currency": "eur",
        "latest_charge": "ch_1PgafuB7WZ01zgkWXYmPNZs8", "livemode": true,
    });
    let seen = intent(changes).expect("an intent");
    assert_eq!(
        (seen.amount, seen.captured, seen.live),
        (eur(5_997), eur(4_000), true)
    );
    assert_eq!(seen.charge.as_deref(), Some("ch_1PgafuB7WZ01zgkWXYmPNZs8"));
    let whole = json!({"latest_charge": {"id": "ch_2", "object": "charge", "amount": 100}});
    assert_eq!(
        intent(whole).expect("an intent").charge.as_deref(),
        Some("ch_2")
    );
}

#[test]
fn a_failure_says_the_most_precise_code() {
    let code = |error: Value| {
        let seen = intent(json!({"last_payment_error": error})).expect("an intent");
        let failure = seen.failure.expect("a failure");
        (failure.code, failure.charge)
    };
    let full = json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "message": "Your card has insufficient funds.", "charge": "ch_1",
    });
    assert_eq!(
        code(full),
        ("insufficient_funds".to_owned(), Some("ch_1".to_owned()))
    );
    let coded = json!({"type": "card_error", "code": "expired_card"});
    assert_eq!(code(coded), ("expired_card".to_owned(), None));
    assert_eq!(
        code(json!({"type": "idempotency_error"})).0,
        "idempotency_error"
    );
    assert_eq!(code(json!({"type": "anna@example.com"})).0, "unknown");
}

#[test]
fn absurd_intents_are_malformed() {
    for changes in [
        json!({"amount": null}),
        json!({"amount": -5}),
        json!({"amount": 10.5}),
        json!({"amount_received": "0"}),
        json!({"currency": "xxx"}),
        json!({"currency": "isk"}),
        json!({"status": "paid"}),
        json!({"object": "charge"}),
        json!({"id": "pi 1"}),
        json!({"latest_charge": {"amount": 1}}),
        json!({"last_payment_error": {"code": "x"}}),
    ] {
        assert!(intent(changes.clone()).is_err(), "{changes}");
    }
}
