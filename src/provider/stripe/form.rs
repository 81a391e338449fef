//! The body of a Stripe request: `application/x-www-form-urlencoded` with bracket nesting.
//!
//! Pairs stay in the order they were added, so that equal requests are equal bytes: a repeated call must send
//! exactly what the first one sent, or Stripe refuses its idempotency key.

/// A form body under construction.
#[derive(Debug, Default)]
pub struct Form {
    encoded: String,
}

impl Form {
    /// Adds one value. The name is written by us, brackets and all, as in `metadata[till_order]`.
    pub fn add(&mut self, name: &str, value: &str) {
        if !self.encoded.is_empty() {
            self.encoded.push('&');
        }
        // Brackets stay readable, as Stripe's own libraries send them.
        encode(name, b"[]", &mut self.encoded);
        self.encoded.push('=');
        encode(value, b"", &mut self.encoded);
    }

    /// The bytes to send.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.encoded.into_bytes()
    }
}

/// Appends `text` encoded by the rules of the URL standard's form serializer.
fn encode(text: &str, also_plain: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"*-._".contains(&byte);
        if plain || also_plain.contains(&byte) {
            out.push(char::from(byte));
        } else if byte == b' ' {
            out.push('+');
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = HEX.get(usize::from(half)).copied().unwrap_or(b'0');
                out.push(char::from(digit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(pairs: &[(&str, &str)]) -> String {
        let mut form = Form::default();
        for (name, value) in pairs {
            form.add(name, value);
        }
        String::from_utf8(form.into_bytes()).expect("encoded text is ASCII")
    }

    #[test]
    fn pairs_keep_their_order_and_brackets_stay_readable() {
        let pairs = [("mode", "payment"), ("a[0][b]", "1"), ("a", "")];
        assert_eq!(encoded(&pairs), "mode=payment&a[0][b]=1&a=");
        assert_eq!(encoded(&[]), "");
    }

    #[test]
    fn everything_that_could_split_a_pair_is_escaped() {
        assert_eq!(
            encoded(&[("name", "2 × Mug & \"Co\" = 100% + [x]\n")]),
            "name=2+%C3%97+Mug+%26+%22Co%22+%3D+100%25+%2B+%5Bx%5D%0A"
        );
    }

    proptest! {
        #[test]
        fn an_independent_parser_reads_the_same_pairs(
            pairs in proptest::collection::vec((".{1,20}", ".{0,40}"), 0..8)
        ) {
            let mut form = Form::default();
            for (name, value) in &pairs {
                form.add(name, value);
            }
            let query = String::from_utf8(form.into_bytes()).expect("encoded text is ASCII");
            let url = reqwest::Url::parse(&format!("http://x/?{query}")).expect("a valid query");
            let read: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
