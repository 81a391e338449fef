//! Secrets that can be derived are never stored: client tokens come from a secret key and what they are for.
//! Secrets that callers hold (API keys, session tokens) are stored as hashes.

pub mod password;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::access::{KeyKind, Mode};
use crate::domain::ids::{ApiKeyId, Id, OrderId, ShopId};

type HmacSha256 = Hmac<Sha256>;

/// How many characters of base64 a key's mark has: enough to tell a few keys apart.
const MARK_CHARS: usize = 16;

/// The secret keys of an installation; the first one signs, every one is accepted.
pub struct SecretKeys(Vec<(i64, Vec<u8>)>);

impl std::fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<i64> = self.0.iter().map(|(number, _)| *number).collect();
        write!(f, "SecretKeys(numbers {numbers:?})")
    }
}

/// Why a list of secret keys is unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// There is none.
    #[error("there is no secret key")]
    Empty,
    /// One is not of the form `1:base64`.
    #[error("a secret key must look like 1:BASE64, with at least 32 bytes in the base64 part")]
    Malformed,
    /// Two have one number.
    #[error("two secret keys have the number {0}")]
    Repeated(i64),
}

impl SecretKeys {
    /// Reads keys written as `1:base64`, the first one signing.
    ///
    /// # Errors
    /// [`SecretKeyError`].
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, SecretKeyError> {
        let mut keys: Vec<(i64, Vec<u8>)> = Vec::new();
        for text in texts {
            let malformed = || SecretKeyError::Malformed;
            let (number, encoded) = text.as_ref().trim().split_once(':').ok_or_else(malformed)?;
            let number: u16 = number.parse().map_err(|_| malformed())?;
            let bytes = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
            if bytes.len() < 32 {
                return Err(malformed());
            }
            if keys.iter().any(|(known, _)| *known == i64::from(number)) {
                return Err(SecretKeyError::Repeated(number.into()));
            }
            keys.push((number.into(), bytes));
        }
        if keys.is_empty() {
            return Err(SecretKeyError::Empty);
        }
        Ok(SecretKeys(keys))
    }

    /// A new key under the number 1, as it is written to a file.
    #[must_use]
    pub fn generate() -> String {
        format!("1:{}", STANDARD.encode(random_bytes::<32>()))
    }

    /// What each key is recognised by, by its number: nothing of the key can be learned from it.
    #[must_use]
    pub fn marks(&self) -> BTreeMap<i64, String> {
        let mark = |secret: &[u8]| {
            let mut mac =
                HmacSha256::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(b"key-mark/1");
            let mut mark = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            mark.truncate(MARK_CHARS);
            mark
        };
        let marks = self
            .0
            .iter()
            .map(|(number, secret)| (*number, mark(secret)));
        marks.collect()
    }

    /// The number of the key that signs now.
    #[must_use]
    pub fn signing(&self) -> i64 {
        self.0.first().map_or(0, |(number, _)| *number)
    }

    /// The token that lets a browser read and pay one order, derived with the key of this number.
    #[must_use]
    pub fn client_token(&self, key: i64, shop: ShopId, order: OrderId) -> Option<String> {
        let (_, secret) = self.0.iter().find(|(number, _)| *number == key)?;
        Some(token(secret, shop, order))
    }

    /// Whether a token is that of an order; takes as long for an order that does not exist (`key` none).
    #[must_use]
    pub fn token_holds(&self, key: Option<i64>, shop: ShopId, order: OrderId, given: &str) -> bool {
        let known = self.0.iter().find(|(number, _)| Some(*number) == key);
        let dummy = [0_u8; 32];
        let secret = known.map_or(&dummy[..], |(_, secret)| secret);
        let matches = token(secret, shop, order)
            .as_bytes()
            .ct_eq(given.as_bytes());
        known.is_some() && bool::from(matches)
    }
}

