//! Schemas: what a value is in a few words, its fields, and an example of it.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::super::problem_page::{escape, prose};

/// How deep fields are shown within fields; deeper ones are a link.
const MAX_DEPTH: usize = 4;

/// The longest pattern that is shown.
const MAX_PATTERN: usize = 40;
/// The most words of a closed list that are shown.
const MAX_WORDS: usize = 20;

const REFERENCE: &str = "#/components/schemas/";

/// The schemas of the document, by name.
pub struct Schemas<'d>(pub &'d Value);

/// One field of an object.
struct Field<'d> {
    name: &'d str,
    schema: &'d Value,
    required: bool,
}

impl<'d> Schemas<'d> {
    /// What a reference names, and the schema itself; a schema that is none is its own.
    fn resolve(&self, schema: &'d Value) -> (Option<&'d str>, &'d Value) {
        let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix(REFERENCE))
        else {
            return (None, schema);
        };
        (Some(name), self.0.get(name).unwrap_or(&Value::Null))
    }

    /// The schema within "this or null".
    fn without_null(schema: &'d Value) -> &'d Value {
        let mut kinds = schema["oneOf"].as_array().into_iter().flatten();
        kinds.find(|kind| kind["type"] != "null").unwrap_or(schema)
    }

    fn may_be_null(schema: &Value) -> bool {
        let has_null = |kinds: &Value, is_null: fn(&Value) -> bool| {
            kinds
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(is_null))
        };
        has_null(&schema["oneOf"], |kind| kind["type"] == "null")
            || has_null(&schema["type"], |kind| kind == "null")
    }

    /// What a value is, in words, as HTML.
    pub fn kind(&self, schema: &'d Value) -> String {
        let inner = Self::without_null(schema);
        let null = if Self::may_be_null(schema) {
            " or null"
        } else {
            ""
        };
        if let (Some(name), found) = self.resolve(inner) {
            if found.is_null() || found.get("enum").is_some() {
                return format!("text{null}");
            }
            // Only what has fields has a place of its own on the page.
            if self.list(found).is_empty() {
                return format!("{}{null}", self.kind(found));
            }
            let name = escape(name);
            return format!("<a href=\"#schema-{name}\">{name}</a>{null}");
        }
        let first = match &inner["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
            kind => Some(kind),
        };
        let word = match first.and_then(Value::as_str) {
            Some("string") if inner["format"] == "date-time" => "time".to_owned(),
            Some("string") => "text".to_owned(),
            Some("array") => format!("list of {}", self.kind(&inner["items"])),
            Some("object") if inner["additionalProperties"].is_object() => {
                format!("map of {}", self.kind(&inner["additionalProperties"]))
            }
            Some(other) => escape(other),
            None if inner.get("allOf").is_some() => "object".to_owned(),
            None => "anything".to_owned(),
        };
        format!("{word}{null}")
    }

    /// What else is asked of a value, as HTML.
    fn limits(&self, schema: &'d Value) -> String {
        let inner = Self::without_null(schema);
        let (_, found) = self.resolve(inner);
        let mut limits = Vec::new();
        for (key, text) in [
            ("minLength", "at least # characters"),
            ("maxLength", "at most # characters"),
            ("minItems", "at least #"),
            ("maxItems", "at most #"),
            ("minimum", "from #"),
            ("maximum", "up to #"),
            ("pattern", "matches <code>#</code>"),
            ("default", "<code>#</code> when not given"),
        ] {
            match inner.get(key).or_else(|| found.get(key)) {
                None | Some(Value::Null) => {}
                Some(Value::String(pattern)) if key == "pattern" && !is_readable(pattern) => {}
                Some(value) => limits.push(text.replace('#', &escape(&plain(value)))),
            }
        }
        if let Some(words) = found["enum"]
            .as_array()
            .filter(|words| words.len() <= MAX_WORDS)
        {
            let words = words
                .iter()
                .map(|word| format!("<code>{}</code>", escape(&plain(word))));
            let words: Vec<String> = words.collect();
            limits.push(format!("one of {}", words.join(" ")));
        }
        if let Some(example) = Self::given_example(inner).or_else(|| Self::given_example(found)) {
            limits.push(format!("such as <code>{}</code>", escape(&plain(example))));
        }
        limits.join("; ")
    }

    /// The fields of an object, required ones first and in the order the document requires them.
    fn list(&self, schema: &'d Value) -> Vec<Field<'d>> {
        let (_, schema) = self.resolve(Self::without_null(schema));
        if let Some(parts) = schema["allOf"].as_array() {
            return parts.iter().flat_map(|part| self.list(part)).collect();
        }
        if schema["items"].is_object() {
            return self.list(&schema["items"]);
        }
        let Some(all) = schema["properties"].as_object() else {
            return Vec::new();
        };
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let first = required
            .iter()
            .filter_map(|name| all.get_key_value(*name))
            .map(|pair| (pair, true));
        let rest = all
            .iter()
            .filter(|(name, _)| !required.contains(&name.as_str()))
            .map(|pair| (pair, false));
        first
            .chain(rest)
            .map(|((name, schema), required)| Field {
                name,
                schema,
                required,
            })
            .collect()
    }

    /// The fields as a list, those of inner objects folded; nothing when there are none.
    pub fn fields(&self, schema: &'d Value, depth: usize) -> String {
        let fields = self.list(schema);
        if fields.is_empty() {
            return String::new();
        }
        let mut html = String::from("<dl>");
        for field in fields {
            let inner = Self::without_null(field.schema);
            let mut text = inner["description"].as_str();
            if text.is_none() {
                text = field.schema["description"].as_str();
            }
            html.push_str(&self.row(
                field.name,
                field.schema,
                field.required,
                text.unwrap_or_default(),
            ));
            if depth < MAX_DEPTH {
                let nested = self.fields(field.schema, depth + 1);
                if !nested.is_empty() {
                    let _ = write!(
                        html,
                        "<dd><details><summary>Fields of <code>{}</code></summary>{nested}</details></dd>",
                        escape(field.name)
                    );
                }
            }
        }
        html.push_str("</dl>");
        html
    }

    /// A name, what it is, whether it must be there, and what it says.
    pub fn row(&self, name: &str, schema: &'d Value, required: bool, text: &str) -> String {
        let must = if required {
            " <em class=\"must\">required</em>"
        } else {
            ""
        };
        let mut html = format!(
            "<dt><code>{}</code> <span class=\"kind\">{}</span>{must}</dt><dd>{}",
            escape(name),
            self.kind(schema),
            prose(text)
        );
        let limits = self.limits(schema);
        if !limits.is_empty() {
            let _ = write!(html, "<div class=\"limits\">{limits}</div>");
        }
        html.push_str("</dd>");
        html
    }

    /// The example a schema gives itself.
    fn given_example(schema: &Value) -> Option<&Value> {
        schema.get("example").or_else(|| schema["examples"].get(0))
    }

    /// An example of a value, made from the examples of its fields.
    pub fn example(&self, schema: &'d Value, depth: usize) -> Value {
        let inner = Self::without_null(schema);
        let (_, found) = self.resolve(inner);
        if let Some(example) = Self::given_example(inner).or_else(|| Self::given_example(found)) {
            return example.clone();
        }
        if let Some(word) = found["enum"].get(0) {
            return word.clone();
        }
        if Self::may_be_null(schema) && depth > 0 {
            return Value::Null;
        }
        if found["items"].is_object() {
            return Value::Array(vec![self.example(&found["items"], depth + 1)]);
        }
        let fields = self.list(found);
        if !fields.is_empty() && depth <= MAX_DEPTH {
            let pairs = fields
                .iter()
                .map(|field| (field.name.to_owned(), self.example(field.schema, depth + 1)));
            return Value::Object(pairs.collect::<Map<String, Value>>());
        }
        match found["type"].as_str() {
            Some("string") if found["format"] == "date-time" => "2026-01-31T12:00:00Z".into(),
            Some("string") => "…".into(),
            Some("integer" | "number") => 1.into(),
            Some("boolean") => false.into(),
            Some("array") => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        }
    }
}

/// Whether a pattern says more to a reader than the text beside it: a long one, or one of control characters,
/// does not.
fn is_readable(pattern: &str) -> bool {
    pattern.len() <= MAX_PATTERN && !pattern.contains("\\u")
}

/// A JSON value as a reader writes it: text without its quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
