//! What can go wrong in the store, and the one place that reads database errors.
//!
//! Constraint names are part of the design: each unique index that callers can run into is named here in both
//! spellings, PostgreSQL's (its name) and SQLite's (its columns), and becomes a [`Constraint`].

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is full or overloaded: try again. Of what was being committed it is unknown
    /// whether it was; repeated with the same key it is done once.
    #[error("the database is not available")]
    Unavailable(#[source] DbErr),
    /// More commands wait than can be carried out soon: nothing was done, try again.
    #[error("too many commands wait for the database")]
    Full,
    /// Carrying it out panicked; whatever it had begun was rolled back.
    #[error("carrying out a command panicked")]
    Panicked,
    /// Somebody else was faster; the whole transaction may be repeated.
    #[error("the transaction collided with another one")]
    Collision(#[source] DbErr),
    /// Somebody else holds a row for longer than was waited for it; the whole transaction may be repeated.
    #[error("another transaction holds a row for long")]
    Locked(#[source] DbErr),
    /// A unique index said no.
    #[error("a unique index refused the row: {0:?}")]
    Conflict(Constraint),
    /// The lease this work was done under is gone: somebody else does it now, and nothing was written.
    #[error("the lease was lost")]
    LeaseLost,
    /// The books have no account yet for a currency; the caller makes them and repeats.
    #[error("the ledger has no accounts for a currency")]
    MissingLedgerAccounts(
        Vec<(
            crate::domain::ids::ShopId,
            crate::domain::currency::Currency,
        )>,
    ),
    /// A row does not say what it must.
    #[error("a stored row is not valid: {0}")]
    Corrupt(String),
    /// A setting of the database is unsafe.
    #[error("{0}")]
    Setting(String),
    /// Anything else: a bug.
    #[error("a database statement failed")]
    Statement(#[source] DbErr),
}

/// A unique index that decides a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// A shop's name.
    ShopName,
    /// An order's reference.
    OrderReference,
    /// One live checkout session per order.
    OneLiveSession,
    /// A caller's idempotency key.
    IdempotencyKey,
    /// An event of a provider.
    ProviderEvent,
    /// A fact.
    ProviderFact,
    /// A payment at a provider: it is one order's only.
    ProviderPayment,
    /// The e-mail address of a member of staff.
    StaffEmail,
    /// Any other unique index.
    Other,
}

/// Each index in PostgreSQL's spelling and in SQLite's.
const CONSTRAINTS: &[(&str, &str, Constraint)] = &[
    ("shop_name_key", "shop.name", Constraint::ShopName),
    (
        "order_reference_key",
        "order.shop_id, order.reference",
        Constraint::OrderReference,
    ),
    (
        "checkout_session_one_live_key",
        "checkout_session.order_id",
        Constraint::OneLiveSession,
    ),
    (
        "idempotency_key_key",
        "idempotency_key.shop_id, idempotency_key.key_kind, idempotency_key.route, idempotency_key.key",
        Constraint::IdempotencyKey,
    ),
    (
        "provider_event_key",
        "provider_event.provider_account_id, provider_event.event_id",
        Constraint::ProviderEvent,
    ),
    (
        "provider_fact_key",
        "provider_fact.order_id, provider_fact.object_id, provider_fact.kind, provider_fact.amount_minor, \
         provider_fact.currency, provider_fact.provider_account_id",
        Constraint::ProviderFact,
    ),
    (
        "provider_fact_money_key",
        "provider_fact.provider_account_id, provider_fact.object_id, provider_fact.kind, \
         provider_fact.amount_minor, provider_fact.currency",
        Constraint::ProviderFact,
    ),
    (
        "payment_provider_key",
        "payment.provider_account_id, payment.provider_payment_id",
        Constraint::ProviderPayment,
    ),
    (
        "staff_user_email_key",
        "staff_user.email",
        Constraint::StaffEmail,
    ),
];

/// An error type a transaction may fail with: it can say whether the store was to blame.
pub trait Failure: From<StoreError> {
    /// The store's error inside, if it is one.
    fn as_store(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn as_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl StoreError {
    /// The database is not available, for a reason that no driver gave.
    pub(super) fn unavailable(why: impl Into<String>) -> StoreError {
        StoreError::Unavailable(DbErr::Conn(RuntimeErr::Internal(why.into())))
    }

    /// Whether money at the provider would have been two orders'.
    #[must_use]
    pub fn is_of_another_order(&self) -> bool {
        matches!(
            self,
            StoreError::Conflict(Constraint::ProviderPayment | Constraint::ProviderFact)
        )
    }

    /// Whether the connection it happened on leads nowhere any more, or to a server that takes no orders.
    pub(super) fn lost_the_server(&self) -> bool {
        let StoreError::Unavailable(error) = self else {
            return false;
        };
        match driver_error(error) {
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => true,
            Some(sqlx::Error::Database(refusal)) => {
                let code = refusal.code().unwrap_or_default();
                // Connection trouble, shutdown or crash of the server, read-only standby.
                code.starts_with("08")
                    || matches!(code.as_ref(), "57P01" | "57P02" | "57P03" | "25006")
            }
            _ => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        classify(error)
    }
}

/// What the driver said.
fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(driver))
        | DbErr::Exec(RuntimeErr::SqlxError(driver))
        | DbErr::Query(RuntimeErr::SqlxError(driver)) => Some(driver.as_ref()),
        _ => None,
    }
}

fn classify(error: DbErr) -> StoreError {
    if matches!(error, DbErr::ConnectionAcquire(_)) {
        return StoreError::Unavailable(error);
    }
    let Some(driver) = driver_error(&error) else {
        return StoreError::Statement(error);
    };
    let sqlx::Error::Database(refusal) = driver else {
        return match driver {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => StoreError::Unavailable(error),
            _ => StoreError::Statement(error),
        };
    };
    if refusal.is_unique_violation() {
        return StoreError::Conflict(constraint_of(refusal.message(), refusal.constraint()));
    }
    match meaning(&refusal.code().unwrap_or_default()) {
        Meaning::Collision => StoreError::Collision(error),
        Meaning::Locked => StoreError::Locked(error),
        Meaning::Unavailable => StoreError::Unavailable(error),
        Meaning::Statement => StoreError::Statement(error),
    }
}

/// What a database's code says of the statement it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Another one was in its way.
    Collision,
    /// Another one stays in its way.
    Locked,
    /// The database is not well, and may be again.
    Unavailable,
    /// It is wrong.
    Statement,
}

/// PostgreSQL's codes have five signs; SQLite's are shorter numbers, whose last byte is the kind and the rest says more.
fn meaning(code: &str) -> Meaning {
    match code {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Meaning::Collision,
        // Lock not available.
        "55P03" => Meaning::Locked,
        // A read-only standby.
        "25006" => Meaning::Unavailable,
        code if code.len() == 5 => match code.get(..2) {
            // Connection trouble, out of resources, shutdown or statement cancelled, system error.
            Some("08" | "53" | "57" | "58") => Meaning::Unavailable,
            _ => Meaning::Statement,
        },
        code => match code.parse::<u32>().map(|code| code & 0xff) {
            // Busy, locked, too many who open it at once.
            Ok(5 | 6 | 15) => Meaning::Collision,
            // Read-only, I/O error, full, cannot open.
            Ok(8 | 10 | 13 | 14) => Meaning::Unavailable,
            _ => Meaning::Statement,
        },
    }
}

fn constraint_of(message: &str, name: Option<&str>) -> Constraint {
    let columns = message
        .rsplit_once("UNIQUE constraint failed: ")
        .map(|(_, columns)| columns.trim());
    CONSTRAINTS
        .iter()
        .find(|(postgres, sqlite, _)| name == Some(postgres) || columns == Some(sqlite))
        .map_or(Constraint::Other, |(_, _, constraint)| *constraint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_their_databases_say() {
        // SQLite: busy, while recovering, of a snapshot; locked, by a shared cache; the protocol of locks.
        for code in ["40001", "40P01", "5", "261", "517", "6", "262", "15"] {
            assert_eq!(meaning(code), Meaning::Collision, "{code}");
        }
        assert_eq!(meaning("55P03"), Meaning::Locked);
        // SQLite: read-only, also when moved; errors of reading, of fsync, of shared memory; full; cannot open.
        let unwell = [
            "08006", "53300", "57P01", "58030", "25006", "8", "1032", "10", "266", "1034", "5386",
            "13", "14", "526",
        ];
        for code in unwell {
            assert_eq!(meaning(code), Meaning::Unavailable, "{code}");
        }
        // SQLite: an error, a constraint, a mismatch.
        for code in ["23503", "42601", "22003", "1", "275", "787", "20", "", "?"] {
            assert_eq!(meaning(code), Meaning::Statement, "{code}");
        }
    }
}
