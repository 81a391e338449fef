//! Pages that say what went wrong.

words! {
    BACK = "Back to the start";
    REQUEST = "Request";
    NOT_FOUND = "There is nothing here";
    NOT_FOUND_TEXT = "The address names nothing that you can see. It may belong to another shop, or there may be a letter missing.";
    FORBIDDEN = "You may not do this";
    TOO_MANY = "Too many tries";
    TOO_MANY_TEXT = "Nothing was done. Wait a little and try again.";
    UNAVAILABLE = "Till cannot answer right now";
    UNAVAILABLE_TEXT = "The database cannot be reached, or too much waits for it. Nothing is lost. Try again in a moment.";
    FAILED = "Something went wrong on our side";
    FAILED_TEXT = "What you did may not have been done; look before you try again. Whoever looks after Till finds the cause in the log by the request below.";
    REFUSED = "This could not be done";
}

/// How long to wait.
#[must_use]
pub fn wait(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("Try again in {seconds} seconds."),
        _ => format!("Try again in {} minutes.", seconds.div_ceil(60)),
    }
}
