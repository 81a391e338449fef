//! Provider calls: intents that were committed before they are sent, claimed by lease to be sent.

mod attempts;

use std::collections::HashSet;
use std::time::Instant;

use entity::{provider_attempt, provider_call as row};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QueryOrder,
    QuerySelect, Value,
};

use self::attempts::{attempt_of, finish_attempt, start_attempt};
use super::bulk::{self, Change};
use super::failpoint::Step;
use super::lease::{LEASE_MS, Leased, lease_token, token};
use super::rows::{parse, sql};
use super::{Engine, ShopTx, Store, StoreError, Tx, now_sql};
use crate::domain::access::Trace;
use crate::domain::call::{CallKind, CallRequest, CallStatus};
use crate::domain::ids::{AccountId, CallId, OrderId, PaymentId, ShopId};
use crate::domain::time::Timestamp;

pub use self::attempts::AttemptNote;
pub(super) use self::attempts::{ENDED_TRY, ended_try};

/// For how long a creation must have been unknown before somebody else's wish for a session ends it, in
/// milliseconds.
const STALE_AFTER_MS: i64 = 60_000;
/// After how many tries.
const STALE_TRIES: i64 = 3;

/// How far from the database's time a call's creation is written at most, in milliseconds.
const NEAR_MS: i64 = 5_000;

/// A call to be inserted.
#[derive(Debug, Clone)]
pub struct NewCall {
    /// Its id; also its idempotency key at the provider.
    pub id: CallId,
    /// The order it is about.
    pub order: OrderId,
    /// The account it is made with.
    pub account: AccountId,
    /// What it does.
    pub kind: CallKind,
    /// Our id of what it is done to.
    pub subject_id: String,
    /// What will be sent.
    pub request: CallRequest,
    /// Why it is made: the id of a request, fact or event.
    pub cause: String,
    /// Who caused it.
    pub trace: Trace,
}

/// A call somebody holds the lease of.
#[derive(Debug, Clone)]
pub struct ClaimedCall {
    /// Its id.
    pub id: CallId,
    /// Its shop.
    pub shop: ShopId,
    /// The order it is about.
    pub order: OrderId,
    /// The account it is made with.
    pub account: AccountId,
    /// What it does.
    pub kind: CallKind,
    /// Our id of what it is done to.
    pub subject_id: String,
    /// The key it is sent under, at every try.
    pub idempotency_key: String,
    /// What is sent, byte for byte, at every try.
    pub request: CallRequest,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The fencing token.
    pub token: String,
    /// When it was first meant to be sent, by the database's clock.
    pub created_at: Timestamp,
    /// When it was claimed, by the same clock.
    claimed_at: Timestamp,
    /// The same moment, to count on from.
    since: Instant,
    /// Who caused it.
    pub trace: Trace,
}

impl ClaimedCall {
    /// Now, by the clock its times are written by: how old a call is decides whether it may be sent again, and whoever
    /// judges that may run on a machine whose clock is another.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.since.elapsed().as_millis());
        self.claimed_at.plus_ms(elapsed.unwrap_or(i64::MAX))
    }

    /// How long ago it was first meant to be sent, in milliseconds.
    #[must_use]
    pub fn age_ms(&self) -> i64 {
        self.now().since(self.created_at)
    }
}

pub(super) fn claimed(row: row::Model) -> Result<ClaimedCall, StoreError> {
    let gone = || StoreError::Corrupt("an open call without its body".to_owned());
    Ok(ClaimedCall {
        id: parse("provider_call.id", &row.id)?,
        shop: parse("provider_call.shop_id", &row.shop_id)?,
        order: parse("provider_call.order_id", &row.order_id)?,
        account: parse(
            "provider_call.provider_account_id",
            &row.provider_account_id,
        )?,
        kind: parse("provider_call.kind", &row.kind)?,
        subject_id: row.subject_id,
        idempotency_key: row.idempotency_key,
        request: CallRequest {
            method: row.method,
            path: row.path,
            body: row.body.ok_or_else(gone)?,
            api_version: row.api_version,
        },
        attempt: u32::try_from(row.attempt_count).unwrap_or(u32::MAX),
        token: token(row.lease_token)?,
        created_at: Timestamp::from_ms(row.created_at),
        // One that was claimed as it was written is as old as its claim.
        claimed_at: Timestamp::from_ms(
            row.lease_until
                .map_or(row.created_at, |until| until.saturating_sub(LEASE_MS)),
        ),
        since: Instant::now(),
        trace: Trace {
            request_id: row.request_id,
            actor: row.actor,
        },
    })
}

