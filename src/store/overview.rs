//! What the overview counts, each bounded by a part of time over the primary key: ids begin with the time.

use std::collections::HashMap;

use entity::{ledger_account, provider_event};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    Value,
};

use super::paging::made_in;
use super::rows::{parse, sql};
use super::{ShopStore, StoreError};
use crate::domain::call::FAILING_TRIES;
use crate::domain::currency::Currency;
use crate::domain::ids::{
    AccountId, CheckoutSessionId, Id, LedgerEntryId, OrderId, ProviderEventId,
};
use crate::domain::inbox::ORDER_UNKNOWN;
use crate::domain::ledger::LedgerAccountName;
use crate::domain::overview::{Checkouts, HourMoved, Open, Problems};
use crate::domain::time::{HOUR_MS, MINUTE_MS, Timestamp};

/// The most checkouts that are counted of one part of time.
const MAX_CHECKOUTS: i64 = 50_000;
/// The most captures that say how long paying took.
const MAX_CAPTURES: i64 = 2_000;
/// The most events that say how late they came.
const MAX_EVENTS: u64 = 500;
/// How many events are looked at for them: most may be of types nobody acts on.
const MAX_EVENTS_SEEN: u64 = 5_000;
/// The most rows of one kind that are counted as open.
const MAX_OPEN: i64 = 10_000;
/// The most orders that are counted as unpaid for too long.
const MAX_UNPAID: i64 = 1_000;
/// How far the time in an id may be from the time in its row, in milliseconds.
const ID_SLACK_MS: i64 = MINUTE_MS;

/// `id` and `created_at` of a table within a part of time, with their values.
fn within<I: Id>(id: &str, at: &str, from: Timestamp, until: Timestamp) -> (String, [Value; 4]) {
    let bound = |at: Timestamp, slack| I::first_of(at.plus_ms(slack)).to_string();
    (
        format!("{id} >= ? AND {id} < ? AND {at} >= ? AND {at} < ?"),
        [
            bound(from, -ID_SLACK_MS).into(),
            bound(until, ID_SLACK_MS).into(),
            from.ms().into(),
            until.ms().into(),
        ],
    )
}

