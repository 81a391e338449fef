//! Lists: newest first by id, one page at a time, with a cursor that does not move when rows are added.

use serde::Serialize;

use super::time::Timestamp;

/// The most entries of one page.
pub const MAX_LIMIT: u64 = 100;
/// The entries of a page when nothing is said.
pub const DEFAULT_LIMIT: u64 = 10;

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    /// How many entries, 1 to [`MAX_LIMIT`].
    pub limit: u64,
    /// Where it starts.
    pub cursor: Cursor<Id>,
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor<Id> {
    /// At the newest entry.
    Newest,
    /// With the entries older than this one.
    StartingAfter(Id),
    /// With the entries just newer than this one.
    EndingBefore(Id),
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: &'static str,
    /// The entries, newest first unless the list says otherwise.
    pub data: Vec<T>,
    /// Whether there are more entries in the direction of the page.
    pub has_more: bool,
    /// The path of the list.
    pub url: String,
}

impl<T> List<T> {
    /// A page of the list at `url`.
    #[must_use]
    pub fn new(url: &str, data: Vec<T>, has_more: bool) -> Self {
        List {
            object: "list",
            data,
            has_more,
            url: url.to_owned(),
        }
    }
}

/// A page of a list that was searched with a filter: only so many rows are looked at for one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch<T, Id> {
    /// The entries, newest first.
    pub rows: Vec<T>,
    /// Whether there are more entries in the direction of the page.
    pub has_more: bool,
    /// Where the search stopped before it had looked at everything and before the page was full; it goes on from
    /// there.
    pub looked_until: Option<Id>,
}

/// A part of time: from a moment on, and before another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The first moment, unless it begins with time itself.
    pub from: Option<Timestamp>,
    /// The first moment after it, unless it does not end.
    pub until: Option<Timestamp>,
}

impl Span {
    /// From one moment until before another.
    #[must_use]
    pub const fn between(from: Timestamp, until: Timestamp) -> Span {
        Span {
            from: Some(from),
            until: Some(until),
        }
    }
}

/// Cuts what a store read (one entry more than wanted, in reading order) to a page in listing order.
#[must_use]
pub fn cut<T, Id>(mut rows: Vec<T>, page: &Page<Id>) -> (Vec<T>, bool) {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if matches!(page.cursor, Cursor::EndingBefore(_)) {
        rows.reverse();
    }
    (rows, has_more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_at(limit: u64, cursor: Cursor<u8>, rows: &[u8]) -> (Vec<u8>, bool) {
        cut(rows.to_vec(), &Page { limit, cursor })
    }

    #[test]
    fn one_row_more_than_wanted_means_there_are_more() {
        assert_eq!(cut_at(2, Cursor::Newest, &[9, 8, 7]), (vec![9, 8], true));
        assert_eq!(
            cut_at(3, Cursor::Newest, &[9, 8, 7]),
            (vec![9, 8, 7], false)
        );
        assert_eq!(
            cut_at(3, Cursor::StartingAfter(9), &[8, 7]),
            (vec![8, 7], false)
        );
        assert_eq!(cut_at(1, Cursor::Newest, &[]), (vec![], false));
        assert_eq!(cut_at(u64::MAX, Cursor::Newest, &[1]), (vec![1], false));
    }

    /// Rows before a cursor are read upwards from it, so the surplus one is the newest.
    #[test]
    fn a_page_before_a_cursor_is_listed_newest_first() {
        assert_eq!(
            cut_at(2, Cursor::EndingBefore(5), &[6, 7, 8]),
            (vec![7, 6], true)
        );
        assert_eq!(
            cut_at(2, Cursor::EndingBefore(5), &[6, 7]),
            (vec![7, 6], false)
        );
    }

    #[test]
    fn walking_a_list_either_way_meets_every_row_once() {
        let rows: Vec<u8> = (0..23).rev().collect();
        for limit in 1..=25_u64 {
            let read = usize::try_from(limit).expect("small").saturating_add(1);
            let (mut seen, mut cursor) = (Vec::<u8>::new(), Cursor::Newest);
            loop {
                let older = rows.iter().copied().filter(|row| match cursor {
                    Cursor::StartingAfter(last) => *row < last,
                    Cursor::Newest | Cursor::EndingBefore(_) => true,
                });
                let (page, more) = cut(older.take(read).collect(), &Page { limit, cursor });
                seen.extend(&page);
                cursor = Cursor::StartingAfter(*page.last().expect("no page is empty"));
                if !more {
                    break;
                }
            }
            assert_eq!(seen, rows, "forwards by {limit}");
            let (mut seen, mut first) = (vec![0], 0);
            loop {
                let newer = rows.iter().rev().copied().filter(|row| *row > first);
                let page = Page {
                    limit,
                    cursor: Cursor::EndingBefore(first),
                };
                let (page, more) = cut(newer.take(read).collect(), &page);
                first = *page.first().expect("no page is empty");
                seen.splice(0..0, page);
                if !more {
                    break;
                }
            }
            assert_eq!(seen, rows, "backwards by {limit}");
        }
    }
}
