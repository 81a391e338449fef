//! Hands a request to Rocket, in process.
//!
//! hyper drops what answers a request when its client goes away. What Rocket has begun must come to its end
//! nevertheless: money may be moving. It runs within the connection's task while there is one, which costs
//! nothing, and in a task of its own from when the connection ends.
//!
//! Rocket's guard `&Host` is not served: nothing asks for it.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use rocket::http::uri::Origin;
use rocket::http::{Cookie, Header, Method};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Shared;
use super::answer::{self, Answer, Sent};
use super::arrival::Share;
use super::connections::{Link, Phase};
use crate::http::body::Arrival;

/// Answers a request, one way or another.
pub(super) async fn answer(
    shared: Arc<Shared>,
    link: Arc<Link>,
    remote: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    if !matches!(link.phase(), Phase::Head | Phase::NextHead) {
        // It came together with the one before it. Others have their turn first, or whoever sends many requests
        // at once would keep a thread to itself.
        tokio::task::yield_now().await;
    }
    link.enter(Phase::Body);
    let arrived = super::arrival::read(body, &shared.body, &shared.kept).await;
    link.enter(Phase::Answering);
    let whole = arrived.0 == Arrival::Whole;
    let named = names_one_host(&parts);
    let admission = shared.admission.as_ref().filter(|_| named);
    let full = admission.is_some_and(|one| one.is_full(parts.method.as_str(), parts.uri.path()));
    let mut answer = match full {
        _ if !named => answer::without_host(&parts),
        true => answer::full(&parts),
        false => Running::begin(shared, parts, remote, arrived).await,
    };
    // What is left of such a body is not read: a client that is not told would lose its next request.
    if !whole {
        let close = hyper::header::HeaderValue::from_static("close");
        answer
            .headers_mut()
            .insert(hyper::header::CONNECTION, close);
    }
    match answer.body_mut() {
        Sent::Stream(stream) => stream.belongs_to(link),
        Sent::Whole(_) | Sent::Nothing => link.enter(Phase::Answered),
    }
    Ok(answer)
}

/// HTTP/1.1 wants one `Host`, no more: what stands in front of Till might believe another one of two.
fn names_one_host(parts: &Parts) -> bool {
    let named = parts.headers.get_all(hyper::header::HOST).iter().count();
    named == 1 || (named == 0 && parts.version < hyper::Version::HTTP_11)
}

/// A request that Rocket is at. Dropped before its end, it goes on in a task of its own.
struct Running {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    answer: oneshot::Receiver<Answer>,
    runtime: Handle,
}

impl Running {
    fn begin(
        shared: Arc<Shared>,
        parts: Parts,
        remote: SocketAddr,
        arrived: (Arrival, Bytes, Share),
    ) -> Running {
        let (tell, answer) = oneshot::channel();
        Running {
            work: Some(Box::pin(run(shared, parts, remote, arrived, tell))),
            answer,
            runtime: Handle::current(),
        }
    }
}

impl Future for Running {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        if let Some(work) = &mut self.work {
            // Rocket catches the panics of handlers, not those of fairings.
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
            if !matches!(polled, Ok(Poll::Pending)) {
                self.work = None;
            }
        }
        // The work tells its answer while it is polled, so nothing else will ever wake this.
        match (self.answer.try_recv(), &self.work) {
            (Ok(answer), _) => Poll::Ready(answer),
            (Err(_), Some(_)) => Poll::Pending,
            (Err(_), None) => Poll::Ready(answer::failed()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}

async fn run(
    shared: Arc<Shared>,
    parts: Parts,
    remote: SocketAddr,
    (arrival, body, _share): (Arrival, Bytes, Share),
    tell: oneshot::Sender<Answer>,
) {
    let _under_way = shared.requests.token();
    let uri = parts.uri.path_and_query();
    let path = uri.map_or("/", |uri| uri.path());
    let mut request = match (method(&parts.method), uri) {
        (Some(method), Some(uri)) => {
            let query = uri.query().map(std::borrow::Cow::Borrowed);
            shared.client.req(method, Origin::new(path, query))
        }
        _ => shared.client.req(Method::Get, Unusable(path)),
    };
    for (name, value) in &parts.headers {
        // Rocket takes text only; what is not is as good as not sent.
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else {
            continue;
        };
        if name == hyper::header::COOKIE {
            for cookie in Cookie::split_parse_encoded(value).flatten() {
                request = request.cookie(cookie);
            }
        }
        let header = Header::new(name.as_str(), value);
        request.inner_mut().add_header(header);
    }
    request.inner().local_cache(|| arrival);
    request.inner_mut().set_remote(remote);
    request.set_body(body);
    let is_head = parts.method == hyper::Method::HEAD;
    answer::tell(request.dispatch().await, is_head, tell).await;
}

/// What Rocket cannot take: a method it does not know, or an address without a path. Its catcher answers 400 to
/// what does not become a URI, and no fairing of requests runs.
struct Unusable<'p>(&'p str);

impl fmt::Display for Unusable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl<'p> TryFrom<Unusable<'p>> for Origin<'p> {
    type Error = ();

    fn try_from(_: Unusable<'p>) -> Result<Self, ()> {
        Err(())
    }
}

/// The methods Rocket knows.
fn method(method: &hyper::Method) -> Option<Method> {
    Some(match *method {
        hyper::Method::GET => Method::Get,
        hyper::Method::PUT => Method::Put,
        hyper::Method::POST => Method::Post,
        hyper::Method::DELETE => Method::Delete,
        hyper::Method::OPTIONS => Method::Options,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::TRACE => Method::Trace,
        hyper::Method::CONNECT => Method::Connect,
        hyper::Method::PATCH => Method::Patch,
        _ => return None,
    })
}
