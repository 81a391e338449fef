//! How people look at the orders of a shop: saved views, and what a list can be narrowed by, by callers of the API as
//! well.

use super::access::words;
use super::currency::Currency;
use super::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use super::search::{Search, SearchError};
use super::settlement::Reason;
use super::time::{DAY_MS, HOUR_MS, Timestamp};

/// How many orders are counted at most: more are "so many and more", so that a count takes the same time however
/// many there are.
pub const COUNT_BOUND: u64 = 1_000;
/// After how many hours an order has been unpaid for too long when nothing else is said.
pub const UNPAID_HOURS: u32 = 2;

words! {
    /// A saved view: what people ask for every day.
    OrderView {
        /// There is an open question about it.
        InReview = "in_review",
        /// Open and unpaid for some hours.
        UnpaidTooLong = "unpaid_too_long",
        /// Paid since midnight, UTC.
        PaidToday = "paid_today",
        /// Some or all of its money went back.
        Refunded = "refunded",
        /// The customer's bank has taken the money and nothing is decided.
        Disputed = "disputed",
    }
}

impl OrderView {
    /// What the view narrows a list by at this moment.
    #[must_use]
    pub fn narrowing(self, now: Timestamp, unpaid_hours: u32) -> Narrowing {
        let mut narrowing = Narrowing::default();
        match self {
            OrderView::InReview => narrowing.in_review = true,
            OrderView::UnpaidTooLong => {
                let hours = i64::from(unpaid_hours).saturating_mul(HOUR_MS);
                narrowing.unpaid_since = Some(now.plus_ms(hours.saturating_neg()));
            }
            OrderView::PaidToday => narrowing.paid_since = Some(midnight(now)),
            OrderView::Refunded => narrowing.refunded = true,
            OrderView::Disputed => narrowing.disputed = true,
        }
        narrowing
    }
}

/// The beginning of a moment's day, UTC.
#[must_use]
pub fn midnight(now: Timestamp) -> Timestamp {
    let into_the_day = now.ms().rem_euclid(DAY_MS);
    now.plus_ms(into_the_day.saturating_neg())
}

/// What a list of orders is narrowed by, each an addition to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Only with an open question, whatever it is.
    pub in_review: bool,
    /// Only open and unpaid ones that were placed before this time.
    pub unpaid_since: Option<Timestamp>,
    /// Only paid at this time or later.
    pub paid_since: Option<Timestamp>,
    /// Only those of whose money some went back.
    pub refunded: bool,
    /// Only those whose money is under dispute.
    pub disputed: bool,
    /// Only with this status.
    pub status: Option<OrderStatus>,
    /// Only with this payment status.
    pub payment: Option<PaymentStatus>,
    /// Only with this fulfilment status.
    pub fulfilment: Option<FulfilmentStatus>,
    /// Only with this question as the oldest that is open.
    pub review: Option<Reason>,
    /// Only in this currency.
    pub currency: Option<Currency>,
}

/// Something whose orders are counted beside the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facet {
    /// All orders.
    All,
    /// Those of a saved view.
    View(OrderView),
    /// Those with this status.
    Status(OrderStatus),
    /// Those with this payment status.
    Payment(PaymentStatus),
    /// Those with this fulfilment status.
    Fulfilment(FulfilmentStatus),
}

impl Facet {
    /// Everything that is counted, in the order it is shown in.
    #[must_use]
    pub fn all() -> Vec<Facet> {
        let mut all = vec![Facet::All];
        all.extend(OrderView::ALL.iter().copied().map(Facet::View));
        all.extend(OrderStatus::ALL.iter().copied().map(Facet::Status));
        all.extend(PaymentStatus::ALL.iter().copied().map(Facet::Payment));
        all.extend(FulfilmentStatus::ALL.iter().copied().map(Facet::Fulfilment));
        all
    }

    /// What it narrows a list by at this moment.
    #[must_use]
    pub fn narrowing(self, now: Timestamp, unpaid_hours: u32) -> Narrowing {
        let mut narrowing = Narrowing::default();
        match self {
            Facet::All => {}
            Facet::View(view) => return view.narrowing(now, unpaid_hours),
            Facet::Status(status) => narrowing.status = Some(status),
            Facet::Payment(payment) => narrowing.payment = Some(payment),
            Facet::Fulfilment(fulfilment) => narrowing.fulfilment = Some(fulfilment),
        }
        narrowing
    }
}

/// How many orders something has: counted to the end, or only so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Exactly so many.
    Exactly(u64),
    /// So many and more.
    MoreThan(u64),
}

impl Counted {
    /// Of so many that were counted with [`COUNT_BOUND`] and one more as the limit.
    #[must_use]
    pub fn of(count: u64) -> Counted {
        if count > COUNT_BOUND {
            Counted::MoreThan(COUNT_BOUND)
        } else {
            Counted::Exactly(count)
        }
    }

    /// The number, if it was counted to the end.
    #[must_use]
    pub fn exactly(self) -> Option<u64> {
        match self {
            Counted::Exactly(count) => Some(count),
            Counted::MoreThan(_) => None,
        }
    }
}

