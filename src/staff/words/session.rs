//! Signing in.

words! {
    TITLE = "Sign in";
    EMAIL = "E-mail address";
    PASSWORD = "Password";
    BUTTON = "Sign in";
    WRONG = "The e-mail address or the password is wrong. Check both and try again.";
    FIRST = "People are added with this command on the server, or by an admin:";
    FIRST_COMMAND = "till staff create --email you@example.com --role admin";
}
