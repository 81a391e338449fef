//! Ledger transactions as CSV, one line an entry: RFC 4180, and nothing a spreadsheet would take for a formula.

use crate::domain::books::LedgerTransaction;

const HEAD: [&str; 11] = [
    "transaction",
    "posted_at",
    "order",
    "payment",
    "account",
    "debit",
    "credit",
    "currency",
    "fact",
    "source",
    "source_id",
];

/// The first line.
#[must_use]
pub fn head() -> String {
    line(&HEAD)
}

/// The lines of some transactions.
#[must_use]
pub fn rows(transactions: &[LedgerTransaction]) -> String {
    let entries = transactions.iter().flat_map(|transaction| {
        transaction
            .entries
            .iter()
            .map(move |entry| (transaction, entry))
    });
    let lines = entries.map(|(transaction, entry)| {
        line(&[
            &transaction.id.to_string(),
            &transaction.created_at.to_string(),
            &transaction.order_id.to_string(),
            &entry.payment_id.to_string(),
            entry.account.as_str(),
            &entry.debit.to_string(),
            &entry.credit.to_string(),
            entry.currency.code(),
            transaction.fact.kind.as_str(),
            &transaction.fact.source,
            &transaction.fact.source_id,
        ])
    });
    lines.collect()
}

fn line(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| safe(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell that is a text in every spreadsheet: what begins like a formula gets an apostrophe before it.
fn safe(cell: &str) -> String {
    let text = match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    match text.contains([',', '"', '\r', '\n', ';', '\'']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_formula_and_every_cell_stays_one() {
        for (cell, written) in [
            ("12.50", "12.50"),
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-5", "\"'-5\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(safe(cell), written);
        }
        assert!(head().ends_with("source_id\r\n"));
    }
}
