//! Goal: every failure at the edge is a problem that helps and gives nothing away.
//! Method: a Rocket with a few routes behind [`edge`]; in process where that is enough, and over a raw socket
//! for what a well-behaved client cannot send.

use rocket::figment::Figment;
use rocket::http::{Accept, ContentType, Header, Method, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::{Build, Config, Rocket, delete, get, post, routes};
use serde::Deserialize;
use serde_json::Value;

use super::body::{Bytes, Json, OptionalJson};
use super::problem::{FieldError, Problem};
use super::problem_catalogue::Code;
use super::request_id::RequestId;
use super::throttle::{Policy, Throttle};

mod answers;
mod bodies;

const CANARY: &str = "CANARY-4f1c";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    quantity: u32,
    #[serde(default)]
    metadata: Option<Value>,
}

#[post("/v1/orders", data = "<order>")]
fn place(order: Json<Order>) -> Json<String> {
    Json(format!(
        "{} {}",
        order.0.quantity,
        order.0.metadata.is_some()
    ))
}

#[get("/v1/orders/<id>")]
fn fetch(id: u32) -> String {
    id.to_string()
}

#[delete("/v1/orders/<id>")]
fn remove(id: u32) -> String {
    format!("removed {id}")
}

#[get("/v1/lists?<limit>")]
fn list(limit: u8) -> String {
    limit.to_string()
}

#[post("/v1/orders/<_>/cancel", data = "<order>")]
fn cancel(order: OptionalJson<Order>) -> &'static str {
    if order.0.is_some() { "some" } else { "none" }
}

#[post("/webhooks/stripe", data = "<body>")]
fn webhook(body: Bytes) -> String {
    body.0.len().to_string()
}

#[get("/panic")]
fn panics() -> &'static str {
    panic!("{CANARY}")
}

#[get("/id")]
fn id(id: RequestId) -> String {
    id.as_str().to_owned()
}

#[get("/internal")]
fn internal() -> Problem {
    Problem::internal(&std::io::Error::other(CANARY))
}

#[get("/busy")]
fn busy() -> Problem {
    let throttle = Throttle::new(Policy {
        name: "orders",
        limit: 0,
        window_s: 60,
        max_keys: 1,
    });
    Problem::rate_limited(throttle.policy(), &throttle.hit(&1, 0))
}

/// A guard that always refuses, where a route may go on without it.
struct Refusing;

#[rocket::async_trait]
impl<'r> rocket::request::FromRequest<'r> for Refusing {
    type Error = super::problem::Refused;

    async fn from_request(
        request: &'r rocket::Request<'_>,
    ) -> rocket::request::Outcome<Self, Self::Error> {
        super::problem::fail(
            request,
            Problem::new(Code::Forbidden, "The key lacks a scope."),
        )
    }
}

#[get("/refused")]
fn refused(_guard: Refusing) -> &'static str {
    "never"
}

#[get("/tolerant")]
fn tolerant(guard: Option<Refusing>) -> &'static str {
    assert!(guard.is_some(), "{CANARY}");
    "never"
}

#[get("/locked")]
fn locked() -> Problem {
    Problem::new(Code::Unauthenticated, "No valid API key was given.")
}

#[post("/staff/login", data = "<form>")]
fn login(form: rocket::form::Form<Vec<String>>) -> String {
    form.into_inner().len().to_string()
}

fn server() -> Rocket<Build> {
    let figment = Figment::from(Config {
        port: 0,
        log_level: rocket::config::LogLevel::Off,
        ..Config::debug_default()
    });
    rocket::custom(figment).attach(super::edge()).mount(
        "/",
        routes![
            place, fetch, remove, list, cancel, webhook, panics, id, internal, busy, locked, login,
            refused, tolerant
        ],
    )
}

async fn client() -> Client {
    Client::untracked(server()).await.unwrap()
}

/// Reads a problem, having checked what all of them have.
async fn problem(response: LocalResponse<'_>, code: Code) -> Value {
    assert_eq!(response.status().code, code.status(), "{code:?}");
    assert_eq!(
        response.content_type().unwrap().to_string(),
        "application/problem+json"
    );
    let request_id = response.headers().get_one("Request-Id").unwrap().to_owned();
    assert_eq!(
        response.headers().get_one("X-Content-Type-Options"),
        Some("nosniff")
    );
    assert_eq!(
        response.headers().get_one("Cache-Control"),
        Some("no-store")
    );
    assert!(response.headers().contains("Content-Security-Policy"));
    let text = response.into_string().await.unwrap();
    assert!(!text.contains("CANARY"), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["code"], code.as_str(), "{json}");
    assert_eq!(json["type"], format!("/problems/{}", code.as_str()));
    assert_eq!(json["status"], code.status());
    assert_eq!(json["request_id"], request_id);
    json
}

async fn refuses(body: impl AsRef<[u8]>, content_type: &str, code: Code) -> Value {
    let client = client().await;
    let mut request = client.post("/v1/orders").body(body);
    request.add_header(Header::new("Content-Type", content_type.to_owned()));
    problem(request.dispatch().await, code).await
}
