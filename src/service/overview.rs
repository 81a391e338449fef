//! A shop's figures.
//!
//! What is over does not change: the ledger only grows, so the sums of an hour that ended a while ago are read once
//! and kept, and of the other figures a day's are kept for a while once nothing of it is likely to change. So the
//! overview costs what happened lately, however many orders there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::{ServiceError, Services};
use crate::domain::ids::{AccountId, ShopId};
use crate::domain::overview::{
    DayFigures, Figures, HourMoved, Overview, Problems, SERIES_DAYS, Spread, UNPAID_TOO_LONG_MS,
    compared, day_of, hour_of, moved, series_days,
};
use crate::domain::page::Span;
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp};

/// How long after its end nothing is posted into an hour any more, in milliseconds: a transaction may have begun
/// before it, and another machine's clock may be behind.
const SETTLED_MS: i64 = HOUR_MS;
/// How long after its end a day's checkouts and events are mostly done with, in milliseconds: a checkout ends within
/// a day, and an event is given up after one.
const QUIET_MS: i64 = 2 * DAY_MS;
/// How long the figures of such a day are kept, in milliseconds: a payment may still come late.
const KEPT_MS: i64 = HOUR_MS;
/// How many days are read at once.
const DAYS_AT_ONCE: usize = 3;

/// What was read of the past.
#[derive(Debug, Default)]
pub struct KnownFigures(Mutex<HashMap<ShopId, Past>>);

#[derive(Debug, Default)]
struct Past {
    /// The sums of hours, by their beginning; an hour without any is known, too.
    hours: BTreeMap<Timestamp, Vec<HourMoved>>,
    /// Figures of days, by their beginning, and when they were read.
    days: BTreeMap<Timestamp, (Timestamp, Figures)>,
}

impl KnownFigures {
    fn lock(&self) -> MutexGuard<'_, HashMap<ShopId, Past>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of the hours from one until before another, as far as every one of them is known.
    fn hours(&self, shop: ShopId, from: Timestamp, until: Timestamp) -> Option<Vec<HourMoved>> {
        let known = self.lock();
        let past = known.get(&shop)?;
        let mut sums = Vec::new();
        for hour in hours(from, until) {
            sums.extend_from_slice(past.hours.get(&hour)?);
        }
        Some(sums)
    }

    fn keep_hours(&self, shop: ShopId, from: Timestamp, until: Timestamp, sums: &[HourMoved]) {
        let mut known = self.lock();
        let past = known.entry(shop).or_default();
        for hour in hours(from, until) {
            let of_hour = sums.iter().filter(|sum| sum.hour == hour).copied();
            past.hours.insert(hour, of_hour.collect());
        }
    }

    fn day(&self, shop: ShopId, day: Timestamp, now: Timestamp) -> Option<Figures> {
        let known = self.lock();
        let (read_at, figures) = known.get(&shop)?.days.get(&day)?;
        (0..KEPT_MS)
            .contains(&now.since(*read_at))
            .then(|| figures.clone())
    }

    fn keep_day(&self, shop: ShopId, day: Timestamp, now: Timestamp, figures: &Figures) {
        let mut known = self.lock();
        let past = known.entry(shop).or_default();
        past.days.insert(day, (now, figures.clone()));
    }

    /// Forgets what no overview shows any more.
    fn forget_before(&self, shop: ShopId, first: Timestamp) {
        if let Some(past) = self.lock().get_mut(&shop) {
            past.hours.retain(|hour, _| *hour >= first);
            past.days.retain(|day, _| *day >= first);
        }
    }
}

/// The hours that begin from one moment until before another.
fn hours(from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let next = |hour: &Timestamp| Some(hour.plus_ms(HOUR_MS));
    std::iter::successors(Some(from), next).take_while(move |hour| *hour < until)
}

impl Services {
    /// A shop's figures: what is open, today against the same weekday last week, and the last days.
    ///
    /// # Errors
    /// The store's.
    pub async fn overview(&self, shop: ShopId) -> Result<Overview, ServiceError> {
        let now = self.clock.now();
        let (today, last_week) = compared(now);
        let days = series_days(now);
        if let Some(first) = days.first() {
            self.known_figures.forget_before(shop, *first);
        }
        let mut days: Vec<DayFigures> = stream::iter(days)
            .map(|day| self.day(shop, day, now))
            .buffered(DAYS_AT_ONCE)
            .try_collect()
            .await?;
        let mut today = match days.last() {
            Some(last) => last.figures.clone(),
            None => self.figures(shop, today, now).await?,
        };
        let mut last_week_figures = self.figures(shop, last_week, now).await?;
        last_week_figures.webhook_lag = self.webhook_lag(shop, last_week).await?;
        today.webhook_lag = self.webhook_lag(shop, compared(now).0).await?;
        if let Some(last) = days.last_mut() {
            last.figures.webhook_lag = today.webhook_lag;
        }
        Ok(Overview {
            at: now,
            problems: self.problems(shop).await?,
            today,
            last_week: last_week_figures,
            days,
        })
    }

