//! Staff: their roles, which are a ladder, and how their e-mail addresses and passwords must be.

use super::access::words;
use super::text::{self, TextError};
use super::time::{DAY_MS, HOUR_MS};

words! {
    /// What a member of staff may do; each role includes those before it.
    Role {
        /// Reads everything of the shops.
        Viewer = "viewer",
        /// Also writes notes, cancels, opens checkouts again, replays webhooks and retries calls.
        Operator = "operator",
        /// Also refunds, captures, voids, resolves reviews and exports the ledger.
        Finance = "finance",
        /// Also manages people and their sessions, and reads everybody's audit log.
        Admin = "admin",
    }
}

impl Role {
    /// Whether this role includes another one.
    #[must_use]
    pub fn includes(self, other: Role) -> bool {
        self >= other
    }
}

/// How long a session may be unused.
pub const IDLE_MS: i64 = 8 * HOUR_MS;
/// How long a session lasts at most.
pub const LIFETIME_MS: i64 = 7 * DAY_MS;

/// The fewest characters of a password.
pub const PASSWORD_MIN: usize = 12;
/// The most bytes of a password: hashing more would only cost time.
pub const PASSWORD_MAX_BYTES: usize = 512;
/// The longest name of a browser that is kept.
pub const USER_AGENT_MAX: usize = 200;

/// An e-mail address as it is stored: in lower case, so that each person has one.
///
/// # Errors
/// As [`text::email`].
pub fn email(given: &str) -> Result<String, TextError> {
    text::email(&given.trim().to_lowercase())
}

/// Whether a password may be used by the person with this e-mail address.
///
/// # Errors
/// One that is too short or too long, or easily guessed from the address.
pub fn check_password(password: &str, email: &str) -> Result<(), TextError> {
    let count = password.chars().count();
    if count < PASSWORD_MIN {
        return Err(format!("must have at least {PASSWORD_MIN} characters"));
    }
    if password.len() > PASSWORD_MAX_BYTES {
        return Err(format!("must have at most {PASSWORD_MAX_BYTES} bytes"));
    }
    let lower = password.to_lowercase();
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if lower.contains(email) || email.contains(&lower) || different.len() < 5 {
        return Err("is too easy to guess".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_a_ladder() {
        for (at, role) in Role::ALL.iter().enumerate() {
            for (other_at, other) in Role::ALL.iter().enumerate() {
                assert_eq!(role.includes(*other), at >= other_at, "{role} {other}");
            }
        }
    }

    #[test]
    fn addresses_are_one_in_every_spelling() {
        assert_eq!(email(" Ada@Example.COM ").as_deref(), Ok("ada@example.com"));
        assert!(email("ada").is_err());
    }

    #[test]
    fn passwords_that_are_short_or_easy_are_refused() {
        let check = |password: &str| check_password(password, "ada@example.com");
        assert!(check("correct horse battery").is_ok());
        assert!(check("пароль-длинный").is_ok());
        for bad in [
            "",
            "short",
            "elevenchars",
            "aaaaaaaaaaaaaaaa",
            "121212121212121212",
            "ada@example.com",
            "Ada@Example.com1",
            &"long".repeat(200),
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
