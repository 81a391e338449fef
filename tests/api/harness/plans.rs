//! How SQLite carries out what was sent to it. It makes its plans without looking at how much there is, so a small
//! database shows whether a statement goes through all there ever was.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// The tables that grow with a shop's history.
const GROWING: [&str; 21] = [
    "product",
    "order",
    "line_item",
    "checkout_session",
    "payment",
    "refund",
    "refund_line",
    "provider_call",
    "provider_attempt",
    "provider_event",
    "provider_fact",
    "ledger_transaction",
    "ledger_entry",
    "event",
    "order_term",
    "idempotency_key",
    "review",
    "review_decision",
    "order_note",
    "audit_entry",
    "audit_outcome",
];

/// By what all of a shop's or an account's rows are found, or all older or newer ones.
const OF_ONE: [&str; 4] = [
    "(shop_id=?)",
    "(shop_id=? AND id<?)",
    "(shop_id=? AND id>?)",
    "(provider_account_id=?)",
];

/// Indexes of what waits, which is never much.
const PARTIAL: [&str; 5] = [
    "event_unplaced_idx",
    "order_overdue_idx",
    "provider_call_due_idx",
    "provider_event_dead_idx",
    "provider_event_due_idx",
];

/// The index of questions that nobody has answered yet: there are never many.
const OPEN_REVIEWS: &str = " INDEX review_open_idx ";

/// The step that sorts what the others found.
const SORTING: &str = "USE TEMP B-TREE FOR ORDER BY";

/// Steps of plans that go through a table that grows, each with its statement. PostgreSQL's plans depend on how much there
/// is: of those, `growth.rs` counts what is read.
pub async fn long_ways(look: &DatabaseConnection, texts: &[String]) -> Vec<String> {
    let mut long = Vec::new();
    if look.get_database_backend() != DbBackend::Sqlite {
        return long;
    }
    // Many are sent behind each other. Where one inserts rows that others refer to, the plan has how those would be looked
    // for if there were any already.
    let texts = texts.iter().flat_map(|text| text.split("; "));
    let texts = texts.filter(|text| !text.starts_with("INSERT ") && !is_about_nothing(text));
    for text in texts {
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let explain = Statement::from_string(DbBackend::Sqlite, explain);
        let steps = match look.query_all_raw(explain).await {
            Ok(steps) => steps,
            Err(_) if is_no_query(text) => continue,
            Err(error) => {
                long.push(format!("{error}: {text}"));
                continue;
            }
        };
        let steps = steps.iter().map(|step| step.try_get_by_index(3));
        let steps: Vec<String> = steps.collect::<Result<_, _>>().expect("steps");
        for step in &steps {
            let mut words = step.split_whitespace().skip(1);
            let long_way = is_long(step, text) || sorts_all(step, &steps);
            if long_way && words.next().is_some_and(|name| grows(text, name)) {
                long.push(format!("{step}: {text}"));
            }
        }
    }
    long
}

/// Whether a step takes all of a table, or all that a shop or an account has in it: to find those of one order among
/// them, or without an end.
fn is_long(step: &str, text: &str) -> bool {
    let limited = text.contains(" LIMIT ");
    let whole = match step
        .strip_prefix("SCAN ")
        .map(|of| of.split_once(" INDEX "))
    {
        Some(Some((_, index))) => !limited && !PARTIAL.contains(&index),
        Some(None) => true,
        None => false,
    };
    let of_one = OF_ONE.iter().any(|found_by| step.ends_with(found_by));
    let seeks = ["order_id\" = ?", "payment_id\" = ?", "id\" IN ("];
    let seeks = seeks.iter().any(|found| text.contains(found));
    let open = step.contains(OPEN_REVIEWS);
    whole || (of_one && !open && (seeks || !limited))
}

/// Whether a step finds all of a shop, and they are sorted before the first of them is known.
fn sorts_all(step: &str, steps: &[String]) -> bool {
    let all = step.ends_with("(shop_id=?)") && !step.contains(OPEN_REVIEWS);
    all && steps.iter().any(|one| one == SORTING)
}

/// Whether it begins or ends something instead of asking.
fn is_no_query(text: &str) -> bool {
    ["BEGIN", "COMMIT", "PRAGMA"]
        .iter()
        .any(|word| text.starts_with(word))
}

/// Whether a statement asks for what is among none: its condition is false before anything is read.
fn is_about_nothing(text: &str) -> bool {
    text.contains(" ? = ?")
}

/// Whether a statement's name for a table is that of one that grows.
fn grows(text: &str, name: &str) -> bool {
    let plain = format!("{} ", text.replace('"', ""));
    let called = |table: &str| {
        let names = [format!("{table} AS {name} "), format!("{table} {name} ")];
        names.iter().any(|names| plain.contains(names))
    };
    GROWING.iter().any(|table| *table == name || called(table))
}
