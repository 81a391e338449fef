//! A table of objects: looked up by identifier, listed newest first, and aware of what changed since
//! the last write to the state file.
//!
//! Nothing is ever removed, so a row's position is stable: lists filter through positions kept by
//! link (`charge=ch_…`) rather than by walking all rows.
use std::collections::HashMap;

use super::failure::Failure;
use super::params::Params;

/// What the table needs to know of an object.
pub trait Row {
    /// What Stripe calls it in messages.
    const NOUN: &'static str;
    /// Its identifier.
    fn id(&self) -> &str;
    /// When it was made, in seconds.
    fn created(&self) -> i64;
    /// The links it is listed by from the start.
    fn links(&self) -> Vec<String> {
        vec![]
    }
}

/// All objects of a kind.
#[derive(Debug)]
pub struct Table<T> {
    rows: Vec<T>,
    positions: HashMap<String, usize>,
    links: HashMap<String, Vec<usize>>,
    dirty: Vec<usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            rows: vec![],
            positions: HashMap::new(),
            links: HashMap::new(),
            dirty: vec![],
        }
    }
}

impl<T: Row> Table<T> {
    /// The object with the identifier.
    pub fn get(&self, id: &str) -> Option<&T> {
        self.positions.get(id).map(|&at| &self.rows[at])
    }

    /// The object, or Stripe's answer that there is none.
    pub fn find(&self, id: &str, param: &str) -> Result<&T, Failure> {
        self.get(id)
            .ok_or_else(|| Failure::no_such(T::NOUN, param, id))
    }

    /// The object, to be changed.
    pub fn edit(&mut self, id: &str) -> Option<&mut T> {
        let &at = self.positions.get(id)?;
        self.mark(at);
        Some(&mut self.rows[at])
    }

    /// Adds the object or takes the place of the one with its identifier.
    pub fn put(&mut self, row: T) {
        let at = self.restore(row);
        self.mark(at);
    }

    /// The same for an object that the state file has already.
    pub fn restore(&mut self, row: T) -> usize {
        let at = match self.positions.get(row.id()) {
            Some(&at) => {
                self.rows[at] = row;
                at
            }
            None => {
                self.positions.insert(row.id().to_owned(), self.rows.len());
                self.rows.push(row);
                self.rows.len() - 1
            }
        };
        for link in self.rows[at].links() {
            self.link_position(link, at);
        }
        at
    }

    /// Lists the object under a link it got later.
    pub fn link(&mut self, id: &str, link: String) {
        if let Some(&at) = self.positions.get(id) {
            self.link_position(link, at);
        }
    }

    fn link_position(&mut self, link: String, at: usize) {
        let positions = self.links.entry(link).or_default();
        // Positions stay sorted: lists cut them by bisection.
        if let Err(place) = positions.binary_search(&at) {
            positions.insert(place, at);
        }
    }

    fn mark(&mut self, at: usize) {
        if !self.dirty.contains(&at) {
            self.dirty.push(at);
        }
    }

    /// The objects under a link, oldest first.
    pub fn linked<'a>(&'a self, link: &str) -> impl DoubleEndedIterator<Item = &'a T> + use<'a, T> {
        let positions = self.links.get(link).map_or(&[][..], Vec::as_slice);
        positions.iter().map(|&at| &self.rows[at])
    }

    /// Every object, oldest first.
    pub fn all(&self) -> &[T] {
        &self.rows
    }

    /// What changed since this was last asked.
    pub fn changed(&mut self) -> impl Iterator<Item = &T> {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|at| &self.rows[at])
    }

    /// One page, newest first, and whether there are more.
    pub fn page(
        &self,
        window: &Window,
        links: Option<&[String]>,
    ) -> Result<(Vec<&T>, bool), Failure> {
        let position = |id: &Option<String>, param: &str| match id {
            None => Ok(None),
            Some(id) => {
                let found = self.positions.get(id).copied();
                found
                    .map(Some)
                    .ok_or_else(|| Failure::no_such(T::NOUN, param, id))
            }
        };
        let after = position(&window.starting_after, "starting_after")?;
        let before = position(&window.ending_before, "ending_before")?;
        // Rows are in order of creation, so that the bounds on `created` are positions too.
        let first = self
            .rows
            .partition_point(|row| row.created() < window.created_min);
        let last = self
            .rows
            .partition_point(|row| row.created() <= window.created_max);
        let first = before.map_or(first, |at| first.max(at + 1));
        let last = after.map_or(last, |at| last.min(at)).max(first);
        let wanted = window.limit + 1;
        let mut found: Vec<usize> = match (links, before.is_some()) {
            (None, false) => (first..last).rev().take(wanted).collect(),
            (None, true) => (first..last).take(wanted).collect(),
            (Some(links), backwards) => {
                let mut within = Vec::new();
                for link in links {
                    let all = self.links.get(link).map_or(&[][..], Vec::as_slice);
                    let start = all.partition_point(|&at| at < first);
                    let end = all.partition_point(|&at| at < last).max(start);
                    // One link alone gives no more than its nearest can be wanted.
                    let cut = &all[start..end];
                    let far = cut.len().saturating_sub(wanted);
                    within.extend(if backwards {
                        &cut[..cut.len().min(wanted)]
                    } else {
                        &cut[far..]
                    });
                }
                within.sort_unstable();
                if !backwards {
                    within.reverse();
                }
                within.truncate(wanted);
                within
            }
        };
        let more = found.len() > window.limit;
        found.truncate(window.limit);
        if before.is_some() {
            found.reverse();
        }
        Ok((found.into_iter().map(|at| &self.rows[at]).collect(), more))
    }
}

/// The list parameters that all list endpoints share.
#[derive(Debug)]
pub struct Window {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
    created_min: i64,
    created_max: i64,
}

impl Window {
    /// Takes `limit`, `starting_after`, `ending_before` and `created` from the parameters.
    pub fn take(params: &mut Params) -> Result<Window, Failure> {
        let limit = params.integer("limit")?.unwrap_or(10);
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=100).contains(limit));
        let limit = limit.ok_or_else(|| {
            Failure::parameter("limit", "Invalid limit: must be between 1 and 100")
        })?;
        let (mut created_min, mut created_max) = (i64::MIN, i64::MAX);
        if let Some(exact) = params.plain_integer("created")? {
            (created_min, created_max) = (exact, exact);
        } else if let Some(mut range) = params.map("created")? {
            if let Some(bound) = range.integer("gte")? {
                created_min = created_min.max(bound);
            }
            if let Some(bound) = range.integer("gt")? {
                created_min = created_min.max(bound.saturating_add(1));
            }
            if let Some(bound) = range.integer("lte")? {
                created_max = created_max.min(bound);
            }
            if let Some(bound) = range.integer("lt")? {
                created_max = created_max.min(bound.saturating_sub(1));
            }
            range.finish()?;
        }
        let starting_after = params.text("starting_after")?;
        let ending_before = params.text("ending_before")?;
        Ok(Window {
            limit,
            starting_after,
            ending_before,
            created_min,
            created_max,
        })
    }
}
