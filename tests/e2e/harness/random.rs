//! Chance that can be repeated: SplitMix64 from a seed that is printed.

use std::time::Duration;

/// A source of chance.
pub struct Random(u64);

impl Random {
    /// From `TILL_TEST_SEED`, or from the time; says which, so that the run can be repeated.
    pub fn announced(campaign: &str) -> Random {
        let given = std::env::var("TILL_TEST_SEED").ok();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("after 1970").subsec_nanos();
        let seed = given.map_or(u64::from(now), |seed| seed.parse().expect("a number"));
        println!("{campaign}: TILL_TEST_SEED={seed}");
        Random(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A time between two numbers of milliseconds.
    pub fn pause(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms - from_ms))
    }
}
