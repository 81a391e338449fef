//! Answers, whole or broken on purpose.
use std::io::{self, Cursor};
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
            // A content length that is never reached makes the server break the connection off.
            Body::Broken(bytes) => response.sized_body(bytes.len() + 64, Cursor::new(bytes)),
            Body::Dripping(bytes) => response.streamed_body(Drip::new(bytes)),
        };
        response.ok()
    }
}

/// A body of one byte a second.
struct Drip {
    left: std::vec::IntoIter<u8>,
    wait: Pin<Box<Sleep>>,
}

impl Drip {
    fn new(bytes: Vec<u8>) -> Drip {
        Drip {
            left: bytes.into_iter(),
            wait: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }
}

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.wait.as_mut().poll(context));
        if let Some(byte) = self.left.next() {
            buffer.put_slice(&[byte]);
            self.wait = Box::pin(tokio::time::sleep(DRIP));
        }
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
