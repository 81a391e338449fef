//! A simulator with a client, and a receiver of webhooks.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Response, redirect};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::simulator::{Simulator, SimulatorConfig};

pub const BASKET: &str = "mode=payment&success_url=https://shop.example/done?s={CHECKOUT_SESSION_ID}\
     &cancel_url=https://shop.example/back&line_items[0][quantity]=2\
     &line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]=1050\
     &line_items[0][price_data][product_data][name]=Tea&metadata[order]=o_1\
     &payment_intent_data[metadata][order]=o_1";

pub struct Bench {
    pub simulator: Simulator,
    pub client: Client,
    pub url: String,
}

/// A status and a JSON body.
pub type Answer = (u16, Value);

impl Bench {
    pub async fn start() -> Bench {
        Bench::with(SimulatorConfig::default()).await
    }

    pub async fn with(config: SimulatorConfig) -> Bench {
        let simulator = Simulator::start(config).await.expect("starts");
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(3))
            .no_proxy()
            .build()
            .expect("a client");
        let url = simulator.base_url();
        Bench {
            simulator,
            client,
            url,
        }
    }

    pub async fn send(
        &self,
        path: &str,
        form: &str,
        key: Option<&str>,
    ) -> reqwest::Result<Response> {
        let mut request = self
            .client
            .post(format!("{}{path}", self.url))
            .bearer_auth("sk_test_1");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(form.to_owned()).send().await
    }

    pub async fn post(&self, path: &str, form: &str) -> Answer {
        answer(self.send(path, form, None).await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self
            .client
            .get(format!("{}{path}", self.url))
            .basic_auth("sk_test_1", Some(""));
        answer(request.send().await.expect("an answer")).await
    }

    pub async fn control(&self, path: &str, body: Value) -> Value {
        let request = self
            .client
            .post(format!("{}/_simulator{path}", self.url))
            .json(&body);
        let (status, body) = answer(request.send().await.expect("an answer")).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn session(&self) -> String {
        self.session_with("").await
    }

    pub async fn session_with(&self, more: &str) -> String {
        let (status, body) = self
            .post("/v1/checkout/sessions", &format!("{BASKET}{more}"))
            .await;
        assert_eq!(status, 200, "{body}");
        text(&body["id"])
    }

    /// A paid session's session, intent and charge.
    pub async fn paid(&self, more: &str) -> (String, String, String) {
        let session = self.session_with(more).await;
        let paid = self
            .control(&format!("/sessions/{session}/pay"), json!({}))
            .await;
        let intent = text(&paid["payment_intent"]);
        let (_, body) = self.get(&format!("/v1/payment_intents/{intent}")).await;
        (session, intent, text(&body["latest_charge"]))
    }

    /// The types of all events, oldest first.
    pub async fn events(&self) -> Vec<String> {
        let (_, body) = self.get("/v1/events?limit=100").await;
        let mut types: Vec<_> = items(&body)
            .iter()
            .map(|event| text(&event["type"]))
            .collect();
        types.reverse();
        types
    }
}

pub async fn answer(response: Response) -> Answer {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

pub fn items(list: &Value) -> &Vec<Value> {
    list["data"].as_array().expect("a list")
}

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub head: String,
    pub body: String,
}

impl Arrived {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn kind(&self) -> String {
        text(&self.event()["type"])
    }

    pub fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .next()
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    }
}

/// Answers webhooks with the given statuses, then with 200.
pub struct Receiver {
    pub url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Receiver {
    pub async fn start(statuses: &[u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let arrived = Arc::new(Mutex::new(vec![]));
        let statuses = Arc::new(Mutex::new(statuses.to_vec()));
        let kept = arrived.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, kept.clone(), statuses.clone()));
            }
        });
        Receiver { url, arrived }
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("not poisoned").clone()
    }

    /// Waits until so many arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrived> {
        for _ in 0..300 {
            let arrived = self.arrived();
            if arrived.len() >= count {
                return arrived;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} of {count} webhooks arrived", self.arrived().len());
    }
}

async fn receive(
    mut stream: TcpStream,
    kept: Arc<Mutex<Vec<Arrived>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
) {
    let mut buffer = Vec::new();
    loop {
        let cut = buffer.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(cut) = cut {
            let head = String::from_utf8_lossy(&buffer[..cut]).into_owned();
            let mut one = Arrived {
                head,
                body: String::new(),
            };
            let length: usize = one.header("Content-Length").parse().unwrap_or(0);
            if buffer.len() >= cut + 4 + length {
                let rest = buffer.split_off(cut + 4 + length);
                one.body = String::from_utf8_lossy(&buffer[cut + 4..]).into_owned();
                buffer = rest;
                kept.lock().expect("not poisoned").push(one);
                let status = next_status(&statuses);
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
        }
        let mut part = [0; 8192];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(read) => buffer.extend_from_slice(&part[..read]),
        }
    }
}

fn next_status(statuses: &Mutex<Vec<u16>>) -> u16 {
    let mut statuses = statuses.lock().expect("not poisoned");
    if statuses.is_empty() {
        200
    } else {
        statuses.remove(0)
    }
}
