//! The ledger: double entry over money, not over orders. Placing an order posts nothing.
//!
//! For each payment the fold gives target balances; a fact that moves a target posts one transaction of
//! target − posted. So a posting is never "the refund entry" but always what brings the books to the facts.
//!
//! | fact | debit | credit |
//! |---|---|---|
//! | captured and the order's | provider_clearing | sales |
//! | captured and not | provider_clearing | suspense |
//! | accepted by staff | suspense | sales |
//! | refund succeeded | refunds (or suspense) | provider_clearing |
//! | dispute withdrawn | disputes_held | provider_clearing |
//! | dispute lost | dispute_losses (or suspense) | disputes_held |
//! | fee | provider_fees | provider_clearing |

use std::collections::BTreeMap;

use super::access::words;
use super::currency::Currency;
use super::ids::PaymentId;
use super::settlement::{OrderState, PaymentState};

words! {
    /// The accounts every shop has in every currency it takes.
    LedgerAccountName {
        /// Money the provider holds for the shop.
        ProviderClearing = "provider_clearing",
        /// Money taken for orders.
        Sales = "sales",
        /// Money given back.
        Refunds = "refunds",
        /// Money that is no order's, until somebody decides.
        Suspense = "suspense",
        /// Money taken by disputes that are not decided.
        DisputesHeld = "disputes_held",
        /// Money lost in disputes.
        DisputeLosses = "dispute_losses",
        /// Money the provider kept.
        ProviderFees = "provider_fees",
    }
}

/// What a balance is counted by: a payment's share of an account, in a currency.
pub type Slot = (PaymentId, LedgerAccountName, Currency);

/// Balances by payment and account in minor units; debits count positive, credits negative.
pub type Balances = BTreeMap<Slot, i64>;

/// One line of a transaction: either side is zero, neither is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The payment it is about.
    pub payment: PaymentId,
    /// The account.
    pub account: LedgerAccountName,
    /// The currency.
    pub currency: Currency,
    /// Debited, in minor units.
    pub debit_minor: i64,
    /// Credited, in minor units.
    pub credit_minor: i64,
}

/// The balances the books must show for a state.
#[must_use]
pub fn targets(state: &OrderState) -> Balances {
    let mut balances = Balances::new();
    for payment in &state.payments {
        add_payment(&mut balances, payment);
    }
    balances.retain(|_, balance| *balance != 0);
    balances
}

fn add_payment(balances: &mut Balances, payment: &PaymentState) {
    use LedgerAccountName as A;
    let currency = payment.requested.currency();
    let mut add = |account, amount: i64| {
        let balance = balances.entry((payment.id, account, currency)).or_default();
        *balance = balance.saturating_add(amount);
    };
    let (income, given_back, lost_to) = if payment.belongs {
        (A::Sales, A::Refunds, A::DisputeLosses)
    } else {
        (A::Suspense, A::Suspense, A::Suspense)
    };
    let lost = payment.lost_minor();
    let held = payment.net_withdrawn_minor().saturating_sub(lost);
    add(
        A::ProviderClearing,
        payment.kept_minor().saturating_sub(payment.fee_minor),
    );
    add(income, payment.captured_minor.saturating_neg());
    add(given_back, payment.refunded_minor);
    add(A::DisputesHeld, held);
    add(lost_to, lost);
    add(A::ProviderFees, payment.fee_minor);
}

/// The postings that bring `posted` to `targets`; none when they agree. They always balance, because both
/// sides do.
#[must_use]
pub fn difference(targets: &Balances, posted: &Balances) -> Vec<Posting> {
    let mut slots: Vec<&Slot> = targets.keys().chain(posted.keys()).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
        .into_iter()
        .filter_map(|slot| {
            let target = targets.get(slot).copied().unwrap_or(0);
            let known = posted.get(slot).copied().unwrap_or(0);
            let moved = target.saturating_sub(known);
            (moved != 0).then(|| Posting {
                payment: slot.0,
                account: slot.1,
                currency: slot.2,
                debit_minor: moved.max(0),
                credit_minor: moved.saturating_neg().max(0),
            })
        })
        .collect()
}

/// Whether postings sum to nothing in every currency.
#[must_use]
pub fn is_balanced(postings: &[Posting]) -> bool {
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for posting in postings {
        let sum = sums.entry(posting.currency).or_default();
        let moved = posting.debit_minor.saturating_sub(posting.credit_minor);
        *sum = sum.saturating_add(moved);
    }
    sums.values().all(|sum| *sum == 0)
}
