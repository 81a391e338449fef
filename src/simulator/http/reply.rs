//! Answers, whole or broken on purpose.
use std::io::{self, Cursor, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use rocket::response::{Responder, Response};
use rocket::{Request, catch};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

const DRIP: Duration = Duration::from_secs(1);
const FLUSH: Duration = Duration::from_millis(50);

/// How the body is sent.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// All of it, but more was announced: the connection breaks.
    Broken(Vec<u8>),
    /// A byte a second.
    Dripping(Vec<u8>),
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `application/json` and the like.
    pub content_type: ContentType,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Reply {
        Reply::text(status, ContentType::JSON, value.to_string())
    }

    /// An answer of some type.
    pub fn text(status: u16, content_type: ContentType, text: String) -> Reply {
        Reply {
            status,
            content_type,
            headers: vec![],
            body: Body::Whole(text.into_bytes()),
        }
    }

    /// The same with a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

impl<'r> Responder<'r, 'static> for Reply {
    fn respond_to(self, _request: &'r Request<'_>) -> rocket::response::Result<'static> {
        let mut response = Response::build();
        response
            .status(Status::new(self.status))
            .header(self.content_type);
        for (name, value) in self.headers {
            response.header(Header::new(name, value));
        }
        match self.body {
            Body::Whole(bytes) => response.sized_body(bytes.len(), Cursor::new(bytes)),
            // A content length that is never reached makes the server break the connection off; the
            // pause lets what there is reach the client first.
            Body::Broken(bytes) => {
                let announced = bytes.len() + 64;
                response
                    .raw_header("Content-Length", announced.to_string())
                    .streamed_body(Paced::new(bytes, usize::MAX, FLUSH))
            }
            Body::Dripping(bytes) => response.streamed_body(Paced::new(bytes, 1, DRIP)),
        };
        response.ok()
    }
}

/// A body that comes in steps, with a pause after each, the last one too.
struct Paced {
    left: Cursor<Vec<u8>>,
    step: usize,
    pause: Duration,
    wait: Pin<Box<Sleep>>,
}

impl Paced {
    fn new(bytes: Vec<u8>, step: usize, pause: Duration) -> Paced {
        let wait = Box::pin(tokio::time::sleep(Duration::ZERO));
        Paced {
            left: Cursor::new(bytes),
            step,
            pause,
            wait,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.wait.as_mut().poll(context));
        let mut part = vec![0; self.step.min(buffer.remaining())];
        let read = self.left.read(&mut part)?;
        buffer.put_slice(&part[..read]);
        self.wait = Box::pin(tokio::time::sleep(self.pause));
        Poll::Ready(Ok(()))
    }
}

/// What no route answers.
#[catch(default)]
pub fn caught(status: Status, request: &Request<'_>) -> Reply {
    let message = format!(
        "Unrecognized request URL ({}: {}).",
        request.method(),
        request.uri().path()
    );
    let kind = if status.code < 500 {
        "invalid_request_error"
    } else {
        "api_error"
    };
    Reply::json(
        status.code,
        &json!({ "error": { "message": message, "type": kind } }),
    )
}
