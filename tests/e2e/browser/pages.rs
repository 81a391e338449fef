//! Every page of the console, at three widths, in light and in dark.

use super::console::Console;

use super::tab::Tab;
use crate::harness::Client;

/// The pages of a shop: below its own path.
const LISTS: [&str; 10] = [
    "",
    "/orders",
    "/reviews",
    "/payments",
    "/refunds",
    "/webhooks",
    "/calls",
    "/health",
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

async fn look(tab: &Tab, path: &str, name: &str) {
    tab.open(path).await;
    assert_eq!(tab.status(), 200, "{path}");
    tab.looks_right(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_accessible_calm_and_no_wider_than_its_window() {
    let Some(console) = Console::open().await else {
        return;
    };
    let tab = console.tab().await;
    look(&tab, "/staff/sign-in", "sign-in").await;
    drop(tab);
    let tab = console.signed_in("admin").await;
    look(&tab, &format!("{}/orders", console.desk), "orders-none").await;
    let console = console.with_a_day_in_it().await;
    for path in LISTS {
        look(&tab, &format!("{}{path}", console.desk), &called(path)).await;
    }
    for path in OWN {
        look(&tab, path, &called(path)).await;
    }
    tab.open_refused("/staff/nowhere", 404).await;
    tab.looks_right("not-found").await;
}

/// The id of the newest object of a list that belongs to an order.
async fn newest(shop: &Client, list: &str, order: &str) -> String {
    let list = shop
        .get(&format!("/v1/{list}?order_id={order}"))
        .await
        .expect(200);
    list["data"][0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_one_thing_is_accessible_calm_and_no_wider_than_its_window() {
    let Some(console) = Console::open().await else {
        return;
    };
    let (order, session) = console
        .paid("grace@example.com", "Grace Hopper", "web-1")
        .await;
    console.refund(&order, "10.00").await;
    console.dispute(&order, &session).await;
    let waiting = console
        .place("barbara@example.com", "Barbara Liskov", "web-2")
        .await;
    console.shop.check_out(&waiting).await;
    let payment = newest(&console.shop, "payments", &order).await;
    let refund = newest(&console.shop, "refunds", &order).await;
    let only = async |sql: &str| console.texts(sql).await.remove(0);
    let call = only("SELECT id FROM provider_call").await;
    let event = only("SELECT id FROM provider_event WHERE order_id IS NOT NULL").await;
    let review = only("SELECT id FROM review").await;
    let person = {
        console.person("viewer").await;
        only("SELECT id FROM staff_user").await
    };
    let tab = console.signed_in("admin").await;
    for (path, name) in [
        (format!("orders/{order}"), "order"),
        (format!("orders/{waiting}"), "order-waiting"),
        (format!("orders/{waiting}/cancel"), "order-cancel"),
        (format!("orders/{waiting}/checkout"), "order-checkout"),
        (format!("payments/{payment}"), "payment"),
        (format!("refunds/{refund}"), "refund"),
        (format!("webhooks/{event}"), "webhook"),
        (format!("webhooks/{event}/preview"), "webhook-preview"),
        (format!("calls/{call}"), "call"),
        (format!("reviews/{review}"), "review"),
        (
            format!("reviews/{review}/acknowledge"),
            "review-acknowledge",
        ),
    ] {
        look(&tab, &format!("{}/{path}", console.desk), name).await;
    }
    look(&tab, &format!("/staff/people/{person}"), "person").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_refund_are_accessible_calm_and_no_wider_than_their_window() {
    let Some(console) = Console::open().await else {
        return;
    };
    let (order, _) = console.paid("ada@example.com", "Ada Byron", "web-1").await;
    let tab = console.signed_in("finance").await;
    let form = format!("{}/orders/{order}/refund", console.desk);
    look(&tab, &form, "refund-form").await;
    look(
        &tab,
        &format!("{form}?share=amount&amount=5.00"),
        "refund-preview",
    )
    .await;
}
