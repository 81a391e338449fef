//! Who is signed in: a handler's signature is its access rule.
//!
//! `Staff<R>` is in the arguments of a handler that needs the role `R`, `Desk<R>` in those of one that works in the
//! shop its address names first. Without a session the browser is sent to sign in; a shop that is unknown or not
//! theirs is not there (404), and what their role does not include is forbidden (403).

use std::marker::PhantomData;
use std::sync::Arc;

use rocket::Request;
use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome};

use super::page::{Frame, Section};
use crate::domain::access::Trace;
use crate::domain::ids::ShopId;
use crate::domain::staff::Role;
use crate::http::answer::service_problem;
use crate::http::problem::{Problem, Refused, fail};
use crate::http::problem_catalogue::Code;
use crate::http::request_id::RequestId;
use crate::service::audit::{Act, Who};
use crate::service::staff::{Session, ShopRecord, StaffRecord};
use crate::service::{Caller, Services};

/// The cookie a session's token is kept in. The prefix makes browsers insist on HTTPS, this host and path `/`.
pub const COOKIE: &str = "__Host-till";

/// A rung of the ladder of roles, as a type.
pub trait Rung: Send + Sync + 'static {
    /// The role it stands for.
    const ROLE: Role;
}

macro_rules! rungs {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Rung for $name {
            const ROLE: Role = Role::$name;
        }
    )*};
}

rungs! {
    /// Whoever may read.
    Viewer;
    /// Whoever may also do what moves no money.
    Operator;
    /// Whoever may also move money.
    Finance;
    /// Whoever may also manage people.
    Admin;
}

/// Somebody who is signed in and has at least the role `R`.
pub struct Staff<R: Rung> {
    /// The person.
    pub person: StaffRecord,
    /// Their session.
    pub session: Session,
    /// Who acts, for the audit log.
    pub who: Who,
    /// The shops they may see, oldest first.
    pub shops: Vec<ShopRecord>,
    done: Option<String>,
    rung: PhantomData<R>,
}

/// Somebody who is signed in, has at least the role `R`, and works in the shop that their address names.
pub struct Desk<R: Rung> {
    /// The shop.
    pub shop: ShopRecord,
    /// The person and their session.
    pub staff: Staff<R>,
    /// How many questions of the shop wait for an answer.
    pub open_reviews: u64,
}

impl<R: Rung> Staff<R> {
    /// What is stored with everything they change.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace {
            request_id: self.who.request_id.clone(),
            actor: self.person.id.to_string(),
        }
    }

    /// What the layout shows around a page that is about no shop.
    #[must_use]
    pub fn frame(&self, section: Section) -> Frame {
        let shops = self.shops.clone();
        let frame = Frame::of(&self.session, shops, section);
        frame.with_done(self.done.as_deref())
    }
}

impl<R: Rung> Desk<R> {
    /// The person.
    #[must_use]
    pub fn person(&self) -> &StaffRecord {
        &self.staff.person
    }

    /// The address they call from.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.staff.who.address.as_deref()
    }

    /// What is stored with everything they change.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.staff.trace()
    }

    /// What the layout shows around a page of this shop.
    #[must_use]
    pub fn frame(&self, section: Section) -> Frame {
        let frame = self.staff.frame(section);
        let frame = frame.in_shop(self.shop.clone());
        frame.with_open_reviews(self.open_reviews)
    }

    /// The person as somebody who asks for something in this shop.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let request = self.staff.who.request_id.clone().unwrap_or_default();
        Caller::staff(self.staff.person.id, self.shop.id, self.shop.mode, request)
    }

    /// An address within this shop, such as `orders` or `orders/ord_…`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        shop_url(self.shop.id, path)
    }

    /// An act in this shop by this person, to be recorded.
    #[must_use]
    pub fn act(&self, action: crate::domain::audit::Action) -> Act {
        Act::new(&self.staff.who, action).in_shop(self.shop.id)
    }
}

/// An address within a shop.
#[must_use]
pub fn shop_url(shop: ShopId, path: &str) -> String {
    match path {
        "" => format!("{}/{shop}", super::BASE),
        _ => format!("{}/{shop}/{path}", super::BASE),
    }
}

