//! Goal: what is sent is exactly what was stored, and every answer becomes the outcome it proves. Method: the
//! adapter talks to a raw TCP server.

mod faults;
mod server;

use std::time::Duration;

use super::super::wire::tests::session_json;
use crate::domain::access::Mode;
use crate::provider::{Ambiguity, CallRequest, CallResult, FetchError, PaymentProvider, Reference};
use server::{Server, Then, after, call, good, http, json, stripe, why};

#[tokio::test]
async fn a_call_is_sent_byte_for_byte() {
    let server = Server::start(Then::Send(good())).await;
    let outcome = server.outcome().await;
    assert!(
        matches!(outcome.result, CallResult::Succeeded(_)),
        "{outcome:?}"
    );
    assert_eq!(outcome.http_status, Some(200));
    assert_eq!(outcome.provider_request_id.as_deref(), Some("req_abc"));
    let received = server.received();
    let (head, body) = received.split_once("\r\n\r\n").expect("a request");
    assert!(
        head.starts_with("POST /v1/checkout/sessions HTTP/1.1\r\n"),
        "{head}"
    );
    for line in [
        "authorization: Bearer sk_test_secret",
        "content-type: application/x-www-form-urlencoded",
        "stripe-version: 2026-08-26.dahlia",
        "idempotency-key: key-1",
        concat!("user-agent: till/", env!("CARGO_PKG_VERSION")),
        "content-length: 21",
    ] {
        assert!(head.lines().any(|sent| sent == line), "{line} in {head}");
    }
    assert_eq!(body, "mode=payment&a[0]=%2B");
}

#[tokio::test]
async fn an_old_call_is_sent_with_its_own_version() {
    let server = Server::start(Then::Send(good())).await;
    let old = CallRequest {
        api_version: "2025-01-27.acacia".to_owned(),
        ..call()
    };
    server
        .stripe(Duration::from_secs(5))
        .send(&old, "key-1")
        .await;
    assert!(
        server
            .received()
            .contains("stripe-version: 2025-01-27.acacia\r\n")
    );
}

#[tokio::test]
async fn a_fetch_changes_nothing_and_has_no_key() {
    let server = Server::start(Then::Send(good())).await;
    let stripe = server.stripe(Duration::from_secs(5));
    let id = session_json()["id"].as_str().expect("an id").to_owned();
    let seen = stripe.fetch(&Reference::Session(id.clone())).await;
    assert_eq!(seen.expect("a session").provider_id(), id);
    let received = server.received();
    let line = format!("GET /v1/checkout/sessions/{id}?expand%5B%5D=payment_intent HTTP/1.1\r\n");
    assert!(received.starts_with(&line), "{received}");
    assert!(!received.contains("idempotency-key") && !received.contains("content-type"));
    // The right answer to another question is no answer.
    let other = stripe
        .fetch(&Reference::Session("cs_other".to_owned()))
        .await;
    assert_eq!(other, Err(FetchError::Unavailable(Ambiguity::BadAnswer)));
}

#[tokio::test]
async fn fetches_tell_absence_from_trouble() {
    let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such"}}"#;
    let unrouted =
        r#"{"error":{"type":"invalid_request_error","message":"Unrecognized request URL"}}"#;
    for (answer, expected) in [
        (json("404 Not Found", "", missing), FetchError::NotFound),
        (
            json("404 Not Found", "", unrouted),
            FetchError::Refused("invalid_request_error: Unrecognized request URL".to_owned()),
        ),
        (
            json("401 Unauthorized", "", missing),
            FetchError::Refused("resource_missing: No such".to_owned()),
        ),
        (
            http("404 Not Found", "", "nginx"),
            FetchError::Unavailable(Ambiguity::BadAnswer),
        ),
        (
            json("503 Down", "", "{}"),
            FetchError::Unavailable(Ambiguity::ServerError),
        ),
    ] {
        let server = Server::start(Then::Send(answer)).await;
        let stripe = server.stripe(Duration::from_secs(5));
        let seen = stripe.fetch(&Reference::Intent("pi_1".to_owned())).await;
        assert_eq!(seen, Err(expected));
    }
}

