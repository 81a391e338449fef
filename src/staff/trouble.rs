//! Pages that say what went wrong, for everything under `/staff`.
//!
//! They are made from the problems of the HTTP edge, so that a status, its `Allow` and its `Retry-After` are the same
//! everywhere. Whoever is not signed in is sent to sign in instead.

use askama::Template;
use rocket::Request;
use rocket::catcher::{BoxFuture, Catcher};
use rocket::http::uri::fmt::{Query, UriDisplay};
use rocket::http::{Header, Method, Status};
use rocket::response::{self, Responder, Response};

use super::guard::{known_sender, signed_in};
use super::page::{Frame, Section, html};
use super::{parts, words};
use crate::domain::ids::ShopId;
use crate::http::answer::service_problem;
use crate::http::catchers::problem_of;
use crate::http::problem::Problem;
use crate::http::problem_catalogue::Code;
use crate::http::request_id::RequestId;
use crate::service::ServiceError;

/// What went wrong, as a page.
pub struct Trouble(pub Problem);

impl Trouble {
    /// There is nothing here, or nothing they may see.
    #[must_use]
    pub fn not_found() -> Trouble {
        Trouble(Problem::not_found())
    }
}

impl From<ServiceError> for Trouble {
    fn from(error: ServiceError) -> Self {
        Trouble(service_problem(error))
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Trouble(problem)
    }
}

#[derive(Template)]
#[template(path = "trouble.html", config = "src/staff/templates/askama.toml")]
struct TroublePage {
    frame: Frame,
    title: &'static str,
    text: String,
    wait: Option<String>,
    request_id: String,
}

impl<'r> Responder<'r, 'static> for Trouble {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let problem = self.0;
        if problem.code() == Code::Unauthenticated {
            return Ok(to_sign_in(request));
        }
        let (title, text) = said(&problem);
        let frame = frame(request);
        let wait = problem.comes_back_after_s().map(words::trouble::wait);
        let page = TroublePage {
            frame,
            title,
            text,
            wait: wait.filter(|_| problem.status().code == 429),
            request_id: RequestId::of(request).as_str().to_owned(),
        };
        let mut response = html(&page).map_err(|_| Status::InternalServerError)?;
        response.set_status(problem.status());
        if let Some(seconds) = problem.comes_back_after_s() {
            response.set_raw_header("Retry-After", seconds.to_string());
        }
        for (name, value) in problem.headers() {
            response.set_header(Header::new(*name, value.clone()));
        }
        problem.told(request);
        Ok(response)
    }
}

/// What stands around the page: the shop that the address names stays chosen.
fn frame(request: &Request<'_>) -> Frame {
    let Some(sender) = known_sender(request) else {
        return Frame::for_nobody();
    };
    let named = request.uri().path().segments().get(1);
    let named = named.and_then(|segment| segment.parse::<ShopId>().ok());
    let shop = sender.shops.iter().find(|shop| Some(shop.id) == named);
    let shop = shop.cloned();
    let frame = Frame::of(&sender.session, sender.shops, Section::Own);
    match shop {
        Some(shop) => frame.in_shop(shop),
        None => frame,
    }
}

/// What a problem is called, and what to do about it.
fn said(problem: &Problem) -> (&'static str, String) {
    let detail = || problem.detail().to_owned();
    match problem.status().code {
        404 => (
            words::trouble::NOT_FOUND,
            words::trouble::NOT_FOUND_TEXT.to_owned(),
        ),
        403 => (words::trouble::FORBIDDEN, detail()),
        429 => (
            words::trouble::TOO_MANY,
            words::trouble::TOO_MANY_TEXT.to_owned(),
        ),
        503 => (
            words::trouble::UNAVAILABLE,
            words::trouble::UNAVAILABLE_TEXT.to_owned(),
        ),
        500.. => (
            words::trouble::FAILED,
            words::trouble::FAILED_TEXT.to_owned(),
        ),
        _ => (words::trouble::REFUSED, detail()),
    }
}

/// The console's page that a form was sent from, as the browser says; the start when it does not.
fn page_before(request: &Request<'_>) -> String {
    let referer = request.headers().get_one("Referer").unwrap_or_default();
    let after_scheme = referer.split_once("://").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').and_then(|at| after_scheme.get(at..));
    let path = path.unwrap_or(super::BASE);
    // A form that was shown again stands at an address that is for sending only.
    let page = match path == request.uri().path().as_str() {
        true => path.rsplit_once('/').map_or(super::BASE, |(page, _)| page),
        false => path,
    };
    page.to_owned()
}

/// Sends a browser to sign in, and back to a page it only wanted to read, or to the one whose form it sent: of that
/// nothing was done.
fn to_sign_in(request: &Request<'_>) -> Response<'static> {
    let wanted = request.uri().to_string();
    let target = match request.method() {
        Method::Get if wanted == super::BASE => format!("{}/sign-in", super::BASE),
        Method::Get => {
            let next = &wanted as &dyn UriDisplay<Query>;
            format!("{}/sign-in?next={next}", super::BASE)
        }
        // That was wanted anyway.
        _ if wanted.ends_with("/sign-out") => format!("{}/sign-in", super::BASE),
        _ => {
            let next = page_before(request);
            let next = &next as &dyn UriDisplay<Query>;
            format!("{}/sign-in?ended=true&next={next}", super::BASE)
        }
    };
    let mut response = Response::build();
    if request.headers().contains("HX-Request") {
        // A redirect would put the sign-in page into a part of this one.
        return response
            .status(Status::Unauthorized)
            .raw_header("HX-Redirect", target)
            .finalize();
    }
    response
        .status(Status::SeeOther)
        .raw_header("Location", target)
        .finalize()
}

/// The catcher of everything under `/staff`.
#[must_use]
pub fn catcher() -> Catcher {
    Catcher::new(None, answer)
}

fn answer<'r>(status: Status, request: &'r Request<'_>) -> BoxFuture<'r> {
    Box::pin(async move {
        // Where no guard has: whoever is signed in keeps the navigation. That it failed is not what went wrong here.
        let _ = signed_in(request).await;
        Trouble(problem_of(status, request)).respond_to(request)
    })
}
