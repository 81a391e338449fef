//! Around every page.

words! {
    TILL = "Till";
    SKIP = "Skip to the content";
    SEARCH = "Search orders";
    SEARCH_HINT = "Number, e-mail, name, reference, SKU, id or amount";
    SHOP = "Shop";
    OVERVIEW = "Overview";
    ORDERS = "Orders";
    REVIEWS = "Review";
    PAYMENTS = "Payments";
    REFUNDS = "Refunds";
    WEBHOOKS = "Webhooks";
    CALLS = "Provider calls";
    LEDGER = "Ledger";
    FINDINGS = "Findings";
    ACCOUNT = "Your account";
    PEOPLE = "People";
    AUDIT = "Audit log";
    SIGN_OUT = "Sign out";
    TEST_MODE = "Test mode: no real money moves in this shop.";
    MENU = "Pages of this shop";
    PERSON_MENU = "You";
    KEYS = "Keys";
    KEYS_ROWS = "Next and previous row";
    KEYS_OPEN = "Open the row";
    KEYS_LEAVE = "Leave a field, close what is open";
    KEYS_LIST = "This list";
    KEYS_ON = "Single keys do this (in this browser)";
    KEY_ENTER = "Enter";
    KEY_ESCAPE = "Esc";
    CLOSE = "Close";
    TIMES_IN = "Times are in";
    DAYS_UTC = "Days in filters, figures and files are UTC days.";
}
