//! Goal: only the promised object and a refusal of Stripe's own are definitive; every other answer is unknown.

use super::super::wire::tests::{intent_json, session_json, with};
use super::*;
use serde_json::{Value, json};

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        json: true,
        should_retry: false,
        replayed: false,
        body: Ok(body.as_bytes().to_vec()),
    }
}

fn verdict(status: u16, body: &Value) -> Verdict {
    judge(&Wanted::Session(None), answer(status, &body.to_string()))
}

fn unknown(verdict: Verdict) -> Ambiguity {
    match verdict {
        Verdict::Unknown(why) => why,
        other => panic!("definitive: {other:?}"),
    }
}

fn error(kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"type": kind, "code": code, "message": "No."}})
}

#[test]
fn the_promised_object_succeeds() {
    for status in [200, 201] {
        let seen = verdict(status, &session_json());
        assert!(
            matches!(&seen, Verdict::Object(object) if matches!(**object, Observed::Session(_))),
            "{seen:?}"
        );
    }
    let intent = Wanted::Intent("pi_1PgafyB7WZ01zgkWSjxsAJo3".to_owned());
    let seen = judge(&intent, answer(200, &intent_json().to_string()));
    assert!(
        matches!(&seen, Verdict::Object(object) if matches!(**object, Observed::Intent(_))),
        "{seen:?}"
    );
}

#[test]
fn a_capture_of_another_amount_than_was_asked_for_is_not_what_was_asked_for() {
    let wanted = Wanted::Intent("pi_1PgafyB7WZ01zgkWSjxsAJo3".to_owned());
    let captured = |minor: i64| {
        let shown = json!({"status": "succeeded", "amount": 2000, "amount_received": minor});
        let shown = with(intent_json(), shown).to_string();
        match judge(&wanted, answer(200, &shown)) {
            Verdict::Object(object) => *object,
            other => panic!("no intent: {other:?}"),
        }
    };
    for (taken, otherwise) in [(2000, true), (701, true), (0, true), (700, false)] {
        let seen = took_otherwise(b"amount_to_capture=700", &captured(taken));
        assert_eq!(seen, otherwise, "{taken}");
    }
    assert!(!took_otherwise(b"", &captured(701)), "nothing was captured");
}

#[test]
fn success_without_the_promised_object_proves_nothing() {
    for body in [
        json!({}),
        json!(null),
        json!([]),
        error("invalid_request_error", None),
        intent_json(),
        with(session_json(), json!({"amount_total": 59.97})),
        with(session_json(), json!({"mode": "setup"})),
    ] {
        assert_eq!(unknown(verdict(200, &body)), Ambiguity::BadAnswer, "{body}");
    }
    let other = Wanted::Session(Some("cs_other".to_owned()));
    let seen = judge(&other, answer(200, &session_json().to_string()));
    assert_eq!(unknown(seen), Ambiguity::BadAnswer);
    for body in ["", "<html>ok</html>", "{\"id\":", "NaN"] {
        let seen = judge(&Wanted::Session(None), answer(200, body));
        assert_eq!(unknown(seen), Ambiguity::BadAnswer, "{body}");
    }
    let html = Answer {
        json: false,
        ..answer(200, &session_json().to_string())
    };
    assert_eq!(
        unknown(judge(&Wanted::Session(None), html)),
        Ambiguity::BadAnswer
    );
}

#[test]
fn refusals_stripe_wrote_are_definitive() {
    for status in [400, 401, 402, 403, 404, 422] {
        for kind in ["card_error", "invalid_request_error"] {
            let seen = verdict(status, &error(kind, Some("some_code")));
            let Verdict::Refused(decline) = seen else {
                panic!("{status} {kind}: {seen:?}");
            };
            assert_eq!(
                (decline.code.as_str(), decline.message.as_str()),
                ("some_code", "No.")
            );
        }
    }
    let seen = verdict(400, &json!({"error": {"type": "invalid_request_error"}}));
    let Verdict::Refused(decline) = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(decline.code, "invalid_request_error");
    assert_eq!(decline.message, "The provider refused the request.");
}

