//! What staff do all day, as they do it: find an order, give money back, answer a question, replay a webhook, export.

use serde_json::{Value, json};

use super::console::Console;
use super::tab::Tab;
use crate::harness::eventually;

/// The refunds of an order, as the API has them.
async fn refunds(console: &Console, order: &str) -> Vec<Value> {
    let list = console
        .shop
        .get(&format!("/v1/refunds?order_id={order}"))
        .await;
    list.expect(200)["data"].as_array().expect("a list").clone()
}

/// Goes to the page that says what refunding one of two mugs will do.
async fn one_mug_back(tab: &Tab) {
    tab.loads(async || tab.click("link", "Refund").await).await;
    tab.click("field", "Lines of the order").await;
    tab.fill("Mug", "1").await;
    tab.fill("Why, as the customer's bank is told", "The customer asked")
        .await;
    tab.loads(async || tab.click("button", "Show what it does").await)
        .await;
    tab.says("What it does to the money").await;
    tab.says("12.50 EUR goes back from").await;
    tab.says("It goes back the way it came, to Ada Byron").await;
    tab.says("This cannot be undone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_by_its_customer_and_one_of_its_lines_refunded_once() {
    let Some(console) = Console::open().await else {
        return;
    };
    let (order, _) = console
        .paid("ada@example.com", "Ada Byron", "web-1001")
        .await;
    console
        .place("grace@example.com", "Grace Hopper", "web-1002")
        .await;
    let tab = console.signed_in("finance").await;

    tab.fill("Search orders", "ada@example.com").await;
    tab.loads(async || tab.press(&["Enter"]).await).await;
    assert!(tab.path().await.contains("q=ada"), "{}", tab.path().await);
    tab.says("1001").await;
    assert!(!tab.text().await.contains("1002"));
    tab.loads(async || tab.click("link", "1001").await).await;
    tab.says("Paid 29.50 EUR").await;

    one_mug_back(&tab).await;
    tab.loads(async || tab.click_often("button", "Refund 12.50 EUR", 2).await)
        .await;
    tab.says("The refund is done.").await;
    tab.says("12.50 EUR refunded").await;
    assert_eq!(
        tab.posts(&format!("/orders/{order}/refund")),
        1,
        "the second click was held back"
    );
    let made = refunds(&console, &order).await;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0]["amount"], "12.50");
    assert_eq!(made[0]["reason"], "requested_by_customer");

    // The back button and the same click again: the form's key is known, nothing is done twice.
    tab.evaluate("history.back()").await;
    tab.says("What it does to the money").await;
    tab.loads(async || tab.click("button", "Refund 12.50 EUR").await)
        .await;
    assert_eq!(refunds(&console, &order).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_read_and_a_refund_made_without_scripts() {
    let Some(console) = Console::open().await else {
        return;
    };
    let (order, _) = console
        .paid("ada@example.com", "Ada Byron", "web-1001")
        .await;
    let tab = console.tab().await;
    tab.scripts(false).await;
    console.sign_in(&tab, "finance").await;
    for (path, words) in [
        ("", "Overview"),
        ("/orders", "Ada Byron"),
        ("/reviews", "Nothing needs a look"),
        ("/payments", "29.50"),
        ("/refunds", "Refunds"),
        ("/webhooks", "checkout.session.completed"),
        ("/calls", "Open a checkout"),
        ("/ledger", "Sales"),
        ("/findings", "Findings"),
    ] {
        tab.open(&format!("{}{path}", console.desk)).await;
        tab.says(words).await;
        tab.says("Times are in UTC").await;
    }
    tab.open(&format!("{}/orders/{order}", console.desk)).await;
    tab.says("UTC").await;
    one_mug_back(&tab).await;
    tab.loads(async || tab.click_often("button", "Refund 12.50 EUR", 2).await)
        .await;
    tab.says("12.50 EUR refunded").await;
    assert_eq!(
        refunds(&console, &order).await.len(),
        1,
        "the server alone keeps it to one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_came_back_is_seen_in_review_and_tried_again() {
    let Some(console) = Console::open().await else {
        return;
    };
    let (order, _) = console
        .paid("ada@example.com", "Ada Byron", "web-1001")
        .await;
    console.refund(&order, "10.00").await;
    let at_provider = refunds(&console, &order).await[0]["provider_refund_id"].clone();
    let fail = format!(
        "/_simulator/refunds/{}/fail",
        at_provider.as_str().expect("an id")
    );
    console.provider.post(&fail, &json!({})).await.expect(200);
    eventually("the question is asked", 20, async || {
        console.shop.order(&order).await["review"] == "provider_declined_refund"
    })
    .await;
    let tab = console.signed_in("finance").await;

    tab.loads(async || tab.click("link", "Review").await).await;
    tab.says("A refund failed").await;
    tab.says("What we asked for").await;
    tab.says("What the provider says").await;
    tab.looks_right("review-queue").await;
    tab.loads(async || tab.click("link", "Try the refund again").await)
        .await;
    tab.says("10.00 EUR").await;
    tab.looks_right("review-preview").await;
    tab.fill("Note", "The bank had the wrong account.").await;
    tab.loads(async || tab.click_first("form[method=post] button.primary").await)
        .await;
    tab.says("The refund is done.").await;
    assert_eq!(console.shop.order(&order).await["review"], Value::Null);
    assert_eq!(console.shop.order(&order).await["amount_refunded"], "10.00");
    tab.open(&format!("{}/reviews", console.desk)).await;
    tab.says("Nothing needs a look").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_replayed_after_a_look_at_what_it_would_do() {
    let Some(console) = Console::open().await else {
        return;
    };
    console
        .paid("ada@example.com", "Ada Byron", "web-1001")
        .await;
    let told = "SELECT verdict FROM provider_event WHERE type = 'payment_intent.succeeded'";
    eventually("the webhook is applied", 20, async || {
        console.texts(told).await == ["applied"]
    })
    .await;
    let tab = console.signed_in("operator").await;
    tab.loads(async || tab.click("link", "Webhooks").await)
        .await;
    tab.loads(async || tab.click("link", "payment_intent.succeeded").await)
        .await;
    tab.loads(async || tab.click_first("a[href$='/preview']").await)
        .await;
    tab.loads(async || tab.click_first("form[action$='/replay'] button").await)
        .await;
    assert_eq!(tab.posts("/replay"), 1);
    assert!(tab.has("css:.flash", None).await, "{}", tab.text().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orders_that_are_shown_are_taken_away_as_a_table_no_program_runs() {
    let Some(console) = Console::open().await else {
        return;
    };
    console
        .place(
            "ada@example.com",
            "=HYPERLINK(\"http://evil.example\")",
            "web-1001",
        )
        .await;
    console
        .place("grace@example.com", "Grace Hopper", "web-1002")
        .await;
    let tab = console.signed_in("finance").await;
    tab.open(&format!("{}/orders?q=ada@example.com", console.desk))
        .await;
    let file = tab
        .downloads(&console.browser, async || tab.click("link", "CSV").await)
        .await;
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!(lines.len(), 2, "{file}");
    assert!(
        lines[1].contains("web-1001") && lines[1].contains("29.50"),
        "{file}"
    );
    assert!(
        !lines[1].contains(",=HYPER") && !lines[1].contains("\"=HYPER"),
        "{file}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_told_in_the_readers_zone_and_language() {
    let Some(console) = Console::open().await else {
        return;
    };
    let order = console
        .place("ada@example.com", "Ada Byron", "web-1001")
        .await;
    let placed = console.shop.order(&order).await["created_at"].clone();
    let placed = placed.as_str().expect("a time").to_owned();
    let tab = console.tab().await;
    tab.lives_in("Asia/Tokyo", "de-DE").await;
    console.sign_in(&tab, "viewer").await;
    tab.open(&format!("{}/orders/{order}", console.desk)).await;
    let hour: u32 = placed[11..13].parse().expect("an hour");
    let there = format!(" {}:{}", (hour + 9) % 24, &placed[14..16]);
    let shown = format!(
        "[...document.querySelectorAll('time')].find(time => time.dateTime.startsWith('{}'))",
        &placed[..16]
    );
    let text = tab.evaluate(&format!("{shown}.textContent")).await;
    assert!(
        text.as_str().is_some_and(|text| text.contains(&there)),
        "{text} is not {there}"
    );
    let exact = tab.evaluate(&format!("{shown}.title")).await;
    assert!(
        exact.as_str().is_some_and(|exact| exact.contains("GMT+9")),
        "{exact}"
    );
    assert!(!tab.text().await.contains("Times are in UTC"));
    let amount = "document.querySelector('main .money').textContent.replace('\\u00a0', ' ')";
    let amount = tab.evaluate(amount).await;
    assert_eq!(amount, "29,50 EUR", "an amount is written as they do there");
}
