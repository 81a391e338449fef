//! Stripe's objects as they are on the wire, and what they say in our words.
//!
//! Unknown fields are ignored, because Stripe adds some every month; a field that is used must be exactly what
//! the API promises. An amount that is not a whole number, a status nobody documented or a name that comes
//! twice makes the object unreadable, never a guess.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::amounts;
use crate::domain::money::Money;
use crate::domain::observed::{
    Marks, ObservedDispute, ObservedDisputeStatus, ObservedFailure, ObservedIntent,
    ObservedIntentStatus, ObservedLapse, ObservedRefund, ObservedRefundStatus, ObservedSession,
    ObservedSessionPayment, ObservedSessionStatus,
};
use crate::domain::time::{SECOND_MS, Timestamp};

/// The longest address of a hosted page that is believed.
const MAX_URL_BYTES: usize = 8_192;

/// Why an object cannot be read; never quotes what was received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

fn malformed<T>(why: &str) -> Result<T, Malformed> {
    Err(Malformed(why.to_owned()))
}

/// Reads one JSON document.
///
/// # Errors
/// [`Malformed`] with the place of the fault only: the parser's own message would quote personal data.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Malformed(format!("unexpected JSON at line {line} column {column}"))
    })
}

/// Whether a text can be an id of Stripe's: it is put into paths and rows.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

fn checked_id(id: String) -> Result<String, Malformed> {
    if is_id(&id) {
        Ok(id)
    } else {
        malformed("an id has characters no id has")
    }
}

/// A point in time from Stripe's seconds.
#[must_use]
pub fn timestamp(seconds: i64) -> Option<Timestamp> {
    seconds.checked_mul(SECOND_MS).map(Timestamp::from_ms)
}

fn money(amount: i64, currency: &str) -> Result<Money, Malformed> {
    amounts::from_wire(amount, currency)
        .ok_or_else(|| Malformed("not an amount of a known currency".to_owned()))
}

/// A field that holds an object's id, or the object itself when it was asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expandable<T> {
    Id(String),
    Object(Box<T>),
}

/// The part of `metadata` that is ours.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    till_deployment: Option<String>,
    till_order: Option<String>,
    till_session: Option<String>,
    till_refund: Option<String>,
}

impl From<Metadata> for Marks {
    fn from(metadata: Metadata) -> Marks {
        Marks {
            deployment: metadata.till_deployment,
            order: metadata.till_order,
            session: metadata.till_session,
            refund: metadata.till_refund,
        }
    }
}

/// A `checkout.session`.
#[derive(Debug, Deserialize)]
pub struct Session {
    id: String,
    object: String,
    mode: String,
    status: Option<String>,
    payment_status: String,
    amount_total: Option<i64>,
    currency: Option<String>,
    payment_intent: Option<Expandable<Intent>>,
    url: Option<String>,
    expires_at: Option<i64>,
    livemode: bool,
    metadata: Option<Metadata>,
}

impl Session {
    /// Whether it is a session for one payment, the only kind Till makes.
    #[must_use]
    pub fn is_payment(&self) -> bool {
        self.mode == "payment"
    }

    /// What the session says.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a payment session as the API promises it.
    pub fn observe(self) -> Result<ObservedSession, Malformed> {
        if self.object != "checkout.session" || !self.is_payment() {
            return malformed("not a checkout session in payment mode");
        }
        let (Some(total), Some(currency)) = (self.amount_total, self.currency) else {
            return malformed("a session without a total");
        };
        let status = match self.status.as_deref() {
            Some("open") => ObservedSessionStatus::Open,
            Some("complete") => ObservedSessionStatus::Complete,
            Some("expired") => ObservedSessionStatus::Expired,
            _ => return malformed("an unknown session status"),
        };
        let payment = match self.payment_status.as_str() {
            "paid" => ObservedSessionPayment::Paid,
            "unpaid" => ObservedSessionPayment::Unpaid,
            "no_payment_required" => ObservedSessionPayment::NotRequired,
            _ => return malformed("an unknown payment status"),
        };
        let (intent, intent_object) = match self.payment_intent {
            None => (None, None),
            Some(Expandable::Id(id)) => (Some(checked_id(id)?), None),
            Some(Expandable::Object(intent)) => {
                let intent = intent.observe()?;
                (Some(intent.provider_id.clone()), Some(intent))
            }
        };
        let expires_at = match self.expires_at.map(timestamp) {
            Some(None) => return malformed("a time beyond all calendars"),
            known => known.flatten(),
        };
        Ok(ObservedSession {
            provider_id: checked_id(self.id)?,
            marks: self.metadata.unwrap_or_default().into(),
            status,
            payment,
            amount: money(total, &currency)?,
            intent,
            intent_object,
            delayed_payment_failed: false,
            url: self.url.map(checked_url).transpose()?,
            expires_at,
            live: self.livemode,
        })
    }
}

/// Customers are sent there, so it must be a web address and nothing else.
fn checked_url(url: String) -> Result<String, Malformed> {
    let parsed = reqwest::Url::parse(&url).ok();
    let web = parsed.is_some_and(|parsed| matches!(parsed.scheme(), "https" | "http"));
    if web && url.len() <= MAX_URL_BYTES {
        Ok(url)
    } else {
        malformed("the hosted page's address is not a web address")
    }
}

