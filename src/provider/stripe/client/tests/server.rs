//! A raw TCP server that answers as a test tells it, and the adapter that talks to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::super::super::wire::tests::session_json;
use super::super::super::{API_VERSION, Stripe, StripeSettings};
use crate::provider::{Ambiguity, CallRequest, CallResult, Outcome, PaymentProvider};

/// What the server does once it has read the request.
#[derive(Clone)]
pub enum Then {
    /// Sends these bytes and closes.
    Send(Vec<u8>),
    /// Sends these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Sends these bytes and says nothing more.
    Hang(Vec<u8>),
    /// Sends these bytes one by one.
    Drip(Vec<u8>, Duration),
}

/// A server, what it does next and everything it received.
pub struct Server {
    pub address: SocketAddr,
    then: Arc<Mutex<Then>>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    pub async fn start(then: Then) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let then = Arc::new(Mutex::new(then));
        let (next, log) = (Arc::clone(&then), Arc::clone(&received));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let then = next.lock().expect("not poisoned").clone();
                tokio::spawn(serve(stream, then, Arc::clone(&log)));
            }
        });
        Server {
            address,
            then,
            received,
        }
    }

    pub fn do_next(&self, then: Then) {
        *self.then.lock().expect("not poisoned") = then;
    }

    pub fn received(&self) -> String {
        let bytes = self.received.lock().expect("not poisoned").clone();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn stripe(&self, timeout: Duration) -> Stripe {
        stripe(&format!("http://{}", self.address), timeout)
    }

    pub async fn outcome(&self) -> Outcome {
        self.stripe(Duration::from_secs(5))
            .send(&call(), "key-1")
            .await
    }
}

async fn serve(mut stream: TcpStream, then: Then, log: Arc<Mutex<Vec<u8>>>) {
    let mut request = Vec::new();
    while !is_complete(&request) {
        let mut part = [0; 4_096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                let part = part.get(..length).expect("what was read");
                request.extend_from_slice(part);
                log.lock().expect("not poisoned").extend_from_slice(part);
            }
        }
    }
    match then {
        Then::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Then::Reset(bytes) => {
            let _ = stream.write_all(&bytes).await;
            sleep(Duration::from_millis(50)).await;
            stream.set_zero_linger().expect("a socket option");
        }
        Then::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            sleep(Duration::from_secs(60)).await;
        }
        Then::Drip(bytes, gap) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                sleep(gap).await;
            }
        }
    }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a length"))
}

fn settings(base_url: &str, timeout: Duration) -> StripeSettings {
    let _ = rustls::crypto::ring::default_provider().install_default();
    StripeSettings {
        api_key: "sk_test_secret".to_owned(),
        base_url: base_url.to_owned(),
        webhook_secrets: vec!["whsec_a".to_owned()],
        timeout,
        connect_timeout: Duration::from_millis(300),
    }
}

pub fn stripe(base_url: &str, timeout: Duration) -> Stripe {
    Stripe::new(settings(base_url, timeout)).expect("usable settings")
}

pub fn call() -> CallRequest {
    CallRequest {
        method: "POST".to_owned(),
        path: "/v1/checkout/sessions".to_owned(),
        body: b"mode=payment&a[0]=%2B".to_vec(),
        api_version: API_VERSION.to_owned(),
    }
}

pub fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

pub fn json(status: &str, headers: &str, body: &str) -> Vec<u8> {
    http(
        status,
        &format!("Content-Type: application/json\r\n{headers}"),
        body,
    )
}

pub fn good() -> Vec<u8> {
    json(
        "200 OK",
        "Request-Id: req_abc\r\n",
        &session_json().to_string(),
    )
}

pub fn why(outcome: &Outcome) -> Ambiguity {
    match &outcome.result {
        CallResult::Unknown(why) => *why,
        other => panic!("definitive: {other:?}"),
    }
}

pub async fn after(then: Then) -> Ambiguity {
    why(&Server::start(then).await.outcome().await)
}
