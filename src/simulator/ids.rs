//! Identifiers and chance.
//!
//! One generator per start: drawn from the seed and the number of earlier starts on the same state
//! file, so that a seeded run can be repeated and a restart never gives an identifier twice.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// xoshiro256**: small, fast and good enough for identifiers; nothing here guards a secret of worth.
#[derive(Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Repeatable from `seed` and `stream`, or from the operating system without a seed.
    pub fn new(seed: Option<u64>, stream: u64) -> Random {
        let mut mixed = match seed {
            Some(seed) => seed ^ stream.wrapping_mul(0xA076_1D64_78BD_642F),
            None => entropy(),
        };
        let state = [0; 4].map(|_: u64| {
            let drawn = splitmix(&mut mixed);
            if seed.is_some() {
                drawn
            } else {
                drawn ^ entropy()
            }
        });
        Random { state }
    }

    /// The next 64 random bits.
    pub fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let drawn = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        drawn
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        let unit =
            f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0;
        unit < probability
    }

    /// `prefix` followed by `length` letters and digits.
    pub fn token(&mut self, prefix: &str, length: usize) -> String {
        let mut text = String::with_capacity(prefix.len() + length);
        text.push_str(prefix);
        for _ in 0..length {
            let at = usize::try_from((self.next() >> 33) % 62).unwrap_or(0);
            text.push(char::from(ALPHABET[at]));
        }
        text
    }

    /// An identifier in the provider's form, such as `pi_3…`.
    pub fn id(&mut self, prefix: &str) -> String {
        self.token(prefix, 24)
    }
}

fn entropy() -> u64 {
    getrandom::u64().expect("the operating system gives random numbers")
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_a_second_start_differs() {
        let first = Random::new(Some(7), 1).id("pi_");
        assert_eq!(first, Random::new(Some(7), 1).id("pi_"));
        assert_ne!(first, Random::new(Some(7), 2).id("pi_"));
        assert_ne!(
            Random::new(None, 1).id("pi_"),
            Random::new(None, 1).id("pi_")
        );
    }
}
