//! Goal: a server that misbehaves in any way proves nothing, and never holds a call longer than it may take.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::super::super::wire::tests::session_json;
use super::server::{Server, Then, after, call, good, http, json, stripe, why};
use crate::provider::{Ambiguity, CallResult, PaymentProvider};

#[tokio::test]
async fn no_connection_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let refused = stripe(&format!("http://{address}"), Duration::from_secs(5));
    assert_eq!(
        why(&refused.send(&call(), "key-1").await),
        Ambiguity::NotSent
    );
    // A TLS handshake that never ends, and one that is answered with nonsense.
    let silent = Server::start(Then::Hang(vec![])).await;
    let secure = stripe(
        &format!("https://{}", silent.address),
        Duration::from_secs(5),
    );
    assert_eq!(
        why(&secure.send(&call(), "key-1").await),
        Ambiguity::NotSent
    );
    assert!(!silent.received().contains("sk_test"));
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let half = good().get(..40).expect("long enough").to_vec();
    let headers = json("200 OK", "", &" ".repeat(100))
        .get(..80)
        .expect("long enough")
        .to_vec();
    for then in [
        Then::Hang(vec![]),
        Then::Hang(half),
        Then::Hang(headers),
        Then::Hang(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Then::Drip(good(), Duration::from_millis(20)),
    ] {
        let server = Server::start(then).await;
        let begun = Instant::now();
        let outcome = server
            .stripe(Duration::from_millis(300))
            .send(&call(), "key-1")
            .await;
        assert_eq!(why(&outcome), Ambiguity::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_broken_connection_is_said() {
    assert_eq!(after(Then::Send(vec![])).await, Ambiguity::Connection);
    assert_eq!(after(Then::Reset(vec![])).await, Ambiguity::Connection);
    let half = good().get(..200).expect("long enough").to_vec();
    assert_eq!(after(Then::Reset(half)).await, Ambiguity::Connection);
    assert_eq!(
        after(Then::Send(b"\x16\x03\x01garbage\r\n\r\n".to_vec())).await,
        Ambiguity::Connection
    );
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_proves_nothing() {
    let small = json(
        "400 Bad",
        "",
        r#"{"error":{"type":"invalid_request_error"}}"#,
    );
    let server = Server::start(Then::Send(vec![])).await;
    let stripe = server.stripe(Duration::from_secs(5));
    for answer in [good(), small] {
        for length in 0..answer.len() {
            let cut = answer.get(..length).expect("a prefix").to_vec();
            server.do_next(Then::Send(cut));
            let outcome = stripe.send(&call(), "key-1").await;
            let why = why(&outcome);
            assert!(
                matches!(why, Ambiguity::Connection | Ambiguity::BadAnswer),
                "{length}: {why:?}"
            );
        }
    }
    // Without a length the end of the connection is the end of the body, and the JSON must tell.
    let endless = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
        session_json()
    );
    let cut = endless
        .as_bytes()
        .get(..endless.len() - 1)
        .expect("a prefix")
        .to_vec();
    assert_eq!(after(Then::Send(cut)).await, Ambiguity::BadAnswer);
    let whole = Server::start(Then::Send(endless.into_bytes()))
        .await
        .outcome()
        .await;
    assert!(matches!(whole.result, CallResult::Succeeded(_)));
}

#[tokio::test]
async fn answers_that_are_not_the_api_prove_nothing() {
    let session = session_json().to_string();
    for answer in [
        http(
            "200 OK",
            "Content-Type: text/html\r\n",
            "<html>Welcome to the hotel</html>",
        ),
        http("200 OK", "Content-Type: text/html\r\n", &session),
        http("200 OK", "", &session),
        http("204 No Content", "", ""),
        json("200 OK", "", ""),
        json("202 Accepted", "", "{}"),
        json("200 OK", "Content-Encoding: gzip\r\n", "\x1f\x08"),
        json("200 OK", "", &session.replace("5997", "NaN")),
        json("200 OK", "", &session.replace("5997", "59.97")),
        json("101 Switching Protocols", "", &session),
        json("418 I'm a teapot", "", "{}"),
        http(
            "401 Unauthorized",
            "Content-Type: text/html\r\n",
            "<h1>Proxy login</h1>",
        ),
        json("403 Forbidden", "", r#"{"error":"blocked by policy"}"#),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(
            after(Then::Send(answer)).await,
            Ambiguity::BadAnswer,
            "{shown}"
        );
    }
}

#[tokio::test]
async fn an_answer_over_the_cap_is_not_read() {
    let padded = |length: usize| {
        let session = session_json().to_string();
        let padding = " ".repeat(length - session.len());
        json("200 OK", "", &format!("{session}{padding}"))
    };
    let fits = Server::start(Then::Send(padded(1 << 20)))
        .await
        .outcome()
        .await;
    assert!(matches!(fits.result, CallResult::Succeeded(_)));
    assert_eq!(
        after(Then::Send(padded((1 << 20) + 1))).await,
        Ambiguity::BadAnswer
    );
    let mut endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
    endless.resize(8 << 20, b' ');
    assert_eq!(after(Then::Hang(endless)).await, Ambiguity::BadAnswer);
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let mut answer =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_vec();
    answer.extend_from_slice(&good());
    let outcome = Server::start(Then::Send(answer)).await.outcome().await;
    assert!(
        matches!(outcome.result, CallResult::Succeeded(_)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let sink = Server::start(Then::Send(good())).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let location = format!("Location: http://{}/v1/checkout/sessions\r\n", sink.address);
        let server = Server::start(Then::Send(http(status, &location, ""))).await;
        assert_eq!(
            why(&server.outcome().await),
            Ambiguity::Redirect,
            "{status}"
        );
    }
    assert_eq!(sink.received(), "");
}
