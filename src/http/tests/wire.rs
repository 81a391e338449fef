//! What only a raw socket can send: bodies that are cut, slow or endless, and unknown methods.

use std::time::Duration;

use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::net::TcpStream;
use rocket::tokio::sync::oneshot;
use rocket::tokio::{spawn, time};

use super::*;

/// A listening server with a short read deadline; what one raw request is answered.
async fn raw(parts: &[&[u8]], then_close: bool) -> String {
    let (tell, port) = oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let listening = rocket::fairing::AdHoc::on_liftoff("port", move |rocket| {
        let tell = tell.lock().unwrap().take();
        tell.unwrap().send(rocket.config().port).unwrap();
        Box::pin(async {})
    });
    let limits = BodyLimits {
        read_timeout: Duration::from_millis(300),
        ..BodyLimits::default()
    };
    let rocket = server()
        .manage(limits)
        .attach(listening)
        .ignite()
        .await
        .unwrap();
    let served = spawn(rocket.launch());
    let mut stream = TcpStream::connect(("127.0.0.1", port.await.unwrap()))
        .await
        .unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
    }
    if then_close {
        stream.shutdown().await.unwrap();
    }
    let mut answer = vec![0; 8192];
    let mut length = 0;
    while !String::from_utf8_lossy(&answer[..length]).ends_with('}') {
        match time::timeout(Duration::from_secs(5), stream.read(&mut answer[length..]))
            .await
            .unwrap()
        {
            Ok(0) | Err(_) => break,
            Ok(read) => length += read,
        }
    }
    served.abort();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn assert_raw(answer: &str, code: Code) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {} ", code.status())),
        "{answer}"
    );
    assert!(
        answer.contains(code.as_str()) && answer.contains("request-id: "),
        "{answer}"
    );
    assert!(!answer.contains("CANARY"), "{answer}");
}

const JSON_HEAD: &str = "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

#[rocket::async_test]
async fn a_body_that_is_cut_is_told_from_one_that_is_whole() {
    for (path, body) in [
        ("/v1/orders", "{\"q"),
        ("/v1/orders", "{\"quantity\":1, \"x"),
        ("/webhooks/stripe", "{}"),
        ("/webhooks/stripe", ""),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{body}"
        );
        assert_raw(&raw(&[head.as_bytes()], true).await, Code::BodyTruncated);
    }
    for body in [
        "5\r\n{\"qua\r\n",
        "e\r\n{\"quantity\":1}\r\n",
        "e\r\n{\"quantity\":1}\r\nzz",
    ] {
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        assert_raw(&raw(&[head.as_bytes()], true).await, Code::BodyTruncated);
    }
    // Not half-closed: a server that sees the end of the stream before it has answered may hang up instead.
    let whole =
        format!("{JSON_HEAD}Connection: close\r\nContent-Length: 14\r\n\r\n{{\"quantity\":1}}");
    assert!(
        raw(&[whole.as_bytes()], false)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let short = "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert!(
        raw(&[short.as_bytes()], false)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[rocket::async_test]
async fn a_slow_body_meets_the_deadline() {
    let head = format!("{JSON_HEAD}Content-Length: 1000\r\n\r\n{{\"quantity\":1,\"x\":\"{CANARY}");
    let answer = raw(&[head.as_bytes()], false).await;
    assert_raw(&answer, Code::RequestTimeout);
    assert!(answer.contains("connection: close"), "{answer}");
}

#[rocket::async_test]
async fn a_large_body_is_refused_by_its_announcement_or_its_size() {
    let head = format!("{JSON_HEAD}Content-Length: 2147483648\r\n\r\n{{\"quantity\":1,");
    assert_raw(&raw(&[head.as_bytes()], false).await, Code::PayloadTooLarge);
    let endless = format!("{JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n50000\r\n");
    assert_raw(
        &raw(&[endless.as_bytes(), &[b' '; (256 << 10) + 1]], false).await,
        Code::PayloadTooLarge,
    );
}

#[rocket::async_test]
async fn a_method_rocket_does_not_know_is_a_problem_too() {
    let answer = raw(
        &[b"QUERY /v1/orders/1 HTTP/1.1\r\nHost: x\r\nRequest-Id: mine\r\n\r\n"],
        false,
    )
    .await;
    assert_raw(&answer, Code::MethodNotAllowed);
    assert!(
        answer.contains("allow: DELETE, GET, HEAD, OPTIONS") && answer.contains("request-id: mine"),
        "{answer}"
    );
    let answer = raw(&[b"QUERY /nope HTTP/1.1\r\nHost: x\r\n\r\n"], false).await;
    assert_raw(&answer, Code::BadRequest);
}
