//! The configuration: that it can be read, that nothing in it is mistyped, and the provider's part of it.

use super::Report;
use crate::cli::simulated;
use crate::config::{Config, ConfigError, variables};
use crate::provider::stripe::{DEFAULT_BASE_URL, Stripe, StripeSettings};

pub(super) fn variables(report: &mut Report) {
    for (name, meant) in variables::unknown() {
        let mend = match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("unset {name}; the README lists the variables that Till knows"),
        };
        report.fail(
            "variables",
            format!("Till does not know the variable {name}"),
            mend,
        );
    }
}

pub(super) fn configuration(report: &mut Report, config: &Config) {
    let address = config.address();
    let work = match config.worker.enabled {
        true => "requests and background work",
        false => "requests only: background work needs `till worker` beside it",
    };
    report.ok("configuration", format!("readable; {address}, {work}"));
}

/// The provider's settings as `serve` would use them; none when they cannot be used.
pub(super) async fn provider(report: &mut Report, config: &Config) -> Option<StripeSettings> {
    let stripe = &config.providers.stripe;
    if stripe.api_key.is_none()
        && let Some(url) = simulated::running_beside(config).await
    {
        report.ok(
            "provider settings",
            format!("none; the simulator of `till serve --with-simulator` is used ({url})"),
        );
        return Some(simulated::settings(&url));
    }
    let settings = match config.stripe() {
        Ok(settings) => settings,
        Err(error) => {
            let found = match &stripe.api_key {
                None => "there is no provider key",
                Some(_) => "they are not complete or not safe",
            };
            report.fail("provider settings", found, error.to_string());
            return None;
        }
    };
    webhook_secrets(report, &settings.webhook_secrets);
    match Stripe::new(settings.clone()).map_err(|error| ConfigError::Unsafe(error.to_string())) {
        Ok(_) => {
            let mode = settings.mode().map_or("unknown", |mode| mode.as_str());
            let place = match settings.base_url.as_str() {
                DEFAULT_BASE_URL => "Stripe".to_owned(),
                other => other.to_owned(),
            };
            report.ok("provider settings", format!("a {mode} key for {place}"));
            Some(settings)
        }
        Err(error) => {
            let mend = "correct TILL_PROVIDERS__STRIPE__API_KEY (sk_test_… or sk_live_…), \
                        TILL_PROVIDERS__STRIPE__BASE_URL (https://…; http on this machine only) or \
                        TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS ('[\"whsec_…\"]')";
            report.fail("provider settings", error.to_string(), mend);
            None
        }
    }
}

fn webhook_secrets(report: &mut Report, secrets: &[String]) {
    const NAME: &str = "webhook secrets";
    const MEND: &str = "copy the endpoint's signing secret (whsec_…) from Stripe's dashboard to \
                        TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS='[\"whsec_…\"]'";
    // What people paste instead: the endpoint's id, or the API key.
    let other = ["we_", "sk_", "rk_", "pk_"];
    let confused = |secret: &String| other.iter().any(|prefix| secret.starts_with(prefix));
    let odd = secrets
        .iter()
        .filter(|secret| !secret.starts_with("whsec_"));
    let (odd, count) = (odd.count(), secrets.len());
    if secrets.iter().any(confused) {
        let found = "one is an endpoint's id or an API key: no webhook would ever be believed";
        report.fail(NAME, found, MEND);
    } else if odd > 0 {
        let found = format!("{odd} of {count} do not begin with whsec_, as Stripe's do");
        report.warn(NAME, found, MEND);
    } else {
        report.ok(NAME, format!("{count}, each whsec_…"));
    }
}
