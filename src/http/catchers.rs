//! The default catcher: every status is a problem.
//!
//! What a guard kept for it comes first, because the guard knows more than a status. Rocket answers a wrong
//! method with 404 and a path parameter that does not parse with 422; here they become 405 and 404.

use rocket::catcher::{BoxFuture, Catcher};
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::response::Responder;
use rocket::{Request, Response};

use super::allowed_methods::AllowedMethods;
use super::problem::{self, Problem};
use super::problem_catalogue::Code;
use super::request_id::RequestId;

/// The catcher for everything no more specific catcher handles.
pub fn default_catcher() -> Catcher {
    Catcher::new(None, answer)
}

fn answer<'r>(status: Status, request: &'r Request<'_>) -> BoxFuture<'r> {
    let response = problem_of(status, request).respond_to(request);
    Box::pin(async move { response })
}

/// What is to be said of a request that ended with a status: what a guard or a fairing left, else what the status
/// means.
pub fn problem_of(status: Status, request: &Request<'_>) -> Problem {
    problem::take_kept(request, status).unwrap_or_else(|| from_status(status, request))
}

fn from_status(status: Status, request: &Request<'_>) -> Problem {
    match status.code {
        404 => wrong_method(request).unwrap_or_else(Problem::not_found),
        // Rocket could not parse the request: most often a method it does not know.
        400 if !Seen::is_marked(request) => {
            wrong_method(request).unwrap_or_else(|| told_by(Code::BadRequest))
        }
        422 if !has_query_parameters(request) => Problem::not_found(),
        code => told_by(Code::for_status(code)),
    }
}

/// Rocket forwards a parameter that does not parse with 422, whether it stood in the path or in the query.
fn has_query_parameters(request: &Request<'_>) -> bool {
    request.uri().query().is_some()
        && request
            .route()
            .is_some_and(|route| route.uri.query().is_some())
}

fn wrong_method(request: &Request<'_>) -> Option<Problem> {
    let allowed = AllowedMethods::for_request(request);
    let was_parsed = Seen::is_marked(request);
    if allowed.is_empty() || (was_parsed && allowed.contains(&request.method().as_str())) {
        return None;
    }
    let list = allowed.join(", ");
    Some(Problem::new(Code::MethodNotAllowed, format!("This path takes {list}.")).allow(list))
}

fn told_by(code: Code) -> Problem {
    let detail = match code {
        Code::InvalidRequest => "A query parameter is not valid.",
        Code::InternalError => {
            "An unexpected error occurred. The request id leads to it in the log."
        }
        Code::Unauthenticated => "No valid API key was given.",
        _ => code.entry().title,
    };
    Problem::new(code, detail)
}

/// Marks requests that Rocket could parse: it runs request fairings for no others.
struct Seen(bool);

impl Seen {
    fn is_marked(request: &Request<'_>) -> bool {
        request.local_cache(|| Seen(false)).0
    }
}

/// Marks parsed requests, and logs each server error once, at the boundary, under its request id.
pub struct ServerErrors;

#[rocket::async_trait]
impl Fairing for ServerErrors {
    fn info(&self) -> Info {
        Info {
            name: "server errors",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut rocket::Data<'_>) {
        request.local_cache(|| Seen(true));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let status = response.status().code;
        if status < 500 {
            return;
        }
        // The route, never the address: that may hold what someone typed.
        let route = request.route().map_or("unrouted", |route| route.uri.path());
        let request_id = RequestId::of(request).as_str();
        let (code, cause) =
            problem::take_told(request).map_or((None, None), |(code, cause)| (Some(code), cause));
        if code == Some(Code::Overloaded) {
            // Counted by the metrics; a line for each would be a second flood.
            return;
        }
        let code = code.map_or("none", Code::as_str);
        let cause = cause.as_deref().unwrap_or("unknown");
        let method = request.method().as_str();
        tracing::error!(
            request.id = request_id,
            http.method = method,
            http.route = route,
            http.status = status,
            problem.code = code,
            cause,
            "request `{request_id}` to {method} {route} failed with {status} {code}: {cause}"
        );
    }
}
