//! The schema on both databases: it goes up and down without a trace, and keeps what is there.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use till::clock::Clock;
use till::store::{DatabaseSettings, Store, StoreError};

use crate::harness::database::{TestDatabase, postgres_server};
use crate::harness::filled::{Filled, value};

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
            "SELECT 'type ' || udt_name || ' ' || attribute_name || ' ' || data_type || ' ' \
             || COALESCE(collation_name, '-') \
             FROM information_schema.attributes WHERE udt_schema = current_schema() ORDER BY 1",
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
    let store = database.open().await.expect("opens");
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
        let down = store.migrate_down(below, true).await.expect("down");
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
    let rows: i64 = value(&look, "SELECT COUNT(*) FROM seaql_migrations").await;
    assert_eq!(usize::try_from(rows).expect("few"), all);
    look.close().await.expect("closes");
    database.destroy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_newer_than_the_program_is_left_alone() {
    let database = TestDatabase::create().await;
    let store = database.open().await.expect("opens");
    store.migrate_up().await.expect("up");
    let look = database.connect().await;
    let later =
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m30000101_000001_later', 0)";
    look.execute_unprepared(later)
        .await
        .expect("a later program was here");
    for outcome in [store.migrate_up().await, store.migrate_down(1, false).await] {
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
    let name: String = value(&look, "SELECT current_database()::text").await;
    for (setting, wrong) in [
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_isolation", "repeatable read"),
        ("synchronous_commit", "off"),
    ] {
        let alter = format!("ALTER DATABASE {name} SET {setting} = '{wrong}'");
        look.execute_unprepared(&alter).await.expect("altered");
        match database.open().await.map(drop) {
            Err(StoreError::Setting(why)) => {
                assert!(why.contains(setting) && why.contains(wrong), "{why}");
            }
            other => panic!("{setting} = {wrong} was accepted: {other:?}"),
        }
        let reset = format!("ALTER DATABASE {name} RESET {setting}");
        look.execute_unprepared(&reset).await.expect("reset");
    }
    database
        .open()
        .await
        .expect("opens")
        .close()
        .await
        .expect("closes");
    look.close().await.expect("closes");
    database.destroy().await;
}

// -- rows by raw SQL ---------------------------------------------------------------------------------------------

/// As a database of an older program is brought up to date.
#[tokio::test(flavor = "multi_thread")]
async fn facts_and_places_in_the_feed_outlive_the_migration_that_moves_them() {
    let filled = Filled::new().await;
    let store = filled.database.open().await.expect("opens");
    let before = contents(&filled.connection).await;
    assert!(before.contains("fact|"), "{before}");
    let last = store.schema_status().await.expect("a status").applied;
    let steps = last
        .iter()
        .rev()
        .position(|name| name == "m20261130_000018_facts_by_order");
    let steps = steps.and_then(|after| u32::try_from(after + 1).ok());
    store
        .migrate_down(steps.expect("that migration"), false)
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
        assert_eq!(
            value::<String>(connection, places).await,
            "e1 1, e2 2, e3 3"
        );
        assert_eq!(
            value::<String>(connection, end).await,
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
    value::<String>(connection, &facts).await + "\n" + &value::<String>(connection, ledger).await
}
