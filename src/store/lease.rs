//! Work that is due, claimed by lease: for a while it is its claimant's alone, and only the claimant's token may
//! write the end of it. A claimant that dies or stalls loses it to the next one.
//!
//! Whoever claims names the provider account it has the key of. One database may hold the work of several, of test
//! and live shops for one, and another account's key finds nothing of what was done: a refund that was carried out
//! would be taken for refused.
//!
//! One row that cannot be read must not stop the others: it is set aside for hours and named in the log, and what
//! was claimed beside it is served. Its lease is left to end by itself, so that `till verify` names the row too.

use sea_orm::{
    ConnectionTrait, EntityName, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryResult,
    Value,
};

use super::calls::ClaimedCall;
use super::connect::Engine;
use super::failpoint::Step;
use super::inbox::ClaimedEvent;
use super::polling::{ClaimedPayment, ClaimedSession};
use super::rows::sql;
use super::{Store, StoreError, Tx};
use crate::domain::ids::AccountId;
use crate::domain::time::HOUR_MS;

/// How long what is claimed is its claimant's, in milliseconds: longer than a provider call can take.
pub(super) const LEASE_MS: i64 = 20_000;

/// How long a row that cannot be read is left alone, in milliseconds.
pub(super) const SET_ASIDE_MS: i64 = 6 * HOUR_MS;

/// A kind of work that is claimed by lease; its table has the columns `id`, `provider_account_id`, `lease_token` and
/// `lease_until`.
pub(super) trait Leased: Sized {
    /// The table it waits in.
    type Row: EntityTrait;
    /// The column that says when it is due.
    const DUE: &'static str;
    /// The column that counts its tries.
    const TRIES: &'static str;
    /// Which rows wait at all: the condition of the index over [`Leased::DUE`].
    const WAITING: &'static str;
    /// Whether a claim also moves the due time to the end of the lease.
    const MOVES_DUE: bool = false;
    /// The claim, as a place to crash at.
    const STEP: Step;

    /// Reads a claimed row.
    fn read(row: <Self::Row as EntityTrait>::Model) -> Result<Self, StoreError>;

    /// Notes with the claim that the work begins. [`StoreError::Corrupt`] sets the row aside.
    fn begin(&self, _tx: &Tx) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }
}

/// What one claim came to.
struct Claim<W> {
    work: Vec<W>,
    /// The ids of the rows that cannot be read, and why not.
    set_aside: Vec<(String, StoreError)>,
}

/// A fresh fencing token: only its holder may write the end of what it claimed.
pub(super) fn lease_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The token of a claimed row.
pub(super) fn token(column: Option<String>) -> Result<String, StoreError> {
    column.ok_or_else(|| StoreError::Corrupt("a claimed row without its lease".to_owned()))
}

/// Rows another worker is claiming are passed over; SQLite has one writer, so none are.
fn skip_locked(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "",
        Engine::Postgres => "FOR NO KEY UPDATE SKIP LOCKED",
    }
}

impl Store {
    /// Claims up to `limit` of what is due at an account, longest due first.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn claim<W: Leased>(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<W>, StoreError> {
        loop {
            let claim: Claim<W> = self.write(|tx| claim_once(tx, account, limit)).await?;
            let table = W::Row::default().table_name();
            for (id, error) in &claim.set_aside {
                tracing::error!(
                    row.table = table,
                    row.id = %id,
                    error = %error,
                    "{table} `{id}` cannot be read; it is set aside for {} hours",
                    SET_ASIDE_MS / HOUR_MS
                );
            }
            if !claim.work.is_empty() {
                W::STEP.after();
                return Ok(claim.work);
            }
            // Behind nothing but unreadable rows others may be due; each round sets some aside, so this ends.
            if claim.set_aside.is_empty() {
                return Ok(Vec::new());
            }
        }
    }

    /// Ends every lease of work that waits. Only for a process that has the database to itself: whoever held them is gone.
    ///
    /// # Errors
    /// The database's.
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        self.write(|tx| async move {
            release::<ClaimedCall>(&tx).await?;
            release::<ClaimedEvent>(&tx).await?;
            release::<ClaimedSession>(&tx).await?;
            release::<ClaimedPayment>(&tx).await
        })
        .await
    }
}

