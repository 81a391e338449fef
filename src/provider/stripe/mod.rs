//! The Stripe adapter: hosted checkout over Stripe's HTTP API, and its signed webhooks.
//!
//! Everything created at Stripe carries our marks in its metadata, so that whatever Stripe says later can be
//! told from other people's objects on the same account.

mod amounts;
mod client;
mod events;
mod form;
mod outcome;
mod refund;
mod session;
mod settings;
mod signature;
mod wire;

use async_trait::async_trait;
use reqwest::Method;

pub use settings::{
    DEFAULT_BASE_URL, DEFAULT_CONNECT_TIMEOUT, DEFAULT_TIMEOUT, StripeError, StripeSettings,
};

use self::client::{Change, Request, StripeClient};
use self::form::Form;
use self::outcome::{Verdict, Wanted};
use super::{
    Ambiguity, CallRequest, CallResult, FetchError, MalformedEvent, NewSession, NotChargeable,
    Notice, Outcome, PaymentProvider, Probe, Reference, RefundAsk, SignatureError, SoughtSession,
    Verified,
};
use crate::domain::access::Mode;
use crate::domain::money::Money;
use crate::domain::observed::Observed;
use crate::domain::time::Timestamp;

/// The API version requests are written for. A stored call is sent with the version it was stored with.
pub const API_VERSION: &str = "2026-08-26.dahlia";

const SESSIONS: &str = "/v1/checkout/sessions";
const INTENTS: &str = "/v1/payment_intents";
const REFUNDS: &str = "/v1/refunds";
const DISPUTES: &str = "/v1/disputes";
const CHARGES: &str = "/v1/charges";
const BALANCE: &str = "/v1/balance";

/// How many pages of 100 refunds of one intent are read.
const MAX_REFUND_PAGES: usize = 20;
/// How many pages of 100 sessions are read to find one.
const MAX_SESSION_PAGES: usize = 100;

/// One Stripe account.
#[derive(Debug)]
pub struct Stripe {
    client: StripeClient,
    settings: StripeSettings,
    mode: Mode,
}

impl Stripe {
    /// The adapter for an account. A TLS provider must be installed in the process before.
    ///
    /// # Errors
    /// [`StripeError`] when a setting is unusable.
    pub fn new(settings: StripeSettings) -> Result<Stripe, StripeError> {
        let mode = settings.mode()?;
        settings.check_secrets()?;
        let client = StripeClient::new(&settings)?;
        Ok(Stripe {
            client,
            settings,
            mode,
        })
    }
}

