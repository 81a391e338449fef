//! Somebody who calls Till over HTTP.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::TestApp;

/// A caller with a key, or without one.
#[derive(Clone)]
pub struct Actor {
    base_url: String,
    http: reqwest::Client,
    /// The API key.
    pub key: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
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
    /// Reads an answer to its end.
    pub async fn read(response: reqwest::Response) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            text,
            json,
        }
    }

    /// Insists on a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Insists on a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Answer {
        let answer = self.expect(status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.json["code"], code, "{}", answer.text);
        assert_eq!(answer.json["status"], status);
        assert_eq!(answer.json["type"], format!("/problems/{code}"));
        assert_eq!(
            answer.json["request_id"].as_str(),
            answer.header("request-id")
        );
        answer
    }

    /// The pointers of a problem's errors.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array();
        let errors = errors.map(Vec::as_slice).unwrap_or_default();
        errors
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A text field of the body.
    #[track_caller]
    pub fn str(&self, field: &str) -> &str {
        self.json[field]
            .as_str()
            .unwrap_or_else(|| panic!("no text {field}: {}", self.text))
    }
}

/// A key nobody used before.
pub fn fresh_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Actor {
    pub(super) fn new(app: &TestApp, key: Option<String>) -> Actor {
        Actor {
            base_url: app.base_url.clone(),
            http: app.http.clone(),
            key,
        }
    }

    /// The same caller at another server.
    pub fn at(&self, base_url: &str) -> Actor {
        Actor {
            base_url: base_url.to_owned(),
            ..self.clone()
        }
    }

    /// The id of this actor's key.
    pub fn key_id(&self) -> till::domain::ids::ApiKeyId {
        let text = self.key.as_deref().expect("an actor with a key");
        let id = text.split('_').nth(2).expect("a key holds its id");
        format!("key_{id}").parse().expect("an id")
    }

    /// A request with this actor's key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base_url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request and reads the answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.expect("Till answers")).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST with a new idempotency key.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with_key(path, &fresh_key(), body).await
    }

    /// POST with this idempotency key.
    pub async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("Idempotency-Key", key);
        self.send(request.json(body)).await
    }

    /// POST of a text as it is, said to be JSON.
    pub async fn post_text(&self, path: &str, key: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("Idempotency-Key", key);
        let request = request.header("Content-Type", "application/json");
        self.send(request.body(body)).await
    }

    /// Places an order of two mugs (25.00 EUR).
    pub async fn place_order(&self) -> Answer {
        self.post("/v1/orders", &two_mugs()).await.expect(201)
    }

    /// Starts a checkout of an order, with a new idempotency key.
    pub async fn check_out(&self, order: &str) -> Answer {
        let path = format!("/v1/orders/{order}/checkout_sessions");
        self.post(&path, &checkout_body()).await
    }

    /// An order as it is now.
    pub async fn order(&self, id: &str) -> Value {
        self.get(&format!("/v1/orders/{id}")).await.expect(200).json
    }
}

/// The body of an order of two mugs.
pub fn two_mugs() -> Value {
    json!({
        "currency": "EUR",
        "customer": {"email": "ada@example.com", "name": "Ada"},
        "line_items": [{"sku": "mug", "quantity": 2}],
    })
}

/// The body of a checkout.
pub fn checkout_body() -> Value {
    json!({
        "success_url": "https://shop.example/thanks?order={ORDER_ID}",
        "cancel_url": "https://shop.example/cart",
    })
}