#[test]
fn refusals_that_prove_nothing_are_unknown() {
    use Ambiguity::{BadAnswer, InUse, KeyMismatch, RateLimited, Redirect, ServerError, Timeout};
    let request = error("invalid_request_error", None);
    for (status, body, why) in [
        (400, error("idempotency_error", None), KeyMismatch),
        (400, error("api_error", None), ServerError),
        (
            400,
            error("invalid_request_error", Some("idempotency_key_in_use")),
            InUse,
        ),
        (400, error("something_new", None), BadAnswer),
        (400, json!({"message": "no"}), BadAnswer),
        (401, json!("proxy login"), BadAnswer),
        (403, json!({"error": "forbidden"}), BadAnswer),
        (404, json!({"error": {"message": "no route"}}), BadAnswer),
        (405, request.clone(), BadAnswer),
        (408, request.clone(), BadAnswer),
        (
            409,
            error("invalid_request_error", Some("idempotency_key_in_use")),
            InUse,
        ),
        (409, request.clone(), InUse),
        (413, request.clone(), BadAnswer),
        (424, request.clone(), ServerError),
        (
            429,
            error("invalid_request_error", Some("rate_limit")),
            RateLimited,
        ),
        (500, request.clone(), ServerError),
        (502, json!(null), ServerError),
        (503, error("api_error", None), ServerError),
        (504, session_json(), ServerError),
        (301, session_json(), Redirect),
        (307, session_json(), Redirect),
        (100, session_json(), BadAnswer),
        (600, session_json(), BadAnswer),
    ] {
        assert_eq!(unknown(verdict(status, &body)), why, "{status} {body}");
    }
    let again = Answer {
        should_retry: true,
        replayed: false,
        ..answer(402, &error("card_error", None).to_string())
    };
    assert_eq!(unknown(judge(&Wanted::Session(None), again)), ServerError);
    for status in [200, 402] {
        let cut = Answer {
            body: Err(Timeout),
            ..answer(status, "")
        };
        assert_eq!(unknown(judge(&Wanted::Session(None), cut)), Timeout);
    }
}

#[test]
fn every_status_is_definitive_only_where_it_may_be() {
    let refused = error("invalid_request_error", None);
    for status in 0..=u16::MAX {
        let definitive = !matches!(verdict(status, &refused), Verdict::Unknown(_));
        assert_eq!(definitive, matches!(status, 400..=404 | 422), "{status}");
        let done = matches!(verdict(status, &session_json()), Verdict::Object(_));
        assert_eq!(done, (200..300).contains(&status), "{status}");
    }
}

#[test]
fn sentences_lose_addresses_keys_and_card_numbers() {
    let quoted = "Invalid e-mail: anna@example.com\n for sk_live_abc. https://a.example/?token=b 4242424242424242,";
    let body = json!({"error": {
        "type": "invalid_request_error",
        "message": format!("{quoted} {}", "x".repeat(600)),
    }});
    let Verdict::Refused(decline) = verdict(400, &body) else {
        panic!("a refusal");
    };
    assert!(
        decline
            .message
            .starts_with("Invalid e-mail: [address] for [key] [address] [number] xxx")
    );
    assert_eq!(decline.message.chars().count(), 500);
}

#[test]
fn paths_promise_their_object() {
    let session = |id: Option<&str>| Some(Wanted::Session(id.map(str::to_owned)));
    let intent = |id: &str| Some(Wanted::Intent(id.to_owned()));
    for (path, wanted) in [
        ("/v1/checkout/sessions", session(None)),
        ("/v1/checkout/sessions/cs_1", session(Some("cs_1"))),
        (
            "/v1/checkout/sessions/cs_1?expand%5B%5D=payment_intent",
            session(Some("cs_1")),
        ),
        ("/v1/checkout/sessions/cs_1/expire", session(Some("cs_1"))),
        ("/v1/payment_intents/pi_1", intent("pi_1")),
        ("/v1/payment_intents/pi_1/capture", intent("pi_1")),
        ("/v1/payment_intents/pi_1/cancel", intent("pi_1")),
        ("/v1/checkout/sessions/", None),
        ("/v1/checkout/sessions/../charges", None),
        ("/v1/checkout/sessions/-/expire", None),
        ("/v1/checkout/sessionscs_1", None),
        ("/v1/checkout/sessions/cs_1/expire/expire", None),
        ("/v1/payment_intents", None),
        ("/v1/payment_intents/", None),
        ("/v1/payment_intents/%2e%2e/cancel", None),
        ("/v1/charges", None),
        ("", None),
        ("@evil.example/", None),
    ] {
        assert_eq!(Wanted::of(path), wanted, "{path}");
    }
}