#[rocket::async_trait]
impl<'r, R: Rung> FromRequest<'r> for Staff<R> {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        match check::<R>(request).await {
            Ok(staff) => Outcome::Success(staff),
            Err(problem) => fail(request, problem),
        }
    }
}

#[rocket::async_trait]
impl<'r, R: Rung> FromRequest<'r> for Desk<R> {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        // What they may not know of is not there, whatever their role.
        let anybody = try_outcome!(Staff::<Viewer>::from_request(request).await);
        let wanted = request.param::<&str>(0).and_then(Result::ok);
        let wanted: Option<ShopId> = wanted.and_then(|id| id.parse().ok());
        let mut shops = anybody.shops.iter();
        let shop = shops.find(|shop| Some(shop.id) == wanted);
        let Some(shop) = shop.cloned() else {
            return fail(request, Problem::not_found());
        };
        let staff = try_outcome!(Staff::<R>::from_request(request).await);
        let open_reviews = match services(request) {
            Ok(services) => services.open_reviews_of(shop.id).await,
            Err(problem) => return fail(request, problem),
        };
        match open_reviews {
            Ok(open_reviews) => Outcome::Success(Desk {
                shop,
                staff,
                open_reviews,
            }),
            Err(error) => fail(request, service_problem(error)),
        }
    }
}

async fn check<R: Rung>(request: &Request<'_>) -> Result<Staff<R>, Problem> {
    let SignedIn { session, shops } = signed_in(request)
        .await?
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "Sign in to see this page."))?;
    if !session.person.role.includes(R::ROLE) {
        let detail = format!("This needs the role {}.", R::ROLE);
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(Staff {
        person: session.person.clone(),
        who: who(request, Some(&session)),
        session,
        shops,
        done: super::flash::done(request),
        rung: PhantomData,
    })
}

/// Who is signed in, and what they may see.
#[derive(Clone)]
pub struct SignedIn {
    /// Their session.
    pub session: Session,
    /// The shops they may see.
    pub shops: Vec<ShopRecord>,
}

/// What was found out about a request's session, once.
#[derive(Default)]
struct Known(Option<Result<Option<SignedIn>, Problem>>);

/// Who sent a request, if they are signed in; looked up once a request.
///
/// # Errors
/// The store's.
pub async fn signed_in(request: &Request<'_>) -> Result<Option<SignedIn>, Problem> {
    let known = request
        .local_cache_async(async { Known(Some(look_up(request).await)) })
        .await;
    known.0.clone().unwrap_or(Ok(None))
}

/// Who sent a request, if that was looked up before.
pub fn known_sender(request: &Request<'_>) -> Option<SignedIn> {
    let known = request.local_cache(Known::default);
    known.0.clone()?.ok()?
}

async fn look_up(request: &Request<'_>) -> Result<Option<SignedIn>, Problem> {
    let Some(token) = token(request) else {
        return Ok(None);
    };
    let services = services(request)?;
    let session = services.session(token).await.map_err(service_problem)?;
    let Some(session) = session else {
        return Ok(None);
    };
    let shops = services.shops_of(&session.person).await;
    let shops = shops.map_err(service_problem)?;
    Ok(Some(SignedIn { session, shops }))
}

/// The token of the session a browser claims to have.
pub fn token<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    request
        .cookies()
        .get(COOKIE)
        .map(rocket::http::Cookie::value)
}

/// The use cases.
///
/// # Errors
/// A server without them.
pub fn services<'r>(request: &'r Request<'_>) -> Result<&'r Arc<Services>, Problem> {
    let services = request.rocket().state::<Arc<Services>>();
    services.ok_or_else(|| Problem::new(Code::InternalError, "The server is not ready."))
}

/// Who acts, from where, in which request.
pub fn who(request: &Request<'_>, session: Option<&Session>) -> Who {
    Who {
        staff: session.map(|session| session.person.id),
        address: request
            .client_ip()
            .map(|address| address.to_canonical().to_string()),
        request_id: Some(RequestId::of(request).as_str().to_owned()),
    }
}
