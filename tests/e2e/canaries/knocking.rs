//! Every way to be refused: each route as everybody with every bad body, false webhooks, and a provider that quotes.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{CARD, Heard, SPACED_CARD, secret};
use crate::harness::{Client, Server, WEBHOOK_SECRET};

/// A request with a canary in every header that a client may send.
fn laden(client: &Client, method: Method, path: &str) -> RequestBuilder {
    client
        .request(method, path)
        .header("Cookie", format!("session={}", secret("a cookie")))
        .header("X-Api-Key", secret("a header of somebody else's"))
        .header("Order-Token", secret("an order token that is none"))
        .header(
            "Referer",
            format!("https://shop.example/{}", secret("a referrer")),
        )
        .header("User-Agent", secret("a user agent"))
        .header("Idempotency-Key", uuid::Uuid::new_v4().to_string())
}

/// Bodies that are refused, each with something in it that must not come back.
fn bad_bodies() -> Vec<(&'static str, String)> {
    let json = "application/json";
    let order = |more: Value| {
        let mut body = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body.to_string()
    };
    let mut bodies = vec![
        (json, format!("{{\"{}", secret("a body that is no JSON"))),
        (json, secret("a body that is no JSON").to_owned()),
        (
            json,
            json!([secret("the value of a field nobody knows")]).to_string(),
        ),
        (
            "application/x-www-form-urlencoded",
            format!("_method=DELETE&card={}", secret("a form")),
        ),
        ("text/plain", secret("a form").to_owned()),
        (
            json,
            order(
                json!({(secret("a field nobody knows")): secret("the value of a field nobody knows")}),
            ),
        ),
        (
            json,
            order(json!({"customer": {"email": secret("an e-mail address that is none")}})),
        ),
        (
            json,
            json!({"success_url": format!("ftp://x/{}", secret("a bad address to return to")),
                "cancel_url": format!("https://a b/{}", secret("a bad address to return to"))})
            .to_string(),
        ),
    ];
    for card in [CARD, SPACED_CARD] {
        for more in [
            json!({"reference": card}),
            json!({"customer": {"name": card}}),
            json!({"customer": {"name": format!("card {card} 12/30")}}),
            json!({"metadata": {"note": card}}),
            json!({"metadata": {card: "note"}}),
            json!({"shipping_address": {"line1": card}}),
            json!({"line_items": [{"name": card, "unit_price": "1.00", "quantity": 1}]}),
            json!({"line_items": [{"sku": card, "quantity": 1}]}),
        ] {
            bodies.push((json, order(more)));
        }
        let product = json!({"name": card, "description": card, "prices": {"EUR": "1.00"}});
        bodies.push((json, product.to_string()));
    }
    bodies
}

/// Calls every route of the document as nobody, with a forged key, and with each real key, in every bad way.
pub(super) async fn knock_everywhere(
    server: &Server,
    keys: &[&str],
    order: &str,
    heard: &mut Heard,
) {
    let anybody = Client::new(&server.url, None);
    let forged = server.client(secret("a key that is none"));
    let mut callers = vec![anybody.clone(), forged];
    callers.extend(keys.iter().map(|key| server.client(key)));
    let document = anybody.get("/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().expect("paths");
    let mut knocked = 0;
    for (template, operations) in paths {
        for method in operations.as_object().expect("operations").keys() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else {
                continue;
            };
            for id in [order, secret("a path")] {
                let parts = template.split('/').map(|part| match part.starts_with('{') {
                    true => id,
                    false => part,
                });
                let path = parts.collect::<Vec<_>>().join("/");
                let query = secret("a query string");
                for caller in &callers {
                    let asked =
                        format!("{path}?token={query}&limit={query}&q={query}&status={query}");
                    heard.send(laden(caller, method.clone(), &asked)).await;
                    if method == Method::GET {
                        continue;
                    }
                    for (content_type, body) in bad_bodies() {
                        let request = laden(caller, method.clone(), &path);
                        let request = request.header("Content-Type", content_type);
                        heard.send(request.body(body)).await;
                        knocked += 1;
                    }
                }
            }
        }
    }
    assert!(knocked > 200, "{knocked}");
    for request in [
        laden(&anybody, Method::GET, &format!("/{}", secret("a path"))),
        laden(&anybody, Method::DELETE, "/v1/orders"),
        anybody.request(Method::GET, "/v1/orders").header(
            "Authorization",
            format!("Basic {}", secret("a password of another scheme")),
        ),
        laden(
            &callers[2],
            Method::GET,
            &format!("/v1/orders?email={}", secret("a filter's value")),
        ),
        laden(
            &callers[2],
            Method::GET,
            &format!("/v1/orders?q={}", secret("a filter's value")),
        ),
        laden(
            &callers[2],
            Method::GET,
            &format!("/v1/orders?{}=1", secret("a filter's value")),
        ),
        laden(
            &callers[2],
            Method::GET,
            &format!("/v1/orders?starting_after={}", secret("a filter's value")),
        ),
    ] {
        heard.send(request).await;
    }
    // A method Rocket does not know is diverted before any handler.
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut socket = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    let (method, query) = (secret("an unknown method"), secret("a query string"));
    let raw = format!(
        "{method} /v1/orders?x={query} HTTP/1.1\r\nHost: x\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        secret("a cookie")
    );
    socket.write_all(raw.as_bytes()).await.expect("written");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    heard.refusals.push(answer);
}

/// Forged, stale and malformed webhooks.
pub(super) async fn false_webhooks(server: &Server, heard: &mut Heard) {
    let anybody = Client::new(&server.url, None);
    let forged = json!({"id": secret("a forged webhook"), "object": "event"}).to_string();
    let signed = format!("{{\"id\": \"{}\"", secret("a signed body that is no event"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("a time");
    let cases = [
        (None, forged.clone()),
        (
            Some(format!("t={now},v1={}", secret("a forged signature"))),
            forged.clone(),
        ),
        (
            Some(secret("a forged signature").to_owned()),
            forged.clone(),
        ),
        (
            Some(signature(secret("a forged signature"), now, &forged)),
            forged.clone(),
        ),
        (
            Some(signature(WEBHOOK_SECRET, now - 3_600, &forged)),
            forged,
        ),
        (Some(signature(WEBHOOK_SECRET, now, &signed)), signed),
    ];
    for (signature, body) in cases {
        let mut request = laden(&anybody, Method::POST, "/webhooks/stripe");
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        let answer = heard.send(request.body(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
}

fn signature(secret: &str, at: i64, body: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{at}.{body}").as_bytes());
    let hex = mac.finalize().into_bytes();
    let hex: String = hex.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

/// A provider that refuses everything and quotes what it was sent, the key included.
pub(super) async fn quoting_provider() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut asked = 0_usize;
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let status = [
                "401 Unauthorized",
                "400 Bad Request",
                "500 Oh No",
                "402 Payment Required",
            ];
            let status = status[asked % status.len()];
            asked += 1;
            let said = secret("what a failing provider says");
            let message = format!(
                "sk_test_{said} whsec_{said} https://x.example/{said} refused {CARD}: {request}"
            );
            let error = json!({"error": {"type": "invalid_request_error", "code": "refused",
                "message": message, "param": said, "doc_url": said}});
            let body = error.to_string();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRequest-Id: req_1\r\nX-Said: {said}\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = socket.write_all(head.as_bytes()).await;
            let _ = socket.write_all(body.as_bytes()).await;
        }
    });
    url
}
