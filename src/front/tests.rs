//! Goal: what any client can do to the server, over real sockets: every request is answered as Rocket answers it,
//! bad ones with a problem, and nobody keeps what others need.
//! Method: a Rocket with a few routes behind the HTTP edge, in Till's server, with short limits.

mod bounds;
mod endings;
mod wire;

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::response::Responder;
use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::sync::Semaphore;
use rocket::{Data, State, delete, get, post, routes};
use serde::Deserialize;

use super::*;
use crate::http::body::{Bytes, Json};
use crate::http::problem::Problem;
use crate::http::problem_catalogue::Code;

const CANARY: &str = "CANARY-4f1c";
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
struct Order {
    quantity: u32,
}

#[post("/v1/orders", data = "<order>")]
fn place(order: Json<Order>) -> Json<String> {
    Json(order.0.quantity.to_string())
}

#[delete("/v1/orders/<id>")]
fn remove(id: u32) -> String {
    format!("removed {id}")
}

#[get("/v1/orders/<id>")]
fn fetch(id: u32) -> String {
    id.to_string()
}

#[post("/webhooks/stripe", data = "<body>")]
fn webhook(body: Bytes) -> String {
    body.0.len().to_string()
}

#[get("/busy")]
fn busy() -> Problem {
    let detail = "Too many requests wait for the database; nothing was done. Try again.";
    Problem::new(Code::Overloaded, detail)
}

#[get("/panic")]
fn panics() -> &'static str {
    panic!("{CANARY}")
}

#[get("/fairing-panics")]
fn fairing_panics() -> &'static str {
    "never"
}

#[get("/nothing")]
fn nothing() -> Status {
    Status::NoContent
}

#[get("/cookie")]
fn cookie(jar: &CookieJar<'_>) -> String {
    jar.get("name")
        .map_or_else(String::new, |cookie| cookie.value().to_owned())
}

#[get("/from")]
fn from(remote: SocketAddr) -> String {
    remote.ip().to_string()
}

/// A body whose size nobody knows.
struct Unsized(Vec<u8>);

impl<'r> Responder<'r, 'static> for Unsized {
    fn respond_to(self, _: &'r rocket::Request<'_>) -> rocket::response::Result<'static> {
        let body = Cursor::new(self.0);
        Ok(rocket::Response::build().streamed_body(body).finalize())
    }
}

#[get("/stream/<size>")]
fn stream(size: usize) -> Unsized {
    Unsized(vec![b's'; size])
}

#[get("/large")]
fn large() -> Vec<u8> {
    vec![b'l'; 32 << 20]
}

/// What a handler waits for, and whether it came to its end.
struct Work {
    may_end: Semaphore,
    begun: AtomicUsize,
    ended: AtomicBool,
}

#[post("/work", data = "<_body>")]
async fn work(work: &State<Arc<Work>>, _body: Data<'_>) -> &'static str {
    work.begun.fetch_add(1, Ordering::SeqCst);
    let may_end = work.may_end.acquire().await;
    drop(may_end);
    work.ended.store(true, Ordering::SeqCst);
    "done"
}

/// Full of this path.
struct FullOf(&'static str);

impl Admission for FullOf {
    fn is_full(&self, method: &str, path: &str) -> bool {
        method == "POST" && path == self.0
    }
}

/// A server and what its handlers wait for.
struct Running {
    front: Front,
    work: Arc<Work>,
}

impl Running {
    async fn start(limits: Limits) -> Running {
        let doing = Arc::new(Work {
            may_end: Semaphore::new(0),
            begun: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let figment = rocket::figment::Figment::from(rocket::Config {
            port: 0,
            log_level: rocket::config::LogLevel::Off,
            ident: rocket::config::Ident::none(),
            shutdown: rocket::config::Shutdown {
                grace: 1,
                mercy: 1,
                ..rocket::config::Shutdown::default()
            },
            ..rocket::Config::debug_default()
        });
        let body = BodyLimits {
            read_timeout: Duration::from_millis(300),
            ..BodyLimits::default()
        };
        let panics_in_fairing = AdHoc::on_request("panics", |request, _| {
            let panics = request.uri().path() == "/fairing-panics";
            Box::pin(async move { assert!(!panics, "{CANARY}") })
        });
        let rocket = rocket::custom(figment)
            .manage(body)
            .manage(Arc::clone(&doing))
            .attach(crate::http::edge())
            .attach(panics_in_fairing)
            .mount(
                "/",
                routes![
                    place,
                    remove,
                    fetch,
                    webhook,
                    busy,
                    panics,
                    fairing_panics,
                    nothing,
                    cookie,
                    from,
                    stream,
                    large,
                    work
                ],
            );
        let admission = Arc::new(FullOf("/v1/full"));
        let front = Front::start(rocket, limits, Some(admission)).await;
        let front = front.unwrap();
        Running { front, work: doing }
    }

    async fn usual() -> Running {
        Running::start(Limits::with_connections(64)).await
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.front.address()).await.unwrap())
    }

    /// What one request is answered; the connection ends with it.
    async fn ask(&self, head: &str) -> String {
        let mut client = self.connect().await;
        client
            .send(&format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n"))
            .await;
        client.rest().await
    }
}

/// A raw connection.
struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything up to a text, which must come.
    async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&text).ends_with(end) {
                match self.0.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => text.extend_from_slice(&buffer[..read]),
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Everything up to the connection's end, which must come.
    async fn rest(&mut self) -> String {
        let mut text = Vec::new();
        let read = self.0.read_to_end(&mut text);
        // A connection that is cut may end with an error, after what was read.
        let _ = tokio::time::timeout(PATIENCE, read).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}

async fn eventually(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

fn assert_problem(answer: &str, code: Code) {
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
