//! The parts pages are made of.

words! {
    OLDER = "Older";
    NEWER = "Newer";
    PAGES = "Pages";
    UTC = "UTC";
    MINUS = "−";
    JANUARY = "Jan";
    FEBRUARY = "Feb";
    MARCH = "Mar";
    APRIL = "Apr";
    MAY = "May";
    JUNE = "Jun";
    JULY = "Jul";
    AUGUST = "Aug";
    SEPTEMBER = "Sep";
    OCTOBER = "Oct";
    NOVEMBER = "Nov";
    DECEMBER = "Dec";
}

/// The months in their order.
pub const MONTHS: [&str; 12] = [
    JANUARY, FEBRUARY, MARCH, APRIL, MAY, JUNE, JULY, AUGUST, SEPTEMBER, OCTOBER, NOVEMBER,
    DECEMBER,
];

/// What was done, by its code in the address (`?done=…`); an unknown code says nothing.
#[must_use]
pub fn done(code: &str) -> Option<&'static str> {
    Some(match code {
        "signed-out" => "You are signed out.",
        "signed-out-everywhere" => "You are signed out everywhere.",
        "session-ended" => "That session is over.",
        "password-changed" => "Your password is changed. Every other session is over.",
        "role-changed" => "The role is changed. Their sessions are over, so that it holds at once.",
        "person-disabled" => "They can no longer sign in, and their sessions are over.",
        "person-enabled" => "They can sign in again.",
        "sessions-ended" => "Their sessions are over.",
        "refunded" => "The refund is done.",
        "refund-pending" => {
            "The provider has taken the refund on. The money is on its way, and has not gone back yet."
        }
        "refund-failed" => "The provider refused the refund. No money went back.",
        "captured" => "The money is taken.",
        "released" => "The reserved money is released.",
        "captured-instead" => "The money was taken in the meantime, so it was not released.",
        "cancelled" => "The order is cancelled.",
        "cancelling" => {
            "The order is being cancelled. It is not yet: the provider has not confirmed that it can no longer be paid."
        }
        "checkout-made" => "The checkout page is there.",
        "noted" => "The note is added.",
        "kept" => "The money is the order's.",
        "acknowledged" => "The question is off the list.",
        "asked" => "The provider answered, and what it said is recorded.",
        "unknown" => {
            "We do not know yet whether it was done: the provider has not answered. Till goes on asking, and nothing is done twice."
        }
        "unchanged" => "It was so already; nothing was changed.",
        _ => return None,
    })
}
