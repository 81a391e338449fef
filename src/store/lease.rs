//! Work that is due, claimed by lease: for a while it is its claimant's alone, and only the claimant's token may
//! write the end of it. A claimant that dies or stalls loses it to the next one.

use sea_orm::{
    ConnectionTrait, EntityName, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryResult,
    Value,
};

use super::connect::Engine;
use super::failpoint::Step;
use super::rows::sql;
use super::{Store, StoreError, Tx};

/// How long what is claimed is its claimant's, in milliseconds: longer than a provider call can take.
pub(super) const LEASE_MS: i64 = 20_000;

/// A kind of work that is claimed by lease; its table has the columns `id`, `lease_token` and `lease_until`.
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

    /// Notes with the claim that the work begins.
    fn begin(&self, _tx: &Tx) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }
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
        Engine::Postgres => "FOR UPDATE SKIP LOCKED",
    }
}

impl Store {
    /// Claims up to `limit` of what is due, longest due first.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn claim<W: Leased>(&self, limit: u32) -> Result<Vec<W>, StoreError> {
        let claimed = self.write(|tx| claim_once::<W>(tx, limit)).await?;
        if !claimed.is_empty() {
            W::STEP.after();
        }
        Ok(claimed)
    }
}

async fn claim_once<W: Leased>(tx: Tx, limit: u32) -> Result<Vec<W>, StoreError> {
    let rows = due_rows::<W>(&tx, limit).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    if rows.is_empty() {
        return Ok(claimed);
    }
    for row in &rows {
        let work = W::read(<W::Row as EntityTrait>::Model::from_query_result(row, "")?)?;
        work.begin(&tx).await?;
        claimed.push(work);
    }
    W::STEP.before();
    Ok(claimed)
}

/// Takes the lease of what is due, and returns its rows as they are now.
async fn due_rows<W: Leased>(tx: &Tx, limit: u32) -> Result<Vec<QueryResult>, StoreError> {
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
    let text = format!(
        "UPDATE {table} SET lease_token = ?, lease_until = {now} + {LEASE_MS}, {moved}{tries} = {tries} + 1 \
         WHERE id IN (SELECT id FROM {table} WHERE {waiting} AND {due} <= {now} \
         AND (lease_until IS NULL OR lease_until <= {now}) ORDER BY {due} LIMIT {limit} {lock}) \
         RETURNING {}",
        columns.join(", ")
    );
    let values: [Value; 1] = [lease_token().into()];
    Ok(tx
        .conn()
        .query_all_raw(sql(tx.engine, &text, values))
        .await?)
}
