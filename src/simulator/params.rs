//! Typed access to an endpoint's parameters: what is taken is known, what is left over is unknown.
use std::collections::BTreeMap;

use super::failure::Failure;
use super::form::Node;

const METADATA_KEYS: usize = 50;
const METADATA_KEY_LENGTH: usize = 40;
const METADATA_VALUE_LENGTH: usize = 500;

/// The parameters of a request or of a part of it.
#[derive(Debug)]
pub struct Params {
    prefix: String,
    fields: Vec<(String, Node)>,
}

impl Params {
    /// All parameters of a request.
    pub fn new(fields: Vec<(String, Node)>) -> Params {
        Params {
            prefix: String::new(),
            fields,
        }
    }

    /// The full name of a parameter, such as `line_items[0][quantity]`.
    pub fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}[{name}]", self.prefix)
        }
    }

    fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.fields.iter().position(|(known, _)| known == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// A text; an empty one counts as absent, as with Stripe, where it unsets.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Node::Map(_)) => Err(Failure::parameter(
                self.name(name),
                format!("Invalid string: {}", self.name(name)),
            )),
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?
            .ok_or_else(|| Failure::missing(self.name(name)))
    }

    /// A text of limited length.
    pub fn short(&mut self, name: &str, limit: usize) -> Result<Option<String>, Failure> {
        let text = self.text(name)?;
        if text
            .as_ref()
            .is_some_and(|text| text.chars().count() > limit)
        {
            let name = self.name(name);
            let message = format!("Invalid string: {name} must be at most {limit} characters");
            return Err(Failure::parameter(name, message));
        }
        Ok(text)
    }

    /// A whole number.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|_| plain)
            .map(Some)
            .ok_or_else(|| {
                let message = format!("Invalid integer: {text}");
                Failure::parameter(self.name(name), message).code("parameter_invalid_integer")
            })
    }

    /// A whole number, unless the parameter is a hash, which is left in place.
    pub fn plain_integer(&mut self, name: &str) -> Result<Option<i64>, Failure> {
        match self
            .fields
            .iter()
            .any(|(known, node)| known == name && matches!(node, Node::Text(_)))
        {
            true => self.integer(name),
            false => Ok(None),
        }
    }

    /// One of a few words.
    pub fn choice(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Failure> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        if words.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        let (name, list) = (self.name(name), words.join(", "));
        Err(Failure::parameter(
            &name,
            format!("Invalid {name}: must be one of {list}"),
        ))
    }

    /// A hash.
    pub fn map(&mut self, name: &str) -> Result<Option<Params>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Map(fields)) => Ok(Some(Params {
                prefix: self.name(name),
                fields,
            })),
            Some(Node::Text(text)) if text.is_empty() => Ok(None),
            Some(Node::Text(_)) => Err(Failure::parameter(self.name(name), "Invalid object")),
        }
    }

    /// An array of hashes, in the order of their numbers.
    pub fn maps(&mut self, name: &str) -> Result<Vec<Params>, Failure> {
        let Some(list) = self.map(name)? else {
            return Ok(vec![]);
        };
        let mut items = Vec::with_capacity(list.fields.len());
        for (index, node) in list.fields {
            let prefix = format!("{}[{index}]", list.prefix);
            let number = index.parse::<usize>();
            match (number, node) {
                (Ok(number), Node::Map(fields)) => items.push((number, Params { prefix, fields })),
                _ => return Err(Failure::parameter(&list.prefix, "Invalid array")),
            }
        }
        items.sort_by_key(|(number, _)| *number);
        Ok(items.into_iter().map(|(_, params)| params).collect())
    }

    /// An array of texts, such as `expand[]`.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let Some(list) = self.map(name)? else {
            return Ok(vec![]);
        };
        let invalid = |_| Failure::parameter(&list.prefix, "Invalid array");
        let texts = list.fields.into_iter().map(|(_, node)| match node {
            Node::Text(text) => Ok(text),
            Node::Map(_) => Err(()),
        });
        texts.collect::<Result<_, _>>().map_err(invalid)
    }

    /// A `metadata` hash within Stripe's limits.
    pub fn metadata(&mut self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        let Some(list) = self.map(name)? else {
            return Ok(BTreeMap::new());
        };
        if list.fields.len() > METADATA_KEYS {
            let message = format!("Metadata can have up to {METADATA_KEYS} keys.");
            return Err(Failure::parameter(&list.prefix, message));
        }
        let mut metadata = BTreeMap::new();
        for (key, node) in list.fields {
            let at = format!("{}[{key}]", list.prefix);
            let Node::Text(value) = node else {
                return Err(Failure::parameter(at, "Metadata values must be strings."));
            };
            if key.chars().count() > METADATA_KEY_LENGTH {
                let message =
                    format!("Metadata keys can have up to {METADATA_KEY_LENGTH} characters.");
                return Err(Failure::parameter(at, message));
            }
            if value.chars().count() > METADATA_VALUE_LENGTH {
                let message =
                    format!("Metadata values can have up to {METADATA_VALUE_LENGTH} characters.");
                return Err(Failure::parameter(at, message));
            }
            // An empty value unsets the key.
            if !value.is_empty() {
                metadata.insert(key, value);
            }
        }
        Ok(metadata)
    }

    /// An absolute web address.
    pub fn url(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(url) = self.short(name, 5000)? else {
            return Ok(None);
        };
        // The template in `success_url` is no character of an address; the rest must parse.
        let plain = url.replace("{CHECKOUT_SESSION_ID}", "cs");
        let web =
            reqwest::Url::parse(&plain).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if web {
            return Ok(Some(url));
        }
        Err(Failure::parameter(self.name(name), "Not a valid URL").code("url_invalid"))
    }

    /// Accepts parameters that Stripe knows and that make no difference here.
    pub fn ignore(&mut self, names: &[&str]) {
        self.fields
            .retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// Refuses what no endpoint asked for.
    pub fn finish(self) -> Result<(), Failure> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(Failure::unknown(self.name(name))),
        }
    }
}
