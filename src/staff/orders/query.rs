//! The address of a list of orders: its query is the list's whole state, so that a link shows a colleague the same.

use std::str::FromStr;

use rocket::FromForm;

use crate::domain::ids::OrderId;
use crate::domain::order::{FulfilmentStatus, OrderFilter, OrderStatus, PaymentStatus};
use crate::domain::order_view::{OrderView, UNPAID_HOURS, typed_search};
use crate::domain::page::{Cursor, Page};
use crate::domain::search::{MAX_SEARCH_CHARS, MAX_WORDS};
use crate::domain::settlement::Reason;
use crate::domain::time::{DAY_MS, Timestamp};

/// The orders of one page.
pub const PAGE: u64 = 50;
/// The longest an order may be unpaid for the view of those that are it too long.
const MAX_HOURS: u32 = 10_000;

/// What a browser sends; a field that is left empty is sent as nothing.
#[derive(Debug, Default, FromForm)]
pub struct Given {
    q: Option<String>,
    view: Option<String>,
    hours: Option<String>,
    status: Option<String>,
    payment: Option<String>,
    fulfilment: Option<String>,
    review: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
    before: Option<String>,
}

/// A list's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// What is searched for, as it was typed.
    pub q: String,
    /// The saved view.
    pub view: Option<OrderView>,
    /// How long is too long to be unpaid, in hours.
    pub hours: Option<u32>,
    /// Only with this status.
    pub status: Option<OrderStatus>,
    /// Only with this payment status.
    pub payment: Option<PaymentStatus>,
    /// Only with this fulfilment status.
    pub fulfilment: Option<FulfilmentStatus>,
    /// Only with this question.
    pub review: Option<Reason>,
    /// Only from this day on, `2026-05-03`.
    pub from: Option<String>,
    /// Only up to this day.
    pub to: Option<String>,
    /// Only older than this order.
    pub after: Option<OrderId>,
    /// Only newer than this order.
    pub before: Option<OrderId>,
    /// Whether something in the address was not understood and is left out.
    pub unclear: bool,
}

impl ListQuery {
    /// Reads an address.
    #[must_use]
    pub fn read(given: Given) -> ListQuery {
        let mut unclear = false;
        let query = ListQuery {
            q: text(given.q).unwrap_or_default(),
            view: parsed(given.view, &mut unclear),
            hours: parsed(given.hours, &mut unclear),
            status: parsed(given.status, &mut unclear),
            payment: parsed(given.payment, &mut unclear),
            fulfilment: parsed(given.fulfilment, &mut unclear),
            review: parsed(given.review, &mut unclear),
            from: day(given.from, &mut unclear),
            to: day(given.to, &mut unclear),
            after: parsed(given.after, &mut unclear),
            before: parsed(given.before, &mut unclear),
            unclear: false,
        };
        let hours = query.hours.filter(|hours| (1..=MAX_HOURS).contains(hours));
        unclear |= hours != query.hours || (query.after.is_some() && query.before.is_some());
        ListQuery {
            hours,
            before: query.before.filter(|_| query.after.is_none()),
            unclear,
            ..query
        }
    }

    /// After how many hours an order is unpaid for too long.
    #[must_use]
    pub fn unpaid_hours(&self) -> u32 {
        self.hours.unwrap_or(UNPAID_HOURS)
    }

    /// The filter at this moment; none when the search is longer than a search may be.
    #[must_use]
    pub fn filter(&self, now: Timestamp) -> Option<OrderFilter> {
        let (search, currency) = typed_search(&self.q).ok()?;
        let view = self
            .view
            .map(|view| view.narrowing(now, self.unpaid_hours()));
        let mut narrowing = view.unwrap_or_default();
        narrowing.status = self.status;
        narrowing.payment = self.payment;
        narrowing.fulfilment = self.fulfilment;
        narrowing.review = self.review;
        narrowing.currency = currency;
        let midnight = |day: &Option<String>| {
            let day = day.as_ref()?;
            Timestamp::parse(&format!("{day}T00:00:00Z"))
        };
        Some(OrderFilter {
            created_after: midnight(&self.from).map(|from| from.plus_ms(-1)),
            created_before: midnight(&self.to).map(|to| to.plus_ms(DAY_MS)),
            search: (!search.words.is_empty()).then_some(search),
            narrowing,
            ..OrderFilter::default()
        })
    }

    /// Which page is wanted.
    #[must_use]
    pub fn page(&self) -> Page<OrderId> {
        let cursor = match (self.after, self.before) {
            (Some(last), _) => Cursor::StartingAfter(last),
            (None, Some(first)) => Cursor::EndingBefore(first),
            (None, None) => Cursor::Newest,
        };
        Page {
            limit: PAGE,
            cursor,
        }
    }

    /// The same list from its beginning.
    #[must_use]
    pub fn first_page(&self) -> ListQuery {
        ListQuery {
            after: None,
            before: None,
            unclear: false,
            ..self.clone()
        }
    }

    /// The page of older orders.
    #[must_use]
    pub fn older_than(&self, last: OrderId) -> ListQuery {
        ListQuery {
            after: Some(last),
            ..self.first_page()
        }
    }

