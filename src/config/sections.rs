//! The sections of the configuration, each with what holds when nothing is said.

use std::num::{NonZeroU32, NonZeroUsize};

use serde::Deserialize;

use crate::provider::stripe::DEFAULT_BASE_URL;

/// The database.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://FILE` or `postgres://…`; `sqlite://till.db` when not given.
    pub url: String,
    /// The most connections to PostgreSQL, or readers of SQLite; 8 when not given.
    pub max_connections: u32,
    /// The most orders, or webhooks, that share one transaction when many come at once; 64 when not given, 1 commits
    /// each alone. Of orders on PostgreSQL it is 32 at most.
    pub batch: u32,
}

impl Default for Database {
    fn default() -> Self {
        Database {
            url: "sqlite://till.db".to_owned(),
            max_connections: 8,
            batch: 64,
        }
    }
}

/// The payment providers.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Stripe.
    pub stripe: StripeConfig,
}

/// Stripe's account.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StripeConfig {
    /// `sk_test_…` or `sk_live_…`.
    pub api_key: Option<String>,
    /// Where Stripe's API is.
    pub base_url: String,
    /// Every one of them is accepted.
    pub webhook_secrets: Texts,
    /// How long one request may take in all, in milliseconds.
    pub timeout_ms: u64,
    /// How long a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
}

impl Default for StripeConfig {
    fn default() -> Self {
        StripeConfig {
            api_key: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            webhook_secrets: Texts::default(),
            timeout_ms: 10_000,
            connect_timeout_ms: 2_000,
        }
    }
}

/// Deliveries to shops' own endpoints, which Till does not make yet.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Lets them go to plain http and to private addresses: for tests, never beside a live shop.
    pub allow_private: bool,
}

/// The background work.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Whether `till serve` does it, too.
    pub enabled: bool,
    /// The port at which `till worker` answers `/health/…` and `/metrics`; off when not given.
    pub port: Option<u16>,
}

impl Default for Worker {
    fn default() -> Self {
        Worker {
            enabled: true,
            port: None,
        }
    }
}

/// Orders.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// How long an order may stay unpaid, in seconds.
    pub expire_after_s: u32,
    /// What becomes of money that came too late or twice.
    pub late_payments: LatePayments,
}

/// What becomes of money that came for a closed order, or twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePayments {
    /// It goes back by itself; people see it in review until it has.
    Refund,
    /// It is held until people decide.
    Hold,
}

impl Default for Orders {
    fn default() -> Self {
        Orders {
            expire_after_s: 86_400,
            late_payments: LatePayments::Refund,
        }
    }
}

/// The HTTP side.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The header in which a trusted proxy names the client; off when not given.
    pub client_ip_header: Option<String>,
    /// How many orders one client address may place with publishable keys in a minute.
    pub orders_per_minute: NonZeroU32,
    /// How many checkout sessions an order may get in ten minutes.
    pub sessions_per_order: NonZeroU32,
    /// How many webhooks are looked at in a second.
    pub webhooks_per_second: NonZeroU32,
    /// How many connections are open at once.
    pub max_connections: NonZeroUsize,
}

impl Default for Http {
    fn default() -> Self {
        const fn limit(limit: u32) -> NonZeroU32 {
            NonZeroU32::new(limit).expect("no limit is zero")
        }
        Http {
            client_ip_header: None,
            orders_per_minute: limit(60),
            sessions_per_order: limit(5),
            webhooks_per_second: limit(20_000),
            max_connections: NonZeroUsize::new(4_096).expect("the bound is not zero"),
        }
    }
}

/// Metrics.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// What a scraper must send as `Authorization: Bearer …`; anybody may read them when not given.
    #[serde(deserialize_with = "secret_text")]
    pub token: Option<String>,
}

/// A secret that is given as anything but text is refused without being repeated.
fn secret_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from);
    text.map_err(|_| serde::de::Error::custom("it is not a text; put a number in quotes"))
}

/// Logs.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `pretty` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,till::worker=debug`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            format: LogFormat::Pretty,
            level: "info".to_owned(),
        }
    }
}

/// How logs look.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// A list that may also be written as one text, its items separated by commas.
#[derive(Clone, Default)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Many(Vec<String>),
            One(String),
        }
        let texts = match Written::deserialize(deserializer)? {
            Written::Many(texts) => texts,
            Written::One(text) => text.split(',').map(str::to_owned).collect(),
        };
        let trimmed = texts.iter().map(|text| text.trim().to_owned());
        Ok(Texts(trimmed.filter(|text| !text.is_empty()).collect()))
    }
}
