//! What both databases refuse by themselves, since no code may write it.

use sea_orm::{ConnectionTrait, Statement};
use till::store::{Constraint, StoreError};

use crate::harness::database::postgres_server;
use crate::harness::filled::{Filled, OTHER_HASH, value};

/// A row that must be refused: the table, and what differs from the valid one. Each has an id of its own, so that
/// nothing but the check can be to blame.
const REFUSED: &[(&str, &[(&str, &str)])] = &[
    ("deployment", &[("only_row", "2")]),
    ("shop", &[("name", "'b'"), ("mode", "'production'")]),
    ("shop", &[("name", "'b'"), ("next_number", "1000")]),
    ("shop", &[("name", "NULL")]),
    ("api_key", &[("kind", "'golden'")]),
    ("api_key", &[("secret_hash", "'abc'")]),
    ("api_key", &[("shop_id", "'nobody'")]),
    (
        "provider_account",
        &[("is_default", "FALSE"), ("mode", "'other'")],
    ),
    ("product", &[("sku", "''")]),
    ("product", &[("sku", "'b'"), ("on_hand", "-1")]),
    ("price", &[("currency", "'EURO'")]),
    ("price", &[("currency", "'USD'"), ("amount_minor", "-1")]),
    ("order", &[("status", "'done'")]),
    ("order", &[("payment_status", "'payed'")]),
    ("order", &[("fulfilment_status", "'sent'")]),
    ("order", &[("currency", "'EU'")]),
    ("order", &[("currency", "''")]),
    ("order", &[("number", "1000")]),
    ("order", &[("reference", "''")]),
    ("order", &[("total_minor", "115")]),
    ("order", &[("tax_included", "TRUE")]),
    (
        "order",
        &[("discount_minor", "-10"), ("total_minor", "134")],
    ),
    (
        "order",
        &[("subtotal_minor", "-100"), ("total_minor", "-86")],
    ),
    ("order", &[("shipping_minor", "-5"), ("total_minor", "104")]),
    ("order", &[("tax_minor", "-19"), ("total_minor", "76")]),
    (
        "order",
        &[
            ("subtotal_minor", "0"),
            ("tax_minor", "0"),
            ("total_minor", "-5"),
        ],
    ),
    (
        "order",
        &[
            ("subtotal_minor", "1000000000000"),
            ("total_minor", "1000000000014"),
        ],
    ),
    ("order", &[("authorized_minor", "-1")]),
    ("order", &[("paid_minor", "-1")]),
    ("order", &[("refunded_minor", "-1")]),
    ("order", &[("event_seq", "-1")]),
    ("order", &[("shop_id", "'nobody'")]),
    ("line_item", &[("quantity", "0"), ("subtotal_minor", "0")]),
    (
        "line_item",
        &[("quantity", "10000"), ("subtotal_minor", "500000")],
    ),
    ("line_item", &[("subtotal_minor", "99")]),
    (
        "line_item",
        &[("unit_price_minor", "-50"), ("subtotal_minor", "-100")],
    ),
    ("line_item", &[("discount_minor", "-1")]),
    ("line_item", &[("tax_minor", "-1")]),
    ("line_item", &[("total_minor", "-1")]),
    ("line_item", &[("refunded_quantity", "3")]),
    ("line_item", &[("refunded_quantity", "-1")]),
    ("line_item", &[("order_id", "'nobody'")]),
    ("idempotency_key", &[("key_kind", "'staff'")]),
    ("idempotency_key", &[("key", "''")]),
    ("idempotency_key", &[("fingerprint", "'abc'")]),
    ("idempotency_key", &[("status", "'started'")]),
    ("idempotency_key", &[("status", "'final'")]),
    ("checkout_session", &[("status", "'paid'")]),
    (
        "checkout_session",
        &[("status", "'expired'"), ("amount_minor", "0")],
    ),
    (
        "checkout_session",
        &[("status", "'expired'"), ("currency", "'E'")],
    ),
    (
        "checkout_session",
        &[("status", "'expired'"), ("capture", "'later'")],
    ),
    ("payment", &[("status", "'declined'")]),
    ("payment", &[("amount_minor", "-1")]),
    ("payment", &[("captured_minor", "-1")]),
    ("payment", &[("refunded_minor", "-1")]),
    ("payment", &[("refund_reserved_minor", "-1")]),
    ("payment", &[("dispute_withdrawn_minor", "-1")]),
    ("payment", &[("currency", "'EURO'")]),
    ("provider_fact", &[("amount_minor", "-1")]),
    ("provider_fact", &[("currency", "'EU'")]),
    ("provider_fact", &[("source_kind", "'rumour'")]),
    ("review", &[("reason", "'boredom'")]),
    ("review", &[("status", "'closed'")]),
    ("provider_call", &[("status", "'maybe'")]),
    ("provider_call", &[("attempt_count", "-1")]),
    ("provider_attempt", &[("number", "0")]),
    ("provider_event", &[("verdict", "'believed'")]),
    ("ledger_account", &[("name", "'pocket'")]),
    ("ledger_account", &[("currency", "'E'")]),
    ("ledger_entry", &[("debit_minor", "114")]),
    ("ledger_entry", &[("credit_minor", "0")]),
    ("ledger_entry", &[("credit_minor", "-114")]),
    (
        "ledger_entry",
        &[("credit_minor", "0"), ("debit_minor", "-114")],
    ),
    ("ledger_entry", &[("payment_id", "'nobody'")]),
    ("event", &[("sequence", "0"), ("type", "'order.created'")]),
    ("staff_user", &[("email", "'Grace@example.com'")]),
    ("staff_user", &[("email", "'x'")]),
    ("staff_user", &[("email", "'g@h'"), ("role", "'owner'")]),
    ("staff_user", &[("email", "'g@h'"), ("role", "'admin'")]),
    ("staff_user", &[("email", "'g@h'"), ("name", "''")]),
    (
        "staff_user",
        &[("email", "'g@h'"), ("password_hash", "'secret'")],
    ),
    (
        "staff_user",
        &[("email", "'g@h'"), ("shop_id", "'nowhere'")],
    ),
    ("staff_session", &[("token_hash", "'abc'")]),
    (
        "staff_session",
        &[("staff_id", "'nobody'"), ("token_hash", OTHER_HASH)],
    ),
    ("audit_entry", &[("staff_id", "'nobody'")]),
    ("audit_entry", &[("actor", "''")]),
    ("audit_entry", &[("action", "''")]),
    ("audit_entry", &[("object_type", "NULL")]),
    // Of no entry.
    ("audit_outcome", &[]),
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_true_are_refused() {
    let filled = Filled::new().await;
    for (table, changed) in REFUSED {
        let mut changed = changed.to_vec();
        if *table != "deployment" {
            changed.push(("id", "'another'"));
        }
        match filled.insert(table, &changed).await {
            Err(StoreError::Statement(_)) => {}
            other => panic!("{table} {changed:?}: {other:?}"),
        }
    }
    filled.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_and_the_audit_log_only_grow() {
    let filled = Filled::new().await;
    for table in [
        "ledger_account",
        "ledger_transaction",
        "ledger_entry",
        "audit_entry",
        "audit_outcome",
    ] {
        let mut attempts = vec![
            format!("UPDATE {table} SET id = 's'"),
            format!("UPDATE {table} SET id = id"),
            format!("DELETE FROM {table}"),
        ];
        if postgres_server().is_some() {
            attempts.push(format!("TRUNCATE {table} CASCADE"));
        }
        for sql in attempts {
            let why = filled
                .connection
                .execute_unprepared(&sql)
                .await
                .expect_err(&sql)
                .to_string();
            assert!(why.contains("is append-only"), "{sql}: {why}");
        }
        let sql = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(value::<i64>(&filled.connection, &sql).await, 1);
    }
    if postgres_server().is_some() {
        let around = filled.run("TRUNCATE \"order\" CASCADE").await;
        assert!(around.is_err(), "the ledger was emptied through the orders");
    }
    filled.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_has_one_live_session_at_a_time() {
    let filled = Filled::new().await;
    let session = |status: &'static str, id: &'static str| {
        [("id", id), ("status", status), ("provider_session_id", id)]
    };
    for live in ["'creating'", "'open'", "'processing'"] {
        let refused = filled
            .insert("checkout_session", &session(live, "'cs2'"))
            .await;
        assert!(
            matches!(
                refused,
                Err(StoreError::Conflict(Constraint::OneLiveSession))
            ),
            "{live}: {refused:?}"
        );
    }
    for (at, over) in ["'complete'", "'expired'", "'failed'"]
        .into_iter()
        .enumerate()
    {
        let id = ["'cs3'", "'cs4'", "'cs5'"][at];
        filled
            .insert("checkout_session", &session(over, id))
            .await
            .expect("beside a live one");
    }
    filled
        .run("UPDATE checkout_session SET status = 'expired' WHERE id = 'cs'")
        .await
        .expect("expired");
    filled
        .insert("checkout_session", &session("'creating'", "'cs2'"))
        .await
        .expect("after the end");
    filled.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_named_constraint_is_recognised() {
    let filled = Filled::new().await;
    // A new constraint must be added here: there is no arm for the others.
    let provoked = |constraint: Constraint| match constraint {
        Constraint::ShopName => ("shop", vec![("id", "'b'")]),
        Constraint::OrderReference => ("order", vec![("id", "'b'"), ("number", "1002")]),
        Constraint::OneLiveSession => (
            "checkout_session",
            vec![("id", "'b'"), ("provider_session_id", "'cs_test_2'")],
        ),
        Constraint::IdempotencyKey => ("idempotency_key", vec![("id", "'b'")]),
        Constraint::ProviderEvent => ("provider_event", vec![("id", "'b'")]),
        Constraint::ProviderFact => ("provider_fact", vec![("id", "'b'")]),
        Constraint::ProviderPayment => ("payment", vec![("id", "'b'")]),
        Constraint::StaffEmail => ("staff_user", vec![("id", "'b'")]),
        Constraint::Other => ("order", vec![("id", "'b'"), ("reference", "NULL")]),
    };
    for constraint in [
        Constraint::ShopName,
        Constraint::OrderReference,
        Constraint::OneLiveSession,
        Constraint::IdempotencyKey,
        Constraint::ProviderEvent,
        Constraint::ProviderFact,
        Constraint::ProviderPayment,
        Constraint::StaffEmail,
        Constraint::Other,
    ] {
        let (table, changed) = provoked(constraint);
        match filled.insert(table, &changed).await {
            Err(StoreError::Conflict(found)) => assert_eq!(found, constraint),
            other => panic!("{constraint:?}: {other:?}"),
        }
    }
    // What only looks like it: another unique of the same table, and rows that differ where it counts.
    for (table, changed) in [
        (
            "order",
            [("id", "'o'"), ("reference", "NULL"), ("number", "1002")],
        ),
        (
            "order",
            [("id", "'b'"), ("reference", "NULL"), ("number", "1001")],
        ),
    ] {
        let refused = filled.insert(table, &changed).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(Constraint::Other))),
            "{refused:?}"
        );
    }
    for (table, changed) in [
        ("provider_fact", [("id", "'c'"), ("amount_minor", "115")]),
        ("provider_fact", [("id", "'d'"), ("currency", "''")]),
        ("provider_fact", [("id", "'e'"), ("kind", "'voided'")]),
        ("provider_event", [("id", "'c'"), ("event_id", "'evt_2'")]),
    ] {
        filled.insert(table, &changed).await.expect("another one");
    }
    filled.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_an_object_is_one_orders_only() {
    let filled = Filled::new().await;
    let other = [("id", "'o2'"), ("number", "1002"), ("reference", "NULL")];
    filled.insert("order", &other).await.expect("another order");
    let of_other = [("id", "'f2'"), ("order_id", "'o2'")];
    for changed in [&of_other[..], &of_other[..1]] {
        let refused = filled.insert("provider_fact", changed).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(Constraint::ProviderFact))),
            "{refused:?}"
        );
    }
    // Whose an object without money is, sessions and payments say, which are unique themselves.
    let opened = [
        ("object_id", "'cs_test_1'"),
        ("kind", "'opened'"),
        ("amount_minor", "0"),
        ("currency", "''"),
    ];
    let opened = [&of_other[..], &opened[..]].concat();
    filled
        .insert("provider_fact", &opened)
        .await
        .expect("a fact");
    let again = [&opened[..], &[("id", "'f3'")]].concat();
    let refused = filled.insert("provider_fact", &again).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(Constraint::ProviderFact))),
        "{refused:?}"
    );
    filled.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_announced_as_paid_once() {
    let filled = Filled::new().await;
    let again = filled
        .insert("event", &[("id", "'b'"), ("sequence", "2")])
        .await;
    assert!(
        matches!(again, Err(StoreError::Conflict(Constraint::Other))),
        "{again:?}"
    );
    let other = [
        ("id", "'b'"),
        ("sequence", "2"),
        ("type", "'order.refunded'"),
    ];
    filled.insert("event", &other).await.expect("another event");
    filled.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_sort_by_their_bytes() {
    let filled = Filled::new().await;
    for (id, name) in [
        ("'a_Z'", "'1'"),
        ("'a_a'", "'2'"),
        ("'aB'", "'3'"),
        ("'ab'", "'4'"),
    ] {
        filled
            .insert("shop", &[("id", id), ("name", name)])
            .await
            .expect("a shop");
    }
    let sql = "SELECT id FROM shop WHERE id <> 's' ORDER BY id";
    let statement = Statement::from_string(filled.connection.get_database_backend(), sql);
    let rows = filled
        .connection
        .query_all_raw(statement)
        .await
        .expect("rows");
    let ids: Vec<String> = rows
        .iter()
        .map(|row| row.try_get_by_index(0).expect("text"))
        .collect();
    assert_eq!(ids, ["aB", "a_Z", "a_a", "ab"]);
    filled.done().await;
}