/// Ends the leases of what waits, found by when it is due: to find those of what is done, all of it would be gone through,
/// and they keep nobody waiting for longer than [`LEASE_MS`].
async fn release<W: Leased>(tx: &Tx) -> Result<(), StoreError> {
    let (table, due, waiting) = (W::Row::default().table_name(), W::DUE, W::WAITING);
    let moved = match W::MOVES_DUE {
        true => format!(", {due} = {}", tx.now_sql()),
        false => String::new(),
    };
    let text = format!(
        "UPDATE {table} SET lease_until = NULL, lease_token = NULL{moved} \
         WHERE {waiting} AND {due} IS NOT NULL AND lease_token IS NOT NULL"
    );
    tx.conn().execute_raw(sql(tx.engine, &text, [])).await?;
    Ok(())
}

async fn claim_once<W: Leased>(
    tx: Tx,
    account: AccountId,
    limit: u32,
) -> Result<Claim<W>, StoreError> {
    let rows = due_rows::<W>(&tx, account, limit).await?;
    let mut claim = Claim {
        work: Vec::with_capacity(rows.len()),
        set_aside: Vec::new(),
    };
    if rows.is_empty() {
        return Ok(claim);
    }
    for row in &rows {
        match begun(&tx, row).await? {
            Ok(work) => claim.work.push(work),
            Err(unreadable) => {
                let id: String = row.try_get("", "id")?;
                set_aside::<W>(&tx, &id).await?;
                claim.set_aside.push((id, unreadable));
            }
        }
    }
    W::STEP.before();
    Ok(claim)
}

/// Takes the lease of what is due, and returns its rows as they are now.
async fn due_rows<W: Leased>(
    tx: &Tx,
    account: AccountId,
    limit: u32,
) -> Result<Vec<QueryResult>, StoreError> {
    let table = W::Row::default().table_name();
    let (due, tries, waiting) = (W::DUE, W::TRIES, W::WAITING);
    let (now, lock) = (tx.now_sql(), skip_locked(tx.engine));
    let moved = match W::MOVES_DUE {
        true => format!("{due} = {now} + {LEASE_MS}, "),
        false => String::new(),
    };
    // Named one by one: a star would break prepared statements when a migration adds a column.
    let columns = <W::Row as EntityTrait>::Column::iter();
    let columns: Vec<String> = columns.map(|c| format!("\"{}\"", c.as_str())).collect();
    // The account as an expression: SQLite would take an index that begins with it, and go through all there ever was.
    let claimable = format!(
        "SELECT id FROM {table} WHERE {waiting} AND {due} <= {now} AND provider_account_id || '' = ? \
         AND (lease_until IS NULL OR lease_until <= {now}) ORDER BY {due} LIMIT {limit} {lock}"
    );
    let claimed = match tx.engine {
        Engine::Sqlite => format!("id IN ({claimable})"),
        // Not joined with them: to join, all of a table that is small when the plan is made may be read.
        Engine::Postgres => format!("id = ANY(ARRAY({claimable}))"),
    };
    let text = format!(
        "UPDATE {table} SET lease_token = ?, lease_until = {now} + {LEASE_MS}, {moved}{tries} = {tries} + 1 \
         WHERE {claimed} RETURNING {}",
        columns.join(", ")
    );
    let values: [Value; 2] = [lease_token().into(), account.to_string().into()];
    Ok(tx
        .conn()
        .query_all_raw(sql(tx.engine, &text, values))
        .await?)
}

/// The work a claimed row stands for, begun; the inner error says why the row cannot be read.
async fn begun<W: Leased>(tx: &Tx, row: &QueryResult) -> Result<Result<W, StoreError>, StoreError> {
    let model = <W::Row as EntityTrait>::Model::from_query_result(row, "");
    let work = match model.map_err(StoreError::from).and_then(W::read) {
        Ok(work) => work,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    match work.begin(tx).await {
        Ok(()) => Ok(Ok(work)),
        Err(unreadable @ StoreError::Corrupt(_)) => Ok(Err(unreadable)),
        Err(error) => Err(error),
    }
}

async fn set_aside<W: Leased>(tx: &Tx, id: &str) -> Result<(), StoreError> {
    let text = format!(
        "UPDATE {} SET {} = {} + {SET_ASIDE_MS} WHERE id = ?",
        W::Row::default().table_name(),
        W::DUE,
        tx.now_sql()
    );
    let values: [Value; 1] = [id.into()];
    tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
    Ok(())
}
