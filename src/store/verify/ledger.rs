//! One order's ledger: balanced, posted for its own facts, and what the facts say.

use std::collections::{BTreeMap, BTreeSet};

use super::super::StoreError;
use super::super::rows::parse;
use super::Sums;
use super::orders::state_of;
use super::rows::Bundle;
use crate::domain::ledger::{Balances, difference, targets};
use crate::domain::verify::{Check, Report};

/// Checks an order's ledger and adds its entries to the sums of its shop.
pub(super) fn check(bundle: &Bundle, sums: &mut Sums, report: &mut Report) {
    report.looked_at("ledger_transaction", bundle.transactions.len());
    report.looked_at("ledger_entry", bundle.entries.len());
    transactions(bundle, report);
    facts(bundle, report);
    for entry in &bundle.entries {
        let key = (entry.shop.clone(), entry.currency.clone());
        let sum = sums.entry(key).or_default();
        sum.0 = sum.0.saturating_add(i128::from(entry.debit_minor));
        sum.1 = sum.1.saturating_add(i128::from(entry.credit_minor));
    }
    let compared = balances(bundle, report);
    if let Err(error) = compared {
        // The order itself is reported by its own checks when it cannot be read.
        if state_of(bundle).is_ok() {
            let (id, what) = (&bundle.order.id, error.to_string());
            report.found(Check::Unreadable, "order", id, what);
        }
    }
}

fn transactions(bundle: &Bundle, report: &mut Report) {
    let mut sums: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut entries: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &bundle.entries {
        let sum = sums
            .entry((&entry.transaction, &entry.currency))
            .or_default();
        let moved = entry.debit_minor.saturating_sub(entry.credit_minor);
        *sum = sum.saturating_add(moved);
        let count = entries.entry(&entry.transaction).or_default();
        *count = count.saturating_add(1);
        let amounts = (entry.debit_minor, entry.credit_minor);
        let one_side = matches!(amounts, (1.., 0) | (0, 1..));
        if !one_side {
            let what = format!(
                "debit {} and credit {}: one must be zero",
                amounts.0, amounts.1
            );
            report.found(Check::LedgerTransaction, "ledger_entry", &entry.id, what);
        }
    }
    for ((transaction, currency), sum) in sums {
        if sum != 0 {
            let what = format!("{currency}: debits are {sum} more than credits");
            let table = "ledger_transaction";
            report.found(Check::LedgerTransaction, table, transaction, what);
        }
    }
    for row in &bundle.transactions {
        if !entries.contains_key(row.id.as_str()) {
            let what = "it has no entries";
            report.found(
                Check::LedgerTransaction,
                "ledger_transaction",
                &row.id,
                what,
            );
        }
    }
    let own: BTreeSet<&str> = bundle
        .transactions
        .iter()
        .map(|row| row.id.as_str())
        .collect();
    for entry in &bundle.entries {
        if !own.contains(entry.transaction.as_str()) {
            let what = format!("its transaction {} is another order's", entry.transaction);
            report.found(Check::LedgerTransaction, "ledger_entry", &entry.id, what);
        }
    }
}

fn facts(bundle: &Bundle, report: &mut Report) {
    let known: BTreeSet<&str> = bundle.facts.iter().map(|fact| fact.id.as_str()).collect();
    let mut posted = BTreeSet::new();
    for row in &bundle.transactions {
        let fact = row.fact_id.as_str();
        let what = if !known.contains(fact) {
            format!("its fact {fact} is not one of the order's")
        } else if !posted.insert(fact) {
            format!("its fact {fact} was posted before")
        } else {
            continue;
        };
        report.found(Check::LedgerFact, "ledger_transaction", &row.id, what);
    }
}

fn balances(bundle: &Bundle, report: &mut Report) -> Result<(), StoreError> {
    let wanted = targets(&state_of(bundle)?);
    let mut posted = Balances::new();
    for entry in &bundle.entries {
        let slot = (
            parse("ledger_entry.payment_id", &entry.payment)?,
            parse("ledger_account.name", &entry.account)?,
            parse("ledger_account.currency", &entry.currency)?,
        );
        let balance = posted.entry(slot).or_default();
        let moved = entry.debit_minor.saturating_sub(entry.credit_minor);
        *balance = balance.saturating_add(moved);
    }
    for missing in difference(&wanted, &posted) {
        let slot = (missing.payment, missing.account, missing.currency);
        let what = format!(
            "{} {} of payment {} is {}, the facts say {}",
            missing.account,
            missing.currency,
            missing.payment,
            posted.get(&slot).copied().unwrap_or(0),
            wanted.get(&slot).copied().unwrap_or(0),
        );
        report.found(Check::LedgerBalance, "order", &bundle.order.id, what);
    }
    Ok(())
}
