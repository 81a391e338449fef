//! Signing in and out.

use askama::Template;
use rocket::http::{Cookie, CookieJar, SameSite};
use rocket::request::{FromRequest, Outcome};
use rocket::response::Redirect;
use rocket::{FromForm, Request, Responder, Route, State, get, post, routes};
use std::sync::Arc;

use super::csrf::{Csrf, FromHere};
use super::guard::{COOKIE, Staff, Viewer, signed_in, token, who};
use super::page::{Frame, Page};
use super::tries::Tries;
use super::trouble::Trouble;
use super::{parts, words};
use crate::http::problem::{Refused, fail};
use crate::service::Services;
use crate::service::audit::Who;
use crate::service::staff::SignIn;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![show, submit, sign_out]
}

#[derive(Template)]
#[template(
    path = "session/sign_in.html",
    config = "src/staff/templates/askama.toml"
)]
struct SignInPage {
    frame: Frame,
    next: String,
    email: String,
    wrong: Option<&'static str>,
    /// A form was sent after its session had ended.
    ended: bool,
}

/// What is typed to sign in.
#[derive(FromForm)]
struct Typed {
    #[field(default = String::new())]
    email: String,
    #[field(default = String::new())]
    password: String,
    #[field(default = String::new())]
    next: String,
}

/// A form without fields of its own.
#[derive(FromForm)]
pub struct Nothing {
    /// The key of this drawing of the form.
    #[field(default = String::new())]
    pub idempotency_key: String,
}

/// A page, or a redirect.
#[derive(Responder)]
enum Shown {
    Page(Page<SignInPage>),
    Redirect(Redirect),
}

/// Whoever wants to sign in.
struct Stranger {
    who: Who,
    user_agent: String,
    token: Option<String>,
    is_signed_in: bool,
    done: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Stranger {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let signed_in = match signed_in(request).await {
            Ok(signed_in) => signed_in,
            Err(problem) => return fail(request, problem),
        };
        let user_agent = request.headers().get_one("User-Agent");
        Outcome::Success(Stranger {
            who: who(request, None),
            user_agent: user_agent.unwrap_or_default().to_owned(),
            token: token(request).map(str::to_owned),
            is_signed_in: signed_in.is_some(),
            done: super::flash::done(request),
        })
    }
}

#[get("/sign-in?<next>&<ended>")]
fn show(next: Option<String>, ended: Option<bool>, stranger: Stranger) -> Shown {
    let next = local(next.as_deref());
    if stranger.is_signed_in {
        return Shown::Redirect(Redirect::to(next));
    }
    Shown::Page(Page::new(SignInPage {
        frame: Frame::for_nobody().with_done(stranger.done.as_deref()),
        next,
        email: String::new(),
        wrong: None,
        ended: ended.unwrap_or(false),
    }))
}

#[post("/sign-in", data = "<form>")]
async fn submit(
    form: FromHere<Typed>,
    stranger: Stranger,
    tries: Tries<'_>,
    cookies: &CookieJar<'_>,
    services: &State<Arc<Services>>,
) -> Result<Shown, Trouble> {
    let typed = form.0;
    let next = local(Some(&typed.next));
    let this = tries.begin(&typed.email).await?;
    let attempt = SignIn {
        email: typed.email.clone(),
        password: typed.password,
        user_agent: stranger.user_agent,
        who: stranger.who.clone(),
    };
    let Some(new) = services.sign_in(attempt).await? else {
        return Ok(Shown::Page(Page::again(SignInPage {
            frame: Frame::for_nobody(),
            next,
            email: typed.email,
            wrong: Some(words::session::WRONG),
            ended: false,
        })));
    };
    this.succeeded();
    // The browser's former session would otherwise live on without a browser.
    if let Some(former) = &stranger.token
        && let Some(session) = services.session(former).await?
    {
        let who = Who {
            staff: Some(session.person.id),
            ..stranger.who
        };
        services.sign_out(&who, &session).await?;
    }
    remember(cookies, new);
    Ok(Shown::Redirect(Redirect::to(next)))
}

#[post("/sign-out", data = "<_form>")]
async fn sign_out(
    staff: Staff<Viewer>,
    _form: Csrf<Nothing>,
    cookies: &CookieJar<'_>,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    services.sign_out(&staff.who, &staff.session).await?;
    forget(cookies);
    Ok(Redirect::to("/staff/sign-in?done=signed-out"))
}

/// The cookie of a session: it ends with the browser, or with the session.
fn cookie(token: String) -> Cookie<'static> {
    Cookie::build((COOKIE, token))
        .http_only(true)
        .secure(true)
        .same_site(SameSite::Strict)
        .path("/")
        .build()
}

/// Gives the browser a session.
pub fn remember(cookies: &CookieJar<'_>, token: String) {
    cookies.add(cookie(token));
}

/// Makes the browser forget its session.
pub fn forget(cookies: &CookieJar<'_>) {
    let mut gone = cookie(String::new());
    gone.make_removal();
    cookies.add(gone);
}

/// An address within the console; anything else leads to the start.
fn local(next: Option<&str>) -> String {
    let next = next.unwrap_or_default();
    let within = next == super::BASE || next.starts_with("/staff/") || next.starts_with("/staff?");
    let plain = next
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let elsewhere = next.contains("//") || next.starts_with("/staff/sign-");
    match within && plain && !elsewhere && next.len() < 2_000 {
        true => next.to_owned(),
        false => super::BASE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_out_of_the_console() {
        for inside in ["/staff", "/staff/shop_1/orders?q=a%20b", "/staff?x=1"] {
            assert_eq!(local(Some(inside)), inside);
        }
        for outside in [
            "",
            "https://evil.example",
            "//evil.example",
            "/staff//evil.example",
            "/\\evil.example",
            "/staffroom",
            "/v1/orders",
            "/staff/\r\nSet-Cookie: a=b",
            "/staff/sign-out",
            "javascript:alert(1)",
        ] {
            assert_eq!(local(Some(outside)), "/staff", "{outside:?}");
        }
    }
}
