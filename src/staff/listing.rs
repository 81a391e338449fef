//! Lists: what is asked for in an address, the filter above a list, and the ways to its other pages.
//!
//! The address is the state. A filter that is on is a field with its value; what cannot be read finds nothing and says
//! why, so that a list never shows more than was asked for.

use std::str::FromStr;
use std::sync::Arc;

use rocket::FromForm;
use rocket::http::uri::fmt::{Query, UriDisplay};

use super::words::lists as words;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::page::{Cursor, Page, Span, Stretch};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::service::{ServiceError, Services};

/// How many entries a page of a list has.
pub const PER_PAGE: u64 = 50;

/// What an address asks a list for. Each list reads the fields it has.
#[derive(Debug, Clone, Default, FromForm)]
#[expect(missing_docs, reason = "each is the query parameter of that name")]
pub struct Asked {
    pub status: Option<String>,
    pub verdict: Option<String>,
    pub kind: Option<String>,
    pub reason: Option<String>,
    pub order: Option<String>,
    pub payment: Option<String>,
    pub provider_id: Option<String>,
    pub subject: Option<String>,
    pub tries: Option<String>,
    pub account: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub after: Option<String>,
    pub before: Option<String>,
    pub applied: Option<u64>,
    pub unchanged: Option<u64>,
    pub quarantined: Option<u64>,
    pub failed: Option<u64>,
    pub later: Option<String>,
}

/// A field of a filter.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its query parameter.
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// What it holds.
    pub value: String,
    /// What is wrong with that.
    pub wrong: Option<&'static str>,
    /// What may be chosen, with its words; anything may be typed when there is nothing.
    pub choices: Vec<(&'static str, &'static str)>,
    /// Whether it is a day.
    pub is_day: bool,
}

impl Field {
    /// What it holds, as people say it.
    #[must_use]
    pub fn shown(&self) -> &str {
        let mut choices = self.choices.iter();
        let chosen = choices.find(|(value, _)| *value == self.value);
        chosen.map_or(self.value.as_str(), |(_, text)| text)
    }
}

/// A filter as it is read from an address.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The address of the list without any filter.
    pub action: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

impl Filter {
    /// A filter of the list at this address.
    #[must_use]
    pub fn new(action: String) -> Filter {
        Filter {
            action,
            fields: Vec::new(),
        }
    }

    /// Whether anything is filtered for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.fields.iter().any(|field| !field.value.is_empty())
    }

    /// Whether everything that is asked for can be read.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.fields.iter().all(|field| field.wrong.is_none())
    }

    /// Reads a field in which something is typed; what cannot be read is marked as wrong.
    pub fn typed<T>(
        &mut self,
        name: &'static str,
        label: &'static str,
        asked: Option<&String>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.add(name, label, asked, read, Vec::new(), words::UNREADABLE)
    }

    /// Reads a field in which something is chosen.
    pub fn chosen<T: FromStr>(
        &mut self,
        name: &'static str,
        label: &'static str,
        asked: Option<&String>,
        choices: Vec<(&'static str, &'static str)>,
    ) -> Option<T> {
        let read = |text: &str| text.parse().ok();
        self.add(name, label, asked, read, choices, words::NO_CHOICE)
    }

    /// Reads the days a list is about: both are part of it. A moment is read, too.
    pub fn days(&mut self, asked: &Asked) -> Span {
        let from = self.typed("from", words::FROM, asked.from.as_ref(), |text| {
            moment(text).map(|(at, _)| at)
        });
        let until = self.typed("to", words::TO, asked.to.as_ref(), |text| {
            moment(text).map(|(at, is_day)| at.plus_ms(if is_day { DAY_MS } else { 0 }))
        });
        for field in self.fields.iter_mut().rev().take(2) {
            field.is_day = field.value.is_empty() || field.value.len() == "2026-11-28".len();
        }
        Span { from, until }
    }

    /// Reads the order a list is about, named by its id or its number.
    ///
    /// # Errors
    /// The store's.
    pub async fn order(
        &mut self,
        services: &Arc<Services>,
        shop: ShopId,
        asked: &Asked,
    ) -> Result<Option<OrderId>, ServiceError> {
        let name = asked.order.as_deref().map(str::trim).unwrap_or_default();
        let found = match name {
            "" => None,
            name => services.order_named(shop, name).await?,
        };
        let named = asked.order.as_ref();
        Ok(self.add(
            "order",
            words::ORDER,
            named,
            |_| found,
            Vec::new(),
            words::NO_ORDER,
        ))
    }

    fn add<T>(
        &mut self,
        name: &'static str,
        label: &'static str,
        asked: Option<&String>,
        read: impl FnOnce(&str) -> Option<T>,
        choices: Vec<(&'static str, &'static str)>,
        complaint: &'static str,
    ) -> Option<T> {
        let value = asked.map(|text| text.trim().to_owned()).unwrap_or_default();
        let found = match value.as_str() {
            "" => None,
            text => read(text),
        };
        let wrong = (!value.is_empty() && found.is_none()).then_some(complaint);
        self.fields.push(Field {
            name,
            label,
            value,
            wrong,
            choices,
            is_day: false,
        });
        found
    }

    /// The address of this list with this filter, and one more parameter if any.
    #[must_use]
    pub fn address(&self, more: Option<(&str, &str)>) -> String {
        self.address_without("", more)
    }

    /// The address of this list without one field of the filter.
    #[must_use]
    pub fn without(&self, name: &str) -> String {
        self.address_without(name, None)
    }

    fn address_without(&self, name: &str, more: Option<(&str, &str)>) -> String {
        let fields = self.fields.iter();
        let fields = fields.filter(|field| !field.value.is_empty() && field.name != name);
        let pairs = fields.map(|field| (field.name, field.value.as_str()));
        with_query(&self.action, pairs.chain(more))
    }
}