    /// The page of newer orders.
    #[must_use]
    pub fn newer_than(&self, first: OrderId) -> ListQuery {
        ListQuery {
            before: Some(first),
            ..self.first_page()
        }
    }

    /// Whether the list is narrowed by anything.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.first_page() != ListQuery::default()
    }

    /// What it is narrowed by, for the audit log: a search may name a person, so only that there is one.
    #[must_use]
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let mut told = self.first_page().pairs();
        for (name, value) in &mut told {
            if *name == "q" {
                (*name, *value) = ("search", value.split_whitespace().count().to_string());
            }
        }
        told
    }

    /// Its names and values, in one order always.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let word = |word: Option<&str>| word.map(str::to_owned);
        let pairs = [
            ("q", (!self.q.is_empty()).then(|| self.q.clone())),
            ("view", word(self.view.map(OrderView::as_str))),
            ("hours", self.hours.map(|hours| hours.to_string())),
            ("status", word(self.status.map(OrderStatus::as_str))),
            ("payment", word(self.payment.map(PaymentStatus::as_str))),
            (
                "fulfilment",
                word(self.fulfilment.map(FulfilmentStatus::as_str)),
            ),
            ("review", word(self.review.map(Reason::as_str))),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("after", self.after.map(|id| id.to_string())),
            ("before", self.before.map(|id| id.to_string())),
        ];
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// The address of a page with this list's state.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        let pairs = self.pairs();
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        match pairs.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", pairs.join("&")),
        }
    }
}

/// A text as it was typed, without what no text holds, cut to what a search may have.
fn text(given: Option<String>) -> Option<String> {
    let given = given?;
    let kept: String = given.chars().filter(|c| !c.is_control()).collect();
    let words: Vec<&str> = kept.split_whitespace().take(MAX_WORDS).collect();
    let kept: String = words.join(" ").chars().take(MAX_SEARCH_CHARS).collect();
    (!kept.is_empty()).then_some(kept)
}

fn parsed<T: FromStr>(given: Option<String>, unclear: &mut bool) -> Option<T> {
    let given = given.filter(|given| !given.is_empty())?;
    let read = given.parse().ok();
    *unclear |= read.is_none();
    read
}

/// A day as `2026-05-03`.
fn day(given: Option<String>, unclear: &mut bool) -> Option<String> {
    let given = given.filter(|given| !given.is_empty())?;
    let is_day = given.len() == 10 && Timestamp::parse(&format!("{given}T00:00:00Z")).is_some();
    *unclear |= !is_day;
    is_day.then_some(given)
}

/// Percent-encoded, for a value in a query.
fn encoded(value: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            byte => {
                // Writing into a text cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    //! An address and its list are the same thing, and what is not understood is said.

    use super::*;
    use crate::domain::order_view::Narrowing;

    fn read(pairs: &[(&str, &str)]) -> ListQuery {
        let find = |wanted: &str| {
            let mut pairs = pairs.iter();
            let found = pairs.find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        };
        ListQuery::read(Given {
            q: find("q"),
            view: find("view"),
            hours: find("hours"),
            status: find("status"),
            payment: find("payment"),
            fulfilment: find("fulfilment"),
            review: find("review"),
            from: find("from"),
            to: find("to"),
            after: find("after"),
            before: find("before"),
        })
    }

    #[test]
    fn an_address_says_everything() {
        let query = read(&[
            ("q", "  Ada & \"Löve\"=1 "),
            ("view", "unpaid_too_long"),
            ("hours", "5"),
            ("status", "open"),
            ("from", "2026-05-03"),
            ("to", ""),
            ("payment", ""),
        ]);
        assert!(!query.unclear);
        assert_eq!(
            query.address("/o"),
            "/o?q=Ada%20%26%20%22L%C3%B6ve%22%3D1&view=unpaid_too_long&hours=5&status=open&from=2026-05-03"
        );
        assert_eq!(read(&[]).address("/o"), "/o");
        assert!(query.is_narrowed() && !read(&[("q", " ")]).is_narrowed());
        let told = query.told();
        assert_eq!(told[0], ("search", "3".to_owned()), "{told:?}");
        assert!(!format!("{told:?}").contains("Ada"));
    }

    #[test]
    fn what_is_not_understood_is_left_out_and_said() {
        for pair in [
            ("view", "all"),
            ("status", "paid"),
            ("hours", "0"),
            ("hours", "-1"),
            ("from", "2026-02-30"),
            ("from", "2026-05-03T00"),
            ("after", "pay_1"),
        ] {
            let query = read(&[pair]);
            assert!(query.unclear, "{pair:?}");
            assert_eq!(query.first_page(), ListQuery::default(), "{pair:?}");
        }
    }

    #[test]
    fn days_are_whole() {
        let now = Timestamp::parse("2026-05-05T12:00:00Z").expect("a time");
        let filter = read(&[("from", "2026-05-03"), ("to", "2026-05-04")]).filter(now);
        let filter = filter.expect("a filter");
        let ms = |text| Timestamp::parse(text);
        assert_eq!(filter.created_after, ms("2026-05-02T23:59:59.999Z"));
        assert_eq!(filter.created_before, ms("2026-05-05T00:00:00Z"));
        assert_eq!(filter.narrowing, Narrowing::default());
        assert!(read(&[]).filter(now).expect("a filter").search.is_none());
    }
}
