//! Notes on an order.

words! {
    TITLE = "Notes";
    NONE = "No notes";
    NONE_TEXT = "What colleagues should know about this order. The customer never sees it.";
    ADD = "Add a note";
    TEXT = "Note";
    ERASED = "Erased with the order's personal data.";
    FORMER = "Somebody who is no longer known";
}

/// Why a note was not kept.
#[must_use]
pub fn wrong(why: &str) -> String {
    format!("The note was not kept: it {why}. What you wrote is below.")
}