impl Leased for ClaimedCall {
    type Row = row::Entity;
    const DUE: &'static str = "next_at";
    const TRIES: &'static str = "attempt_count";
    const WAITING: &'static str = "status IN ('sending', 'unknown')";
    const MOVES_DUE: bool = true;
    const STEP: Step = Step::ClaimCalls;

    fn read(row: row::Model) -> Result<Self, StoreError> {
        claimed(row)
    }

    async fn begin(&self, tx: &Tx) -> Result<(), StoreError> {
        start_attempt(tx, self).await
    }
}

impl ShopTx {
    /// Inserts a call that this process sends itself, right after the commit: its first claimant.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_claimed_call(&self, new: &NewCall) -> Result<ClaimedCall, StoreError> {
        let mut row = row_of(&self.tx, self.shop, new);
        row.attempt_count = 1;
        row.lease_token = Some(lease_token());
        insert_row(&self.tx, &row, Some(LEASE_MS)).await?;
        let call = claimed(row)?;
        start_attempt(&self.tx, &call).await?;
        Ok(call)
    }

    /// What ends a payment's reserved money: a capture or a void that is under way, or was carried out.
    ///
    /// # Errors
    /// The database's.
    pub async fn ending_of(&self, payment: PaymentId) -> Result<Option<CallKind>, StoreError> {
        ending_of(&self.tx, &payment.to_string()).await
    }

    /// Whether a call of this kind was ever meant for a subject.
    ///
    /// # Errors
    /// The database's.
    pub async fn call_exists(&self, kind: CallKind, subject_id: &str) -> Result<bool, StoreError> {
        exists(&self.tx, kind, subject_id).await
    }

    /// Inserts a call for the recovery loop to send.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_call(&self, new: &NewCall) -> Result<(), StoreError> {
        insert_row(&self.tx, &row_of(&self.tx, self.shop, new), None).await
    }
}

/// A call's row but for its times, which are the database's to say.
fn row_of(tx: &Tx, shop: ShopId, new: &NewCall) -> row::Model {
    row::Model {
        id: new.id.to_string(),
        shop_id: shop.to_string(),
        order_id: new.order.to_string(),
        provider_account_id: new.account.to_string(),
        kind: new.kind.to_string(),
        subject_id: new.subject_id.clone(),
        idempotency_key: format!("till_{}", new.id),
        method: new.request.method.clone(),
        path: new.request.path.clone(),
        body: Some(new.request.body.clone()),
        api_version: new.request.api_version.clone(),
        status: CallStatus::Sending.to_string(),
        attempt_count: 0,
        next_at: None,
        lease_until: None,
        lease_token: None,
        cause: new.cause.clone(),
        request_id: new.trace.request_id.clone(),
        actor: new.trace.actor.clone(),
        created_at: tx.clock.now().ms(),
        finished_at: None,
        review_at: None,
    }
}

/// The rows of a call that this process sends itself right after the commit, and of its first try; `now` is the
/// database's.
pub(super) fn claimed_rows(
    tx: &Tx,
    shop: ShopId,
    new: &NewCall,
    now: Timestamp,
) -> Result<(ClaimedCall, row::Model, provider_attempt::Model), StoreError> {
    let until = Some(now.plus_ms(LEASE_MS).ms());
    let row = row_of(tx, shop, new);
    let row = row::Model {
        attempt_count: 1,
        next_at: until,
        lease_until: until,
        lease_token: Some(lease_token()),
        created_at: row
            .created_at
            .clamp(now.plus_ms(-NEAR_MS).ms(), now.plus_ms(NEAR_MS).ms()),
        ..row
    };
    let call = claimed(row.clone())?;
    let attempt = attempt_of(tx, &call);
    Ok((call, row, attempt))
}

