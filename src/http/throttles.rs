//! Which requests are throttled, and by what: orders of browsers by the client's address, webhooks by one cap
//! for all.
//!
//! The cap is checked before the body is read; an order counts once its body is found valid, so that mistakes
//! are answered as mistakes. The address is Rocket's `client_ip()`: the socket's, or what the
//! configured proxy header names; no other header is believed. Each process counts for itself. The third
//! limit, new checkout sessions of one order, is the service's: it counts rows, so all processes share it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rocket::Request;
use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome};

use super::auth::{ApiKey, StorefrontWrite};
use super::problem::{Problem, Refused, fail};
use super::throttle::{Policy, Throttle};
use crate::domain::access::KeyKind;
use crate::service::{Caller, Services};

/// How many addresses are remembered: with 60 hits each some 5 MB at most.
const MAX_ADDRESSES: usize = 10_000;

/// The throttles of one process. A server without them (a test of another part) throttles nothing.
pub struct Throttles {
    orders: Throttle<IpAddr>,
    /// Requests past the limit whose orders may have been placed before: looking for them costs the database.
    again: Throttle<IpAddr>,
    webhooks: Throttle<()>,
}

impl Throttles {
    /// Throttles with these limits.
    #[must_use]
    pub fn new(orders_per_minute: u32, webhooks_per_second: u32) -> Self {
        let orders = || Policy {
            name: "orders",
            limit: orders_per_minute,
            window_s: 60,
            max_keys: MAX_ADDRESSES,
        };
        Throttles {
            orders: Throttle::new(orders()),
            again: Throttle::new(orders()),
            webhooks: Throttle::new(Policy {
                name: "webhooks",
                limit: webhooks_per_second,
                window_s: 1,
                max_keys: 1,
            }),
        }
    }
}

/// A caller that may place orders, and the address its orders are counted by.
pub struct OrderPlacer {
    /// Who calls.
    pub caller: Caller,
    address: IpAddr,
}

impl OrderPlacer {
    /// Counts an order of a browser; a secret key's are not counted.
    ///
    /// # Errors
    /// 429 when its address has placed too many.
    pub fn count(&self, throttles: &Throttles, now_ms: i64) -> Result<(), Problem> {
        if self.caller.kind == KeyKind::Secret {
            return Ok(());
        }
        let decision = throttles.orders.hit(&self.address, now_ms);
        if decision.allowed {
            Ok(())
        } else {
            Err(Problem::rate_limited(throttles.orders.policy(), &decision))
        }
    }

    /// Whether a request past the limit may be looked up, as often as new ones are taken.
    pub fn may_have_before(&self, throttles: &Throttles, now_ms: i64) -> bool {
        throttles.again.hit(&self.address, now_ms).allowed
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OrderPlacer {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let key = try_outcome!(ApiKey::<StorefrontWrite>::from_request(request).await);
        Outcome::Success(OrderPlacer {
            caller: key.caller,
            address: client(request),
        })
    }
}

/// A webhook within the cap for all of them. Whoever sends it, it costs no body and no signature to refuse.
pub struct WebhookCap;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for WebhookCap {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        match count(request, |throttles| &throttles.webhooks, &()) {
            Ok(()) => Outcome::Success(WebhookCap),
            Err(problem) => fail(request, problem),
        }
    }
}

/// Counts a hit, or says when to come back.
fn count<K: Eq + std::hash::Hash + Clone>(
    request: &Request<'_>,
    which: impl Fn(&Throttles) -> &Throttle<K>,
    key: &K,
) -> Result<(), Problem> {
    let rocket = request.rocket();
    let (Some(throttles), Some(services)) =
        (rocket.state::<Throttles>(), rocket.state::<Arc<Services>>())
    else {
        return Ok(());
    };
    let throttle = which(throttles);
    let decision = throttle.hit(key, services.clock.now().ms());
    if decision.allowed {
        Ok(())
    } else {
        Err(Problem::rate_limited(throttle.policy(), &decision))
    }
}

/// Whose hits are counted together. Requests without an address (none over TCP) share one.
pub fn client(request: &Request<'_>) -> IpAddr {
    let address = request.client_ip();
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), subscriber)
}

/// An IPv6 subscriber has a whole /64 to choose addresses from, so it counts as one.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    //! Addresses of one subscriber are one key.

    use super::*;

    #[test]
    fn an_ipv6_network_and_a_mapped_address_count_as_one_client() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(subscriber(address), counted.parse::<IpAddr>().unwrap());
        }
    }
}