/// Any session of the account, as far as it says whose it is.
#[derive(Debug, Deserialize)]
pub struct ListedSession {
    id: String,
    metadata: Option<Metadata>,
}

impl ListedSession {
    /// Its id and our marks on it.
    ///
    /// # Errors
    /// [`Malformed`] when its id is none.
    pub fn identify(self) -> Result<(String, Marks), Malformed> {
        let marks = self.metadata.unwrap_or_default().into();
        Ok((checked_id(self.id)?, marks))
    }
}

/// A `payment_intent`.
#[derive(Debug, Deserialize)]
pub struct Intent {
    id: String,
    object: String,
    status: String,
    amount: i64,
    amount_received: i64,
    currency: String,
    latest_charge: Option<Expandable<Charge>>,
    last_payment_error: Option<Failure>,
    livemode: bool,
    metadata: Option<Metadata>,
}

/// The part of a `charge` that is read where an intent includes it.
#[derive(Debug, Deserialize)]
struct Charge {
    id: String,
}

impl Intent {
    /// What the intent says.
    ///
    /// # Errors
    /// [`Malformed`] when it is not an intent as the API promises it.
    pub fn observe(self) -> Result<ObservedIntent, Malformed> {
        if self.object != "payment_intent" {
            return malformed("not a payment intent");
        }
        let refused = self.last_payment_error.is_some();
        let status = match self.status.as_str() {
            "requires_payment_method" if refused => ObservedIntentStatus::NeedsPaymentMethod,
            "requires_payment_method" | "requires_confirmation" | "requires_action" => {
                ObservedIntentStatus::Waiting
            }
            "processing" => ObservedIntentStatus::Processing,
            "requires_capture" => ObservedIntentStatus::Authorized,
            "succeeded" => ObservedIntentStatus::Captured,
            "canceled" => ObservedIntentStatus::Canceled,
            _ => return malformed("an unknown intent status"),
        };
        let charge = self.latest_charge.map(|charge| match charge {
            Expandable::Id(id) => id,
            Expandable::Object(charge) => charge.id,
        });
        let failure = match self.last_payment_error {
            None => None,
            Some(failure) => Some(ObservedFailure {
                code: failure.code(),
                charge: failure.charge.map(checked_id).transpose()?,
            }),
        };
        Ok(ObservedIntent {
            provider_id: checked_id(self.id)?,
            marks: self.metadata.unwrap_or_default().into(),
            status,
            amount: money(self.amount, &self.currency)?,
            captured: money(self.amount_received, &self.currency)?,
            charge: charge.map(checked_id).transpose()?,
            failure,
            live: self.livemode,
        })
    }
}

impl<T: Identified> Expandable<T> {
    fn id(self) -> Result<String, Malformed> {
        checked_id(match self {
            Expandable::Id(id) => id,
            Expandable::Object(object) => object.into_id(),
        })
    }
}

/// An object that is read for its id only.
trait Identified {
    fn into_id(self) -> String;
}

/// Any object, where only its id matters.
#[derive(Debug, Deserialize)]
struct Named {
    id: String,
}

impl Identified for Named {
    fn into_id(self) -> String {
        self.id
    }
}

fn id_of(field: Option<Expandable<Named>>) -> Result<Option<String>, Malformed> {
    field.map(Expandable::id).transpose()
}

/// A short code, or a word that says there is none to be shown.
fn plain_code(code: String) -> String {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=100).contains(&code.len()) && code.bytes().all(word) {
        code
    } else {
        "unknown".to_owned()
    }
}

/// A `refund`.
#[derive(Debug, Deserialize)]
pub struct Refund {
    id: String,
    object: String,
    status: Option<String>,
    amount: i64,
    currency: String,
    charge: Option<Expandable<Named>>,
    payment_intent: Option<Expandable<Named>>,
    failure_reason: Option<String>,
    metadata: Option<Metadata>,
}

impl Refund {
    /// What the refund says.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a refund as the API promises it.
    pub fn observe(self) -> Result<ObservedRefund, Malformed> {
        if self.object != "refund" {
            return malformed("not a refund");
        }
        let status = match self.status.as_deref() {
            Some("pending" | "requires_action") => ObservedRefundStatus::Pending,
            Some("succeeded") => ObservedRefundStatus::Succeeded,
            Some("failed") => ObservedRefundStatus::Failed,
            Some("canceled") => ObservedRefundStatus::Cancelled,
            _ => return malformed("an unknown refund status"),
        };
        Ok(ObservedRefund {
            provider_id: checked_id(self.id)?,
            marks: self.metadata.unwrap_or_default().into(),
            intent: id_of(self.payment_intent)?,
            charge: id_of(self.charge)?,
            status,
            amount: positive(self.amount, &self.currency)?,
            failure: self.failure_reason.map(plain_code),
        })
    }
}

fn positive(amount: i64, currency: &str) -> Result<Money, Malformed> {
    if amount < 0 {
        return malformed("an amount below zero");
    }
    money(amount, currency)
}