fn count_at(row: &QueryResult, at: usize) -> Result<u64, StoreError> {
    let count: i64 = row.try_get_by_index(at)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn open_at(row: &QueryResult, at: usize, most: i64) -> Result<Open, StoreError> {
    let count = count_at(row, at)?;
    let oldest: Option<i64> = row.try_get_by_index(at.saturating_add(1))?;
    Ok(Open {
        count,
        oldest: oldest.map(Timestamp::from_ms),
        more: i64::try_from(count).is_ok_and(|count| count >= most),
    })
}

impl ShopStore<'_> {
    async fn rows(
        &self,
        text: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let statement = sql(self.store.engine, text, values);
        Ok(self.store.reader.query_all_raw(statement).await?)
    }

    /// The shop's accounts of these names, by id.
    async fn accounts_named(
        &self,
        names: &[LedgerAccountName],
    ) -> Result<HashMap<String, (LedgerAccountName, Currency)>, StoreError> {
        let rows = ledger_account::Entity::find()
            .filter(ledger_account::Column::ShopId.eq(self.shop.to_string()))
            .filter(ledger_account::Column::Name.is_in(names.iter().map(|name| name.as_str())))
            .all(&self.store.reader)
            .await?;
        let accounts = rows.into_iter().map(|row| {
            let name = parse("ledger_account.name", &row.name)?;
            let currency = parse("ledger_account.currency", &row.currency)?;
            Ok((row.id, (name, currency)))
        });
        accounts.collect()
    }

    /// What sales and refunds moved from one moment until before another, hour by hour.
    ///
    /// # Errors
    /// The database's.
    pub async fn hours_moved(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourMoved>, StoreError> {
        let names = [LedgerAccountName::Sales, LedgerAccountName::Refunds];
        let accounts = self.accounts_named(&names).await?;
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let (time, values) = within::<LedgerEntryId>("id", "created_at", from, until);
        let marks = vec!["?"; accounts.len()].join(", ");
        // Not by the index of accounts: it would lead through all their entries there ever were.
        let text = format!(
            "SELECT created_at / {HOUR_MS}, ledger_account_id, CAST(SUM(debit_minor) AS BIGINT), \
             CAST(SUM(credit_minor) AS BIGINT), SUM(CASE WHEN credit_minor > 0 THEN 1 ELSE 0 END) \
             FROM ledger_entry WHERE {time} AND ledger_account_id || '' IN ({marks}) GROUP BY 1, 2"
        );
        let ids = accounts.keys().map(|id| Value::from(id.clone()));
        let rows = self.rows(&text, values.into_iter().chain(ids)).await?;
        let hours = rows.iter().map(|row| {
            let (hour, account): (i64, String) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let gone = || StoreError::Corrupt("an entry of an account that is gone".to_owned());
            let (account, currency) = accounts.get(&account).copied().ok_or_else(gone)?;
            Ok(HourMoved {
                hour: Timestamp::from_ms(hour.saturating_mul(HOUR_MS)),
                account,
                currency,
                debit_minor: row.try_get_by_index(2)?,
                credit_minor: row.try_get_by_index(3)?,
                credits: count_at(row, 4)?,
            })
        });
        hours.collect()
    }

    /// What became of the checkouts that began in a part of time.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkouts_begun(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Checkouts, StoreError> {
        let (time, values) = within::<CheckoutSessionId>("id", "created_at", from, until);
        let text = format!(
            "SELECT status, COUNT(*) FROM (SELECT status FROM checkout_session WHERE {time} \
             AND shop_id = ? ORDER BY id DESC LIMIT {MAX_CHECKOUTS}) newest GROUP BY status"
        );
        let values = values.into_iter().chain([self.shop.to_string().into()]);
        let mut checkouts = Checkouts::default();
        for row in self.rows(&text, values).await? {
            let (status, count): (String, u64) = (row.try_get_by_index(0)?, count_at(&row, 1)?);
            let sum = match status.as_str() {
                "complete" => &mut checkouts.complete,
                "expired" | "failed" => &mut checkouts.ended,
                _ => &mut checkouts.open,
            };
            *sum = sum.saturating_add(count);
        }
        let most = u64::try_from(MAX_CHECKOUTS).unwrap_or(u64::MAX);
        checkouts.more = checkouts.begun() >= most;
        Ok(checkouts)
    }

    /// How long it took from placing an order to its money being booked as sold, in milliseconds, of the newest
    /// captures of a part of time.
    ///
    /// # Errors
    /// The database's.
    pub async fn times_to_paid(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let accounts = self.accounts_named(&[LedgerAccountName::Sales]).await?;
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let (time, values) = within::<LedgerEntryId>("e.id", "e.created_at", from, until);
        let marks = vec!["?"; accounts.len()].join(", ");
        let text = format!(
            "SELECT e.created_at - o.created_at FROM ledger_entry e JOIN \"order\" o ON o.id = e.order_id \
             WHERE {time} AND e.ledger_account_id || '' IN ({marks}) AND e.credit_minor > 0 \
             ORDER BY e.id DESC LIMIT {MAX_CAPTURES}"
        );
        let ids = accounts.keys().map(|id| Value::from(id.clone()));
        let rows = self.rows(&text, values.into_iter().chain(ids)).await?;
        let times = rows.iter().map(|row| Ok(row.try_get_by_index(0)?));
        times.collect()
    }

    /// The newest applied events that arrived in a part of time: their bytes, and when their facts were recorded.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_applied(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Vec<u8>, Timestamp)>, StoreError> {
        use provider_event::Column as C;
        let span = crate::domain::page::Span::between(from, until);
        let query = provider_event::Entity::find()
            .filter(made_in::<ProviderEventId, _>(C::Id, C::ReceivedAt, span))
            .order_by_desc(C::Id);
        let edge: Option<String> = query
            .clone()
            .select_only()
            .column(C::Id)
            .offset(MAX_EVENTS_SEEN)
            .limit(1)
            .into_tuple()
            .one(&self.store.reader)
            .await?;
        let query = match edge {
            Some(edge) => query.filter(C::Id.gt(edge)),
            None => query,
        };
        let rows: Vec<(Option<Vec<u8>>, Option<i64>)> = query
            .filter(C::ShopId.eq(self.shop.to_string()))
            .filter(C::Verdict.eq("applied"))
            .select_only()
            .columns([C::Raw, C::SettledAt])
            .limit(MAX_EVENTS)
            .into_tuple()
            .all(&self.store.reader)
            .await?;
        let kept = rows.into_iter();
        let kept = kept.filter_map(|(raw, at)| Some((raw?, Timestamp::from_ms(at?))));
        Ok(kept.collect())
    }

    /// What is open now: questions, calls, events of the provider (also those of no shop that came for the account it
    /// `owns`), and orders placed from `unpaid.0` until before `unpaid.1` that nobody has paid.
    ///
    /// # Errors
    /// The database's.
    pub async fn problems(
        &self,
        owns: Option<AccountId>,
        unpaid: (Timestamp, Timestamp),
    ) -> Result<Problems, StoreError> {
        let mut problems = Problems::default();
        self.count_open_reviews(&mut problems).await?;
        self.count_calls(&mut problems).await?;
        self.count_events(owns, &mut problems).await?;
        let (time, values) = within::<OrderId>("id", "created_at", unpaid.0, unpaid.1);
        let text = format!(
            "SELECT COUNT(*), MIN(created_at) FROM (SELECT created_at FROM \"order\" \
             WHERE shop_id = ? AND payment_status = 'unpaid' AND {time} AND status || '' = 'open' \
             ORDER BY id LIMIT {MAX_UNPAID}) unpaid"
        );
        let values = std::iter::once(self.shop.to_string().into()).chain(values);
        if let Some(row) = self.rows(&text, values).await?.first() {
            problems.unpaid_orders = open_at(row, 0, MAX_UNPAID)?;
        }
        Ok(problems)
    }

    async fn count_open_reviews(&self, problems: &mut Problems) -> Result<(), StoreError> {
        let text = format!(
            "SELECT reason, COUNT(*), MIN(opened_at) FROM (SELECT reason, opened_at FROM review \
             WHERE shop_id = ? AND status = 'open' ORDER BY opened_at LIMIT {MAX_OPEN}) waiting \
             GROUP BY reason ORDER BY reason"
        );
        for row in self.rows(&text, [self.shop.to_string().into()]).await? {
            let reason: String = row.try_get_by_index(0)?;
            let open = open_at(&row, 1, MAX_OPEN)?;
            problems
                .reviews
                .push((parse("review.reason", &reason)?, open));
        }
        Ok(())
    }

    async fn count_calls(&self, problems: &mut Problems) -> Result<(), StoreError> {
        let text = format!(
            "SELECT COUNT(*), MIN(created_at) FROM (SELECT created_at FROM provider_call \
             WHERE status IN ('sending', 'unknown') AND shop_id || '' = ? AND {{}} LIMIT {MAX_OPEN}) waiting"
        );
        let unknown = text.replace("{}", "status = 'unknown'");
        let failing = text.replace("{}", &format!("attempt_count >= {FAILING_TRIES}"));
        for (text, into) in [
            (unknown, &mut problems.unknown_calls),
            (failing, &mut problems.failing_calls),
        ] {
            if let Some(row) = self
                .rows(&text, [self.shop.to_string().into()])
                .await?
                .first()
            {
                *into = open_at(row, 0, MAX_OPEN)?;
            }
        }
        Ok(())
    }

    async fn count_events(
        &self,
        owns: Option<AccountId>,
        problems: &mut Problems,
    ) -> Result<(), StoreError> {
        let owns = owns.map(|account| account.to_string()).unwrap_or_default();
        let text = format!(
            "SELECT verdict, COUNT(*), MIN(received_at) FROM (SELECT CASE WHEN verdict = 'dead' \
             AND reason = '{ORDER_UNKNOWN}' THEN 'orderless' ELSE verdict END AS verdict, received_at \
             FROM provider_event \
             WHERE verdict IN ('pending', 'quarantined', 'dead') \
             AND (shop_id = ? OR shop_id IS NULL AND provider_account_id = ?) LIMIT {MAX_OPEN}) waiting \
             GROUP BY verdict"
        );
        let values: [Value; 2] = [self.shop.to_string().into(), owns.into()];
        for row in self.rows(&text, values).await? {
            let verdict: String = row.try_get_by_index(0)?;
            let open = open_at(&row, 1, MAX_OPEN)?;
            match verdict.as_str() {
                "pending" => problems.pending_events = open,
                "quarantined" => problems.quarantined_events = open,
                "orderless" => problems.orderless_events = open,
                _ => problems.dead_events = open,
            }
        }
        problems.dead_events = problems.dead_events.and(problems.orderless_events);
        Ok(())
    }
}
