//! The body that creates a hosted checkout session, and the list one is looked for in.
//!
//! Stripe must charge exactly our total: every order line is one provider line with its final amount, and
//! nothing that could change the sum on Stripe's side is left on. The bytes depend on nothing but the session.

use super::amounts;
use super::form::Form;
use super::outcome::{self, Answer};
use super::wire::{ListedSession, Page};
use crate::domain::checkout::Capture;
use crate::domain::money::Money;
use crate::provider::{Ambiguity, FetchError, NewSession, NotChargeable, SoughtSession};

/// Stripe takes 100 lines; one is left for whatever may have to be added to a session later.
const MAX_LINES: usize = 99;
/// The longest product name Stripe takes, in characters.
const MAX_NAME_CHARS: usize = 250;

/// The form that creates this session.
///
/// # Errors
/// [`NotChargeable`] when Stripe cannot represent the amount.
pub fn body(session: &NewSession) -> Result<Vec<u8>, NotChargeable> {
    let total = amounts::to_wire(session.amount)?;
    let currency = session.amount.currency().code().to_ascii_lowercase();
    let order = session.order.to_string();
    let mut form = Form::default();
    form.add("mode", "payment");
    form.add("client_reference_id", &order);
    form.add("success_url", &session.success_url);
    form.add("cancel_url", &session.cancel_url);
    form.add("expires_at", &session.expires_at.seconds().to_string());
    if let Some(email) = session.customer_email.as_deref() {
        form.add("customer_email", email);
    }
    // An account may turn this on for all its sessions; the customer would pay in another currency. Tax and
    // promotion codes are off unless asked for.
    form.add("adaptive_pricing[enabled]", "false");
    for (at, (name, amount)) in lines(session, total).iter().enumerate() {
        let line = format!("line_items[{at}]");
        let price = format!("{line}[price_data]");
        form.add(&format!("{line}[quantity]"), "1");
        form.add(&format!("{price}[currency]"), &currency);
        form.add(&format!("{price}[unit_amount]"), &amount.to_string());
        form.add(&format!("{price}[product_data][name]"), name);
    }
    let capture = match session.capture {
        Capture::Automatic => "automatic",
        Capture::Manual => "manual",
    };
    form.add("payment_intent_data[capture_method]", capture);
    // The intent does not inherit the session's metadata, and its events are judged by their own.
    for prefix in ["metadata", "payment_intent_data[metadata]"] {
        form.add(&format!("{prefix}[till_deployment]"), &session.deployment);
        form.add(&format!("{prefix}[till_order]"), &order);
        form.add(
            &format!("{prefix}[till_session]"),
            &session.session.to_string(),
        );
    }
    Ok(form.into_bytes())
}

/// The path of one page of the sessions made in a stretch of time, newest first, after the one with the id
/// `last`.
pub fn list_path(sessions: &str, sought: &SoughtSession, last: Option<&str>) -> String {
    let (from, until) = (sought.from.seconds(), sought.until.seconds());
    let mut path = format!("{sessions}?created%5Bgte%5D={from}&created%5Blte%5D={until}&limit=100");
    if let Some(last) = last {
        path.push_str("&starting_after=");
        path.push_str(last);
    }
    path
}

/// What one page of the list of sessions told.
#[derive(Debug, PartialEq, Eq)]
pub struct Looked {
    /// The sought session's id, when it is on this page.
    pub found: Option<String>,
    /// The id the next page starts after, when there is one.
    pub next: Option<String>,
}

/// Looks for a session on a page. The others may be anybody's, of any kind: of those only the id is read.
///
/// # Errors
/// [`FetchError`] for anything but such a page.
pub fn page(answer: Answer, sought: &SoughtSession) -> Result<Looked, FetchError> {
    let bad = || FetchError::Unavailable(Ambiguity::BadAnswer);
    let page: Page<ListedSession> = outcome::page(answer)?;
    let ours = sought.session.to_string();
    let mut looked = Looked {
        found: None,
        next: None,
    };
    for listed in page.data {
        let (id, marks) = listed.identify().map_err(|_| bad())?;
        let same = marks.session.as_deref() == Some(ours.as_str())
            && marks.deployment.as_deref() == Some(sought.deployment.as_str());
        if same {
            looked.found = Some(id.clone());
        }
        looked.next = Some(id);
    }
    // An empty page that promises more would be asked for again and again.
    if page.has_more && looked.next.is_none() {
        return Err(bad());
    }
    looked.next = looked.next.filter(|_| page.has_more);
    Ok(looked)
}

/// The provider's lines: the order's, or one summary when those do not say the total exactly.
fn lines(session: &NewSession, total: i64) -> Vec<(String, i64)> {
    let summary = format!("Order {}", session.order_number);
    let exact = own_lines(session, &summary);
    exact.unwrap_or_else(|| vec![(product_name(&summary, "Order"), total)])
}

fn own_lines(session: &NewSession, fallback_name: &str) -> Option<Vec<(String, i64)>> {
    let amounts = session.lines.iter().map(|(_, amount)| *amount);
    let sum = Money::sum(session.amount.currency(), amounts).ok()?;
    // What is free is not shown: a hosted page that lists it would only invite questions.
    let paid = session.lines.iter().filter(|(_, amount)| !amount.is_zero());
    let lines: Option<Vec<_>> = paid
        .map(|(name, amount)| {
            let wire = amounts::to_wire(*amount).ok()?;
            Some((product_name(name, fallback_name), wire))
        })
        .collect();
    let lines = lines?;
    let fits = (1..=MAX_LINES).contains(&lines.len());
    (fits && sum == session.amount).then_some(lines)
}

/// A name Stripe accepts: never blank, cut between characters.
fn product_name(name: &str, fallback: &str) -> String {
    let name = name.trim();
    let name = if name.is_empty() { fallback } else { name };
    name.chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests;