    /// What is open in a shop.
    ///
    /// # Errors
    /// The store's.
    pub async fn problems(&self, shop: ShopId) -> Result<Problems, ServiceError> {
        let now = self.clock.now();
        // Older ones than this have expired, or are about to.
        let oldest = now.plus_ms(self.expire_after_ms.saturating_add(DAY_MS).saturating_neg());
        let unpaid = (oldest, now.plus_ms(-UNPAID_TOO_LONG_MS));
        let store = self.store.shop(shop);
        Ok(store.problems(self.account_owned_by(shop), unpaid).await?)
    }

    /// The account whose unmatched events a shop sees.
    pub(super) fn account_owned_by(&self, shop: ShopId) -> Option<AccountId> {
        (self.account.owner == Some(shop)).then_some(self.account.id)
    }

    /// How late events of the provider came in a part of time: from their making there to their facts being recorded
    /// here.
    ///
    /// # Errors
    /// The store's.
    pub async fn webhook_lag(
        &self,
        shop: ShopId,
        span: Span,
    ) -> Result<Option<Spread>, ServiceError> {
        let (from, until) = ends_of(span, self.clock.now());
        let events = self.store.shop(shop).events_applied(from, until).await?;
        let late = events.iter().filter_map(|(raw, settled_at)| {
            let notice = self.provider.parse_event(raw).ok()?;
            Some(settled_at.since(notice.created?))
        });
        Ok(Spread::of(late))
    }

    async fn day(
        &self,
        shop: ShopId,
        day: Timestamp,
        now: Timestamp,
    ) -> Result<DayFigures, ServiceError> {
        if let Some(figures) = self.known_figures.day(shop, day, now) {
            return Ok(DayFigures { day, figures });
        }
        let end = day.plus_ms(DAY_MS);
        let until = if now < end { now } else { end };
        let figures = self.figures(shop, Span::between(day, until), now).await?;
        if now.since(end) >= QUIET_MS {
            self.known_figures.keep_day(shop, day, now, &figures);
        }
        Ok(DayFigures { day, figures })
    }

    /// The figures of a part of time that begins with an hour, but for how late events came.
    async fn figures(
        &self,
        shop: ShopId,
        span: Span,
        now: Timestamp,
    ) -> Result<Figures, ServiceError> {
        let (from, until) = ends_of(span, now);
        let store = self.store.shop(shop);
        Ok(Figures {
            money: moved(&self.hours_moved(shop, from, until, now).await?),
            checkouts: store.checkouts_begun(from, until).await?,
            time_to_paid: Spread::of(store.times_to_paid(from, until).await?),
            webhook_lag: None,
        })
    }

    /// What was posted from one moment until before another: hours that are over from memory, the rest anew.
    async fn hours_moved(
        &self,
        shop: ShopId,
        from: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<HourMoved>, ServiceError> {
        let settled = now.plus_ms(-SETTLED_MS);
        let over = hour_of(if until < settled { until } else { settled });
        if over <= from {
            return Ok(self.store.shop(shop).hours_moved(from, until).await?);
        }
        let mut sums = match self.known_figures.hours(shop, from, over) {
            Some(known) => known,
            None => {
                let read = self.store.shop(shop).hours_moved(from, over).await?;
                self.known_figures.keep_hours(shop, from, over, &read);
                read
            }
        };
        if over < until {
            sums.extend(self.store.shop(shop).hours_moved(over, until).await?);
        }
        Ok(sums)
    }
}

/// Both ends of a part of time; one without an end ends now.
fn ends_of(span: Span, now: Timestamp) -> (Timestamp, Timestamp) {
    let until = span.until.unwrap_or(now);
    let first = day_of(until).plus_ms(SERIES_DAYS.saturating_mul(DAY_MS).saturating_neg());
    (span.from.unwrap_or(first), until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::currency::Currency;
    use crate::domain::ids::Id;
    use crate::domain::ledger::LedgerAccountName;

    #[test]
    fn hours_are_known_only_when_each_of_them_is() {
        let known = KnownFigures::default();
        let shop = ShopId::from_uuid(uuid::Uuid::from_u128(1));
        let at = |hours: i64| Timestamp::from_ms(hours * HOUR_MS);
        assert_eq!(known.hours(shop, at(0), at(1)), None);
        let sold = HourMoved {
            hour: at(1),
            account: LedgerAccountName::Sales,
            currency: Currency::from_code("EUR").expect("EUR"),
            debit_minor: 0,
            credit_minor: 5,
            credits: 1,
        };
        known.keep_hours(shop, at(0), at(3), &[sold]);
        assert_eq!(known.hours(shop, at(0), at(3)), Some(vec![sold]));
        assert_eq!(known.hours(shop, at(2), at(3)), Some(vec![]));
        assert_eq!(known.hours(shop, at(0), at(4)), None);
        let other = ShopId::from_uuid(uuid::Uuid::from_u128(2));
        assert_eq!(known.hours(other, at(0), at(3)), None);
        known.forget_before(shop, at(2));
        assert_eq!(known.hours(shop, at(1), at(3)), None);
        assert_eq!(known.hours(shop, at(2), at(3)), Some(vec![]));
    }
}