/// Inserts a call that is due when its lease ends, or now when it has none. Its times are the database's:
/// whoever judges them may run on a machine whose clock is another.
async fn insert_row(tx: &Tx, row: &row::Model, lease_ms: Option<i64>) -> Result<(), StoreError> {
    let now = tx.now_sql();
    let until = |ms: i64| Expr::cust(format!("{now} + {ms}"));
    let created_at = row.created_at;
    let row = row::ActiveModel::from(row.clone());
    let values = row::Column::iter().map(|column| match (column, lease_ms) {
        (row::Column::NextAt, lease_ms) => until(lease_ms.unwrap_or(0)),
        (row::Column::LeaseUntil, Some(lease_ms)) => until(lease_ms),
        // Near to it, this process's own serves: what happened first is told first.
        (row::Column::CreatedAt, _) if tx.engine == Engine::Postgres => {
            let near = format!("GREATEST(LEAST($1, {now} + {NEAR_MS}), {now} - {NEAR_MS})");
            Expr::cust_with_values(near, [created_at])
        }
        _ => row
            .get(column)
            .into_value()
            .map_or_else(|| Expr::cust("NULL"), Expr::value),
    });
    let mut insert = Query::insert();
    insert
        .into_table(row::Entity)
        .columns(row::Column::iter())
        .values_panic(values);
    tx.conn().execute(&insert).await?;
    Ok(())
}

/// Writes a call's end, if its lease is still ours.
pub(super) async fn finish(
    tx: &Tx,
    call: &ClaimedCall,
    status: CallStatus,
    note: &AttemptNote,
) -> Result<(), StoreError> {
    if end(tx, &[(call, status)]).await?.is_empty() {
        return Err(StoreError::LeaseLost);
    }
    finish_attempt(tx, call, note).await
}

/// Writes the ends of calls whose leases are still ours, and returns their ids; their tries are left to the caller.
pub(super) async fn end(
    tx: &Tx,
    calls: &[(&ClaimedCall, CallStatus)],
) -> Result<HashSet<String>, StoreError> {
    use row::Column as C;
    let now = tx.clock.now().ms();
    let rows: Vec<row::Model> = calls
        .iter()
        .map(|(call, status)| row::Model {
            status: status.as_str().to_owned(),
            finished_at: Some(now),
            ..of_claimed(call)
        })
        .collect();
    let change = Change {
        found_by: &[C::Id, C::LeaseToken],
        set: &[C::Status, C::FinishedAt],
        also: "body = NULL, next_at = NULL, lease_until = NULL, lease_token = NULL, review_at = NULL",
    };
    bulk::update_found::<row::Entity>(tx, &rows, change, C::Id).await
}

/// The row of a claimed call, as far as its holder knows it.
fn of_claimed(call: &ClaimedCall) -> row::Model {
    row::Model {
        id: call.id.to_string(),
        shop_id: call.shop.to_string(),
        order_id: call.order.to_string(),
        provider_account_id: call.account.to_string(),
        kind: call.kind.to_string(),
        subject_id: call.subject_id.clone(),
        idempotency_key: call.idempotency_key.clone(),
        method: call.request.method.clone(),
        path: call.request.path.clone(),
        body: None,
        api_version: call.request.api_version.clone(),
        status: CallStatus::Sending.to_string(),
        attempt_count: i64::from(call.attempt),
        next_at: None,
        lease_until: None,
        lease_token: Some(call.token.clone()),
        cause: String::new(),
        request_id: call.trace.request_id.clone(),
        actor: call.trace.actor.clone(),
        created_at: call.created_at.ms(),
        finished_at: None,
        review_at: None,
    }
}

/// Notes that a try proved nothing and when the next one is due, if the call's lease is still ours.
async fn unknown(
    tx: &Tx,
    call: &ClaimedCall,
    retry_in_ms: i64,
    review_at: Option<i64>,
    note: &AttemptNote,
) -> Result<(), StoreError> {
    let text = format!(
        "UPDATE provider_call SET status = 'unknown', next_at = {} + ?, \
         review_at = COALESCE(review_at, ?), lease_until = NULL, lease_token = NULL \
         WHERE id = ? AND lease_token = ?",
        tx.now_sql()
    );
    let values: [Value; 4] = [
        retry_in_ms.into(),
        review_at.into(),
        call.id.to_string().into(),
        call.token.clone().into(),
    ];
    let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::LeaseLost);
    }
    finish_attempt(tx, call, note).await
}

