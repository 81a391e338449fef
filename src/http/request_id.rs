//! `Request-Id`: the thread from an answer to the log.
//!
//! A caller's own id is taken when it is harmless to log, else one is made. Every response carries it.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Response};
use uuid::Uuid;

/// The id of the request being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The header, on requests and responses.
    pub const HEADER: &'static str = "Request-Id";

    /// The longest id taken from a caller.
    const MAX_LEN: usize = 128;

    /// The id of this request: the caller's, or one made when it is first asked for.
    ///
    /// Needs no fairing to have run: Rocket skips them for requests it could not parse.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r RequestId {
        request.local_cache(|| {
            let mut given = request.headers().get(Self::HEADER);
            match (given.next(), given.next()) {
                (id, None) => Self::given_or_new(id),
                _ => Self::given_or_new(None),
            }
        })
    }

    /// The id a caller gave, if it is harmless to log, else a new one.
    pub fn given_or_new(given: Option<&str>) -> RequestId {
        match given.filter(|id| Self::is_acceptable(id)) {
            Some(id) => RequestId(id.to_owned()),
            None => RequestId(format!("req_{}", Uuid::now_v7().simple())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_acceptable(id: &str) -> bool {
        (1..=Self::MAX_LEN).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for &'r RequestId {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(RequestId::of(request))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for RequestId {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(RequestId::of(request).clone())
    }
}

/// Sets the header on every response.
pub struct RequestIds;

#[rocket::async_trait]
impl Fairing for RequestIds {
    fn info(&self) -> Info {
        Info {
            name: "request ids",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        response.set_raw_header(
            RequestId::HEADER,
            RequestId::of(request).as_str().to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    //! Which ids are taken from a caller.

    use super::*;

    #[test]
    fn only_short_plain_ids_are_acceptable() {
        assert!(RequestId::is_acceptable("req_0193-Az"));
        assert!(RequestId::is_acceptable(&"a".repeat(128)));
        for id in ["", "a b", "a\nb", "ä", "a.b", &"a".repeat(129)] {
            assert!(!RequestId::is_acceptable(id), "{id:?}");
        }
    }
}
