//! Bodies only a raw socket can send, against the real server with its usual limits: cut, slow, endless, huge, deep.
//! Each is refused soon, nothing is stored or burnt, memory stays bounded, and others are served meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Sandbox, Server};

/// What many bad requests together may add to the server's memory.
const MORE_MEMORY_KIB: u64 = 64 * 1024;

/// The server and who attacks it: their request's beginning, with a key.
struct Target {
    server: Server,
    key: String,
}

impl Target {
    async fn connect(&self) -> TcpStream {
        let address = self.server.url.strip_prefix("http://").expect("a URL");
        TcpStream::connect(address).await.expect("connects")
    }

    fn head(&self, path: &str, more: &str) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nHost: till\r\nAuthorization: Bearer {}\r\nIdempotency-Key: bodies\r\n\
             Stripe-Signature: t=1,v1=00\r\n{more}\r\n\r\n",
            self.key
        )
    }

    /// Sends a head and a body and, when asked, the end of the stream; returns the answer.
    async fn send(&self, head: &str, body: &[u8], end: bool) -> Value {
        let mut socket = self.connect().await;
        socket.write_all(head.as_bytes()).await.expect("a head");
        // The server may refuse before it has read everything.
        let _ = socket.write_all(body).await;
        if end {
            socket.shutdown().await.expect("half-closes");
        }
        answer(&mut socket).await
    }
}

/// Reads one problem; the connection may stay open after it.
async fn answer(socket: &mut TcpStream) -> Value {
    let mut text = Vec::new();
    let read = async {
        let mut buffer = [0; 8192];
        while !text.ends_with(b"}") {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => text.extend_from_slice(&buffer[..read]),
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), read).await;
    assert!(in_time.is_ok(), "no answer");
    let text = String::from_utf8(text).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|why| panic!("{why}: {text}"));
    let status = format!("HTTP/1.1 {} ", problem["status"]);
    assert!(head.starts_with(&status), "{text}");
    problem
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_soon_and_in_bounded_memory() {
    let sandbox = Sandbox::new().await;
    let (server, _) = sandbox.serve_with_simulator().await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let target = Target { server, key };
    let product = json!({"name": "Mug", "prices": {"EUR": "12.50"}});
    let put = shop.request(reqwest::Method::PUT, "/v1/products/mug");
    put.json(&product).send().await.expect("an answer");
    let before = target.server.process.resident_kib();
    let orders = |more: &str| target.head("/v1/orders", &format!("{JSON}{more}"));
    let webhook = |more: &str| target.head("/webhooks/stripe", &format!("{JSON}{more}"));

    for body in [
        "",
        "{",
        "{\"currency",
        "{\"currency\":\"EUR\",\"line_items\":[",
    ] {
        for head in [
            orders("Content-Length: 200"),
            webhook("Content-Length: 200"),
        ] {
            let problem = target.send(&head, body.as_bytes(), true).await;
            assert_eq!(problem["code"], "body_truncated", "{head}{body}");
        }
        let chunk = format!("{:x}\r\n{body}\r\n", body.len().max(1));
        let chunked = orders("Transfer-Encoding: chunked");
        let problem = target.send(&chunked, chunk.as_bytes(), true).await;
        assert_eq!(problem["code"], "body_truncated", "{body}");
    }
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        for (path, body) in [
            ("/v1/orders", "_method=DELETE"),
            ("/v1/orders", "_method=get&currency=EUR"),
            ("/webhooks/stripe", "_method=PUT"),
        ] {
            let more = format!("Content-Type: {kind}\r\nContent-Length: {}", body.len());
            let head = target.head(path, &more);
            let problem = target.send(&head, body.as_bytes(), false).await;
            assert_eq!(problem["code"], "unsupported_media_type", "{kind} {body}");
        }
    }
    let deep = "[".repeat(1_000_000);
    let wide: String = (0..100_000).map(|at| format!("\"k{at}\":1,")).collect();
    let wide = format!("{{{wide}\"z\":1}}");
    let long = format!("{{\"reference\":\"{}\"}}", "x".repeat(1_000_000));
    let began = Instant::now();
    for body in [&deep, &wide, &long] {
        let head = orders(&format!("Content-Length: {}", body.len()));
        let problem = target.send(&head, body.as_bytes(), false).await;
        assert_eq!(problem["code"], "payload_too_large");
    }
    for body in [&deep[..200_000], "{\"metadata\":{\"a\":{\"b\":[[[[1]]]]}}}"] {
        let head = orders(&format!("Content-Length: {}", body.len()));
        let problem = target.send(&head, body.as_bytes(), false).await;
        assert_eq!(problem["code"], "invalid_request");
    }
    let announced = orders("Content-Length: 2147483648");
    let problem = target.send(&announced, &[b' '; 64], false).await;
    assert_eq!(problem["code"], "payload_too_large");
    assert!(began.elapsed() < Duration::from_secs(5), "cheaply");

    // Fifty at once that never end; each is cut off long before what it would send.
    let endless = (0..50).map(async |_| {
        let mut socket = target.connect().await;
        let head = orders("Transfer-Encoding: chunked");
        socket.write_all(head.as_bytes()).await.expect("a head");
        let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
        let mut sent = 0_usize;
        while sent < 64 << 20 && socket.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        assert!(sent < 16 << 20, "{sent} bytes were taken");
    });
    futures_join(endless).await;
    let after = target.server.process.resident_kib();
    assert!(
        after < before + MORE_MEMORY_KIB,
        "grew from {before} to {after} KiB"
    );
    // Nothing was stored, and the key of all of them is fresh.
    let body = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
    let list = shop.get("/v1/orders").await.expect(200);
    assert_eq!(list["data"], json!([]));
    let placed = shop.try_post("/v1/orders", "bodies", &body).await;
    let placed = placed.expect("an answer");
    assert_eq!(placed.header("idempotent-replayed"), None);
    assert_eq!(placed.expect(201)["number"], "1001");
}

async fn futures_join<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        match futures.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_meet_the_deadline_while_others_are_served() {
    let sandbox = Sandbox::new().await;
    let (server, _) = sandbox.serve_with_simulator().await;
    let key = sandbox.secret_key().await;
    let shop = server.client(&key);
    let target = Target { server, key };
    let before = target.server.process.resident_kib();
    let mut slow = Vec::new();
    for at in 0..200 {
        let path = ["/v1/orders", "/webhooks/stripe"][at % 2];
        let head = target.head(path, &format!("{JSON}Content-Length: 5000"));
        let mut socket = target.connect().await;
        let part = format!("{head}{{\"currency\":\"EUR\",");
        socket.write_all(part.as_bytes()).await.expect("a part");
        slow.push(socket);
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        shop.place_order().await;
        assert!(asked.elapsed() < Duration::from_secs(1), "others wait");
        // One byte now and then does not keep a body alive.
        for socket in &mut slow {
            socket.write_all(b" ").await.expect("a byte");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for mut socket in slow {
        let problem = answer(&mut socket).await;
        assert_eq!(problem["code"], "request_timeout");
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(8), "{took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    let after = target.server.process.resident_kib();
    assert!(
        after < before + MORE_MEMORY_KIB,
        "grew from {before} to {after} KiB"
    );
}
