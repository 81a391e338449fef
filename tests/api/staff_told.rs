//! How the console says things: one word for one thing, words before codes, names instead of ids, times with their
//! zone, and no date that no longer matters.

use serde_json::json;
use till::domain::staff::Role;

use super::staff_reviews::fail;
use super::staff_typed::hidden;
use crate::harness::TestApp;
use crate::harness::actor::fresh_key;

#[tokio::test(flavor = "multi_thread")]
async fn dates_that_no_longer_matter_are_gone() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    let reader = app.person(Role::Viewer).await;
    let page = format!("/staff/{}/orders/{}", app.shop.id, payable.order);
    let waits = reader.get(&page).await.expect(200).text;
    assert!(waits.contains("Expires unpaid") && waits.contains("Payable until"));
    app.pay(&payable).await;
    let event = app.provider_event("checkout.session.completed", &payable);
    app.deliver(&event.await).await.expect(200);
    let paid = reader.get(&page).await.expect(200).text;
    for gone in ["Expires unpaid", "Payable until"] {
        assert!(!paid.contains(gone), "{gone}: {paid}");
    }
    for told in [
        "Times are in <span data-zone>UTC</span>. Days in filters, figures and files are UTC days.",
        "Pieces",
        "captured when the customer pays",
    ] {
        assert!(paid.contains(told), "{told}: {paid}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_says_who_closed_it_and_codes_have_words() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let finance = app.person(Role::Finance).await;
    let desk = format!("/staff/{}", app.shop.id);
    let path = format!("{desk}/orders/{}/refund", paid.order);
    let form = finance.get(&path).await.expect(200).text;
    assert!(
        form.contains(&format!(">25.00 EUR left · {payment}</option>")),
        "the amount comes first: {form}"
    );
    let asked = format!("{path}?payment={payment}&share=amount&amount=5");
    let preview = finance.get(&asked).await.expect(200).text;
    let (key, version) = (fresh_key(), hidden(&preview, "version"));
    let sent = [
        ("share", "amount"),
        ("amount", "5"),
        ("payment", payment.as_str()),
        ("version", version.as_str()),
        ("idempotency_key", key.as_str()),
    ];
    finance.post(&path, &sent).await.expect(303);
    let refund = shop.refunds_of(&paid.order).await.remove(0);
    fail(&app, refund["provider_refund_id"].as_str().expect("an id")).await;
    let question = app
        .texts("SELECT id FROM review WHERE reason = 'provider_declined_refund'")
        .await
        .remove(0);
    let answer = format!("{desk}/reviews/{question}/acknowledge");
    let asked = finance.get(&answer).await.expect(200).text;
    let (key, version) = (fresh_key(), hidden(&asked, "version"));
    let opening = hidden(&asked, "opening");
    let sent = [
        ("note", "Paid out in cash."),
        ("opening", opening.as_str()),
        ("version", version.as_str()),
        ("idempotency_key", key.as_str()),
    ];
    finance.post(&answer, &sent).await.expect(303);
    let page = format!("{desk}/orders/{}", paid.order);
    let page = finance.get(&page).await.expect(200).text;
    for told in [
        "closed: A finance said that there is nothing to do, <time",
        "by A finance",
        "The card has expired or was cancelled <code class=\"quiet\">expired_or_canceled_card",
        "The refund failed",
        "Held by the provider debit",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let by = format!("by {}", finance.id);
    assert!(!page.contains(&by), "a name, not an id");
    let file = format!("{desk}/refunds/{}", refund["id"].as_str().expect("an id"));
    let file = finance.get(&file).await.expect(200).text;
    let named = format!("A finance <code class=\"quiet\">{}</code>", finance.id);
    assert!(file.contains(&named), "{file}");
    let ledger = finance
        .get(&format!("{desk}/ledger"))
        .await
        .expect(200)
        .text;
    for told in [
        "The money was captured</a> <code class=\"quiet\">captured</code>",
        "data-label=\"Difference\"",
    ] {
        assert!(ledger.contains(told), "{told}: {ledger}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_says_each_thing_once_and_how_it_is_searched() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    app.at_session(&paid, "dispute", json!({})).await;
    for kind in ["created", "funds_withdrawn"] {
        for event in app.provider_events(&format!("charge.dispute.{kind}")).await {
            app.deliver(&event).await.expect(200);
        }
    }
    let reader = app.person(Role::Viewer).await;
    let orders = format!("/staff/{}/orders", app.shop.id);
    let list = reader.get(&orders).await.expect(200).text;
    let badges = list.matches("Disputed</span>").count();
    assert_eq!(badges, 1, "{list}");
    assert!(list.contains("Placed from (UTC)"), "{list}");
    let none = reader.get(&format!("{orders}?q=gr")).await.expect(200).text;
    assert!(none.contains("from three characters on"), "{none}");
    let file = reader
        .get(&format!("{orders}/export.csv"))
        .await
        .expect(200);
    assert!(file.text.starts_with("\u{feff}id,number,"), "{}", file.text);
    app.finish().await;
}
