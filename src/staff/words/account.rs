//! Somebody's own account.

words! {
    TITLE = "Your account";
    EMAIL = "E-mail address";
    ROLE = "Role";
    SHOP = "Shops";
    EVERY_SHOP = "Every shop";
    SESSIONS = "Where you are signed in";
    SESSIONS_HINT = "A session ends after 8 hours without use, and 7 days after signing in.";
    ADDRESS = "Address";
    BROWSER = "Browser";
    NO_BROWSER = "Unknown";
    SINCE = "Signed in";
    LAST_SEEN = "Last used";
    THIS_ONE = "This one";
    END = "End";
    EVERYWHERE = "Sign out everywhere";
    PASSWORD = "Change your password";
    PASSWORD_HINT = "At least 12 characters. Every other session of yours ends.";
    PRESENT = "Present password";
    NEW = "New password";
    AGAIN = "New password once more";
    CHANGE = "Change password";
    WRONG_PRESENT = "This is not your present password.";
    DIFFER = "The two new passwords differ.";
}

/// What is wrong with a new password.
#[must_use]
pub fn bad_password(why: &str) -> String {
    format!("The password {why}.")
}