/// A path with query parameters.
#[must_use]
pub fn with_query<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut address = path.to_owned();
    for (at, (name, value)) in pairs.enumerate() {
        address.push(if at == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        address.push_str(&(&value as &dyn UriDisplay<Query>).to_string());
    }
    address
}

/// A day or a moment, and whether it is a day.
fn moment(text: &str) -> Option<(Timestamp, bool)> {
    match Timestamp::parse(text) {
        Some(at) => Some((at, false)),
        None => Some((Timestamp::parse(&format!("{text}T00:00:00Z"))?, true)),
    }
}

/// The page an address asks for; what cannot be read is the newest one.
#[must_use]
pub fn page_of<I: FromStr>(asked: &Asked) -> Page<I> {
    let read = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    let cursor = match (read(&asked.after), read(&asked.before)) {
        (Some(last), _) => Cursor::StartingAfter(last),
        (None, Some(first)) => Cursor::EndingBefore(first),
        (None, None) => Cursor::Newest,
    };
    Page {
        limit: PER_PAGE,
        cursor,
    }
}

/// The ways from a page of a list to the others.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    /// To the page with newer entries.
    pub newer: Option<String>,
    /// To the page with older entries.
    pub older: Option<String>,
    /// To where the search goes on, when it stopped before the page was full.
    pub further: Option<String>,
}

impl Ways {
    /// The ways from this page.
    #[must_use]
    pub fn of<T, I: ToString>(
        filter: &Filter,
        page: &Page<I>,
        found: &Stretch<T, I>,
        id: impl Fn(&T) -> I,
    ) -> Ways {
        let to = |name, id: &I| Some(filter.address(Some((name, &id.to_string()))));
        let first = || found.rows.first().map(&id).and_then(|id| to("before", &id));
        let last = || found.rows.last().map(&id).and_then(|id| to("after", &id));
        let (newer, older) = match page.cursor {
            Cursor::Newest => (false, found.has_more),
            Cursor::StartingAfter(_) => (true, found.has_more),
            Cursor::EndingBefore(_) => (found.has_more, true),
        };
        let further = found
            .looked_until
            .as_ref()
            .and_then(|id| match page.cursor {
                Cursor::EndingBefore(_) => to("before", id),
                Cursor::Newest | Cursor::StartingAfter(_) => to("after", id),
            });
        Ways {
            newer: newer.then(first).flatten(),
            older: older.then(last).flatten(),
            further,
        }
    }
}

/// A page without anything on it, for a filter that cannot be read.
#[must_use]
pub fn nothing<T, I>() -> Stretch<T, I> {
    Stretch {
        rows: Vec::new(),
        has_more: false,
        looked_until: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::PaymentWord;

    fn asked(from: &str, to: &str) -> Asked {
        Asked {
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            ..Asked::default()
        }
    }

    #[test]
    fn both_days_belong_to_a_filter_and_a_moment_is_exact() {
        let mut filter = Filter::new("/l".to_owned());
        let span = filter.days(&asked("2026-11-28", "2026-11-28"));
        let told = |at: Option<Timestamp>| at.expect("a time").to_string();
        assert_eq!(told(span.from), "2026-11-28T00:00:00.000Z");
        assert_eq!(told(span.until), "2026-11-29T00:00:00.000Z");
        assert!(filter.fields.iter().all(|field| field.is_day));
        let mut filter = Filter::new("/l".to_owned());
        let span = filter.days(&asked("2026-11-28T01:02:03Z", ""));
        assert_eq!(told(span.from), "2026-11-28T01:02:03.000Z");
        assert_eq!(span.until, None);
        assert_eq!(filter.address(None), "/l?from=2026-11-28T01:02:03Z");
    }

    #[test]
    fn what_cannot_be_read_is_said_and_not_left_out() {
        let mut filter = Filter::new("/l".to_owned());
        let status = Some("paid<b>".to_owned());
        let found: Option<PaymentWord> =
            filter.chosen("status", "Status", status.as_ref(), Vec::new());
        assert!(found.is_none() && !filter.is_good() && filter.is_on());
        let span = filter.days(&asked("yesterday", "2026-02-30"));
        assert_eq!(span, Span::default());
        assert_eq!(
            filter
                .fields
                .iter()
                .filter(|field| field.wrong.is_some())
                .count(),
            3
        );
        let address = filter.address(Some(("after", "a&b=c d")));
        assert_eq!(
            address,
            "/l?status=paid%3Cb%3E&from=yesterday&to=2026-02-30&after=a%26b%3Dc%20d"
        );
        assert!(!filter.without("status").contains("status"));
    }
}
