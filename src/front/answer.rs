//! Makes of Rocket's answer what hyper sends: a body of known size in one piece, which goes out with its head in one
//! write, and a stream as it comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use rocket::local::asynchronous::LocalResponse;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{mpsc, oneshot};

use super::connections::{Link, Phase};
use crate::http::cors;
use crate::http::problem::Problem;
use crate::http::problem_catalogue::Code;
use crate::http::request_id::RequestId;

/// An answer on its way to the client.
pub(super) type Answer = Response<Sent>;

/// An answer's body.
pub(super) enum Sent {
    /// In one piece.
    Whole(Option<Bytes>),
    /// None, but the head speaks of one: the answer to HEAD, or 304.
    Nothing,
    /// Piece by piece.
    Stream(Stream),
}

/// A body whose size is not known.
pub(super) struct Stream {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    link: Option<Arc<Link>>,
}

impl Stream {
    /// The connection it is sent over.
    pub fn belongs_to(&mut self, link: Arc<Link>) {
        self.link = Some(link);
    }

    fn enter(&self, phase: Phase) {
        if let Some(link) = &self.link {
            link.enter(phase);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.enter(Phase::Answered);
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Sent::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Sent::Nothing => Poll::Ready(None),
            Sent::Stream(stream) => {
                // Whatever was made of it was sent, so it is not the client who is waited for.
                stream.enter(Phase::Answering);
                let piece = stream.pieces.poll_recv(context);
                piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // hyper takes the length out of the head of a 304 whose body has ended.
        matches!(self, Sent::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Sent::Whole(bytes) => {
                let size = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
            }
            Sent::Nothing | Sent::Stream(_) => SizeHint::default(),
        }
    }
}

/// Tells what Rocket answered: at once when its size is known, else its head, and then its body as it comes.
pub(super) async fn tell(
    mut from: LocalResponse<'_>,
    is_head: bool,
    tell: oneshot::Sender<Answer>,
) {
    let Some((status, mut headers)) = head(&from) else {
        // Nobody waits any more, or hyper learns it.
        let _ = tell.send(failed());
        return;
    };
    let size = from.body().preset_size();
    let body = if is_head || status == StatusCode::NOT_MODIFIED {
        if let Some(size) = size {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        }
        Sent::Nothing
    } else if let Some(size) = size {
        // hyper writes the length of what it gets.
        headers.remove(header::CONTENT_LENGTH);
        match read(&mut from, size).await {
            Some(bytes) => Sent::Whole(bytes),
            None => {
                let _ = tell.send(failed());
                return;
            }
        }
    } else if from.body().is_none() {
        Sent::Whole(None)
    } else {
        let (sender, pieces) = mpsc::channel(1);
        let stream = Sent::Stream(Stream { pieces, link: None });
        // Without a client nobody reads the stream either, and it ends at its first piece.
        let _ = tell.send(compose(status, headers, stream));
        return stream_to(from, sender).await;
    };
    // The client may be gone; then nobody waits.
    let _ = tell.send(compose(status, headers, body));
}

fn compose(status: StatusCode, headers: HeaderMap, body: Sent) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

fn head(from: &LocalResponse<'_>) -> Option<(StatusCode, HeaderMap)> {
    let status = StatusCode::from_u16(from.status().code).ok()?;
    let given = from.headers();
    let mut headers = HeaderMap::with_capacity(given.len() + 2);
    for header in given.iter() {
        let name = HeaderName::from_bytes(header.name.as_str().as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(header.value.as_bytes()).ok()?);
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    Some((status, headers))
}

/// Reads a body of known size; none if it ends before.
async fn read(from: &mut LocalResponse<'_>, size: usize) -> Option<Option<Bytes>> {
    if size == 0 {
        return Some(None);
    }
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        match from.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
    bytes.truncate(size);
    Some(Some(Bytes::from(bytes)))
}

async fn stream_to(mut from: LocalResponse<'_>, pieces: mpsc::Sender<io::Result<Bytes>>) {
    let most = from.body().max_chunk_size();
    loop {
        let mut piece = Vec::with_capacity(most);
        let read = match from.read_buf(&mut piece).await {
            Ok(0) => return,
            Ok(_) => Ok(Bytes::from(piece)),
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if pieces.send(read).await.is_err() || failed {
            return;
        }
    }
}

/// The answer to a request for which there is no room, as Rocket would give it.
pub(super) fn full(parts: &Parts) -> Answer {
    let detail = "Too many requests wait for the database; nothing was done. Try again.";
    refused(parts, Problem::new(Code::Overloaded, detail))
}

/// The answer to a request that does not say of which host it is, or says so twice.
pub(super) fn without_host(parts: &Parts) -> Answer {
    let detail = "The request must have one `Host` header.";
    refused(parts, Problem::new(Code::BadRequest, detail))
}

fn refused(parts: &Parts, why: Problem) -> Answer {
    let mut given = parts.headers.get_all(RequestId::HEADER).iter();
    let id = match (given.next(), given.next()) {
        (Some(id), None) => id.to_str().ok(),
        _ => None,
    };
    let mut answer = problem(&why, id);
    if parts.uri.path().starts_with("/v1/") {
        for (name, value) in cors::READABLE {
            let (name, value) = (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// The answer when Rocket gives none.
pub(super) fn failed() -> Answer {
    let detail = "An unexpected error occurred.";
    problem(&Problem::new(Code::InternalError, detail), None)
}

fn problem(problem: &Problem, request_id: Option<&str>) -> Answer {
    let request_id = RequestId::given_or_new(request_id);
    // It has no part that could not be written.
    let body = serde_json::to_vec(&problem.body(request_id.as_str())).unwrap_or_default();
    let mut headers = HeaderMap::with_capacity(14);
    for (name, value) in [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", "interest-cohort=()"),
        ("x-frame-options", "SAMEORIGIN"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(HeaderName::from_static("request-id"), id);
    }
    if let Some(seconds) = problem.code().default_retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let status = StatusCode::from_u16(problem.status().code);
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    compose(status, headers, Sent::Whole(Some(Bytes::from(body))))
}
