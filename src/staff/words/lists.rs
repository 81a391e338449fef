//! Lists and their filters.

words! {
    FILTER = "Filter";
    SHOW = "Show";
    ANY = "Any";
    CLEAR = "Clear";
    REMOVE = "Remove this filter";
    FROM = "From (UTC)";
    TO = "To (UTC)";
    ORDER = "Order";
    UNREADABLE = "This cannot be read, so nothing is shown.";
    NO_CHOICE = "There is no such choice, so nothing is shown.";
    NO_ORDER = "No order of this shop has this number or id.";
    NOTHING = "Nothing passes this filter";
    NOTHING_TEXT = "Take a part of the filter away, or look at other days.";
    FURTHER_TEXT = "Only the nearest ten thousand entries were looked at for this page.";
    FURTHER = "Look further back";
    STATUS = "Status";
    PROVIDER_ID = "Provider's id";
    REASON = "Reason";
    AMOUNT = "Amount";
    WHEN = "When";
    DETAILS = "Details";
    ID = "Id";
    PROVIDER_ACCOUNT = "Provider account";
    REQUEST = "Request";
    ACTOR = "By";
    CHANGED = "Last changed";
    NONE = "none";
    NUMBERS = "The numbers";
    DAY = "Day (UTC)";
}
