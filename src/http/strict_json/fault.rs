//! A shape error: where, and what was expected there. It holds nothing of the value.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::Node;

/// The longest text taken from an error a type made itself.
const MAX_OWN_TEXT: usize = 300;

/// A shorter value than this may turn up in an honest message by chance, and gives nothing away.
const MIN_TELLING_LEN: usize = 4;

/// The longest field name repeated in a pointer.
const MAX_NAME_LEN: usize = 40;

/// As many digits as this in a field name could be a card number.
const MAX_NAME_DIGITS: usize = 8;

/// One step of a pointer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

/// What is wrong with a value, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    detail: String,
    /// Innermost first: it is filled on the way out.
    path: Vec<Segment>,
    /// The text is a type's own and was not yet compared with the value it is about.
    unscreened: bool,
}

impl Fault {
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            path: Vec::new(),
            unscreened: false,
        }
    }

    /// What was expected.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Where, as a JSON pointer. It ends early at a name that is too odd to repeat.
    pub fn pointer(&self) -> String {
        let mut whole = String::new();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Index(index) => whole.push_str(&format!("/{index}")),
                Segment::Key(name) if is_plain(name) => whole = pointer(&whole, name),
                Segment::Key(_) => break,
            }
        }
        whole
    }

    pub(super) fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    /// Drops a type's own text when it repeats the value it is about.
    pub(super) fn screened_against(mut self, value: &Node<'_>) -> Self {
        if self.unscreened && value.is_repeated_in(&self.detail) {
            "this value is not accepted".clone_into(&mut self.detail);
        }
        self.unscreened = false;
        self
    }

    /// The same for a text that is about a key.
    pub(super) fn screened_against_text(self, value: &str) -> Self {
        self.screened_against(&Node::Text(value.into()))
    }
}

/// The pointer to a field of the object at `parent`, or to the object when the name is too odd to repeat.
pub fn pointer(parent: &str, name: &str) -> String {
    if is_plain(name) {
        format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
    } else {
        parent.to_owned()
    }
}

/// Whether a name can stand in a pointer: short, and not shaped like a secret or a card number.
fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.~/".contains(&byte);
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().all(allowed)
        && name.bytes().filter(u8::is_ascii_digit).count() <= MAX_NAME_DIGITS
}

impl Node<'_> {
    fn is_repeated_in(&self, text: &str) -> bool {
        let repeated = |value: &str| {
            let escaped = format!("{value:?}");
            value.len() >= MIN_TELLING_LEN
                && (text.contains(value) || text.contains(escaped.trim_matches('"')))
        };
        text.len() > MAX_OWN_TEXT
            || match self {
                Node::Null | Node::Bool(_) => false,
                Node::Unsigned(value) => repeated(&value.to_string()),
                Node::Signed(value) => repeated(&value.to_string()),
                Node::Float(value) => repeated(&value.to_string()),
                Node::Text(value) => repeated(value),
                Node::Array(items) => items.iter().any(|item| item.is_repeated_in(text)),
                Node::Object(entries) => entries.iter().any(|(key, value)| {
                    (!is_plain(key) && repeated(key)) || value.is_repeated_in(text)
                }),
            }
    }
}

impl Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.pointer(), self.detail)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(text: T) -> Self {
        Self {
            detail: text.to_string(),
            path: Vec::new(),
            unscreened: true,
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!(
            "expected {}, found {}",
            expectation(expected),
            kind(&found)
        ))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}", expectation(expected)))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}", expectation(expected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected one of {}", names(expected)))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(match expected {
            [] => "unknown field".to_owned(),
            _ => format!("unknown field; known here are {}", names(expected)),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("this field is required").within(Segment::Key(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("this field is given more than once").within(Segment::Key(field.to_owned()))
    }
}

fn names(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Rust's names for what was expected, in JSON's words.
fn expectation(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" => "a whole number between 0 and 255".to_owned(),
        "u16" => "a whole number between 0 and 65535".to_owned(),
        "u32" => "a whole number between 0 and 4294967295".to_owned(),
        "u64" | "u128" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a map" => "an object".to_owned(),
        "a sequence" => "an array".to_owned(),
        "unit" => "null".to_owned(),
        _ if text.starts_with("struct ") => "an object".to_owned(),
        _ if text.starts_with("tuple ") => "an array".to_owned(),
        _ if text.starts_with("enum ") || text.starts_with("variant ") => "a string".to_owned(),
        _ => text,
    }
}

fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a number with a fraction or exponent",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}
