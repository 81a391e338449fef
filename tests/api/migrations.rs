//! The schema on both databases: it goes up and down without a trace, and refuses by itself what no code may
//! write. Rows are written here by raw SQL, past every check of Till's own.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use till::clock::Clock;
use till::store::{Constraint, DatabaseSettings, Store, StoreError};

use crate::harness::database::{TestDatabase, postgres_server};

async fn open(database: &TestDatabase) -> Result<Store, StoreError> {
    let settings = DatabaseSettings {
        url: database.url(),
        max_connections: 4,
        batch: 1,
    };
    Store::open(&settings, Clock::system()).await
}

/// Everything the database knows of its schema, one line each.
async fn dump(connection: &DatabaseConnection) -> Vec<String> {
    let queries: &[&str] = match connection.get_database_backend() {
        DbBackend::Sqlite => &[
            "SELECT type || ' ' || tbl_name || ' ' || name || ' ' || COALESCE(sql, '') \
                                FROM sqlite_master ORDER BY 1",
        ],
        _ => &[
            // By rank: PostgreSQL never gives a dropped column's position again.
            "SELECT 'column ' || table_name || ' ' \
             || row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position) \
             || ' ' || column_name || ' ' || data_type \
             || ' ' || is_nullable || ' ' || COALESCE(collation_name, '-') || ' ' || COALESCE(column_default, '-') \
             FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1",
            "SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
             FROM pg_constraint WHERE connamespace = current_schema()::regnamespace ORDER BY 1",
            "SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1",
            "SELECT 'compression ' || attrelid::regclass || ' ' || attname || ' ' || attcompression::text \
             FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
             WHERE relnamespace = current_schema()::regnamespace AND attcompression <> '' ORDER BY 1",
            "SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
            "SELECT 'function ' || proname || ' ' || prosrc FROM pg_proc \
             WHERE pronamespace = current_schema()::regnamespace ORDER BY 1",
        ],
    };
    let mut lines = Vec::new();
    for query in queries {
        let statement = Statement::from_string(connection.get_database_backend(), *query);
        for row in connection.query_all_raw(statement).await.expect(query) {
            lines.push(row.try_get_by_index(0).expect("text"));
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_down_is_undone_by_the_step_up() {
    let database = TestDatabase::empty().await;
    let store = open(&database).await.expect("opens");
    let look = database.connect().await;
    let steps = store.migrate_up().await.expect("up").applied.len();
    assert!(steps >= 5);
    let whole = dump(&look).await;
    assert!(
        whole
            .iter()
            .any(|line| line.contains("ledger_entry_no_") || line.contains("append_only"))
    );
    for depth in 1..=steps {
        let below = u32::try_from(depth).expect("few");
        let down = store.migrate_down(below).await.expect("down");
        assert_eq!(
            (down.applied.len(), down.pending.len()),
            (steps - depth, depth)
        );
        if depth == steps {
            let left = dump(&look).await;
            let strange = left
                .iter()
                .filter(|line| !line.contains("seaql_migrations"));
            assert_eq!(
                strange.collect::<Vec<_>>(),
                Vec::<&String>::new(),
                "left behind"
            );
        }
        let up = store.migrate_up().await.expect("up again");
        assert_eq!((up.applied.len(), up.pending.len()), (steps, 0));
        assert_eq!(dump(&look).await, whole, "{depth} down and up again");
    }
    look.close().await.expect("closes");
    store.close().await.expect("closes");
    database.destroy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_that_start_at_once_migrate_once() {
    let database = TestDatabase::empty().await;
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move {
                let settings = DatabaseSettings {
                    url,
                    max_connections: 2,
                    batch: 1,
                };
                let store = Store::open(&settings, Clock::system()).await?;
                let status = store.migrate_up().await?;
                store.close().await?;
                Ok::<_, StoreError>(status)
            })
        })
        .collect();
    let mut all = 0;
    for start in starts {
        let status = start.await.expect("no panic").expect("starts");
        assert!(
            status.pending.is_empty() && status.unknown.is_empty(),
            "{status:?}"
        );
        all = status.applied.len();
    }
    let look = database.connect().await;
    let rows = count(&look, "SELECT COUNT(*) FROM seaql_migrations").await;
    assert_eq!(usize::try_from(rows).expect("few"), all);
    look.close().await.expect("closes");
    database.destroy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_newer_than_the_program_is_left_alone() {
    let database = TestDatabase::create().await;
    let store = open(&database).await.expect("opens");
    store.migrate_up().await.expect("up");
    let look = database.connect().await;
    let later =
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m30000101_000001_later', 0)";
    look.execute_unprepared(later)
        .await
        .expect("a later program was here");
    for outcome in [store.migrate_up().await, store.migrate_down(1).await] {
        let Err(StoreError::Setting(why)) = outcome else {
            panic!("not refused: {outcome:?}");
        };
        assert!(
            why.contains("newer than this program") && why.contains("m30000101_000001_later"),
            "{why}"
        );
    }
    let status = store.schema_status().await.expect("a status");
    assert_eq!(status.unknown, ["m30000101_000001_later"]);
    look.close().await.expect("closes");
    store.close().await.expect("closes");
    database.destroy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_unsafe_for_money_refuse_to_open() {
    if postgres_server().is_none() {
        // SQLite's are set by every connection itself; `store::connect` checks what it set.
        return;
    }
    let database = TestDatabase::empty().await;
    let look = database.connect().await;
    let name = text(&look, "SELECT current_database()::text").await;
    for (setting, wrong) in [
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_isolation", "repeatable read"),
        ("synchronous_commit", "off"),
    ] {
        let alter = format!("ALTER DATABASE {name} SET {setting} = '{wrong}'");
        look.execute_unprepared(&alter).await.expect("altered");
        match open(&database).await.map(drop) {
            Err(StoreError::Setting(why)) => {
                assert!(why.contains(setting) && why.contains(wrong), "{why}");
            }
            other => panic!("{setting} = {wrong} was accepted: {other:?}"),
        }
        let reset = format!("ALTER DATABASE {name} RESET {setting}");
        look.execute_unprepared(&reset).await.expect("reset");
    }
    open(&database)
        .await
        .expect("opens")
        .close()
        .await
        .expect("closes");
    look.close().await.expect("closes");
    database.destroy().await;
}

// -- rows by raw SQL ---------------------------------------------------------------------------------------------

/// A valid row of each table, in an order in which each finds those it refers to.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    (
        "deployment",
        &[("only_row", "1"), ("id", "'d'"), ("created_at", "0")],
    ),
    (
        "shop",
        &[
            ("id", "'s'"),
            ("name", "'Shop'"),
            ("mode", "'test'"),
            ("created_at", "0"),
        ],
    ),
    (
        "api_key",
        &[
            ("id", "'k'"),
            ("shop_id", "'s'"),
            ("kind", "'secret'"),
            ("scopes", "''"),
            ("secret_hash", HASH),
            ("last4", "'abcd'"),
            ("created_at", "0"),
        ],
    ),
    (
        "provider_account",
        &[
            ("id", "'pa'"),
            ("provider", "'stripe'"),
            ("mode", "'test'"),
            ("is_default", "TRUE"),
            ("name", "'x'"),
            ("created_at", "0"),
        ],
    ),
    (
        "product",
        &[
            ("id", "'prod'"),
            ("shop_id", "'s'"),
            ("sku", "'mug'"),
            ("name", "'Mug'"),
            ("active", "TRUE"),
            ("created_at", "0"),
            ("updated_at", "0"),
        ],
    ),
    (
        "price",
        &[
            ("id", "'price'"),
            ("shop_id", "'s'"),
            ("product_id", "'prod'"),
            ("currency", "'EUR'"),
            ("amount_minor", "1"),
            ("created_at", "0"),
        ],
    ),
    (
        "order",
        &[
            ("id", "'o'"),
            ("shop_id", "'s'"),
            ("number", "1001"),
            ("reference", "'web-1'"),
            ("status", "'open'"),
            ("payment_status", "'unpaid'"),
            ("fulfilment_status", "'unfulfilled'"),
            ("currency", "'EUR'"),
            ("tax_included", "FALSE"),
            ("subtotal_minor", "100"),
            ("discount_minor", "10"),
            ("shipping_minor", "5"),
            ("tax_minor", "19"),
            ("total_minor", "114"),
            ("metadata", "'{}'"),
            ("token_key", "1"),
            ("event_seq", "0"),
            ("expires_at", "0"),
            ("actor", "'t'"),
            ("created_at", "0"),
            ("updated_at", "0"),
        ],
    ),
    (
        "line_item",
        &[
            ("id", "'li'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("position", "0"),
            ("name", "'Mug'"),
            ("quantity", "2"),
            ("unit_price_minor", "50"),
            ("subtotal_minor", "100"),
            ("discount_minor", "10"),
            ("tax_minor", "19"),
            ("total_minor", "109"),
            ("created_at", "0"),
        ],
    ),
    (
        "idempotency_key",
        &[
            ("id", "'i'"),
            ("shop_id", "'s'"),
            ("key_kind", "'secret'"),
            ("route", "'r'"),
            ("key", "'k'"),
            ("fingerprint", HASH),
            ("resource_id", "'o'"),
            ("status", "'bound'"),
            ("created_at", "0"),
        ],
    ),
    (
        "checkout_session",
        &[
            ("id", "'cs'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("provider_account_id", "'pa'"),
            ("status", "'open'"),
            ("amount_minor", "114"),
            ("currency", "'EUR'"),
            ("capture", "'automatic'"),
            ("success_url", "'u'"),
            ("cancel_url", "'u'"),
            ("provider_session_id", "'cs_test_1'"),
            ("expires_at", "0"),
            ("actor", "'t'"),
            ("created_at", "0"),
            ("updated_at", "0"),
        ],
    ),
    (
        "payment",
        &[
            ("id", "'pay'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("provider_account_id", "'pa'"),
            ("provider_payment_id", "'pi_1'"),
            ("status", "'captured'"),
            ("amount_minor", "114"),
            ("currency", "'EUR'"),
            ("belongs", "TRUE"),
            ("created_at", "0"),
            ("updated_at", "0"),
        ],
    ),
    (
        "provider_fact",
        &[
            ("id", "'fact'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("provider_account_id", "'pa'"),
            ("object_id", "'pi_1'"),
            ("kind", "'captured'"),
            ("amount_minor", "114"),
            ("currency", "'EUR'"),
            ("source_kind", "'webhook'"),
            ("source_id", "'e'"),
            ("created_at", "0"),
        ],
    ),
    (
        "review",
        &[
            ("id", "'rev'"),
            ("shop_id", "'s'"),
            ("reason", "'amount_mismatch'"),
            ("subject_id", "'cs'"),
            ("status", "'open'"),
            ("opened_at", "0"),
        ],
    ),
    (
        "provider_call",
        &[
            ("id", "'pcall'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("provider_account_id", "'pa'"),
            ("kind", "'session_create'"),
            ("subject_id", "'cs'"),
            ("idempotency_key", "'k'"),
            ("method", "'POST'"),
            ("path", "'/'"),
            ("api_version", "'v'"),
            ("status", "'sending'"),
            ("cause", "'c'"),
            ("actor", "'t'"),
            ("created_at", "0"),
        ],
    ),
    (
        "provider_attempt",
        &[
            ("id", "'pat'"),
            ("shop_id", "'s'"),
            ("provider_call_id", "'pcall'"),
            ("number", "1"),
            ("started_at", "0"),
            ("duration_ms", "0"),
            ("outcome", "'succeeded'"),
        ],
    ),
    (
        "provider_event",
        &[
            ("id", "'pev'"),
            ("provider_account_id", "'pa'"),
            ("event_id", "'evt_1'"),
            ("type", "'t'"),
            ("secret_index", "0"),
            ("livemode", "FALSE"),
            ("verdict", "'applied'"),
            ("received_at", "0"),
        ],
    ),
    (
        "ledger_account",
        &[
            ("id", "'lacc'"),
            ("shop_id", "'s'"),
            ("name", "'sales'"),
            ("currency", "'EUR'"),
            ("created_at", "0"),
        ],
    ),
    (
        "ledger_transaction",
        &[
            ("id", "'ltx'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("fact_id", "'fact'"),
            ("created_at", "0"),
        ],
    ),
    (
        "ledger_entry",
        &[
            ("id", "'lent'"),
            ("shop_id", "'s'"),
            ("ledger_transaction_id", "'ltx'"),
            ("ledger_account_id", "'lacc'"),
            ("order_id", "'o'"),
            ("payment_id", "'pay'"),
            ("debit_minor", "0"),
            ("credit_minor", "114"),
            ("created_at", "0"),
        ],
    ),
    (
        "event",
        &[
            ("id", "'evt'"),
            ("shop_id", "'s'"),
            ("order_id", "'o'"),
            ("type", "'order.paid'"),
            ("sequence", "1"),
            ("data", "'{}'"),
            ("cause", "'c'"),
            ("actor", "'t'"),
            ("created_at", "0"),
        ],
    ),
    (
        "staff_user",
        &[
            ("id", "'stf'"),
            ("email", "'ada@example.com'"),
            ("name", "'Ada'"),
            ("role", "'viewer'"),
            ("password_hash", PHC),
            ("shop_id", "'s'"),
            ("password_changed_at", "0"),
            ("created_at", "0"),
        ],
    ),
    (
        "staff_session",
        &[
            ("id", "'ses'"),
            ("staff_id", "'stf'"),
            ("token_hash", HASH),
            ("address", "'127.0.0.1'"),
            ("user_agent", "''"),
            ("created_at", "0"),
            ("last_seen_at", "0"),
            ("expires_at", "0"),
        ],
    ),
    (
        "audit_entry",
        &[
            ("id", "'aud'"),
            ("shop_id", "'s'"),
            ("staff_id", "'stf'"),
            ("actor", "'stf'"),
            ("action", "'order.view'"),
            ("object_type", "'order'"),
            ("object_id", "'o'"),
            ("detail", "'{}'"),
            ("at", "0"),
        ],
    ),
    (
        "audit_outcome",
        &[("id", "'aud'"), ("outcome", "'done'"), ("at", "0")],
    ),
];

const PHC: &str = "'$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'";

const OTHER_HASH: &str = "'fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210'";

const HASH: &str = "'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'";

/// A database with one valid row in every table.
struct Filled {
    database: TestDatabase,
    connection: DatabaseConnection,
}

impl Filled {
    async fn new() -> Filled {
        let database = TestDatabase::create().await;
        let store = open(&database).await.expect("opens");
        store.migrate_up().await.expect("up");
        store.close().await.expect("closes");
        let connection = database.connect().await;
        let filled = Filled {
            database,
            connection,
        };
        for (table, _) in ROWS {
            filled
                .insert(table, &[])
                .await
                .unwrap_or_else(|why| panic!("{table}: {why:?}"));
        }
        filled
    }

    /// Inserts the table's valid row with some columns changed.
    async fn insert(&self, table: &str, changed: &[(&str, &str)]) -> Result<(), StoreError> {
        let (_, row) = ROWS
            .iter()
            .find(|(name, _)| *name == table)
            .expect("a known table");
        let mut row: BTreeMap<&str, &str> = row.iter().copied().collect();
        row.extend(changed.iter().copied());
        let columns: Vec<&str> = row.keys().copied().collect();
        let values: Vec<&str> = row.values().copied().collect();
        self.run(&format!(
            "INSERT INTO \"{table}\" ({}) VALUES ({})",
            columns.join(", "),
            values.join(", ")
        ))
        .await
    }

    async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_unprepared(sql).await?;
        Ok(())
    }

    async fn done(self) {
        self.connection.close().await.expect("closes");
        self.database.destroy().await;
    }
}

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
        assert_eq!(count(&filled.connection, &sql).await, 1);
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

/// As a database of an older program is brought up to date.
#[tokio::test(flavor = "multi_thread")]
async fn facts_and_places_in_the_feed_outlive_the_migration_that_moves_them() {
    let filled = Filled::new().await;
    let store = open(&filled.database).await.expect("opens");
    let before = contents(&filled.connection).await;
    assert!(before.contains("fact|"), "{before}");
    let last = store.schema_status().await.expect("a status").applied;
    let steps = last
        .iter()
        .rev()
        .position(|name| name == "m20261130_000018_facts_by_order");
    let steps = steps.and_then(|after| u32::try_from(after + 1).ok());
    store
        .migrate_down(steps.expect("that migration"))
        .await
        .expect("down");
    assert_eq!(contents(&filled.connection).await, before);
    for at in ["1", "2", "3"] {
        let (id, sequence) = (format!("'e{at}'"), format!("{at}0"));
        let event = [
            ("id", id.as_str()),
            ("sequence", sequence.as_str()),
            ("type", "'order.refunded'"),
            ("position", "NULL"),
        ];
        filled.insert("event", &event).await.expect("an event");
    }
    store.migrate_up().await.expect("up");
    assert_eq!(contents(&filled.connection).await, before);
    let connection = &filled.connection;
    let refused = filled.run("DELETE FROM provider_fact").await;
    assert!(refused.is_err(), "the ledger refers to it");
    if connection.get_database_backend() == DbBackend::Sqlite {
        let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA foreign_key_check");
        let broken = connection.query_all_raw(check).await.expect("a check");
        assert!(broken.is_empty());
        let places = "SELECT group_concat(id || ' ' || position, ', ') FROM \
                      (SELECT id, position FROM event WHERE sequence >= 10 ORDER BY position)";
        let end = "SELECT event_position || '' FROM shop WHERE id = 's'";
        assert_eq!(text(connection, places).await, "e1 1, e2 2, e3 3");
        assert_eq!(
            text(connection, end).await,
            "4",
            "with the one that was there"
        );
    }
    store.close().await.expect("closes");
    filled.done().await;
}

/// The facts and what refers to them.
async fn contents(connection: &DatabaseConnection) -> String {
    let columns = "id || '|' || order_id || '|' || object_id || '|' || kind || '|' || amount_minor || '|' || currency \
                   || '|' || source_kind || '|' || source_id || '|' || created_at";
    let facts = format!("SELECT {columns} FROM provider_fact");
    let ledger = "SELECT id || '|' || fact_id FROM ledger_transaction";
    text(connection, &facts).await + "\n" + &text(connection, ledger).await
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

async fn count(connection: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection
        .query_one_raw(statement)
        .await
        .expect(sql)
        .expect("a row");
    row.try_get_by_index(0).expect("a number")
}

async fn text(connection: &DatabaseConnection, sql: &str) -> String {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection
        .query_one_raw(statement)
        .await
        .expect(sql)
        .expect("a row");
    row.try_get_by_index(0).expect("a text")
}
