//! The other ends: the payment provider, its clock, and the port Till listens on.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use super::Report;
use crate::clock::Clock;
use crate::config::Config;
use crate::provider::stripe::{Stripe, StripeSettings};
use crate::provider::{Ambiguity, PaymentProvider, Probe};

/// Webhooks are believed for 300 seconds, and a clock that is wrong by this much goes on drifting.
const FAILED_SECONDS: i64 = 60;
const WARNING_SECONDS: i64 = 5;

pub(super) async fn provider(report: &mut Report, settings: StripeSettings, clock: &Clock) {
    const NAME: &str = "provider";
    // Settings that cannot be used were told before.
    let Ok(stripe) = Stripe::new(settings) else {
        return;
    };
    let asked = clock.now();
    let probe = match stripe.probe().await {
        Ok(probe) => probe,
        Err(why) => {
            let found = match why {
                Ambiguity::NotSent => "no answer: no connection could be made".to_owned(),
                other => format!("no answer: {}", other.as_str().replace('_', " ")),
            };
            let mend = "see that this machine can reach the provider (DNS, firewall), and \
                        TILL_PROVIDERS__STRIPE__BASE_URL if it is set";
            report.fail(NAME, found, mend);
            return;
        }
    };
    credentials(report, &stripe, probe);
    let Some(theirs) = probe.server_time else {
        return;
    };
    // The header has whole seconds, and the answer was written between the question and now.
    let (earliest, latest) = (asked.seconds(), clock.now().seconds());
    let theirs = theirs.seconds();
    let off = (theirs - latest).max(earliest - theirs).max(0);
    let found = format!("{off} s from the provider's");
    let mend =
        "keep the time by NTP (timedatectl set-ntp true): a webhook is believed only within 300 s";
    if off > FAILED_SECONDS {
        report.fail("clock", found, mend);
    } else if off > WARNING_SECONDS {
        report.warn("clock", found, mend);
    } else {
        report.ok("clock", found);
    }
}

fn credentials(report: &mut Report, stripe: &Stripe, probe: Probe) {
    const NAME: &str = "provider";
    let ours = stripe.mode();
    match (probe.accepted, probe.mode) {
        (Some(false), _) => report.fail(
            NAME,
            "reachable, but it does not accept the key",
            "copy the key again from Stripe's dashboard to TILL_PROVIDERS__STRIPE__API_KEY; it may have been rolled",
        ),
        (Some(true), Some(theirs)) if theirs != ours => report.fail(
            NAME,
            format!("reachable, but the key says {ours} and the provider {theirs}"),
            "see that TILL_PROVIDERS__STRIPE__BASE_URL is the provider this key is for",
        ),
        (Some(true), Some(_)) => report.ok(NAME, format!("reachable, key accepted, {ours} mode")),
        (Some(true), None) => report.ok(
            NAME,
            format!("reachable, restricted key accepted, {ours} mode by its prefix"),
        ),
        (None, _) => report.warn(
            NAME,
            format!("it answered {} and told nothing about the key", probe.http_status),
            "try again in a minute; then see the provider's status page and TILL_PROVIDERS__STRIPE__BASE_URL",
        ),
    }
}

pub(super) async fn port(report: &mut Report, config: &Config) {
    const NAME: &str = "port";
    let address = config.address();
    if address.port() == 0 {
        report.ok(NAME, "any free one is taken at the start");
        return;
    }
    if till_answers(address).await {
        report.ok(NAME, format!("Till serves on {address} already"));
        return;
    }
    match TcpListener::bind(address) {
        Ok(_) => report.ok(NAME, format!("{address} is free; no server runs on it now")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => report.fail(
            NAME,
            format!("{address} is taken, and not by Till"),
            "choose another one with ROCKET_PORT, or stop what uses it",
        ),
        Err(error) => report.fail(
            NAME,
            format!("{address} cannot be listened on: {error}"),
            "give ROCKET_ADDRESS an address of this machine and ROCKET_PORT a port above 1023",
        ),
    }
}

async fn till_answers(address: SocketAddr) -> bool {
    // An unspecified address can be listened on but not gone to.
    let host: IpAddr = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!(
        "http://{}/health/live",
        SocketAddr::new(host, address.port())
    );
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(3))
        .build();
    let Ok(client) = client else { return false };
    let Ok(answer) = client.get(url).send().await else {
        return false;
    };
    // Whatever else answers here does not name requests as Till does.
    let named = answer.headers().contains_key("request-id");
    let body: Option<serde_json::Value> = answer.json().await.ok();
    named && body.is_some_and(|body| body["status"] == "ok")
}
