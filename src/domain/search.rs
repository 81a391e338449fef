//! Finding orders by what people have in hand: a number, a name, an address, a provider's id, an amount.
//!
//! An order has *terms*, lower-cased and short; a search is a few *words*, each of which must be one of the
//! order's terms or, from three characters on, begin one. Both sides pass through [`term`], so that what is
//! typed meets what is stored.

use std::collections::BTreeSet;

/// The most characters of a term; longer ones are known by their beginning.
pub const MAX_TERM_CHARS: usize = 64;
/// The most terms of one order: a hundred lines with long names must not fill the index.
pub const MAX_TERMS: usize = 1_000;
/// The most characters of a search.
pub const MAX_SEARCH_CHARS: usize = 200;
/// The most words of a search.
pub const MAX_WORDS: usize = 8;
/// The fewest characters that may stand for what begins with them.
const MIN_PREFIX_CHARS: usize = 3;

/// A word as it is stored and looked for: lower case, cut, without the punctuation around it, so that `#1001`
/// and `(Mug)` are found. Punctuation alone stays as it is.
#[must_use]
pub fn term(word: &str) -> Option<String> {
    let bare = word.trim_matches(|c: char| c.is_ascii_punctuation() || c.is_control());
    let kept = if bare.is_empty() { word } else { bare };
    let lower = kept.to_lowercase();
    let plain = lower.chars().filter(|c| !c.is_control());
    let term: String = plain.take(MAX_TERM_CHARS).collect();
    (!term.is_empty()).then_some(term)
}

/// The terms of an order, as they are gathered; what comes first is kept when there are too many.
#[derive(Debug, Default)]
pub struct Terms(BTreeSet<String>);

impl Terms {
    /// Adds the words of a text as they stand between spaces: ids, numbers, references, addresses.
    pub fn add(&mut self, text: &str) {
        for word in text.split_whitespace() {
            self.insert(word);
        }
    }

    /// Adds an e-mail address, and what stands before its `@`.
    pub fn add_email(&mut self, address: &str) {
        self.add(address);
        if let Some((local, _)) = address.rsplit_once('@') {
            self.add(local);
        }
    }

    /// Adds the words of a name, and the parts of words like `T-shirt` and `O'Neil`.
    pub fn add_name(&mut self, name: &str) {
        for word in name.split_whitespace() {
            self.insert(word);
            for part in word.split(|c: char| c.is_ascii_punctuation()) {
                if part.chars().nth(1).is_some() {
                    self.insert(part);
                }
            }
        }
    }

    fn insert(&mut self, word: &str) {
        if self.0.len() < MAX_TERMS
            && let Some(term) = term(word)
        {
            self.0.insert(term);
        }
    }
}

impl IntoIterator for Terms {
    type Item = String;
    type IntoIter = std::collections::btree_set::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One word of a search.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// It is a term.
    Whole(String),
    /// It begins a term: in byte order such terms are those from it up to, but not with, the next text.
    Prefix {
        /// The word.
        from: String,
        /// The first text after everything that begins with it; none when there is no such text.
        before: Option<String>,
    },
}

/// Why a search is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Too many characters.
    #[error("must have at most {MAX_SEARCH_CHARS} characters")]
    TooLong,
    /// Too many words.
    #[error("must have at most {MAX_WORDS} words")]
    TooManyWords,
}

/// A search: an order is found when every word is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The words, each once. None: every order is found.
    pub words: BTreeSet<Word>,
}

impl Search {
    /// Reads a search.
    ///
    /// # Errors
    /// Too long, or too many words.
    pub fn parse(text: &str) -> Result<Search, SearchError> {
        if text.chars().count() > MAX_SEARCH_CHARS {
            return Err(SearchError::TooLong);
        }
        if text.split_whitespace().count() > MAX_WORDS {
            return Err(SearchError::TooManyWords);
        }
        let words = text.split_whitespace().filter_map(term).map(|from| {
            if from.chars().count() < MIN_PREFIX_CHARS {
                return Word::Whole(from);
            }
            let before = after(&from);
            Word::Prefix { from, before }
        });
        Ok(Search {
            words: words.collect(),
        })
    }
}

/// The first text, by code points and so by UTF-8 bytes, after all that begin with `prefix`.
fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            // The code points between are no characters.
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last).saturating_add(1)),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    //! What is typed meets what is stored, and a range holds exactly what begins with the word.

    use super::*;
    use proptest::prelude::*;

    fn finds(search: &str, stored: &str) -> bool {
        let mut terms = Terms::default();
        terms.add_name(stored);
        let terms: Vec<String> = terms.into_iter().collect();
        let search = Search::parse(search).unwrap();
        search.words.iter().all(|word| {
            terms.iter().any(|term| match word {
                Word::Whole(word) => term == word,
                Word::Prefix { from, before } => {
                    term >= from && before.as_ref().is_none_or(|before| term < before)
                }
            })
        })
    }

    #[test]
    fn words_are_found_whole_or_by_three_characters() {
        for (search, stored) in [
            ("ada", "Ada Lovelace"),
            ("LOV ada", "Ada Lovelace"),
            ("lovelace", "Ada Lovelace"),
            ("t-shirt", "T-Shirt, blue"),
            ("shirt", "T-Shirt, blue"),
            ("blue", "T-Shirt, blue"),
            ("neil", "O'Neil"),
            ("(mug)", "Mug"),
            ("xl", "Mug XL"),
            ("&", "Salt & Pepper"),
            ("名前の人", "名前の人たち"),
            ("éco", "École"),
        ] {
            assert!(finds(search, stored), "{search} finds {stored}");
        }
        for (search, stored) in [
            ("ad", "Ada"),
            ("dalove", "Ada Lovelace"),
            ("ada byron", "Ada Lovelace"),
            ("mug_", "muh"),
            ("%", "Mug"),
        ] {
            assert!(!finds(search, stored), "{search} does not find {stored}");
        }
    }

    #[test]
    fn an_address_is_found_whole_and_by_its_local_part() {
        let mut terms = Terms::default();
        terms.add_email("Ada.L@Example.com");
        let terms: Vec<String> = terms.into_iter().collect();
        assert_eq!(terms, ["ada.l", "ada.l@example.com"]);
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(Search::parse(&"x".repeat(201)), Err(SearchError::TooLong));
        assert_eq!(
            Search::parse("1 2 3 4 5 6 7 8 9"),
            Err(SearchError::TooManyWords)
        );
        assert!(Search::parse(" \u{0} ").unwrap().words.is_empty());
        let mut terms = Terms::default();
        terms.add(&"İ".repeat(200));
        for at in 0..2_000 {
            terms.add(&at.to_string());
        }
        let terms: Vec<String> = terms.into_iter().collect();
        assert_eq!(terms.len(), MAX_TERMS);
        assert!(terms.iter().all(|term| term.chars().count() <= 64));
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_what_begins_with_the_word(
            prefix in "[a-c\u{d7ff}\u{e000}\u{10ffff}]{1,4}",
            other in "[a-d\u{d7ff}\u{e000}\u{10ffff}]{0,6}",
        ) {
            let before = after(&prefix);
            let within = other.as_bytes() >= prefix.as_bytes()
                && before.is_none_or(|before| other.as_bytes() < before.as_bytes());
            prop_assert_eq!(within, other.starts_with(&prefix));
        }

        #[test]
        fn a_stored_word_is_found_by_itself(word in "\\PC{1,80}") {
            prop_assume!(!word.contains(char::is_whitespace));
            prop_assert!(finds(&word, &word));
        }
    }
}
