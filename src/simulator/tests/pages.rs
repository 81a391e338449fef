//! The customer's page.
use serde_json::json;

use super::harness::{Bench, answer};

async fn submit(bench: &Bench, path: &str, form: &str) -> (u16, String, String) {
    let request = bench.client.post(format!("{}{path}", bench.url));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let response = request
        .body(form.to_owned())
        .send()
        .await
        .expect("an answer");
    let status = response.status().as_u16();
    let location = response.headers().get("Location");
    let location = location
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    (status, location, response.text().await.expect("text"))
}

async fn page(bench: &Bench, path: &str) -> String {
    let response = bench
        .client
        .get(format!("{}{path}", bench.url))
        .send()
        .await;
    response.expect("an answer").text().await.expect("text")
}

#[tokio::test]
async fn a_customer_pays_once_however_often_they_click() {
    let bench = Bench::start().await;
    let id = bench
        .session_with("&line_items[0][price_data][product_data][name]=%3Cb%3ETea")
        .await;
    let path = format!("/pay/{id}");
    let html = page(&bench, &path).await;
    assert!(
        html.contains("21.00 USD") && !html.contains("<b>Tea"),
        "{html}"
    );
    for _ in 0..2 {
        let (status, location, _) = submit(&bench, &path, "card_number=4242+4242+4242+4242").await;
        assert_eq!(
            (status, location),
            (303, format!("https://shop.example/done?s={id}"))
        );
    }
    assert_eq!(
        bench
            .events()
            .await
            .iter()
            .filter(|kind| *kind == "charge.succeeded")
            .count(),
        1
    );
    assert!(page(&bench, &path).await.contains("Already paid"));
    bench.simulator.stop().await;
}

#[tokio::test]
async fn declines_and_odd_numbers_are_told_and_the_session_stays_open() {
    let bench = Bench::start().await;
    let id = bench.session().await;
    let path = format!("/pay/{id}");
    for (number, message) in [
        ("4000000000000002", "Your card was declined."),
        ("4000 0000 0000 9995", "insufficient funds"),
        ("1234", "card number is invalid"),
    ] {
        let (status, _, html) = submit(&bench, &path, &format!("card_number={number}")).await;
        assert_eq!(status, 402);
        assert!(html.contains(message), "{html}");
    }
    let (_, session) = bench.get(&format!("/v1/checkout/sessions/{id}")).await;
    assert_eq!(session["status"], "open");
    bench
        .control(&format!("/sessions/{id}/expire"), json!({}))
        .await;
    assert_eq!(
        submit(&bench, &path, "card_number=4242424242424242")
            .await
            .0,
        410
    );
    assert!(page(&bench, &path).await.contains("expired"));
    assert!(
        page(&bench, "/pay/cs_test_none")
            .await
            .contains("Not found")
    );
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_confirmation_can_fail_and_then_complete() {
    let bench = Bench::start().await;
    let id = bench.session().await;
    let path = format!("/pay/{id}");
    let confirm = format!("{path}/confirm");
    let card = "card_number=4000002500003155&email=a%40b.example";
    assert_eq!(submit(&bench, &path, card).await.1, confirm);
    assert!(page(&bench, &confirm).await.contains("3-D Secure"));
    let (status, _, html) = submit(&bench, &confirm, "outcome=fail").await;
    assert!(status == 402 && html.contains("unable to authenticate"));
    assert_eq!(submit(&bench, &confirm, "outcome=complete").await.1, path);
    submit(&bench, &path, card).await;
    assert_eq!(submit(&bench, &confirm, "outcome=complete").await.0, 303);
    let request = bench
        .client
        .get(format!("{}/_simulator/journal?kind=effect", bench.url));
    let (_, journal) = answer(request.send().await.expect("an answer")).await;
    assert!(
        journal
            .to_string()
            .contains("payment_intent.requires_action")
    );
    let (_, session) = bench.get(&format!("/v1/checkout/sessions/{id}")).await;
    assert_eq!(session["payment_status"], "paid");
    bench.simulator.stop().await;
}