#[async_trait]
impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn chargeable(&self, amount: Money) -> Result<(), NotChargeable> {
        amounts::to_wire(amount).map(|_| ())
    }

    fn create_session(&self, session: &NewSession) -> Result<CallRequest, NotChargeable> {
        let body = session::body(session)?;
        Ok(post(SESSIONS.to_owned(), body))
    }

    fn expire_session(&self, provider_session_id: &str) -> CallRequest {
        let id = path_id(provider_session_id);
        post(format!("{SESSIONS}/{id}/expire"), Vec::new())
    }

    fn capture(&self, intent: &str, amount: Money) -> Result<CallRequest, NotChargeable> {
        let mut form = Form::default();
        let wire = amounts::to_wire(amount)?;
        form.add(outcome::TO_CAPTURE, &wire.to_string());
        let path = format!("{INTENTS}/{}/capture", path_id(intent));
        Ok(post(path, form.into_bytes()))
    }

    fn void(&self, intent: &str) -> CallRequest {
        post(format!("{INTENTS}/{}/cancel", path_id(intent)), Vec::new())
    }

    fn refund(&self, refund: &RefundAsk) -> Result<CallRequest, NotChargeable> {
        Ok(post(REFUNDS.to_owned(), refund::body(refund)?))
    }

    fn dashboard(&self, intent: &str) -> Option<String> {
        // Any other server has no console that is known.
        let real = self.settings.base_url.trim_end_matches('/') == "https://api.stripe.com";
        let mode = match self.mode {
            Mode::Test => "test/",
            Mode::Live => "",
        };
        let id = path_id(intent);
        real.then(|| format!("https://dashboard.stripe.com/{mode}payments/{id}"))
    }

    async fn send(&self, call: &CallRequest, idempotency_key: &str) -> Outcome {
        let wanted = Wanted::of(&call.path).filter(|_| call.method == "POST");
        let Some(wanted) = wanted else {
            return Outcome {
                http_status: None,
                provider_request_id: None,
                retry_after_ms: None,
                result: CallResult::Unknown(Ambiguity::NotSent),
            };
        };
        let request = Request {
            method: Method::POST,
            path: &call.path,
            api_version: &call.api_version,
            change: Some(Change {
                body: &call.body,
                idempotency_key,
            }),
        };
        let exchange = self.client.exchange(request).await;
        let http_status = exchange.answer.as_ref().ok().map(|answer| answer.status);
        let result = match exchange
            .answer
            .map(|answer| outcome::judge(&wanted, answer))
        {
            Ok(Verdict::Object(object)) if outcome::took_otherwise(&call.body, &object) => {
                CallResult::Unknown(Ambiguity::BadAnswer)
            }
            Ok(Verdict::Object(object)) => CallResult::Succeeded(object),
            Ok(Verdict::Refused(decline)) => CallResult::Declined(decline),
            Ok(Verdict::Unknown(why)) | Err(why) => CallResult::Unknown(why),
        };
        Outcome {
            http_status,
            provider_request_id: exchange.request_id,
            retry_after_ms: exchange.retry_after_ms,
            result,
        }
    }

    async fn fetch(&self, reference: &Reference) -> Result<Observed, FetchError> {
        let path = match reference {
            Reference::Session(id) => {
                format!("{SESSIONS}/{id}?expand%5B%5D=payment_intent")
            }
            Reference::Intent(id) => format!("{INTENTS}/{id}"),
            Reference::Refund(id) => format!("{REFUNDS}/{id}"),
            Reference::Dispute(id) => format!("{DISPUTES}/{id}"),
        };
        let (Reference::Session(id)
        | Reference::Intent(id)
        | Reference::Refund(id)
        | Reference::Dispute(id)) = reference;
        let wanted = Wanted::of(&path).filter(|_| wire::is_id(id));
        let Some(wanted) = wanted else {
            return Err(FetchError::Refused("not an id of Stripe's".to_owned()));
        };
        let request = Request {
            method: Method::GET,
            path: &path,
            api_version: API_VERSION,
            change: None,
        };
        let exchange = self.client.exchange(request).await;
        let answer = exchange.answer.map_err(FetchError::Unavailable)?;
        let status = answer.status;
        match outcome::judge(&wanted, answer) {
            Verdict::Object(object) => Ok(*object),
            Verdict::Refused(decline) if status == 404 && decline.code == "resource_missing" => {
                Err(FetchError::NotFound)
            }
            Verdict::Refused(decline) => {
                let (code, message) = (decline.code, decline.message);
                Err(FetchError::Refused(format!("{code}: {message}")))
            }
            Verdict::Unknown(why) => Err(FetchError::Unavailable(why)),
        }
    }

    async fn intent_of(&self, charge: &str) -> Result<Option<String>, FetchError> {
        if !wire::is_id(charge) {
            return Err(FetchError::Refused("not an id of Stripe's".to_owned()));
        }
        let request = Request {
            method: Method::GET,
            path: &format!("{CHARGES}/{charge}"),
            api_version: API_VERSION,
            change: None,
        };
        let exchange = self.client.exchange(request).await;
        let answer = exchange.answer.map_err(FetchError::Unavailable)?;
        let shown: wire::ChargeOfIntent = outcome::read(answer)?;
        let shown = shown.observe().ok().filter(|shown| shown.charge == charge);
        let shown = shown.ok_or(FetchError::Unavailable(Ambiguity::BadAnswer))?;
        Ok(shown.intent)
    }

    async fn refunds_of(&self, intent: &str) -> Result<Vec<Observed>, FetchError> {
        if !wire::is_id(intent) {
            return Err(FetchError::Refused("not an id of Stripe's".to_owned()));
        }
        let mut found = Vec::new();
        for _ in 0..MAX_REFUND_PAGES {
            let mut path = format!("{REFUNDS}?payment_intent={intent}&limit=100");
            if let Some(last) = found.last().map(Observed::provider_id) {
                path.push_str("&starting_after=");
                path.push_str(last);
            }
            let request = Request {
                method: Method::GET,
                path: &path,
                api_version: API_VERSION,
                change: None,
            };
            let exchange = self.client.exchange(request).await;
            let answer = exchange.answer.map_err(FetchError::Unavailable)?;
            let (page, more) = refund::page(answer, intent)?;
            found.extend(page.into_iter().map(Observed::Refund));
            if !more {
                return Ok(found);
            }
        }
        Err(FetchError::Refused("more refunds than are read".to_owned()))
    }

    async fn find_session(&self, sought: &SoughtSession) -> Result<Option<String>, FetchError> {
        let mut last: Option<String> = None;
        for _ in 0..MAX_SESSION_PAGES {
            let path = session::list_path(SESSIONS, sought, last.as_deref());
            let request = Request {
                method: Method::GET,
                path: &path,
                api_version: API_VERSION,
                change: None,
            };
            let exchange = self.client.exchange(request).await;
            let answer = exchange.answer.map_err(FetchError::Unavailable)?;
            let page = session::page(answer, sought)?;
            if page.found.is_some() || page.next.is_none() {
                return Ok(page.found);
            }
            last = page.next;
        }
        Err(FetchError::Refused(
            "more sessions than are read".to_owned(),
        ))
    }

    async fn probe(&self) -> Result<Probe, Ambiguity> {
        let request = Request {
            method: Method::GET,
            path: BALANCE,
            api_version: API_VERSION,
            change: None,
        };
        let exchange = self.client.exchange(request).await;
        let answer = exchange.answer?;
        let balance = answer.body.ok().filter(|_| answer.status == 200);
        let balance = balance.and_then(|body| wire::read::<wire::Balance>(&body).ok());
        Ok(Probe {
            http_status: answer.status,
            accepted: match answer.status {
                200 => balance.as_ref().map(|_| true),
                // A restricted key may lack the right to read balances and is a good key all the same.
                403 => Some(true),
                401 => Some(false),
                _ => None,
            },
            mode: balance.map(|balance| match balance.livemode {
                true => Mode::Live,
                false => Mode::Test,
            }),
            server_time: exchange.server_time,
        })
    }

    fn verify(
        &self,
        signature_header: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let secrets = &self.settings.webhook_secrets;
        signature::verify(secrets, signature_header, body, now)
    }

    fn signature_header(&self) -> &'static str {
        "Stripe-Signature"
    }

    fn parse_event(&self, body: &[u8]) -> Result<Notice, MalformedEvent> {
        events::parse(body)
    }
}

/// Ids are checked when they are read; any other text makes a path that `send` refuses.
fn path_id(id: &str) -> &str {
    if wire::is_id(id) { id } else { "-" }
}

fn post(path: String, body: Vec<u8>) -> CallRequest {
    CallRequest {
        method: "POST".to_owned(),
        path,
        body,
        api_version: API_VERSION.to_owned(),
    }
}
