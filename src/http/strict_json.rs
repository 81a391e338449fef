//! JSON read strictly: nothing is accepted twice, nothing deep, and no error repeats what was sent.
//!
//! `serde_json` keeps the last of two equal keys in maps, takes arrays for structs, and quotes values in its
//! messages. So a body is first read into a small tree, which refuses duplicate keys at every level and
//! nesting beyond [`MAX_DEPTH`], and the typed value is made from the tree by a deserializer of our own,
//! whose errors carry a pointer and what was expected.

mod fault;
mod typed;

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};

use fault::Segment;
pub use fault::{Fault, pointer};

/// How deep objects and arrays may nest.
pub const MAX_DEPTH: usize = 32;

/// Why a text was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not JSON: where and why, without any of it.
    Syntax(String),
    /// It is JSON of the wrong shape.
    Shape(Fault),
}

/// Reads a value from a JSON text.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let tree = Node::parse(text)?;
    T::deserialize(&tree).map_err(|fault| Refusal::Shape(fault.screened_against(&tree)))
}

/// A JSON value with the order of its keys, borrowing what it can from the text.
#[derive(Debug)]
pub(super) enum Node<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'t, str>),
    Array(Vec<Node<'t>>),
    Object(Vec<(Cow<'t, str>, Node<'t>)>),
}

impl<'t> Node<'t> {
    fn parse(text: &'t str) -> Result<Self, Refusal> {
        if text.starts_with('\u{feff}') {
            return Err(Refusal::Syntax(
                "the text begins with a byte order mark".to_owned(),
            ));
        }
        let mut found = None;
        let mut source = serde_json::Deserializer::from_str(text);
        let tree = Walk {
            depth: 0,
            found: &mut found,
        }
        .deserialize(&mut source)
        .and_then(|tree| {
            source.end()?;
            Ok(tree)
        });
        match (tree, found) {
            (Ok(tree), _) => Ok(tree),
            (Err(_), Some(fault)) => Err(Refusal::Shape(fault)),
            // The messages of the parser itself are fixed texts with a line and column.
            (Err(error), None) => Err(Refusal::Syntax(error.to_string())),
        }
    }
}

/// Builds the tree; `found` carries what we refuse past `serde_json`'s error, which holds only text.
struct Walk<'f> {
    depth: usize,
    found: &'f mut Option<Fault>,
}

impl Walk<'_> {
    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth == MAX_DEPTH {
            return Err(self.refuse(Fault::new(format!(
                "nested more than {MAX_DEPTH} levels deep"
            ))));
        }
        self.depth += 1;
        Ok(())
    }

    fn refuse<E: Error>(&mut self, fault: Fault) -> E {
        *self.found = Some(fault);
        E::custom("refused")
    }

    /// Notes on the way out where it was, so that nothing is kept on the way in.
    fn came_through(&mut self, segment: impl FnOnce() -> Segment) {
        if let Some(fault) = self.found.take() {
            *self.found = Some(fault.within(segment()));
        }
    }

    fn inner(&mut self) -> Walk<'_> {
        Walk {
            depth: self.depth,
            found: self.found,
        }
    }
}

impl<'t> DeserializeSeed<'t> for Walk<'_> {
    type Value = Node<'t>;

    fn deserialize<D: Deserializer<'t>>(self, source: D) -> Result<Node<'t>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Walk<'_> {
    type Value = Node<'t>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'t>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'t>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'t>, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'t>, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'t>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'t str) -> Result<Node<'t>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'t>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'t>>(mut self, mut items: A) -> Result<Node<'t>, A::Error> {
        self.enter()?;
        let mut array = Vec::new();
        loop {
            match items.next_element_seed(self.inner()) {
                Ok(Some(item)) => array.push(item),
                Ok(None) => return Ok(Node::Array(array)),
                Err(error) => {
                    self.came_through(|| Segment::Index(array.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut entries: A) -> Result<Node<'t>, A::Error> {
        self.enter()?;
        let mut object = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            match entries.next_value_seed(self.inner()) {
                Ok(value) => object.push((key, value)),
                Err(error) => {
                    self.came_through(|| Segment::Key(key.into_owned()));
                    return Err(error);
                }
            }
        }
        match first_duplicate(&object) {
            Some(key) => Err(self.refuse(
                Fault::new("this field is given more than once").within(Segment::Key(key)),
            )),
            None => Ok(Node::Object(object)),
        }
    }
}

/// Sorting costs nothing worth naming on the few keys of an honest body, and stays cheap on many.
fn first_duplicate(object: &[(Cow<'_, str>, Node<'_>)]) -> Option<String> {
    let mut keys: Vec<&str> = object.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].to_owned())
}

/// Reads a key without copying it where it holds no escapes.
struct Key;

impl<'t> DeserializeSeed<'t> for Key {
    type Value = Cow<'t, str>;

    fn deserialize<D: Deserializer<'t>>(self, source: D) -> Result<Cow<'t, str>, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Key {
    type Value = Cow<'t, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'t str) -> Result<Cow<'t, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cow<'t, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests;
