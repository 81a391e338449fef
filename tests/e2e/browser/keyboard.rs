//! The keyboard reaches everything, and single keys are quick ways that never get in the way of typing.

use super::console::Console;
use super::tab::Tab;

async fn focused(tab: &Tab) -> String {
    let name = tab
        .evaluate(
            "document.activeElement.name || document.activeElement.innerText.trim().slice(0, 60)",
        )
        .await;
    name.as_str().unwrap_or_default().to_owned()
}

async fn keys_are_listed(tab: &Tab) -> bool {
    tab.evaluate("document.getElementById('keys').open").await == true
}

#[tokio::test(flavor = "multi_thread")]
async fn single_keys_lead_through_the_console() {
    let Some(console) = Console::open().await else {
        return;
    };
    console.place("ada@example.com", "Ada Byron", "web-1").await;
    console
        .place("grace@example.com", "Grace Hopper", "web-2")
        .await;
    let tab = console.signed_in("viewer").await;

    tab.press(&["?"]).await;
    assert!(keys_are_listed(&tab).await);
    tab.press(&["g", "o"]).await;
    assert!(
        tab.path().await.ends_with(&console.desk),
        "no key works while the list is open"
    );
    tab.press(&["Escape"]).await;
    assert!(!keys_are_listed(&tab).await);

    tab.press(&["/"]).await;
    assert_eq!(focused(&tab).await, "q");
    tab.press(&["g", "o", "?"]).await;
    let typed = tab.evaluate("document.activeElement.value").await;
    assert_eq!(typed, "go?", "keys are letters where one types");
    tab.press(&["Escape"]).await;

    tab.loads(async || tab.press(&["g", "o"]).await).await;
    assert_eq!(tab.path().await, format!("{}/orders", console.desk));
    tab.press(&["j"]).await;
    assert_eq!(focused(&tab).await, "1002", "the newest is first");
    tab.press(&["j"]).await;
    assert_eq!(focused(&tab).await, "1001");
    tab.press(&["j", "k"]).await;
    assert_eq!(focused(&tab).await, "1002");
    tab.loads(async || tab.press(&["Enter"]).await).await;
    tab.says("Grace Hopper").await;

    // Whoever dictates to the computer can do without them.
    tab.press(&["?"]).await;
    tab.click("field", "Single keys do this (in this browser)")
        .await;
    tab.click("button", "Close").await;
    tab.press(&["g", "h"]).await;
    assert!(tab.path().await.contains("/orders/ord_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tab_key_reaches_everything_and_shows_where_it_is() {
    let Some(console) = Console::open().await else {
        return;
    };
    console.place("ada@example.com", "Ada Byron", "web-1").await;
    let tab = console.signed_in("viewer").await;
    tab.open(&format!("{}/orders", console.desk)).await;
    tab.press(&["Tab"]).await;
    assert_eq!(focused(&tab).await, "Skip to the content");
    let mut reached = Vec::new();
    for _ in 0..60 {
        tab.press(&["Tab"]).await;
        let ring = tab
            .evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
            .await;
        let name = focused(&tab).await;
        assert!(
            ring.as_f64().is_some_and(|width| width >= 2.0),
            "no ring around {name:?}"
        );
        reached.push(name);
        if reached.last().is_some_and(|name| name == "1001") {
            break;
        }
    }
    for name in ["q", "Orders", "Review", "1001"] {
        assert!(
            reached.iter().any(|reached| reached == name),
            "{name} is not in {reached:?}"
        );
    }
}
