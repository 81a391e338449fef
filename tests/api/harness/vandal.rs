//! Breaking rows past every constraint, for the tests of what must notice it.

use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection};

use super::TestApp;

impl TestApp {
    /// A connection nothing is refused on.
    pub async fn vandal(&self) -> DatabaseConnection {
        let vandal = self.look().await;
        let sqls: &[&str] = match vandal.get_database_backend() {
            DatabaseBackend::Sqlite => &[
                "PRAGMA foreign_keys = OFF",
                "PRAGMA ignore_check_constraints = ON",
                "DROP TRIGGER ledger_entry_no_update",
                "DROP TRIGGER ledger_entry_no_delete",
                "DROP TRIGGER ledger_transaction_no_update",
                "DROP TRIGGER ledger_transaction_no_delete",
            ],
            _ => &[
                "SET session_replication_role = replica",
                "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
                 WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP \
                 EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$",
            ],
        };
        for sql in sqls {
            vandal.execute_unprepared(sql).await.expect(sql);
        }
        let one_live = "DROP INDEX checkout_session_one_live_key";
        vandal.execute_unprepared(one_live).await.expect(one_live);
        vandal
    }
}
