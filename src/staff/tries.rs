//! How often passwords may be tried: by the address they are tried from, and by the account they are tried on.
//!
//! Only what fails counts in the end. An account can be closed by strangers for a while only to strangers: somebody
//! who has signed in from their address lately has a count of their own there. Each process counts for itself.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::guard::services;
use crate::http::answer::service_problem;
use crate::http::problem::{Problem, Refused, fail};
use crate::http::problem_catalogue::Code;
use crate::http::throttle::{Policy, Throttle};
use crate::http::throttles::client;
use crate::service::Services;

/// Over how long failures count.
const WINDOW_S: u32 = 15 * 60;
/// How many may fail from one address.
const PER_ADDRESS: u32 = 20;
/// How many may fail on one account: from all addresses it was not used from together, and from each that it was.
const PER_ACCOUNT: u32 = 10;
/// How many addresses, and accounts, are remembered.
const MAX_KEYS: usize = 10_000;

/// The counts of one process.
pub struct Counts {
    addresses: Throttle<IpAddr>,
    accounts: Throttle<(u64, Option<IpAddr>)>,
    hasher: RandomState,
}

impl Default for Counts {
    fn default() -> Self {
        let policy = |name, limit| Policy {
            name,
            limit,
            window_s: WINDOW_S,
            max_keys: MAX_KEYS,
        };
        Counts {
            addresses: Throttle::new(policy("address", PER_ADDRESS)),
            accounts: Throttle::new(policy("account", PER_ACCOUNT)),
            hasher: RandomState::new(),
        }
    }
}

/// Counts the tries of one request.
pub struct Tries<'r> {
    counts: &'r Counts,
    services: &'r Arc<Services>,
    address: IpAddr,
    shown_address: Option<String>,
}

/// One try that was counted.
pub struct Try<'r> {
    counts: &'r Counts,
    address: IpAddr,
    account: (u64, Option<IpAddr>),
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Tries<'r> {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let counts = request.rocket().state::<Counts>();
        let (Some(counts), Ok(services)) = (counts, services(request)) else {
            let problem = Problem::new(Code::InternalError, "The server is not ready.");
            return fail(request, problem);
        };
        Outcome::Success(Tries {
            counts,
            services,
            address: client(request),
            shown_address: super::guard::who(request, None).address,
        })
    }
}

impl<'r> Tries<'r> {
    /// Counts a try on the account with this e-mail address, before anything is looked at.
    ///
    /// # Errors
    /// 429 when there were too many, or the store's.
    pub async fn begin(&self, email: &str) -> Result<Try<'r>, Problem> {
        let now_ms = self.services.clock.now().ms();
        let decision = self.counts.addresses.hit(&self.address, now_ms);
        if !decision.allowed {
            let policy = self.counts.addresses.policy();
            return Err(Problem::rate_limited(policy, &decision));
        }
        let email = email.trim().to_lowercase();
        let from = self.shown_address.as_deref().unwrap_or_default();
        let known = self.services.signed_in_from(&email, from).await;
        let known = known.map_err(service_problem)?;
        let account = (
            self.counts.hasher.hash_one(&email),
            known.then_some(self.address),
        );
        let decision = self.counts.accounts.hit(&account, now_ms);
        if !decision.allowed {
            let policy = self.counts.accounts.policy();
            return Err(Problem::rate_limited(policy, &decision));
        }
        Ok(Try {
            counts: self.counts,
            address: self.address,
            account,
        })
    }
}

impl Try<'_> {
    /// It was right: it does not count.
    pub fn succeeded(self) {
        self.counts.addresses.forgive(&self.address);
        self.counts.accounts.forgive(&self.account);
    }
}
