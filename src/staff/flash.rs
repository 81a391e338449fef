//! What was done just before, told once: on the page it led to, in the browser it was done in.
//!
//! An answer that leads to a page with `?done=…` gives the browser a short-lived cookie that names this very address.
//! Only a page whose own address stands in its cookie says what was done, and it takes the cookie away: not after a
//! reload, not from a bookmark, not for whoever is sent the link, and never about something else.

use rocket::fairing::AdHoc;
use rocket::http::{Cookie, Method, SameSite, Status};
use rocket::time::Duration;
use rocket::{Request, Response};

/// The cookie of what was done.
const COOKIE: &str = "__Host-till-done";
/// For how long the page may take to be asked for.
const LIFE: Duration = Duration::seconds(60);
/// What stands before the code in an address.
const MARK: &str = "done=";

/// Gives and takes the cookie.
pub fn once() -> AdHoc {
    AdHoc::on_response("what was done", |request, response| {
        Box::pin(async move {
            if let Some(address) = leads_to(request, response) {
                response.adjoin_header(cookie(address));
            } else if response.status() == Status::Ok && is_meant(request) {
                let mut gone = cookie(String::new());
                gone.make_removal();
                response.adjoin_header(gone);
            }
        })
    })
}

/// What was done just before, as a code, if this page is to say it.
pub fn done(request: &Request<'_>) -> Option<String> {
    let code = request.query_value::<String>("done")?.ok()?;
    is_meant(request).then_some(code)
}

/// The address a form's answer leads to, when it says what was done.
fn leads_to(request: &Request<'_>, response: &Response<'_>) -> Option<String> {
    let within = request.uri().path().starts_with(super::BASE);
    let acted = request.method() == Method::Post && response.status() == Status::SeeOther;
    let address = response.headers().get_one("Location")?;
    let says = within && acted && address.contains(MARK);
    says.then(|| address.to_owned())
}

/// Whether the browser was led to this very address.
fn is_meant(request: &Request<'_>) -> bool {
    let given = request.cookies().get(COOKIE);
    given.is_some_and(|cookie| *request.uri() == cookie.value())
}

fn cookie(address: String) -> Cookie<'static> {
    Cookie::build((COOKIE, address))
        .http_only(true)
        .secure(true)
        .same_site(SameSite::Strict)
        .path("/")
        .max_age(LIFE)
        .build()
}
