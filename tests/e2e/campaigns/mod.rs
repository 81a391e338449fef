//! Long campaigns, shortened unless `TILL_TEST_FULL` is set. Each prints what it counted.

mod chaos;
mod kills;
pub mod shopper;

/// One size for every run, another with `TILL_TEST_FULL`.
pub fn size(short: usize, full: usize) -> usize {
    match std::env::var_os("TILL_TEST_FULL") {
        Some(_) => full,
        None => short,
    }
}
