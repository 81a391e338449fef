//! What the adapter needs to know, checked before the first request.
//!
//! A wrong key, a plain-text address or a missing webhook secret must stop the start: each would otherwise show
//! as lost payments, or not at all.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use crate::domain::access::Mode;

/// Stripe's own address.
pub const DEFAULT_BASE_URL: &str = "https://api.stripe.com";
/// How long one request may take in all, unless configured otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take, unless configured otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The credentials and limits of one Stripe account.
#[derive(Clone)]
pub struct StripeSettings {
    /// A secret or restricted key; its prefix says whether money is real.
    pub api_key: String,
    /// Where the API is: https, or http on this machine.
    pub base_url: String,
    /// The webhook endpoint's secrets: every one of them is accepted.
    pub webhook_secrets: Vec<String>,
    /// How long one request may take in all.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
}

impl fmt::Debug for StripeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeSettings")
            .field("base_url", &self.base_url)
            .field("webhook_secrets", &self.webhook_secrets.len())
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Why the adapter cannot be built; never shows a credential.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// The API key has none of the known prefixes.
    #[error("the Stripe API key must begin with sk_test_, sk_live_, rk_test_ or rk_live_")]
    ApiKey,
    /// The base URL is not one requests may be sent to.
    #[error(
        "the Stripe base URL must be https without credentials or query, or http on a loopback host"
    )]
    BaseUrl,
    /// There is no usable webhook secret.
    #[error(
        "at least one Stripe webhook secret is needed, and none may be blank or contain spaces"
    )]
    WebhookSecret,
    /// The HTTP client cannot be built.
    #[error("the HTTP client for Stripe cannot be built")]
    Client(#[source] reqwest::Error),
}

impl StripeSettings {
    /// Whether the key moves real money.
    ///
    /// # Errors
    /// [`StripeError::ApiKey`] for a key that does not say so: guessing could take real money in a test.
    pub fn mode(&self) -> Result<Mode, StripeError> {
        let key = self.api_key.as_str();
        let begins = |prefixes: [&str; 2]| {
            let rest = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix));
            rest.is_some_and(|rest| !rest.is_empty())
        };
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(StripeError::ApiKey)
        } else if begins(["sk_live_", "rk_live_"]) {
            Ok(Mode::Live)
        } else if begins(["sk_test_", "rk_test_"]) {
            Ok(Mode::Test)
        } else {
            Err(StripeError::ApiKey)
        }
    }

    /// The checked base URL.
    ///
    /// # Errors
    /// [`StripeError::BaseUrl`]: over plain http the key and every order would be readable on the way.
    pub fn base(&self) -> Result<Url, StripeError> {
        let url = Url::parse(&self.base_url).map_err(|_| StripeError::BaseUrl)?;
        let safe = match url.scheme() {
            "https" => url.has_host(),
            "http" => url.host_str().is_some_and(is_loopback),
            _ => false,
        };
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if safe && bare {
            Ok(url)
        } else {
            Err(StripeError::BaseUrl)
        }
    }

    /// Checks the webhook secrets.
    ///
    /// # Errors
    /// [`StripeError::WebhookSecret`]: with a blank secret anybody could sign.
    pub fn check_secrets(&self) -> Result<(), StripeError> {
        let usable = |secret: &String| {
            !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.webhook_secrets.is_empty() || !self.webhook_secrets.iter().all(usable) {
            Err(StripeError::WebhookSecret)
        } else {
            Ok(())
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = bare.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(api_key: &str, base_url: &str, secrets: &[&str]) -> StripeSettings {
        StripeSettings {
            api_key: api_key.to_owned(),
            base_url: base_url.to_owned(),
            webhook_secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        }
    }

    #[test]
    fn the_key_says_whether_money_is_real() {
        let mode = |key| settings(key, DEFAULT_BASE_URL, &["whsec_a"]).mode().ok();
        assert_eq!(mode("sk_test_1"), Some(Mode::Test));
        assert_eq!(mode("rk_test_1"), Some(Mode::Test));
        assert_eq!(mode("sk_live_1"), Some(Mode::Live));
        assert_eq!(mode("rk_live_1"), Some(Mode::Live));
        for key in [
            "",
            "sk_test_",
            "pk_live_1",
            "sk_org_1",
            "live",
            "sk_live_1\n",
            " sk_test_1",
        ] {
            assert_eq!(mode(key), None, "{key:?}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let accepted = |url| settings("sk_test_1", url, &["whsec_a"]).base().is_ok();
        for url in [
            "https://api.stripe.com",
            "https://api.stripe.com/",
            "https://proxy.internal/stripe",
            "http://localhost:12111",
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:8080",
        ] {
            assert!(accepted(url), "{url}");
        }
        for url in [
            "",
            "api.stripe.com",
            "http://api.stripe.com",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "ftp://localhost",
            "file:///etc/passwd",
            "https://user:pass@api.stripe.com",
            "https://api.stripe.com/?a=b",
            "https://api.stripe.com/#x",
        ] {
            assert!(!accepted(url), "{url}");
        }
    }

    #[test]
    fn a_blank_secret_is_refused() {
        let usable = |secrets| settings("sk_test_1", "x", secrets).check_secrets().is_ok();
        assert!(usable(&["whsec_a"]));
        assert!(usable(&["whsec_a", "whsec_b"]));
        for secrets in [&[][..], &[""], &["whsec_a", ""], &[" "], &["whsec_a\n"]] {
            assert!(!usable(secrets), "{secrets:?}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let shown = format!("{:?}", settings("sk_live_abc", "https://x", &["whsec_def"]));
        assert!(!shown.contains("abc") && !shown.contains("def"), "{shown}");
    }
}
