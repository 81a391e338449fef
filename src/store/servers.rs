//! The PostgreSQL servers a URL names, and which of them takes orders.
//!
//! `postgres://USER@ONE:5432,OTHER:5432/DATABASE` names several that copy each other. The driver knows one address
//! only, so the URL is taken apart here, each server is asked whether it is the primary, and of two that say so (an
//! old one that came back and was not told) the one on the newer timeline is believed.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Executor as _, Row as _};

/// How long one server may take to say what it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a primary tells of itself, on any engine that speaks PostgreSQL's wire.
const WHO: &str = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' \
                   ELSE pg_catalog.pg_postmaster_start_time()::text END, ''";
/// The same with the timeline, which a promotion moves on; it is needed only to choose between servers.
const WHO_OF_SEVERAL: &str = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' \
     ELSE pg_catalog.pg_postmaster_start_time()::text END, \
     CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' \
     ELSE substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END";

/// What is set for every connection: limits live in the server, because a timeout around a database future would
/// poison the pool. A pooler keeps them away; `till doctor` says so.
pub(super) const LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "10000"),
    ("lock_timeout", "5000"),
    ("idle_in_transaction_session_timeout", "15000"),
];

/// One server.
#[derive(Clone)]
pub(super) struct Server {
    /// Its own URL.
    pub url: String,
    options: PgConnectOptions,
}

/// All servers of a URL, in its order.
#[derive(Clone)]
pub(super) struct Servers(Vec<Server>);

/// Which primary it is: a server that was started again, or another one, has another identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    at: usize,
    timeline: String,
    started: String,
}

/// A primary that was found.
pub(super) struct Found {
    /// Which one it is.
    pub identity: Identity,
    /// A connection to it.
    pub connection: PgConnection,
}

impl Servers {
    /// Reads a URL of one server or several; none when it cannot be read.
    pub fn of(url: &str) -> Option<Servers> {
        let servers = urls(url).into_iter().map(|url| {
            let options = limited(url.parse().ok()?).disable_statement_logging();
            Some(Server { url, options })
        });
        servers.collect::<Option<Vec<_>>>().map(Servers)
    }

    /// The only server, when there is one.
    pub fn only(&self) -> Option<&Server> {
        match self.0.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The first server of the URL.
    pub fn first(&self) -> Option<&Server> {
        self.0.first()
    }

    /// The server a primary was found at.
    pub fn at(&self, identity: &Identity) -> Option<&Server> {
        self.0.get(identity.at)
    }

    /// Asks every server at once. A primary on an older timeline than the `last` one is not believed: it was
    /// replaced while it was away.
    pub async fn primary(&self, last: Option<&Identity>) -> Option<Found> {
        let answers = self.0.iter().enumerate().map(async |(at, server)| {
            let asked = async {
                let mut connection = server.options.connect().await.ok()?;
                let identity = self.ask(at, &mut connection).await?;
                Some(Found {
                    identity,
                    connection,
                })
            };
            tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok()?
        });
        let found = join_all(answers).await.into_iter().flatten();
        let newest = found.max_by(|a, b| {
            let by_timeline = a.identity.timeline.cmp(&b.identity.timeline);
            // Of equals the first of the URL.
            by_timeline.then(b.identity.at.cmp(&a.identity.at))
        })?;
        let outdated = last.is_some_and(|last| newest.identity.timeline < last.timeline);
        (!outdated).then_some(newest)
    }

    /// Whether the primary still is what it was, asked over a connection to it.
    pub async fn is_still(&self, found: &mut Found) -> bool {
        let asked = self.ask(found.identity.at, &mut found.connection);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, asked).await;
        answer.ok().flatten().as_ref() == Some(&found.identity)
    }

    /// What a server says of itself; none for a standby, and for one that does not say it.
    async fn ask(&self, at: usize, connection: &mut PgConnection) -> Option<Identity> {
        let question = match self.only() {
            Some(_) => WHO,
            None => WHO_OF_SEVERAL,
        };
        let row = connection.fetch_one(question).await.ok()?;
        let started: String = row.try_get(0).ok()?;
        let timeline = row.try_get(1).ok()?;
        (!started.is_empty()).then_some(Identity {
            at,
            timeline,
            started,
        })
    }
}

impl Server {
    /// How to connect to it.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }
}

/// A connection's settings, with the limits.
pub(super) fn limited(options: PgConnectOptions) -> PgConnectOptions {
    let options = options.application_name("till").options(LIMITS);
    options.options([
        // Short statements only: compiling one costs more than it ever saves.
        ("jit", "off"),
        // Every statement has its index. A plan that was made while a table was small is kept with its statement, and
        // would read all of the table once it is large.
        ("enable_seqscan", "off"),
        // A bitmap never notices that the rows an index names are gone, so rows that are waited for and done with, as
        // the events without a place, would be gone through again each time until the next vacuum.
        ("enable_bitmapscan", "off"),
    ])
}

/// Whether the server of a connection is a standby.
pub(super) async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection
        .fetch_one("SELECT pg_catalog.pg_is_in_recovery()::text")
        .await?;
    Ok(row.try_get::<String, _>(0)? == "true")
}

/// One URL for each host of a URL.
fn urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return vec![url.to_owned()];
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, hosts) = match authority.rfind('@') {
        Some(at) => authority.split_at(at.saturating_add(1)),
        None => ("", authority),
    };
    let hosts = hosts.split(',');
    hosts
        .map(|host| format!("{scheme}://{user}{}{tail}", host.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_of_a_url_gets_one_of_its_own() {
        let one = "postgres://me:p%40ss@db:5432/till?sslmode=require";
        assert_eq!(urls(one), [one]);
        assert_eq!(
            urls("postgresql://me:a,b@one:5433,[::1]:5434,%2Ftmp/till?sslmode=disable"),
            [
                "postgresql://me:a,b@one:5433/till?sslmode=disable",
                "postgresql://me:a,b@[::1]:5434/till?sslmode=disable",
                "postgresql://me:a,b@%2Ftmp/till?sslmode=disable",
            ]
        );
        assert_eq!(urls("postgres://a,b"), ["postgres://a", "postgres://b"]);
        assert!(Servers::of("postgres://me@a,b:x/till").is_none());
        assert!(Servers::of("postgres://me@a,b:1/till").is_some());
    }
}