fn token(secret: &[u8], shop: ShopId, order: OrderId) -> String {
    let mut mac = HmacSha256::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(b"order-token/1");
    mac.update(shop.to_string().as_bytes());
    mac.update(order.to_string().as_bytes());
    format!("ot_{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// A new API key: its text, shown once, and what is stored of it.
pub struct NewApiKey {
    /// The whole key, as callers send it.
    pub text: String,
    /// SHA-256 of its secret part, in hex.
    pub secret_hash: String,
    /// Its last four characters.
    pub last4: String,
}

/// Makes an API key for an id.
#[must_use]
pub fn new_api_key(id: ApiKeyId, kind: KeyKind, mode: Mode) -> NewApiKey {
    let secret = base62::<43>();
    NewApiKey {
        text: format!("{}_{mode}_{}_{secret}", kind.prefix(), suffix(id)),
        secret_hash: hash(&secret),
        last4: secret.get(39..).unwrap_or_default().to_owned(),
    }
}

/// An API key as a caller sent it, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenApiKey {
    /// Its kind.
    pub kind: KeyKind,
    /// Its mode.
    pub mode: Mode,
    /// Its public id.
    pub id: ApiKeyId,
    /// SHA-256 of its secret part, in hex.
    pub secret_hash: String,
}

/// Takes an API key apart; none when it has not the form of one.
#[must_use]
pub fn read_api_key(text: &str) -> Option<GivenApiKey> {
    let mut parts = text.split('_');
    let kind = match parts.next()? {
        "sk" => KeyKind::Secret,
        "pk" => KeyKind::Publishable,
        _ => return None,
    };
    let mode = parts.next()?.parse().ok()?;
    let id = format!("{}_{}", ApiKeyId::PREFIX, parts.next()?)
        .parse()
        .ok()?;
    let secret = parts.next()?;
    let plain = secret.len() == 43 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if parts.next().is_some() || !plain {
        return None;
    }
    Some(GivenApiKey {
        kind,
        mode,
        id,
        secret_hash: hash(secret),
    })
}

/// Whether two hashes are the same, in constant time.
#[must_use]
pub fn same_hash(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// SHA-256 in hex.
#[must_use]
pub fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        })
}

/// A session token: 256 bits by chance, for a cookie. Its [`hash`] is stored.
#[must_use]
pub fn new_session_token() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

/// What a form must carry besides the cookie of its session: derived from the session's token, so that nobody who
/// cannot read the cookie can make it, and it tells nothing of the token.
#[must_use]
pub fn form_token(session_token: &str) -> String {
    let mut mac = HmacSha256::new_from_slice(session_token.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(b"staff-form/1");
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// A webhook secret of the form providers use, for simulators and demos.
#[must_use]
pub fn new_webhook_secret() -> String {
    format!("whsec_{}", base62::<32>())
}

fn suffix(id: ApiKeyId) -> String {
    let text = id.to_string();
    text.split_once('_')
        .map_or_else(String::new, |(_, suffix)| suffix.to_owned())
}

fn base62<const LENGTH: usize>() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        for byte in random_bytes::<64>() {
            // Bytes above the last multiple of 62 would favour the first letters.
            if byte < 248 && text.len() < LENGTH {
                text.push(char::from(ALPHABET[usize::from(byte % 62)]));
            }
        }
    }
    text
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn keys_are_read_back_and_nothing_else_is() {
        let id: ApiKeyId = Clock::system().id();
        let key = new_api_key(id, KeyKind::Secret, Mode::Test);
        let given = read_api_key(&key.text).expect("its own form");
        assert_eq!(
            (given.id, given.kind, given.mode),
            (id, KeyKind::Secret, Mode::Test)
        );
        assert!(same_hash(&given.secret_hash, &key.secret_hash));
        assert!(key.text.ends_with(&key.last4));
        for bad in [
            "",
            "sk",
            "sk_test",
            "sk_test_x_y",
            &format!("{}_", key.text),
            "Bearer",
        ] {
            assert_eq!(read_api_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn tokens_are_bound_to_shop_order_and_key() {
        let clock = Clock::system();
        let keys = SecretKeys::parse(&[
            SecretKeys::generate(),
            "2:".to_owned() + &STANDARD.encode([7; 32]),
        ])
        .expect("two keys");
        let (shop, order): (ShopId, OrderId) = (clock.id(), clock.id());
        let token = keys.client_token(1, shop, order).expect("key 1");
        assert!(keys.token_holds(Some(1), shop, order, &token));
        assert!(!keys.token_holds(Some(2), shop, order, &token));
        assert!(!keys.token_holds(Some(1), clock.id(), order, &token));
        assert!(!keys.token_holds(Some(1), shop, clock.id(), &token));
        assert!(!keys.token_holds(None, shop, order, &token));
        assert!(!keys.token_holds(Some(1), shop, order, ""));
    }

    #[test]
    fn bad_key_lists_are_refused() {
        let none: [&str; 0] = [];
        assert_eq!(SecretKeys::parse(&none).err(), Some(SecretKeyError::Empty));
        for bad in ["abc", "1:", "1:AAAA", "x:AAAA", "1:not base64"] {
            assert_eq!(
                SecretKeys::parse(&[bad]).err(),
                Some(SecretKeyError::Malformed)
            );
        }
        let key = SecretKeys::generate();
        let twice = SecretKeys::parse(&[key.clone(), key]).err();
        assert_eq!(twice, Some(SecretKeyError::Repeated(1)));
    }
}
