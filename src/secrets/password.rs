//! Passwords of staff: Argon2id with the parameters OWASP names (19 MiB, two passes, one lane).

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// How much memory one hash takes, in KiB.
const MEMORY_KIB: u32 = 19_456;
/// How often it is gone over.
const PASSES: u32 = 2;

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password with a new salt, as a PHC string. It takes a good part of a second's processor time and 19 MiB.
#[must_use]
pub fn hash(password: &str) -> String {
    hasher()
        .hash_password(password.as_bytes())
        .expect("a salt of the library's own and parameters in range")
        .to_string()
}

/// Whether a password is the one of a PHC string. Without one, for a person who does not exist, it works as long and
/// says no.
#[must_use]
pub fn holds(password: &str, known: Option<&str>) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| hash("nobody")).as_str();
    let phc = known.unwrap_or_else(nobody);
    let matches = PasswordHash::new(phc)
        .is_ok_and(|phc| hasher().verify_password(password.as_bytes(), &phc).is_ok());
    matches && known.is_some()
}

/// A password made by chance, of letters and digits: 119 bits.
#[must_use]
pub fn generate() -> String {
    super::base62::<20>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let phc = hash("correct horse");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(holds("correct horse", Some(&phc)));
        assert!(!holds("Correct horse", Some(&phc)));
        assert!(!holds("", Some(&phc)));
        assert!(!holds("nobody", None));
        assert!(!holds("x", Some("not a hash")));
        assert_ne!(hash("correct horse"), phc, "each has a salt of its own");
    }
}
