//! Lists: newest first by id, one page at a time, with a cursor that does not move when rows are added.

use serde::Serialize;

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
    /// The entries, newest first.
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
