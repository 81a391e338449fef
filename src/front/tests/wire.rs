//! Requests as only a raw socket can send them.

use super::*;

/// What one raw request is answered.
async fn raw(parts: &[&[u8]], then_close: bool) -> String {
    let running = Running::usual().await;
    let mut client = running.connect().await;
    for part in parts {
        client.send(part).await;
    }
    if then_close {
        client.0.shutdown().await.unwrap();
    }
    client.until("}").await
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
        assert_problem(&raw(&[head.as_bytes()], true).await, Code::BodyTruncated);
    }
    for body in [
        "5\r\n{\"qua\r\n",
        "e\r\n{\"quantity\":1}\r\n",
        "e\r\n{\"quantity\":1}\r\nzz",
    ] {
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        assert_problem(&raw(&[head.as_bytes()], true).await, Code::BodyTruncated);
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
async fn a_slow_body_meets_the_deadline_whoever_asks_for_it() {
    for path in ["/v1/orders", "/webhooks/stripe", "/work", "/nope"] {
        for part in ["", "{\"q", "{\"quantity\":1,\"x\":\"CANARY"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{part}"
            );
            let answer = raw(&[head.as_bytes()], false).await;
            assert_problem(&answer, Code::RequestTimeout);
            assert!(answer.contains("connection: close"), "{answer}");
        }
    }
}

#[rocket::async_test]
async fn a_large_body_is_refused_by_its_announcement_or_its_size() {
    let head = format!("{JSON_HEAD}Content-Length: 2147483648\r\n\r\n{{\"quantity\":1,");
    assert_problem(&raw(&[head.as_bytes()], false).await, Code::PayloadTooLarge);
    let endless = format!("{JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n50000\r\n");
    assert_problem(
        &raw(&[endless.as_bytes(), &[b' '; (256 << 10) + 1]], false).await,
        Code::PayloadTooLarge,
    );
    let largest = [b' '; 256 << 10];
    let head = "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\nConnection: close\r\n\r\n";
    let answer = raw(&[head.as_bytes(), &largest], false).await;
    assert!(answer.ends_with("262144"), "{answer}");
}

#[rocket::async_test]
async fn a_method_rocket_does_not_know_is_a_problem_too() {
    let answer = raw(
        &[b"QUERY /v1/orders/1?x=1 HTTP/1.1\r\nHost: x\r\nRequest-Id: mine\r\n\r\n"],
        false,
    )
    .await;
    assert_problem(&answer, Code::MethodNotAllowed);
    assert!(
        answer.contains("allow: DELETE, GET, HEAD, OPTIONS") && answer.contains("request-id: mine"),
        "{answer}"
    );
    for unknown in [
        "QUERY /nope HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = raw(&[unknown.as_bytes()], false).await;
        assert_problem(&answer, Code::BadRequest);
    }
}

#[rocket::async_test]
async fn every_form_of_a_request_is_understood() {
    let running = Running::usual().await;
    for head in [
        "GET /v1/orders/7 HTTP/1.1",
        "GET http://elsewhere.example/v1/orders/7 HTTP/1.1",
        "GET /v1/orders/7?x=%FF&y={[|]} HTTP/1.1",
        "GET /v1/orders/7 HTTP/1.1\r\nX-Odd: \u{00ff}\u{fffd}",
    ] {
        let answer = running.ask(head).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{head} {answer}");
        assert!(answer.contains("\r\ncontent-length: 1\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(!answer.contains("\r\nserver: "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n7"), "{answer}");
    }
    let mut old = running.connect().await;
    old.send("GET /v1/orders/7 HTTP/1.0\r\n\r\n").await;
    let answer = old.rest().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    let invalid =
        [b"GET /v1/orders/7 HTTP/1.1\r\nHost: x\r\nX-Odd: \xff\xfe\r\nConnection: close\r\n\r\n"];
    let mut client = running.connect().await;
    client.send(invalid[0]).await;
    assert!(client.rest().await.ends_with('7'));
    let cookie = "GET /cookie HTTP/1.1\r\nCookie: other=1; name=a%20b";
    assert!(running.ask(cookie).await.ends_with("\r\n\r\na b"));
    assert!(
        running
            .ask("GET /from HTTP/1.1")
            .await
            .ends_with("127.0.0.1")
    );
    for bad in [
        "GET\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let mut client = running.connect().await;
        client.send(bad).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?} {answer}");
    }
    let mut client = running.connect().await;
    let long = "x".repeat(4 * MAX_HEAD);
    client
        .send(format!("GET / HTTP/1.1\r\nX-Long: {long}\r\n\r\n"))
        .await;
    assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
}

