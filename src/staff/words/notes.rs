//! Notes on an order.

words! {
    TITLE = "Notes";
    NONE = "No notes";
    NONE_TEXT = "What colleagues should know about this order. The customer never sees it.";
    ADD = "Add a note";
    TEXT = "Note";
    ERASED = "Erased with the order's personal data.";
    FORMER = "Somebody who is no longer known";
    WRONG = "A note has 1 to 2,000 characters.";
}