/// A `dispute`.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    id: String,
    object: String,
    status: String,
    amount: i64,
    currency: String,
    charge: Option<Expandable<Named>>,
    payment_intent: Option<Expandable<Named>>,
    #[serde(default)]
    balance_transactions: Vec<Movement>,
    evidence_details: Option<EvidenceDetails>,
    livemode: bool,
    metadata: Option<Metadata>,
}

/// The part of a dispute that says until when it can be answered.
#[derive(Debug, Deserialize)]
struct EvidenceDetails {
    due_by: Option<i64>,
}

/// The part of a `balance_transaction` that is read where a dispute includes it.
#[derive(Debug, Deserialize)]
struct Movement {
    amount: i64,
    currency: String,
}

impl Dispute {
    /// What the dispute says.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a dispute as the API promises it.
    pub fn observe(self) -> Result<ObservedDispute, Malformed> {
        if self.object != "dispute" {
            return malformed("not a dispute");
        }
        let status = match self.status.as_str() {
            "warning_needs_response"
            | "warning_under_review"
            | "needs_response"
            | "under_review" => ObservedDisputeStatus::Open,
            // What was prevented never became a dispute; money that went back did so as a refund.
            "warning_closed" | "prevented" => ObservedDisputeStatus::WarningClosed,
            "won" => ObservedDisputeStatus::Won,
            "lost" => ObservedDisputeStatus::Lost,
            _ => return malformed("an unknown dispute status"),
        };
        let disputed = positive(self.amount, &self.currency)?;
        let taken = moved(&self.balance_transactions, disputed, |amount| amount < 0)?;
        let back = moved(&self.balance_transactions, disputed, |amount| amount > 0)?;
        Ok(ObservedDispute {
            provider_id: checked_id(self.id)?,
            marks: self.metadata.unwrap_or_default().into(),
            intent: id_of(self.payment_intent)?,
            charge: id_of(self.charge)?,
            status,
            due_at: self
                .evidence_details
                .and_then(|details| details.due_by)
                .map(|seconds| Timestamp::from_ms(seconds.saturating_mul(1_000))),
            withdrawn: taken,
            reinstated: back,
            live: self.livemode,
        })
    }
}

/// What moved in one direction. The balance may be kept in another currency than the charge: then the disputed
/// amount itself says how much of the charge moved.
fn moved(
    movements: &[Movement],
    disputed: Money,
    direction: impl Fn(i64) -> bool,
) -> Result<Money, Malformed> {
    let mut sum = Money::zero(disputed.currency());
    for movement in movements
        .iter()
        .filter(|movement| direction(movement.amount))
    {
        let same = movement
            .currency
            .eq_ignore_ascii_case(disputed.currency().code());
        if !same {
            return Ok(disputed);
        }
        let amount = movement.amount.saturating_abs();
        let amount = money(amount, &movement.currency)?;
        sum = match sum.checked_add(amount) {
            Ok(sum) => sum,
            Err(_) => return malformed("more money than there is"),
        };
    }
    Ok(sum)
}

/// A `charge`, as far as it says whose it is.
#[derive(Debug, Deserialize)]
pub struct ChargeOfIntent {
    id: String,
    object: String,
    payment_intent: Option<Expandable<Named>>,
    livemode: bool,
    metadata: Option<Metadata>,
}

impl ChargeOfIntent {
    /// What the charge says.
    ///
    /// # Errors
    /// [`Malformed`] when it is no charge.
    pub fn observe(self) -> Result<ObservedLapse, Malformed> {
        if self.object != "charge" {
            return malformed("not a charge");
        }
        Ok(ObservedLapse {
            charge: checked_id(self.id)?,
            marks: self.metadata.unwrap_or_default().into(),
            intent: id_of(self.payment_intent)?,
            live: self.livemode,
        })
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Whether there is more.
    pub has_more: bool,
}

/// A `balance`, as far as it says whose it is.
#[derive(Debug, Deserialize)]
pub struct Balance {
    /// Whether it is real money.
    pub livemode: bool,
}

/// The body of a refused request.
#[derive(Debug, Deserialize)]
pub struct ErrorBody {
    /// What was wrong.
    pub error: Failure,
}

/// Stripe's error object: of a refused request, or of an intent's last try.
#[derive(Debug, Deserialize)]
pub struct Failure {
    /// The kind of error; the only field that is always there.
    #[serde(rename = "type")]
    pub kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    /// A sentence for developers or, for card errors, for customers.
    pub message: Option<String>,
    charge: Option<String>,
}

impl Failure {
    /// The most precise short code there is.
    #[must_use]
    pub fn code(&self) -> String {
        let codes = [&self.decline_code, &self.code];
        let named = codes.into_iter().find_map(Option::as_deref);
        let code = named.unwrap_or(&self.kind);
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if (1..=100).contains(&code.len()) && code.bytes().all(word) {
            code.to_owned()
        } else {
            "unknown".to_owned()
        }
    }

    /// Whether this is the request's own error code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

#[cfg(test)]
pub(super) mod tests;
