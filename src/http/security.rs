//! What is refused before routing, and the headers every response carries.
//!
//! Rocket lets a form field `_method` change a POST into any other method before a fairing sees the request.
//! So a form is refused outside the staff console whatever its method has become, and within it when that is no
//! longer POST. A fairing cannot answer: it
//! keeps the problem for the catcher and gives the request a method no route has.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{ContentType, Method};
use rocket::{Data, Request, Response};

use super::body;
use super::problem::{self, Problem};
use super::problem_catalogue::Code;

/// The one place that takes forms.
const FORMS_UNDER: &str = "staff";

/// What pages of the console may load and do: only what is served beside them.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                              connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Longer than any address we hand out, with room for a list's filters.
const MAX_URI_BYTES: usize = 8 * 1024;

/// No route of ours has it.
const UNROUTABLE: Method = Method::Connect;

/// Refuses bodies that did not come whole, forms outside the staff console, and addresses that are too long.
pub struct Gate;

#[rocket::async_trait]
impl Fairing for Gate {
    fn info(&self) -> Info {
        Info {
            name: "gate",
            kind: Kind::Request,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        let problem = if let Some(problem) = body::not_whole(request) {
            problem
        } else if uri_bytes(request) > MAX_URI_BYTES {
            Problem::new(
                Code::UriTooLong,
                format!("Path and query may have {MAX_URI_BYTES} bytes together."),
            )
        } else if is_form(request) && !takes_form(request) && !data.peek(1).await.is_empty() {
            Problem::new(
                Code::UnsupportedMediaType,
                "Forms are not accepted here. Send JSON with `Content-Type: application/json`.",
            )
        } else {
            return;
        };
        problem::divert(request, problem);
        request.set_method(UNROUTABLE);
    }
}

fn uri_bytes(request: &Request<'_>) -> usize {
    let uri = request.uri();
    uri.path().as_str().len() + uri.query().map_or(0, |query| query.as_str().len())
}

/// Rocket looks at the same, first content type before it obeys `_method`.
fn is_form(request: &Request<'_>) -> bool {
    request
        .content_type()
        .is_some_and(|given| given.is_form() || given.is_form_data())
}

/// The staff console takes plain forms by POST, and no files.
fn takes_form(request: &Request<'_>) -> bool {
    is_under(request, FORMS_UNDER)
        && request.method() == Method::Post
        && request.content_type().is_some_and(|given| given.is_form())
}

/// By decoded segments, as Rocket routes.
fn is_under(request: &Request<'_>, first_segment: &str) -> bool {
    request.uri().path().segments().next() == Some(first_segment)
}

/// Sets the headers that keep browsers from guessing, leaking and storing.
pub struct SecurityHeaders;

#[rocket::async_trait]
impl Fairing for SecurityHeaders {
    fn info(&self) -> Info {
        Info {
            name: "security headers",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        response.set_raw_header("X-Content-Type-Options", "nosniff");
        default_header(response, "Referrer-Policy", "no-referrer");
        if is_under(request, "v1") {
            default_header(response, "Cache-Control", "no-store");
        }
        if is_under(request, FORMS_UNDER) {
            default_header(response, "Cache-Control", "no-store");
            default_header(response, "Content-Security-Policy", CONSOLE_POLICY);
        }
        if response.content_type().is_some_and(|sent| is_json(&sent)) {
            default_header(
                response,
                "Content-Security-Policy",
                "default-src 'none'; frame-ancestors 'none'",
            );
        }
    }
}

fn is_json(sent: &ContentType) -> bool {
    let sub = sent.sub().as_str();
    sent.top() == "application" && (sub == "json" || sub.ends_with("+json"))
}

fn default_header(response: &mut Response<'_>, name: &'static str, value: &'static str) {
    if response.headers().get_one(name).is_none() {
        response.set_raw_header(name, value);
    }
}
