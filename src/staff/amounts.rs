//! Amounts that somebody typed into a form.

use super::words::actions as words;
use crate::domain::currency::Currency;
use crate::domain::ids::PaymentId;
use crate::domain::money::Money;
use crate::domain::standing::Standing;
use crate::domain::typed_amount::typed_amount;

/// Reads what was typed into a field for an amount.
///
/// # Errors
/// What is wrong with it, as a sentence that names the field.
pub(super) fn read(typed: &str, currency: Currency) -> Result<Money, String> {
    typed_amount(typed, currency).map_err(|why| words::amount_wrong(typed.trim(), &why, currency))
}

/// The currency of what goes back from a payment, or from the only one that money can go back from.
pub(super) fn currency_of(standing: &Standing, payment: Option<PaymentId>) -> Currency {
    let mut payments = standing.payments.iter().filter(|known| match payment {
        Some(id) => known.id == id,
        None => known.left.minor() > 0,
    });
    payments
        .next()
        .map_or(standing.currency, |payment| payment.currency)
}
