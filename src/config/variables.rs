//! The names of Till's own environment variables, and help for those who mistype one.
//!
//! The names are read off the configuration's types, so that a setting that is added can be given by environment
//! at once and none can be forgotten here.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::Config;

/// What the tests are steered with; the programs do not read them.
const TESTS_OWN: &str = "TILL_TEST_";

/// What each setting may look like, for messages.
const EXAMPLES: [(&str, &str); 16] = [
    ("TILL_DATABASE__URL", "sqlite://till.db"),
    ("TILL_DATABASE__MAX_CONNECTIONS", "8"),
    ("TILL_DATABASE__BATCH", "64"),
    ("TILL_SECRET_KEYS", "'[\"1:BASE64\"]'"),
    ("TILL_PROVIDERS__STRIPE__API_KEY", "sk_test_…"),
    ("TILL_PROVIDERS__STRIPE__WEBHOOK_SECRETS", "'[\"whsec_…\"]'"),
    ("TILL_PROVIDERS__STRIPE__BASE_URL", "https://api.stripe.com"),
    ("TILL_PROVIDERS__STRIPE__TIMEOUT_MS", "10000"),
    ("TILL_PROVIDERS__STRIPE__CONNECT_TIMEOUT_MS", "2000"),
    ("TILL_DELIVERY__ALLOW_PRIVATE", "false"),
    ("TILL_WORKER__ENABLED", "true"),
    ("TILL_WORKER__PORT", "9100"),
    ("TILL_ORDERS__EXPIRE_AFTER_S", "86400"),
    ("TILL_ORDERS__LATE_PAYMENTS", "refund"),
    ("TILL_LOG__FORMAT", "json"),
    ("ROCKET_PORT", "8000"),
];

/// Every variable that Till reads, in the order of the configuration.
#[must_use]
pub fn known() -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(route) = open.pop() {
        let mut found = None;
        let walk = Walk {
            route: &route,
            at: Vec::new(),
            found: &mut found,
        };
        // It always ends with an error: nothing is meant to be read.
        let _ = Config::deserialize(walk);
        match found {
            Some(Found::Fields(fields)) => {
                for field in fields.iter().rev() {
                    open.push(route.iter().copied().chain([*field]).collect());
                }
            }
            Some(Found::Leaf) => names.push(format!("TILL_{}", route.join("__").to_uppercase())),
            None => {}
        }
    }
    names
}

/// The variables of this process that look like Till's and are not, each with the name that may be meant.
#[must_use]
pub fn unknown() -> Vec<(String, Option<String>)> {
    let given = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    unknown_of(given)
}

fn unknown_of(given: impl Iterator<Item = String>) -> Vec<(String, Option<String>)> {
    let known = known();
    let mut unknown: Vec<_> = given
        .filter(|name| {
            let name = name.to_uppercase();
            name.starts_with("TILL_") && !name.starts_with(TESTS_OWN) && !known.contains(&name)
        })
        .map(|name| {
            let nearest = nearest(&name.to_uppercase(), &known);
            (name, nearest)
        })
        .collect();
    unknown.sort();
    unknown
}

/// Whether a path of the configuration leads into one of Till's own sections, not Rocket's.
#[must_use]
pub fn is_section(path: &[String]) -> bool {
    let first = path.first().map(|name| name.to_uppercase());
    let own =
        |name: &String| name.trim_start_matches("TILL_").split("__").next() == first.as_deref();
    first.is_some() && known().iter().any(own)
}

/// What the setting may look like, as `NAME=VALUE`.
#[must_use]
pub fn example(name: &str) -> Option<String> {
    let (_, value) = EXAMPLES.iter().find(|(known, _)| *known == name)?;
    Some(format!("{name}={value}"))
}

/// The known name that a mistyped one is nearest to, if it is near at all.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    let far = name.len() / 4;
    let with_distance = known.iter().map(|known| (distance(name, known), known));
    let (steps, nearest) = with_distance.min()?;
    (steps <= far).then(|| nearest.clone())
}

/// How many letters must be put in, taken out or changed.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(row[left] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

enum Found {
    Fields(&'static [&'static str]),
    Leaf,
}

/// A deserializer that follows a route of field names and says what it finds at its end.
struct Walk<'w> {
    route: &'w [&'static str],
    at: Vec<&'static str>,
    found: &'w mut Option<Found>,
}

/// Walks read nothing: each ends with this error.
type Ended = serde::de::value::Error;

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Ended;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Ended> {
        *self.found = Some(Found::Leaf);
        Err(Ended::custom("the end"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        if self.at.len() == self.route.len() {
            *self.found = Some(Found::Fields(fields));
            return Err(Ended::custom("the end"));
        }
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Walk<'_> {
    type Error = Ended;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Ended> {
        let Some(field) = self.route.get(self.at.len()) else {
            return Ok(None);
        };
        self.at.push(field);
        let name = serde::de::value::StrDeserializer::<Ended>::new(field);
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Ended> {
        seed.deserialize(Walk {
            route: self.route,
            at: self.at.clone(),
            found: &mut *self.found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_variable() {
        let known = known();
        for (name, _) in EXAMPLES
            .iter()
            .filter(|(name, _)| name.starts_with("TILL_"))
        {
            assert!(known.iter().any(|known| known == name), "{name}: {known:?}");
        }
        assert!(known.contains(&"TILL_HTTP__CLIENT_IP_HEADER".to_owned()));
    }

    #[test]
    fn a_mistyped_variable_is_told_with_the_name_that_is_meant() {
        let given = [
            "TILL_DATABSE__URL",
            "TILL_DATABASE__URL",
            "till_database__url",
            "TILL_TEST_DATABASE",
            "TILL_PROVIDERS_STRIPE_API_KEY",
            "TILL_WHATEVER",
            "PATH",
        ];
        let unknown = unknown_of(given.iter().map(|name| (*name).to_owned()));
        let unknown: Vec<_> = unknown
            .iter()
            .map(|(name, meant)| (name.as_str(), meant.as_deref()))
            .collect();
        assert_eq!(
            unknown,
            [
                ("TILL_DATABSE__URL", Some("TILL_DATABASE__URL")),
                (
                    "TILL_PROVIDERS_STRIPE_API_KEY",
                    Some("TILL_PROVIDERS__STRIPE__API_KEY")
                ),
                ("TILL_WHATEVER", None),
            ]
        );
    }
}