/// As [`unknown`], and people have to look at it: sending again is not safe any more.
pub(super) async fn doubt(
    tx: &Tx,
    call: &ClaimedCall,
    retry_in_ms: i64,
    note: &AttemptNote,
) -> Result<(), StoreError> {
    unknown(tx, call, retry_in_ms, Some(tx.clock.now().ms()), note).await
}

/// What ends a payment's reserved money: a capture or a void that is under way, or was carried out.
pub(super) async fn ending_of(tx: &Tx, payment_id: &str) -> Result<Option<CallKind>, StoreError> {
    let ending = [CallKind::Capture.as_str(), CallKind::Void.as_str()];
    let row = row::Entity::find()
        .filter(row::Column::SubjectId.eq(payment_id))
        .filter(row::Column::Kind.is_in(ending))
        .filter(row::Column::Status.ne(CallStatus::Declined.as_str()))
        .one(tx.conn())
        .await?;
    row.map(|row| parse("provider_call.kind", &row.kind))
        .transpose()
}

/// Whether a call of this kind was ever meant for a subject.
pub(super) async fn exists(tx: &Tx, kind: CallKind, subject_id: &str) -> Result<bool, StoreError> {
    let row = row::Entity::find()
        .filter(row::Column::SubjectId.eq(subject_id))
        .filter(row::Column::Kind.eq(kind.as_str()))
        .one(tx.conn())
        .await?;
    Ok(row.is_some())
}

impl Store {
    /// Notes that a try proved nothing, and when the next one is due.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when somebody else has the call now.
    pub async fn call_unknown(
        &self,
        call: &ClaimedCall,
        retry_in_ms: i64,
        note: &AttemptNote,
    ) -> Result<(), StoreError> {
        self.write_at(Step::CallUnknown, |tx| async move {
            unknown(&tx, call, retry_in_ms, None, note).await
        })
        .await
    }

    /// When the first try of a call began that ended with this word; none when none did.
    ///
    /// # Errors
    /// The database's.
    pub async fn call_first_noted(
        &self,
        call: CallId,
        outcome: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let noted = provider_attempt::Entity::find()
            .filter(provider_attempt::Column::ProviderCallId.eq(call.to_string()))
            .filter(provider_attempt::Column::Outcome.eq(outcome))
            .order_by_asc(provider_attempt::Column::Number)
            .one(&self.reader)
            .await?;
        Ok(noted.map(|noted| Timestamp::from_ms(noted.started_at)))
    }

