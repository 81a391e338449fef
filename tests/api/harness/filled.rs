//! A database with a valid row in every table, written by raw SQL past every check of Till's own.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TryGetable};
use till::store::StoreError;

use super::database::TestDatabase;

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

/// A hash that no row has.
pub const OTHER_HASH: &str = "'fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210'";

const HASH: &str = "'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'";

/// A database with one valid row in every table.
pub struct Filled {
    /// The database.
    pub database: TestDatabase,
    /// A connection to it.
    pub connection: DatabaseConnection,
}

impl Filled {
    /// As the newest schema says.
    pub async fn new() -> Filled {
        let database = TestDatabase::create().await;
        let store = database.open().await.expect("opens");
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
    pub async fn insert(&self, table: &str, changed: &[(&str, &str)]) -> Result<(), StoreError> {
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

    /// Carries out a statement.
    pub async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_unprepared(sql).await?;
        Ok(())
    }

    /// Removes it.
    pub async fn done(self) {
        self.connection.close().await.expect("closes");
        self.database.destroy().await;
    }
}

/// The one value that a query has for an answer.
pub async fn value<T: TryGetable>(connection: &DatabaseConnection, sql: &str) -> T {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection
        .query_one_raw(statement)
        .await
        .expect(sql)
        .expect("a row");
    row.try_get_by_index(0).expect(sql)
}
