//! Every page of the console, at three widths, in light and in dark.

use super::console::Console;

/// The lists of a shop: below its own path, and what they are called.
const LISTS: [&str; 9] = [
    "",
    "/orders",
    "/reviews",
    "/payments",
    "/refunds",
    "/webhooks",
    "/calls",
    "/ledger",
    "/findings",
];

/// Pages of the person, not of a shop.
const OWN: [&str; 3] = ["/staff/account", "/staff/audit", "/staff/people"];

fn called(path: &str) -> String {
    let name = path
        .trim_start_matches("/staff")
        .trim_matches('/')
        .replace('/', "-");
    if name.is_empty() {
        "overview".to_owned()
    } else {
        name
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_calm_and_no_wider_than_its_window() {
    let Some(console) = Console::open().await else {
        return;
    };
    let console = console.with_a_day_in_it().await;
    let tab = console.tab().await;
    tab.open("/staff/sign-in").await;
    tab.looks_right("sign-in").await;
    drop(tab);
    let tab = console.signed_in("admin").await;
    for path in LISTS {
        tab.open(&format!("{}{path}", console.desk)).await;
        assert_eq!(tab.status(), 200, "{path}");
        tab.looks_right(&called(path)).await;
    }
    for path in OWN {
        tab.open(path).await;
        assert_eq!(tab.status(), 200, "{path}");
        tab.looks_right(&called(path)).await;
    }
    tab.open_refused("/staff/nowhere", 404).await;
    tab.looks_right("not-found").await;
}
