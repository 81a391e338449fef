//! Signing in.

words! {
    TITLE = "Sign in";
    EMAIL = "E-mail address";
    PASSWORD = "Password";
    BUTTON = "Sign in";
    WRONG = "The e-mail address or the password is wrong. Check both and try again.";
    ENDED = "Your session had ended, so nothing was done. Sign in, and do it again.";
    INSECURE = "This browser will not keep your session: the console was opened over plain http. Open it by https, or on the machine Till runs on.";
    FIRST = "People are added with this command on the server, or by an admin:";
    FIRST_COMMAND = "till staff create --email you@example.com --role admin";
}
