//! A database for one test: a file, or a clone of a migrated PostgreSQL template.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use till::clock::Clock;
use till::store::{DatabaseSettings, Store, StoreError};

/// Held while a test process makes the template, so that it is made once.
const TEMPLATE_LOCK: i64 = 7_411_554_000_002;

/// A fresh database, removed when the test has passed.
pub struct TestDatabase {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite(std::path::PathBuf),
    Postgres { server: String, name: String },
}

/// The PostgreSQL server of this run, or none on SQLite.
pub fn postgres_server() -> Option<String> {
    let chosen = std::env::var("TILL_TEST_DATABASE").unwrap_or_default();
    chosen.starts_with("postgres").then_some(chosen)
}

impl TestDatabase {
    /// A database with the present schema.
    pub async fn create() -> TestDatabase {
        match postgres_server() {
            Some(server) => clone_template(server).await,
            None => TestDatabase::empty_sqlite(),
        }
    }

    /// A database without any table.
    pub async fn empty() -> TestDatabase {
        match postgres_server() {
            Some(server) => {
                let name = format!("till_test_{}", uuid::Uuid::new_v4().simple());
                execute(&server, &format!("CREATE DATABASE {name}")).await;
                postgres(server, name)
            }
            None => TestDatabase::empty_sqlite(),
        }
    }

    fn empty_sqlite() -> TestDatabase {
        let name = format!("till-test-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder for the database");
        TestDatabase {
            url: format!("sqlite://{}", folder.join("till.db").display()),
            kind: Kind::Sqlite(folder),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    /// A store over it, as a small process has it.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub async fn open(&self) -> Result<Store, StoreError> {
        let settings = DatabaseSettings {
            url: self.url(),
            max_connections: 4,
            batch: 1,
        };
        Store::open(&settings, Clock::system()).await
    }

    /// Removes it.
    pub async fn destroy(&self) {
        match &self.kind {
            Kind::Sqlite(folder) => std::fs::remove_dir_all(folder).expect("the folder goes"),
            Kind::Postgres { server, name } => {
                execute(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
            }
        }
    }
}

/// One connection that does not age: the driver's task that looks for those that do can take the number of idle ones
/// for a huge one, while one of them is given back, and count up to it.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url.to_owned());
    options
        .max_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false);
    Database::connect(options).await.expect("a connection")
}

async fn execute(url: &str, sql: &str) {
    let connection = connect(url).await;
    connection.execute_unprepared(sql).await.expect(sql);
    connection.close().await.expect("closes");
}

fn postgres(server: String, name: String) -> TestDatabase {
    let (base, _) = server.rsplit_once('/').expect("a URL with a database name");
    TestDatabase {
        url: format!("{base}/{name}"),
        kind: Kind::Postgres { server, name },
    }
}

async fn clone_template(server: String) -> TestDatabase {
    let template = make_template(&server).await;
    let name = format!("till_test_{}", uuid::Uuid::new_v4().simple());
    let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
    execute(&server, &create).await;
    postgres(server, name)
}

/// The migrated template of this schema, made by the first test that needs it.
async fn make_template(server: &str) -> String {
    let names: Vec<String> = migration_names();
    let template = format!(
        "till_template_{}",
        &till::secrets::hash(&names.join(","))[..16]
    );
    let connection = connect(server).await;
    let lock = format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})");
    connection
        .execute_unprepared(&lock)
        .await
        .expect("the lock");
    let exists = format!("SELECT 1 FROM pg_database WHERE datname = '{template}'");
    let exists = sea_orm::Statement::from_string(connection.get_database_backend(), exists);
    if connection
        .query_one_raw(exists)
        .await
        .expect("a look")
        .is_none()
    {
        let fresh = format!("{template}_new");
        let drop = format!("DROP DATABASE IF EXISTS {fresh}");
        connection
            .execute_unprepared(&drop)
            .await
            .expect("no leftover");
        let create = format!("CREATE DATABASE {fresh}");
        connection
            .execute_unprepared(&create)
            .await
            .expect("a new template");
        let store = postgres(server.to_owned(), fresh.clone()).open().await;
        let store = store.expect("opens");
        store.migrate_up().await.expect("migrates");
        store.close().await.expect("closes");
        let rename = format!("ALTER DATABASE {fresh} RENAME TO {template}");
        connection
            .execute_unprepared(&rename)
            .await
            .expect("a finished template");
    }
    // Closing the connection gives the lock back.
    connection.close().await.expect("closes");
    template
}

fn migration_names() -> Vec<String> {
    use migration::MigratorTrait;
    let migrations = migration::Migrator::migrations();
    migrations
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect()
}
