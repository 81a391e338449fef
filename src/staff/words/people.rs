//! People of the console.

words! {
    TITLE = "People";
    NAME = "Name";
    EMAIL = "E-mail address";
    ROLE = "Role";
    SHOP = "Shop";
    EVERY_SHOP = "Every shop";
    STATE = "State";
    ACTIVE = "Active";
    DISABLED = "Disabled";
    LAST_SIGNED_IN = "Last signed in";
    NEVER = "Never";
    SESSIONS = "Sessions";
    ADD = "Add a person";
    ADD_BUTTON = "Add";
    ROLES_HINT = "Viewer reads. Operator also cancels and replays. Finance also moves money. Admin also manages people.";
    ADDED = "Their password is shown this once. Give it to them in person; they change it under “Your account”.";
    PASSWORD = "Password";
    BACK = "All people";
    CHANGE_ROLE = "Change role";
    CHANGE_ROLE_HINT = "Their sessions end, so that the new role holds at once.";
    DISABLE = "Disable";
    DISABLE_HINT = "They can no longer sign in, and their sessions end. What they did stays in the audit log.";
    ENABLE = "Let them in again";
    ENABLE_HINT = "They can sign in with the password they had.";
    RESET = "Make a new password";
    RESET_HINT = "It is shown once. Their sessions end.";
    END_SESSIONS = "End all sessions";
    HISTORY = "What they did";
    CREATED = "Added";
    PASSWORD_CHANGED = "Password changed";
}

/// The title of the page after a person was added or got a password.
#[must_use]
pub fn given(name: &str) -> String {
    format!("A password for {name}")
}

/// What is wrong with a field.
#[must_use]
pub fn wrong(field: &str, why: &str) -> String {
    let what = match field {
        "/email" => "The e-mail address",
        "/name" => "The name",
        "/password" => "The password",
        "/shop" => "The shop",
        "/role" => "The role",
        _ => "This person",
    };
    format!("{what} {why}.")
}
