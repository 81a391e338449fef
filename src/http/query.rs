//! Query parameters: each known, each given once, each checked.

use std::fmt::Display;
use std::str::FromStr;

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::problem::{FieldError, Problem, Refused, fail};
use super::strict_json;
use crate::domain::page::{Cursor, DEFAULT_LIMIT, MAX_LIMIT, Page};
use crate::domain::search::Search;
use crate::domain::time::Timestamp;

/// The query of a request, decoded once; a handler reads what it knows and refuses the rest.
pub struct Query(Vec<Pair>);

/// A parameter's name, and its value unless that is no text.
type Pair = (String, Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Query {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Query(pairs(request)))
    }
}

fn pairs(request: &Request<'_>) -> Vec<Pair> {
    let raw = request.uri().query().map(|query| query.raw_segments());
    let segments = raw.into_iter().flatten();
    let pairs = segments
        .filter(|segment| !segment.is_empty())
        .map(|segment| {
            let (name, value) = segment.split_at_byte(b'=');
            let value = value.url_decode().ok().filter(|value| is_text(value));
            let value = value.map(std::borrow::Cow::into_owned);
            (name.url_decode_lossy().into_owned(), value)
        });
    pairs.collect()
}

/// A request whose address has no parameters. Where a body may be left out, one that was put there instead would be
/// missed: a refund of a part would give back all.
pub struct NoQuery;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for NoQuery {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let query = Query(pairs(request));
        match query.reader().finish() {
            Ok(()) => Outcome::Success(NoQuery),
            Err(problem) => fail(request, problem),
        }
    }
}

/// Nothing we look for holds a control character, and PostgreSQL takes no NUL.
fn is_text(value: &str) -> bool {
    !value.chars().any(char::is_control)
}

/// Reads the parameters of a query one by one and collects what is wrong.
pub struct Reader {
    pairs: Vec<Pair>,
    faults: Vec<FieldError>,
}

impl Query {
    /// Starts reading.
    #[must_use]
    pub fn reader(self) -> Reader {
        let mut faults = Vec::new();
        for (at, (name, _)) in self.0.iter().enumerate() {
            if self.0.iter().take(at).any(|(earlier, _)| earlier == name) {
                faults.push(FieldError::new(pointer(name), "must be given once"));
            }
        }
        Reader {
            pairs: self.0,
            faults,
        }
    }
}

/// A pointer to a parameter; an odd name is not repeated.
fn pointer(name: &str) -> String {
    strict_json::pointer("", name)
}

impl Reader {
    /// A parameter's text of at most `max` characters, if given.
    pub fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let text = self.raw(name)?;
        if text.chars().count() > max {
            self.fault(name, &format!("must have at most {max} characters"));
            return None;
        }
        Some(text)
    }

    fn raw(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(given, _)| given == name)?;
        let value = self.pairs.remove(at).1;
        self.pairs.retain(|(given, _)| given != name);
        if value.is_none() {
            self.fault(name, "must be text in UTF-8 without control characters");
        }
        value
    }

    /// A parameter of a closed list or an id.
    pub fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let text = self.raw(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.fault(name, &format!("must be {wanted}"));
        }
        value
    }

    /// A word of a closed list, which whoever mistypes it is told.
    pub fn word<T: FromStr + Copy + Display>(&mut self, name: &str, all: &[T]) -> Option<T> {
        let words: Vec<String> = all.iter().map(T::to_string).collect();
        let wanted = match words.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        self.parsed(name, &wanted)
    }

    /// A point in time.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.raw(name)?;
        let value = Timestamp::parse(&text);
        if value.is_none() {
            self.fault(
                name,
                "must be an RFC 3339 time such as 2026-01-31T12:00:00Z",
            );
        }
        value
    }

    /// Words to search for.
    pub fn search(&mut self, name: &str) -> Option<Search> {
        let text = self.raw(name)?;
        match Search::parse(&text) {
            Ok(search) => Some(search),
            Err(why) => {
                self.fault(name, &why.to_string());
                None
            }
        }
    }

    /// A yes or no; no when not given.
    pub fn flag(&mut self, name: &str) -> bool {
        self.parsed(name, "true or false").unwrap_or(false)
    }

    /// The page of a list.
    pub fn page<I: FromStr>(&mut self) -> Page<I> {
        let limit = self.limit();
        let after = self.parsed("starting_after", "an id of this list");
        let before = self.parsed("ending_before", "an id of this list");
        let cursor = match (after, before) {
            (None, None) => Cursor::Newest,
            (Some(id), None) => Cursor::StartingAfter(id),
            (None, Some(id)) => Cursor::EndingBefore(id),
            (Some(id), Some(_)) => {
                self.fault("ending_before", "cannot be combined with starting_after");
                Cursor::StartingAfter(id)
            }
        };
        Page {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            cursor,
        }
    }

    /// How many entries a page has, if given.
    pub fn limit(&mut self) -> Option<u64> {
        let text = self.raw("limit")?;
        // `parse` takes a leading plus, too.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok();
        let limit = limit.filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
        if limit.is_none() {
            self.fault("limit", "must be a number from 1 to 100");
        }
        limit
    }

    /// Notes a fault.
    pub fn fault(&mut self, name: &str, detail: &str) {
        self.faults.push(FieldError::new(pointer(name), detail));
    }

    /// Refuses what nobody read.
    ///
    /// # Errors
    /// 422 with a pointer for each fault.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in &self.pairs {
            let fault = FieldError::new(pointer(name), "is not a parameter of this request");
            self.faults.push(fault);
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.faults))
        }
    }
}