/// Reads what people type into the search box: words as in the API's search, and amounts as people write them. An
/// amount may have separators of thousands and a decimal comma, and its currency before or behind it, which narrows
/// the search to that currency.
///
/// # Errors
/// Too long, or too many words.
pub fn typed_search(text: &str) -> Result<(Search, Option<Currency>), SearchError> {
    let mut currency = None;
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.iter().any(|word| amount(word, None).is_some()) {
        currency = words.iter().rev().find_map(|word| currency_of(word));
    }
    let kept = words.iter().filter_map(|word| {
        if currency.is_some() && currency_of(word).is_some() {
            return None;
        }
        Some(amount(word, currency).unwrap_or_else(|| (*word).to_owned()))
    });
    let kept: Vec<String> = kept.collect();
    Ok((Search::parse(&kept.join(" "))?, currency))
}

fn currency_of(word: &str) -> Option<Currency> {
    let code = match word {
        "€" => "EUR".to_owned(),
        "£" => "GBP".to_owned(),
        // Only as it is written: cups, tops and Ron are looked for, too.
        code => code.to_owned(),
    };
    Currency::from_code(&code).ok()
}

/// An amount as terms hold it, of one that people write otherwise; none when the word is none. Three digits behind a
/// single dot are decimals, unless the currency does not have so many.
fn amount(word: &str, currency: Option<Currency>) -> Option<String> {
    let bare = word.trim_matches(|c| "€£$".contains(c));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The last separator stands before decimals when three digits cannot be meant by it.
    let (whole, decimals) = match bare.rfind([',', '.']) {
        None => (bare, ""),
        Some(at) => {
            let (whole, rest) = bare.split_at(at);
            let decimals = rest.get(1..).unwrap_or_default();
            let comma = rest.starts_with(',');
            let few = currency.is_some_and(|currency| currency.exponent() < 3);
            if (comma || few) && decimals.len() == 3 {
                (bare, "")
            } else {
                (whole, decimals)
            }
        }
    };
    let groups: Vec<&str> = whole.split([',', '.']).collect();
    let grouped = groups.iter().skip(1).all(|group| group.len() == 3);
    if !grouped || !groups.iter().all(|group| digits(group)) {
        return None;
    }
    let whole = groups.concat();
    match decimals {
        // A number without decimals may be an order's: it is looked for as it stands.
        "" => Some(whole),
        _ if digits(decimals) => Some(format!("{whole}.{decimals}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    //! What people type for an amount meets what is stored, and nothing else is changed.

    use super::*;

    fn words(text: &str) -> (Vec<String>, Option<String>) {
        use crate::domain::search::Word;
        let (search, currency) = typed_search(text).expect("a search");
        let words = search.words.into_iter().map(|word| match word {
            Word::Whole(word) => word,
            Word::Prefix { from, .. } => from,
        });
        (
            words.collect(),
            currency.map(|currency| currency.code().to_owned()),
        )
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (typed, stored, currency) in [
            ("25.00", "25.00", None),
            ("25,00", "25.00", None),
            ("25.00 EUR", "25.00", Some("EUR")),
            ("EUR 25.00", "25.00", Some("EUR")),
            ("EUR 25,5", "25.5", Some("EUR")),
            ("€25.00", "25.00", None),
            ("25 €", "25", Some("EUR")),
            ("1,250.00", "1250.00", None),
            ("1.250,00 EUR", "1250.00", Some("EUR")),
            ("1,250", "1250", None),
            ("5997 JPY", "5997", Some("JPY")),
            ("5.997 KWD", "5.997", Some("KWD")),
            ("3.900 JPY", "3900", Some("JPY")),
            ("JPY 3.900", "3900", Some("JPY")),
            ("1.250 EUR", "1250", Some("EUR")),
            ("1,250,000.10", "1250000.10", None),
        ] {
            let currency = currency.map(str::to_owned);
            assert_eq!(words(typed), (vec![stored.to_owned()], currency), "{typed}");
        }
    }

    #[test]
    fn what_is_no_amount_stays_as_it_is() {
        for word in [
            "1001",
            "web-1001",
            "ada@example.com",
            "10.0.0.1x",
            "1,25,00",
            "a1,000",
        ] {
            assert_eq!(words(word).0, [word.to_owned()], "{word}");
        }
        // Without an amount beside it, three letters are a word: somebody may be called so.
        assert_eq!(words("EUR"), (vec!["eur".to_owned()], None));
        assert_eq!(words("cup 8.00").1, None);
    }

    #[test]
    fn views_narrow_by_the_present_moment() {
        let now = Timestamp::parse("2026-05-03T14:02:00Z").expect("a time");
        let today = OrderView::PaidToday.narrowing(now, 2).paid_since;
        assert_eq!(today, Timestamp::parse("2026-05-03T00:00:00Z"));
        let since = OrderView::UnpaidTooLong.narrowing(now, 3).unpaid_since;
        assert_eq!(since, Timestamp::parse("2026-05-03T11:02:00Z"));
    }

    #[test]
    fn a_count_is_exact_up_to_its_bound() {
        assert_eq!(Counted::of(0), Counted::Exactly(0));
        assert_eq!(Counted::of(COUNT_BOUND), Counted::Exactly(COUNT_BOUND));
        assert_eq!(Counted::of(COUNT_BOUND + 1), Counted::MoreThan(COUNT_BOUND));
    }
}