    /// Claims up to `limit` calls of an account that are due, each for the time of a lease.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_calls(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<ClaimedCall>, StoreError> {
        self.claim(account, limit).await
    }

    /// Makes the calls due whose outcome is unknown and that may still be sent again: the provider answers. Those that were
    /// held back are due now, not since long ago: somebody is at them.
    ///
    /// # Errors
    /// The database's.
    pub async fn wake_calls(&self, account: AccountId) -> Result<u64, StoreError> {
        self.write_at(Step::WakeCalls, |tx| async move {
            // Found among those that wait: SQLite would go through all calls there ever were of the account.
            let text = format!(
                "UPDATE provider_call SET next_at = {now} WHERE {waiting} \
                 AND (next_at < {now} OR next_at > {now} AND status || '' = 'unknown') \
                 AND review_at IS NULL AND provider_account_id || '' = ?",
                waiting = ClaimedCall::WAITING,
                now = tx.now_sql()
            );
            let values: [Value; 1] = [account.to_string().into()];
            let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            Ok::<_, StoreError>(done.rows_affected())
        })
        .await
    }

    /// Claims one of a shop's open calls at an account for somebody who wants it tried now; nothing when its outcome is
    /// known, or while somebody is at it.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_call(
        &self,
        shop: ShopId,
        account: AccountId,
        id: CallId,
    ) -> Result<Option<ClaimedCall>, StoreError> {
        let token = &lease_token();
        self.write(|tx| async move {
            let now = tx.now_sql();
            let text = format!(
                "UPDATE provider_call SET lease_token = ?, lease_until = {now} + {LEASE_MS}, \
                 next_at = {now} + {LEASE_MS}, attempt_count = attempt_count + 1 \
                 WHERE id = ? AND shop_id = ? AND provider_account_id = ? \
                 AND status IN ('sending', 'unknown') AND body IS NOT NULL \
                 AND (lease_until IS NULL OR lease_until <= {now})"
            );
            let (shop, id) = (shop.to_string(), id.to_string());
            let account = account.to_string();
            let values: [Value; 4] = [
                token.clone().into(),
                id.clone().into(),
                shop.into(),
                account.into(),
            ];
            let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            if done.rows_affected() != 1 {
                return Ok(None);
            }
            let row = row::Entity::find_by_id(id).one(tx.conn()).await?;
            let gone = || StoreError::Corrupt("a claimed call is gone".to_owned());
            let call = claimed(row.ok_or_else(gone)?)?;
            start_attempt(&tx, &call).await?;
            Ok(Some(call))
        })
        .await
    }

    /// Claims the creation of an order's session when it has been unknown for a minute and three
    /// tries: whoever claims it gives it up.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim_stale_creation(
        &self,
        order: OrderId,
    ) -> Result<Option<ClaimedCall>, StoreError> {
        let candidate = row::Entity::find()
            .filter(row::Column::OrderId.eq(order.to_string()))
            .filter(row::Column::Kind.eq(CallKind::SessionCreate.as_str()))
            .filter(row::Column::Status.eq(CallStatus::Unknown.as_str()))
            .filter(row::Column::AttemptCount.gte(STALE_TRIES))
            .one(&self.reader)
            .await?;
        let Some(candidate) = candidate else {
            return Ok(None);
        };
        let (id, token) = (&candidate.id, &lease_token());
        self.write_at(Step::ClaimStaleCreation, |tx| async move {
            let now = tx.now_sql();
            let text = format!(
                "UPDATE provider_call SET lease_token = ?, lease_until = {now} + {LEASE_MS}, \
                 attempt_count = attempt_count + 1 \
                 WHERE id = ? AND status = 'unknown' AND created_at <= {now} - {STALE_AFTER_MS} \
                 AND (lease_until IS NULL OR lease_until <= {now})"
            );
            let values: [Value; 2] = [token.clone().into(), id.clone().into()];
            let done = tx.conn().execute_raw(sql(tx.engine, &text, values)).await?;
            if done.rows_affected() != 1 {
                return Ok(None);
            }
            let row = row::Entity::find_by_id(id.clone()).one(tx.conn()).await?;
            let gone = || StoreError::Corrupt("a claimed call is gone".to_owned());
            let call = claimed(row.ok_or_else(gone)?)?;
            start_attempt(&tx, &call).await?;
            Ok(Some(call))
        })
        .await
    }

    /// What is known of the newest call that makes a subject, and whether somebody is sending it right now.
    ///
    /// # Errors
    /// The database's.
    pub async fn call_state(
        &self,
        kind: CallKind,
        subject_id: &str,
    ) -> Result<Option<(CallStatus, bool)>, StoreError> {
        let now = now_sql(self.engine, &self.clock);
        let held = format!("CASE WHEN lease_until > {now} THEN 1 ELSE 0 END");
        let found: Option<(String, i32)> = row::Entity::find()
            .filter(row::Column::SubjectId.eq(subject_id))
            .filter(row::Column::Kind.eq(kind.as_str()))
            .order_by_desc(row::Column::Id)
            .select_only()
            .column(row::Column::Status)
            .expr_as(Expr::cust(held), "held")
            .into_tuple()
            .one(&self.reader)
            .await?;
        let Some((status, held)) = found else {
            return Ok(None);
        };
        let status: CallStatus = parse("provider_call.status", &status)?;
        Ok(Some((status, status == CallStatus::Sending && held == 1)))
    }
}