#[tokio::test]
async fn what_must_not_leave_does_not() {
    let server = Server::start(Then::Send(good())).await;
    let stripe = server.stripe(Duration::from_secs(5));
    for id in ["", "a/../b", "..", "cs_1?x", "cs 1", "cs_é"] {
        for reference in [
            Reference::Session(id.to_owned()),
            Reference::Intent(id.to_owned()),
        ] {
            let seen = stripe.fetch(&reference).await;
            assert!(
                matches!(seen, Err(FetchError::Refused(_))),
                "{id}: {seen:?}"
            );
        }
        let outcome = stripe.send(&stripe.expire_session(id), "key-1").await;
        assert_eq!(why(&outcome), Ambiguity::NotSent, "{id}");
    }
    for (path, method) in [
        ("@evil.example/", "POST"),
        ("/v1/charges", "POST"),
        ("/v1/checkout/sessions", "GET"),
    ] {
        let odd = CallRequest {
            path: path.to_owned(),
            method: method.to_owned(),
            ..call()
        };
        assert_eq!(
            why(&stripe.send(&odd, "key-1").await),
            Ambiguity::NotSent,
            "{path}"
        );
    }
    for key in ["", "a\nb", &"k".repeat(256)] {
        assert_eq!(why(&stripe.send(&call(), key).await), Ambiguity::NotSent);
    }
    assert_eq!(server.received(), "");
}

#[tokio::test]
async fn a_refusal_of_stripes_is_definitive_and_a_busy_key_is_not() {
    let error =
        |kind: &str| format!(r#"{{"error":{{"type":"{kind}","code":"c","message":"No."}}}}"#);
    let declined = json("402 Payment Required", "", &error("card_error"));
    let outcome = Server::start(Then::Send(declined)).await.outcome().await;
    assert!(
        matches!(&outcome.result, CallResult::Declined(decline) if decline.code == "c"),
        "{outcome:?}"
    );
    assert_eq!(outcome.http_status, Some(402));
    for (status, headers, kind, expected) in [
        ("400 Bad", "", "idempotency_error", Ambiguity::KeyMismatch),
        (
            "409 Conflict",
            "",
            "invalid_request_error",
            Ambiguity::InUse,
        ),
        (
            "402 No",
            "Stripe-Should-Retry: true\r\n",
            "card_error",
            Ambiguity::ServerError,
        ),
        (
            "500 Oops",
            "Idempotent-Replayed: true\r\n",
            "api_error",
            Ambiguity::StoredError,
        ),
        ("424 Failed", "", "api_error", Ambiguity::ServerError),
    ] {
        let answer = json(status, headers, &error(kind));
        assert_eq!(after(Then::Send(answer)).await, expected, "{status}");
    }
}

#[tokio::test]
async fn the_wait_stripe_asks_for_is_kept_within_an_hour() {
    for (value, expected) in [
        ("0", Some(0)),
        ("7", Some(7_000)),
        ("3600", Some(3_600_000)),
        ("3601", Some(3_600_000)),
        ("99999999999999999999", Some(3_600_000)),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let headers = format!("Retry-After: {value}\r\n");
        let server = Server::start(Then::Send(json("429 Slow", &headers, "{}"))).await;
        let outcome = server.outcome().await;
        assert_eq!(why(&outcome), Ambiguity::RateLimited);
        assert_eq!(
            (outcome.http_status, outcome.retry_after_ms),
            (Some(429), expected),
            "{value}"
        );
    }
}

#[test]
fn the_adapter_shows_no_credentials() {
    let shown = format!(
        "{:?}",
        stripe("https://api.stripe.com", Duration::from_secs(1))
    );
    assert!(
        !shown.contains("sk_test_secret") && !shown.contains("whsec_a"),
        "{shown}"
    );
}

#[test]
fn the_answers_date_is_read_in_the_one_form_servers_send() {
    let seconds = |text| super::http_date(text).map(crate::domain::time::Timestamp::seconds);
    assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    for text in [
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 31 Feb 1994 08:49:37 GMT",
    ] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[tokio::test]
async fn a_probe_tells_what_the_answer_proves_and_no_more() {
    let balance = r#"{"object":"balance","livemode":true}"#;
    for (status, body, accepted, mode) in [
        ("200 OK", balance, Some(true), Some(Mode::Live)),
        ("200 OK", "{}", None, None),
        ("401 Unauthorized", "{}", Some(false), None),
        ("403 Forbidden", "{}", Some(true), None),
        ("503 Service Unavailable", "{}", None, None),
    ] {
        let server = Server::start(Then::Send(json(status, "", body))).await;
        let probe = server.stripe(Duration::from_secs(5)).probe().await;
        let probe = probe.expect("an answer");
        assert_eq!((probe.accepted, probe.mode), (accepted, mode), "{status}");
    }
}
