//! Simulated time: the machine's clock plus an offset that only grows.
//!
//! Everything that waits (session expiry, authorisations, webhook retries, idempotency keys) is
//! measured on this clock, so that a test can let seven days pass in a moment.
use std::time::{SystemTime, UNIX_EPOCH};

/// The virtual clock.
#[derive(Debug, Default)]
pub struct Clock {
    /// How far simulated time is ahead of the machine's, in milliseconds.
    pub offset_ms: u64,
}

impl Clock {
    /// Simulated milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        machine_ms().saturating_add(self.offset_ms)
    }

    /// Simulated seconds since 1970, the unit of every Stripe timestamp.
    pub fn now(&self) -> i64 {
        i64::try_from(self.now_ms() / 1000).unwrap_or(i64::MAX)
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: u64) {
        self.offset_ms = self.offset_ms.saturating_add(seconds.saturating_mul(1000));
    }
}

fn machine_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `1970-01-01T00:00:00.000Z` for a number of milliseconds since then.
pub fn rfc3339(ms: u64) -> String {
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        in_day % 1000
    )
}

/// Days since 1970 to year, month and day: Howard Hinnant's `civil_from_days`, for days ≥ 0.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_785_542_399_999), "2026-07-31T23:59:59.999Z");
    }
}
