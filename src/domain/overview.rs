//! The figures a shop is run by: money moved, checkouts that came to an end, how long paying took.
//!
//! Days are UTC days. Amounts of different currencies are never added. A quantile is the smallest value that so many
//! of all are at or below, so it is always a value that occurred.

use std::collections::BTreeMap;

use super::currency::Currency;
use super::ledger::LedgerAccountName;
use super::money::Money;
use super::page::Span;
use super::settlement::Reason;
use super::time::{DAY_MS, HOUR_MS, Timestamp};

/// How many days a series has, today included.
pub const SERIES_DAYS: i64 = 14;

/// The beginning of the UTC day of a moment.
#[must_use]
pub const fn day_of(at: Timestamp) -> Timestamp {
    at.plus_ms(at.ms().rem_euclid(DAY_MS).saturating_neg())
}

/// The beginning of the hour of a moment.
#[must_use]
pub const fn hour_of(at: Timestamp) -> Timestamp {
    at.plus_ms(at.ms().rem_euclid(HOUR_MS).saturating_neg())
}

/// Today so far, and the same part of the same weekday last week.
#[must_use]
pub const fn compared(now: Timestamp) -> (Span, Span) {
    let back_ms = -7 * DAY_MS;
    let (begin, end) = (day_of(now), now);
    let earlier = Span::between(begin.plus_ms(back_ms), end.plus_ms(back_ms));
    (Span::between(begin, end), earlier)
}

/// The days of a series up to the one of `now`, oldest first.
#[must_use]
pub fn series_days(now: Timestamp) -> Vec<Timestamp> {
    let back = (0..SERIES_DAYS).rev();
    let today = day_of(now);
    back.map(|days| today.plus_ms(days.saturating_mul(DAY_MS).saturating_neg()))
        .collect()
}

/// What one account moved in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourMoved {
    /// The beginning of the hour.
    pub hour: Timestamp,
    /// The account.
    pub account: LedgerAccountName,
    /// Its currency.
    pub currency: Currency,
    /// The sum of its debits, in minor units.
    pub debit_minor: i64,
    /// The sum of its credits, in minor units.
    pub credit_minor: i64,
    /// How many credits.
    pub credits: u64,
}

/// The money of one currency that moved in a part of time, by when it was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// What was sold: captured money that is an order's.
    pub sales: Money,
    /// What of it went back.
    pub refunds: Money,
    /// How many captures the sales are.
    pub payments: u64,
}

/// Adds hours up by currency, in the order of the currencies' codes.
#[must_use]
pub fn moved(hours: &[HourMoved]) -> Vec<Moved> {
    let mut sums: BTreeMap<&'static str, Moved> = BTreeMap::new();
    for hour in hours {
        let zero = Money::zero(hour.currency);
        let sum = sums.entry(hour.currency.code()).or_insert(Moved {
            sales: zero,
            refunds: zero,
            payments: 0,
        });
        let add =
            |to: Money, minor: i64| Money::new(to.minor().saturating_add(minor), to.currency());
        match hour.account {
            LedgerAccountName::Sales => {
                let minor = hour.credit_minor.saturating_sub(hour.debit_minor);
                sum.sales = add(sum.sales, minor);
                sum.payments = sum.payments.saturating_add(hour.credits);
            }
            LedgerAccountName::Refunds => {
                let minor = hour.debit_minor.saturating_sub(hour.credit_minor);
                sum.refunds = add(sum.refunds, minor);
            }
            LedgerAccountName::ProviderClearing
            | LedgerAccountName::Suspense
            | LedgerAccountName::DisputesHeld
            | LedgerAccountName::DisputeLosses
            | LedgerAccountName::ProviderFees => {}
        }
    }
    sums.into_values().collect()
}

/// What became of the checkouts that began in a part of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkouts {
    /// Those that were paid, or whose money is reserved.
    pub complete: u64,
    /// Those that ended without.
    pub ended: u64,
    /// Those that may still be paid.
    pub open: u64,
    /// Whether there were more than were counted: these are the newest.
    pub more: bool,
}