#[rocket::async_test]
async fn a_request_names_its_host_once() {
    for hosts in ["", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n"] {
        let request = format!("GET /v1/orders/7 HTTP/1.1\r\n{hosts}\r\n");
        let answer = raw(&[request.as_bytes()], false).await;
        assert_problem(&answer, Code::BadRequest);
    }
}

#[rocket::async_test]
async fn answers_have_the_bodies_their_methods_and_statuses_allow() {
    let running = Running::usual().await;
    let head = running.ask("HEAD /v1/orders/1234567 HTTP/1.1").await;
    assert!(head.contains("\r\ncontent-length: 7\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let none = running.ask("GET /nothing HTTP/1.1").await;
    assert!(none.starts_with("HTTP/1.1 204 "), "{none}");
    assert!(!none.contains("content-length"), "{none}");
    let stream = running.ask("GET /stream/10000 HTTP/1.1").await;
    assert!(
        stream.contains("\r\ntransfer-encoding: chunked\r\n"),
        "{stream}"
    );
    assert_eq!(
        stream.matches('s').count()
            - stream[..stream.find("\r\n\r\n").unwrap()]
                .matches('s')
                .count(),
        10_000
    );
    assert!(stream.ends_with("\r\n0\r\n\r\n"), "{stream}");
    let empty = running.ask("GET /stream/0 HTTP/1.1").await;
    assert!(empty.ends_with("\r\n0\r\n\r\n"), "{empty}");
    let head = running.ask("HEAD /stream/10 HTTP/1.1").await;
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[rocket::async_test]
async fn a_connection_takes_one_request_after_the_other() {
    let running = Running::usual().await;
    let mut client = running.connect().await;
    // All at once, then a body that waits for leave to be sent.
    let get = |id: u32| format!("GET /v1/orders/{id} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.send([get(1), get(2), get(3)].concat()).await;
    let answers = client.until("\r\n\r\n3").await;
    let at = |text: &str| answers.find(text).unwrap();
    assert!(at("\r\n\r\n1") < at("\r\n\r\n2") && at("\r\n\r\n2") < at("\r\n\r\n3"));
    let announced = format!("{JSON_HEAD}Content-Length: 14\r\nExpect: 100-continue\r\n\r\n");
    client.send(&announced).await;
    assert_eq!(
        client.until("\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("{\"quantity\":5}").await;
    assert!(client.until("\"5\"").await.starts_with("HTTP/1.1 200 "));
    // A problem, and an answer without a body, leave the connection open.
    client.send("GET /nope HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_problem(&client.until("}").await, Code::NotFound);
    client
        .send("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 204 "));
    client.send(get(9)).await;
    assert!(client.until("\r\n\r\n9").await.starts_with("HTTP/1.1 200 "));
}

#[rocket::async_test]
async fn a_panic_is_answered_and_the_server_lives() {
    let running = Running::usual().await;
    for path in ["/panic", "/fairing-panics"] {
        let mut client = running.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        for _ in 0..2 {
            client.send(&request).await;
            assert_problem(&client.until("}").await, Code::InternalError);
        }
    }
    assert!(
        running
            .ask("GET /v1/orders/7 HTTP/1.1")
            .await
            .ends_with('7')
    );
}

#[rocket::async_test]
async fn without_room_a_request_is_turned_away_as_rocket_would() {
    let running = Running::usual().await;
    let heads = |answer: &str| {
        let head = answer.split_once("\r\n\r\n").unwrap().0;
        let mut lines: Vec<String> = head
            .lines()
            .filter(|line| {
                !["date: ", "access-control"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let mine = "Request-Id: mine";
    let by_rocket = running.ask(&format!("GET /busy HTTP/1.1\r\n{mine}")).await;
    let mut client = running.connect().await;
    for _ in 0..2 {
        client
            .send(format!(
                "POST /v1/full HTTP/1.1\r\nHost: x\r\n{mine}\r\nContent-Length: 4\r\n\r\n"
            ))
            .await;
        client.send("body").await;
        let turned_away = client.until("}").await;
        assert_problem(&turned_away, Code::Overloaded);
        let mut head = heads(&turned_away);
        head.insert(3, "connection: close".to_owned());
        head.sort();
        assert_eq!(head, heads(&by_rocket));
        let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(body(&turned_away), body(&by_rocket));
        assert!(turned_away.contains("access-control-allow-origin: *"));
    }
    assert_problem(&running.ask("GET /v1/full HTTP/1.1").await, Code::NotFound);
}
