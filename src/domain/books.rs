//! The ledger as callers see it: the trial balance, and transactions with their entries.

use std::collections::BTreeMap;

use serde::Serialize;

use super::currency::Currency;
use super::ids::{FactId, LedgerEntryId, LedgerTransactionId, OrderId, PaymentId};
use super::ledger::LedgerAccountName;
use super::money::Money;
use super::page::Span;
use super::settlement::FactKind;
use super::time::Timestamp;

/// What every account of a shop has moved, by currency.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TrialBalance {
    /// Always `trial_balance`.
    #[schema(example = "trial_balance")]
    pub object: &'static str,
    /// Whether debits equal credits in every currency. Anything but `true` is a fault of Till's.
    pub balanced: bool,
    /// One entry a currency the shop has books in.
    pub currencies: Vec<CurrencyBalance>,
}

/// The books of one currency.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CurrencyBalance {
    /// The currency.
    pub currency: Currency,
    /// The sum of all debits.
    #[schema(value_type = super::forms::Amount)]
    pub debit: Money,
    /// The sum of all credits.
    #[schema(value_type = super::forms::Amount)]
    pub credit: Money,
    /// Every account.
    pub accounts: Vec<AccountBalance>,
}

/// What one account has moved.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AccountBalance {
    /// The account.
    pub account: LedgerAccountName,
    /// The sum of its debits.
    #[schema(value_type = super::forms::Amount)]
    pub debit: Money,
    /// The sum of its credits.
    #[schema(value_type = super::forms::Amount)]
    pub credit: Money,
}

/// An account's movements in one shop and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountTotal {
    /// The currency.
    pub currency: Currency,
    /// The account.
    pub account: LedgerAccountName,
    /// The sum of its debits, in minor units.
    pub debit_minor: i64,
    /// The sum of its credits, in minor units.
    pub credit_minor: i64,
}

/// The trial balance over every account's movements.
#[must_use]
pub fn trial_balance(totals: &[AccountTotal]) -> TrialBalance {
    let mut currencies: BTreeMap<&str, CurrencyBalance> = BTreeMap::new();
    for total in totals {
        let amount = |minor| Money::new(minor, total.currency);
        let balance = currencies
            .entry(total.currency.code())
            .or_insert_with(|| CurrencyBalance {
                currency: total.currency,
                debit: amount(0),
                credit: amount(0),
                accounts: Vec::new(),
            });
        balance.debit = amount(balance.debit.minor().saturating_add(total.debit_minor));
        balance.credit = amount(balance.credit.minor().saturating_add(total.credit_minor));
        balance.accounts.push(AccountBalance {
            account: total.account,
            debit: amount(total.debit_minor),
            credit: amount(total.credit_minor),
        });
    }
    let currencies: Vec<CurrencyBalance> = currencies.into_values().collect();
    TrialBalance {
        object: "trial_balance",
        balanced: currencies
            .iter()
            .all(|balance| balance.debit == balance.credit),
        currencies,
    }
}

/// Which ledger transactions staff look for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    /// Those with an entry of such an account.
    pub account: Option<LedgerAccountName>,
    /// Those of one order.
    pub order: Option<OrderId>,
    /// Those with an entry of one payment.
    pub payment: Option<PaymentId>,
    /// When they were posted.
    pub posted: Span,
}

/// One transaction of the ledger: balanced, for one fact, for ever.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LedgerTransaction {
    /// The transaction's id.
    pub id: LedgerTransactionId,
    /// Always `ledger_transaction`.
    #[schema(example = "ledger_transaction")]
    pub object: &'static str,
    /// The order whose money moved.
    pub order_id: OrderId,
    /// Why it was posted.
    pub fact: PostedFact,
    /// Its entries; debits and credits are equal in every currency.
    pub entries: Vec<LedgerEntry>,
    /// When it was posted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The fact a transaction was posted for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PostedFact {
    /// The fact's id.
    pub id: FactId,
    /// What it says.
    pub kind: FactKind,
    /// How Till learned it: `webhook`, `poll`, `call`, `reconcile` or `decision`.
    #[schema(example = "webhook")]
    pub source: String,
    /// What told it: an event of the provider, a session that was asked about, a call.
    #[schema(example = "pev_01kq8rm5ahf2aaemq4p7v9w0xk")]
    pub source_id: String,
}

/// One side of a transaction.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LedgerEntry {
    /// The entry's id.
    pub id: LedgerEntryId,
    /// Always `ledger_entry`.
    #[schema(example = "ledger_entry")]
    pub object: &'static str,
    /// The account.
    pub account: LedgerAccountName,
    /// What it is debited with.
    #[schema(value_type = super::forms::Amount)]
    pub debit: Money,
    /// What it is credited with.
    #[schema(value_type = super::forms::Amount)]
    pub credit: Money,
    /// The currency of both.
    pub currency: Currency,
    /// The payment it is about.
    pub payment_id: PaymentId,
    /// When it was posted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    //! The sums of a trial balance, and what is said of one that does not balance.

    use super::*;

    fn total(code: &str, account: LedgerAccountName, debit: i64, credit: i64) -> AccountTotal {
        AccountTotal {
            currency: Currency::from_code(code).expect("a currency"),
            account,
            debit_minor: debit,
            credit_minor: credit,
        }
    }

    #[test]
    fn currencies_are_summed_apart_and_judged_together() {
        use LedgerAccountName as A;
        let mut totals = vec![
            total("EUR", A::ProviderClearing, 5_997, 1_000),
            total("EUR", A::Sales, 0, 4_997),
            total("JPY", A::ProviderClearing, 7, 0),
            total("JPY", A::Sales, 0, 7),
        ];
        let balance = trial_balance(&totals);
        assert!(balance.balanced);
        let json = serde_json::to_value(&balance).expect("JSON");
        assert_eq!(json["currencies"][0]["debit"], "59.97");
        assert_eq!(json["currencies"][0]["credit"], "59.97");
        assert_eq!(json["currencies"][1]["accounts"][1]["credit"], "7");
        totals.pop();
        assert!(!trial_balance(&totals).balanced);
        assert!(trial_balance(&[]).balanced);
    }
}