impl Checkouts {
    /// All of them.
    #[must_use]
    pub const fn begun(self) -> u64 {
        self.complete
            .saturating_add(self.ended)
            .saturating_add(self.open)
    }

    /// How many of a thousand that came to an end were paid; none when none did.
    #[must_use]
    pub fn success_per_mille(self) -> Option<u64> {
        let all = self.complete.saturating_add(self.ended);
        self.complete.saturating_mul(1_000).checked_div(all)
    }
}

/// How some durations are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// Half of them are at or below this, in milliseconds.
    pub median_ms: i64,
    /// 95 of 100 are at or below this, in milliseconds.
    pub p95_ms: i64,
}

impl Spread {
    /// The spread of some durations, in milliseconds; none of nothing. A negative one, of clocks that disagree, counts
    /// as none at all.
    #[must_use]
    pub fn of(durations_ms: impl IntoIterator<Item = i64>) -> Option<Spread> {
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for duration in durations_ms {
            let count = counts.entry(duration.max(0)).or_default();
            *count = count.saturating_add(1);
        }
        Spread::of_counts(&counts)
    }

    /// The spread of durations that are counted already; none of nothing.
    #[must_use]
    pub fn of_counts(counts: &BTreeMap<i64, u64>) -> Option<Spread> {
        let count = counts.values().fold(0_u64, |sum, n| sum.saturating_add(*n));
        Some(Spread {
            count,
            median_ms: quantile(counts, 50)?,
            p95_ms: quantile(counts, 95)?,
        })
    }
}

/// The smallest value that `percent` of all are at or below; none of nothing.
#[must_use]
pub fn quantile(counts: &BTreeMap<i64, u64>, percent: u64) -> Option<i64> {
    let all = counts.values().fold(0_u64, |sum, n| sum.saturating_add(*n));
    let rank = all.saturating_mul(percent).div_ceil(100).max(1);
    let mut seen: u64 = 0;
    counts.iter().find_map(|(value, count)| {
        seen = seen.saturating_add(*count);
        (seen >= rank).then_some(*value)
    })
}

/// The figures of a part of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// The money, by currency.
    pub money: Vec<Moved>,
    /// The checkouts that began.
    pub checkouts: Checkouts,
    /// From an order's being placed to its money being booked, over the newest of them.
    pub time_to_paid: Option<Spread>,
    /// From an event at the provider to its facts being recorded here, over the newest of them.
    pub webhook_lag: Option<Spread>,
}

/// The figures of one UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFigures {
    /// Its beginning.
    pub day: Timestamp,
    /// Its figures; those of today so far.
    pub figures: Figures,
}

/// How much of something is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// How many.
    pub count: u64,
    /// Since when the oldest of them is.
    pub oldest: Option<Timestamp>,
    /// Whether there are more than were counted.
    pub more: bool,
}

impl Open {
    /// This and another much of the same.
    #[must_use]
    pub fn and(self, other: Open) -> Open {
        Open {
            count: self.count.saturating_add(other.count),
            oldest: [self.oldest, other.oldest].into_iter().flatten().min(),
            more: self.more || other.more,
        }
    }
}

/// What people or the provider have not settled yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Open reviews, by reason.
    pub reviews: Vec<(Reason, Open)>,
    /// Calls that were sent, and nobody knows whether they were carried out.
    pub unknown_calls: Open,
    /// Calls that were tried again and again without an outcome.
    pub failing_calls: Open,
    /// Events of the provider that were given up.
    pub dead_events: Open,
    /// Of them, those about something of ours whose order is not known: it may be money without an order.
    pub orderless_events: Open,
    /// Events of the provider that were not believed, and whose object is fetched.
    pub quarantined_events: Open,
    /// Events of the provider that could not be applied yet.
    pub pending_events: Open,
    /// Orders that wait for their payment for long.
    pub unpaid_orders: Open,
}

impl Problems {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let others = [
            self.unknown_calls,
            self.failing_calls,
            self.dead_events,
            self.quarantined_events,
            self.pending_events,
            self.unpaid_orders,
        ];
        self.reviews.is_empty() && others.iter().all(|open| open.count == 0)
    }
}

