//! HTTP to a server or a simulator.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// A caller of one server.
#[derive(Clone)]
pub struct Client {
    base_url: String,
    key: Option<String>,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Answer {
    /// Insists on a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Client {
    /// Somebody who calls `base_url`.
    pub fn new(base_url: &str, key: Option<&str>) -> Client {
        Client::waiting(base_url, key, Duration::from_secs(30))
    }

    /// Somebody who waits so long for an answer.
    pub fn waiting(base_url: &str, key: Option<&str>, timeout: Duration) -> Client {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .build()
            .expect("an HTTP client");
        Client {
            base_url: base_url.to_owned(),
            key: key.map(str::to_owned),
            http,
        }
    }

    /// A request with this caller's key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base_url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request and reads the answer; an error when none came.
    pub async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer {
            status,
            headers,
            text,
            json,
        })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        Client::send(self.request(Method::GET, path))
            .await
            .expect("an answer")
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        Client::send(self.request(Method::DELETE, path))
            .await
            .expect("an answer")
    }

    /// POST with a new idempotency key.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let key = uuid::Uuid::new_v4().to_string();
        self.try_post(path, &key, body).await.expect("an answer")
    }

    /// POST with this idempotency key; an error when no answer came.
    pub async fn try_post(&self, path: &str, key: &str, body: &Value) -> reqwest::Result<Answer> {
        let request = self
            .request(Method::POST, path)
            .header("Idempotency-Key", key);
        Client::send(request.json(body)).await
    }

    /// Places an order of 25.00 EUR and returns its id.
    pub async fn place_order(&self) -> String {
        let body = json!({
            "currency": "EUR",
            "line_items": [{"name": "Mug", "unit_price": "12.50", "quantity": 2}],
        });
        let order = self.post("/v1/orders", &body).await.expect(201);
        order["id"].as_str().expect("an id").to_owned()
    }

    /// Starts a checkout and returns the session.
    pub async fn check_out(&self, order: &str) -> Value {
        self.post(&checkout_path(order), &checkout_body())
            .await
            .expect(201)
    }

    /// An order as it is now.
    pub async fn order(&self, id: &str) -> Value {
        self.get(&format!("/v1/orders/{id}")).await.expect(200)
    }

    /// Waits until an order is paid.
    pub async fn until_paid(&self, id: &str) {
        super::eventually("the order is paid", 20, async || {
            self.order(id).await["payment_status"] == "paid"
        })
        .await;
    }

    /// At a simulator: pays a session.
    pub async fn pay(&self, session: &Value) {
        let at_provider = session["provider_session_id"]
            .as_str()
            .expect("a provider id");
        let path = format!("/_simulator/sessions/{at_provider}/pay");
        self.post(&path, &json!({})).await.expect(200);
    }

    /// At a simulator: adds a fault.
    pub async fn fault(&self, on: &str, action: &str) {
        let fault = json!({"on": on, "do": action});
        self.post("/_simulator/faults", &fault).await.expect(200);
    }

    /// At a simulator: how often an effect happened.
    pub async fn effects(&self, effect: &str) -> usize {
        let journal = self
            .get("/_simulator/journal?kind=effect")
            .await
            .expect(200);
        let entries = journal["data"].as_array().expect("a list");
        entries
            .iter()
            .filter(|entry| entry["effect"] == effect)
            .count()
    }
}

/// Where a checkout of an order is started.
pub fn checkout_path(order: &str) -> String {
    format!("/v1/orders/{order}/checkout_sessions")
}

/// The body of a checkout.
pub fn checkout_body() -> Value {
    json!({
        "success_url": "https://shop.example/thanks?order={ORDER_ID}",
        "cancel_url": "https://shop.example/cart",
    })
}
