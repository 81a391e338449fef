//! Forms that act: `Csrf<T>` reads one and believes it only when it was drawn for this session.
//!
//! Three things must hold. The form carries the token of its session, which no other site can read. The browser says
//! that it comes from here (`Sec-Fetch-Site`, else `Origin`). And the cookie is `SameSite=Strict`, so that another
//! site's form has no session at all. Errors never repeat what was typed.

use rocket::Request;
use rocket::data::{self, Data, FromData};
use rocket::form::{Form, FromForm, ValueField};
use rocket::http::RawStr;

use super::guard::{services, signed_in};
use crate::http::body;
use crate::http::problem::{Problem, Refused, fail};
use crate::http::problem_catalogue::Code;

/// The field that carries the session's token.
pub const FIELD: &str = "csrf";

/// A form of this session.
pub struct Csrf<T>(pub T);

/// A form that needs no session: signing in.
pub struct FromHere<T>(pub T);

#[rocket::async_trait]
impl<'r, T> FromData<'r> for Csrf<T>
where
    T: for<'f> FromForm<'f> + Send,
{
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        match read(request, data, true).await {
            Ok(form) => data::Outcome::Success(Csrf(form)),
            Err(problem) => fail(request, problem),
        }
    }
}

#[rocket::async_trait]
impl<'r, T> FromData<'r> for FromHere<T>
where
    T: for<'f> FromForm<'f> + Send,
{
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        match read(request, data, false).await {
            Ok(form) => data::Outcome::Success(FromHere(form)),
            Err(problem) => fail(request, problem),
        }
    }
}

async fn read<T>(request: &Request<'_>, data: Data<'_>, in_session: bool) -> Result<T, Problem>
where
    T: for<'f> FromForm<'f>,
{
    if !comes_from_here(request) {
        return Err(forged());
    }
    let bytes = body::read(request, data).await?;
    let fields = request
        .content_type()
        .filter(|given| given.is_form())
        .and_then(|_| decode(&bytes))
        .ok_or_else(unreadable)?;
    if in_session {
        let signed_in = signed_in(request).await?;
        let signed_in =
            signed_in.ok_or_else(|| Problem::new(Code::Unauthenticated, "Sign in to go on."))?;
        let mut tokens = fields.iter().filter(|(name, _)| name == FIELD);
        let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
            return Err(forged());
        };
        if !services(request)?.form_token_holds(&signed_in.session, token) {
            return Err(forged());
        }
    }
    let fields = fields
        .iter()
        .filter(|(name, _)| name != FIELD)
        .map(|(name, value)| ValueField::from((name.as_str(), value.as_str())));
    // What Rocket says of a form holds what was typed, so none of it is kept.
    Form::<T>::parse_iter(fields).map_err(|_| unreadable())
}

/// The fields of an encoded form; none when it holds what is no text.
fn decode(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let decoded = |part: &RawStr| part.url_decode().ok().map(std::borrow::Cow::into_owned);
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = RawStr::new(pair).split_at_byte(b'=');
            Some((decoded(name)?, decoded(value)?))
        })
        .map(|pair| pair.filter(|(_, value)| !value.contains('\0')))
        .collect()
}

fn unreadable() -> Problem {
    Problem::new(Code::BadRequest, "The form cannot be read.")
}

fn forged() -> Problem {
    Problem::new(
        Code::Forbidden,
        "This form was not drawn for your session, or not by Till. Nothing was done. Open the page again.",
    )
}

/// Whether a browser says that a request comes from a page of this host. What is no browser says nothing.
fn comes_from_here(request: &Request<'_>) -> bool {
    let one = |name| request.headers().get_one(name);
    match (one("Sec-Fetch-Site"), one("Origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let of_origin = origin.split_once("://").map(|(_, host)| host);
            // A proxy may leave the port out.
            let name = |host: &str| {
                host.rsplit_once(':')
                    .map_or(host, |(name, _)| name)
                    .to_owned()
            };
            let host = one("Host").map(name);
            host.is_some() && host == of_origin.map(name)
        }
        (None, None) => true,
    }
}
