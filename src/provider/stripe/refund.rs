//! Refunds: the body that asks for one, and the list of an intent's.

use super::amounts;
use super::form::Form;
use super::outcome::{self, Answer};
use super::wire::{self, Page};
use crate::domain::observed::ObservedRefund;
use crate::provider::{Ambiguity, FetchError, NotChargeable, RefundAsk};

/// The form that asks for this refund.
///
/// # Errors
/// [`NotChargeable`] when Stripe cannot represent the amount.
pub fn body(refund: &RefundAsk) -> Result<Vec<u8>, NotChargeable> {
    let amount = amounts::to_wire(refund.amount)?;
    let mut form = Form::default();
    form.add("payment_intent", &refund.intent);
    form.add("amount", &amount.to_string());
    if let Some(reason) = refund.reason {
        form.add("reason", reason.as_str());
    }
    form.add("metadata[till_deployment]", &refund.deployment);
    form.add("metadata[till_order]", &refund.order.to_string());
    form.add("metadata[till_refund]", &refund.refund.to_string());
    Ok(form.into_bytes())
}

/// The refunds on one page of the list of an intent's, and whether there are more.
///
/// # Errors
/// [`FetchError`] for anything but exactly such a page.
pub fn page(answer: Answer, intent: &str) -> Result<(Vec<ObservedRefund>, bool), FetchError> {
    let bad = || FetchError::Unavailable(Ambiguity::BadAnswer);
    let page: Page<wire::Refund> = outcome::page(answer)?;
    let refunds: Result<Vec<_>, _> = page.data.into_iter().map(wire::Refund::observe).collect();
    let refunds = refunds.map_err(|_| bad())?;
    let all_of_it = refunds
        .iter()
        .all(|refund| refund.intent.as_deref() == Some(intent));
    // An empty page that promises more would be asked for again and again.
    if all_of_it && !(refunds.is_empty() && page.has_more) {
        Ok((refunds, page.has_more))
    } else {
        Err(bad())
    }
}