/// The figures of a shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// When they were read.
    pub at: Timestamp,
    /// What is open.
    pub problems: Problems,
    /// Today so far.
    pub today: Figures,
    /// The same weekday last week, up to the same time of day.
    pub last_week: Figures,
    /// The last days, oldest first; the last one is today so far.
    pub days: Vec<DayFigures>,
}

/// How long an order may wait for its payment before that is worth a look, in milliseconds; the same as the view of
/// such orders shows.
pub const UNPAID_TOO_LONG_MS: i64 = 2 * HOUR_MS;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hour(
        account: LedgerAccountName,
        code: &str,
        debit_minor: i64,
        credit_minor: i64,
    ) -> HourMoved {
        HourMoved {
            hour: Timestamp::from_ms(0),
            account,
            currency: Currency::from_code(code).expect("a currency"),
            debit_minor,
            credit_minor,
            credits: u64::from(credit_minor > 0),
        }
    }

    #[test]
    fn currencies_are_never_added() {
        let sums = moved(&[
            hour(LedgerAccountName::Sales, "JPY", 0, 300),
            hour(LedgerAccountName::Sales, "EUR", 0, 5_000),
            hour(LedgerAccountName::Sales, "EUR", 1_000, 0),
            hour(LedgerAccountName::Refunds, "EUR", 700, 200),
            hour(LedgerAccountName::Suspense, "EUR", 0, 9_999),
        ]);
        let told: Vec<String> = sums
            .iter()
            .map(|sum| {
                let code = sum.sales.currency();
                format!("{code} {} {} {}", sum.sales, sum.refunds, sum.payments)
            })
            .collect();
        assert_eq!(told, ["EUR 40.00 5.00 1", "JPY 300 0 1"]);
    }

    #[test]
    fn sums_beyond_all_money_neither_wrap_nor_panic() {
        let most = hour(LedgerAccountName::Sales, "EUR", 0, i64::MAX);
        assert_eq!(moved(&[most, most])[0].sales.minor(), i64::MAX);
    }

    #[test]
    fn today_is_compared_with_as_much_of_the_same_weekday() {
        let now = Timestamp::parse("2026-11-28T15:30:00Z").expect("a time");
        let (today, earlier) = compared(now);
        let told = |at: Option<Timestamp>| at.expect("a time").to_string();
        assert_eq!(told(today.from), "2026-11-28T00:00:00.000Z");
        assert_eq!(told(earlier.from), "2026-11-21T00:00:00.000Z");
        assert_eq!(told(earlier.until), "2026-11-21T15:30:00.000Z");
        let days = series_days(now);
        assert_eq!(days.len(), 14);
        assert_eq!(days[13], day_of(now));
        assert_eq!(days[0].to_string(), "2026-11-15T00:00:00.000Z");
    }

    #[test]
    fn a_rate_of_nothing_is_none() {
        let mut checkouts = Checkouts::default();
        assert_eq!(checkouts.success_per_mille(), None);
        checkouts.open = 5;
        assert_eq!(checkouts.success_per_mille(), None, "nobody knows yet");
        (checkouts.complete, checkouts.ended) = (2, 1);
        assert_eq!(checkouts.success_per_mille(), Some(666));
        assert_eq!(checkouts.begun(), 8);
    }

    #[test]
    fn a_spread_of_nothing_is_none_and_of_one_is_it() {
        assert_eq!(Spread::of([]), None);
        let one = Spread::of([7]).expect("one");
        assert_eq!((one.count, one.median_ms, one.p95_ms), (1, 7, 7));
        let behind = Spread::of([-3]).expect("one");
        assert_eq!(behind.median_ms, 0);
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_value_at_its_place(mut values in prop::collection::vec(0_i64..50, 1..200), percent in 1_u64..=100) {
            let mut counts = BTreeMap::new();
            for value in &values {
                let count: &mut u64 = counts.entry(*value).or_default();
                *count = count.saturating_add(1);
            }
            values.sort_unstable();
            let percent_of = usize::try_from(percent).expect("small");
            let rank = values.len().saturating_mul(percent_of).div_ceil(100);
            prop_assert_eq!(quantile(&counts, percent), values.get(rank.saturating_sub(1)).copied());
        }
    }
}
