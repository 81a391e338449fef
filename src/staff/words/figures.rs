//! Numbers in words: durations, rates, counts.

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// A duration, as long as it takes to say: `850 ms`, `12 s`, `3 min 20 s`, `1 h 5 min`, `2 d 3 h`.
#[must_use]
pub fn duration(ms: &i64) -> String {
    let ms = (*ms).max(0);
    let two = |large: i64, large_word: &str, small: i64, small_word: &str| match small {
        0 => format!("{large} {large_word}"),
        _ => format!("{large} {large_word} {small} {small_word}"),
    };
    match ms {
        _ if ms < SECOND_MS => format!("{ms} ms"),
        _ if ms < MINUTE_MS => format!("{} s", ms / SECOND_MS),
        _ if ms < HOUR_MS => two(ms / MINUTE_MS, "min", ms % MINUTE_MS / SECOND_MS, "s"),
        _ if ms < DAY_MS => two(ms / HOUR_MS, "h", ms % HOUR_MS / MINUTE_MS, "min"),
        _ => two(ms / DAY_MS, "d", ms % DAY_MS / HOUR_MS, "h"),
    }
}

/// A rate in parts of a thousand, as per cent.
#[must_use]
pub fn per_mille(rate: &u64) -> String {
    format!("{}.{} %", rate / 10, rate % 10)
}

/// A count with separators between thousands; with a plus sign when there are more.
#[must_use]
pub fn count(of: &u64, more: &bool) -> String {
    let digits = of.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if *more {
        text.push('+');
    }
    text
}

/// What there is none of.
pub const NO_VALUE: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_long_as_it_takes_to_say() {
        for (ms, told) in [
            (-5, "0 ms"),
            (850, "850 ms"),
            (12_999, "12 s"),
            (200_000, "3 min 20 s"),
            (120_000, "2 min"),
            (3_900_000, "1 h 5 min"),
            (183_600_000, "2 d 3 h"),
        ] {
            assert_eq!(duration(&ms), told);
        }
    }

    #[test]
    fn counts_and_rates_read_well() {
        assert_eq!(count(&1_234_567, &true), "1,234,567+");
        assert_eq!(count(&12, &false), "12");
        assert_eq!(per_mille(&1_000), "100.0 %");
        assert_eq!(per_mille(&987), "98.7 %");
    }
}
